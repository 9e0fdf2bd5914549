"""What the demo shows: sentences, command lines and what they printed, a line that lives.

Colours and moving lines on a terminal only; plain text in a file or a pipe.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

INDENT = "   "


@dataclass(frozen=True)
class Timed:
    """An act that was played, and the seconds it took."""

    title: str
    seconds: float


class Screen:
    """Tells a story; a brief one is a line for each act and for each thing waited for."""

    def __init__(self, out: TextIO | None = None, brief: bool = False) -> None:
        self._console = Console(
            file=out, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._brief = brief
        self._began = time.monotonic()
        self.acts: list[Timed] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def act(self, title: str) -> Iterator[None]:
        """A part of the story, with its time."""
        began = time.monotonic()
        if not self._brief:
            self.line(f"\n━━ {title} ━━", "bold cyan")
        yield
        took = time.monotonic() - began
        self.acts.append(Timed(title, took))
        self.line(f"{title}: {took:.1f} s" if self._brief else f"\n{INDENT}[{took:.1f} s]", "dim")

    def act_times(self) -> None:
        """What each act took."""
        self.line("")
        for act in self.acts:
            self.line(f"{act.seconds:5.1f} s  {act.title}", "dim")

    def step(self, number: str, sentence: str) -> None:
        """What comes next, and why."""
        if not self._brief:
            self._console.print(Text.assemble("\n", (f"{number:<3}", "bold cyan"), (sentence, "")))

    def say(self, sentence: str, style: str = "") -> None:
        """A sentence about what was seen."""
        if not self._brief:
            self.line(f"{INDENT}{sentence}", style)

    def line(self, text: str, style: str = "") -> None:
        """A line as it is, in a brief story too."""
        self._console.print(text, style=style)

    def command(self, prompt: str, line: str, output: str, limit: int | None = None) -> None:
        """A command line and what it printed: all of it, or the first lines."""
        if self._brief:
            return
        first, *more = line.splitlines()
        self._console.print(Text.assemble(INDENT, (f"{prompt} ", "green"), (first, "bold")))
        for rest in more:
            self._console.print(Text(rest, "bold"))
        lines = output.rstrip().splitlines()
        for text in lines[:limit]:
            self.line(f"{INDENT}{text}".rstrip())
        if limit is not None and len(lines) > limit:
            self.line(f"{INDENT}… and {len(lines) - limit} lines more", "dim")

    @contextlib.contextmanager
    def waiting(self, what: str, tell: bool = True) -> Iterator[None]:
        """Shows that something takes a while, and in the end how long it took."""
        began = time.monotonic()
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        with contextlib.ExitStack() as stack:
            if self._console.is_terminal:
                bar = Progress(*columns, console=self._console, transient=True)
                stack.enter_context(bar).add_task(what, total=None)
            yield
        if tell:
            self.line(f"{INDENT}{what}: {time.monotonic() - began:.1f} s", "dim")

    @contextlib.contextmanager
    def live(self, render: Callable[[], Text]) -> Iterator[None]:
        """A line that is drawn anew while the block runs, on a terminal; then it is gone."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=render, console=self._console, refresh_per_second=8, transient=True
        ):
            yield

    def draw(self, text: Text) -> None:
        """A line in several colours."""
        if not self._brief:
            self._console.print(text)
