"""Two BFD sessions and a wire between them, by a clock that a test moves."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from bellmetal_bgp.bfd import packets
from bellmetal_bgp.bfd.session import Send, Session, SessionEffect, Timers

Lose = Callable[[int], bool]  # by sender


class BFDWire:
    """Sessions 0 and 1; every packet takes ``delay`` seconds. ``heard[n]`` is what n was told."""

    def __init__(
        self, timers: tuple[Timers, Timers], seed: int, lose: Lose, delay: float = 0.001
    ) -> None:
        self.now, self._lose, self._delay = 0.0, lose, delay
        dice = random.Random(seed)
        self.ends = tuple(
            Session(number + 1, timers[number], random.Random(dice.random()), 0.0)
            for number in (0, 1)
        )
        self.told: tuple[list[tuple[float, SessionEffect]], ...] = ([], [])
        self.arrived: list[float] = [0.0, 0.0]
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()

    def perform(self, end: int, effects: list[SessionEffect]) -> None:
        """What an end wants done."""
        for effect in effects:
            if not isinstance(effect, Send):
                self.told[end].append((self.now, effect))
            elif not self._lose(end):
                item = (self.now + self._delay, next(self._order), 1 - end, effect.data)
                heapq.heappush(self._flying, item)

    def run(self, seconds: float) -> None:
        """Until then, event by event."""
        end = self.now + seconds
        while (due := self._next()) <= end:
            self.now = max(self.now, due)
            if self._flying and self._flying[0][0] <= due:
                _, _, to, data = heapq.heappop(self._flying)
                self.arrived[to] = self.now
                self.perform(to, self.ends[to].receive(packets.decode(data), self.now))
                continue
            for number, session in enumerate(self.ends):
                deadline = session.deadline()
                if deadline is not None and deadline <= self.now:
                    self.perform(number, session.tick(self.now))
        self.now = end

    def _next(self) -> float:
        times = [end.deadline() for end in self.ends]
        found = [time for time in times if time is not None]
        if self._flying:
            found.append(self._flying[0][0])
        return min(found, default=float("inf"))
