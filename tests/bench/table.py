"""What was measured against what was wished: one line a figure, as Markdown or JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.figures import percentile

NOTHING = "\N{EN DASH}"
MILLISECONDS, SECONDS, COUNT = "ms", "s", ""
_FACTOR = {MILLISECONDS: 1000.0, SECONDS: 1.0, COUNT: 1.0}


@dataclass(frozen=True)
class Wish:
    """What a figure is about and how large it may be; seconds, or a number of things.

    No bound: it is told, not judged.
    """

    what: str
    unit: str = MILLISECONDS
    p50: float | None = None
    most: float | None = None

    def text(self, value: float) -> str:
        """A value as people read it."""
        if math.isinf(value):
            return "never"
        scaled = value * _FACTOR[self.unit]
        digits = 2 if self.unit == SECONDS else 0
        return f"{scaled:.{digits}f} {self.unit}".strip()

    @property
    def target(self) -> str:
        """The bounds in words; empty if there are none."""
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
            "unit": "s" if wish.unit else "count",
            "runs": len(self.values),
            "p50": round(statistics.median(values), 4) if whole else None,
            "p90": percentile(values, 0.9) if whole else None,
            "max": max(values) if whole else None,
            "target": {"p50": wish.p50, "max": wish.most},
            "met": self.met,
            "values": values,
            "never": len(self.values) - len(values),
        }


def markdown(figures: Iterable[Figure]) -> str:
    """The table."""
    head = ("what", "p50", "max", "runs", "target", "met")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(figure.row() for figure in figures)])
