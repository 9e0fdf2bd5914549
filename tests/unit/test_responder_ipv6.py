"""Which solicitations are answered, which not and why; groups, and how the LAN is told."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from bellmetal.facts import Interface
from bellmetal_layer2 import ndp
from bellmetal_layer2.groups import Join, Leave
from bellmetal_layer2.ndp import Solicitation
from bellmetal_layer2.responder import (
    Arrived,
    Dropped,
    Ignored,
    Responder,
    ResponderEffect,
    Transmit,
)
from bellmetal_layer2.schedule import REPEATS


def ip(text: str) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(text)


HOST, HOST_IP = bytes.fromhex("020000000001"), ip("fe80::1")
ETH0 = Interface("eth0", 2, bytes.fromhex("02000000000a"), True, ("192.0.2.1/24", "fe80::a/64"))
ETH1 = Interface("eth1", 3, bytes.fromhex("02000000000b"), True, ("fe80::b/64", "fe80::bb/64"))
BARE = Interface("eth2", 4, bytes.fromhex("02000000000c"), True, ("192.0.2.2/24", "2001:db8::2/64"))
IP, GROUP, GROUP_MAC = ip("2001:db8::10"), ip("ff02::1:ff00:10"), bytes.fromhex("3333ff000010")
OTHER = ip("2001:db8::11")
ANY: frozenset[str] = frozenset()

ASKED = Solicitation(GROUP_MAC, HOST, HOST_IP, GROUP, IP, HOST)
DIRECT = Solicitation(ETH0.mac, HOST, HOST_IP, IP, IP)
PROBE = Solicitation(GROUP_MAC, HOST, ndp.UNSPECIFIED, GROUP, IP)


def responder(interfaces: frozenset[str] = ANY) -> Responder:
    """It owns IP, on eth0 and eth1 or those that are named; eth2 has no link-local address."""
    it = Responder()
    it.interfaces([ETH0, ETH1, BARE], 0.0)
    it.own(IP, interfaces, 0.0)
    return it


ANSWERED = [
    pytest.param("eth0", ASKED, ETH0, id="multicast"),
    pytest.param("eth1", ASKED, ETH1, id="with the MAC of the interface it came in"),
    pytest.param("eth0", DIRECT, ETH0, id="unicast, without the source's MAC"),
    pytest.param("eth0", PROBE, ETH0, id="a probe for duplicates"),
    pytest.param(
        "eth0",
        replace(ASKED, destination_mac=ETH0.mac),
        ETH0,
        id="a group, but to our MAC: RFC 6085",
    ),
]


@pytest.mark.parametrize(("interface", "question", "of"), ANSWERED)
def test_a_solicitation_of_an_owned_address_is_answered(
    interface: str, question: Solicitation, of: Interface
) -> None:
    (effect,) = responder().receive(Arrived(interface, question.encode()), 1.0)
    assert effect == Transmit(interface, ndp.answer_to(question, of.mac).encode(), IP)


ROUTED = bytearray(ASKED.encode())
ROUTED[21] = 254
DROPPED = [
    pytest.param("eth9", ASKED.encode(), Dropped.UNKNOWN_INTERFACE, id="unknown interface"),
    pytest.param("eth0", ASKED.encode()[:70], Dropped.MALFORMED, id="truncated"),
    pytest.param("eth0", bytes(ROUTED), Dropped.MALFORMED, id="routed"),
    pytest.param(
        "eth0", ndp.unsolicited(IP, HOST).encode(), Dropped.NO_REQUEST, id="advertisement"
    ),
    pytest.param(
        "eth0", replace(DIRECT, destination_mac=ETH1.mac).encode(), Dropped.NOT_FOR_US, id="MAC"
    ),
    pytest.param(
        "eth0",
        replace(ASKED, destination=ndp.solicited_node(OTHER)).encode(),
        Dropped.NOT_FOR_US,
        id="the group of another address",
    ),
    pytest.param(
        "eth0", replace(ASKED, destination=OTHER).encode(), Dropped.NOT_FOR_US, id="another address"
    ),
    pytest.param(
        "eth0",
        replace(DIRECT, target=OTHER, destination=OTHER).encode(),
        Dropped.NOT_OWNED,
        id="not owned",
    ),
    pytest.param("eth1", ASKED.encode(), Dropped.WRONG_INTERFACE, id="not on this interface"),
    pytest.param("eth2", ASKED.encode(), Dropped.NO_LINK_LOCAL, id="no link-local address"),
]


@pytest.mark.parametrize(("interface", "frame", "reason"), DROPPED)
def test_what_is_not_answered_has_a_reason(interface: str, frame: bytes, reason: Dropped) -> None:
    it = responder(frozenset({"eth0", "eth2"}))
    assert it.receive(Arrived(interface, frame), 1.0) == [Ignored(reason)]


def test_every_reason_is_in_the_table() -> None:
    of_arp_alone = {Dropped.ANNOUNCEMENT}  # an advertisement is no solicitation at all
    assert {row.values[2] for row in DROPPED} == set(Dropped) - of_arp_alone


def test_an_address_that_is_given_up_is_not_answered() -> None:
    it = responder()
    it.disown(IP, 0.0)
    assert it.receive(Arrived("eth0", ASKED.encode()), 1.0) == [Ignored(Dropped.NOT_OWNED)]


# --- groups and announcements ---------------------------------------------------------------------


def told(*links: Interface, address: ipaddress.IPv6Address = IP) -> list[ResponderEffect]:
    found: list[ResponderEffect] = []
    for link in links:
        frame = ndp.unsolicited(address, link.mac).encode()
        found.append(Transmit(link.name, frame, address, gratuitous=True))
    return found


def joined(*links: Interface) -> list[ResponderEffect]:
    return [Join(link.name, GROUP) for link in links]


def begun(*links: Interface) -> list[ResponderEffect]:
    """On each of them the group is joined before the LAN is told."""
    return [effect for link in links for effect in [*joined(link), *told(link)]]


def test_groups_are_joined_then_the_lan_is_told_where_there_is_ipv6() -> None:
    it = Responder()
    it.interfaces([ETH0, ETH1, BARE], 0.0)
    assert it.own(IP, ANY, 0.0) == begun(ETH0, ETH1)


def test_on_the_chosen_interfaces_only() -> None:
    it = Responder()
    it.interfaces([ETH0, ETH1], 0.0)
    assert it.own(IP, frozenset({"eth1"}), 0.0) == begun(ETH1)


def test_it_is_announced_again_for_some_seconds() -> None:
    it = responder()
    seen = []
    while (due := it.deadline()) is not None:
        assert it.tick(due) == told(ETH0, ETH1)
        seen.append(due)
    assert seen == pytest.approx(REPEATS)


def test_giving_it_up_leaves_the_groups_and_stops_the_repeats() -> None:
    it = responder()
    assert it.disown(IP, 0.0) == [Leave("eth0", GROUP), Leave("eth1", GROUP)]
    assert it.tick(10.0) == []


def test_what_was_never_owned_is_given_up_quietly() -> None:
    assert responder().disown(OTHER, 0.0) == []


def test_other_interfaces_of_an_owned_address() -> None:
    it = responder(frozenset({"eth0"}))
    expected = [Leave("eth0", GROUP), *begun(ETH1)]
    assert it.restrict(IP, frozenset({"eth1"}), 1.0) == expected


NEW = [
    pytest.param([ETH0, ETH1], begun(ETH1), id="an interface that comes later"),
    pytest.param([replace(ETH0, index=9)], begun(ETH0), id="another of that name"),
    pytest.param([replace(ETH0, mac=HOST)], told(replace(ETH0, mac=HOST)), id="a new MAC"),
    pytest.param([replace(ETH0, subnets=("fe80::a/64",))], [], id="an address that is gone"),
    pytest.param([replace(ETH0, subnets=())], [Leave("eth0", GROUP)], id="IPv6 is off"),
    pytest.param([], [], id="it is gone, and so are the joins"),
]


@pytest.mark.parametrize(("interfaces", "effects"), NEW)
def test_interfaces_that_change(
    interfaces: list[Interface], effects: list[ResponderEffect]
) -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    it.own(IP, ANY, 0.0)
    assert it.interfaces(interfaces, 0.05) == effects


def test_an_interface_whose_link_local_address_comes_later() -> None:
    it = Responder()
    it.interfaces([replace(ETH0, subnets=())], 0.0)
    assert it.own(IP, ANY, 0.0) == []
    assert it.places(IP) == frozenset()
    assert it.interfaces([ETH0], 5.0) == begun(ETH0)
    assert it.deadline() is not None
    assert it.places(IP) == frozenset({"eth0"})


def test_an_interface_that_goes_and_comes_is_joined_again() -> None:
    it = responder()
    it.interfaces([ETH1], 0.02)
    assert it.interfaces([ETH0, ETH1], 0.05) == begun(ETH0)


def test_thousands_that_are_given_up_before_they_were_announced_do_not_hold_up_the_loop() -> None:
    it = Responder()
    it.interfaces([ETH0], 0.0)
    for number in range(1000):
        it.take(IP + number, ANY, 0.0)
    for number in range(1000):
        it.release(IP + number, 0.0)
    ticks = 0
    while (due := it.deadline()) is not None:
        it.tick(due)
        ticks += 1
    assert ticks >= 10
