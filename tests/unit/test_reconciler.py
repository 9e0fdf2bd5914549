"""poke() → one coalesced, retried pass. Time is looptime's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bellmetal.reconciler import AgainError, Reconciler

pytestmark = pytest.mark.looptime


class Passes:
    """A step that notes when it ran, takes ``length`` seconds and fails as it is told."""

    def __init__(self, *failures: Exception | None, length: float = 0.0) -> None:
        self.failures, self.length = list(failures), length
        self.times: list[float] = []
        self.running = self.most_running = 0

    async def __call__(self) -> None:
        self.times.append(round(asyncio.get_running_loop().time(), 3))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(self.length)
        self.running -= 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


class Haste(Passes):
    """The same for what cannot wait; there was always something."""

    async def __call__(self) -> bool:  # type: ignore[override]
        await super().__call__()
        return True


@contextlib.asynccontextmanager
async def running(
    step: Callable[[], Awaitable[None]],
    pause: float = 0.01,
    hasten: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[Reconciler]:
    reconciler = Reconciler(step, pause, hasten)
    task = asyncio.create_task(reconciler.run())
    await asyncio.sleep(0)
    try:
        yield reconciler
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_nothing_runs_without_a_poke() -> None:
    passes = Passes()
    async with running(passes):
        await asyncio.sleep(100)
    assert passes.times == []


async def test_the_first_poke_is_served_at_once() -> None:
    passes = Passes()
    async with running(passes) as reconciler:
        await asyncio.sleep(5)
        reconciler.poke()
        await asyncio.sleep(5)
    assert passes.times == [5.0]


async def test_pokes_in_one_moment_are_one_pass() -> None:
    passes = Passes()
    async with running(passes) as reconciler:
        for _ in range(1000):
            reconciler.poke()
        await asyncio.sleep(5)
    assert passes.times == [0.0]


async def test_pokes_during_a_pass_are_served_together_by_the_next_one() -> None:
    passes = Passes(length=1.0)
    async with running(passes, pause=0.5) as reconciler:
        reconciler.poke()
        await asyncio.sleep(0.2)
        reconciler.poke()
        await asyncio.sleep(0.2)
        reconciler.poke()
        await asyncio.sleep(10)
    assert passes.times == [0.0, 1.5]
    assert passes.most_running == 1


async def test_pokes_shortly_after_a_pass_wait_for_the_pause() -> None:
    passes = Passes()
    async with running(passes, pause=1.0) as reconciler:
        reconciler.poke()
        await asyncio.sleep(0.3)
        reconciler.poke()
        await asyncio.sleep(0.3)
        reconciler.poke()
        await asyncio.sleep(10)
    assert passes.times == [0.0, 1.0]


async def test_a_failed_pass_is_run_again_by_itself_later_and_later() -> None:
    passes = Passes(*[OSError("no")] * 9)
    async with running(passes) as reconciler:
        reconciler.poke()
        await asyncio.sleep(0)
        await asyncio.sleep(55)
        assert reconciler.failures == 0
    waits = [round(b - a, 3) for a, b in zip(passes.times, passes.times[1:], strict=False)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


async def test_a_success_makes_the_next_failure_a_first_one() -> None:
    passes = Passes(OSError("no"), OSError("no"), None, OSError("no"))
    async with running(passes, pause=0.5) as reconciler:
        reconciler.poke()
        await asyncio.sleep(2)
        reconciler.poke()
        await asyncio.sleep(5)
    assert passes.times == [0.0, 0.2, 0.6, 2.0, 2.2]


async def test_who_wants_to_decide_again_does_so_at_once_and_has_not_failed() -> None:
    passes = Passes(AgainError("somebody else wrote first"), AgainError("again"))
    async with running(passes, pause=0.01) as reconciler:
        reconciler.poke()
        await asyncio.sleep(5)
        assert reconciler.failures == 0
    assert passes.times == [0.0, 0.01, 0.02]


async def test_what_is_said_about_failures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running(Passes(OSError("no"), AgainError("they wrote first"))) as reconciler:
        reconciler.poke()
        await asyncio.sleep(5)
    assert caplog.messages == [
        "a pass failed, the next in 0.2 s: no",
        "deciding again: they wrote first",
        "a pass succeeded after 1 failures",
    ]


async def test_a_cancelled_pass_ends_the_loop() -> None:
    passes = Passes(length=100.0)
    async with running(passes) as reconciler:
        reconciler.poke()
        await asyncio.sleep(1)
    assert passes.times == [0.0]


async def test_what_cannot_wait_is_served_in_the_pause_which_is_as_long_as_the_pass() -> None:
    passes, haste = Passes(length=0.4), Haste()
    async with running(passes, hasten=haste) as reconciler:
        reconciler.poke()
        await asyncio.sleep(0.5)
        reconciler.poke()
        await asyncio.sleep(0.1)
        reconciler.poke()
        await asyncio.sleep(5)
    assert haste.times == [0.5, 0.6]
    assert passes.times == [0.0, 0.8], "and then all is looked at, once"


async def test_a_pause_has_an_end() -> None:
    passes, haste = Passes(length=30.0), Haste()
    async with running(passes, hasten=haste) as reconciler:
        reconciler.poke()
        await asyncio.sleep(10)
        reconciler.poke()
        await asyncio.sleep(90)
    assert passes.times == [0.0, 31.0]
    assert haste.times == [30.0], "what came during a pass waits no longer"


async def test_haste_never_runs_beside_a_pass() -> None:
    running_now: list[str] = []

    async def take(what: str, seconds: float) -> bool:
        assert not running_now, f"{what} beside {running_now}"
        running_now.append(what)
        await asyncio.sleep(seconds)
        running_now.remove(what)
        return True

    async def one_pass() -> None:
        await take("pass", 0.3)

    async with running(one_pass, hasten=lambda: take("haste", 2.0)) as it:
        for _ in range(100):
            it.poke()
            await asyncio.sleep(0.07)


async def test_what_fails_in_haste_is_left_to_the_next_pass(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passes, haste = Passes(length=0.4), Haste(RuntimeError("no"))
    caplog.set_level(logging.INFO)
    async with running(passes, hasten=haste) as reconciler:
        reconciler.poke()
        await asyncio.sleep(0.5)
        reconciler.poke()
        await asyncio.sleep(5)
    assert passes.times == [0.0, 0.8]
    assert "left to the next pass: no" in caplog.text


async def test_before_a_pass_that_will_take_long_what_cannot_wait_is_served() -> None:
    passes, haste = Passes(length=0.1), Haste()
    async with running(passes, hasten=haste) as reconciler:
        reconciler.poke()
        await asyncio.sleep(1)
        reconciler.poke()
        await asyncio.sleep(0.04)
        reconciler.poke()
        await asyncio.sleep(5)
    assert haste.times == [1.0, 1.05]
    assert passes.times == [0.0, 1.1], "one that takes long comes after a moment"


async def test_what_is_served_in_haste_leaves_the_api_room() -> None:
    passes, haste = Passes(length=1.0), Haste()
    async with running(passes, hasten=haste) as reconciler:
        for _ in range(200):
            reconciler.poke()
            await asyncio.sleep(0.01)
    assert len(haste.times) <= 21


async def test_haste_that_takes_long_keeps_no_pass_waiting_for_as_long_again() -> None:
    passes, haste = Passes(length=0.4), Haste(length=30.0)
    async with running(passes, hasten=haste) as reconciler:
        reconciler.poke()
        await asyncio.sleep(0.5)
        reconciler.poke()
        await asyncio.sleep(60)
    assert passes.times == [0.0, 31.5]
