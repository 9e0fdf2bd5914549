"""BGPAdvertisements and Communities: each by itself, and with pools, peers and each other."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import parse_range
from bellmetal.config import BGPAdvertisement, Community
from bellmetal.validation.agreement import shortest_prefix
from builders import labelled, pool_object, selector_object
from configuration import (
    bgp_object,
    check,
    community_object,
    node_named,
    peer_object,
    profile_object,
    sentences,
    younger,
)

FORMS = "neither <uint16>:<uint16> nor large:<uint32>:<uint32>:<uint32>"
N1, N2 = node_named("n1", rack="a"), node_named("n2", rack="b")
ON_A, ON_B = [selector_object(rack="a")], [selector_object(rack="b")]


def test_an_advertisement_becomes_a_noun() -> None:
    found = check(
        pool_object(),
        peer_object(),
        community_object(no_export="65535:65281", tiny="large:1:2:3"),
        bgp_object(
            aggregation_length=26,
            aggregation_length_v6=64,
            local_pref=200,
            communities=["tiny", "no-export", "64500:7"],
            ip_address_pools=["main"],
            ip_address_pool_selectors=ON_A,
            node_selectors=ON_B,
            peers=["tor"],
        ),
    )
    assert found.problems == ()
    no_export, tiny = Community((65535, 65281)), Community((1, 2, 3))
    assert found.config.communities == {"no-export": no_export, "tiny": tiny}
    assert found.config.bgp_advertisements == (
        BGPAdvertisement(
            "all",
            pools=frozenset(["main"]),
            pool_selectors=(labelled(rack="a"),),
            node_selectors=(labelled(rack="b"),),
            peers=frozenset(["tor"]),
            aggregation_length=26,
            aggregation_length_v6=64,
            local_pref=200,
            communities=(tiny, Community((64500, 7)), no_export),
        ),
    )


def test_what_is_left_out_is_everything_to_everybody() -> None:
    assert check(bgp_object()).config.bgp_advertisements == (BGPAdvertisement("all"),)


def test_communities_are_written_so_that_they_can_be_read() -> None:
    assert [str(Community(parts)) for parts in ((1, 2), (1, 2, 3))] == ["1:2", "large:1:2:3"]


ROWS: list[tuple[dict[str, Any], str]] = [
    (
        {"aggregation_length": 33},
        "aggregationLength: invalid aggregation length 33 for IPv4: must be 1 to 32",
    ),
    (
        {"aggregation_length_v6": 0},
        "aggregationLengthV6: invalid aggregation length 0 for IPv6: must be 1 to 128",
    ),
    ({"local_pref": 2**32}, "localPref: 4294967296 is not between 0 and 4294967295"),
    (
        {"service_selectors": ON_A, "aggregation_length": 24},
        "serviceSelectors: serviceSelectors and aggregationLength are mutually exclusive, can only"
        " be used together with default aggregationLength (32) and aggregationLengthV6 (128)",
    ),
    (
        {"service_selectors": ON_A, "aggregation_length_v6": 64},
        "serviceSelectors: serviceSelectors and aggregationLength are mutually exclusive, can only"
        " be used together with default aggregationLength (32) and aggregationLengthV6 (128)",
    ),
    ({"communities": ["1:2", "1:2"]}, 'communities[1]: duplicate definition of community "1:2"'),
    ({"communities": [""]}, "communities[0]: invalid community format: it is empty"),
    (
        {"communities": ["1:2:3"]},
        f"communities[0]: invalid community format: 1:2:3: {FORMS}",
    ),
    (
        {"communities": ["65536:1"]},
        'communities[0]: invalid community value: invalid section "65536" of community "65536:1",'
        " err: not a number from 0 to 65535",
    ),
    (
        {"communities": ["big:1:2:3"]},
        "communities[0]: invalid community value: invalid marker for large community, expected"
        ' community to be of format large:<uint32>:<uint32>:<uint32> but got "big" instead',
    ),
    (
        {"communities": ["large:1:-2:3"]},
        'communities[0]: invalid community value: invalid section "-2" of community'
        ' "large:1:-2:3", err: not a number from 0 to 4294967295',
    ),
    (
        {"communities": ["no-exprot"]},
        'communities[0]: there is no Community alias "no-exprot"; did you mean "no-export"?',
    ),
    (
        {"communities": [f"1:{number}" for number in range(64)]},
        "communities: max supported communities is 63, got 64",
    ),
    (
        {"ip_address_pools": ["main", "main"]},
        'ipAddressPools[1]: duplicate definition of ipAddressPools "main"',
    ),
    ({"peers": ["tor", "tor"]}, 'peers[1]: duplicate definition of peers "tor"'),
    (
        {"ip_address_pool_selectors": ON_A * 2},
        'ipAddressPoolSelectors[1]: duplicate definition of ipAddressPoolSelectors "rack=a"',
    ),
    (
        {"node_selectors": ON_A * 2},
        'nodeSelectors[1]: duplicate definition of nodeSelectors "rack=a"',
    ),
    (
        {"service_selectors": ON_A * 2},
        'serviceSelectors[1]: duplicate definition of serviceSelectors "rack=a"',
    ),
]


@pytest.mark.parametrize(("spec", "problem"), ROWS)
def test_problems_of_an_advertisement(spec: dict[str, Any], problem: str) -> None:
    around = [pool_object(), peer_object(), community_object(no_export="65535:65281")]
    validated = check(*around, bgp_object(**spec))
    assert [str(item) for item in validated.problems] == [f"BGPAdvertisement/all spec.{problem}"]
    assert validated.config.bgp_advertisements == ()


def test_pools_and_peers_that_are_not_there_leave_the_rest_in_force() -> None:
    validated = check(bgp_object(ip_address_pools=["lan"], peers=["tor", "tro"]), peer_object())
    assert [str(item) for item in validated.problems] == [
        'BGPAdvertisement/all spec.ipAddressPools[0]: there is no IPAddressPool "lan";'
        " there is no pool at all",
        'BGPAdvertisement/all spec.peers[1]: there is no BGPPeer "tro"; did you mean "tor"?',
    ]
    [found] = validated.config.bgp_advertisements
    assert found.peers == {"tor", "tro"}


# --- Communities ---------------------------------------------------------------------------------


def test_each_alias_stands_for_itself() -> None:
    validated = check(
        community_object("older", good="1:1", bad="x"),
        community_object("younger", meta=younger(2), good="2:2", better="3:3"),
        bgp_object("uses-bad", communities=["bad"]),
        bgp_object("uses-good", communities=["good"]),
    )
    assert [str(item) for item in validated.problems] == [
        f"Community/older spec.communities[1].value: invalid community format: x: {FORMS}",
        'Community/younger spec.communities[0].name: duplicate definition of community "good"',
        'BGPAdvertisement/uses-bad spec.communities[0]: the Community alias "bad" is invalid',
    ]
    assert {name: str(item) for name, item in validated.config.communities.items()} == {
        "good": "1:1",
        "better": "3:3",
    }
    assert [item.name for item in validated.config.bgp_advertisements] == ["uses-good"]


def test_an_alias_needs_a_name() -> None:
    assert sentences(community_object(**{"": "1:1"})) == [
        "Community/ours spec.communities[0].name: is empty: give it a name"
    ]


# --- with pools ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("192.0.2.0/24", 24),
        ("192.0.2.7/32", 32),
        ("192.0.2.1-192.0.2.2", 32),
        ("192.0.2.1-192.0.2.254", 26),
        ("192.0.2.8-192.0.2.31", 28),
        ("0.0.0.0/0", 0),
        ("2001:db8::/64", 64),
    ],
)
def test_the_largest_cidr_of_an_entry(text: str, length: int) -> None:
    assert shortest_prefix(parse_range(text)) == length


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        pytest.param(["192.0.2.0/24"], None, id="the pool is larger"),
        pytest.param(["192.0.2.0/26"], None, id="as large"),
        pytest.param(
            ["192.0.2.0/24", "198.51.100.0/28"],
            "invalid aggregation length 26: prefix 28 in IPAddressPool/main is more specific than"
            " the aggregation length for addresses 198.51.100.0-198.51.100.15",
            id="one entry is smaller",
        ),
        pytest.param(["2001:db8::1/128"], None, id="IPv6 has a length of its own"),
    ],
)
def test_an_aggregate_is_no_larger_than_the_pool(entries: list[str], problem: str | None) -> None:
    validated = check(pool_object("main", *entries), bgp_object(aggregation_length=26))
    expected = [f"BGPAdvertisement/all spec.aggregationLength: {problem}"] if problem else []
    assert [str(item) for item in validated.problems] == expected
    assert len(validated.config.bgp_advertisements) == 1 - len(expected)


def test_pools_that_are_not_advertised_may_be_smaller() -> None:
    named = bgp_object(aggregation_length=24, ip_address_pools=["main"])
    assert sentences(pool_object(), pool_object("tiny", "198.51.100.1/32"), named) == []


# --- with each other -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "pools", "agree"),
    [
        pytest.param({}, {"local_pref": 100}, ["192.0.2.0/24"], False, id="none and one"),
        pytest.param({}, {}, ["192.0.2.0/24"], True, id="the same"),
        pytest.param(
            {"aggregation_length": 24}, {"local_pref": 100}, ["192.0.2.0/24"], True, id="lengths"
        ),
        pytest.param(
            {"aggregation_length": 24},
            {"local_pref": 100},
            ["192.0.2.0/24", "2001:db8::/64"],
            False,
            id="lengths of one family of two",
        ),
        pytest.param(
            {"peers": ["a"]},
            {"peers": ["b"], "local_pref": 100},
            ["192.0.2.0/24"],
            True,
            id="peers",
        ),
        pytest.param(
            {"peers": ["a"]}, {"local_pref": 100}, ["192.0.2.0/24"], False, id="one of all peers"
        ),
        pytest.param(
            {"node_selectors": ON_A},
            {"node_selectors": ON_B, "local_pref": 100},
            ["192.0.2.0/24"],
            True,
            id="nodes",
        ),
        pytest.param(
            {"service_selectors": ON_A}, {"local_pref": 100}, ["192.0.2.0/24"], True, id="Services"
        ),
        pytest.param(
            {"ip_address_pools": ["main"]},
            {"ip_address_pool_selectors": ON_A, "local_pref": 100},
            ["192.0.2.0/24"],
            True,
            id="pools",
        ),
    ],
)
def test_local_preferences(
    one: dict[str, Any], other: dict[str, Any], pools: list[str], agree: bool
) -> None:
    peers = [peer_object("a"), peer_object("b", peer_address="10.0.0.253")]
    objects = [bgp_object("one", **one), bgp_object("two", meta=younger(2), **other)]
    validated = check(pool_object("main", *pools), *peers, *objects, N1, N2)
    sentence = (
        "BGPAdvertisement/two spec.localPref: invalid local preference 100: local preference 0 was"
        " already set for the same type of BGP update by BGPAdvertisement/one, which is older, for"
        " IPAddressPool/main"
    )
    assert [str(item) for item in validated.problems] == ([] if agree else [sentence])
    assert len(validated.config.bgp_advertisements) == (2 if agree else 1)


# --- with BFD's echo -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "peers", "bad"),
    [
        pytest.param("2001:db8::/64", [], True, id="all peers"),
        pytest.param("2001:db8::/64", ["echo"], True, id="that peer"),
        pytest.param("2001:db8::/64", ["plain"], False, id="another peer"),
        pytest.param("192.0.2.0/24", [], False, id="IPv4"),
    ],
)
def test_echo_does_not_go_with_ipv6(entry: str, peers: list[str], bad: bool) -> None:
    found = sentences(
        profile_object("loud", echo_mode=True),
        peer_object("echo", bfd_profile="loud"),
        peer_object("plain", peer_address="10.0.0.253"),
        pool_object("six", entry),
        bgp_object(peers=peers),
    )
    sentence = (
        "BGPAdvertisement/all spec.peers: pool six has bgpadvertisement all which references peer"
        " echo which has bfd echo enabled, which is not possible with IPv6"
    )
    assert found == ([sentence] if bad else [])
