"""Work on thousands of things that lets the loop turn in between: others have less patience.

May live here: when to pause. May not: what for.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 200  # things between two turns of the loop: some milliseconds
COLLECT = (20_000, 50, 20)  # objects that are new, collections of those that are, of what survived


async def by_turns(items: Iterable[T], at_once: int = AT_ONCE) -> AsyncIterator[T]:
    """The items, with a turn of the loop after each ``at_once`` of them.

    They must not change meanwhile.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % at_once == 0:
            await asyncio.sleep(0)


def collect_seldom() -> None:
    """Look for cycles less often: as Python has it, a third of the time of a program with thousands
    of objects goes into that, while it stands still for up to a quarter of a second."""
    gc.set_threshold(*COLLECT)
