"""What was measured against what was wished: one line a figure, as Markdown or JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.figures import percentile

NOTHING = "\N{EN DASH}"
MILLISECONDS, SECONDS, COUNT, TIMES, MEGABYTES, PERCENT = "ms", "s", "", "times", "MB", "%"
_FACTOR = {MILLISECONDS: 1000.0, PERCENT: 100.0}
_DIGITS = {SECONDS: 2, TIMES: 2, PERCENT: 2}
_JSON_UNITS = {MILLISECONDS: "s", SECONDS: "s", MEGABYTES: "MB", TIMES: "times", PERCENT: "share"}


@dataclass(frozen=True)
class Wish:
    """What a figure is about and how large it may be; seconds, or a number of things.

    No bound: it is told, not judged. ``no_more``: values are ours less those of a reference that
    was measured beside it, and should not be above 0 but by chance.
    """

    what: str
    unit: str = MILLISECONDS
    p50: float | None = None
    most: float | None = None
    no_more: bool = False

    def text(self, value: float) -> str:
        """A value as people read it."""
        if math.isinf(value):
            return "never"
        scaled = value * _FACTOR.get(self.unit, 1.0)
        return f"{scaled:z.{_DIGITS.get(self.unit, 0)}f} {self.unit}".strip()

    @property
    def target(self) -> str:
        """The bounds in words; empty if there are none."""
        if self.no_more:
            return "no more"
        bounds = [("p50", self.p50), ("max", self.most)]
        if self.p50 is None and self.most == 0.0:
            return "0"
        return ", ".join(f"{n} ≤ {self.text(v)}" for n, v in bounds if v is not None)


@dataclass
class Figure:
    """A wish and what came of it, a value for each run."""

    wish: Wish
    values: list[float] = field(default_factory=list)

    @property
    def met(self) -> bool | None:
        """Whether it is as wished; None if nothing was wished or measured."""
        if not self.values or not self.wish.target:
            return None
        if self.wish.no_more:
            return _by_chance(self.values)
        p50_met = self.wish.p50 is None or statistics.median(self.values) <= self.wish.p50
        return p50_met and (self.wish.most is None or max(self.values) <= self.wish.most)

    def row(self) -> str:
        """A line of the Markdown table."""
        text = self.wish.text
        shown = (NOTHING, NOTHING)
        if self.values:
            shown = (text(statistics.median(self.values)), text(max(self.values)))
        word = {True: "yes", False: "**no**", None: NOTHING}[self.met]
        cells = (self.wish.what, *shown, str(len(self.values)), self.wish.target or NOTHING, word)
        return f"| {' | '.join(cells)} |"

    def json(self) -> dict[str, Any]:
        """The same for programs: seconds, or a number of things."""
        wish, values = self.wish, [round(value, 4) for value in self.values if value < math.inf]
        whole = len(values) == len(self.values) > 0
        return {
            "what": wish.what,
            "unit": _JSON_UNITS.get(wish.unit, "count"),
            "runs": len(self.values),
            "p50": round(statistics.median(values), 4) if whole else None,
            "p90": percentile(values, 0.9) if whole else None,
            "max": max(values) if whole else None,
            "target": {"p50": wish.p50, "max": wish.most, "no_more": wish.no_more},
            "met": self.met,
            "values": values,
            "never": len(self.values) - len(values),
        }


def _by_chance(differences: Sequence[float]) -> bool:
    """Whether their mean is not above 0 by more than two standard errors."""
    mean = statistics.fmean(differences)
    if mean <= 0 or len(differences) < 2 or math.isinf(mean):
        return mean <= 0
    return mean <= 2 * statistics.stdev(differences) / math.sqrt(len(differences))


def markdown(figures: Iterable[Figure]) -> str:
    """The table."""
    head = ("what", "p50", "max", "runs", "target", "met")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(figure.row() for figure in figures)])
