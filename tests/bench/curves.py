"""What decisions cost as a cluster grows: a curve for each, and the exponent that fits its end.

``python -m bench.curves [--output json]``, with PYTHONPATH=tests: no lab, no root. Each point is
the best of a few runs. The exponent is the slope of a straight line through the logarithms of the
points between 1,000 and 10,000: 1 is linear.
"""

from __future__ import annotations

import gc
import ipaddress
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations, allocate
from bellmetal.cluster import Cluster, Service, Shown
from bellmetal.config import Pool
from bellmetal.counters import count
from bellmetal.holdings import Holding
from bellmetal.intents import Intents
from bellmetal.packing import SliceChanges, pack
from bellmetal.planning import plan
from bellmetal.resources import AnnouncementSlice
from bellmetal.settlement import settle
from bellmetal.slices import SliceReader
from bellmetal.standing import standings
from builders import cluster, pool, service

NOW = "2026-01-01T00:00:00Z"
SIZES = (100, 300, 1_000, 3_000, 10_000)
FROM = 1_000  # the exponent is fitted from here on
RUNS = 3  # of which the best counts
NODES = 20

Point: TypeAlias = tuple[int, float]  # how many, seconds
Curves: TypeAlias = dict[str, list[Point]]


def exponent(points: Sequence[Point]) -> float:
    """The slope through the points' logarithms, by least squares."""
    xs = [math.log(size) for size, _ in points]
    ys = [math.log(max(seconds, 1e-9)) for _, seconds in points]
    return statistics.linear_regression(xs, ys).slope


def fitted(points: Sequence[Point]) -> float:
    """The exponent of those that are large enough to tell."""
    return exponent([point for point in points if point[0] >= FROM])


