"""Our BGP codecs against scapy's, both ways."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest
from scapy.contrib import bgp
from scapy.packet import Packet

from bellmetal_bgp import update as updates
from bellmetal_bgp.attributes import PathAttributes
from bellmetal_bgp.attributes import encode as encode_path
from bellmetal_bgp.capabilities import Capabilities, GracefulRestart
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST
from bellmetal_bgp.messages import (
    Decoding,
    Keepalive,
    Notification,
    Open,
    RouteRefresh,
    Update,
    decode,
    encode,
)
from bellmetal_bgp.prefixes import encode_prefix

BOTH = Decoding(asn4=True, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))
ROUTER_ID = ipaddress.IPv4Address("192.0.2.1")
HOP6 = ipaddress.IPv6Address("2001:db8::1")


@pytest.fixture(autouse=True)
def four_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bgp.bgp_module_conf, "use_2_bytes_asn", False)


def parsed(raw: bytes) -> Packet:
    return bgp.BGPHeader(raw)


# --- we write, scapy reads -----------------------------------------------------------------------

SAID = Capabilities(
    families=frozenset({IPV4_UNICAST, IPV6_UNICAST}),
    route_refresh=True,
    asn4=4200000000,
    graceful_restart=GracefulRestart(True, False, 120, {IPV4_UNICAST: True}),
)


def test_scapy_reads_our_open() -> None:
    packet = parsed(encode(Open(4200000000, 90, ROUTER_ID, SAID)))
    item = packet[bgp.BGPOpen]
    assert (item.version, item.my_as, item.hold_time, item.bgp_id) == (4, 23456, 90, "192.0.2.1")
    (parameter,) = item.opt_params
    seen = list(one_by_one(bytes(parameter.param_value)))
    assert [one.code for one in seen] == [1, 1, 2, 64, 65]
    assert [(one.afi, one.safi) for one in seen[:2]] == [(1, 1), (2, 1)]
    restart = seen[3]
    assert (int(restart.restart_flags), restart.restart_time) == (8, 120)
    entries = [(one.afi, one.safi, int(one.flags)) for one in restart.entries]
    assert entries == [(1, 1, 0x80)]
    assert seen[4].asn == 4200000000


def one_by_one(data: bytes) -> Iterator[Packet]:
    """Scapy dissects the first capability of a parameter, and leaves the others as they are."""
    while data:
        item = bgp.BGPCapability(data[: 2 + data[1]])
        yield item
        data = data[2 + data[1] :]


def test_scapy_reads_our_routes() -> None:
    path = encode_path(
        PathAttributes(
            (65001, 4200000000), med=5, local_pref=100,
            communities=((65001, 7), (65535, 65281)), large_communities=((4200000000, 1, 2),),
        ),
        asn4=True,
    )  # fmt: skip
    prefixes = ["10.0.0.1/32", "10.1.0.0/16", "0.0.0.0/0", "10.128.0.0/9"]
    nlri = [encode_prefix(ipaddress.ip_network(text)) for text in prefixes]
    (raw,) = updates.announcements(IPV4_UNICAST, path, ROUTER_ID.packed, nlri)
    item = parsed(raw)[bgp.BGPUpdate]
    assert [one.prefix for one in item.nlri] == prefixes
    seen = {one.type_code: one.attribute for one in item.path_attr}
    assert list(seen) == [1, 2, 3, 4, 5, 8, 32]
    assert seen[1].origin == 0
    (segment,) = seen[2].segments
    assert (segment.segment_type, segment.segment_value) == (2, [65001, 4200000000])
    assert seen[3].next_hop == "192.0.2.1"
    assert (seen[4].med, seen[5].local_pref) == (5, 100)


def test_scapy_reads_our_routes_of_ipv6() -> None:
    path = encode_path(PathAttributes((65001,)), asn4=True)
    prefixes = ["2001:db8::1/128", "2001:db8:1::/48", "::/0"]
    nlri = [encode_prefix(ipaddress.ip_network(text)) for text in prefixes]
    (raw,) = updates.announcements(IPV6_UNICAST, path, HOP6.packed, nlri)
    (reach, *_) = parsed(raw)[bgp.BGPUpdate].path_attr
    assert (reach.type_code, reach.attribute.afi, reach.attribute.safi) == (14, 2, 1)
    assert reach.attribute.nh_v6_addr == str(HOP6)
    assert [one.prefix for one in reach.attribute.nlri] == prefixes
    (raw,) = updates.withdrawals(IPV6_UNICAST, nlri)
    (unreach,) = parsed(raw)[bgp.BGPUpdate].path_attr
    gone = unreach.attribute.afi_safi_specific.withdrawn_routes
    assert [one.prefix for one in gone] == prefixes


def test_scapy_reads_our_withdrawals() -> None:
    nlri = [encode_prefix(ipaddress.ip_network(text)) for text in ("10.0.0.1/32", "10.0.0.0/9")]
    (raw,) = updates.withdrawals(IPV4_UNICAST, nlri)
    item = parsed(raw)[bgp.BGPUpdate]
    assert [one.prefix for one in item.withdrawn_routes] == ["10.0.0.1/32", "10.0.0.0/9"]


def test_scapy_reads_the_short_ones() -> None:
    assert parsed(encode(Keepalive())).type == 4
    item = parsed(encode(Notification(6, 2, b"\x04gone")))[bgp.BGPNotification]
    assert (item.error_code, item.error_subcode, item.data) == (6, 2, b"\x04gone")
    refresh = parsed(encode(RouteRefresh(IPV6_UNICAST)))[bgp.BGPRouteRefresh]
    assert (refresh.afi, refresh.subtype, refresh.safi) == (2, 0, 1)


# --- scapy writes, we read -----------------------------------------------------------------------


def test_we_read_scapys_open() -> None:
    raw = bytes(
        bgp.BGPHeader(type=1)
        / bgp.BGPOpen(
            my_as=23456,
            hold_time=180,
            bgp_id="192.0.2.1",
            opt_params=[
                bgp.BGPOptParam(param_type=2, param_value=bgp.BGPCapMultiprotocol(afi=2, safi=1)),
                bgp.BGPOptParam(param_type=2, param_value=bgp.BGPCapGeneric(code=2)),
                bgp.BGPOptParam(param_type=2, param_value=bgp.BGPCapFourBytesASN(asn=4200000000)),
            ],
        )
    )
    capabilities = Capabilities(frozenset({IPV6_UNICAST}), route_refresh=True, asn4=4200000000)
    assert decode(raw) == Open(4200000000, 180, ROUTER_ID, capabilities)


def attribute(flags: int, code: int, value: Packet) -> Packet:
    return bgp.BGPPathAttr(type_flags=flags, type_code=code, attribute=value)


def scapy_path() -> list[Packet]:
    segment = bgp.BGPPAAS4BytesPath.ASPathSegment(
        segment_type=2, segment_length=2, segment_value=[65001, 4200000000]
    )
    return [
        attribute(0x40, 1, bgp.BGPPAOrigin(origin=0)),
        attribute(0x40, 2, bgp.BGPPAAS4BytesPath(segments=[segment])),
        attribute(0x40, 3, bgp.BGPPANextHop(next_hop="192.0.2.1")),
        attribute(0x80, 4, bgp.BGPPAMultiExitDisc(med=5)),
        attribute(0xC0, 8, bgp.BGPPACommunity(community=0xFDE90007)),
    ]


def test_we_read_scapys_routes() -> None:
    raw = bytes(
        bgp.BGPHeader(type=2)
        / bgp.BGPUpdate(
            withdrawn_routes=[bgp.BGPNLRI_IPv4(prefix="10.9.0.0/16")],
            path_attr=scapy_path(),
            nlri=[bgp.BGPNLRI_IPv4(prefix=f"10.0.{n}.0/24") for n in range(20)],
        )
    )
    assert decode(raw, BOTH) == Update({IPV4_UNICAST: 20}, {IPV4_UNICAST: 1}, (1, 2, 3, 4, 8))


def test_we_read_scapys_routes_of_ipv6() -> None:
    reach = bgp.BGPPAMPReachNLRI(
        afi=2, safi=1, nh_addr_len=16, nh_v6_addr=str(HOP6),
        nlri=[bgp.BGPNLRI_IPv6(prefix=f"2001:db8:{n:x}::/48") for n in range(1, 8)],
    )  # fmt: skip
    path = [attribute(0x80, 14, reach), *scapy_path()]
    raw = bytes(bgp.BGPHeader(type=2) / bgp.BGPUpdate(path_attr=path))
    assert decode(raw, BOTH) == Update({IPV6_UNICAST: 7}, {}, (14, 1, 2, 3, 4, 8))


def test_we_read_scapys_short_ones() -> None:
    assert decode(bytes(bgp.BGPKeepAlive())) == Keepalive()
    raw = bytes(
        bgp.BGPHeader(type=3) / bgp.BGPNotification(error_code=6, error_subcode=4, data=b"\0")
    )
    assert decode(raw) == Notification(6, 4, b"\0")
    raw = bytes(bgp.BGPHeader(type=5) / bgp.BGPRouteRefresh(afi=1, subtype=1, safi=1))
    assert decode(raw) == RouteRefresh(IPV4_UNICAST, 1)
