"""BGP messages put together by hand for tests, octet by octet: nothing of our codecs is used."""

from __future__ import annotations

OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE_REFRESH = 1, 2, 3, 4, 5


def number(value: int, octets: int) -> bytes:
    return value.to_bytes(octets, "big")


def message(kind: int, body: bytes = b"", length: int | None = None) -> bytes:
    """With the length that it has, or that it says it has."""
    said = 19 + len(body) if length is None else length
    return b"\xff" * 16 + number(said, 2) + bytes([kind]) + body


def counted(value: bytes, octets: int = 1, off: int = 0) -> bytes:
    """Its length before it, wrong by ``off``."""
    return number(len(value) + off, octets) + value


def opened(
    parameters: bytes = b"",
    *,
    version: int = 4,
    asn: int = 65001,
    hold_time: int = 90,
    router_id: bytes = b"\x0a\0\0\1",
    off: int = 0,
) -> bytes:
    """An OPEN; ``off`` is how wrong the length of its optional parameters is."""
    head = bytes([version]) + number(asn, 2) + number(hold_time, 2) + router_id
    return message(OPEN, head + counted(parameters, off=off))


def capability(code: int, value: bytes = b"", off: int = 0) -> bytes:
    return bytes([code]) + counted(value, off=off)


def parameter(value: bytes, kind: int = 2, off: int = 0) -> bytes:
    return bytes([kind]) + counted(value, off=off)


def attribute(flags: int, kind: int, value: bytes, off: int = 0) -> bytes:
    octets = 2 if flags & 0x10 else 1
    return bytes([flags, kind]) + counted(value, octets, off)


def update(withdrawn: bytes = b"", path: bytes = b"", nlri: bytes = b"") -> bytes:
    return message(UPDATE, counted(withdrawn, 2) + counted(path, 2) + nlri)


# --- what is right -------------------------------------------------------------------------------

ORIGIN = attribute(0x40, 1, b"\0")
AS_PATH = attribute(0x40, 2, b"\x02\x01" + number(65001, 4))
NEXT_HOP = attribute(0x40, 3, b"\xc0\x00\x02\x01")
MED = attribute(0x80, 4, number(50, 4))
LOCAL_PREF = attribute(0x40, 5, number(100, 4))
PATH = ORIGIN + AS_PATH + NEXT_HOP
A, B = b"\x20\x0a\0\0\1", b"\x18\xc6\x33\x64"  # 10.0.0.1/32, 198.51.100.0/24
SIX = b"\x40\x20\x01\x0d\xb8\0\0\0\1"  # 2001:db8:0:1::/64
HOP6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\1"


def reach(nlri: bytes = SIX, hop: bytes = HOP6, family: tuple[int, int] = (2, 1)) -> bytes:
    value = number(family[0], 2) + number(family[1], 1) + counted(hop) + b"\0" + nlri
    return attribute(0x90, 14, value)


def unreach(nlri: bytes = SIX, family: tuple[int, int] = (2, 1)) -> bytes:
    return attribute(0x90, 15, number(family[0], 2) + number(family[1], 1) + nlri)
