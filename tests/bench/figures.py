"""Figures as people compare them: median, percentile, worst; printed as one line each."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from pathlib import Path


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as that share of all (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def line(what: str, seconds: Sequence[float]) -> str:
    """One line in milliseconds."""
    if not seconds:
        return f"{what}: nothing was measured"
    p50, p99 = statistics.median(seconds), percentile(seconds, 0.99)
    return (
        f"{what}: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, "
        f"max {max(seconds) * 1e3:.1f} ms ({len(seconds)} runs)"
    )


def rss(pid: int) -> float:
    """A process's resident memory in MB (10⁶ bytes are not meant: MiB, as `ps` counts)."""
    text = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(row for row in text.splitlines() if row.startswith("VmRSS")).split()[1]
    return int(kilobytes) / 1024


def cpu(*pids: int) -> float:
    """Seconds of processor time that processes have had, all their threads."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
