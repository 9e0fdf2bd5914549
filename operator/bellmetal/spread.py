"""Who of those that may owns each address, and who follows: evenly, and moving as little as can be.

An owner who may stay stays. Else, in this order: the node that a person's order names; the first
of the successors that stand, which is whom the speakers turn to by themselves; the owner of the
Service's other family; the node that owns the fewest, and of those the first by rank. What is
better comes first in all of this: endpoints that stay, no drain, steady, ready, a speaker that has
reported, the user's preference.

Successors are chosen so that what one node owns is spread over all others when it dies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bellmetal.addresses import IPAddress
from bellmetal.cluster import Cluster, Service
from bellmetal.eligibility import Field
from bellmetal.intents import rank
from bellmetal.standing import Standing

SUCCESSORS = 2
LOAD_SLACK = 1.25  # a node is full when it owns this many times the mean
MOST_TIES = 8  # nodes among which rank decides; of more, some that the address picks

Mate: TypeAlias = tuple[str, int]  # Service key, which of its addresses of a family
Tier: TypeAlias = dict[str, None]  # nodes that are equally good, sorted: a set with an order
Tiers: TypeAlias = tuple[Tier, ...]  # the best first


@dataclass(slots=True)
class Wanted:
    """An address that will be announced; the last two are chosen here.

    ``kept``: no node qualifies now, all stays as it stands. ``order``: the node that a person
    wants it to move to.
    """

    address: IPAddress
    services: list[Service]
    field: Field
    interfaces: frozenset[str]
    refresh: int
    present: Standing | None = None
    kept: bool = False
    order: str = ""
    owner: str = ""
    successors: tuple[str, ...] = ()


def _places() -> tuple[dict[str, Any], ...]:
    return tuple({} for _ in range(SUCCESSORS))


@dataclass
class Counts:
    """What each node has: addresses, and how often it follows at a place, and whom there."""

    addresses: int = 0
    load: dict[str, int] = field(default_factory=dict)
    heirs: tuple[dict[str, int], ...] = field(default_factory=_places)
    pairs: tuple[dict[str, dict[str, int]], ...] = field(default_factory=_places)


class Spread:
    """One choice for all that is wanted. ``counts``: what is there besides; it is added to."""

    def __init__(self, cluster: Cluster, wanted: Iterable[Wanted], counts: Counts) -> None:
        self._cluster, self._wanted, self._counts = cluster, tuple(wanted), counts
        counts.addresses += len(self._wanted)
        for name in cluster.nodes:
            for count in (counts.load, *counts.heirs):
                count.setdefault(name, 0)
        self._load, self._heirs = counts.load, counts.heirs
        self._tiers: dict[Field, Tiers] = {}
        self._lasting: dict[Field, Tiers] = {}
        self._mates: dict[Mate, list[Wanted]] = {}
        self._with: list[list[Wanted]] = [self._find_mates(item) for item in self._wanted]

    def choose(self) -> None:
        """Sets owner and successors of each."""
        undecided = []
        for item, mates in zip(self._wanted, self._with, strict=True):
            item.owner = self._present(item)
            if item.owner:
                self._load[item.owner] += 1
            else:
                undecided.append((item, mates))
        for item, mates in undecided:
            item.owner = self._new_owner(item, mates)
            self._load[item.owner] += 1
        open_ = []
        for item, mates in zip(self._wanted, self._with, strict=True):
            item.successors = self._lasting_successors(item)
            for place, name in enumerate(item.successors):
                self._count(item.owner, place, name)
            if len(item.successors) < min(SUCCESSORS, len(item.field.weights) - 1):
                open_.append((item, mates))
        for item, mates in open_:
            self._fill_successors(item, mates)

    def _find_mates(self, item: Wanted) -> list[Wanted]:
        """The addresses of the other family that belong to it: both go together, if they can."""
        found: list[Wanted] = []
        for service in item.services:
            version, number = item.address.version, 0
            while any(
                known.address.version == version
                for known in self._mates.get((service.key, number), ())
            ):
                number += 1
            mates = self._mates.setdefault((service.key, number), [])
            mates.append(item)
            found = mates if len(mates) > len(found) else found
        return found

    # --- owners ----------------------------------------------------------------------------------

    def _present(self, item: Wanted) -> str:
        """Who owns it by order or as before; empty if it has to be chosen."""
        weights = item.field.weights
        if item.kept and item.present:
            return item.present.owner
        pull = self._pull(item.field)
        ordered = item.order in weights and weights[item.order] >= pull  # else it would not last
        if ordered and self._cluster.living(item.order):
            return item.order
        owner = item.present.owner if item.present else ""
        if owner not in weights:
            return ""
        if item.order == owner:
            return owner
        if owner in item.field.ending:
            return ""
        return owner if weights[owner] >= pull else ""

    def _pull(self, field: Field) -> int:
        """How much the user must prefer a node for it to keep an address."""
        name = _pulling(self._cluster, self._tiers_of(field)[0])
        return field.weights[name] if name else 0

    def _new_owner(self, item: Wanted, mates: list[Wanted]) -> str:
        best = self._tiers_of(item.field)[0]
        if item.present is not None and not self._cluster.living(item.present.owner):
            for name in item.present.successors:  # by reflex it has it already
                if name in best:
                    return name
        limit = math.ceil(LOAD_SLACK * self._counts.addresses / len(best))
        for mate in mates:
            if mate.owner in best and self._load[mate.owner] <= limit:  # one more than alone
                return mate.owner
        return _first(list(best), (self._load,), mates[0].address)

    # --- successors ------------------------------------------------------------------------------

    def _lasting_successors(self, item: Wanted) -> tuple[str, ...]:
        """Those that stand, as far as they may: nothing changes because something else did."""
        if item.present is None:
            return ()
        standing = item.present.successors[:SUCCESSORS]
        if item.kept:
            return tuple(n for n in standing if n in item.field.weights and n != item.owner)
        taken, found = {item.owner}, []
        first = self._left(self._tiers_of(item.field), taken)
        for name in standing:
            if name not in taken and self._may_stay(item.field, name, taken):
                found.append(name)
                taken.add(name)
        if len(standing) < min(SUCCESSORS, len(item.field.weights) - 1):
            return ()  # there were fewer nodes: who is back, or new, gets its share
        dead = not any(map(self._cluster.living, found))
        if dead and any(self._cluster.living(name) for name in first if name != item.owner):
            return ()
        return tuple(found)

    def _may_stay(self, field: Field, name: str, taken: set[str]) -> bool:
        """Whether a successor stays one: also if it is not ready, as that may pass."""
        lasting = self._left(self._lasting_of(field), taken)
        return name in lasting or name in self._left(self._tiers_of(field), taken)

    def _left(self, tiers: Tiers, taken: set[str]) -> Tier:
        """The best nodes among which some are left; draining ones follow nobody."""
        nodes = self._cluster.nodes
        for tier in tiers:
            if not tier.keys() <= taken and not nodes[next(iter(tier))].draining:
                return tier
        return {}

    def _fill_successors(self, item: Wanted, mates: list[Wanted]) -> None:
        chosen = list(item.successors)
        mate = next((m for m in mates if m is not item and m.owner == item.owner), None)
        for place in range(len(chosen), SUCCESSORS):
            taken = {item.owner, *chosen}
            best = self._left(self._tiers_of(item.field), taken)
            left = [name for name in best if name not in taken]
            if not left:
                break
            name = mate.successors[place] if mate and len(mate.successors) > place else ""
            if name not in left:
                counts = self._pairs_of(place, item.owner), self._heirs[place]
                name = _first(left, counts, mates[0].address)
            chosen.append(name)
            self._count(item.owner, place, name)
        item.successors = tuple(chosen)

    def _pairs_of(self, place: int, owner: str) -> dict[str, int]:
        """How often each node follows an owner."""
        pairs = self._counts.pairs[place]
        found = pairs.get(owner)
        if found is None:
            found = pairs[owner] = dict.fromkeys(self._cluster.nodes, 0)
        return found

    def _count(self, owner: str, place: int, name: str) -> None:
        self._heirs[place][name] += 1
        self._pairs_of(place, owner)[name] += 1

    # --- how good nodes are ----------------------------------------------------------------------

    def _tiers_of(self, field: Field) -> Tiers:
        """By all that makes a node better for a new address."""
        if field not in self._tiers:
            self._tiers[field] = _best_first(self._cluster, field)
        return self._tiers[field]

    def _lasting_of(self, field: Field) -> Tiers:
        """By what keeps a node from staying a successor: not by what may pass soon."""
        if field not in self._lasting:
            nodes, unsteady = self._cluster.nodes, self._cluster.unsteady
            self._lasting[field] = _tiers(
                field.weights,
                lambda name: (
                    name in field.ending,
                    bool(nodes[name].draining),
                    name in unsteady,
                    -field.weights[name],
                ),
            )
        return self._lasting[field]


def preferred(cluster: Cluster, field: Field) -> str:
    """A node to which the user's preference pulls addresses; empty if there is none now."""
    return _pulling(cluster, _best_first(cluster, field)[0])


