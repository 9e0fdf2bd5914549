"""The user's configuration as nouns: Pool, L2Advertisement, and all of them as one Config.

May live here: frozen values and predicates on them. May not: parsing (`validation.py`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import Family, IPAddress, Range, count_buggy, is_buggy
from bellmetal.selectors import Selector, any_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one object: kind, name, path of the field, and a sentence about it."""

    kind: str
    name: str
    path: str
    message: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name} {self.path}: {self.message}"


class OnOrphan(enum.Enum):
    """What becomes of an address in use that its pool allows no more."""

    KEEP = "keep"  # it stays and is reported
    RENUMBER = "renumber"  # the Service gets another at once, as with MetalLB


@dataclass(frozen=True, slots=True)
class Pool:
    """An IPAddressPool. ``priority``: lower is preferred, 0 is last.

    ``broken`` says that its object is invalid: no new address comes out of it, and what was given
    out of it stays. What stands last here is asked for by ``bellmetal.io/`` annotations:
    ``excluded`` ranges are as if they were not in the pool; a ``reserved`` address is for the
    Service of that key (``namespace/name``) alone, or, if that is empty, for whoever asks for it;
    ``cool_down`` is in seconds; out of a ``draining`` pool comes no new address; ``on_orphan``
    None leaves it to the controller's setting.
    """

    name: str
    ranges: tuple[Range, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    auto_assign: bool = True
    avoid_buggy: bool = False
    priority: int = 0
    namespaces: frozenset[str] | None = None
    service_selectors: tuple[Selector, ...] = ()
    broken: bool = False
    excluded: tuple[Range, ...] = ()
    reserved: Mapping[IPAddress, str] = field(default_factory=dict)
    cool_down: float = 0.0
    draining: bool = False
    on_orphan: OnOrphan | None = None

    def allows(self, address: IPAddress) -> bool:
        """Whether an address may be given out of this pool."""
        if self.avoid_buggy and is_buggy(address):
            return False
        if any(address in entry for entry in self.excluded):
            return False
        return any(address in entry for entry in self.ranges)

    @property
    def pinned(self) -> bool:
        """Whether spec.serviceAllocation reserves it for some Services."""
        return self.namespaces is not None or bool(self.service_selectors)

    def admits(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a Service of that namespace and those labels may have an address of it."""
        if self.namespaces is not None and namespace not in self.namespaces:
            return False
        return not self.service_selectors or any_matches(self.service_selectors, labels)

    def capacity(self, family: Family) -> int:
        """How many addresses of a family it allows."""
        ranges = [entry for entry in self.ranges if entry.family is family]
        total = sum(len(entry) for entry in ranges)
        if not self.avoid_buggy:
            return total
        return total - sum(count_buggy(entry) for entry in ranges)

    def families(self) -> frozenset[Family]:
        """The families that its ranges offer."""
        return frozenset(entry.family for entry in self.ranges)


@dataclass(frozen=True, slots=True)
class PreferredNodes:
    """Nodes that an advertisement prefers, by weight (1 to 100)."""

    weight: int
    selector: Selector


@dataclass(frozen=True, slots=True)
class L2Advertisement:
    """An L2Advertisement. No pool named and no pool selector: all pools; no interface: all."""

    name: str
    pools: frozenset[str] = frozenset()
    pool_selectors: tuple[Selector, ...] = ()
    node_selectors: tuple[Selector, ...] = ()
    service_selectors: tuple[Selector, ...] = ()
    preferred: tuple[PreferredNodes, ...] = ()
    interfaces: frozenset[str] = frozenset()

    def selects_pool(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it advertises the addresses of that pool."""
        if not self.pools and not self.pool_selectors:
            return True
        return name in self.pools or any_matches(self.pool_selectors, labels)

    def selects_service(self, labels: Mapping[str, str]) -> bool:
        """Whether it advertises Services with those labels."""
        return not self.service_selectors or any_matches(self.service_selectors, labels)

    def selects_node(self, labels: Mapping[str, str]) -> bool:
        """Whether nodes with those labels may announce for it."""
        return not self.node_selectors or any_matches(self.node_selectors, labels)


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration in force. ``pools`` and ``l2_advertisements`` are sorted by name."""

    pools: tuple[Pool, ...] = ()
    l2_advertisements: tuple[L2Advertisement, ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)  # namespace → addresses at most

    def pool(self, name: str) -> Pool | None:
        """The pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def pool_of(self, address: IPAddress) -> Pool | None:
        """The pool that allows an address (sound pools never overlap)."""
        return next((pool for pool in self.pools if pool.allows(address)), None)
