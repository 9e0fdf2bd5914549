"""Work on thousands of things that lets the loop turn in between: others have less patience.

May live here: when to pause, how many at a time. May not: what for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Iterable
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


async def side_by_side(
    work: Iterable[Awaitable[T]], slots: asyncio.Semaphore | None = None
) -> list[T]:
    """What they return, in this order; raises the first failure when all have ended.

    All begin at once, or as many as there are ``slots``, which others may share.
    """

    async def bounded(one: Awaitable[T]) -> T:
        async with slots or contextlib.nullcontext():
            return await one

    found: list[T] = []
    for answer in await asyncio.gather(*map(bounded, work), return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        found.append(answer)
    return found


def collect_seldom() -> None:
    """Look for cycles less often: as Python has it, a third of the time of a program with thousands
    of objects goes into that, while it stands still for up to a quarter of a second."""
    gc.set_threshold(*COLLECT)
