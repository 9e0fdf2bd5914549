"""A pool's addresses as a map: cells in their order, never more than so many.

A pool that is small enough has a cell for each address. In a larger one what is in use is looked
at ever more closely, as long as there are cells left for it, and what is free stays in one piece:
so a /48 with three addresses in use is a few dozen cells, and the three are among them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bellmetal.addresses import IPAddress, Range, count_buggy, is_buggy
from bellmetal.page.occupancy import Place, count

FAN = 16  # pieces that a piece is cut into


@dataclass(frozen=True, slots=True)
class Cell:
    """A range of addresses and what is in it; ``free`` counts what may be given out."""

    range: Range
    counts: Mapping[str, int]
    free: int

    @property
    def single(self) -> bool:
        """Whether it is one address."""
        return self.range.size == 1

    @property
    def place(self) -> Place:
        """Of a single one: what it is."""
        return Place(next(iter(self.counts), Place.FREE.value))


@dataclass(frozen=True, slots=True)
class Map:
    """``left_off``: ranges for which there was no cell."""

    cells: tuple[Cell, ...]
    left_off: int = 0


def draw(
    ranges: Sequence[Range],
    places: Mapping[IPAddress, Place],
    avoid_buggy: bool,
    most: int,
) -> Map:
    """The map of these ranges, which are of one family, in ``most`` cells."""
    shown, taken = list(ranges[:most]), sorted(places, key=int)
    numbers = [int(address) for address in taken]
    if sum(item.size for item in shown) <= most:
        level = [one for item in shown for one in _singles(item)]
    else:
        level = _zoomed(shown, numbers, most)
    cells = []
    for item in level:
        at, end = _between(numbers, item)
        cells.append(_cell(item, [places[one] for one in taken[at:end]], avoid_buggy))
    return Map(tuple(cells), len(ranges) - len(shown))


def _zoomed(level: list[Range], numbers: list[int], most: int) -> list[Range]:
    """The pieces that hold something cut again and again, all alike, as long as they fit."""
    while True:
        finer: list[Range] = []
        for item in level:
            at, end = _between(numbers, item)
            for piece in _cut(item) if end > at and item.size > 1 else [item]:
                _add(finer, piece, numbers)
        if len(finer) > most or finer == level:
            return level
        level = finer


def _add(level: list[Range], piece: Range, numbers: list[int]) -> None:
    """Another piece; free blocks that follow each other are one."""
    if level and piece.size > 1 and _free(numbers, piece):
        before = level[-1]
        follows = int(before.last) + 1 == int(piece.first)
        if follows and before.size > 1 and _free(numbers, before):
            level[-1] = Range(before.first, piece.last)
            return
    level.append(piece)


def _free(numbers: list[int], item: Range) -> bool:
    at, end = _between(numbers, item)
    return at == end


def _cut(item: Range) -> Iterator[Range]:
    """Its pieces; all but the ends are of one size, a power of two, and begin at a multiple."""
    step = 1 << max(0, (-(-item.size // FAN) - 1).bit_length())
    make, at, last = type(item.first), int(item.first), int(item.last)
    while at <= last:
        end = min(last, (at // step + 1) * step - 1)
        yield Range(make(at), make(end))
        at = end + 1


def _singles(item: Range) -> Iterator[Range]:
    return (Range(one, one) for one in item)


def _between(numbers: list[int], item: Range) -> tuple[int, int]:
    first = bisect.bisect_left(numbers, int(item.first))
    return first, bisect.bisect_right(numbers, int(item.last))


def _cell(item: Range, places: list[Place], avoid_buggy: bool) -> Cell:
    counts = count(places)
    never = count_buggy(item) if avoid_buggy else 0
    if item.size == 1 and never and not places and is_buggy(item.first):
        counts = {Place.NEVER.value: 1}
    return Cell(item, counts, max(0, item.size - len(places) - never))
