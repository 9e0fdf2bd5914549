"""Path attributes that a peer sends, judged (RFC 7606): fine, discarded, treat-as-withdraw, reset.

The values are looked at for errors and forgotten: no route of a peer's is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bellmetal_bgp import attributes as send
from bellmetal_bgp.codes import AttributeType, attribute_name
from bellmetal_bgp.decoding import Decoding
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.notifications import Code, DecodeError, UpdateError

_FAMILY = struct.Struct("!HB")
_NEXT_HOPS = {  # octets that a next hop may have (RFC 4760, 2545, 8950)
    IPV4_UNICAST: (4, 16, 32),
    IPV6_UNICAST: (16, 32),
}
_CATEGORY = send.OPTIONAL | send.TRANSITIVE
_MULTIPROTOCOL = AttributeType.MP_REACH_NLRI, AttributeType.MP_UNREACH_NLRI


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with attributes, in a sentence; and RFC 4271's answer to it."""

    text: str
    subcode: UpdateError
    data: bytes = b""

    def error(self) -> DecodeError:
        """The reset that it is where nothing milder is allowed."""
        return DecodeError(f"UPDATE: {self.text}", Code.UPDATE, self.subcode, self.data)


class Multiprotocol(NamedTuple):
    """MP_REACH_NLRI or MP_UNREACH_NLRI: its NLRI, not parsed yet, and all of it."""

    family: Family
    nlri: bytes
    whole: bytes


@dataclass(slots=True)
class Received:
    """What the attributes of one UPDATE come to.

    ``codes``: their types, each once, in order. ``withdraw``: the first fault that wants
    treat-as-withdraw. ``discarded``: sentences, each once.
    """

    codes: dict[int, None] = field(default_factory=dict)
    withdraw: Fault | None = None
    discarded: dict[str, None] = field(default_factory=dict)
    reach: Multiprotocol | None = None
    unreach: Multiprotocol | None = None

    def spoil(self, fault: Fault) -> None:
        """Treat-as-withdraw; the first reason is told."""
        self.withdraw = self.withdraw or fault


class _Attribute(NamedTuple):
    flags: int
    kind: int
    value: bytes
    whole: bytes


def read(data: bytes, negotiated: Decoding) -> Received:
    """All attributes of an UPDATE; raises DecodeError where the session must be reset.

    Which are missing is for `require` to say, once it is known what they are to be attributes of.
    """
    got, at, end = Received(), 0, len(data)
    while at < end:
        if end - at < 3 or (data[at] & send.EXTENDED_LENGTH and end - at < 4):
            # too little for another one (RFC 7606, section 4)
            got.spoil(Fault("attributes are cut off", UpdateError.MALFORMED_ATTRIBUTE_LIST))
            break
        flags, kind = data[at], data[at + 1]
        if flags & send.EXTENDED_LENGTH:
            start = at + 4
            after = start + (data[at + 2] << 8 | data[at + 3])
        else:
            start = at + 3
            after = start + data[at + 2]
        if after > end:
            _overrun(got, kind)
            break
        if kind in got.codes:
            _twice(got, kind)
        else:
            got.codes[kind] = None
            _judge(got, _Attribute(flags, kind, data[start:after], data[at:after]), negotiated)
        at = after
    return got


def require(got: Received, classic: bool, ibgp: bool) -> None:
    """For an UPDATE that announces: what must be there (RFC 4271, section 5; RFC 7606, 3, d).

    ``classic``: in the NLRI field, whose next hop stands in NEXT_HOP (RFC 4760, section 3).
    """
    wanted = [AttributeType.ORIGIN, AttributeType.AS_PATH]
    wanted += [AttributeType.NEXT_HOP] * classic
    wanted += [AttributeType.LOCAL_PREF] * ibgp
    for kind in wanted:
        if kind not in got.codes:
            text = f"{attribute_name(kind)} is missing"
            got.spoil(Fault(text, UpdateError.MISSING_WELL_KNOWN, bytes([kind])))


def _overrun(got: Received, kind: int) -> None:
    """Its length goes beyond that of all attributes (RFC 7606, section 4)."""
    text = f"{attribute_name(kind)} goes beyond the end of the attributes"
    fault = Fault(text, UpdateError.MALFORMED_ATTRIBUTE_LIST)
    if kind in _MULTIPROTOCOL:
        raise fault.error()  # where its NLRI end is not known (RFC 7606, section 3, j)
    got.spoil(fault)


