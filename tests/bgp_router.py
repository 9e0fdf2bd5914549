"""A small router on loopback: real TCP, real messages; what it is told is kept for the test."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address

from bellmetal.announcer import Context, Liveness
from bellmetal.keyring import Keys
from bellmetal_bgp.capabilities import Capabilities
from bellmetal_bgp.families import IPV4_UNICAST
from bellmetal_bgp.messages import Keepalive, Notification, Open, RouteRefresh, Stream, encode
from bgp_sessions import Learned

ADDRESS, ASN = "127.0.0.2", 64513
SPOKEN = Open(
    ASN,
    90,
    IPv4Address(ADDRESS),
    Capabilities(families=frozenset({IPV4_UNICAST}), route_refresh=True, asn4=ASN),
)
PATIENCE = 5.0


class Nobody:
    """Members of a cluster of one (`announcer.Members`)."""

    def liveness(self, node: str) -> Liveness:
        return Liveness.UNKNOWN

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        """There is nobody to hear of."""

    def send(self, node: str, data: bytes) -> None:
        """There is nobody."""


def context(clock: Callable[[], float], changed: Callable[[], None] = lambda: None) -> Context:
    return Context(
        node="n1",
        boot=1,
        keys=Keys,
        members=Nobody(),
        clock=clock,
        random=random.Random(1),
        count=lambda name, address, by=1: None,
        changed=changed,
    )


async def soon(condition: Callable[[], object], what: str = "") -> None:
    """Waits until it holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"in vain: {what or condition}") from None


class Heard:
    """One connection as the router sees it. ``types``: of the messages that came, in order."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.learned = Learned()
        self.types: list[int] = []
        self.said: bytes | None = None  # the NOTIFICATION's body
        self.ended = False
        self.updates = 0

    @property
    def up(self) -> bool:
        return 4 in self.types and not self.ended

    def say(self, *messages: Open | Keepalive | Notification | RouteRefresh | bytes) -> None:
        parts = [item if isinstance(item, bytes) else encode(item) for item in messages]
        self.writer.write(b"".join(parts))


class Router:
    """Listens; speaks OPEN and KEEPALIVE, unless ``greet`` does something else with a call."""

    def __init__(self, opened: Open = SPOKEN, address: str = ADDRESS) -> None:
        self.opened, self.address, self.port = opened, address, 0
        self.calls: list[Heard] = []
        self.greet: Callable[[Heard], Awaitable[None]] = self._greet
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Router:
        self._server = await asyncio.start_server(self._called, self.address, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *problem: object) -> None:
        assert self._server is not None
        self._server.close()
        for call in self.calls:
            call.writer.close()
        await soon(lambda: all(call.ended for call in self.calls), "connections to end")

    async def _greet(self, heard: Heard) -> None:
        heard.say(self.opened, Keepalive())

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = Heard(writer)
        self.calls.append(heard)
        await self.listen(heard, reader)

    async def listen(self, heard: Heard, reader: asyncio.StreamReader) -> None:
        stream = Stream()
        try:
            await self.greet(heard)
            while data := await reader.read(65536):
                heard.updates += len(heard.learned.feed(data))
                stream.feed(data)
                for message in stream.messages():
                    heard.types.append(message[18])
                    if message[18] == 3:
                        heard.said = message[19:]
        except ConnectionError:
            pass
        finally:
            heard.ended = True
            heard.writer.close()
            with contextlib.suppress(ConnectionError):
                await heard.writer.wait_closed()

    async def call(self, address: str, port: int) -> Heard:
        """Calls a speaker that listens."""
        reader, writer = await asyncio.open_connection(address, port, local_addr=(self.address, 0))
        heard = Heard(writer)
        self.calls.append(heard)
        self._task = asyncio.create_task(self.listen(heard, reader))
        return heard

    @property
    def last(self) -> Heard:
        return self.calls[-1]
