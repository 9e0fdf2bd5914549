"""The admission webhook's verdicts: whole sentences, and that it is never in the way."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from bellmetal import admission, resources
from bellmetal.admission import Admission, Request, Resource, Verdict
from bellmetal.api import ApiError
from bellmetal.follow import Kind
from bellmetal.world import World
from builders import advertisement_object, node_object, pool_object, selector_object
from configuration import bgp_object, community_object, peer_object, profile_object
from small_api import SmallApi

NAMESPACE = "metallb-system"
WORLD = World("", False)
KINDS: dict[type[resources.Object], Kind[Any]] = {
    collection.kind.struct: collection.kind
    for collection in (getattr(WORLD, part) for part in admission.PARTS.values())
}
LATER = {"creation_timestamp": "2026-02-01T00:00:00Z"}


def raw(body: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(body))


def review(operation: str, body: resources.Object, old: object = None, **fields: Any) -> Request:
    """What the API server asks about an object (with DELETE it is the old one)."""
    kind, meta = KINDS[type(body)], body.metadata
    new, old = (None, body) if operation == "DELETE" else (body, old)
    defaults: dict[str, Any] = {
        "resource": Resource(kind.group, kind.version, kind.plural),
        "name": meta.name,
        "namespace": meta.namespace,
        "object": raw(new),
        "old_object": raw(old),
    }
    return Request("uid", operation=operation, **(defaults | fields))


def server(*existing: resources.Object) -> SmallApi:
    api = SmallApi()
    for body in existing:
        kind = KINDS[type(body)]
        api.put(f"{kind.path(NAMESPACE)}/{body.metadata.name}", body)
    return api


async def decide(asked: Request, *existing: resources.Object, nodes: Iterable[Any] = ()) -> Verdict:
    world = World("", False)
    for node in nodes:
        world.nodes.take(node)
    return await Admission(server(*existing), world, NAMESPACE, lambda: True).decide(asked)


def denied(*sentences: str) -> Verdict:
    return Verdict(sentences)


def warned(*sentences: str) -> Verdict:
    return Verdict(warnings=sentences)


ALLOWED = Verdict()
OLD = pool_object("old", "10.0.0.0/24")
OVERLAPS = '"10.0.0.0-10.0.0.255" overlaps with IPAddressPool/old, which is older'
BROKEN = pool_object("broken", "nonsense")

CREATED = [
    ("a good pool", pool_object("new", "10.0.1.0/24"), [OLD, BROKEN], ALLOWED),
    (
        "a pool that overlaps with an older one; the problems of others are not told",
        pool_object("new", "10.0.0.0/24"),
        [OLD, BROKEN],
        denied(f"IPAddressPool/new spec.addresses[0]: {OVERLAPS}"),
    ),
    (
        "a pool of the same second, whose name comes first",
        pool_object("a", "10.0.0.0/24"),
        [OLD],
        denied(f"IPAddressPool/a spec.addresses[0]: {OVERLAPS}"),
    ),
    (
        "a pool with three problems",
        pool_object(
            "new", "10.0.0.0/24", "x", meta={"annotations": {"bellmetal.io/drian": "true"}}
        ),
        [OLD],
        denied(
            f"IPAddressPool/new spec.addresses[0]: {OVERLAPS}",
            'IPAddressPool/new spec.addresses[1]: "x" is neither a CIDR nor a range',
            "IPAddressPool/new metadata.annotations[bellmetal.io/drian]: unknown annotation;"
            ' did you mean "bellmetal.io/drain"?',
        ),
    ),
    (
        "an advertisement before its pool",
        advertisement_object("front", ip_address_pools=["new"]),
        [],
        warned(
            'L2Advertisement/front spec.ipAddressPools[0]: there is no IPAddressPool "new";'
            " there is no pool at all"
        ),
    ),
    (
        "an advertisement that is wrong",
        advertisement_object("front", ip_address_pools=["old", "old"]),
        [OLD],
        denied(
            "L2Advertisement/front spec.ipAddressPools[1]: duplicate definition of ipAddressPools"
            ' "old"'
        ),
    ),
    (
        "an advertisement before its community",
        bgp_object("up", communities=["vip"]),
        [],
        warned(
            'BGPAdvertisement/up spec.communities[0]: there is no Community alias "vip";'
            " there is no Community alias at all"
        ),
    ),
    (
        "an advertisement before its community that is wrong besides",
        bgp_object("up", communities=["vip"], aggregation_length=33),
        [],
        denied(
            "BGPAdvertisement/up spec.aggregationLength: invalid aggregation length 33 for IPv4:"
            " must be 1 to 32",
            'BGPAdvertisement/up spec.communities[0]: there is no Community alias "vip";'
            " there is no Community alias at all",
        ),
    ),
    (
        "an advertisement that does not agree with an older one",
        bgp_object("up", local_pref=200),
        [OLD, bgp_object("before", local_pref=100)],
        denied(
            "BGPAdvertisement/up spec.localPref: invalid local preference 200: local preference 100"
            " was already set for the same type of BGP update by BGPAdvertisement/before, which is"
            " older, for IPAddressPool/old"
        ),
    ),
    (
        "a peer that is there already",
        peer_object("two"),
        [peer_object("one")],
        denied(
            "BGPPeer/two spec.peerAddress: peer 10.0.0.254 already exists as BGPPeer/one: duplicate"
            " BGPPeers selecting the same node are not supported"
        ),
    ),
    (
        "a peer whose profile is not there",
        peer_object("tor", bfd_profile="fast", disable_mp=True),
        [],
        warned(
            "disable mp is deprecated and has no effect since it's the default behavior now",
            'BGPPeer/tor spec.bfdProfile: there is no BFDProfile "fast"; there is no profile at'
            " all; BFD runs with its default times",
        ),
    ),
    (
        "a profile",
        profile_object("fast", detect_multiplier=1),
        [],
        denied(
            "BFDProfile/fast spec.detectMultiplier: invalid detect multiplier value: invalid value"
            " 1, must be in 2-255 range"
        ),
    ),
    (
        "an alias that another object defines",
        community_object("mine", vip="1:2"),
        [community_object("theirs", vip="1:1")],
        denied('Community/mine spec.communities[0].name: duplicate definition of community "vip"'),
    ),
    (
        "an annotation of ours that Communities do not have",
        community_object("mine", vip="1:2", meta={"annotations": {"bellmetal.io/x": ""}}),
        [],
        warned(
            "Community/mine metadata.annotations[bellmetal.io/x]: unknown annotation; none is for"
            " a Community"
        ),
    ),
]


@pytest.mark.parametrize(
    ("body", "existing", "verdict"), [row[1:] for row in CREATED], ids=[row[0] for row in CREATED]
)
async def test_what_is_created(
    body: resources.Object, existing: list[resources.Object], verdict: Verdict
) -> None:
    assert await decide(review("CREATE", body), *existing) == verdict


YOUNG = pool_object("young", "10.0.1.0/24", meta=LATER)
LABELLED = {"labels": {"a": "b"}}
LEAVING = {"deletion_timestamp": "2026-06-01T12:00:00Z"}
PEERS = [peer_object("b", bfd_profile="fast"), peer_object("a", bfd_profile="fast")]

CHANGED = [
    (
        "an older pool that grows into a younger one",
        review("UPDATE", pool_object("old", "10.0.0.0/23"), OLD),
        [OLD, YOUNG, BROKEN],
        warned(
            'this leads to IPAddressPool/young spec.addresses[0]: "10.0.1.0-10.0.1.255" overlaps'
            " with IPAddressPool/old, which is older"
        ),
    ),
    (
        "a younger pool that grows into an older one",
        review("UPDATE", pool_object("young", "10.0.0.0/24", meta=LATER), YOUNG),
        [OLD, YOUNG],
        denied(f"IPAddressPool/young spec.addresses[0]: {OVERLAPS}"),
    ),
    (
        "an invalid one that is mended",
        review("UPDATE", pool_object("broken", "10.0.1.0/24"), BROKEN),
        [OLD, BROKEN],
        ALLOWED,
    ),
    (
        "an invalid one that is labelled",
        review("UPDATE", pool_object("broken", "nonsense", meta=LABELLED), BROKEN),
        [BROKEN],
        warned('IPAddressPool/broken spec.addresses[0]: "nonsense" is neither a CIDR nor a range'),
    ),
    (
        "an invalid one that is let go by its finalizer",
        review("UPDATE", pool_object("broken", "no sense", meta=LEAVING), BROKEN),
        [BROKEN],
        ALLOWED,
    ),
    (
        "one that is created in another namespace",
        review("CREATE", pool_object("new", "x"), namespace="shop"),
        [],
        denied("resource must be created in metallb-system namespace"),
    ),
    (
        "one that is in another namespace",
        review("UPDATE", pool_object("new", "x"), OLD, namespace="shop"),
        [],
        warned(
            "resource must be created in metallb-system namespace: in shop it counts for nothing"
        ),
    ),
    (
        "a pool whose going leaves a name that leads nowhere",
        review("DELETE", OLD),
        [OLD, advertisement_object("front", ip_address_pools=["old"])],
        ALLOWED,
    ),
    (
        "a profile that peers name",
        review("DELETE", profile_object("fast")),
        [profile_object("fast"), *PEERS],
        denied("failed to delete BFDProfile fast, used by BGPPeer a"),
    ),
    (
        "all profiles, one of which peers name",
        review("DELETE", profile_object("fast"), name=""),
        PEERS,
        denied("failed to delete BFDProfile fast, used by BGPPeer a"),
    ),
    ("a profile that none names", review("DELETE", profile_object("slow")), PEERS, ALLOWED),
    (
        "a profile in another namespace",
        review("DELETE", profile_object("fast"), namespace="shop"),
        PEERS,
        ALLOWED,
    ),
    (
        "a status",
        review("UPDATE", BROKEN, OLD, sub_resource="status"),
        [],
        ALLOWED,
    ),
    (
        "another kind",
        review("CREATE", BROKEN, resource=Resource("apps", "v1", "deployments")),
        [],
        ALLOWED,
    ),
    ("another verb", review("CONNECT", BROKEN), [], ALLOWED),
]


@pytest.mark.parametrize(
    ("asked", "existing", "verdict"), [row[1:] for row in CHANGED], ids=[row[0] for row in CHANGED]
)
async def test_what_is_changed_or_deleted(
    asked: Request, existing: list[resources.Object], verdict: Verdict
) -> None:
    assert await decide(asked, *existing) == verdict


async def test_peers_of_different_nodes_are_told_apart_by_the_worlds_nodes() -> None:
    nodes = [node_object("n1", labels={"rack": "1"}), node_object("n2", labels={"rack": "2"})]
    first = peer_object("first", node_selectors=[selector_object(rack="1")])
    second = peer_object("second", node_selectors=[selector_object(rack="2")])
    assert await decide(review("CREATE", second), first, nodes=nodes) == ALLOWED
    assert (await decide(review("CREATE", second), first)).denial


async def test_an_older_version_of_a_peer_is_judged_alike() -> None:
    asked = review(
        "CREATE", peer_object("two"), resource=Resource("metallb.io", "v1beta1", "bgppeers")
    )
    assert (await decide(asked, peer_object("one"))).denial


async def test_fields_of_other_types_are_a_no_with_their_path() -> None:
    body = {"metadata": {"name": "new"}, "spec": {"addresses": "10.0.0.0/8"}}
    asked = review("CREATE", OLD, object=raw(body))
    assert await decide(asked) == denied(
        "IPAddressPool/new spec.addresses: cannot be read: expected array | null, got str"
    )


# --- never in the way -----------------------------------------------------------------------------


async def unchecked(asked: Request, api: SmallApi, loaded: bool = True) -> str:
    """The only warning, of something that is allowed."""
    verdict = await Admission(api, World("", False), NAMESPACE, lambda: loaded).decide(asked)
    assert not verdict.denial
    (warning,) = verdict.warnings
    return warning


BAD = review("CREATE", pool_object("new", "nonsense"))


async def test_before_the_cluster_is_read_nothing_is_denied() -> None:
    sentence = "Bellmetal has not checked this: it has not read the cluster yet"
    assert await unchecked(BAD, server(), loaded=False) == sentence


async def test_without_the_api_nothing_is_denied() -> None:
    api = server()
    api.down = True
    assert await unchecked(BAD, api) == (
        "Bellmetal has not checked this: the API server did not answer: Connection refused"
    )


@pytest.mark.looptime
async def test_a_slow_api_is_not_waited_for() -> None:
    api = server()
    api.slow = 5.0
    sentence = "Bellmetal has not checked this: it could not read the configuration within 2 s"
    assert await unchecked(BAD, api) == sentence


async def test_kinds_that_the_cluster_lacks_are_empty() -> None:
    api = server()
    api.refuse["/apis/metallb.io/v1beta1/namespaces/metallb-system/communities"] = ApiError(
        404, "NotFound", "the server could not find the requested resource"
    )
    world = World("", False)
    asked = review("CREATE", OLD)
    assert await Admission(api, world, NAMESPACE, lambda: True).decide(asked) == ALLOWED


async def test_an_error_of_our_own_denies_nothing_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(admission, "validate", fail)
    sentence = "Bellmetal has not checked this: an error of its own, see its log"
    assert await unchecked(BAD, server()) == sentence
    (record,) = caplog.records
    assert record.getMessage() == "cannot judge CREATE ipaddresspools metallb-system/new"
    assert record.exc_info


@pytest.mark.parametrize("text", [b"null", b"7", b'{"metadata": 7}', b'{"metadata": {"name": []}}'])
async def test_what_is_no_object_is_allowed_with_a_warning(text: bytes) -> None:
    warning = await unchecked(review("CREATE", OLD, object=msgspec.Raw(text)), server())
    assert warning.startswith(
        "Bellmetal has not checked this: an object of ipaddresspools: Expected `"
    )


async def test_a_denial_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await decide(BAD)
    assert [record.getMessage() for record in caplog.records] == [
        "denied CREATE ipaddresspools metallb-system/new: IPAddressPool/new spec.addresses[0]:"
        ' "nonsense" is neither a CIDR nor a range'
    ]


# --- answers --------------------------------------------------------------------------------------


def test_a_denial_is_one_sentence_a_line() -> None:
    answer = msgspec.json.encode(Verdict(("one", "two"), ("three",)).answer("id"))
    assert msgspec.json.decode(answer) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": "id",
            "allowed": False,
            "status": {"code": 403, "reason": "Forbidden", "message": "one\ntwo"},
            "warnings": ["three"],
        },
    }


def test_an_answer_is_bounded_and_harmless() -> None:
    many = tuple(f"{number}\n\x1b[2J{'x' * 600}" for number in range(50))
    answer = Verdict(many, many).answer("id").response
    assert answer.status
    lines = answer.status.message.split("\n")
    assert (len(lines), lines[-1], {len(line) for line in lines[:-1]}) == (
        20,
        "… and 31 more",
        {500},
    )
    assert lines[0].startswith("0??[2Jx")
    assert len(answer.warnings) == 15
    assert max(len(text.encode()) for text in answer.warnings) <= 256
    assert sum(len(text.encode()) for text in answer.warnings) < 4096
