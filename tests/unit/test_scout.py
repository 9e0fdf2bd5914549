"""Looks at the LAN, by the whole layer-2 announcer: who answers, who asks; in memory."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import replace

import pytest
from tests.unit.test_layer2_announcer import IP, IP6, NDP, Node, announcement, node

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder
from bellmetal.sights import Look, LookKind, Sight
from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.links import Questions
from layer2_fakes import LAN0, FakeWatcher

__all__ = ["node"]  # the fixture
pytestmark = pytest.mark.looptime

N2, STRANGER = bytes.fromhex("020000000002"), bytes.fromhex("020000000009")
FOREIGN = ipaddress.ip_address("198.51.100.1")
ON_LAN = replace(LAN0, subnets=("fe80::a/64", "198.51.100.9/24"))


async def look(
    it: Node, kind: LookKind, address: IPAddress = IP, seconds: int = 2
) -> asyncio.Task[Sight | None]:
    """A look that is under way."""
    task = asyncio.create_task(it.it.look(Look("a", kind, address, 0, seconds)))
    await asyncio.sleep(0.01)
    return task


async def end(it: Node, task: asyncio.Task[Sight | None]) -> Sight:
    """Its answer; n2 goes on saying that it lives."""
    while not task.done():
        await asyncio.sleep(0.1)
        it.hear()
    found = task.result()
    assert found is not None
    return found


async def not_owning(node: type[Node]) -> Node:
    """n2 owns the address."""
    it = node()
    await it.start()
    await it.apply(replace(announcement(), owner="n2"))
    it.hear(ClaimOrder(2, True, 1))
    await asyncio.sleep(0.2)
    it.hear()
    return it


async def test_another_node_asks_and_names_who_answers(node: type[Node]) -> None:
    it = await not_owning(node)
    before = len(it.socket(arp.ETHERTYPE_ARP).sent)
    task = await look(it, LookKind.RESOLVE)
    probe = arp.probe(IP, LAN0.mac)
    for mac in (N2, STRANGER, STRANGER):
        it.socket(arp.ETHERTYPE_ARP).arrive(arp.reply_to(probe, mac).encode())
    found = await end(it, task)
    assert (found.outcome, found.ok) == ("answered", True)
    assert found.macs == ("02:00:00:00:00:02", "02:00:00:00:00:09")
    assert found.interface == "lan0"
    assert found.message == (
        "192.0.2.10 is answered for by 02:00:00:00:00:02 on lan0 (n2) and "
        "02:00:00:00:00:09 on lan0 (no node of this cluster that is heard)"
    )
    asked = it.socket(arp.ETHERTYPE_ARP).sent[before:]
    assert asked.count(probe.encode()) >= 3
    await it.it.close(gracefully=False)


async def test_silence(node: type[Node]) -> None:
    it = await not_owning(node)
    found = await end(it, await look(it, LookKind.RESOLVE))
    assert (found.outcome, found.ok, found.macs) == ("silent", False, ())
    assert found.message == "nobody answers for 192.0.2.10 on lan0"
    await it.it.close(gracefully=False)


async def test_the_owner_asks_who_else_does(node: type[Node]) -> None:
    it = node()
    await it.start()
    found = await end(it, await look(it, LookKind.RESOLVE))
    assert (found.outcome, found.macs) == ("answered", ())
    said = "192.0.2.10 is answered for by this node, and by nobody else there"
    assert found.message == said
    await it.it.close(gracefully=False)


async def test_in_ipv6_it_asks_as_who_wants_to_talk(node: type[Node]) -> None:
    it = node()
    await it.start(IP6)
    it.hear()
    link_local = ipaddress.IPv6Address("fe80::a")
    task = await look(it, LookKind.RESOLVE, IP6)
    assert ndp.question(IP6, LAN0.mac, link_local).encode() in it.socket(NDP).sent
    it.socket(NDP).arrive(ndp.unsolicited(IP6, STRANGER).encode())
    assert (await end(it, task)).macs == ("02:00:00:00:00:09",)
    await it.it.close(gracefully=False)


async def test_what_is_not_announced_on_the_lan_is_let_through_meanwhile(node: type[Node]) -> None:
    it = node()
    await it.start()
    FakeWatcher.latest.changed((ON_LAN,))
    programs = it.socket(arp.ETHERTYPE_ARP).programs
    wanted, more = Questions.about([IP]), Questions.about([IP, FOREIGN])
    assert programs[-1] == wanted.requests
    task = await look(it, LookKind.RESOLVE, FOREIGN)
    assert programs[-1] == more.requests
    frame = arp.gratuitous(ipaddress.IPv4Address("198.51.100.1"), STRANGER, arp.REPLY)
    it.socket(arp.ETHERTYPE_ARP).arrive(frame.encode())
    assert (await end(it, task)).macs == ("02:00:00:00:00:09",)
    assert programs[-1] == wanted.requests
    await it.it.close(gracefully=False)


async def test_without_an_interface_in_the_subnet_nobody_is_asked(node: type[Node]) -> None:
    it = node()
    await it.start()
    found = await end(it, await look(it, LookKind.RESOLVE, FOREIGN))
    assert (found.outcome, found.ok) == ("noInterface", False)
    said = "no usable interface of this node is in a subnet of 198.51.100.1"
    assert found.message == said
    FakeWatcher.latest.changed(())
    found = await end(it, await look(it, LookKind.LISTEN))
    assert found.message == "this node has no usable interface"
    await it.it.close(gracefully=False)


async def test_questions_are_counted_with_what_was_answered(node: type[Node]) -> None:
    it = node()
    await it.start()
    task = await look(it, LookKind.LISTEN, seconds=3)
    for _ in range(4):
        assert it.ask() != []
    found = await end(it, task)
    assert (found.outcome, found.ok, found.interface) == ("answered", True, "lan0")
    assert found.message == (
        "questions for 192.0.2.10 that came in within 3 s on lan0: 4; answered: 4"
    )
    await it.it.close(gracefully=False)


async def test_in_ipv6_too(node: type[Node]) -> None:
    it = node()
    await it.start(IP6)
    it.hear()
    task = await look(it, LookKind.LISTEN, IP6)
    assert it.solicit() != []
    assert (await end(it, task)).message.endswith("on lan0: 1; answered: 1")
    await it.it.close(gracefully=False)


async def test_a_question_that_is_not_answered(node: type[Node]) -> None:
    it = await not_owning(node)
    task = await look(it, LookKind.LISTEN)
    assert it.ask() == []
    found = await end(it, task)
    assert (found.outcome, found.ok) == ("unanswered", False)
    assert found.message.endswith("lan0: 1; answered: 0 (this node does not answer for it)")
    await it.it.close(gracefully=False)


async def test_nobody_asks(node: type[Node]) -> None:
    it = node()
    await it.start()
    found = await end(it, await look(it, LookKind.LISTEN, seconds=1))
    assert (found.outcome, found.ok) == ("silent", False)
    assert found.message == "no question for 192.0.2.10 came in within 1 s on lan0"
    await it.it.close(gracefully=False)


async def test_what_others_look_at_is_left_to_them(node: type[Node]) -> None:
    it = node()
    await it.start()
    for kind in (LookKind.CONNECT, LookKind.ROUTE):
        assert await it.it.look(Look("a", kind, IP)) is None
    await it.it.close(gracefully=False)


async def test_a_node_that_falls_silent_is_unheard(node: type[Node]) -> None:
    it = node()
    await it.start()
    it.hear()
    assert it.it.status().unheard == ()
    await asyncio.sleep(3.0)
    assert it.it.status().unheard == ("n2",)
    it.hear()
    await asyncio.sleep(0.05)
    assert it.it.status().unheard == ()
    await it.it.close(gracefully=False)
