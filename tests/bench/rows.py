"""What a row of a benchmark is: what it measures, what is wished, and one run of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bench.table import Wish
from lab.scene import Scene, Speakers

Values: TypeAlias = Mapping[str, float]  # seconds or a number of things, by the name of the wish


@dataclass(frozen=True)
class Row:
    """One kind of fault or move on a stage that rows share.

    ``once`` plays it for the n-th time and leaves everything at work again. ``share``: how many of
    the runs that were asked for it gets. ``seconds`` that one run takes, roughly.
    """

    name: str
    wishes: Mapping[str, Wish]
    once: Callable[[Any, int], Values]
    share: float = 1.0
    seconds: float = 8.0
    stage: type[Speakers] = Scene
