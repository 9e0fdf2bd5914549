"""NOTIFICATION messages: codes, subcodes, what their data say, and all of it in words.

Codes: RFC 4271, section 4.5; 4486, 6608, 7313, 8538, 9384, 9687. No bytes of a message's header.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bellmetal_bgp.codes import CapabilityCode, attribute_name, capability_name
from bellmetal_bgp.families import Family

MOST_TEXT = 255  # octets of a communication (RFC 9003, section 2)
_SHOWN = 32  # octets of data that have no words


class Code(enum.IntEnum):
    """Error codes."""

    HEADER = 1
    OPEN = 2
    UPDATE = 3
    HOLD_TIMER_EXPIRED = 4
    FSM = 5
    CEASE = 6
    ROUTE_REFRESH = 7  # RFC 7313
    SEND_HOLD_TIMER_EXPIRED = 8  # RFC 9687


class Header(enum.IntEnum):
    """Subcodes of Code.HEADER."""

    UNSPECIFIC = 0
    CONNECTION_NOT_SYNCHRONIZED = 1
    BAD_MESSAGE_LENGTH = 2
    BAD_MESSAGE_TYPE = 3


class OpenError(enum.IntEnum):
    """Subcodes of Code.OPEN."""

    UNSPECIFIC = 0
    UNSUPPORTED_VERSION = 1
    BAD_PEER_AS = 2
    BAD_BGP_IDENTIFIER = 3
    UNSUPPORTED_OPTIONAL_PARAMETER = 4
    AUTHENTICATION_FAILURE = 5  # deprecated
    UNACCEPTABLE_HOLD_TIME = 6
    UNSUPPORTED_CAPABILITY = 7  # RFC 5492
    ROLE_MISMATCH = 11  # RFC 9234


class UpdateError(enum.IntEnum):
    """Subcodes of Code.UPDATE."""

    UNSPECIFIC = 0
    MALFORMED_ATTRIBUTE_LIST = 1
    UNRECOGNIZED_WELL_KNOWN = 2
    MISSING_WELL_KNOWN = 3
    ATTRIBUTE_FLAGS = 4
    ATTRIBUTE_LENGTH = 5
    INVALID_ORIGIN = 6
    AS_ROUTING_LOOP = 7  # deprecated
    INVALID_NEXT_HOP = 8
    OPTIONAL_ATTRIBUTE = 9
    INVALID_NETWORK_FIELD = 10
    MALFORMED_AS_PATH = 11


class FsmError(enum.IntEnum):
    """Subcodes of Code.FSM (RFC 6608): in which state an unexpected message came."""

    UNSPECIFIED = 0
    IN_OPEN_SENT = 1
    IN_OPEN_CONFIRM = 2
    IN_ESTABLISHED = 3


class Cease(enum.IntEnum):
    """Subcodes of Code.CEASE (RFC 4486; 8538; 9384)."""

    UNSPECIFIC = 0
    MAXIMUM_PREFIXES = 1
    ADMINISTRATIVE_SHUTDOWN = 2
    PEER_DECONFIGURED = 3
    ADMINISTRATIVE_RESET = 4
    CONNECTION_REJECTED = 5
    OTHER_CONFIGURATION_CHANGE = 6
    CONNECTION_COLLISION = 7
    OUT_OF_RESOURCES = 8
    HARD_RESET = 9
    BFD_DOWN = 10


class RefreshError(enum.IntEnum):
    """Subcodes of Code.ROUTE_REFRESH (RFC 7313)."""

    RESERVED = 0
    INVALID_MESSAGE_LENGTH = 1


@dataclass(frozen=True, slots=True)
class Notification:
    """One NOTIFICATION; numbers that nobody knows stay as they are."""

    code: int
    subcode: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        return words(self)


class DecodeError(ValueError):
    """Bytes that are not what BGP says; ``notification`` is what the peer is to be told."""

    def __init__(self, message: str, code: int, subcode: int = 0, data: bytes = b"") -> None:
        super().__init__(message)
        self.notification = Notification(code, subcode, data)


# --- what we send --------------------------------------------------------------------------------


def shutdown(text: str = "") -> Notification:
    """Administrative Shutdown, with a communication for people (RFC 9003), cut to 255 octets."""
    return Notification(Code.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN, _communication(text))


def reset(text: str = "") -> Notification:
    """Administrative Reset, likewise."""
    return Notification(Code.CEASE, Cease.ADMINISTRATIVE_RESET, _communication(text))


def hard(notification: Notification) -> Notification:
    """The same as a Hard Reset: routes are not to be kept (RFC 8538, section 3.1)."""
    data = bytes([notification.code, notification.subcode]) + notification.data
    return Notification(Code.CEASE, Cease.HARD_RESET, data)


def _communication(text: str) -> bytes:
    said = text.encode(errors="replace")[:MOST_TEXT]
    whole = said.decode(errors="ignore").encode()  # no half of a character at the end
    return bytes([len(whole)]) + whole


# --- in words ------------------------------------------------------------------------------------


def words(notification: Notification) -> str:
    """For people, safe to print anywhere: ``Cease: administrative shutdown: "maintenance"``."""
    code, subcode, data = notification.code, notification.subcode, notification.data
    hard_reset = (code, subcode) == (Code.CEASE, Cease.HARD_RESET)
    if hard_reset and len(data) >= 2 and tuple(data[:2]) != (code, subcode):
        return f"hard reset: {words(Notification(data[0], data[1], data[2:]))}"
    said = _name(code, subcode)
    detail = _DETAILS.get((code, subcode), _octets)(data) if data else ""
    return f"{said}: {detail}" if detail else said


def _name(code: int, subcode: int) -> str:
    if code not in _CODES:
        return f"error {code}/{subcode}"
    name, subcodes = _CODES[Code(code)]
    if subcodes is None:
        return name if subcode == 0 else f"{name}: subcode {subcode}"
    try:
        known = subcodes(subcode)
    except ValueError:
        return f"{name}: subcode {subcode}"
    if subcode == 0:
        return name
    plain = known.name.lower().replace("_", " ")
    for word, spelled in _SPELLED.items():
        plain = plain.replace(word, spelled)
    return f"{name}: {plain}"


_CODES: Mapping[Code, tuple[str, type[enum.IntEnum] | None]] = {
    Code.HEADER: ("message header error", Header),
    Code.OPEN: ("OPEN error", OpenError),
    Code.UPDATE: ("UPDATE error", UpdateError),
    Code.HOLD_TIMER_EXPIRED: ("hold timer expired", None),
    Code.FSM: ("message unexpected in this state", FsmError),
    Code.CEASE: ("Cease", Cease),
    Code.ROUTE_REFRESH: ("ROUTE-REFRESH error", RefreshError),
    Code.SEND_HOLD_TIMER_EXPIRED: ("send hold timer expired", None),
}
_SPELLED = {
    "well known": "well-known attribute",
    "as path": "AS_PATH",
    "next hop": "NEXT_HOP",
    "peer as": "peer AS",
    "as routing": "AS routing",
    "bgp": "BGP",
    "bfd": "BFD",
    "open sent": "OpenSent",
    "open confirm": "OpenConfirm",
    "established": "Established",
}


def _octets(data: bytes) -> str:
    return f"data {data[:_SHOWN].hex()}{'…' if len(data) > _SHOWN else ''}"


def _number(form: str, *lengths: int) -> Callable[[bytes], str]:
    """A sentence for a number of one of those lengths."""

    def said(data: bytes) -> str:
        return form.format(int.from_bytes(data, "big")) if len(data) in lengths else _octets(data)

    return said


def _identifier(data: bytes) -> str:
    return str(ipaddress.IPv4Address(data)) if len(data) == 4 else _octets(data)


def _capabilities(data: bytes) -> str:
    """Those that the peer misses (RFC 5492, section 5)."""
    said, at = [], 0
    while at + 2 <= len(data):
        value = data[at + 2 : at + 2 + data[at + 1]]
        name = capability_name(data[at])
        if data[at] == CapabilityCode.MULTIPROTOCOL and len(value) == 4:
            name = str(Family(int.from_bytes(value[:2], "big"), value[3]))
        said.append(name)
        at += 2 + data[at + 1]
    return ", ".join(dict.fromkeys(said)) or _octets(data)


def _attribute(data: bytes) -> str:
    """The one that is wrong: flags, type, length, value (RFC 4271, section 6.3)."""
    return attribute_name(data[1]) if len(data) >= 3 else _octets(data)


def _missing(data: bytes) -> str:
    return attribute_name(data[0]) if len(data) == 1 else _octets(data)


def _maximum(data: bytes) -> str:
    """Family and upper bound (RFC 4486, section 4)."""
    if len(data) != 7:
        return _octets(data)
    family = Family(int.from_bytes(data[:2], "big"), data[2])
    return f"{family}, at most {int.from_bytes(data[3:], 'big')}"


def _text(data: bytes) -> str:
    """The communication of RFC 9003, section 2: a peer's words, so nothing of them is obeyed."""
    said = data[1 : 1 + data[0]]
    if len(said) < data[0]:
        return f"a text of {data[0]} octets that is cut off, {_octets(data)}"
    try:
        text = said.decode()
    except UnicodeDecodeError:
        return f"a text that is not UTF-8, {_octets(data)}"
    return f'"{harmless(text)}"' if text else ""


