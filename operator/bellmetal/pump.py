"""Drives a Machine on asyncio: receive, tick, re-arm. Effects go to one function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from bellmetal.machine import Machine

E = TypeVar("E")


class Pump(Generic[E]):
    """``perform(effects)`` carries out what the machine wants; called on the event loop only."""

    def __init__(
        self,
        machine: Machine[E],
        perform: Callable[[list[E]], None],
        clock: Callable[[], float],
    ) -> None:
        self.machine, self._perform, self._clock = machine, perform, clock
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._stopped = False

    def receive(self, data: Any) -> None:
        """Hands a message to the machine; after the end to nobody."""
        if not self._stopped:
            self.run(self.machine.receive(data, self._clock()))

    def run(self, effects: list[E]) -> None:
        """Carries out effects of any command of the machine, and re-arms the timer."""
        try:
            if effects:
                self._perform(effects)
        finally:  # an effect that fails must not stop the machine's clock
            self._arm()

    def stop(self) -> None:
        """No more messages, no more ticks."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = None

    def _arm(self) -> None:
        """A timer that is set too early is left alone: deadlines move on with every message."""
        due = self.machine.deadline()
        if self._stopped or due is None or (self._due is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        delay = max(0.0, due - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer = self._due = None
        now, due = self._clock(), self.machine.deadline()
        self.run(self.machine.tick(now) if due is not None and due <= now else [])
