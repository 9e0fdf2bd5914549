"""UPDATE messages: those that come in are judged and counted, those that go out are packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bellmetal_bgp import attributes, received
from bellmetal_bgp.attributes import EncodedPath
from bellmetal_bgp.codes import MessageType
from bellmetal_bgp.decoding import Decoding
from bellmetal_bgp.families import IPV4_UNICAST, Family
from bellmetal_bgp.framing import HEADER_LENGTH, LIMIT, frame
from bellmetal_bgp.notifications import Code, DecodeError, UpdateError
from bellmetal_bgp.prefixes import PrefixError, count_prefixes
from bellmetal_bgp.received import Multiprotocol, Received

_LEAST = HEADER_LENGTH + 4  # with nothing in it (RFC 4271, section 4.3)
_NONE = b"\0\0"  # no withdrawn routes, or no attributes


@dataclass(frozen=True, slots=True)
class Update:
    """What an UPDATE of a peer's comes to. Its routes are counted, never kept.

    ``announced``, ``withdrawn``: NLRI of each family (a prefix that is told twice counts twice).
    ``attributes``: type codes, in order. ``treat_as_withdraw``: why what it announces counts as
    withdrawn (RFC 7606), in a sentence; empty: it does not. ``discarded``: attributes, and why.
    """

    announced: Mapping[Family, int] = field(default_factory=dict)
    withdrawn: Mapping[Family, int] = field(default_factory=dict)
    attributes: tuple[int, ...] = ()
    end_of_rib: Family | None = None
    treat_as_withdraw: str = ""
    discarded: tuple[str, ...] = ()


def decode_body(body: bytes, negotiated: Decoding) -> Update:
    """Out of a message without its header; raises DecodeError where RFC 7606 wants a reset."""
    withdrawn, path, nlri = _fields(body)
    got = received.read(path, negotiated)
    gone = _count(withdrawn, got.unreach, got, negotiated)
    there = _count(nlri, got.reach, got, negotiated)
    reaches = bool(nlri or (got.reach and got.reach.nlri))
    if reaches:
        received.require(got, bool(nlri), negotiated.ibgp)
    elif got.withdraw:
        raise got.withdraw.error()  # RFC 7606, section 5.2
    if got.withdraw:
        gone = {f: gone.get(f, 0) + there.get(f, 0) for f in gone | there}
        there = {}
    return Update(
        there,
        gone,
        tuple(got.codes),
        None if withdrawn or reaches else _end_of_rib(got),
        got.withdraw.text if got.withdraw else "",
        tuple(got.discarded),
    )


def _fields(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Withdrawn routes, attributes, NLRI (RFC 4271, sections 4.3 and 6.3)."""
    middle = 2 + int.from_bytes(body[:2], "big")
    start = middle + 2
    end = start + int.from_bytes(body[middle:start], "big")
    if end > len(body):
        text = "UPDATE: the lengths of its fields are more than its own"
        raise DecodeError(text, Code.UPDATE, UpdateError.MALFORMED_ATTRIBUTE_LIST)
    return body[2:middle], body[start:end], body[end:]


def _count(
    classic: bytes, multiprotocol: Multiprotocol | None, got: Received, negotiated: Decoding
) -> dict[Family, int]:
    """What a field and its multiprotocol attribute hold together, of each family of the session."""
    counts: dict[Family, int] = {}
    try:
        if classic:
            number = count_prefixes(classic, IPV4_UNICAST, IPV4_UNICAST in negotiated.add_path)
            counts[IPV4_UNICAST] = number
    except PrefixError as error:
        text, subcode = f"UPDATE: {error}", UpdateError.INVALID_NETWORK_FIELD
        raise DecodeError(text, Code.UPDATE, subcode) from None
    if multiprotocol and multiprotocol.nlri:
        family, nlri, whole = multiprotocol
        if family in negotiated.families and family.longest:
            try:
                number = count_prefixes(nlri, family, family in negotiated.add_path)
            except PrefixError as error:
                text, subcode = f"UPDATE: {error}", UpdateError.OPTIONAL_ATTRIBUTE
                raise DecodeError(text, Code.UPDATE, subcode, whole) from None
            counts[family] = counts.get(family, 0) + number
        else:
            got.discarded[f"routes of {family}, which is not the session's"] = None
    if IPV4_UNICAST in counts and IPV4_UNICAST not in negotiated.families:
        del counts[IPV4_UNICAST]
        got.discarded[f"routes of {IPV4_UNICAST}, which is not the session's"] = None
    return counts


def _end_of_rib(got: Received) -> Family | None:
    """RFC 4724, section 2."""
    if not got.codes:
        return IPV4_UNICAST
    only = len(got.codes) == 1 and got.unreach is not None and not got.unreach.nlri
    return got.unreach.family if only and got.unreach else None


# --- what we send --------------------------------------------------------------------------------


def withdrawals(family: Family, nlri: Iterable[bytes], limit: int = LIMIT) -> list[bytes]:
    """Whole messages that withdraw prefixes (`prefixes.encode_prefix`), as few as can be.

    IPv4 in the classic field, all others in MP_UNREACH_NLRI (RFC 4760, section 4).
    """
    if family == IPV4_UNICAST:
        return [
            frame(MessageType.UPDATE, len(piece).to_bytes(2, "big") + piece + _NONE)
            for piece in _pieces(nlri, limit - _LEAST)
        ]
    return [
        _message(attributes.unreach(family, piece))
        for piece in _pieces(nlri, attributes.unreach_room(limit - _LEAST))
    ]


def announcements(
    family: Family,
    path: EncodedPath,
    next_hop: bytes,
    nlri: Iterable[bytes],
    limit: int = LIMIT,
) -> list[bytes]:
    """Whole messages that announce prefixes with one path, as few as can be.

    ``next_hop``: 4 octets, 16, or 32 (global and link-local, RFC 2545). IPv4 prefixes with an IPv4
    next hop go into the classic field, all others into MP_REACH_NLRI, which is the first attribute
    (RFC 4760; RFC 8950; RFC 7606, section 5.1). ValueError: the path leaves no room for a prefix.
    """
    if family == IPV4_UNICAST and len(next_hop) == 4:
        said = path.head + attributes.next_hop(next_hop) + path.tail
        return [_message(said, piece) for piece in _pieces(nlri, limit - _LEAST - len(said))]
    said = path.head + path.tail
    room = attributes.reach_room(limit - _LEAST - len(said), next_hop)
    return [
        _message(attributes.reach(family, next_hop, piece) + said) for piece in _pieces(nlri, room)
    ]


def end_of_rib(family: Family) -> bytes:
    """The End-of-RIB marker (RFC 4724, section 2)."""
    return _message(b"" if family == IPV4_UNICAST else attributes.unreach(family, b""))


def _message(path: bytes, nlri: bytes = b"") -> bytes:
    return frame(MessageType.UPDATE, _NONE + len(path).to_bytes(2, "big") + path + nlri)


def _pieces(nlri: Iterable[bytes], room: int) -> Iterator[bytes]:
    """Joined, as much as there is room for in each."""
    piece: list[bytes] = []
    size = 0
    for item in nlri:
        size += len(item)
        if size > room:
            size = len(item)
            if size > room:
                raise ValueError(f"the attributes leave {max(room, 0)} octets for prefixes")
            yield b"".join(piece)
            piece = []
        piece.append(item)
    if piece:
        yield b"".join(piece)
