"""Validation of random objects of all kinds: never raises, and what is in force is sound."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bellmetal import resources
from bellmetal.addresses import Range, parse_range
from bellmetal.config import Labelled, Problem
from bellmetal.validation import Objects, validate
from bellmetal.validation.annotations import service_wishes
from bellmetal.validation.labelled import Index
from bellmetal.validation.ranges import Taken
from bellmetal.validation.report import Report
from bellmetal.validation.selectors import read_selectors
from builders import metadata

NAMES = st.sampled_from(["a", "b", "c"])
ODD = st.text(max_size=6) | st.text(alphabet="0123456789.:/-=,%smh", max_size=12)
ASN = st.sampled_from([0, 1, 2, -1, 2**32])
NUMBER = st.none() | st.integers(-1, 300) | st.just(10**30)
ADDRESS = st.sampled_from(["", "10.0.0.1", "10.0.0.2", "2001:db8::1", "fe80::1%x", "x"])
ENTRY = st.sampled_from(["192.0.2.0/24", "192.0.2.8/30", "10.0.0.1/32", "2001:db8::/64"]) | ODD
TIME = st.sampled_from([None, "0s", "3s", "9s", "1.5s", "-1s", "x", "99999h"])
COMMUNITY = st.sampled_from(["1:1", "large:1:2:3", "blue", "red", "", "1:2:3", "x:1"]) | ODD
SELECTOR = st.builds(
    resources.LabelSelector,
    st.none() | st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=1),
    st.none()
    | st.lists(
        st.builds(
            resources.MatchExpression,
            st.sampled_from(["x", "y", "?"]),
            st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "in"]),
            st.none() | st.lists(st.sampled_from("12"), max_size=2),
        ),
        max_size=2,
    ),
)
SELECTORS = st.none() | st.lists(SELECTOR, max_size=2)
LISTED = st.none() | st.lists(NAMES, max_size=2)
ANNOTATION = st.sampled_from(
    [
        "exclude",
        "reserve",
        "cool-down",
        "drain",
        "on-orphan",
        "x",
        "address-quota",
        "addresses-per-family",
    ]
)
ANNOTATIONS = st.none() | st.dictionaries(
    ANNOTATION.map("bellmetal.io/{}".format), ENTRY | TIME.map(str), max_size=2
)
META = st.builds(
    lambda name, day, notes: metadata(
        f"metallb-system/{name}", creation_timestamp=f"2026-01-0{day}", annotations=notes
    ),
    NAMES,
    st.integers(1, 2),
    ANNOTATIONS,
)


def objects(kind: Any, **spec: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Some objects of a kind, of different names."""
    fields = type(kind().spec)
    one = st.builds(kind, metadata=META, spec=st.builds(fields, **spec))
    return st.lists(one, max_size=3, unique_by=lambda body: body.metadata.name).map(tuple)


def labelled() -> st.SearchStrategy[dict[str, Labelled]]:
    labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
    notes = ANNOTATIONS.map(lambda found: found or {})
    one = st.builds(Labelled, NAMES, labels, notes)
    return st.lists(one, max_size=3).map(lambda items: {item.name: item for item in items})


ALL = st.builds(
    Objects,
    objects(
        resources.IPAddressPool,
        addresses=st.none() | st.lists(ENTRY, max_size=3),
        avoid_buggy_ips=st.booleans(),
        service_allocation=st.none()
        | st.builds(
            resources.ServiceAllocation,
            namespaces=LISTED,
            namespace_selectors=SELECTORS,
            service_selectors=SELECTORS,
        ),
    ),
    objects(
        resources.L2Advertisement,
        ip_address_pools=LISTED,
        node_selectors=SELECTORS,
        preferred_node_selectors=st.none()
        | st.lists(
            st.builds(resources.PreferredNodeSelector, st.integers(0, 101), SELECTOR), max_size=2
        ),
    ),
    objects(
        resources.BGPAdvertisement,
        aggregation_length=NUMBER,
        aggregation_length_v6=NUMBER,
        local_pref=st.sampled_from([0, 100, -1]),
        communities=st.none() | st.lists(COMMUNITY, max_size=3),
        ip_address_pools=LISTED,
        ip_address_pool_selectors=SELECTORS,
        node_selectors=SELECTORS,
        peers=LISTED,
        service_selectors=SELECTORS,
    ),
    objects(
        resources.BGPPeer,
        my_asn=ASN,
        peer_asn=ASN,
        local_asn=ASN,
        dynamic_asn=st.sampled_from(["", "internal", "any"]),
        peer_address=ADDRESS,
        interface=st.sampled_from(["", "eth0"]),
        source_address=ADDRESS,
        peer_port=st.sampled_from([0, 179, 70000]),
        hold_time=TIME,
        keepalive_time=TIME,
        connect_time=TIME,
        router_id=ADDRESS,
        node_selectors=SELECTORS,
        password=st.sampled_from(["", "hunter2"]),
        password_secret=st.none()
        | st.builds(resources.SecretReference, st.sampled_from(["", "s"])),
        bfd_profile=st.just("") | NAMES,
        vrf=st.sampled_from(["", "red"]),
        ebgp_multi_hop=st.booleans(),
    ),
    objects(
        resources.BFDProfile, receive_interval=NUMBER, minimum_ttl=NUMBER, echo_mode=st.booleans()
    ),
    objects(
        resources.Community,
        communities=st.none()
        | st.lists(
            st.builds(resources.CommunityAlias, st.sampled_from(["blue", "red", ""]), COMMUNITY),
            max_size=2,
        ),
    ),
    labelled(),
    labelled(),
    st.lists(
        st.builds(
            Problem,
            st.sampled_from(["IPAddressPool", "BGPPeer"]),
            st.just("odd"),
            st.just("spec"),
            ODD,
        ),
        max_size=1,
    ).map(tuple),
)


