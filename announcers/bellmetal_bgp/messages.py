"""BGP messages ⇄ bytes (RFC 4271, section 4).

UPDATE messages that come in are read by `update.py`; those that we send are packed there.
What needs the configuration, as whether an AS number is the peer's, is the session's to judge.
"""

from __future__ import annotations

import enum
import ipaddress
import struct
from dataclasses import dataclass
from typing import TypeAlias

from bellmetal_bgp import capabilities as caps
from bellmetal_bgp.capabilities import Capabilities
from bellmetal_bgp.codes import AS_TRANS, MessageType
from bellmetal_bgp.decoding import Decoding
from bellmetal_bgp.families import Family
from bellmetal_bgp.framing import HEADER_LENGTH, LIMIT, Stream, bad_length, frame, read_header
from bellmetal_bgp.notifications import Code, DecodeError, Notification, OpenError, RefreshError
from bellmetal_bgp.update import Update, decode_body

__all__ = [
    "DecodeError",
    "Decoding",
    "Keepalive",
    "Message",
    "Notification",
    "Open",
    "Refresh",
    "RouteRefresh",
    "Stream",
    "Update",
    "decode",
    "encode",
]

VERSION = 4
NOTHING_YET = Decoding()
_OPEN = struct.Struct("!BHH4sB")
_EXTENDED = struct.Struct("!BBH")  # where an OPEN has its parameters' length (RFC 9072, section 2)
_EXTENDED_MARK = 255
_CAPABILITIES = 2  # the optional parameter (RFC 5492, section 4)
_REFRESH = struct.Struct("!HBB")
_MOST_DATA = LIMIT - HEADER_LENGTH - 2  # of a NOTIFICATION


class Refresh(enum.IntEnum):
    """What a ROUTE-REFRESH says (RFC 2918; RFC 7313); any other subtype is to be ignored."""

    REQUEST = 0
    BEGIN = 1
    END = 2


@dataclass(frozen=True, slots=True)
class Open:
    """OPEN. ``asn`` is the one of four octets where there is one; ``hold_time`` in seconds."""

    asn: int
    hold_time: int
    router_id: ipaddress.IPv4Address
    capabilities: Capabilities = Capabilities()


@dataclass(frozen=True, slots=True)
class Keepalive:
    """KEEPALIVE."""


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """ROUTE-REFRESH; ``subtype`` is a Refresh, or a number to be ignored (RFC 7313, section 5)."""

    family: Family
    subtype: int = Refresh.REQUEST


Message: TypeAlias = Open | Keepalive | Notification | RouteRefresh | Update


def encode(message: Open | Keepalive | Notification | RouteRefresh) -> bytes:
    """The whole message, header and all. Data of a NOTIFICATION are cut to what it can carry."""
    match message:
        case Open():
            return frame(MessageType.OPEN, _open(message))
        case Keepalive():
            return frame(MessageType.KEEPALIVE, b"")
        case Notification(code, subcode, data):
            return frame(MessageType.NOTIFICATION, bytes([code, subcode]) + data[:_MOST_DATA])
        case RouteRefresh(family, subtype):
            body = _REFRESH.pack(family.afi, subtype, family.safi)
            return frame(MessageType.ROUTE_REFRESH, body)


def _open(message: Open) -> bytes:
    asn = message.asn if message.asn <= 0xFFFF else AS_TRANS
    said = message.capabilities.encode()
    parameter = bytes([_CAPABILITIES, len(said)]) + said if 0 < len(said) < 254 else b""
    head = VERSION, asn, message.hold_time, message.router_id.packed
    if len(said) == len(parameter[2:]):
        return _OPEN.pack(*head, len(parameter)) + parameter
    parameter = bytes([_CAPABILITIES]) + len(said).to_bytes(2, "big") + said
    extended = _EXTENDED.pack(_EXTENDED_MARK, _EXTENDED_MARK, len(parameter))
    return _OPEN.pack(*head, 0)[:-1] + extended + parameter


