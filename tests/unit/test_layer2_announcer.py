"""The layer-2 announcer around its two machines: sockets, filters, findings; in memory."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Context, Desired, Liveness
from bellmetal.facts import Claim, ClaimOrder, Interface
from bellmetal.intents import Announcement, NodeSet
from bellmetal.keyring import Keys
from bellmetal_layer2 import arp, beacon, filters, ipv6, ndp
from bellmetal_layer2.announcer import Layer2Announcer
from bellmetal_layer2.beacon import Beacon, ClaimNews
from bellmetal_layer2.claims import ClaimSet
from layer2_fakes import LAN0, FakeMemberships, FakeSocket, FakeWatcher

pytestmark = pytest.mark.looptime

IP = ipaddress.IPv4Address("192.0.2.10")
IP6, GROUP6 = ipaddress.IPv6Address("2001:db8::10"), ipaddress.IPv6Address("ff02::1:ff00:10")
HOST = bytes.fromhex("020000000001")
LAN1 = Interface("lan1", 3, bytes.fromhex("02000000000b"), True, ("fe80::b/64",))
KEY = b"members' key"
NDP = -1


class Gossip:
    """Members as gossip knows them, in memory."""

    def __init__(self) -> None:
        self.known: dict[str, Liveness] = {}
        self.sent: list[tuple[str, bytes]] = []
        self.receive: Callable[[bytes], None] = lambda data: None
        self.tell: Callable[[str, Liveness], None] = lambda node, liveness: None

    def liveness(self, node: str) -> Liveness:
        return self.known.get(node, Liveness.UNKNOWN)

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        self.tell, self.receive = on_change, on_message

    def send(self, node: str, data: bytes) -> None:
        self.sent.append((node, data))


class Node:
    """Node n1's announcer in a cluster of n1 and n2."""

    def __init__(self) -> None:
        self.gossip, self.counts = Gossip(), Counter[str]()
        self.keys = Keys((KEY,), (KEY,))
        self.it = Layer2Announcer(
            Context(
                node="n1",
                boot=1,
                keys=lambda: self.keys,
                members=self.gossip,
                clock=asyncio.get_running_loop().time,
                random=random.Random(1),
                count=self._count,
                changed=lambda: self.changed(),
            )
        )
        self._claims, self._boot, self._beacons = ClaimSet(), 1, 0
        self.changed: Callable[[], None] = lambda: None

    def _count(self, name: str, address: IPAddress, by: int = 1) -> None:
        self.counts[name] += by

    async def start(self, address: IPAddress = IP) -> None:
        FakeSocket.opened.clear()
        FakeSocket.broken = set()
        FakeMemberships.joined.clear()
        await self.it.start()
        await self.apply(announcement(address))
        await asyncio.sleep(0.05)
        self.hear()
        await asyncio.sleep(0.2)

    async def apply(self, *items: Announcement) -> None:
        await self.it.apply(Desired(items, {"all": NodeSet("all", {"n1": "", "n2": ""})}))

    def beacon(self, order: ClaimOrder | None = None, leaving: bool = False) -> bytes:
        """What n2 says next."""
        self._beacons += 1
        if order:
            self._claims.put(IP, order)
        news = (ClaimNews(IP, order),) if order else ()
        digest = self._claims.digest
        item = Beacon("n2", self._boot, self._beacons, digest, 0.1, leaving=leaving, claims=news)
        return beacon.encode(item, KEY)

    def begin_anew(self) -> None:
        """n2 is started again: it claims nothing."""
        self._boot, self._claims = self._boot + 1, ClaimSet()

    def hear(self, order: ClaimOrder | None = None) -> None:
        frame = beacon.wrap(self.beacon(order), bytes.fromhex("020000000002"))
        self.socket(ipv6.ETHERTYPE).arrive(frame)

    def ask(self) -> list[bytes]:
        """A host asks for the address; what it gets."""
        socket = self.socket(arp.ETHERTYPE_ARP)
        before = len(socket.sent)
        target = arp.ArpFrame(
            arp.BROADCAST, HOST, 1, HOST, ipaddress.IPv4Address("192.0.2.1"), bytes(6), IP
        )
        socket.arrive(target.encode())
        return socket.sent[before:]

    def solicit(self) -> list[bytes]:
        """The same in IPv6."""
        socket = self.socket(NDP)
        before = len(socket.sent)
        host = ipaddress.IPv6Address("fe80::1")
        mac = ndp.group_mac(GROUP6)
        socket.arrive(ndp.Solicitation(mac, HOST, host, GROUP6, IP6, HOST).encode())
        return socket.sent[before:]

    def socket(self, which: int, interface: str = "lan0") -> FakeSocket:
        """The last one that was opened for beacons (by their EtherType), ARP or NDP."""
        ethertype = ipv6.ETHERTYPE if which == NDP else which
        beacons = filters.beacons()
        return [
            item
            for item in FakeSocket.opened
            if (item.interface, item.ethertype) == (interface, ethertype)
            and (item.programs[0] != beacons) is (which != ipv6.ETHERTYPE)
            and not item.closed
        ][-1]

    def findings(self) -> dict[str, str]:
        return {item.code: item.message for item in self.it.status().findings}


