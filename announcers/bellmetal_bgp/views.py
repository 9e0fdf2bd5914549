"""Routes as intended → the tables that peers are told: filtered, drained, united. No peer's state.

Peers that are to be told the same share one table, and a table in which nothing has changed stays
the same object: so a change that does not concern a peer costs it nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bellmetal.addresses import IPNetwork
from bellmetal.config import Community
from bellmetal.intents import Attributes, PeerPlan, Route
from bellmetal_bgp.coding import GRACEFUL_SHUTDOWN
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.outbound import Tables
from bellmetal_bgp.paths import ID_LENGTH, path_id, unite
from bellmetal_bgp.prefixes import encode_prefix


class Phase(enum.Enum):
    """How far this node is in giving up the routes of a node set (RFC 8326)."""

    NONE = "announced"
    SHUTTING_DOWN = "with GRACEFUL_SHUTDOWN"
    GONE = "withdrawn"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A route with its NLRI; equal attributes are one object."""

    route: Route
    family: Family
    nlri: bytes
    attributes: Attributes


class Views:
    """The tables of this node's routes."""

    def __init__(self) -> None:
        self._prepared: dict[int, Prepared] = {}
        self._interned: dict[Attributes, Attributes] = {}
        self._tables: dict[object, Tables] = {}
        self._fresh: dict[object, Tables] = {}
        self._networks: dict[Family, dict[bytes, IPNetwork]] = {}
        self._node_sets: frozenset[str] = frozenset()
        self._filters: frozenset[frozenset[str]] = frozenset()

    def take(self, routes: Iterable[Route]) -> None:
        """All routes of this node."""
        before, self._prepared, interned = self._prepared, {}, self._interned
        self._interned = {}
        for route in routes:
            known = before.get(id(route))
            if known is None or known.route is not route:
                attributes = interned.get(route.attributes, route.attributes)
                family = Family.of(route.prefix)
                known = Prepared(route, family, encode_prefix(route.prefix), attributes)
            attributes = self._interned.setdefault(known.attributes, known.attributes)
            if attributes is not known.attributes:
                known = replace(known, attributes=attributes)
            self._prepared[id(route)] = known
        self._node_sets = frozenset(p.route.node_set for p in self._prepared.values())
        self._filters = frozenset(p.route.peers for p in self._prepared.values())
        self._fresh, self._networks = {}, {}

    def tables(self, plan: PeerPlan, phase: Callable[[str], Phase]) -> Tables:
        """What a peer is to be told; ``phase`` says of a node set how far its end is."""
        phases = {name: phase(name) for name in self._node_sets}
        taken = frozenset(peers for peers in self._filters if not peers or plan.name in peers)
        ending = frozenset((name, end) for name, end in phases.items() if end is not Phase.NONE)
        key = taken, ending, plan.add_path
        if key not in self._fresh:
            made = self._make(taken, phases, plan.add_path)
            before = self._tables.get(key)
            self._fresh[key] = before if before == made and before is not None else made
            self._tables[key] = self._fresh[key]
        return self._fresh[key]

    def forget(self) -> None:
        """Drops tables that no peer has asked for since the routes were taken."""
        self._tables = dict(self._fresh)

    def network(self, family: Family, nlri: bytes) -> IPNetwork | None:
        """The network of an NLRI of these tables."""
        return self._networks.get(family, {}).get(nlri)

    def _make(
        self, taken: frozenset[frozenset[str]], phases: dict[str, Phase], add_path: bool
    ) -> Tables:
        tables: dict[Family, dict[bytes, Attributes]] = {IPV4_UNICAST: {}, IPV6_UNICAST: {}}
        for item in self._prepared.values():
            phase = phases[item.route.node_set]
            if item.route.peers not in taken or phase is Phase.GONE:
                continue
            attributes, nlri = item.attributes, item.nlri
            networks = self._networks.setdefault(item.family, {})
            if phase is Phase.SHUTTING_DOWN:
                changed = shutting_down(attributes)
                attributes = self._interned.setdefault(changed, changed)
            networks[nlri] = item.route.prefix
            if add_path:
                nlri = path_id(attributes).to_bytes(ID_LENGTH, "big") + nlri
                networks[nlri] = item.route.prefix
            table = tables[item.family]
            before = table.get(nlri)
            table[nlri] = attributes if before is None else unite(before, attributes)
        return tables


def shutting_down(attributes: Attributes) -> Attributes:
    """The same with GRACEFUL_SHUTDOWN (RFC 8326, section 3.1)."""
    community = Community(GRACEFUL_SHUTDOWN)
    if community in attributes.communities:
        return attributes
    return replace(attributes, communities=tuple(sorted((*attributes.communities, community))))
