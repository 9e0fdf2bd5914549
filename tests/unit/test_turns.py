"""Work on thousands of things lets the loop turn in between."""

from __future__ import annotations

import asyncio

import pytest

from bellmetal.turns import by_turns, side_by_side


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


@pytest.mark.parametrize(("slots", "at_once"), [(None, 40), (8, 8)])
async def test_as_many_work_side_by_side_as_there_are_slots(
    slots: int | None, at_once: int
) -> None:
    running, most = 0, 0

    async def one(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    limit = asyncio.Semaphore(slots) if slots else None
    found = await side_by_side(map(one, range(40)), limit)
    assert found == list(range(40))
    assert most == at_once


async def test_the_first_failure_is_raised_when_all_have_ended() -> None:
    ended = []

    async def one(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)
        ended.append(number)
        if number in {1, 2}:
            raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        await side_by_side(map(one, range(5)))
    assert ended == [0, 1, 2, 3, 4]
