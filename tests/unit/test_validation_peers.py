"""BGPPeers and BFDProfiles: what is wrong with each, and with two on one node."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import parse_address
from bellmetal.config import BFDProfile, Peer
from bellmetal.resources import LabelSelector, SecretReference
from builders import labelled, selector_object
from configuration import check, node_named, peer_object, profile_object, sentences, younger

ON_A, ON_B = [selector_object(rack="a")], [selector_object(rack="b")]
N1, N2 = node_named("n1", rack="a"), node_named("n2", rack="b")


def only_peer(**spec: Any) -> Peer:
    validated = check(peer_object(**spec))
    assert validated.problems == ()
    [found] = validated.config.peers
    return found


def test_a_peer_becomes_a_noun() -> None:
    found = check(
        profile_object(),
        peer_object(
            local_asn=64512,
            source_address="10.0.0.1",
            peer_port=1790,
            hold_time="90s",
            keepalive_time="10s",
            connect_time="5s",
            router_id="10.0.0.1",
            node_selectors=ON_A,
            password_secret=SecretReference("tor-password", "elsewhere"),
            bfd_profile="fast",
            enable_graceful_restart=True,
            ebgp_multi_hop=True,
            vrf="red",
            dual_stack_address_family=True,
        ),
    )
    assert found.problems == ()
    assert found.config.peers == (
        Peer(
            name="tor",
            uid="uid-metallb-system-tor",
            my_asn=64500,
            peer_asn=64501,
            local_asn=64512,
            peer_address=parse_address("10.0.0.254"),
            source_address=parse_address("10.0.0.1"),
            peer_port=1790,
            hold_time=90.0,
            keepalive_time=10.0,
            connect_time=5.0,
            router_id=parse_address("10.0.0.1"),
            node_selectors=(labelled(rack="a"),),
            password_secret="tor-password",
            bfd_profile="fast",
            enable_graceful_restart=True,
            ebgp_multi_hop=True,
            vrf="red",
            dual_stack_address_family=True,
        ),
    )


def test_an_unnumbered_peer_of_whatever_as() -> None:
    found = only_peer(peer_asn=0, dynamic_asn="external", peer_address="", interface="eth0")
    assert (found.peer_address, found.interface, found.dynamic_asn) == (None, "eth0", "external")
    assert (found.peer_port, found.id) == (179, "eth0")


def test_a_password_is_never_shown() -> None:
    body = peer_object(password="hunter2")
    [found] = check(body).config.peers
    assert found.password == "hunter2"
    assert "hunter2" not in f"{body} {body.spec!r} {body.spec.__rich_repr__()} {found}"


@pytest.mark.parametrize(
    ("hold", "keepalive", "expected"),
    [
        pytest.param(None, None, (None, None), id="BGP's own"),
        pytest.param("90s", None, (90.0, 30.0), id="a third of the hold time"),
        pytest.param(None, "10s", (30.0, 10.0), id="three times the keepalive time"),
        pytest.param("0s", None, (0.0, 0.0), id="for ever"),
        pytest.param("3.9s", "1s", (3.0, 1.0), id="whole seconds"),
        pytest.param("1m30s", "1500ms", (90.0, 1.5), id="Go's way to write durations"),
    ],
)
def test_timers(
    hold: str | None, keepalive: str | None, expected: tuple[float | None, float | None]
) -> None:
    found = only_peer(hold_time=hold, keepalive_time=keepalive)
    assert (found.hold_time, found.keepalive_time) == expected


ROWS: list[tuple[dict[str, Any], list[str]]] = [
    ({"my_asn": 0}, ["myASN: missing local ASN: give 1 to 4294967295"]),
    ({"my_asn": 2**32}, ["myASN: 4294967296 is not between 0 and 4294967295"]),
    ({"local_asn": -1}, ["localASN: -1 is not between 0 and 4294967295"]),
    ({"peer_asn": 0}, ["peerASN: missing peer ASN and dynamicASN: give one of them"]),
    (
        {"dynamic_asn": "external"},
        ["dynamicASN: both peer ASN and dynamicASN specified: give one of them"],
    ),
    (
        {"peer_asn": 0, "dynamic_asn": "any"},
        ['dynamicASN: invalid dynamicASN "any": it is neither internal nor external'],
    ),
    (
        {"peer_asn": 64500, "ebgp_multi_hop": True},
        [
            "ebgpMultiHop: invalid ebgp-multihop parameter set for an ibgp peer: peerASN is the"
            " same as myASN"
        ],
    ),
    (
        {"peer_address": ""},
        ["peerAddress: peer has no Address or Interface specified: give one of them"],
    ),
    (
        {"interface": "eth0"},
        ["interface: peer has both Address and Interface specified: give one of them"],
    ),
    (
        {"peer_address": "tor"},
        ['peerAddress: invalid BGPPeer address "tor": it is not an IP address'],
    ),
    (
        {"peer_address": "fe80::1%eth0"},
        ['peerAddress: invalid BGPPeer address "fe80::1%eth0": it is not an IP address'],
    ),
    (
        {"source_address": "here"},
        ['sourceAddress: invalid source IP "here": it is not an IP address'],
    ),
    ({"router_id": "7"}, ['routerID: invalid router ID "7": it is not an IPv4 address']),
    ({"router_id": "::7"}, ['routerID: invalid router ID "::7": it is not an IPv4 address']),
    ({"router_id": "0.0.0.0"}, ['routerID: invalid router ID "0.0.0.0": it is zero']),
    ({"peer_port": 65536}, ["peerPort: 65536 is not between 1 and 65535"]),
    (
        {"hold_time": "2s"},
        ['holdTime: invalid hold time "2s": must be 0 or >=3s, at most 65535s, as in 90s or 1m30s'],
    ),
    (
        {"hold_time": "90"},
        ['holdTime: invalid hold time "90": must be 0 or >=3s, at most 65535s, as in 90s or 1m30s'],
    ),
    (
        {"keepalive_time": "-1s"},
        ['keepaliveTime: invalid keepaliveTime "-1s": must be 0 or more, as in 30s or 1m30s'],
    ),
    (
        {"hold_time": "30s", "keepalive_time": "40s"},
        ['keepaliveTime: invalid keepaliveTime "40s", must be lower than holdTime "30s"'],
    ),
    (
        {"keepalive_time": "999ms"},
        [
            'keepaliveTime: invalid hold time, three times the keepaliveTime "999ms": must be 0'
            " or >=3s, at most 65535s"
        ],
    ),
    (
        {"connect_time": "0s"},
        ['connectTime: connect time should be between 1 seconds to 65535, not "0s"'],
    ),
    (
        {"connect_time": "1500ms"},
        ['connectTime: connect time should contain a whole number of seconds, not "1500ms"'],
    ),
    (
        {"password": "x", "password_secret": SecretReference("y")},
        ["passwordSecret: can not have both password and secret ref set in peer config"],
    ),
    (
        {"node_selectors": [selector_object(rack="a"), selector_object(rack="a")]},
        ['nodeSelectors[1]: duplicate definition of nodeSelectors "rack=a"'],
    ),
    (
        {"my_asn": 0, "peer_address": "", "hold_time": "x"},
        [
            "myASN: missing local ASN: give 1 to 4294967295",
            "peerAddress: peer has no Address or Interface specified: give one of them",
            'holdTime: invalid hold time "x": must be 0 or >=3s, at most 65535s,'
            " as in 90s or 1m30s",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "problems"), ROWS)
def test_problems_of_a_peer(spec: dict[str, Any], problems: list[str]) -> None:
    validated = check(peer_object(**spec))
    assert [str(item) for item in validated.problems] == [
        f"BGPPeer/tor spec.{sentence}" for sentence in problems
    ]
    assert validated.config.peers == ()


@pytest.mark.parametrize(
    ("profile", "problems"),
    [
        pytest.param(
            None,
            [
                'BGPPeer/tor spec.bfdProfile: there is no BFDProfile "fats"; there is no profile'
                " at all; BFD runs with its default times"
            ],
            id="no profile",
        ),
        pytest.param(
            profile_object("fast"),
            [
                'BGPPeer/tor spec.bfdProfile: there is no BFDProfile "fats"; did you mean "fast"?;'
                " BFD runs with its default times"
            ],
            id="a similar name",
        ),
        pytest.param(
            profile_object("fats", minimum_ttl=255),
            [
                "BFDProfile/fats spec.minimumTtl: invalid minimum ttl value: invalid value 255,"
                " must be in 1-254 range",
                "BGPPeer/tor spec.bfdProfile: BFDProfile/fats is invalid; BFD runs with its"
                " default times",
            ],
            id="an invalid one",
        ),
    ],
)
def test_a_peer_whose_profile_is_not_there_has_bfds_default_times(
    profile: Any, problems: list[str]
) -> None:
    validated = check(peer_object(bfd_profile="fats"), *([profile] if profile else []))
    assert [str(item) for item in validated.problems] == problems
    assert [peer.bfd_profile for peer in validated.config.peers] == ["fats"]


# --- two peers on one node -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {},
            "peerAddress: peer 10.0.0.254 already exists as BGPPeer/tor: duplicate BGPPeers"
            " selecting the same node are not supported",
            id="the same address",
        ),
        pytest.param({"vrf": "red"}, None, id="the same address in another VRF"),
        pytest.param(
            {"peer_address": "10.0.0.253", "my_asn": 64512},
            "myASN: peer 10.0.0.253 has myAsn 64512, different from 64500 of BGPPeer/tor: peers"
            " selecting the same node must have the same myAsn within the same VRF",
            id="another myASN",
        ),
        pytest.param(
            {"peer_address": "10.0.0.253", "my_asn": 64512, "vrf": "red"},
            None,
            id="another myASN in another VRF",
        ),
        pytest.param(
            {"peer_address": "10.0.0.253", "router_id": "10.0.0.9"},
            "routerID: peer 10.0.0.253 has RouterID 10.0.0.9, different from unset of BGPPeer/tor:"
            " peers selecting the same node must all have the same RouterID",
            id="another router ID",
        ),
    ],
)
@pytest.mark.parametrize("nodes", [[N1, N2], []])
def test_two_peers_on_one_node(spec: dict[str, Any], problem: str | None, nodes: list[Any]) -> None:
    younger_one = peer_object("a-younger", meta=younger(2), **spec)
    validated = check(younger_one, peer_object(), *nodes)
    expected = [] if problem is None else [f"BGPPeer/a-younger spec.{problem}"]
    assert [str(item) for item in validated.problems] == expected
    assert len(validated.config.peers) == 2 - len(expected)


def test_two_peers_on_no_common_node_may_differ_in_everything() -> None:
    objects = [
        peer_object(node_selectors=ON_A, router_id="10.0.0.1"),
        peer_object("other", node_selectors=ON_B, my_asn=1, router_id="10.0.0.2"),
    ]
    assert sentences(*objects, N1, N2) == []


def test_an_older_peer_that_is_invalid_still_counts() -> None:
    objects = [peer_object(hold_time="x"), peer_object("younger", meta=younger(2)), N1]
    assert [problem.name for problem in check(*objects).problems] == ["tor", "younger"]


def test_a_router_id_that_cannot_be_read_is_not_compared() -> None:
    objects = [peer_object(router_id="x"), peer_object("zwei", peer_address="10.0.0.253")]
    assert [problem.name for problem in check(*objects, N1).problems] == ["tor"]


def test_unnumbered_peers_are_told_apart_by_interface() -> None:
    spec: dict[str, Any] = {"peer_address": "", "interface": "eth0"}
    assert sentences(peer_object(**spec), peer_object("zwei", **spec), N1) == [
        "BGPPeer/zwei spec.interface: peer eth0 already exists as BGPPeer/tor: duplicate BGPPeers"
        " selecting the same node are not supported"
    ]


def test_addresses_are_the_same_however_they_are_written() -> None:
    one = peer_object(peer_address="2001:DB8::1")
    other = peer_object("zwei", peer_address="2001:db8:0::1")
    assert [problem.name for problem in check(one, other, N1).problems] == ["zwei"]


# --- BFD -----------------------------------------------------------------------------------------


def test_a_profile_has_the_values_in_effect() -> None:
    found = check(profile_object("a"), profile_object("b", detect_multiplier=5, passive_mode=True))
    assert found.config.bfd_profiles == (
        BFDProfile("a", 300, 300, 3, 50, False, False, 254),
        BFDProfile("b", detect_multiplier=5, passive_mode=True),
    )


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (
            "receive_interval",
            9,
            "receiveInterval: invalid receive interval value: invalid value 9, must be in"
            " 10-60000 range",
        ),
        (
            "transmit_interval",
            60001,
            "transmitInterval: invalid transmit interval value: invalid value 60001, must be in"
            " 10-60000 range",
        ),
        (
            "echo_interval",
            0,
            "echoInterval: invalid echo interval value: invalid value 0, must be in 10-60000 range",
        ),
        (
            "detect_multiplier",
            1,
            "detectMultiplier: invalid detect multiplier value: invalid value 1, must be in"
            " 2-255 range",
        ),
        (
            "minimum_ttl",
            255,
            "minimumTtl: invalid minimum ttl value: invalid value 255, must be in 1-254 range",
        ),
    ],
)
def test_problems_of_a_profile(field: str, value: int, problem: str) -> None:
    validated = check(profile_object(**{field: value}))
    assert [str(item) for item in validated.problems] == [f"BFDProfile/fast spec.{problem}"]
    assert validated.config.bfd_profiles == ()


def test_a_thousand_peers_on_nodes_of_their_own() -> None:
    nodes = [node_named(f"n{number}", host=f"n{number}") for number in range(1000)]
    peers = [
        peer_object(f"p{number}", node_selectors=[LabelSelector({"host": f"n{number % 1000}"})])
        for number in range(1000)
    ]
    assert check(*nodes, *peers).problems == ()