def decode(raw: bytes, negotiated: Decoding = NOTHING_YET) -> Message:
    """A message out of all its bytes, header included; raises DecodeError.

    A NOTIFICATION is never wrong in itself, whatever its numbers are (RFC 4271, section 6.4).
    """
    if len(raw) < HEADER_LENGTH:
        raise bad_length(f"{len(raw)} octets are no message", len(raw))
    length, kind = read_header(raw, negotiated.extended)
    if length != len(raw):
        raise bad_length(f"{kind.name} says {length} octets, has {len(raw)}", length)
    match kind:
        case MessageType.UPDATE:
            return decode_body(raw[HEADER_LENGTH:], negotiated)
        case MessageType.KEEPALIVE:
            return Keepalive()
        case MessageType.OPEN:
            return _decode_open(raw[HEADER_LENGTH:])
        case MessageType.NOTIFICATION:
            return Notification(
                raw[HEADER_LENGTH], raw[HEADER_LENGTH + 1], raw[HEADER_LENGTH + 2 :]
            )
        case MessageType.ROUTE_REFRESH:
            return _decode_refresh(raw)


def _decode_refresh(raw: bytes) -> RouteRefresh:
    body = raw[HEADER_LENGTH:]
    if len(body) == _REFRESH.size:
        afi, subtype, safi = _REFRESH.unpack(body)
        return RouteRefresh(Family(afi, safi), subtype)
    text = f"ROUTE-REFRESH of {len(raw)} octets"
    if len(body) > 2 and body[2] in (Refresh.BEGIN, Refresh.END):
        code, subcode = Code.ROUTE_REFRESH, RefreshError.INVALID_MESSAGE_LENGTH
        raise DecodeError(text, code, subcode, raw)  # RFC 7313, section 5
    raise bad_length(text, len(raw))


# --- OPEN ----------------------------------------------------------------------------------------


def _decode_open(body: bytes) -> Open:
    version, asn, hold_time, router_id, _ = _OPEN.unpack_from(body)
    if version != VERSION:
        data = VERSION.to_bytes(2, "big")
        raise _wrong(f"version {version}, not {VERSION}", OpenError.UNSUPPORTED_VERSION, data)
    said = caps.decode(b"".join(_capability_parameters(body)))
    if said.asn4 is not None:
        asn = said.asn4
    if asn == 0:
        raise _wrong("AS number 0", OpenError.BAD_PEER_AS)  # RFC 7607, section 2
    if hold_time in (1, 2):
        raise _wrong(f"hold time of {hold_time} s", OpenError.UNACCEPTABLE_HOLD_TIME)
    if router_id == bytes(4):  # RFC 6286, section 2.2
        raise _wrong("BGP Identifier 0.0.0.0", OpenError.BAD_BGP_IDENTIFIER)
    return Open(asn, hold_time, ipaddress.IPv4Address(router_id), said)


def _wrong(text: str, subcode: OpenError, data: bytes = b"") -> DecodeError:
    return DecodeError(f"OPEN: {text}", Code.OPEN, subcode, data)


def _capability_parameters(body: bytes) -> list[bytes]:
    """Values of the optional parameters, all of which must be capabilities."""
    length, at, wide = body[_OPEN.size - 1], _OPEN.size, 1
    if length and body[at : at + 1] == bytes([_EXTENDED_MARK]):  # RFC 9072, section 2
        if len(body) < at + 3:
            raise _wrong("the parameters' extended length is cut off", OpenError.UNSPECIFIC)
        length, at, wide = int.from_bytes(body[at + 1 : at + 3], "big"), at + 3, 2
    if at + length != len(body):
        text = f"{length} octets of optional parameters, {len(body) - at} are there"
        raise _wrong(text, OpenError.UNSPECIFIC)
    values = []
    while at < len(body):
        kind, start = body[at], at + 1 + wide
        at = start + int.from_bytes(body[at + 1 : start], "big")
        if max(at, start) > len(body):
            raise _wrong("an optional parameter goes beyond the end", OpenError.UNSPECIFIC)
        if kind != _CAPABILITIES:
            text = f"optional parameter {kind} is not supported"
            raise _wrong(text, OpenError.UNSUPPORTED_OPTIONAL_PARAMETER)
        values.append(body[start:at])
    return values
