"""How far a long piece of work is and how long it still takes: a bar, or plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, TextIO

EVERY = 15.0  # seconds between two lines where there is no terminal


class Progress(Protocol):
    """Told of stages and of what is done; shows it somehow."""

    def stage(self, name: str, total: float) -> None:
        """Begin a piece of work of that size, in any unit."""

    def done(self, amount: float, what: str = "") -> None:
        """So much of it is done by now (in all), this last."""


class Lines:
    """Plain lines now and then: for logs and tests."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._name, self._total, self._began, self._said = "", 0.0, 0.0, 0.0

    def stage(self, name: str, total: float) -> None:
        """Begin a piece of work."""
        self._name, self._total = name, total
        self._began = self._said = time.monotonic()
        self._say(name)

    def done(self, amount: float, what: str = "") -> None:
        """So much of it is done by now."""
        now = time.monotonic()
        if now - self._said < EVERY or not self._total:
            return
        self._said = now
        share = min(amount / self._total, 1)
        left = time_left(now - self._began, share)
        self._say(f"{self._name}: {share:.0%}, {left}")

    def _say(self, text: str) -> None:
        print(f"lab: {text}", file=self._out, flush=True)


def time_left(spent: float, share: float) -> str:
    """In words, from what the work done so far has taken; rough at first, so it says nothing."""
    if share < 0.02:
        return "time left unknown yet"
    seconds = spent / share - spent
    return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"


class Bar:
    """A bar on a terminal, by rich."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._task: TaskID | None = None
        self._total, self._began = 0.0, 0.0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()
        self._bar.stop()

    def _finish(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=self._total, left="")

    def stage(self, name: str, total: float) -> None:
        """Begin a piece of work, on a line of its own."""
        self._finish()
        self._total, self._began = total or 1.0, time.monotonic()
        self._task = self._bar.add_task(name, total=self._total, left="")

    def done(self, amount: float, what: str = "") -> None:
        """So much of it is done by now."""
        if self._task is not None:
            left = time_left(time.monotonic() - self._began, min(amount / self._total, 1))
            self._bar.update(self._task, completed=min(amount, self._total), left=left)
