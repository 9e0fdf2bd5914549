"""Durations as Go writes them: ``90s``, ``1m30s``, ``1.5h``. No word on what they are for."""

from __future__ import annotations

import re
from decimal import Decimal

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9}
UNITS |= {"m": 60 * 10**9, "h": 3600 * 10**9}
PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
WHOLE = re.compile(rf"[-+]?(?:0|(?:{PART.pattern})+)")
LONGEST = 40  # characters


def parse_duration(text: str) -> float | None:
    """Seconds, exact to the nanosecond as far as a float can be; None if it is no duration."""
    if len(text) > LONGEST or not WHOLE.fullmatch(text):
        return None
    nanoseconds = sum(Decimal(number) * UNITS[unit] for number, unit in PART.findall(text))
    seconds = int(nanoseconds) / 10**9
    return -seconds if text.startswith("-") else seconds
