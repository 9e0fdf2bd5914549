"""Writes the dashboards of the chart: ``python helm/dashboards/write.py [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from bgp import BGP
from grafana import written
from overview import OVERVIEW

CHART = Path(__file__).parents[1] / "bellmetal" / "files" / "dashboards"

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CHART
    for name, dashboard in {"overview.json": OVERVIEW, "bgp.json": BGP}.items():
        (folder / name).write_text(written(dashboard))
