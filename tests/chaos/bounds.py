"""How long a client may go without an answer by each kind of fault: the one table.

Seconds by way of the client, from when a fault begins or ends. `LASTS`: as long as the fault.
A node's death is seen within 0.55 s (`docs/measurements.md`); clients here connect every 50 ms,
and a connection that began before the fault fails too. The machine's stand-still comes on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chaos.recording import BGP, NEVER, V4, V6, Client, Played

LASTS = NEVER
UNDISTURBED = 0.2  # seconds; a packet or two may be lost on a busy machine without any fault
# Behind the router packets pass a node untranslated now and then, with kube-proxy and without any
# fault, for some hundred milliseconds: the lab's own loss.
BEHIND = 0.4
AFTER = 1.0  # seconds after an edge of a fault, in which what comes of it may begin


@dataclass(frozen=True)
class Bound:
    """Seconds without an answer as the fault begins, by way; ``ends``: as it ends, by any way.

    ``meanwhile``: any outage between the two.
    """

    v4: float
    v6: float
    bgp: float
    ends: float = 0.0
    meanwhile: float = 0.0

    def of(self, way: str) -> float:
        """As it begins."""
        return {V4: self.v4, V6: self.v6, BGP: self.bgp}[way]


NOTHING = Bound(0.0, 0.0, 0.0)
DEATH = Bound(0.6, 1.0, 0.6)
# A node that is heard by clients and not by nodes: ownership moves, and may move back; while two
# answer the same client, the packets of one connection may go to both, which reset it.
SPLIT = Bound(0.6, 1.0, 0.0, ends=0.6, meanwhile=0.6)

BOUNDS: Mapping[str, Bound] = {
    "speaker-killed": DEATH,
    "speaker-stopped": Bound(0.6, 1.0, 0.6, ends=0.6),
    "node-killed": DEATH,
    "link-cut": DEATH,
    "partition": DEATH,
    "unheard": SPLIT,
    # no frame of another node comes to it, gossip neither: for all that it can know it is alone,
    # and answers on its side, which clients are on too
    "deaf": replace(SPLIT, meanwhile=LASTS),
    "no-gossip": NOTHING,
    "no-lan": replace(SPLIT, meanwhile=LASTS),  # gossip lives: both own it, each on its own side
    "loss": Bound(LASTS, LASTS, LASTS, ends=1.0),
    "controller-killed": NOTHING,
    "controller-stopped": NOTHING,
    "lease-deleted": NOTHING,
    "lease-stolen": NOTHING,
    "api-gone": NOTHING,
    "api-hangs": NOTHING,
    "api-slow": NOTHING,
    "api-429": NOTHING,
    "api-500": NOTHING,
    "api-409": NOTHING,
    "compaction": NOTHING,
    "clock-ahead": NOTHING,
    "clock-behind": NOTHING,
    "disk-full": NOTHING,
    "secret": NOTHING,
    "upgrade": NOTHING,
}
# Faults while which two may answer, each on its own side; a sleeper may answer as it wakes.
DIVIDED = frozenset({"partition", "unheard", "deaf", "no-lan", "loss", "link-cut"})
TOGETHER = 1.0  # seconds for which two may answer on one LAN, in sum, after a fault
CONVERGED = 15.0  # seconds of quiet after which all must be as it should be
SETTLED = 10.0  # seconds after that, in which what is told at leisure is written


def allowed(client: Client, faults: list[Played], since: float, until: float) -> float:
    """The longest that this client may have gone without an answer from a moment to another.

    ``faults`` are those in force then. Edges of several faults within it add up.
    """
    total = 0.0
    for fault in faults:
        bound = BOUNDS[fault.fault]
        if bound.of(client.way) == LASTS:
            total += max(0.0, min(until, fault.ended) - since)
        elif since - AFTER <= fault.began <= until:
            total += bound.of(client.way)
        if since - AFTER <= fault.ended <= until:
            total += bound.ends
    lasting = [_meanwhile(f, since) for f in faults if f.began <= since <= f.ended]
    return max(total, *lasting, BEHIND if client.way == BGP else UNDISTURBED)


def _meanwhile(fault: Played, since: float) -> float:
    bound = BOUNDS[fault.fault]
    return min(bound.meanwhile, fault.ended + bound.ends - since)
