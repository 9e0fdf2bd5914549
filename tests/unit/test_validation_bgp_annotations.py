"""What annotations ask of BGPAdvertisements and BGPPeers, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.config import BGPAdvertisement, Community, Gateway, Labelled, Peer, Remote
from bellmetal.resources import SecretReference
from builders import addresses, selector_object
from configuration import bgp_object, check, node_named, peer_object, sentences

HERE = "metadata.annotations[bellmetal.io/"


def asked(**annotations: str) -> dict[str, Any]:
    """Metadata with annotations (`_` for `-`)."""
    found = {f"bellmetal.io/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return {"annotations": found}


def advertised(**annotations: str) -> BGPAdvertisement:
    validated = check(bgp_object(meta=asked(**annotations)))
    assert validated.problems == ()
    [found] = validated.config.bgp_advertisements
    return found


def only_peer(*nodes: Labelled, spec: dict[str, Any] | None = None, **annotations: str) -> Peer:
    validated = check(peer_object(meta=asked(**annotations), **(spec or {})), *nodes)
    assert validated.problems == ()
    [found] = validated.config.peers
    return found


# --- BGPAdvertisement ----------------------------------------------------------------------------


def test_what_an_advertisement_may_be_asked() -> None:
    found = advertised(
        med="0",
        as_path_prepend="10",
        next_hop="192.0.2.1, 2001:db8::1",
        communities="no-export, 65000:7,large:1:2:3",
    )
    assert (found.med, found.prepend) == (0, 10)
    assert found.next_hops == addresses("192.0.2.1", "2001:db8::1")
    communities = (Community((1, 2, 3)), Community((65000, 7)), Community((65535, 65281)))
    assert found.communities == communities


def test_what_an_advertisement_says_if_nothing_is_asked() -> None:
    found = advertised()
    assert (found.med, found.prepend, found.next_hops, found.communities) == (None, 0, (), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no-export", 65281),
        ("no-advertise", 65282),
        ("no-export-subconfed", 65283),
        ("no-peer", 65284),
        ("blackhole", 666),
        ("graceful-shutdown", 0),
    ],
)
def test_well_known_communities(name: str, value: int) -> None:
    assert advertised(communities=name).communities == (Community((65535, value)),)


def test_communities_of_the_spec_and_of_the_annotation_are_one_set() -> None:
    body = bgp_object(meta=asked(communities="65000:1,65000:2"), communities=["65000:2", "65000:3"])
    [found] = check(body).config.bgp_advertisements
    assert found.communities == tuple(Community((65000, number)) for number in (1, 2, 3))


NAMES = "blackhole, graceful-shutdown, no-advertise, no-export, no-export-subconfed"


@pytest.mark.parametrize(
    ("name", "text", "message", "in_force"),
    [
        ("med", "-1", '"-1" is not a number from 0 to 4294967295', True),
        ("med", "4294967296", '"4294967296" is not a number from 0 to 4294967295', True),
        ("as-path-prepend", "0", '"0" is not a number from 1 to 10', True),
        ("as-path-prepend", "11", '"11" is not a number from 1 to 10', True),
        ("next-hop", "", '"" is not an IP address', True),
        ("next-hop", "router", '"router" is not an IP address', True),
        ("next-hop", "0.0.0.0", '"0.0.0.0" cannot be a next hop', True),
        ("next-hop", "10.0.0.1,10.0.0.2", '"10.0.0.2" is a second next hop for IPv4', True),
        (
            "communities",
            "no-exprt",
            '"no-exprt" is no well-known community; did you mean "no-export"?',
            False,
        ),
        (
            "communities",
            "accept-own",
            '"accept-own" is no well-known community; there are '
            + ", ".join(f'"{name}"' for name in NAMES.split(", ")),
            False,
        ),
        (
            "communities",
            "70000:1",
            'invalid community value: invalid section "70000" of community "70000:1", err: not a'
            " number from 0 to 65535",
            False,
        ),
    ],
)
def test_what_is_wrong_with_an_advertisement(
    name: str, text: str, message: str, in_force: bool
) -> None:
    """Routes are worth more than what is optional; a community may hold them back."""
    validated = check(bgp_object(meta={"annotations": {f"bellmetal.io/{name}": text}}))
    assert list(map(str, validated.problems)) == [f"BGPAdvertisement/all {HERE}{name}]: {message}"]
    assert bool(validated.config.bgp_advertisements) == in_force


# --- BGPPeer -------------------------------------------------------------------------------------


def test_what_a_peer_may_be_asked() -> None:
    found = only_peer(
        spec={"password": "sesame", "ebgp_multi_hop": True},
        passive="true",
        ttl_security="3",
        tcp_ao="true",
        drain_time="1m",
        max_prefixes="100",
        add_path="true",
    )
    assert (found.passive, found.ttl_security, found.tcp_ao) == (True, 3, True)
    assert (found.drain_time, found.max_prefixes, found.add_path) == (60.0, 100, True)


def test_what_a_peer_is_if_nothing_is_asked() -> None:
    found = only_peer()
    assert (found.passive, found.ttl_security, found.tcp_ao) == (False, 0, False)
    assert (found.drain_time, found.max_prefixes, found.add_path) == (10.0, 0, False)
    assert (found.gateway, found.remotes) == (None, None)


@pytest.mark.parametrize(
    ("name", "text", "message", "in_force"),
    [
        ("passive", "yes", '"yes" is neither "true" nor "false"', True),
        ("add-path", "1", '"1" is neither "true" nor "false"', True),
        ("drain-time", "soon", '"soon" is not a duration such as 5s, 90s or 2m', True),
        ("drain-time", "11m", '"11m" is not between 0s and 10m', True),
        ("drain-time", "-1s", '"-1s" is not between 0s and 10m', True),
        ("max-prefixes", "0", '"0" is not a number from 1 to 4294967295', True),
        ("ttl-security", "0", '"0" is not a number from 1 to 254', False),
        ("ttl-security", "255", '"255" is not a number from 1 to 254', False),
        ("tcp-ao", "on", '"on" is neither "true" nor "false"', False),
        ("tcp-ao", "true", "TCP-AO needs a password: give one, or a passwordSecret", False),
        (
            "peer-address-from",
            "gateway",
            '"gateway" is none of default-gateway, default-gateway-v6, node-label/KEY,'
            " node-annotation/KEY",
            False,
        ),
        (
            "peer-address-from",
            "node-annotation/example.org/tor",
            '"example.org/tor" does not begin with bellmetal.io/: other annotations of nodes are'
            " not looked at",
            False,
        ),
        (
            "peer-asn-from",
            "default-gateway",
            '"default-gateway" is neither node-label/KEY nor node-annotation/KEY',
            False,
        ),
        (
            "peer-asn-from",
            "node-label/",
            '"node-label/" is neither node-label/KEY nor node-annotation/KEY',
            False,
        ),
    ],
)
def test_what_is_wrong_with_a_peer(name: str, text: str, message: str, in_force: bool) -> None:
    """A session is worth more than what is optional; without a check it would trust too much."""
    placed = {"peer_address": "0.0.0.0"} if name == "peer-address-from" else {}
    if name == "peer-asn-from":
        placed = {"peer_asn": 0, "dynamic_asn": "external"}
    body = peer_object(meta={"annotations": {f"bellmetal.io/{name}": text}}, **placed)
    validated = check(body)
    assert list(map(str, validated.problems)) == [f"BGPPeer/tor {HERE}{name}]: {message}"]
    assert bool(validated.config.peers) == in_force


def test_tcp_ao_with_a_password_of_a_secret() -> None:
    assert only_peer(spec={"password_secret": SecretReference("tor")}, tcp_ao="true").signed


# --- peers that nodes know -----------------------------------------------------------------------

ANYWHERE = {"peer_address": "0.0.0.0"}
ANY_ASN = {"peer_asn": 0, "dynamic_asn": "external"}
RACKS = [node_named("n1", tor="10.0.9.1"), node_named("n2", tor="10.0.9.1")]


@pytest.mark.parametrize("text", ["default-gateway", "default-gateway-v6"])
@pytest.mark.parametrize("placeholder", ["0.0.0.0", "::"])
def test_the_default_gateway_as_a_peer(text: str, placeholder: str) -> None:
    found = only_peer(*RACKS, spec={"peer_address": placeholder}, peer_address_from=text)
    assert (found.gateway, found.peer_address, found.remotes) == (Gateway(text), None, None)


def test_nodes_with_the_same_label_have_one_peer() -> None:
    more = node_named("n3", tor="10.0.9.2")
    found = only_peer(*RACKS, more, spec=ANYWHERE, peer_address_from="node-label/tor")
    first, second = addresses("10.0.9.1", "10.0.9.2")
    assert found.remotes == (
        Remote(frozenset(["n1", "n2"]), 0, first),
        Remote(frozenset(["n3"]), 0, second),
    )


def test_a_peer_that_nodes_know_by_annotations_which_are_then_known_ones() -> None:
    keys = {"bellmetal.io/tor-address": "2001:db8::1", "bellmetal.io/tor-asn": "65010"}
    found = only_peer(
        Labelled("n1", {}, keys),
        spec=ANYWHERE | ANY_ASN,
        peer_address_from="node-annotation/bellmetal.io/tor-address",
        peer_asn_from="node-annotation/bellmetal.io/tor-asn",
    )
    assert found.remotes == (Remote(frozenset(["n1"]), 65010, *addresses("2001:db8::1")),)


def test_an_annotation_of_nodes_that_no_peer_names_is_unknown() -> None:
    [no] = sentences(Labelled("n1", {}, {"bellmetal.io/tor-address": "10.0.9.1"}), peer_object())
    assert no.startswith(f"Node/n1 {HERE}tor-address]: unknown annotation")


def test_nodes_that_the_peer_does_not_select_need_no_label() -> None:
    racks = [node_named("n1", rack="a", tor="10.0.9.1"), node_named("n2", rack="b")]
    spec = ANYWHERE | {"node_selectors": [selector_object(rack="a")]}
    found = only_peer(*racks, spec=spec, peer_address_from="node-label/tor")
    assert found.remotes == (Remote(frozenset(["n1"]), 0, *addresses("10.0.9.1")),)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, 'node n2 has no label "tor"; it has no session'),
        (
            {"tor": "spine"},
            'node n2 has the label "tor" "spine", which is not an IP address; it has no session',
        ),
        (
            {"tor": "224.0.0.1"},
            'node n2 has the label "tor" "224.0.0.1", which is no peer\'s address; it has no'
            " session",
        ),
    ],
)
def test_a_node_that_does_not_know_has_no_session_and_the_others_do(
    labels: dict[str, str], message: str
) -> None:
    body = peer_object(meta=asked(peer_address_from="node-label/tor"), **ANYWHERE)
    validated = check(body, RACKS[0], node_named("n2", **labels))
    path = f"{HERE}peer-address-from]"
    assert list(map(str, validated.problems)) == [f"BGPPeer/tor {path}: {message}"]
    [found] = validated.config.peers
    assert [sorted(item.nodes) for item in found.remotes or ()] == [["n1"]]


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("many", ANY_ASN, "is not an AS number from 1 to 4294967295"),
        ("0", ANY_ASN, "is not an AS number from 1 to 4294967295"),
        ("4294967296", ANY_ASN, "is not an AS number from 1 to 4294967295"),
        ("64500", ANY_ASN, "is not external"),
        ("64501", {"peer_asn": 0, "dynamic_asn": "internal"}, "is not internal"),
    ],
)
def test_an_as_number_that_is_none(text: str, spec: dict[str, Any], message: str) -> None:
    body = peer_object(meta=asked(peer_asn_from="node-label/asn"), **spec)
    [no] = sentences(body, node_named("n1", asn=text))
    assert no == (
        f'BGPPeer/tor {HERE}peer-asn-from]: node n1 has the label "asn" "{text}", which {message};'
        " it has no session"
    )


def test_of_many_nodes_that_do_not_know_some_are_named_and_the_others_counted() -> None:
    body = peer_object(meta=asked(peer_address_from="node-label/tor"), **ANYWHERE)
    found = sentences(body, *(node_named(f"n{number:02}") for number in range(13)))
    assert len(found) == 11
    assert found[-1].endswith("]: 3 more nodes have no session")


@pytest.mark.parametrize(
    ("spec", "annotations", "sentence"),
    [
        (
            {"peer_address": "0.0.0.0"},
            {},
            "spec.peerAddress: 0.0.0.0 stands for the annotation bellmetal.io/peer-address-from,"
            " which is missing",
        ),
        (
            {"peer_address": "::"},
            {},
            "spec.peerAddress: :: stands for the annotation bellmetal.io/peer-address-from, which"
            " is missing",
        ),
        (
            {},
            {"peer_address_from": "default-gateway"},
            "spec.peerAddress: the annotation bellmetal.io/peer-address-from says where the peer"
            " is: give the peerAddress 0.0.0.0 or :: and no interface",
        ),
        (
            {"peer_address": "", "interface": "eth0"},
            {"peer_address_from": "default-gateway"},
            "spec.interface: the annotation bellmetal.io/peer-address-from says where the peer"
            " is: give the peerAddress 0.0.0.0 or :: and no interface",
        ),
        (
            {},
            {"peer_asn_from": "node-label/asn"},
            "spec.peerASN: the annotation bellmetal.io/peer-asn-from says it: give dynamicASN,"
            " internal or external",
        ),
    ],
)
def test_what_is_said_twice_or_not_at_all(
    spec: dict[str, Any], annotations: dict[str, str], sentence: str
) -> None:
    body = peer_object(meta=asked(**annotations), **spec)
    validated = check(body, node_named("n1", asn="65010"))
    assert list(map(str, validated.problems)) == [f"BGPPeer/tor {sentence}"]
    assert validated.config.peers == ()


def test_two_peers_that_lead_a_node_to_the_same_router_are_one_too_many() -> None:
    younger = {"creation_timestamp": "2026-02-01T00:00:00Z"}
    found = sentences(
        peer_object("a", meta=asked(peer_address_from="node-label/tor"), **ANYWHERE),
        peer_object("b", meta=younger, peer_address="10.0.9.1"),
        *RACKS,
    )
    assert found == [
        "BGPPeer/b spec.peerAddress: peer 10.0.9.1 already exists as BGPPeer/a: duplicate BGPPeers"
        " selecting the same node are not supported"
    ]
