"""One TCP connection on asyncio: bytes in by small portions, bytes out, an end that is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

PORTION = 16_384  # octets read before the loop gets its turn
FAREWELL = 1.0  # seconds for the peer to take what was said last


class Owner(Protocol):
    """Who is told of a connection's fate, by its number."""

    def heard(self, number: int, data: bytes) -> None:
        """Bytes came in."""
        ...

    def lost(self, number: int, message: str) -> None:
        """It has ended, not by us."""
        ...

    def blocked(self, number: int, blocked: bool) -> None:
        """It takes no more, or again."""
        ...


class Wire(asyncio.BufferedProtocol):
    """A connection that is up."""

    def __init__(self, number: int, owner: Owner, done: Callable[[Wire], None]) -> None:
        self.number, self._owner, self._done = number, owner, done
        self._buffer = bytearray(PORTION)
        self._transport: asyncio.Transport | None = None
        self._finishing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # What the kernel does not take waits here. Told at its first octet, the session adds
        # nothing but KEEPALIVEs, and the SendHoldTimer runs (RFC 9687).
        transport.set_write_buffer_limits(0)

    def get_buffer(self, sizehint: int) -> bytearray:
        """asyncio's."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio's."""
        if not self._finishing:
            self._owner.heard(self.number, bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> bool:
        """The peer has closed its side: so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        self._done(self)
        if not self._finishing:
            words = "the peer closed the TCP connection without a NOTIFICATION"
            if isinstance(exc, OSError):
                words = f"the TCP connection ended: {exc.strerror or exc}"
            self._owner.lost(self.number, words)

    def pause_writing(self) -> None:
        """asyncio's."""
        self._blocked(True)

    def resume_writing(self) -> None:
        """asyncio's."""
        self._blocked(False)

    def _blocked(self, blocked: bool) -> None:
        if not self._finishing:
            self._owner.blocked(self.number, blocked)

    def send(self, data: bytes) -> None:
        """Hands bytes over."""
        if self._transport is not None and not self._finishing:
            self._transport.write(data)

    def finish(self) -> None:
        """Ends it; what was handed over goes out first, if the peer takes it within a second.

        Only our side is closed at first: closing both, with octets of the peer's unread, would make
        the kernel send a RST, and that could overtake a NOTIFICATION.
        """
        if self._finishing or self._transport is None:
            return
        self._finishing = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(FAREWELL, self._transport.abort)
