"""What is heard of an address: who has it, who asks for it; and what is neither."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.hearing import MOST, Hearing

IP, OTHER = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv4Address("192.0.2.11")
HOST4 = ipaddress.IPv4Address("192.0.2.1")
IP6 = ipaddress.IPv6Address("2001:db8::10")
GROUP6 = ndp.solicited_node(IP6)
HOST6 = ipaddress.IPv6Address("fe80::1")
OWNER, HOST = bytes.fromhex("02000000000a"), bytes.fromhex("020000000001")

QUESTION = arp.ArpFrame(arp.BROADCAST, HOST, arp.REQUEST, HOST, HOST4, bytes(6), IP)
QUESTION6 = ndp.Solicitation(ndp.group_mac(GROUP6), HOST, HOST6, GROUP6, IP6, HOST)


def heard(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *frames: bytes) -> Hearing:
    found = Hearing(address)
    for frame in frames:
        found.receive("eth0", frame)
    return found


@pytest.mark.parametrize(
    ("address", "frame"),
    [
        (IP, arp.reply_to(QUESTION, OWNER).encode()),
        (IP, arp.reply_to(arp.probe(IP, HOST), OWNER).encode()),
        (IP, arp.gratuitous(IP, OWNER, arp.REQUEST).encode()),
        (IP, arp.gratuitous(IP, OWNER, arp.REPLY).encode()),
        (IP6, ndp.answer_to(QUESTION6, OWNER).encode()),
        (IP6, ndp.unsolicited(IP6, OWNER).encode()),
    ],
)
def test_who_has_it(address: ipaddress.IPv4Address, frame: bytes) -> None:
    found = heard(address, frame, frame)
    assert (list(found.answers), found.asked) == ([("eth0", OWNER)], 0)


@pytest.mark.parametrize(
    ("address", "frame"),
    [
        (IP, QUESTION.encode()),
        (IP, arp.probe(IP, HOST).encode()),
        (IP, arp.probe(IP, HOST, OWNER).encode()),
        (IP6, QUESTION6.encode()),
        (IP6, ndp.probe(IP6, HOST).encode()),
    ],
)
def test_who_asks_for_it(address: ipaddress.IPv4Address, frame: bytes) -> None:
    found = heard(address, frame, frame)
    assert (found.answers, found.questions, found.asked) == ({}, {"eth0": 2}, 2)


@pytest.mark.parametrize(
    ("address", "frame"),
    [
        (OTHER, QUESTION.encode()),
        (HOST4, b""),
        (IP, QUESTION.encode()[:40]),
        (IP, b"\xff" * 20 + IP.packed * 8),
        (IP6, QUESTION.encode()),
        (IP6, ndp.unsolicited(ipaddress.IPv6Address("2001:db8::11"), OWNER).encode()),
        (IP6, b"\x33" * 12 + b"\x86\xdd" + IP6.packed * 4),
    ],
)
def test_what_says_nothing_of_it(address: ipaddress.IPv4Address, frame: bytes) -> None:
    found = heard(address, frame)
    assert (found.answers, found.asked) == ({}, 0)


def test_a_host_that_asks_for_another_has_its_own_address() -> None:
    assert list(heard(HOST4, QUESTION.encode()).answers) == [("eth0", HOST)]


def test_who_lies_under_many_names_is_kept_short() -> None:
    macs = [bytes([2, 0, 0, 0, 1, number]) for number in range(200)]
    found = heard(IP, *(arp.gratuitous(IP, mac, arp.REPLY).encode() for mac in macs))
    assert len(found.answers) == MOST
