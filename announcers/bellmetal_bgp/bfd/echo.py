"""The Echo function (RFC 5880, section 6.4; RFC 5881, section 4): a sans-IO machine and its codec.

A packet from ourselves to ourselves, handed to the peer, whose forwarding sends it back: that it
returns proves the way there and back. It counts only once one has returned: a peer that says it
loops packets back and does not is no broken path.
Imported by the small process that keeps time, so it imports next to nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random

PORT = 3785
TTL = 255
PATIENCE = 20  # packets without an answer until we say that none comes back
RETRY = 1.0  # seconds between packets from then on

_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_PAYLOAD = struct.Struct("!4sIIQ4x")  # ours alone: what is in it is a local matter
_MAGIC = b"BMEC"
_TOS, _UDP_NUMBER = 0xC0, 17


class Payload(NamedTuple):
    """What returns: whose it is, which one, and a number that nobody can guess."""

    discriminator: int
    sequence: int
    nonce: int


def encode(payload: Payload, local: bytes) -> bytes:
    """A whole IPv4 packet from an address of ours (four bytes) to itself.

    The kernel fills in length, identification and checksum of the IP header.
    """
    data = _PAYLOAD.pack(_MAGIC, *payload)
    length = _UDP.size + len(data)
    pseudo = local + local + struct.pack("!HH", _UDP_NUMBER, length)
    checksum = _checksum(pseudo + _UDP.pack(PORT, PORT, length, 0) + data)
    header = _IP.pack(0x45, _TOS, _IP.size + length, 0, 0, TTL, _UDP_NUMBER, 0, local, local)
    return header + _UDP.pack(PORT, PORT, length, checksum) + data


def decode(data: bytes) -> Payload | None:
    """What came back, out of an IPv4 packet without options; None if it is none of ours."""
    at = _IP.size + _UDP.size
    if len(data) < at + _PAYLOAD.size or data[0] != 0x45:
        return None
    magic, *fields = _PAYLOAD.unpack_from(data, at)
    return Payload(*fields) if magic == _MAGIC else None


def _checksum(data: bytes) -> int:
    """RFC 768; 0 is written as its complement."""
    total = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


class Echo:
    """Sends while it has an interval. ``proven``: at least one has returned since it began."""

    def __init__(self, discriminator: int, dice: random.Random) -> None:
        self._discriminator, self._dice = discriminator, dice
        self._interval_us, self._mult = 0, 1
        self._nonce = self._sequence = self._returned = 0
        self._due = self._heard_at = 0.0
        self.proven = False

    def run(self, interval_us: int, mult: int, now: float) -> None:
        """With this interval from now on; 0: no more."""
        if interval_us and not self._interval_us:
            self._nonce = self._dice.getrandbits(64)
            self._sequence = self._returned = 0
            self._due, self.proven = now, False
        self._interval_us, self._mult = interval_us, mult
        self.proven = self.proven and interval_us > 0

    @property
    def unanswered(self) -> bool:
        """Many were sent, and none has ever returned."""
        return bool(self._interval_us) and not self.proven and self._sequence > PATIENCE

    @property
    def failed_at(self) -> float | None:
        """When too many in a row will not have returned."""
        if not self.proven:
            return None
        return self._heard_at + self._interval_us * self._mult / 1e6

    def deadline(self) -> float | None:
        """When there is something to do."""
        if not self._interval_us:
            return None
        failed = self.failed_at
        return self._due if failed is None else min(self._due, failed)

    def tick(self, now: float) -> Payload | None:
        """What to send now, if anything; 0 to 25 % earlier than agreed, as Control packets are."""
        if not self._interval_us or now < self._due:
            return None
        interval = RETRY if self.unanswered else self._interval_us / 1e6
        self._due = now + interval * self._dice.uniform(0.75, 1.0)
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return Payload(self._discriminator, self._sequence, self._nonce)

    def receive(self, payload: Payload, now: float) -> bool:
        """Whether that is one that was sent and has not returned before."""
        known = payload.nonce == self._nonce and payload.discriminator == self._discriminator
        if not (self._interval_us and known):
            return False
        if not self._returned < payload.sequence <= self._sequence:
            return False
        self._returned, self._heard_at, self.proven = payload.sequence, now, True
        return True