def announcement(address: IPAddress = IP, **fields: object) -> Announcement:
    return Announcement(address, 1, "n1", "all", ("n2",), **fields)  # type: ignore[arg-type]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("bellmetal_layer2.links.PacketSocket", FakeSocket)
    monkeypatch.setattr("bellmetal_layer2.links.Memberships", FakeMemberships)
    monkeypatch.setattr("bellmetal_layer2.announcer.Watcher", FakeWatcher)
    return Node


async def test_an_owned_address_is_announced_and_answered_for(node: type[Node]) -> None:
    it = node()
    await it.start()
    (answer,) = it.ask()
    assert arp.decode(answer).sender_mac == LAN0.mac
    assert it.counts["gratuitous_sent"] >= 2
    assert (it.counts["requests_received"], it.counts["responses_sent"]) == (1, 1)
    await it.it.close(gracefully=False)


async def test_beacons_go_out_signed_on_every_interface(node: type[Node]) -> None:
    it = node()
    await it.start()
    FakeWatcher.latest.changed((LAN0, LAN1))
    await asyncio.sleep(0.2)
    it.hear()
    for name in ("lan0", "lan1"):
        frame = it.socket(ipv6.ETHERTYPE, name).sent[-1]
        assert beacon.decode(beacon.unwrap(frame), KEY).node == "n1"
    await it.it.close(gracefully=False)


async def test_a_higher_claim_of_a_member_ends_it(node: type[Node]) -> None:
    it = node()
    await it.start()
    it.hear(ClaimOrder(1, True, 1))
    assert it.ask() == []
    assert it.it.status().owned == {}
    await it.it.close(gracefully=False)


async def test_that_a_claim_has_become_firm_is_reported(node: type[Node]) -> None:
    """Nobody else changes then, and the controller waits for it."""
    n1, reported = node(), list[tuple[Claim, ...]]()
    n1.changed = lambda: reported.append(n1.it.status().claims)
    n1.gossip.known["n2"] = Liveness.ALIVE
    await n1.start()
    await n1.apply(replace(announcement(), owner="n2", successors=("n1",), term=2))
    n1.hear(ClaimOrder(2, True, 0))
    await asyncio.sleep(1.0)  # n2 is silent
    assert [claim.order.firm for claim in reported[-1]] == [False]
    n1.begin_anew()
    for _ in range(20):
        n1.hear()
        await asyncio.sleep(0.1)
    assert [claim.order.firm for claim in n1.it.status().claims] == [True]
    assert reported[-1] == n1.it.status().claims


async def test_a_beacon_of_another_key_is_not_obeyed_and_reported_once(
    node: type[Node], caplog: pytest.LogCaptureFixture
) -> None:
    it = node()
    await it.start()
    item = Beacon("n2", 9, 9, 0, 0.1, claims=(ClaimNews(IP, ClaimOrder(9, True, 9)),))
    frame = beacon.wrap(beacon.encode(item, b"another key"), HOST)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            it.socket(ipv6.ETHERTYPE).arrive(frame)
    assert it.ask() != []
    message = (
        "a beacon of n2 was refused: "
        "it is signed with none of the members' keys that are known here"
    )
    assert it.findings() == {"unknownKey": message}
    assert caplog.messages == [message]
    it.hear()
    assert it.findings() == {}
    await it.it.close(gracefully=False)


async def test_a_name_that_is_no_members_is_not_repeated(
    node: type[Node], caplog: pytest.LogCaptureFixture
) -> None:
    it = node()
    await it.start()
    for name in ("stranger", "pass\nword", "n" * 200):
        frame = beacon.wrap(beacon.encode(Beacon(name, 9, 9, 0, 0.1), b"another key"), HOST)
        it.socket(ipv6.ETHERTYPE).arrive(frame)
    sentence = "it is signed with none of the members' keys that are known here"
    assert it.findings() == {"foreignBeacon": f"a beacon was refused: {sentence}"}
    await it.it.close(gracefully=False)


async def test_who_was_taken_for_a_stranger_is_cleared_when_it_is_understood(
    node: type[Node],
) -> None:
    it = node()  # before any slice was read: nobody is known to be a node
    FakeSocket.opened.clear()
    await it.it.start()
    await asyncio.sleep(0.05)
    frame = beacon.wrap(beacon.encode(Beacon("n2", 9, 9, 0, 0.1), b"another key"), HOST)
    it.socket(ipv6.ETHERTYPE).arrive(frame)
    assert it.findings().keys() == {"foreignBeacon"}
    it.hear()
    assert it.findings() == {}
    await it.it.close(gracefully=False)


