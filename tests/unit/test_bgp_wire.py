"""One connection on asyncio: what its owner is told, and what the other side gets last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from bellmetal_bgp.wire import Wire

PATIENCE = 5.0


class Owner:
    """What a wire told it (`wire.Owner`)."""

    def __init__(self) -> None:
        self.got = b""
        self.ends: list[str] = []
        self.blocks: list[bool] = []
        self.done = False

    def heard(self, number: int, data: bytes) -> None:
        self.got += data

    def lost(self, number: int, message: str) -> None:
        self.ends.append(message)

    def blocked(self, number: int, blocked: bool) -> None:
        self.blocks.append(blocked)

    def finished(self, wire: Wire) -> None:
        self.done = True


async def soon(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


class Both:
    """A wire with its owner, and the other side as a plain socket."""

    def __init__(self, wire: Wire, owner: Owner, there: socket.socket) -> None:
        self.wire, self.owner, self.there = wire, owner, there

    async def read(self, length: int) -> bytes:
        found = b""
        async with asyncio.timeout(PATIENCE):
            while len(found) < length:
                data = await asyncio.get_running_loop().sock_recv(self.there, 65536)
                if not data:
                    break
                found += data
        return found

    def fill(self) -> int:
        """Sends until the kernel takes no more; how much that is."""
        sent = 0
        while not self.owner.blocks:
            self.wire.send(b"x" * 4096)
            sent += 4096
            assert sent < 64 << 20
        return sent

    def drain(self) -> int:
        """Reads what the kernel holds, before the loop can give it more; how much that was."""
        self.there.settimeout(0.05)
        taken = 0
        try:
            while data := self.there.recv(65536):
                taken += len(data)
        except TimeoutError:
            self.there.setblocking(False)
        return taken


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    listener = socket.create_server(("127.0.0.1", 0))
    here = socket.create_connection(listener.getsockname())
    there, _ = listener.accept()
    listener.close()
    for one in (here, there):
        one.setblocking(False)
    owner = Owner()
    wire = Wire(1, owner, owner.finished)
    await asyncio.get_running_loop().create_connection(lambda: wire, sock=here)
    yield Both(wire, owner, there)
    there.close()
    wire.finish()
    await soon(lambda: owner.done)


async def test_octets_go_both_ways(both: Both) -> None:
    both.wire.send(b"one")
    both.wire.send(b"two")
    assert await both.read(6) == b"onetwo"
    both.there.send(b"three")
    await soon(lambda: both.owner.got == b"three")


async def test_it_says_at_once_that_the_peer_does_not_read(both: Both) -> None:
    """At the first octet that the kernel does not take: RFC 9687's timer begins there."""
    sent = both.fill()
    taken = both.drain()
    assert 0 < sent - taken <= 4096
    assert both.owner.blocks == [True]
    assert len(await both.read(sent - taken)) == sent - taken
    await soon(lambda: both.owner.blocks == [True, False])


async def test_an_end_without_a_word(both: Both) -> None:
    both.there.close()
    await soon(lambda: both.owner.ends)
    assert both.owner.ends == ["the peer closed the TCP connection without a NOTIFICATION"]
    assert both.owner.done


async def test_a_reset(both: Both) -> None:
    linger = b"\1\0\0\0\0\0\0\0"
    both.there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    both.there.close()
    await soon(lambda: both.owner.ends)
    assert both.owner.ends == ["the TCP connection ended: Connection reset by peer"]


async def test_the_last_word_arrives_though_the_peers_are_not_read(both: Both) -> None:
    """With octets left unread the kernel would send a RST, which overtakes it."""
    both.there.send(b"y" * 100_000)
    both.wire.send(b"farewell")
    both.wire.finish()
    assert await both.read(9) == b"farewell"
    both.there.close()
    await soon(lambda: both.owner.done)
    assert both.owner.ends == []


async def test_after_its_end_its_owner_hears_nothing(both: Both) -> None:
    """Another connection may have its number by then."""
    sent = both.fill()
    both.wire.finish()
    both.wire.finish()
    both.wire.send(b"too late")
    both.there.send(b"so is this")
    assert len(await both.read(sent + 1)) == sent
    both.there.close()
    await soon(lambda: both.owner.done)
    assert both.owner.blocks == [True]
    assert (both.owner.got, both.owner.ends) == (b"", [])


async def test_a_peer_that_takes_no_farewell_is_cut_off(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellmetal_bgp.wire.FAREWELL", 0.02)
    both.fill()
    both.wire.finish()
    await soon(lambda: both.owner.done)
    assert both.owner.ends == []
