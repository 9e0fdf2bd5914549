"""What was negotiated that changes how a peer's messages are read: one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from bellmetal_bgp.families import IPV4_UNICAST, Family


@dataclass(frozen=True, slots=True)
class Decoding:
    """The default is what holds before both OPEN messages are there.

    ``families``: those of the session; routes of others are checked where they can be, and not
    counted. ``add_path``: families in which the peer sends path IDs (RFC 7911).
    """

    asn4: bool = False
    extended: bool = False
    ibgp: bool = False
    families: frozenset[Family] = frozenset({IPV4_UNICAST})
    add_path: frozenset[Family] = frozenset()
