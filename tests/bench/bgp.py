"""The figures of BGP: routes, faults and load, with real routers, and others in our place.

``python -m bench.bgp [--runs N] [--only NAME,…] [--output json]``, with PYTHONPATH=tests, as root.
It prints how far it is, and a table at the end; also what it has when it is interrupted.
"""

from __future__ import annotations

import sys

from bench import bgp_faults, bgp_load, bgp_routes, bgp_table, play
from bench.rows import Row

ROWS: tuple[Row, ...] = (
    *bgp_table.ROWS,
    *bgp_faults.ROWS,
    *bgp_routes.ROWS,
    *bgp_load.ROWS,
)

if __name__ == "__main__":
    sys.exit(play.main("bench.bgp", ROWS))
