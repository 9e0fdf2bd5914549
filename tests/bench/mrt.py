"""Routes as a file that GoBGP takes in at once: TABLE_DUMP_V2 of RFC 6396, IPv4 unicast."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence

TABLE_DUMP_V2, PEER_INDEX_TABLE, RIB_IPV4_UNICAST = 13, 1, 2
ORIGIN, AS_PATH, NEXT_HOP, COMMUNITIES = 1, 2, 3, 8
_TRANSITIVE, _OPTIONAL = 0x40, 0xC0
_AS4 = 0x02  # of a peer's type: its number has 4 bytes


def dump(asn: int, address: str, routes: Iterable[tuple[str, Sequence[str]]]) -> bytes:
    """A file with one peer, ourselves, and its routes: prefix and communities (``65000:1``)."""
    own = ipaddress.IPv4Address(address).packed
    index = own + struct.pack("!HHB", 0, 1, _AS4) + own + own + struct.pack("!I", asn)
    records = [_record(PEER_INDEX_TABLE, index)]
    for number, (prefix, communities) in enumerate(routes):
        said = _attributes(own, communities)
        head = struct.pack("!I", number) + _prefix(prefix) + struct.pack("!HHI", 1, 0, 0)
        records.append(_record(RIB_IPV4_UNICAST, head + struct.pack("!H", len(said)) + said))
    return b"".join(records)


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("!IHHI", 0, TABLE_DUMP_V2, kind, len(body)) + body


def _prefix(text: str) -> bytes:
    network = ipaddress.IPv4Network(text)
    width = (network.prefixlen + 7) // 8
    return bytes([network.prefixlen]) + network.network_address.packed[:width]


def _attributes(next_hop: bytes, communities: Sequence[str]) -> bytes:
    said = bytes([_TRANSITIVE, ORIGIN, 1, 0, _TRANSITIVE, AS_PATH, 0, _TRANSITIVE, NEXT_HOP, 4])
    said += next_hop
    if communities:
        values = [struct.pack("!HH", *map(int, text.split(":"))) for text in communities]
        said += bytes([_OPTIONAL, COMMUNITIES, 4 * len(values)]) + b"".join(values)
    return said