def _twice(got: Received, kind: int) -> None:
    """RFC 7606, section 3, g."""
    text = f"{attribute_name(kind)} appears twice"
    if kind in _MULTIPROTOCOL:
        raise Fault(text, UpdateError.MALFORMED_ATTRIBUTE_LIST).error()
    got.discarded[text] = None


def _judge(got: Received, item: _Attribute, negotiated: Decoding) -> None:
    rule = _RULES.get(item.kind)
    if rule is None:
        if item.kind in _MULTIPROTOCOL:
            _multiprotocol(got, item)
        elif not item.flags & send.OPTIONAL:
            # RFC 4271, section 6.3; RFC 7606 leaves it as it was
            text = f"{attribute_name(item.kind)} is well-known, and unknown to us"
            raise Fault(text, UpdateError.UNRECOGNIZED_WELL_KNOWN, item.whole).error()
        return
    if rule.internal and not negotiated.ibgp:
        got.discarded[f"{attribute_name(item.kind)} of an external peer"] = None
        return
    if item.flags & _CATEGORY == rule.flags:
        wrong = rule.check(item.value, negotiated)
    else:
        wrong = f"flags {item.flags:#04x}", UpdateError.ATTRIBUTE_FLAGS
    if wrong is None:
        return
    text = f"{attribute_name(item.kind)}: {wrong[0]}"
    if rule.discard:
        got.discarded[text] = None
    else:
        data = b"" if wrong[1] is UpdateError.MALFORMED_AS_PATH else item.whole
        got.spoil(Fault(text, wrong[1], data))


def _multiprotocol(got: Received, item: _Attribute) -> None:
    """RFC 4760, section 7; RFC 7606, sections 5.3 and 7.11: what is wrong here is a reset."""
    value, wrong = item.value, ""
    reach = item.kind == AttributeType.MP_REACH_NLRI
    if item.flags & _CATEGORY != send.OPTIONAL:
        wrong = f"flags {item.flags:#04x}"
    elif len(value) < (5 if reach else 3):
        wrong = f"{len(value)} octets"
    else:
        family, nlri = Family(*_FAMILY.unpack_from(value)), value[3:]
        if not reach:
            got.unreach = Multiprotocol(family, nlri, item.whole)
            return
        length = value[3]
        if length not in _NEXT_HOPS.get(family, (length,)) or len(value) < 5 + length:
            wrong = f"next hop of {length} octets for {family}"
        else:
            got.reach = Multiprotocol(family, value[5 + length :], item.whole)
            return
    text = f"{attribute_name(item.kind)}: {wrong}"
    raise Fault(text, UpdateError.OPTIONAL_ATTRIBUTE, item.whole).error()


# --- what each attribute must be like ------------------------------------------------------------

_Wrong = tuple[str, UpdateError] | None
_Check = Callable[[bytes, Decoding], _Wrong]


@dataclass(frozen=True, slots=True)
class _Rule:
    """``discard``: or else treat-as-withdraw. ``internal``: nothing that external peers say."""

    flags: int
    check: _Check
    discard: bool = False
    internal: bool = False


def _length(*lengths: int) -> _Check:
    def check(value: bytes, _: Decoding) -> _Wrong:
        if len(value) in lengths:
            return None
        return f"{len(value)} octets", UpdateError.ATTRIBUTE_LENGTH

    return check


def _many(size: int) -> _Check:
    """Some of that size, one at least."""

    def check(value: bytes, _: Decoding) -> _Wrong:
        if value and len(value) % size == 0:
            return None
        return f"{len(value)} octets", UpdateError.ATTRIBUTE_LENGTH

    return check


def _origin(value: bytes, _: Decoding) -> _Wrong:
    if len(value) != 1:
        return f"{len(value)} octets", UpdateError.ATTRIBUTE_LENGTH
    if value[0] > send.Origin.INCOMPLETE:
        return f"value {value[0]}", UpdateError.INVALID_ORIGIN
    return None


def _next_hop(value: bytes, _: Decoding) -> _Wrong:
    """A valid IP host address (RFC 4271, section 6.3)."""
    if len(value) != 4:
        return f"{len(value)} octets", UpdateError.ATTRIBUTE_LENGTH
    if value[0] in (0, 127) or 224 <= value[0] < 240 or value == b"\xff" * 4:
        return f"{'.'.join(map(str, value))} is no host's address", UpdateError.INVALID_NEXT_HOP
    return None


