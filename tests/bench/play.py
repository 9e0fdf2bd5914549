"""Plays the rows of a benchmark one after the other, says how far it is, and reports.

What was measured is reported also when it is interrupted; a run that breaks down is told, and
played on a new stage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.rows import Row, Stage, Values
from bench.table import Figure, markdown
from lab.errors import LabError
from lab.progress import time_left

INTERRUPTED = 130
CHANCES = 3  # runs of one row that may break down before it is given up


@dataclass
class Result:
    """What a row's runs gave, and what broke down."""

    row: Row
    figures: dict[str, Figure] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, values: Values) -> None:
        """One run's values."""
        for name, value in values.items():
            self.figures[name].values += _several(value)


class Bench:
    """Plays rows one after the other on one scene, which is made anew when a run breaks down."""

    def __init__(self, rows: Sequence[Row], runs: int, say: Callable[[str], None]) -> None:
        self._plan = {row.name: max(1, round(runs * row.share)) for row in rows}
        self._rows = rows
        self._say = say
        self._open = contextlib.ExitStack()
        self._kind: type[Stage] | None = None
        self._stage: Any = None
        self._spent, self._expected = 0.0, 0.0  # seconds of what was played
        self.results = [Result(row, _figures(row)) for row in rows]

    def play(self) -> None:
        """All of it."""
        with self._open:
            for result in self.results:
                for number in range(self._plan[result.row.name]):
                    if len(result.problems) < CHANCES:
                        self._once(result, number)

    def _once(self, result: Result, number: int) -> None:
        row, began = result.row, time.monotonic()
        try:
            values = row.once(self._on(row.stage), number)
            result.take(values)
            told = _told(result, values)
        except (LabError, OSError, subprocess.SubprocessError) as problem:
            result.problems.append(f"run {number + 1}: {problem}")
            told = f"broke down: {problem}"
            self._clear()
        self._spent += time.monotonic() - began
        self._expected += row.seconds
        share = self._expected / sum(r.seconds * self._plan[r.name] for r in self._rows)
        left = time_left(self._spent, min(share, 1.0))
        self._say(f"{row.name} {number + 1}/{self._plan[row.name]}: {told} [{left}]")

    def _on(self, kind: type[Stage]) -> Any:
        if self._kind is not kind:
            self._clear()
            self._say(f"bringing up {kind.title}")
            self._stage = self._open.enter_context(kind.opened())
            self._kind = kind
        return self._stage

    def _clear(self) -> None:
        self._open.close()
        self._kind = self._stage = None


def _figures(row: Row) -> dict[str, Figure]:
    return {name: Figure(wish) for name, wish in row.wishes.items()}


def _several(value: float | Sequence[float]) -> list[float]:
    return [*map(float, value)] if isinstance(value, Sequence) else [float(value)]


def _told(result: Result, values: Values) -> str:
    wishes, several = result.row.wishes, {name: _several(value) for name, value in values.items()}
    middle = {name: statistics.median(items) for name, items in several.items() if items}
    return ", ".join(f"{name} {wishes[name].text(value)}" for name, value in middle.items())


def report(results: Iterable[Result], output: str) -> str:
    """All figures, as a table or as JSON."""
    done = list(results)
    if output == "json":
        rows = [
            {
                "row": result.row.name,
                "problems": result.problems,
                "figures": {name: item.json() for name, item in result.figures.items()},
            }
            for result in done
        ]
        return json.dumps(rows, indent=1, ensure_ascii=False)
    table = markdown(item for result in done for item in result.figures.values())
    broken = [f"{result.row.name}, {text}" for result in done for text in result.problems]
    return "\n".join([table, *broken])


def main(program: str, rows: Sequence[Row], arguments: Sequence[str] | None = None) -> int:
    """0 if all that was wished came true, 1 if not, 130 after Ctrl-C.

    ``program``: the module's name, ``bench.layer2``.
    """
    names = [row.name for row in rows]
    about = f"Plays rows of {program} on a real network and says whether figures are as wished."
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument("--runs", type=int, default=20, help="of the most important rows")
    parser.add_argument("--only", default="", help=f"some of {','.join(names)}")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else names
    if unknown := sorted({*wanted} - {*names}):
        parser.error(f"no row {', '.join(unknown)}: there are {', '.join(names)}")
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    bench = Bench([row for row in rows if row.name in wanted], options.runs, say)
    interrupted = False
    try:
        bench.play()
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted; this is what was measured")
    print(report(bench.results, options.output))
    if interrupted:
        return INTERRUPTED
    figures = [figure for result in bench.results for figure in result.figures.values()]
    broken = any(result.problems for result in bench.results)
    return int(broken or any(figure.met is False for figure in figures))
