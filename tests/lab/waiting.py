"""Waiting for a condition, briefly and with a sentence for when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lab.errors import Timeout

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, timeout: float = 30, every: float = 0.02) -> T:
    """Call `condition` until it is true; its value. `what` names it in the Timeout."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise Timeout(f"waited {timeout:g} s for {what}")
        time.sleep(every)
    return value