def _as_path(value: bytes, negotiated: Decoding) -> _Wrong:
    """RFC 7606, section 7.2; confederations are for their members (RFC 5065, section 5)."""
    most = send.AS_CONFED_SET if negotiated.ibgp else send.AS_SEQUENCE
    text = _segments(value, 4 if negotiated.asn4 else 2, most)
    return (text, UpdateError.MALFORMED_AS_PATH) if text else None


def _segments(value: bytes, size: int, most: int) -> str:
    """What is wrong with segments of types up to ``most`` and numbers of that size."""
    at, zero = 0, bytes(size)
    while at < len(value):
        if not send.AS_SET <= value[at] <= most:
            return f"segment of type {value[at]}"
        number = value[at + 1] if at + 1 < len(value) else 0
        after = at + 2 + number * size
        if number == 0:
            return "empty segment"
        if after > len(value):
            return "a segment goes beyond the end"
        if zero in value and any(
            value[one : one + size] == zero for one in range(at + 2, after, size)
        ):
            return "AS number 0"  # RFC 7607, section 2
        at = after
    return ""


def _aggregator(value: bytes, negotiated: Decoding) -> _Wrong:
    """The AS number has as many octets as on this session (RFC 6793, section 4.2.2)."""
    size = 4 if negotiated.asn4 else 2
    if len(value) != size + 4:
        return f"{len(value)} octets", UpdateError.ATTRIBUTE_LENGTH
    if value[:size] == bytes(size):
        return "AS number 0", UpdateError.OPTIONAL_ATTRIBUTE
    return None


def _as4(check: _Check) -> _Check:
    """Such are for those that do not know AS numbers of four octets (RFC 6793, section 4.1)."""

    def checked(value: bytes, negotiated: Decoding) -> _Wrong:
        if negotiated.asn4:
            return "of a peer that knows 4-octet AS numbers", UpdateError.OPTIONAL_ATTRIBUTE
        return check(value, negotiated)

    return checked


def _as4_path(value: bytes, _: Decoding) -> _Wrong:
    """RFC 6793, section 6: segments of a confederation are left out, and no error."""
    if len(value) < 6 or len(value) % 2:
        return f"{len(value)} octets", UpdateError.ATTRIBUTE_LENGTH
    text = _segments(value, 4, send.AS_CONFED_SET)
    return (text, UpdateError.OPTIONAL_ATTRIBUTE) if text else None


def _as4_aggregator(value: bytes, _: Decoding) -> _Wrong:
    return _aggregator(value, Decoding(asn4=True))


_RULES: Mapping[int, _Rule] = {
    AttributeType.ORIGIN: _Rule(send.TRANSITIVE, _origin),
    AttributeType.AS_PATH: _Rule(send.TRANSITIVE, _as_path),
    AttributeType.NEXT_HOP: _Rule(send.TRANSITIVE, _next_hop),
    AttributeType.MULTI_EXIT_DISC: _Rule(send.OPTIONAL, _length(4)),
    AttributeType.LOCAL_PREF: _Rule(send.TRANSITIVE, _length(4), internal=True),
    AttributeType.ATOMIC_AGGREGATE: _Rule(send.TRANSITIVE, _length(0), discard=True),
    AttributeType.AGGREGATOR: _Rule(_CATEGORY, _aggregator, discard=True),
    AttributeType.COMMUNITIES: _Rule(_CATEGORY, _many(4)),
    AttributeType.ORIGINATOR_ID: _Rule(send.OPTIONAL, _length(4), internal=True),
    AttributeType.CLUSTER_LIST: _Rule(send.OPTIONAL, _many(4), internal=True),
    AttributeType.EXTENDED_COMMUNITIES: _Rule(_CATEGORY, _many(8)),
    AttributeType.AS4_PATH: _Rule(_CATEGORY, _as4(_as4_path), discard=True),
    AttributeType.AS4_AGGREGATOR: _Rule(_CATEGORY, _as4(_as4_aggregator), discard=True),
    AttributeType.IPV6_EXTENDED_COMMUNITIES: _Rule(_CATEGORY, _many(20)),
    AttributeType.LARGE_COMMUNITIES: _Rule(_CATEGORY, _many(12)),
}