def best(work: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds of the quickest run; no garbage is collected meanwhile, as that is another's."""
    times = []
    for _ in range(runs):
        gc.collect()
        gc.disable()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
        gc.enable()
    return min(times)


# --- a cluster of any size ------------------------------------------------------------------------


class Sized:
    """A cluster with so many Services that all hold an address, and what decisions made of it."""

    def __init__(self, services: int, nodes: int = NODES, pools: int = 1) -> None:
        self.names = [f"n{number}" for number in range(nodes)]
        self.pools = spread_pools(pools)
        self.fresh = [service(f"default/web-{number}") for number in range(services)]
        self.empty = self._cluster(self.fresh)
        self.given = allocate(self.empty, {}, NOW)
        self.held = _held(self.empty, self.given)
        shown = [_showing(item, self.given) for item in self.fresh]
        self.full = self._cluster(shown)
        self.intents = plan(self.full, self.given, self.held, {})
        self.slices = stored(pack(self.intents, {}), {})

    def _cluster(self, services: Sequence[Service]) -> Cluster:
        return cluster(*services, pools=self.pools, nodes=self.names)

    def replan(self, changed: Cluster) -> Intents:
        """The plan for a changed cluster, with what stands."""
        contents = SliceReader().read(self.slices.values())
        sets = contents.node_sets
        standing = standings(contents.announcements.values(), (), changed.nodes, sets)
        allocations = allocate(changed, self.held, NOW)
        held = _held(changed, allocations, self.held)
        return plan(changed, allocations, held, standing)


def spread_pools(number: int) -> list[Pool]:
    """So many pools of a size, that together have no more than a /12; alone it has a /48 too."""
    if number == 1:
        return [pool("main", "10.16.0.0/12", "2001:db8::/48")]
    whole = ipaddress.IPv4Network("10.16.0.0/12")
    pieces = whole.subnets(prefixlen_diff=(number - 1).bit_length())
    return [
        pool(f"pool-{at:05}", str(piece)) for at, piece in zip(range(number), pieces, strict=False)
    ]


def _held(
    of: Cluster, allocations: Allocations, before: dict[IPAddress, Holding] | None = None
) -> dict[IPAddress, Holding]:
    found = dict(before or {})
    for item in settle(allocations, of.services, found, NOW):
        found[item.address] = item
    return found


def _showing(item: Service, given: Allocations) -> Service:
    allocation = given.granted[item.key]
    return replace(item, shown=Shown(allocation.addresses, allocation.pool, ()))


def stored(
    changes: SliceChanges, before: dict[str, AnnouncementSlice]
) -> dict[str, AnnouncementSlice]:
    """The slices once they are written."""
    found = dict(before)
    for item in (*changes.write, *changes.vacate):
        found[item.metadata.name] = item
    for item in changes.delete:
        found.pop(item.metadata.name, None)
    return found


# --- the curves -----------------------------------------------------------------------------------


Works: TypeAlias = dict[str, Callable[[], object]]


def measured(works_of: Callable[[int], Works], sizes: Sequence[int], runs: int) -> Curves:
    """Seconds of each work at each size."""
    found: Curves = {}
    for size in sizes:
        for name, work in works_of(size).items():
            found.setdefault(name, []).append((size, best(work, runs)))
    return found


def by_services(sizes: Sequence[int] = SIZES, runs: int = RUNS) -> Curves:
    """Seconds of each decision against the number of Services."""

    def works(size: int) -> Works:
        it = Sized(size)
        contents = SliceReader().read(it.slices.values())
        sets = contents.node_sets
        standing = standings(contents.announcements.values(), (), it.full.nodes, sets)
        return {
            "allocate: all wait": lambda: allocate(it.empty, {}, NOW),
            "allocate: all hold": lambda: allocate(it.full, it.held, NOW),
            "settle: all wait": lambda: settle(it.given, it.empty.services, {}, NOW),
            "settle: all hold": lambda: settle(it.given, it.full.services, it.held, NOW),
            "plan: nothing stands": lambda: plan(it.full, it.given, it.held, {}),
            "plan: all stands": lambda: plan(it.full, it.given, it.held, standing),
            "pack: no slice yet": lambda: pack(it.intents, {}),
            "pack: nothing changes": lambda: pack(it.intents, it.slices),
            "count the pools": lambda: count(it.pools, it.given),
            "read slices anew": lambda: SliceReader().read(it.slices.values()),
        }

    return measured(works, sizes, runs)


def by_nodes(sizes: Sequence[int] = (10, 30, 100, 300, 1_000, 3_000), runs: int = 1) -> Curves:
    """Seconds of a plan of 1,000 Services against the number of nodes."""

    def works(size: int) -> Works:
        it = Sized(1_000, nodes=size)
        return {
            "plan: nothing stands": lambda: plan(it.full, it.given, it.held, {}),
            "plan: all stands": lambda: it.replan(it.full),
        }

    return measured(works, sizes, runs)


def by_pools(sizes: Sequence[int] = (1, 10, 100, 1_000, 10_000), runs: int = 1) -> Curves:
    """Seconds of an allocation of 1,000 Services against the number of pools."""

    def works(size: int) -> Works:
        it = Sized(1_000, pools=size)
        return {
            "allocate: all wait": lambda: allocate(it.empty, {}, NOW),
            "allocate: all hold": lambda: allocate(it.full, it.held, NOW),
            "count the pools": lambda: count(it.pools, it.given),
        }

    return measured(works, sizes, runs)


def all_curves() -> dict[str, Curves]:
    """By what grows: Services, nodes, pools."""
    return {"Services": by_services(), "nodes": by_nodes(), "pools": by_pools()}


def table(curves: Curves, of: str) -> str:
    """As Markdown: milliseconds of each size, and the exponent."""
    sizes = [size for size, _ in next(iter(curves.values()))]
    head = [of, *(f"{size:,}" for size in sizes), "exponent"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, points in curves.items():
        cells = [name, *(f"{seconds * 1e3:.1f} ms" for _, seconds in points)]
        lines.append(f"| {' | '.join(cells)} | {fitted(points):.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Prints a table for each."""
    for of, curves in all_curves().items():
        print(f"{table(curves, of)}\n", flush=True)


if __name__ == "__main__":
    main()
