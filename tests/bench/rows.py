"""What a row of a benchmark is: what it measures, what is wished, and one run of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from bench.table import Wish
from lab.scene import Scene

# seconds or a number of things, by the name of the wish; several, where one run measures several
Values: TypeAlias = Mapping[str, float | Sequence[float]]


class Stage(Protocol):
    """What rows are played on: nodes, programs, clients. ``title``: what that is, in words."""

    title: ClassVar[str]

    @classmethod
    def opened(cls) -> AbstractContextManager[Any]:
        """Brings one up; all of it is gone at the end."""


@dataclass(frozen=True)
class Row:
    """One kind of fault, move or load on a stage that rows share.

    ``once`` plays it for the n-th time and leaves everything at work again. ``share``: how many of
    the runs that were asked for it gets. ``seconds`` that one run takes, roughly.
    """

    name: str
    wishes: Mapping[str, Wish]
    once: Callable[[Any, int], Values]
    share: float = 1.0
    seconds: float = 8.0
    stage: type[Stage] = Scene
