"""outdated(held, pools, now) → records of free addresses that the ledger need not keep.

Whoever asks for one address of a /48 after the other leaves as many records behind. Of each pool
the last few thousand addresses that were given back are remembered: that is what cool-down, and
"the longest ago first", are decided by. May not live here: dropping them (`ledger.py`).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

from bellmetal.config import Pool
from bellmetal.holdings import Holding, Holdings, seconds_between

KEPT = 4096  # free addresses of a pool that are remembered
AT_ONCE = 128  # so many of a pool are dropped in one pass: new Services wait for it
QUIET = 300.0  # seconds that they are free at least: nobody leads who has not read the ledger since


def outdated(held: Holdings, pools: Iterable[Pool], now: str) -> list[Holding]:
    """Those of each pool that are free for longest, if there are too many. ``now``: RFC 3339."""
    free: defaultdict[str, list[Holding]] = defaultdict(list)
    for holding in held.values():
        if not holding.holders:
            free[holding.pool].append(holding)
    cooling = {pool.name: pool.cool_down for pool in pools}
    found = []
    for name, records in free.items():
        if len(records) - KEPT >= AT_ONCE:
            age = max(QUIET, cooling.get(name, 0.0))
            oldest = heapq.nsmallest(AT_ONCE, records, key=lambda r: (r.freed_at, int(r.address)))
            found += [r for r in oldest if seconds_between(r.freed_at, now) > age]
    return found
