"""A BGP speaker in one namespace and peers that mean it no good in another: octets by hand.

The speaker runs in this process, whose main thread moves into the node's namespace; its peers are
sockets of the client's. Each case has a peer of its own, told apart by the address that it is
called at.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bellmetal.announcer import Desired, Password
from bellmetal.facts import SessionFacts, SessionState
from bellmetal.intents import NodeSet, PeerPlan, Route
from bellmetal_bgp.announcer import BGPAnnouncer
from bgp_bytes import KEEPALIVE, capability, message, opened, parameter
from bgp_router import context
from lab import netns, sockets
from lab.wire import LINK, Wire

OURS, THEIRS = 64512, 64513
NET = "10.76.8.0/21"  # all of it is the client's
FIRST = ipaddress.IPv4Address("10.76.8.1")
PORT = 179
OPEN = opened(
    parameter(capability(1, b"\0\1\0\1"))
    + parameter(capability(2))
    + parameter(capability(65, THEIRS.to_bytes(4, "big"))),
    asn=THEIRS,
)
HELLO = OPEN + message(KEEPALIVE)
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and so what the process sees in /proc/net, in that namespace."""
    with open("/proc/self/ns/net") as before, (sockets.NETNS / namespace).open() as there:
        assert _libc.setns(there.fileno(), sockets.CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert _libc.setns(before.fileno(), sockets.CLONE_NEWNET) == 0


@contextlib.contextmanager
def enemies(path: Path) -> Iterator[Wire]:
    """The two namespaces; every address of NET is the client's."""
    with Wire(path) as wire:
        netns.ip([f"route add local {NET} dev lo"], wire.client)
        with inside(wire.node):
            yield wire


@dataclass(eq=False)
class Call:
    """A connection of a peer's, once it is there."""

    socket: socket.socket
    got: bytes = b""

    async def read(self) -> bool:
        """Whether there was something."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
        except OSError:
            return False
        self.got += data
        return bool(data)

    async def say(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def greet(self, hello: bytes = HELLO) -> None:
        """Says OPEN and KEEPALIVE, and reads until the speaker has said both."""
        await self.say(hello)
        while message(KEEPALIVE) not in self.got and await self.read():
            pass

    async def end(self) -> None:
        """Reads until the speaker closes it."""
        while await self.read():
            pass

    def close(self) -> None:
        self.socket.close()

    @property
    def notification(self) -> tuple[int, int] | None:
        """Code and subcode of the NOTIFICATION that came last."""
        at, found = 0, None
        while at + 21 <= len(self.got):
            if self.got[at + 18] == 3:
                found = self.got[at + 19], self.got[at + 20]
            at += max(19, int.from_bytes(self.got[at + 16 : at + 18], "big"))
        return found


Behaviour = Callable[[Call], Awaitable[None]]


@dataclass(eq=False)
class Peer:
    """What a peer does with every call, and what became of it."""

    name: str
    address: ipaddress.IPv4Address
    behaviour: Behaviour
    calls: list[Call] = field(default_factory=list)

    @property
    def last(self) -> Call:
        return self.calls[-1]


class Stage:
    """The speaker, its peers, and how long its loop was busy at a time."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.peers = wire, dict[ipaddress.IPv4Address, Peer]()
        self.plans: dict[str, PeerPlan] = {}
        self.passwords: dict[str, Password] = {}
        self.it = BGPAnnouncer(context(time.monotonic))
        self.faults: list[str] = []
        self._server = self.listener(PORT)
        self._tasks: set[asyncio.Task[None]] = set()

    def listener(self, port: int) -> socket.socket:
        """A socket of the client's that listens at all of its addresses."""
        made = sockets.open_in(self.wire.client, socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind(("0.0.0.0", port))
        made.listen(512)
        return made

    def peer(self, name: str, behaviour: Behaviour, **fields: object) -> Peer:
        """One more, and the speaker's plan for it."""
        address = FIRST + len(self.plans)
        made = self.peers[address] = Peer(name, address, behaviour)
        self.plan(name, address=address, **fields)
        return made

    def plan(self, name: str, **fields: object) -> None:
        base = PeerPlan(name, "all", OURS, THEIRS, f"uid-{name}", port=PORT)
        self.plans[name] = replace(base, **fields)  # type: ignore[arg-type]

    async def apply(self, *routes: Route) -> None:
        sets = {"all": NodeSet("all", {"n1": ""})}
        peers = tuple(self.plans.values())
        await self.it.apply(
            Desired(node_sets=sets, routes=routes, peers=peers, passwords=self.passwords)
        )

    def facts(self, name: str) -> SessionFacts:
        return next(item for item in self.it.status().sessions if item.peer == name)

    def all_facts(self) -> dict[str, SessionFacts]:
        return {item.peer: item for item in self.it.status().sessions}

    def established(self, name: str) -> bool:
        return self.facts(name).state is SessionState.ESTABLISHED

    async def call(self, peer: Peer, port: int = PORT) -> Call:
        """The peer calls the speaker."""
        made = sockets.open_in(self.wire.client, socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.bind((str(peer.address), 0))
        await asyncio.get_running_loop().sock_connect(made, ("10.76.0.1", port))
        call = Call(made)
        peer.calls.append(call)
        return call

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            taken, _ = await loop.sock_accept(self._server)
            address = ipaddress.IPv4Address(taken.getsockname()[0])
            peer = self.peers[address]
            call = Call(taken)
            peer.calls.append(call)
            self.task(peer.behaviour(call))

    def task(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fault(self, loop: asyncio.AbstractEventLoop, what: dict[str, object]) -> None:
        self.faults.append(f"{what.get('message')}: {what.get('exception')!r}")

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Stage]:
        """At the end nothing of the speaker's may have failed unheard."""
        asyncio.get_running_loop().set_exception_handler(self._fault)
        await self.it.start()
        self.task(self._accept())
        try:
            yield self
        finally:
            await self.it.close(gracefully=False)
            for task in [*self._tasks]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for call in (call for peer in self.peers.values() for call in peer.calls):
                call.close()
            self._server.close()
        gc.collect()
        assert self.faults == []


class Stalls:
    """How long the loop was busy without a break, in seconds of its own CPU: other programs on the
    machine do not count."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now

    def stop(self) -> float:
        self._task.cancel()
        return self.longest


async def soon(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        await asyncio.sleep(0.01)


def memory() -> int:
    """Octets of this process in the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def full_table(prefixes: int, each: int = 0) -> Iterator[bytes]:
    """UPDATEs of so many prefixes, ``each`` with so many; 0: as full as they can be."""
    path = b"\x40\x01\x01\x00" + b"\x40\x02\x0e\x02\x03"
    path += b"".join(asn.to_bytes(4, "big") for asn in (THEIRS, 65010, 65020))
    path += b"\x40\x03\x04\x0a\x4c\x00\x02"
    head = b"\0\0" + len(path).to_bytes(2, "big") + path
    room = each or (4096 - 19 - len(head)) // 5
    for first in range(0, prefixes, room):
        numbers = range(first, min(first + room, prefixes))
        nlri = b"".join(b"\x20" + (0x14000000 + n).to_bytes(4, "big") for n in numbers)
        yield message(2, head + nlri)


__all__ = ["HELLO", "LINK", "Call", "Peer", "Stage", "Stalls", "enemies", "full_table", "soon"]
