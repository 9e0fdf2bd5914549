"""Path attributes that we send (RFC 4271, section 5): values → bytes.

Those that we receive are judged in `received.py`.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from bellmetal_bgp.codes import AS_TRANS, AttributeType
from bellmetal_bgp.families import Family

OPTIONAL, TRANSITIVE, EXTENDED_LENGTH = 0x80, 0x40, 0x10
WELL_KNOWN = TRANSITIVE
AS_SET, AS_SEQUENCE = 1, 2  # RFC 4271, section 4.3
AS_CONFED_SEQUENCE, AS_CONFED_SET = 3, 4  # RFC 5065, section 3
_MOST_IN_SEGMENT = 255


class Origin(enum.IntEnum):
    """RFC 4271, section 5.1.1."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


@dataclass(frozen=True, slots=True)
class PathAttributes:
    """What we say of our routes, next hop apart; None or empty is not said.

    ``as_path``: one AS_SEQUENCE, nearest first. ``communities``: pairs of 16 bits;
    ``large_communities``: triples of 32 bits; ``extended_communities``: eight octets each.
    """

    as_path: tuple[int, ...] = ()
    origin: Origin = Origin.IGP
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[tuple[int, int], ...] = ()
    extended_communities: tuple[bytes, ...] = ()
    large_communities: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class EncodedPath:
    """Attributes in bytes, once for all their routes; NEXT_HOP belongs between the two."""

    head: bytes
    tail: bytes


def attribute(flags: int, kind: AttributeType, value: bytes) -> bytes:
    """Flags, type, length, value; the length has two octets only where it must."""
    if len(value) > 255:
        return struct.pack("!BBH", flags | EXTENDED_LENGTH, kind, len(value)) + value
    return bytes([flags, kind, len(value)]) + value


def encode(path: PathAttributes, asn4: bool) -> EncodedPath:
    """Ascending by type (RFC 4271, appendix F.4); communities ascending, each once.

    Without ``asn4`` the AS_PATH has two octets a number, AS_TRANS for those that do not fit, and
    AS4_PATH says them in full (RFC 6793, section 4.2.2).
    """
    head = attribute(WELL_KNOWN, AttributeType.ORIGIN, bytes([path.origin]))
    head += attribute(WELL_KNOWN, AttributeType.AS_PATH, _as_path(path.as_path, asn4))
    said = []
    if path.med is not None:
        said.append(attribute(OPTIONAL, AttributeType.MULTI_EXIT_DISC, path.med.to_bytes(4, "big")))
    if path.local_pref is not None:
        value = path.local_pref.to_bytes(4, "big")
        said.append(attribute(WELL_KNOWN, AttributeType.LOCAL_PREF, value))
    both = OPTIONAL | TRANSITIVE
    if path.communities:
        value = b"".join(struct.pack("!HH", *item) for item in sorted(set(path.communities)))
        said.append(attribute(both, AttributeType.COMMUNITIES, value))
    if path.extended_communities:
        value = b"".join(sorted(set(path.extended_communities)))
        said.append(attribute(both, AttributeType.EXTENDED_COMMUNITIES, value))
    if not asn4 and any(asn > 0xFFFF for asn in path.as_path):
        said.append(attribute(both, AttributeType.AS4_PATH, _as_path(path.as_path, True)))
    if path.large_communities:
        value = b"".join(struct.pack("!III", *item) for item in sorted(set(path.large_communities)))
        said.append(attribute(both, AttributeType.LARGE_COMMUNITIES, value))
    return EncodedPath(head, b"".join(said))


def _as_path(asns: tuple[int, ...], asn4: bool) -> bytes:
    """AS_SEQUENCE after AS_SEQUENCE, each of up to 255 numbers; nothing at all for none."""
    said = []
    for start in range(0, len(asns), _MOST_IN_SEGMENT):
        piece = asns[start : start + _MOST_IN_SEGMENT]
        numbers = piece if asn4 else [asn if asn <= 0xFFFF else AS_TRANS for asn in piece]
        form = f"!BB{len(piece)}{'I' if asn4 else 'H'}"
        said.append(struct.pack(form, AS_SEQUENCE, len(piece), *numbers))
    return b"".join(said)


def next_hop(address: bytes) -> bytes:
    """NEXT_HOP, of four octets."""
    return attribute(WELL_KNOWN, AttributeType.NEXT_HOP, address)


def reach_room(limit: int, address: bytes) -> int:
    """Octets of NLRI that MP_REACH_NLRI has room for where it may be so long in all."""
    return limit - 4 - 5 - len(address)


def reach(family: Family, address: bytes, nlri: bytes) -> bytes:
    """MP_REACH_NLRI (RFC 4760, section 3); the next hop of 4, 16 or 32 octets."""
    value = struct.pack("!HBB", family.afi, family.safi, len(address)) + address + b"\0" + nlri
    return attribute(OPTIONAL, AttributeType.MP_REACH_NLRI, value)


def unreach_room(limit: int) -> int:
    """Octets of NLRI that MP_UNREACH_NLRI has room for where it may be so long in all."""
    return limit - 4 - 3


def unreach(family: Family, nlri: bytes) -> bytes:
    """MP_UNREACH_NLRI (RFC 4760, section 4); without NLRI it is End-of-RIB (RFC 4724)."""
    value = struct.pack("!HB", family.afi, family.safi) + nlri
    return attribute(OPTIONAL, AttributeType.MP_UNREACH_NLRI, value)
