"""BGP's UPDATEs in captured frames, each with the moments at which it began and ended. Pure.

May live here: frames → streams → messages → prefixes of IPv4 unicast (RFC 4271). It is not our own
codec: that is what is measured.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from lab.capture import Frame
from lab.errors import LabError

PORT = 179
MARKER, HEADER = b"\xff" * 16, 19
UPDATE = 2
_SYN = 0x02

End: TypeAlias = tuple[str, int]  # address and port


@dataclass(frozen=True)
class Segment:
    """A TCP segment: whose, from which byte of its stream on (RFC 9293's SEG.SEQ)."""

    at: float
    source: End
    target: End
    sequence: int
    opens: bool
    data: bytes


@dataclass(frozen=True)
class Update:
    """An UPDATE: monotonic seconds of its first and last byte, who told whom, the prefixes."""

    began: float
    ended: float
    source: str
    target: str
    announced: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()

    @property
    def prefixes(self) -> tuple[str, ...]:
        """All of them; none in an End-of-RIB."""
        return self.announced + self.withdrawn


def updates(frames: Iterable[Frame]) -> list[Update]:
    """All UPDATEs, in the order in which they ended."""
    streams: dict[tuple[End, End], Stream] = {}
    found = []
    for frame in frames:
        segment = _segment(frame)
        if segment is None:
            continue
        key = segment.source, segment.target
        if segment.opens or key not in streams:
            streams[key] = Stream(segment.sequence + segment.opens)
        for began, kind, body in streams[key].take(segment):
            if kind == UPDATE:
                ends = segment.source[0], segment.target[0]
                found.append(Update(began, segment.at, *ends, *_prefixes(body)))
    return found


def _segment(frame: Frame) -> Segment | None:
    """The TCP segment of a frame of BGP over IPv4; None if it is something else."""
    data = frame.data
    if len(data) < 54 or data[12:14] != b"\x08\x00" or data[23] != 6:
        return None
    head = 14 + (data[14] & 0xF) * 4
    (length,) = struct.unpack_from("!H", data, 16)
    sport, dport, sequence = struct.unpack_from("!HHI", data, head)
    if PORT not in (sport, dport):
        return None
    if len(data) < 14 + length:
        raise LabError(f"the sniffer has kept {len(data)} bytes of a frame of {14 + length}")
    body = data[head + (data[head + 12] >> 4) * 4 : 14 + length]
    source, target = (str(ipaddress.IPv4Address(data[at : at + 4])) for at in (26, 30))
    opens = bool(data[head + 13] & _SYN)
    return Segment(frame.at, (source, sport), (target, dport), sequence, opens, body)


@dataclass
class Stream:
    """One direction of a connection: segments in, whole messages out. ``next``: the byte due."""

    next: int
    _waiting: dict[int, bytes] = field(default_factory=dict)
    _left: bytes = b""  # of a message that is not whole yet
    _began: float = 0.0

    def take(self, segment: Segment) -> Iterator[tuple[float, int, bytes]]:
        """The messages that are whole now: when each began, its type and body."""
        self._waiting[segment.sequence + segment.opens] = segment.data
        while (piece := self._due()) is not None:
            yield from self._cut(segment.at, piece)

    def _due(self) -> bytes | None:
        """What comes next of the segments that wait; what was there already is left out."""
        for sequence in sorted(self._waiting, key=lambda number: number - self.next):
            data = self._waiting[sequence]
            known = (self.next - sequence) % 2**32
            if known >= 2**31:
                continue  # something before it is missing
            del self._waiting[sequence]
            if known < len(data):
                self.next = (sequence + len(data)) % 2**32
                return data[known:]
        return None

    def _cut(self, at: float, piece: bytes) -> Iterator[tuple[float, int, bytes]]:
        if not self._left:
            self._began = at
        data = self._left + piece
        while len(data) >= HEADER:
            if not data.startswith(MARKER):
                raise LabError("what was sniffed is not BGP")
            length, kind = struct.unpack_from("!HB", data, 16)
            if len(data) < length:
                break
            yield self._began, kind, data[HEADER:length]
            data, self._began = data[length:], at
        self._left = data


def _prefixes(body: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Announced and withdrawn ones (RFC 4271, section 4.3)."""
    (size,) = struct.unpack_from("!H", body)
    (attributes,) = struct.unpack_from("!H", body, 2 + size)
    return tuple(_listed(body[4 + size + attributes :])), tuple(_listed(body[2 : 2 + size]))


def _listed(data: bytes) -> Iterator[str]:
    position = 0
    while position < len(data):
        bits = data[position]
        width = (bits + 7) // 8
        address = data[position + 1 : position + 1 + width].ljust(4, b"\0")
        yield f"{ipaddress.IPv4Address(address)}/{bits}"
        position += 1 + width
