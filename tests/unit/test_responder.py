"""Who gets an ARP answer, who gets none and why; and how the LAN is told."""

from __future__ import annotations

import ipaddress
from collections import Counter

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp
from bellmetal_layer2.arp import ArpFrame
from bellmetal_layer2.responder import (
    Arrived,
    Dropped,
    Ignored,
    Responder,
    ResponderEffect,
    Transmit,
)
from bellmetal_layer2.schedule import REPEATS

HOST = bytes.fromhex("020000000001")
ETH0 = Interface("eth0", 2, bytes.fromhex("02000000000a"), True)
ETH1 = Interface("eth1", 3, bytes.fromhex("02000000000b"), True)
HOST_IP, IP = ipaddress.IPv4Address("192.0.2.1"), ipaddress.IPv4Address("192.0.2.10")
ANY: frozenset[str] = frozenset()


def request(
    target: ipaddress.IPv4Address = IP,
    destination: bytes = arp.BROADCAST,
    operation: int = arp.REQUEST,
) -> bytes:
    return ArpFrame(destination, HOST, operation, HOST, HOST_IP, bytes(6), target).encode()


def responder(interfaces: frozenset[str] = ANY) -> Responder:
    """It owns IP, on eth0 and eth1 or those that are named."""
    it = Responder()
    it.interfaces([ETH0, ETH1], 0.0)
    it.own(IP, interfaces, 0.0)
    return it


def where(effects: list[ResponderEffect]) -> Counter[str]:
    """How many gratuitous frames went out of which interface."""
    return Counter(item.interface for item in effects if isinstance(item, Transmit))


ANSWERED = [
    pytest.param("eth0", request(), ETH0, id="broadcast"),
    pytest.param("eth1", request(), ETH1, id="with the MAC of the interface it came in"),
    pytest.param("eth0", request(destination=ETH0.mac), ETH0, id="unicast to us"),
]


@pytest.mark.parametrize(("interface", "frame", "of"), ANSWERED)
def test_a_request_for_an_owned_address_is_answered(
    interface: str, frame: bytes, of: Interface
) -> None:
    (effect,) = responder().receive(Arrived(interface, frame), 1.0)
    answer = ArpFrame(HOST, of.mac, arp.REPLY, of.mac, IP, HOST, HOST_IP).encode()
    assert effect == Transmit(interface, answer, IP)


DROPPED = [
    pytest.param("eth9", request(), Dropped.UNKNOWN_INTERFACE, id="unknown interface"),
    pytest.param("eth0", b"no frame", Dropped.MALFORMED, id="malformed"),
    pytest.param("eth0", request(operation=arp.REPLY), Dropped.NO_REQUEST, id="a reply"),
    pytest.param("eth0", request(destination=ETH1.mac), Dropped.NOT_FOR_US, id="not for us"),
    pytest.param("eth0", request(target=HOST_IP), Dropped.NOT_OWNED, id="not owned"),
    pytest.param(
        "eth0",
        arp.gratuitous(IP, HOST, arp.REQUEST).encode(),
        Dropped.ANNOUNCEMENT,
        id="another's announcement",
    ),
    pytest.param("eth1", request(), Dropped.WRONG_INTERFACE, id="not on this interface"),
]


@pytest.mark.parametrize(("interface", "frame", "reason"), DROPPED)
def test_what_is_not_answered_has_a_reason(interface: str, frame: bytes, reason: Dropped) -> None:
    it = responder(frozenset({"eth0"}))
    assert it.receive(Arrived(interface, frame), 1.0) == [Ignored(reason)]


def test_every_reason_is_in_a_table() -> None:
    """Those of IPv6 alone are in test_responder_ipv6.py."""
    assert {row.values[2] for row in DROPPED} == set(Dropped) - {Dropped.NO_LINK_LOCAL}


def test_an_address_that_is_given_up_is_not_answered() -> None:
    it = responder()
    it.disown(IP, 0.0)
    assert it.receive(Arrived("eth0", request()), 1.0) == [Ignored(Dropped.NOT_OWNED)]


# --- telling the LAN -----------------------------------------------------------------------------


def test_an_owned_address_is_announced_in_both_forms_on_every_interface() -> None:
    it = Responder()
    it.interfaces([ETH0, ETH1], 0.0)
    effects = it.own(IP, ANY, 0.0)
    expected = [
        Transmit(link.name, arp.gratuitous(IP, link.mac, operation).encode(), IP, gratuitous=True)
        for link in (ETH0, ETH1)
        for operation in (arp.REQUEST, arp.REPLY)
    ]
    assert effects == expected


def test_it_is_announced_on_the_chosen_interfaces_only() -> None:
    it = Responder()
    it.interfaces([ETH0, ETH1], 0.0)
    assert where(it.own(IP, frozenset({"eth1"}), 0.0)) == {"eth1": 2}


