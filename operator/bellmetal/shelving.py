"""Where things stand on shelves, and where new ones go: as little moves as possible.

May live here: counting. May not: what the things are (`packing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Size(NamedTuple):
    """How much something is, or a shelf can hold: items, and what they weigh."""

    items: int
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Shelves(Generic[K]):
    """Shelf → its things, in order; an empty one is not needed any more. ``left``: the shelves
    that something has left for another one."""

    things: Mapping[str, list[K]]
    left: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """``room``: until it takes nothing new, unless it is empty; ``most``: when something leaves."""

    room: Size
    most: Size | None = None


def shelve(
    before: Mapping[str, Iterable[K]],
    wanted: Mapping[K, Size],
    names: Callable[[int], str],
    limits: Limits,
) -> Shelves[K]:
    """What is wanted stays where it stood ``before``; new things follow in their order.

    ``names``: of the shelves, by number. Where a thing stood twice, the first place stays.
    """
    sorting = _Sorting(dict(wanted), limits)
    for name in sorted(before):
        sorting.keep(name, before[name])
    sorting.fill(names)
    return Shelves(sorting.things, frozenset(sorting.left))


def add(
    sizes: Mapping[str, Size],
    new: Mapping[K, Size],
    names: Callable[[int], str],
    limits: Limits,
) -> dict[str, list[K]]:
    """Where `shelve` would put new things beside what stands, of which only ``sizes`` matter."""
    sorting = _Sorting(dict(new), limits, sizes=dict(sizes))
    sorting.fill(names)
    return {name: keys for name, keys in sorting.things.items() if keys}


@dataclass
class _Sorting(Generic[K]):
    todo: dict[K, Size]
    limits: Limits
    things: dict[str, list[K]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    moving: dict[K, Size] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)

    def keep(self, name: str, keys: Iterable[K]) -> None:
        sizes = {key: self.todo.pop(key) for key in keys if key in self.todo}
        most = self.limits.most
        while most is not None and len(sizes) > 1 and not _fits(_sum(sizes), most):
            key, size = sizes.popitem()
            self.moving[key] = size
            self.left.add(name)
        self.things[name] = list(sizes)
        self.sizes[name] = _sum(sizes)

    def fill(self, names: Callable[[int], str]) -> None:
        new = [*self.moving.items(), *self.todo.items()]
        at = 0
        for name in map(names, count()):
            if at == len(new):
                return
            if name in self.left:
                continue
            filled = self.sizes.get(name, Size(0))
            things = self.things.setdefault(name, [])
            while at < len(new):
                key, size = new[at]
                total = Size(filled.items + size.items, filled.weight + size.weight)
                if filled.items and not _fits(total, self.limits.room):
                    break
                things.append(key)
                filled = total
                at += 1


def _sum(sizes: Mapping[K, Size]) -> Size:
    found = list(sizes.values())
    return Size(sum(size.items for size in found), sum(size.weight for size in found))


def _fits(size: Size, limit: Size) -> bool:
    return size.items <= limit.items and size.weight <= limit.weight
