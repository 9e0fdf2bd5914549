"""How intents look in slices, and what slices with rubbish in them say."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest

from bellmetal.addresses import parse_address
from bellmetal.config import BFDProfile, Community
from bellmetal.intents import (
    Announcement,
    Attributes,
    Gateway,
    NodeSet,
    PeerPlan,
    Route,
    ServiceId,
)
from bellmetal.resources import (
    AnnouncementSlice,
    Json,
    ServiceRef,
    SliceAnnouncement,
    SliceBFD,
    SliceNode,
    SliceNodeSet,
    SlicePeer,
    SliceRoute,
)
from bellmetal.slices import (
    SliceContents,
    announcement_to_slice,
    node_set_to_slice,
    peer_to_slice,
    read_slices,
    route_to_slice,
)
from builders import addresses, announcement, node_set, slice_item, slice_object

FULL = announcement(
    term=3,
    successors=("n2", "n3"),
    interfaces=frozenset(["eth1", "eth0"]),
    services=(ServiceId("shop", "web", "u1"), ServiceId("shop", "api", "u2")),
)


def test_an_announcement_in_a_slice() -> None:
    assert announcement_to_slice(FULL) == SliceAnnouncement(
        "192.0.2.10",
        3,
        "n1",
        "selected-all",
        ["n2", "n3"],
        ["eth0", "eth1"],
        [ServiceRef("shop", "web", "u1"), ServiceRef("shop", "api", "u2")],
    )


def test_a_node_set_in_a_slice_is_sorted_by_name() -> None:
    assert node_set_to_slice(NodeSet("all", {"n2": "10.0.0.2", "n1": "10.0.0.1"})) == SliceNodeSet(
        "all", [SliceNode("n1", "10.0.0.1"), SliceNode("n2", "10.0.0.2")]
    )


def test_what_was_written_is_read() -> None:
    piece = slice_object(
        "layer2-0", announcement_to_slice(FULL), node_sets=[node_set_to_slice(node_set())]
    )
    assert read_slices([piece]) == SliceContents(
        {FULL.address: FULL}, {"selected-all": node_set()}, ()
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_an_address_stands_in_two_slices_the_higher_term_holds(
    order: tuple[int, ...],
) -> None:
    pieces = [
        slice_object("layer2-0", slice_item(term=4, owner="n1")),
        slice_object("layer2-1", slice_item(term=5, owner="n2")),
    ]
    contents = read_slices([pieces[i] for i in order])
    assert [item.owner for item in contents.announcements.values()] == ["n2"]
    assert contents.faults == ()


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        pytest.param(slice_item("web"), '"web" is not an IP address', id="no address"),
        pytest.param(slice_item(""), '"" is not an IP address', id="an empty address"),
        pytest.param(slice_item(term=0), "term 0 is not positive", id="no term"),
        pytest.param(slice_item(term=-2), "term -2 is not positive", id="a negative term"),
        pytest.param(slice_item(node_set=""), "nodeSet is missing", id="no node set"),
    ],
)
def test_a_bad_item_is_a_fault_and_hides_no_other(item: SliceAnnouncement, sentence: str) -> None:
    good = slice_item("192.0.2.11")
    contents = read_slices([slice_object("layer2-7", item, good)])
    assert contents.faults == (f"AnnouncementSlice/layer2-7 spec.announcements[0]: {sentence}",)
    assert tuple(contents.announcements) == addresses("192.0.2.11")


def test_a_slice_of_another_version_is_a_fault_and_hides_no_other() -> None:
    strange = slice_object("strange", slice_item("192.0.2.12"), version=2)
    contents = read_slices([strange, slice_object("layer2-0", slice_item("192.0.2.11"))])
    assert contents.faults == (
        "AnnouncementSlice/strange spec.version: 2 is not understood (this release reads 1)",
    )
    assert tuple(contents.announcements) == addresses("192.0.2.11")


def test_no_slices_say_nothing() -> None:
    assert read_slices([]) == SliceContents()


def test_an_announcement_without_services_or_interfaces_is_fine() -> None:
    piece = slice_object("layer2-0", slice_item())
    assert read_slices([piece]).announcements == {
        parse_address("192.0.2.10"): Announcement(
            parse_address("192.0.2.10"), 1, "n1", "selected-all"
        )
    }


# --- BGP -----------------------------------------------------------------------------------------

ROUTE = Route(
    ipaddress.ip_network("192.0.2.0/24"),
    "bgp-all",
    Attributes(200, (Community((65000, 1)), Community((65000, 1, 2))), 0, 3, *addresses("fd00::1")),
    frozenset(["tor-b", "tor-a"]),
    (ServiceId("shop", "web", "u1"),),
)
PEER = PeerPlan(
    name="tor-a",
    uid="u9",
    node_set="peers-all",
    my_asn=64512,
    peer_asn=4200000000,
    local_asn=64513,
    address=parse_address("fd00::2"),
    source_address=parse_address("fd00::3"),
    port=1179,
    hold_time=0,
    keepalive_time=0,
    connect_time=5,
    router_id=parse_address("192.0.2.1"),
    signed=True,
    ao=True,
    bfd=BFDProfile("fast", 50, 60, 4, 70, True, True, 250),
    graceful_restart=True,
    multi_hop=True,
    vrf="red",
    dual_stack=True,
    passive=True,
    ttl_security=2,
    drain_time=0.0,
    max_prefixes=10,
    add_path=True,
)


def stored(**spec: list[Json]) -> AnnouncementSlice:
    """A slice as the API server has it: through JSON."""
    piece = slice_object("bgp-0")
    piece = msgspec.structs.replace(piece, spec=msgspec.structs.replace(piece.spec, **spec))
    return msgspec.json.decode(msgspec.json.encode(piece), type=AnnouncementSlice)


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(ROUTE, id="all of it"),
        pytest.param(Route(ipaddress.ip_network("2001:db8::/64"), "bgp-all"), id="the least"),
    ],
)
def test_a_route_that_was_written_is_read(route: Route) -> None:
    contents = read_slices([stored(routes=[route_to_slice(route)])])
    assert (contents.routes, contents.faults) == ((route,), ())


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(PEER, id="all of it"),
        pytest.param(
            PeerPlan("r", "s", 1, dynamic_asn="internal", interface="eth0"), id="unnumbered"
        ),
        pytest.param(PeerPlan("r", "s", 1, 2, gateway=Gateway.IPV6), id="the default gateway"),
    ],
)
def test_a_peer_that_was_written_is_read(peer: PeerPlan) -> None:
    contents = read_slices([stored(peers=[peer_to_slice(peer)])])
    assert (contents.peers, contents.faults) == ((peer,), ())


def test_the_nodes_of_a_set_that_drain_are_read() -> None:
    drained = NodeSet("bgp-all", {"n1": "10.0.0.1", "n2": ""}, (), frozenset(["n2"]))
    piece = stored(node_sets=[node_set_to_slice(drained)])
    assert read_slices([piece]).node_sets == {"bgp-all": drained}


def test_routes_and_peers_of_all_slices_are_read_together() -> None:
    other = Route(ipaddress.ip_network("198.51.100.1/32"), "bgp-all")
    pieces = [
        slice_object("bgp-0", routes=[route_to_slice(ROUTE)]),
        slice_object("bgp-1", routes=[route_to_slice(other)]),
        slice_object("peers-0", peers=[peer_to_slice(PEER)]),
    ]
    assert read_slices(pieces) == SliceContents(routes=(ROUTE, other), peers=(PEER,))


def route_item(**fields: Any) -> SliceRoute:
    return SliceRoute(**({"prefix": "192.0.2.1/32", "node_set": "bgp-all"} | fields))


def peer_item(**fields: Any) -> SlicePeer:
    plain: dict[str, Any] = {
        "name": "r",
        "node_set": "s",
        "my_asn": 1,
        "peer_asn": 2,
        "address": "10.0.0.1",
    }
    return SlicePeer(**(plain | fields))


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (route_item(prefix="web"), '"web" is not a prefix'),
        (route_item(prefix="192.0.2.1/24"), '"192.0.2.1/24" is not a prefix'),
        (route_item(node_set=""), "nodeSet is missing"),
        (route_item(local_pref=-1), "localPref -1 is not from 0 to 4294967295"),
        (route_item(med=2**32), "med 4294967296 is not from 0 to 4294967295"),
        (route_item(prepend=11), "prepend 11 is not from 0 to 10"),
        (route_item(next_hop="gw"), '"gw" is not an IP address'),
        (route_item(communities=["65536:1"]), '"65536:1" is not a community'),
        (route_item(communities=["large:1:2"]), '"large:1:2" is not a community'),
        (route_item(communities=["large:1:2:4294967296"]), '"large:1:2:4294967296" is not a'),
    ],
)
def test_a_bad_route_is_a_fault_and_hides_no_other(item: SliceRoute, sentence: str) -> None:
    contents = read_slices([slice_object("bgp-3", routes=[item, route_to_slice(ROUTE)])])
    [fault] = contents.faults
    assert fault.startswith(f"AnnouncementSlice/bgp-3 spec.routes[0]: {sentence}")
    assert contents.routes == (ROUTE,)


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (peer_item(name=""), "name is missing"),
        (peer_item(node_set=""), "nodeSet is missing"),
        (peer_item(address=""), "not exactly one of address, interface and gateway is given"),
        (peer_item(interface="eth0"), "not exactly one of address, interface and gateway is given"),
        (peer_item(address="router"), '"router" is not an IP address'),
        (peer_item(address="", gateway="mine"), 'gateway "mine" is not understood'),
        (peer_item(my_asn=0), "myASN 0 is not from 1 to 4294967295"),
        (peer_item(peer_asn=0), "not exactly one of peerASN and dynamicASN is given"),
        (peer_item(dynamic_asn="internal"), "not exactly one of peerASN and dynamicASN is given"),
        (peer_item(peer_asn=0, dynamic_asn="any"), 'dynamicASN "any" is neither internal nor'),
        (peer_item(port=65536), "port 65536 is not from 1 to 65535"),
        (peer_item(hold_time=2), "holdTime 2 is neither 0 nor at least 3"),
        (peer_item(connect_time=0), "connectTime 0 is not from 1 to 65535"),
        (peer_item(ttl_security=255), "ttlSecurity 255 is not from 0 to 254"),
        (peer_item(drain_time=601), "drainTime 601 is not from 0 to 600"),
        (peer_item(bfd=SliceBFD(detect_multiplier=1)), "bfd detect multiplier 1 is not from 2 to"),
        (peer_item(bfd=SliceBFD(echo_interval=1)), "bfd echo interval 1 is not from 10 to 60000"),
    ],
)
def test_a_bad_peer_is_a_fault_and_hides_no_other(item: SlicePeer, sentence: str) -> None:
    contents = read_slices([slice_object("peers-0", peers=[item, peer_to_slice(PEER)])])
    [fault] = contents.faults
    assert fault.startswith(f"AnnouncementSlice/peers-0 spec.peers[0]: {sentence}")
    assert contents.peers == (PEER,)


def test_fields_that_are_not_known_are_ignored() -> None:
    text = """{"metadata": {"name": "bgp-0"}, "spec": {"version": 1, "of": "tomorrow", "routes":
      [{"prefix": "192.0.2.0/24", "nodeSet": "s", "colour": "red"}]}}"""
    contents = read_slices([msgspec.json.decode(text, type=AnnouncementSlice)])
    assert contents == SliceContents(routes=(Route(ipaddress.ip_network("192.0.2.0/24"), "s"),))
