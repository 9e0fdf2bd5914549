"""Work on thousands of things lets the loop turn in between."""

from __future__ import annotations

import asyncio

import pytest

from bellmetal.turns import by_turns


@pytest.mark.parametrize(
    ("count", "at_once", "turns"), [(0, 10, 0), (9, 10, 0), (10, 10, 1), (35, 10, 3), (3, 1, 3)]
)
async def test_the_loop_turns_after_so_many(count: int, at_once: int, turns: int) -> None:
    seen, done, turned = list[int](), asyncio.Event(), 0

    async def other() -> None:
        nonlocal turned
        while not done.is_set():
            await asyncio.sleep(0)
            turned += not done.is_set()

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    async for item in by_turns(range(count), at_once):
        seen.append(item)
    done.set()
    await beside
    assert seen == list(range(count))
    assert turned == turns