def test_it_is_announced_again_for_some_seconds() -> None:
    it = responder()
    seen = []
    while (due := it.deadline()) is not None:
        assert it.tick(due - 0.001) == []
        assert where(it.tick(due)) == {"eth0": 2, "eth1": 2}
        seen.append(due)
    assert seen == pytest.approx(REPEATS)


def test_giving_it_up_stops_the_repeats() -> None:
    it = responder()
    it.disown(IP, 0.0)
    assert it.tick(10.0) == []
    assert it.deadline() is None


def test_announcing_anew_replaces_the_schedule() -> None:
    it = responder()
    assert where(it.announce(IP, 0.05)) == {"eth0": 2, "eth1": 2}
    assert it.tick(0.1) == []
    assert where(it.tick(0.151)) == {"eth0": 2, "eth1": 2}


def test_what_is_not_owned_is_not_announced() -> None:
    assert Responder().announce(IP, 0.0) == []


def test_a_new_interface_is_announced_on_and_only_it() -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    it.own(IP, ANY, 0.0)
    it.tick(100.0)
    assert where(it.interfaces([ETH0, ETH1], 100.0)) == {"eth1": 2}
    assert it.deadline() == pytest.approx(100.0 + REPEATS[0])


CHANGES = [
    pytest.param(Interface("eth0", 2, HOST, True), 2, id="a new MAC is announced"),
    pytest.param(Interface("eth0", 9, ETH0.mac, True), 2, id="so is a new interface of that name"),
    pytest.param(
        Interface("eth0", 2, ETH0.mac, True, ("192.0.2.1/24",)), 0, id="an address is not"
    ),
]


@pytest.mark.parametrize(("changed", "frames"), CHANGES)
def test_an_interface_that_changes(changed: Interface, frames: int) -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    it.own(IP, ANY, 0.0)
    assert where(it.interfaces([changed], 0.05))["eth0"] == frames


def test_an_interface_that_is_gone_gets_nothing() -> None:
    it = responder()
    it.interfaces([ETH1], 0.05)
    assert where(it.tick(0.1)) == {"eth1": 2}


def test_an_interface_that_is_allowed_too_is_told_and_no_other_one() -> None:
    it = responder()
    it.own(IP, frozenset({"eth0"}), 1.0)
    assert where(it.restrict(IP, ANY, 20.0)) == {"eth1": 2}


def test_other_interfaces_of_an_owned_address_are_announced_on() -> None:
    it = responder(frozenset({"eth0"}))
    assert it.restrict(IP, frozenset({"eth0"}), 1.0) == []
    assert where(it.restrict(IP, frozenset({"eth1"}), 1.0)) == {"eth1": 2}


# --- at rest -------------------------------------------------------------------------------------


def rest(it: Responder, since: float, seconds: float) -> list[float]:
    """When something was announced on eth0 in that time, once the burst is over."""
    found = []
    while (due := it.deadline()) is not None and due < since + seconds:
        if where(it.tick(due))["eth0"]:
            found.append(due)
    return [moment for moment in found if moment > since]


def test_at_rest_it_is_announced_again_every_so_many_seconds() -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    it.own(IP, ANY, 0.0, refresh=30)
    first, *others = rest(it, 10.0, 100.0)
    assert others == pytest.approx([first + 30.0, first + 60.0])


def test_how_often_may_change_and_end() -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    it.own(IP, ANY, 0.0, refresh=30)
    assert it.restrict(IP, ANY, 10.0, refresh=5) == []
    assert len(rest(it, 10.0, 50.0)) == 10
    assert it.restrict(IP, ANY, 60.0) == []
    assert it.deadline() is None


def test_a_new_interface_is_announced_on_at_rest_too() -> None:
    it = Responder()
    it.own(IP, ANY, 0.0, refresh=30)
    assert it.deadline() is None
    it.interfaces([ETH0], 10.0)
    assert len(rest(it, 20.0, 60.0)) == 2


# --- thousands -----------------------------------------------------------------------------------


def test_answers_do_not_wait_for_the_announcements_of_others() -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    for number in range(5000):
        it.own(IP + number, ANY, 0.0)
    (effect,) = it.receive(Arrived("eth0", request(IP + 4999)), 0.0)
    assert isinstance(effect, Transmit)


def test_all_of_five_thousand_are_announced_in_time() -> None:
    it, first = Responder(), dict[IPAddress, float]()
    it.interfaces([ETH0], 0.0)
    for number in range(5000):
        took = it.own(IP + number, ANY, 0.0)
        first |= {item.address: 0.0 for item in took if isinstance(item, Transmit)}
    while len(first) < 5000:
        due = it.deadline()
        assert due is not None
        for effect in it.tick(due):
            assert isinstance(effect, Transmit)
            first.setdefault(effect.address, due)
    assert list(first) == [IP + number for number in range(5000)]
    assert max(first.values()) <= 3.0
