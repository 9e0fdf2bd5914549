"""The layer-2 announcer and strangers: what it hears, asks, gives up and defends; in memory."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from dataclasses import replace

import pytest
from tests.unit.test_layer2_announcer import HOST, IP, IP6, NDP, Node, announcement, node

from bellmetal.facts import ClaimOrder, DoubtKind, Proved
from bellmetal_layer2 import arp, ipv6, ndp
from layer2_fakes import LAN0

__all__ = ["node"]  # the fixture
pytestmark = pytest.mark.looptime

STRANGER = bytes.fromhex("020000000009")
N2 = bytes.fromhex("020000000002")
Frames = list[bytes]


def sent(it: Node, which: int = arp.ETHERTYPE_ARP) -> Frames:
    return it.socket(which).sent


def probes(it: Node) -> Frames:
    return [frame for frame in sent(it) if frame == arp.probe(IP, LAN0.mac).encode()]


def hear_from(it: Node, mac: bytes, frame: bytes | None = None) -> None:
    frame = frame or arp.gratuitous(IP, mac, arp.REQUEST).encode()
    it.socket(arp.ETHERTYPE_ARP).arrive(frame)


async def test_a_new_address_is_answered_for_while_it_is_probed(node: type[Node]) -> None:
    it = node()
    await it.start()
    assert it.ask() != []
    await asyncio.sleep(0.5)
    assert len(probes(it)) == 3
    assert it.it.status().doubts == ()
    await it.it.close(gracefully=False)


async def test_in_ipv6_too(node: type[Node]) -> None:
    it = node()
    await it.start(IP6)
    await asyncio.sleep(0.5)
    assert sent(it, NDP).count(ndp.probe(IP6, LAN0.mac).encode()) == 3
    await it.it.close(gracefully=False)


async def test_a_stranger_that_has_it_ends_the_answers_and_not_the_claim(node: type[Node]) -> None:
    it = node()
    await it.start()
    hear_from(it, STRANGER, arp.reply_to(arp.probe(IP, LAN0.mac), STRANGER).encode())
    await asyncio.sleep(0.5)
    it.hear()
    assert it.ask() == []
    (doubt,) = it.it.status().doubts
    assert (doubt.kind, doubt.interface) == (DoubtKind.HELD, "lan0")
    assert it.it.status().owned == {}
    assert it.it._ownership.mine == {IP: ClaimOrder(1, True, 0)}
    await asyncio.sleep(15.0)
    assert it.ask() != [], "it is gone"
    assert it.it.status().doubts == ()
    await it.it.close(gracefully=False)


async def test_a_stranger_that_comes_later_is_defended_against_in_both_forms_once(
    node: type[Node],
) -> None:
    it = node()
    await it.start()
    await asyncio.sleep(6.0)
    it.hear()
    before = len(sent(it))
    for _ in range(20):
        hear_from(it, STRANGER)
        await asyncio.sleep(0.1)
        it.hear()
    told = [arp.decode(frame) for frame in sent(it)[before:]]
    gratuitous = [item for item in told if item.sender == item.target]
    assert [item.operation for item in gratuitous] == [arp.REQUEST, arp.REPLY]
    assert [doubt.kind for doubt in it.it.status().doubts] == [DoubtKind.CONTESTED]
    assert it.ask() != []
    await it.it.close(gracefully=False)
    assert it.it.status().doubts == ()


async def test_a_member_whose_beacons_come_from_there_is_no_stranger(node: type[Node]) -> None:
    it = node()
    await it.start()
    hear_from(it, N2)
    await asyncio.sleep(0.6)
    assert it.ask() != []
    assert it.it.status().doubts == ()
    await it.it.close(gracefully=False)


async def test_what_another_node_owns_is_asked_for_and_a_silent_lan_is_a_doubt(
    node: type[Node],
) -> None:
    it = node()
    await it.start()
    it.hear(ClaimOrder(1, True, 1))
    for _ in range(200):
        await asyncio.sleep(0.1)
        it.hear()
    (doubt,) = it.it.status().doubts
    assert (doubt.kind, doubt.owner) == (DoubtKind.UNSEEN, "n2")
    assert doubt.message.startswith("192.0.2.10 is announced by n2, but asked for on lan0")
    await it.it.close(gracefully=False)


async def test_how_many_the_lan_sees_is_reported_soon_and_then_no_more(node: type[Node]) -> None:
    it, reported = node(), list[tuple[float, Proved]]()
    loop = asyncio.get_running_loop()
    it.changed = lambda: reported.append((loop.time(), it.it.status().proved))
    await it.start()
    it.hear(ClaimOrder(1, True, 1))
    began, asked = loop.time(), len(probes(it))
    for _ in range(2000):
        await asyncio.sleep(0.1)
        it.hear()
        if len(probes(it)) > asked:
            asked = len(probes(it))
            hear_from(it, N2, arp.reply_to(arp.probe(IP, LAN0.mac), N2).encode())
    last, proved = reported[-1]
    assert proved == Proved(1, 1)
    assert last - began <= 20.0
    await it.it.close(gracefully=False)


async def test_it_is_the_first_successors_turn_to_ask(node: type[Node]) -> None:
    it = node()
    await it.start()
    await it.apply(replace(announcement(), owner="n2", successors=("n3", "n1")))
    it.hear(ClaimOrder(1, True, 1))
    assert it.it._to_be_asked_for(IP) == "n2", "n3 does not live"
    await it.apply(replace(announcement(), owner="n1", successors=("n2",)))
    assert it.it._to_be_asked_for(IP) == "n2", "another one has it than the slices say"
    await it.apply(replace(announcement(), owner="n2", successors=("n3",)))
    assert it.it._to_be_asked_for(IP) == ""
    await it.it.close(gracefully=False)


async def test_rubbish_is_counted_by_reason_and_stops_nothing(node: type[Node]) -> None:
    it = node()
    tally: list[tuple[str, str]] = []
    context = replace(it.it._context, tally=lambda what, kind: tally.append((what, kind)))
    it.it._context = context
    await it.start()
    dice = random.Random(3)
    for ethertype in (arp.ETHERTYPE_ARP, ipv6.ETHERTYPE):
        for _ in range(500):
            head = HOST + STRANGER + ethertype.to_bytes(2, "big")
            frame = head + dice.randbytes(dice.randrange(90))
            it.socket(arp.ETHERTYPE_ARP).arrive(frame)
            it.socket(NDP).arrive(frame)
    group = b"\1\0\0\0\0\1"
    hear_from(it, group)
    other = arp.gratuitous(ipaddress.IPv4Address("192.0.2.99"), STRANGER, arp.REPLY).encode()
    hear_from(it, STRANGER, other)
    assert {kind for what, kind in tally if what == "ignored"} == {
        "malformed",
        "badMac",
        "notOurs",
    }
    assert it.ask() != []
    await it.it.close(gracefully=False)
