"""Which links can announce: rows of what netlink says of a link."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bellmetal.facts import Interface
from bellmetal_layer2.interfaces import matters, usable

UP, BROADCAST, LOOPBACK, NO_ARP, LOWER_UP = 0x1, 0x2, 0x8, 0x80, 0x10000
GOOD = UP | BROADCAST | LOWER_UP
MAC = "02:00:00:00:00:0a"


def link(name: str = "eth0", **attributes: Any) -> dict[str, Any]:
    """An Ethernet link that is up and has carrier."""
    defaults = {"index": 2, "ifname": name, "ifi_type": 1, "flags": GOOD, "address": MAC}
    return defaults | attributes


LINKS = [
    pytest.param(link(), True, id="Ethernet, up, with carrier"),
    pytest.param(link("bond0"), True, id="a bond"),
    pytest.param(link("eth0.100", link=2), True, id="a VLAN"),
    pytest.param(link(flags=BROADCAST | LOWER_UP), False, id="down"),
    pytest.param(link(flags=UP | BROADCAST), False, id="without carrier"),
    pytest.param(link(flags=UP | LOWER_UP), False, id="without broadcast"),
    pytest.param(link(flags=GOOD | NO_ARP), False, id="ARP switched off"),
    pytest.param(link(master=7), False, id="member of a bridge or bond"),
    pytest.param(link("lo", ifi_type=772, flags=UP | LOOPBACK | LOWER_UP), False, id="loopback"),
    pytest.param(link("wg0", ifi_type=65534), False, id="a tunnel without MAC"),
    pytest.param(link("ib0", ifi_type=32, address=":".join(["00"] * 20)), False, id="InfiniBand"),
    pytest.param(link(address=None), False, id="Ethernet without a MAC"),
    pytest.param(link(address="02:00:00:00:00:00:00:0a"), False, id="a MAC of eight bytes"),
    pytest.param(link("docker0"), False, id="excluded by name"),
]


@pytest.mark.parametrize(("attributes", "expected"), LINKS)
def test_which_links_can_announce(attributes: dict[str, Any], expected: bool) -> None:
    exclude = re.compile("(^docker.*)|(^cbr.*)")
    assert bool(usable([attributes], [], [], exclude)) is expected


def test_where_default_routes_lead_is_told() -> None:
    routes = [
        {"dst_len": 0, "gateway": "192.0.2.254", "oif": 2},
        {"dst_len": 24, "gateway": "192.0.2.7", "oif": 2},
        {"dst_len": 0, "oif": 2},
        {"dst_len": 0, "gateway": "198.51.100.1", "oif": 9},
    ]
    [found] = usable([link()], [], routes, None)
    assert found.gateways == ("192.0.2.254",)


@pytest.mark.parametrize(
    ("event", "dst_len", "expected"),
    [
        ("RTM_NEWLINK", None, True),
        ("RTM_NEWADDR", None, True),
        ("RTM_NEWROUTE", 0, True),
        ("RTM_DELROUTE", 0, True),
        ("RTM_NEWROUTE", 32, False),
    ],
)
def test_of_route_events_only_default_routes_matter(
    event: str, dst_len: int | None, expected: bool
) -> None:
    assert matters({"event": event, "dst_len": dst_len}) is expected


def test_an_interface_is_described_with_its_subnets() -> None:
    addresses = [
        {"index": 2, "local": "192.0.2.1", "address": "192.0.2.1", "prefixlen": 24},
        {"index": 2, "address": "2001:db8::1", "prefixlen": 64},
        {"index": 9, "local": "198.51.100.1", "prefixlen": 24},
    ]
    assert usable([link()], addresses, [], None) == (
        Interface(
            "eth0", 2, bytes.fromhex("02000000000a"), True, ("192.0.2.1/24", "2001:db8::1/64")
        ),
    )


def test_of_a_point_to_point_address_the_own_end_counts() -> None:
    address = {"index": 2, "local": "192.0.2.1", "address": "192.0.2.2", "prefixlen": 32}
    (found,) = usable([link()], [address], [], None)
    assert found.subnets == ("192.0.2.1/32",)


def test_they_are_sorted_by_name_so_that_the_same_is_the_same() -> None:
    found = usable([link("eth1", index=3), link("eth0")], [], [], None)
    assert [item.name for item in found] == ["eth0", "eth1"]