async def test_keys_may_change_while_it_runs(node: type[Node]) -> None:
    it = node()
    await it.start()
    new = b"new key"
    it.keys = Keys((new, KEY), (new, KEY))
    it.socket(ipv6.ETHERTYPE).sent.clear()
    await asyncio.sleep(0.2)
    frame = it.socket(ipv6.ETHERTYPE).sent[-1]
    for key in (KEY, new):
        assert beacon.decode(beacon.unwrap(frame), key).node == "n1"
    it.hear()
    assert it.findings() == {}
    await it.it.close(gracefully=False)


async def test_after_a_gap_of_the_loop_old_requests_are_not_answered_and_sockets_flushed(
    node: type[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    await it.start()
    late = asyncio.get_running_loop().time() + 1.0
    monkeypatch.setattr(it.it, "_context", _at(it.it._context, late))
    assert it.ask() == []
    it.it._owning.run(it.it._ownership.tick(late))
    sockets = [it.socket(which) for which in (arp.ETHERTYPE_ARP, NDP, ipv6.ETHERTYPE)]
    assert [socket.flushed for socket in sockets] == [1, 1, 1]
    await it.it.close(gracefully=False)


def _at(context: Context, now: float) -> Context:
    return replace(context, clock=lambda: now)


async def test_an_interface_that_cannot_be_opened_does_not_stop_the_others(
    node: type[Node],
) -> None:
    it = node()
    await it.start()
    FakeSocket.broken = {"lan1"}
    FakeWatcher.latest.changed((LAN0, LAN1))
    assert it.ask() != []
    assert it.findings() == {"interfaceFailed": "interface lan1 cannot be used: No such device"}
    FakeSocket.broken = set()
    FakeWatcher.latest.changed((LAN0, LAN1))
    assert it.findings() == {}
    await it.it.close(gracefully=False)


async def test_sockets_of_an_interface_that_is_gone_are_closed(node: type[Node]) -> None:
    it = node()
    await it.start()
    first = list(FakeSocket.opened)
    FakeWatcher.latest.changed(())
    assert all(socket.closed for socket in first)
    assert it.it.status().owned == {}
    await it.it.close(gracefully=False)


async def test_interfaces_that_are_named_and_not_here_are_a_finding(node: type[Node]) -> None:
    it = node()
    await it.start()
    await it.apply(announcement(interfaces=frozenset({"lan7"})))
    message = "none of the interfaces lan7 is here: 192.0.2.10"
    assert it.findings() == {"noInterface": message}
    assert it.ask() == []
    await it.it.close(gracefully=False)


async def test_the_filters_change_with_the_addresses_only(node: type[Node]) -> None:
    it = node()
    await it.start()
    programs = it.socket(arp.ETHERTYPE_ARP).programs
    count = len(programs)
    await it.apply(announcement(interfaces=frozenset({"lan0"})))
    assert len(programs) == count
    await it.apply()
    assert len(programs) == count + 1
    await it.it.close(gracefully=False)


async def test_what_failed_is_done_when_it_is_applied_again(
    node: type[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    await it.start(IP + 1)

    def fail(self: FakeSocket, program: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as broken:
        broken.setattr(FakeSocket, "filter", fail)
        with pytest.raises(OSError, match="Cannot allocate"):
            await it.apply(announcement(IP))
    await it.apply(announcement(IP))
    await asyncio.sleep(0.1)
    assert [*it.it.status().owned] == [IP]
    assert it.ask()
    assert it.socket(arp.ETHERTYPE_ARP).programs[-1] == [*filters.arp_about([IP])]
    await it.it.close(gracefully=False)


async def test_leaving_it_answers_until_another_has_claimed(node: type[Node]) -> None:
    it = node()
    await it.start()
    closing = asyncio.create_task(it.it.close(gracefully=True))
    await asyncio.sleep(0.1)
    assert it.ask() != []
    it.hear(ClaimOrder(1, True, 1))
    await asyncio.sleep(0.02)
    assert closing.done()


async def closing_time(it: Node) -> float:
    start = asyncio.get_running_loop().time()
    await it.it.close(gracefully=True)
    return asyncio.get_running_loop().time() - start


async def test_if_nobody_claims_it_leaves_after_a_second_all_the_same(node: type[Node]) -> None:
    it = node()
    await it.start()
    assert await closing_time(it) == pytest.approx(1.0, abs=0.05)


async def test_if_nobody_is_there_to_claim_it_leaves_at_once(node: type[Node]) -> None:
    it = node()
    await it.start()
    await asyncio.sleep(1.0)
    assert await closing_time(it) == 0.0


async def test_who_is_not_heard_is_whispered_to(node: type[Node]) -> None:
    it = node()
    it.gossip.known = {"n2": Liveness.ALIVE}
    FakeSocket.opened.clear()
    await it.it.start()
    await it.apply(announcement())
    await asyncio.sleep(0.1)
    it.gossip.receive(it.beacon())
    await asyncio.sleep(0.2)
    said = [beacon.decode(data, KEY) for to, data in it.gossip.sent if to == "n2"]
    assert ClaimNews(IP, ClaimOrder(1, True, 0)) in [n for item in said for n in item.claims]
    await it.it.close(gracefully=False)


async def test_of_thousands_at_once_the_log_has_the_first_and_how_many_more(
    node: type[Node], caplog: pytest.LogCaptureFixture
) -> None:
    it = node()
    await it.start()
    it.hear()
    await asyncio.sleep(2.5)  # what is said of the start is said
    caplog.set_level(logging.INFO)
    await it.apply(*(announcement(IP + number) for number in range(301)))
    await asyncio.sleep(1.5)
    lines = [text for text in caplog.messages if "is ours" in text]
    rest = [text for text in caplog.messages if text.startswith("…")]
    assert 90 < len(lines) <= 100
    assert len(rest) == 1
    assert int(rest[0].split()[2]) >= 300 - len(lines)
    await it.it.close(gracefully=False)


async def told_in(it: Node, seconds: float) -> int:
    """How many frames told the LAN of addresses in that time."""
    before = it.counts["gratuitous_sent"]
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.1)
        it.hear()
    return it.counts["gratuitous_sent"] - before


@pytest.mark.slow
async def test_at_rest_the_lan_is_told_again_as_the_announcement_wants(node: type[Node]) -> None:
    it = node()
    await it.start()
    await told_in(it, 10.0)
    assert await told_in(it, 30.0) == 0
    await it.apply(announcement(refresh=10))
    assert await told_in(it, 30.0) == 2 * 3
    await it.it.close(gracefully=False)


@pytest.mark.slow
async def test_or_else_as_the_speaker_is_told(
    node: type[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    monkeypatch.setattr(it.it, "_context", replace(it.it._context, refresh=5))
    await it.start()
    await told_in(it, 10.0)
    assert await told_in(it, 30.0) == 2 * 6
    await it.apply(announcement(refresh=10))
    assert await told_in(it, 30.0) == 2 * 3
    await it.it.close(gracefully=False)


# --- IPv6 -----------------------------------------------------------------------------------------


async def test_an_ipv6_address_is_announced_and_answered_for(node: type[Node]) -> None:
    it = node()
    await it.start(IP6)
    (answer,) = it.solicit()
    said = ndp.decode(answer)
    assert isinstance(said, ndp.Advertisement)
    assert (said.target, said.link_address, said.solicited) == (IP6, LAN0.mac, True)
    assert it.counts["gratuitous_sent"] >= 1
    assert (it.counts["requests_received"], it.counts["responses_sent"]) == (1, 1)
    await it.it.close(gracefully=False)


async def test_old_solicitations_are_not_answered_either(
    node: type[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    await it.start(IP6)
    late = asyncio.get_running_loop().time() + 1.0
    monkeypatch.setattr(it.it, "_context", _at(it.it._context, late))
    assert it.solicit() == []
    await it.it.close(gracefully=False)


async def test_its_group_is_joined_while_it_is_owned(node: type[Node]) -> None:
    it = node()
    await it.start(IP6)
    assert FakeMemberships.joined == {LAN0.index: {GROUP6}}
    FakeWatcher.latest.changed((LAN0, LAN1))
    assert FakeMemberships.joined == {LAN0.index: {GROUP6}, LAN1.index: {GROUP6}}
    await it.apply()
    await asyncio.sleep(0.1)
    assert FakeMemberships.joined == {LAN0.index: set(), LAN1.index: set()}
    await it.it.close(gracefully=False)


async def test_a_group_that_cannot_be_joined_is_a_finding_and_stops_nothing(
    node: type[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FakeMemberships, group: ipaddress.IPv6Address) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(FakeMemberships, "join", refuse)
    it = node()
    await it.start(IP6)
    message = f"interface lan0 does not join {GROUP6}: No such device"
    assert it.findings() == {"groupFailed": message}
    assert it.solicit() != []
    monkeypatch.undo()
    await it.it.close(gracefully=False)


async def test_an_address_that_no_interface_can_answer_for_is_a_finding(node: type[Node]) -> None:
    it = node()
    await it.start(IP6)
    FakeWatcher.latest.changed((replace(LAN0, subnets=()),))
    message = f"no interface has an IPv6 link-local address: {IP6}"
    assert it.findings() == {"noInterface": message}
    assert it.solicit() == []
    await it.it.close(gracefully=False)
