"""Several routes to one prefix: united in one, or told apart by path IDs (RFC 7911)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace

from bellmetal.intents import Attributes

ID_LENGTH = 4  # octets before the prefix (RFC 7911, section 3)


def unite(one: Attributes, other: Attributes) -> Attributes:
    """Two advertisements tell one peer of the same prefix: the better one holds, with the
    communities of both. Better is a higher local preference, a lower MED, a shorter path."""
    if one == other:
        return one
    best = min(one, other, key=_badness)
    communities = tuple(sorted({*one.communities, *other.communities}))
    return replace(best, communities=communities)


def _badness(item: Attributes) -> tuple[int, int, bool, int, str]:
    silent = item.med is None  # of two that are as good, the same one always
    return -item.local_pref, item.med or 0, silent, item.prepend, str(item.next_hop or "")


def path_id(attributes: Attributes) -> int:
    """Tells the paths of a prefix apart (RFC 7911, section 3): by next hop, and the same always."""
    return zlib.crc32(str(attributes.next_hop or "").encode()) or 1


def without_ids(table: Mapping[bytes, Attributes]) -> dict[bytes, Attributes]:
    """A table of NLRI with path IDs for a peer that takes none: one path of each prefix."""
    found: dict[bytes, Attributes] = {}
    for nlri, attributes in table.items():
        prefix = nlri[ID_LENGTH:]
        before = found.get(prefix)
        found[prefix] = attributes if before is None else unite(before, attributes)
    return found
