"""The contract of `bellmetal.announcer.Announcer`, that any announcer can be put through.

It is done here with the layer-2 announcer, on sockets in memory and, as root, on real ones in a
network namespace of its own; with the BGP announcer and a router on loopback; and with the example
of announcers/README.md, which follows an announcer, and an HTTP server on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import os
import random
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Announcer, Context, Desired, Liveness, Lookout
from bellmetal.facts import ClaimOrder, Owned
from bellmetal.intents import Announcement, NodeSet, PeerPlan, Route
from bellmetal.keyring import Keys
from bellmetal.sights import Look, LookKind
from bellmetal_bgp.announcer import BGPAnnouncer
from bellmetal_layer2.announcer import Layer2Announcer
from bellmetal_webhook import WebhookAnnouncer
from bgp_router import ASN, Router
from layer2_fakes import FakeMemberships, FakeSocket, FakeWatcher
from webhook_server import WebhookServer

ONE: IPAddress = ipaddress.ip_address("192.0.2.10")
TWO: IPAddress = ipaddress.ip_address("192.0.2.11")
PATIENCE = 3.0

Make = Callable[[Context], Announcer]
Rule = Callable[["Subject"], Awaitable[None]]


class Nobody:
    """Members of a cluster of one (`announcer.Members`)."""

    def __init__(self) -> None:
        self.tell: list[Callable[[str, Liveness], None]] = []
        self.receive: list[Callable[[bytes], None]] = []

    def liveness(self, node: str) -> Liveness:
        return Liveness.UNKNOWN

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        self.tell.append(on_change)
        self.receive.append(on_message)

    def send(self, node: str, data: bytes) -> None:
        """There is nobody."""


class Subject:
    """An announcer under test on node n1, and all that happens around it."""

    def __init__(self, make: Make, clock: Callable[[], float]) -> None:
        self.members, self.changes = Nobody(), 0
        self.it = make(
            Context(
                node="n1",
                boot=1,
                keys=Keys,
                members=self.members,
                clock=clock,
                random=random.Random(1),
                count=lambda name, address, by=1: None,
                changed=self._changed,
            )
        )

    def _changed(self) -> None:
        self.changes += 1

    async def apply(self, *items: Announcement) -> None:
        await self.it.apply(Desired(items, {"all": NodeSet("all", {"n1": ""})}))

    def announced(self) -> set[IPAddress]:
        """What it says that it announces."""
        return set(self.it.status().owned)

    async def owns(self, *addresses: IPAddress) -> None:
        """Waits until exactly these are announced."""
        async with asyncio.timeout(PATIENCE):
            while self.announced() != set(addresses):
                await asyncio.sleep(0.01)

    async def speaker_is_told(self) -> None:
        """Waits until it says that there is news."""
        async with asyncio.timeout(PATIENCE):
            while not self.changes:
                await asyncio.sleep(0.01)


class RoutingSubject(Subject):
    """An announcer of routes: addresses are prefixes, and told to a router."""

    def __init__(self, make: Make, clock: Callable[[], float], router: Router) -> None:
        super().__init__(make, clock)
        address = ipaddress.ip_address(router.address)
        self._plan = PeerPlan("router", "all", 64512, ASN, address=address, port=router.port)
        self.router = router

    async def apply(self, *items: Announcement) -> None:
        peers = [self._plan]
        if any(item.interfaces for item in items):  # a bad item
            nowhere = replace(self._plan, name="bad", address=None, interface="no-such-link")
            peers.insert(0, nowhere)
        routes = tuple(Route(ipaddress.ip_network(item.address), "all") for item in items)
        sets = {"all": NodeSet("all", {"n1": ""})}
        await self.it.apply(Desired(node_sets=sets, routes=routes, peers=tuple(peers)))

    def announced(self) -> set[IPAddress]:
        return {network.network_address for network in self.it.status().sent}


class FollowingSubject(Subject):
    """An announcer that follows another one, which owns what the plan says; told to a server."""

    def __init__(self, make: Make, clock: Callable[[], float], server: WebhookServer) -> None:
        super().__init__(make, clock)
        self.server = server

    async def apply(self, *items: Announcement) -> None:
        owned = {item.address: Owned(item.address, ClaimOrder(1, True, 0)) for item in items}
        await self.it.apply(Desired(items, {"all": NodeSet("all", {"n1": ""})}, owned=owned))

    def announced(self) -> set[IPAddress]:
        return {ipaddress.ip_address(text) for text in self.server.held("n1")}


def announcement(address: IPAddress, **fields: object) -> Announcement:
    return Announcement(address, 1, "n1", "all", **fields)  # type: ignore[arg-type]


# --- the contract --------------------------------------------------------------------------------


async def it_has_a_name_and_a_protocol(subject: Subject) -> None:
    assert isinstance(subject.it.name, str)
    assert isinstance(subject.it.protocol, str)
    assert subject.it.name
    assert subject.it.protocol


async def before_the_first_apply_it_owns_nothing(subject: Subject) -> None:
    assert subject.announced() == set()


async def it_announces_what_it_is_given(subject: Subject) -> None:
    await subject.apply(announcement(ONE), announcement(TWO))
    await subject.owns(ONE, TWO)
    await subject.speaker_is_told()


async def applying_the_same_again_changes_nothing(subject: Subject) -> None:
    await subject.apply(announcement(ONE), announcement(TWO))
    await subject.owns(ONE, TWO)
    before = subject.it.status()
    await subject.apply(announcement(TWO), announcement(ONE))
    assert subject.it.status() == before


async def what_is_not_given_any_more_is_withdrawn(subject: Subject) -> None:
    await subject.apply(announcement(ONE), announcement(TWO))
    await subject.owns(ONE, TWO)
    await subject.apply(announcement(TWO))
    await subject.owns(TWO)
    await subject.apply()
    await subject.owns()


async def a_bad_item_does_not_stop_the_others(subject: Subject) -> None:
    bad = [
        announcement(ipaddress.ip_address("192.0.2.66"), interfaces=frozenset({"no-such-link"})),
        announcement(ipaddress.ip_address("ff02::1")),
    ]
    await subject.apply(bad[0], announcement(ONE), bad[1], announcement(TWO))
    async with asyncio.timeout(PATIENCE):
        while not {ONE, TWO} <= subject.announced():
            await asyncio.sleep(0.01)


async def another_nodes_address_is_not_owned(subject: Subject) -> None:
    sets = {"all": NodeSet("all", {"n1": "", "n2": ""})}
    await subject.it.apply(Desired((Announcement(TWO, 1, "n2", "all"),), sets))
    await asyncio.sleep(0.5)
    assert subject.it.status().owned == {}


async def if_it_looks_it_answers_with_the_id_and_in_time(subject: Subject) -> None:
    """What it does not know how to look at it leaves to others."""
    if not isinstance(subject.it, Lookout):
        return
    await subject.apply(announcement(ONE))
    await subject.owns(ONE)
    for kind in LookKind:
        look = Look(f"a-{kind.value}", kind, ONE, 80 if kind is LookKind.CONNECT else 0, 1)
        async with asyncio.timeout(look.seconds + 1):
            sight = await subject.it.look(look)
        if sight is not None:
            assert (sight.id, sight.kind) == (look.id, kind.value)
            assert sight.message
    assert subject.announced() == {ONE}


async def after_its_end_it_is_quiet(subject: Subject) -> None:
    await subject.apply(announcement(ONE))
    await subject.owns(ONE)
    await subject.it.close(gracefully=False)
    changes = subject.changes
    for tell in subject.members.tell:
        tell("n2", Liveness.ALIVE)
    for receive in subject.members.receive:
        with contextlib.suppress(ValueError):
            receive(b"no message of this announcer")
    await asyncio.sleep(0.5)
    assert subject.changes <= changes + 1


async def it_may_end_before_anything_was_applied(subject: Subject) -> None:
    await subject.it.close(gracefully=True)


RULES = [
    it_has_a_name_and_a_protocol,
    before_the_first_apply_it_owns_nothing,
    it_announces_what_it_is_given,
    applying_the_same_again_changes_nothing,
    what_is_not_given_any_more_is_withdrawn,
    a_bad_item_does_not_stop_the_others,
    another_nodes_address_is_not_owned,
    if_it_looks_it_answers_with_the_id_and_in_time,
    after_its_end_it_is_quiet,
    it_may_end_before_anything_was_applied,
]

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


async def put_through(rule: Rule, make: Make, clock: Callable[[], float]) -> None:
    await put(rule, Subject(make, clock))


async def put(rule: Rule, subject: Subject) -> None:
    await subject.it.start()
    try:
        await rule(subject)
    finally:
        await subject.it.close(gracefully=True)


# --- who is put through it -----------------------------------------------------------------------


@pytest.mark.looptime
@every_rule
async def test_layer2_on_sockets_in_memory(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellmetal_layer2.links.PacketSocket", FakeSocket)
    monkeypatch.setattr("bellmetal_layer2.links.Memberships", FakeMemberships)
    monkeypatch.setattr("bellmetal_layer2.announcer.Watcher", FakeWatcher)
    await put_through(rule, Layer2Announcer, asyncio.get_running_loop().time)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if rule is not another_nodes_address_is_not_owned],
    ids=lambda rule: rule.__name__,
)
async def test_bgp_with_a_router_on_loopback(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes of other nodes are never given to it, so it cannot take them for its own."""
    monkeypatch.setattr("bellmetal_bgp.wire.FAREWELL", 0.05)
    async with Router() as router:
        await put(rule, RoutingSubject(BGPAnnouncer, time.monotonic, router))


@every_rule
async def test_the_example_with_an_http_server_on_loopback(
    rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with WebhookServer() as server:
        monkeypatch.setenv("WEBHOOK_URL", server.url)
        await put(rule, FollowingSubject(WebhookAnnouncer, time.monotonic, server))


@pytest.fixture(scope="module")
def namespace() -> Iterator[None]:
    """This thread in a network namespace of its own, with one Ethernet link."""
    if os.geteuid() != 0:
        pytest.skip("not root: no network namespace")
    name, libc = f"bellmetal-contract-{os.getpid()}", ctypes.CDLL(None, use_errno=True)
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    try:
        batch = "link add lan0 type veth peer name lan1\nlink set lan0 up\nlink set lan1 up\n"
        command = ["ip", "-n", name, "-batch", "-"]
        subprocess.run(command, input=batch, text=True, check=True, capture_output=True)
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{name}") as inside:
            assert libc.setns(inside.fileno(), 0) == 0
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), 0) == 0
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.usefixtures("namespace")
@every_rule
async def test_layer2_on_real_sockets(rule: Rule) -> None:
    await put_through(rule, Layer2Announcer, time.monotonic)