@given(ALL)
def test_what_is_in_force_is_sound_and_all_else_is_told(found: Objects) -> None:
    validated = validate(found)
    config = validated.config
    faulty = {(problem.kind, problem.name) for problem in validated.problems}
    for kind, bodies, nouns in (
        ("L2Advertisement", found.l2_advertisements, config.l2_advertisements),
        ("BGPAdvertisement", found.bgp_advertisements, config.bgp_advertisements),
        ("BGPPeer", found.peers, config.peers),
        ("BFDProfile", found.bfd_profiles, config.bfd_profiles),
    ):
        names = [noun.name for noun in nouns]  # type: ignore[attr-defined]
        assert names == sorted(names)
        for body in bodies:  # type: ignore[attr-defined]
            assert body.metadata.name in names or (kind, body.metadata.name) in faulty
    assert {pool.name for pool in config.pools} >= {item.metadata.name for item in found.pools}
    assert all(pool.broken <= (("IPAddressPool", pool.name) in faulty) for pool in config.pools)
    profiles = {profile.name for profile in config.bfd_profiles} | {""}
    assert all(peer.bfd_profile in profiles for peer in config.peers)
    assert "hunter2" not in repr(validated)
    assert not any(
        problem.message.endswith((".", " "))
        for problem in validated.problems
        if problem not in found.unreadable
    )


@given(ALL, st.integers())
def test_the_order_of_objects_does_not_matter(found: Objects, seed: int) -> None:
    dice = random.Random(seed)
    shuffled = Objects(
        *(
            tuple(dice.sample(bodies, len(bodies)))
            for bodies in (
                found.pools,
                found.l2_advertisements,
                found.bgp_advertisements,
                found.peers,
                found.bfd_profiles,
                found.communities,
            )
        ),
        dict(dice.sample([*found.namespaces.items()], len(found.namespaces))),
        dict(dice.sample([*found.nodes.items()], len(found.nodes))),
        found.unreadable,
    )
    assert validate(found) == validate(shuffled)


@given(st.dictionaries(ANNOTATION.map("bellmetal.io/{}".format), ODD, max_size=3))
def test_annotations_of_a_service_never_raise(annotations: dict[str, str]) -> None:
    assert len(service_wishes(annotations).problems) >= len(annotations) - 1


# --- the fast ways are the plain ways -------------------------------------------------------------

SPAN = st.builds(
    lambda first, size: parse_range(f"192.0.2.{first}-192.0.2.{min(255, first + size)}"),
    st.integers(0, 255),
    st.integers(0, 60),
)


@given(st.lists(SPAN, max_size=12))
def test_what_is_taken_is_what_overlaps(spans: list[Range]) -> None:
    taken = Taken()
    for index, span in enumerate(spans):
        owners = [str(n) for n, other in enumerate(spans[:index]) if other.overlaps(span)]
        found = taken.find(span)
        assert (found in owners) if owners else (found is None)
        taken.add(span, str(index))


@given(labelled(), SELECTORS)
def test_the_index_finds_what_selectors_match(
    items: dict[str, Labelled], selectors: list[resources.LabelSelector] | None
) -> None:
    nouns = read_selectors(selectors, "spec.x", Report("", "", ""))
    plain = {
        name
        for name, item in items.items()
        if not nouns or any(noun.matches(item.labels) for noun in nouns)
    }
    assert Index(items).matching(nouns) == plain
