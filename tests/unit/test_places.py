"""Where on a node an address can be answered."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal.facts import Interface
from bellmetal.intents import Announcement
from bellmetal_layer2.places import ANYWHERE, Places

LAN = Interface("eth0", 2, bytes(6), up=True, subnets=("192.0.2.1/24", "fe80::1/64"))
STORAGE = Interface("eth1", 3, bytes(6), up=True, subnets=("198.51.100.1/24",))
BARE = Interface("eth2", 4, bytes(6), up=True)

HERE, THERE = ("192.0.2.0/24",), ("198.51.100.0/24",)

ROWS = [
    pytest.param("192.0.2.10", (), (), ANYWHERE, id="any interface will do"),
    pytest.param("192.0.2.10", ("eth0",), (), {"eth0"}, id="the one that is named"),
    pytest.param("192.0.2.10", ("eth0", "eth9"), (), {"eth0"}, id="of those named, the one here"),
    pytest.param("192.0.2.10", ("eth9",), (), None, id="none of those named is here"),
    pytest.param("192.0.2.10", (), HERE, {"eth0"}, id="the one in the network"),
    pytest.param("192.0.2.10", (), HERE + THERE, {"eth0", "eth1"}, id="those in the networks"),
    pytest.param("192.0.2.10", (), ("203.0.113.0/24",), None, id="none is in the network"),
    pytest.param("192.0.2.10", ("eth1",), HERE, None, id="named, and not in the network"),
    pytest.param("2001:db8::10", (), (), {"eth0"}, id="IPv6 needs a link-local address"),
    pytest.param("2001:db8::10", ("eth1",), (), None, id="IPv6 is off on the one named"),
]


@pytest.mark.parametrize(("address", "chosen", "networks", "place"), ROWS)
def test_where_an_address_is_answered(
    address: str, chosen: tuple[str, ...], networks: tuple[str, ...], place: set[str] | None
) -> None:
    item = Announcement(ipaddress.ip_address(address), 1, "n1", "all", (), frozenset(chosen))
    found = Places([LAN, STORAGE, BARE]).of(item, tuple(map(ipaddress.ip_network, networks)))
    assert found == place


def test_all_interfaces_is_anywhere_however_it_came_about() -> None:
    item = Announcement(ipaddress.ip_address("192.0.2.10"), 1, "n1", "all")
    assert Places([LAN]).of(item, (ipaddress.ip_network("192.0.2.0/24"),)) == ANYWHERE


def test_without_an_interface_nothing_can_be_answered() -> None:
    item = Announcement(ipaddress.ip_address("192.0.2.10"), 1, "n1", "all")
    assert Places([]).of(item, ()) is None