def _pulling(cluster: Cluster, best: Tier) -> str:
    """One of the best, if those live and are steady."""
    name = next(iter(best))
    return name if cluster.living(name) and name not in cluster.unsteady else ""


def _best_first(cluster: Cluster, field: Field) -> Tiers:
    """The nodes of a field by all that makes one better for a new address."""
    nodes, speakers, unsteady = cluster.nodes, cluster.speakers, cluster.unsteady
    return _tiers(
        field.weights,
        lambda name: (
            name in field.ending,
            not nodes[name].ready,
            name in unsteady,
            name not in speakers,
            bool(nodes[name].draining),
            -field.weights[name],
        ),
    )


def _first(names: Iterable[str], counts: Iterable[Mapping[str, int]], address: IPAddress) -> str:
    """Who has the least, by the first count, then by the next, then by rank."""
    ties = list(names)
    for count in counts:
        numbers = [count[name] for name in ties]
        least = min(numbers)
        ties = [name for name, number in zip(ties, numbers, strict=True) if number == least]
    if len(ties) > MOST_TIES:
        start = rank(address, "") % len(ties)
        ties = (ties + ties)[start : start + MOST_TIES]
    return max(ties, key=lambda name: rank(address, name))


def _tiers(names: Iterable[str], quality: Callable[[str], tuple[int, ...]]) -> Tiers:
    """Names of the same quality together, the best (lowest) first."""
    found: dict[tuple[int, ...], Tier] = {}
    for name in sorted(names):
        found.setdefault(quality(name), {})[name] = None
    return tuple(found[key] for key in sorted(found))
