"""The pump: messages in, effects out, one timer; on a loop whose time is made up."""

from __future__ import annotations

import asyncio

import pytest

from bellmetal.pump import Pump

pytestmark = pytest.mark.looptime


class Alarm:
    """A machine that wants a tick every second until ``ends``, and says what happened to it."""

    def __init__(self, ends: float = 3.0) -> None:
        self.due: float | None = 1.0
        self.ends = ends

    def receive(self, data: str, now: float) -> list[str]:
        if data == "sooner":
            self.due = now + 0.25
        return [f"{data} at {now:g}"] if data else []

    def tick(self, now: float) -> list[str]:
        assert self.due is not None
        self.due = self.due + 1.0 if self.due < self.ends else None
        return [f"tick at {now:g}"]

    def deadline(self) -> float | None:
        return self.due


class Pumped:
    def __init__(self) -> None:
        self.machine, self.log = Alarm(), list[str]()
        self.broken = False
        self.pump = Pump(self.machine, self.perform, lambda: asyncio.get_running_loop().time())

    def perform(self, effects: list[str]) -> None:
        self.log += effects
        if self.broken:
            raise RuntimeError("broken")


@pytest.fixture
def it() -> Pumped:
    return Pumped()


async def test_it_ticks_when_the_machine_wants_it_and_no_more_when_it_does_not(it: Pumped) -> None:
    it.pump.run([])
    await asyncio.sleep(10)
    assert it.log == ["tick at 1", "tick at 2", "tick at 3"]


async def test_a_message_is_handed_over_with_the_time(it: Pumped) -> None:
    await asyncio.sleep(0.5)
    it.pump.receive("hello")
    assert it.log == ["hello at 0.5"]


async def test_a_deadline_that_moves_moves_the_timer(it: Pumped) -> None:
    it.pump.run([])
    await asyncio.sleep(0.5)
    it.pump.receive("sooner")
    await asyncio.sleep(0.3)
    assert it.log == ["sooner at 0.5", "tick at 0.75"]


async def test_a_deadline_that_has_passed_is_kept_at_once(it: Pumped) -> None:
    await asyncio.sleep(2)
    it.pump.run([])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert it.log[0] == "tick at 2"


async def test_nothing_is_performed_when_there_are_no_effects(it: Pumped) -> None:
    it.broken = True
    it.pump.receive("")
    assert it.log == []


async def test_an_effect_that_fails_does_not_stop_the_clock(it: Pumped) -> None:
    it.broken = True
    with pytest.raises(RuntimeError, match="broken"):
        it.pump.receive("hello")
    it.broken = False
    await asyncio.sleep(1.5)
    assert it.log == ["hello at 0", "tick at 1"]


async def test_after_stop_nothing_comes_any_more(it: Pumped) -> None:
    it.pump.run([])
    it.pump.stop()
    it.pump.receive("hello")
    it.pump.run([])
    await asyncio.sleep(5)
    assert it.log == []
