"""The figures of layer 2: faults and planned moves, measured on real network namespaces.

``python -m bench.layer2 [--runs N] [--only NAME,…] [--output json]``, with PYTHONPATH=tests, as
root. It prints how far it is, and a table at the end; also what it has when it is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bench import deaths, many, moves, splits
from bench.rows import Row, Values
from bench.table import Figure, markdown
from lab.bare import Bare
from lab.errors import LabError
from lab.progress import time_left
from lab.scene import Speakers

ROWS: tuple[Row, ...] = (*deaths.ROWS, *moves.ROWS, *splits.ROWS, *many.ROWS)
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
            self.figures[name].values.append(float(value))


class Bench:
    """Plays rows one after the other on one scene, which is made anew when a run breaks down."""

    def __init__(self, rows: Sequence[Row], runs: int, say: Callable[[str], None]) -> None:
        self._plan = {row.name: max(1, round(runs * row.share)) for row in rows}
        self._rows = rows
        self._say = say
        self._open = contextlib.ExitStack()
        self._stage: Speakers | None = None
        self._began = time.monotonic()
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
        except (LabError, OSError) as problem:
            result.problems.append(f"run {number + 1}: {problem}")
            told = f"broke down: {problem}"
            self._clear()
        self._spent += time.monotonic() - began
        self._expected += row.seconds
        share = self._expected / sum(r.seconds * self._plan[r.name] for r in self._rows)
        left = time_left(self._spent, min(share, 1.0))
        self._say(f"{row.name} {number + 1}/{self._plan[row.name]}: {told} [{left}]")

    def _on(self, kind: type[Speakers]) -> Speakers:
        if not isinstance(self._stage, kind):
            self._clear()
            self._say("bringing up three nodes")
            self._stage = kind(self._open.enter_context(Bare(**kind.options)))
        return self._stage

    def _clear(self) -> None:
        self._open.close()
        self._stage = None


def _figures(row: Row) -> dict[str, Figure]:
    return {name: Figure(wish) for name, wish in row.wishes.items()}


def _told(result: Result, values: Values) -> str:
    return ", ".join(f"{n} {result.row.wishes[n].text(value)}" for n, value in values.items())


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


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all that was wished came true, 1 if not, 130 after Ctrl-C."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="bench.layer2", description=__doc__.split("\n")[0])
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

    bench = Bench([row for row in ROWS if row.name in wanted], options.runs, say)
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


if __name__ == "__main__":
    sys.exit(main())