def harmless(text: str) -> str:
    """The same with what is not printable (controls, line ends, changes of direction) escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


_DETAILS: Mapping[tuple[int, int], Callable[[bytes], str]] = {
    (Code.HEADER, Header.BAD_MESSAGE_LENGTH): _number("{} octets", 2),
    (Code.HEADER, Header.BAD_MESSAGE_TYPE): _number("type {}", 1),
    (Code.OPEN, OpenError.UNSUPPORTED_VERSION): _number("version {} is supported", 2),
    (Code.OPEN, OpenError.BAD_PEER_AS): _number("AS {}", 2, 4),
    (Code.OPEN, OpenError.BAD_BGP_IDENTIFIER): _identifier,
    (Code.OPEN, OpenError.UNSUPPORTED_OPTIONAL_PARAMETER): _number("parameter {}", 1),
    (Code.OPEN, OpenError.UNACCEPTABLE_HOLD_TIME): _number("{} s", 2),
    (Code.OPEN, OpenError.UNSUPPORTED_CAPABILITY): _capabilities,
    (Code.UPDATE, UpdateError.MISSING_WELL_KNOWN): _missing,
    **{
        (Code.UPDATE, subcode): _attribute
        for subcode in (
            UpdateError.UNRECOGNIZED_WELL_KNOWN,
            UpdateError.ATTRIBUTE_FLAGS,
            UpdateError.ATTRIBUTE_LENGTH,
            UpdateError.INVALID_ORIGIN,
            UpdateError.INVALID_NEXT_HOP,
            UpdateError.OPTIONAL_ATTRIBUTE,
        )
    },
    **{(Code.FSM, subcode): _number("message of type {}", 1) for subcode in FsmError},
    (Code.CEASE, Cease.MAXIMUM_PREFIXES): _maximum,
    (Code.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN): _text,
    (Code.CEASE, Cease.ADMINISTRATIVE_RESET): _text,
}
