"""The figures of layer 2: faults and planned moves, measured on real network namespaces.

``python -m bench.layer2 [--runs N] [--only NAME,…] [--output json]``, with PYTHONPATH=tests, as
root. It prints how far it is, and a table at the end; also what it has when it is interrupted.
"""

from __future__ import annotations

import sys

from bench import deaths, many, moves, play, splits
from bench.rows import Row

ROWS: tuple[Row, ...] = (*deaths.ROWS, *moves.ROWS, *splits.ROWS, *many.ROWS)

if __name__ == "__main__":
    sys.exit(play.main("bench.layer2", ROWS))
