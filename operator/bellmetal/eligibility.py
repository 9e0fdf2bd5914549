"""Which nodes may own an address, and what the others lack. Who of them does is `spread.py`.

What many addresses have in common is looked at once: a `Selection` stands for the advertisements
that select the same pools and Services, a `Field` for the nodes that qualify alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from bellmetal.addresses import Family, IPAddress, IPNetwork
from bellmetal.cluster import Cluster, Endpoints, Link, Node, Service
from bellmetal.config import L2Advertisement
from bellmetal.intents import NodeSet, WithheldReason

MOST_NAMED = 5  # nodes that a sentence names, one by one


@dataclass(frozen=True, eq=False)
class Field:
    """Nodes that may own some addresses: node → weight of the user's preference.

    ``able``: draining nodes too. ``ending``: those whose last endpoint is about to end, while
    another's is not.
    """

    node_set: NodeSet
    weights: Mapping[str, int]
    able: Mapping[str, int]
    ending: frozenset[str] = frozenset()


class Selection:
    """What some advertisements select together; empty means that none selects the address."""

    def __init__(self, cluster: Cluster, advertisements: Iterable[L2Advertisement]) -> None:
        self._cluster, self.advertisements = cluster, tuple(advertisements)
        self._fields: dict[tuple[Family, tuple[int, ...]], Field] = {}
        self._local: dict[tuple[Field, Endpoints], Field] = {}

    def __bool__(self) -> bool:
        return bool(self.advertisements)

    @property
    def names(self) -> str:
        """The advertisements, for a sentence."""
        return ", ".join(item.name for item in self.advertisements)

    @cached_property
    def interfaces(self) -> frozenset[str]:
        """The interfaces to announce on; empty means all."""
        if any(not item.interfaces for item in self.advertisements):
            return frozenset()
        return frozenset().union(*(item.interfaces for item in self.advertisements))

    @cached_property
    def refresh(self) -> int:
        """Seconds between two announcements at rest: the shortest that is asked for, or 0."""
        return min((item.refresh for item in self.advertisements if item.refresh), default=0)

    @cached_property
    def weights(self) -> dict[str, int]:
        """Nodes with network that any of them selects → weights of the preferences that match."""
        nodes: dict[str, int] = {}
        cluster = self._cluster
        for name, node in cluster.nodes.items():
            if node.network_unavailable or (node.excluded and not cluster.ignore_exclude_label):
                continue
            selecting = [item for item in self.advertisements if item.selects_node(node.labels)]
            if selecting:
                nodes[name] = sum(
                    preferred.weight
                    for item in selecting
                    for preferred in item.preferred
                    if preferred.selector.matches(node.labels)
                )
        return nodes

    def none_usable(self) -> tuple[WithheldReason, str]:
        """Why there are no such nodes."""
        found = self.advertisements
        return none_usable(
            self._cluster,
            lambda labels: any(item.selects_node(labels) for item in found),
            f"L2Advertisement {self.names}",
        )

    # --- interfaces ------------------------------------------------------------------------------

    @cached_property
    def _networks(self) -> dict[tuple[Family, int], dict[int, tuple[IPNetwork, set[str]]]]:
        """By family and length of the prefix: prefix as a number → the network, its nodes."""
        found: dict[tuple[Family, int], dict[int, tuple[IPNetwork, set[str]]]] = {}
        if any(item.any_subnet for item in self.advertisements):
            return found
        for name in self.weights:
            for family in Family:
                for link in self._links(name, family):
                    for network in link.networks:
                        if (network.version == 6) == (family is Family.IPV6):
                            places = found.setdefault((family, network.prefixlen), {})
                            number = int(network.network_address)
                            number >>= network.max_prefixlen - network.prefixlen
                            places.setdefault(number, (network, set()))[1].add(name)
        return found

    def _links(self, name: str, family: Family) -> list[Link]:
        """The interfaces on which a node may announce an address of that family."""
        links = self._cluster.links.get(name, ())
        named = self.interfaces
        return [item for item in links if item.speaks(family) and (not named or item.name in named)]

    def _around(self, address: IPAddress) -> list[tuple[IPNetwork, set[str]]]:
        """The nodes' networks that contain an address, the widest first, with their nodes."""
        family, found = _family(address), []
        for (version, length), places in self._networks.items():
            if version is family:
                hit = places.get(int(address) >> (address.max_prefixlen - length))
                if hit is not None:
                    found.append(hit)
        return sorted(found, key=lambda item: item[0].prefixlen)

    def field(self, address: IPAddress) -> Field:
        """The nodes that may own an address, by their interfaces; maybe none.

        In the address's subnet if any node is. Nodes that have never reported are not known to
        lack anything.
        """
        around, family = self._around(address), _family(address)
        key = family, tuple(id(names) for _, names in around)  # the hash of a network is slow
        if key not in self._fields:
            able = {name for _, names in around for name in names}
            if not around:
                able = {name for name in self.weights if self._links(name, family)}
            able |= self.weights.keys() - self._cluster.links.keys()
            weights = {name: weight for name, weight in self.weights.items() if name in able}
            networks = tuple(network for network, _ in around[:1])  # it contains the others
            name = self._name(family, networks)
            self._fields[key] = self._made(name, weights, networks)
        return self._fields[key]

    def _name(self, family: Family, networks: tuple[IPNetwork, ...]) -> str:
        """A name that stays while nodes come and go: it says which advertisements choose."""
        parts = [*(item.name for item in self.advertisements), family.value, *map(str, networks)]
        return "selected-" + digest(",".join(parts))

    def _made(self, name: str, able: Mapping[str, int], networks: tuple[IPNetwork, ...]) -> Field:
        weights = self._without_draining(able)
        return Field(NodeSet(name, self.addresses_of(weights), networks), weights, able)

    def addresses_of(self, names: Iterable[str]) -> dict[str, str]:
        """Nodes with their gossip addresses."""
        return {name: self._cluster.nodes[name].address for name in names}

    def _without_draining(self, weights: Mapping[str, int]) -> Mapping[str, int]:
        """A draining node may own only where no other node lives that may."""
        cluster = self._cluster
        others = {n: weight for n, weight in weights.items() if not cluster.nodes[n].draining}
        return others if any(map(cluster.living, others)) else weights

    # --- externalTrafficPolicy: Local ------------------------------------------------------------

    def local(self, field: Field, endpoints: Endpoints) -> Field:
        """The nodes of a field that have an endpoint; maybe none.

        A node whose last endpoint is ending goes on as long as it serves, and gives way before.
        """
        key = field, endpoints
        if key not in self._local:
            able = {
                name: field.able[name] for name in sorted(endpoints.nodes) if name in field.able
            }
            networks = field.node_set.networks
            weights = self._without_draining(able)
            name = "local-" + digest(",".join([*weights, *map(str, networks)]))
            staying = endpoints.staying & weights.keys()
            ending = weights.keys() - staying if any(map(self._cluster.living, staying)) else ()
            self._local[key] = replace(self._made(name, able, networks), ending=frozenset(ending))
        return self._local[key]

    # --- what is lacking -------------------------------------------------------------------------

    def lacks(self, name: str, address: IPAddress) -> str:
        """What keeps a selected node's interfaces from announcing an address; empty: nothing."""
        links = self._cluster.links.get(name)
        if links is None:
            return ""
        around = self._around(address)
        if any(name in names for _, names in around):
            return ""
        named = [item for item in links if not self.interfaces or item.name in self.interfaces]
        if self.interfaces and not named:
            return f"no interface {', '.join(sorted(self.interfaces))}"
        if not named:
            return "no usable interface"
        if not any(item.speaks(_family(address)) for item in named):
            return "no interface with an IPv6 link-local address"
        return f"no address in a subnet with {address}" if around else ""

    def all_that_lack(self, names: Iterable[str], address: IPAddress) -> str:
        """``n1: no interface eth9; n2: …`` for those nodes that lack something."""
        lacking = [
            f"{name}: {text}" for name in sorted(names) if (text := self.lacks(name, address))
        ]
        named = lacking[:MOST_NAMED]
        if rest := len(lacking) - len(named):
            named.append(f"{rest} more")
        return "; ".join(named)


class Eligibility:
    """All selections of one pass."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._of_pool: dict[str, tuple[L2Advertisement, ...]] = {}
        self._selections: dict[tuple[str, ...], Selection] = {}

    def selection(self, service: Service, pool: str) -> Selection:
        """What selects a Service's addresses of a pool."""
        if pool not in self._of_pool:
            found = self._cluster.config.pool(pool)
            labels = found.labels if found else {}
            self._of_pool[pool] = tuple(
                item
                for item in self._cluster.config.l2_advertisements
                if item.selects_pool(pool, labels)
            )
        chosen = [item for item in self._of_pool[pool] if item.selects_service(service.labels)]
        names = tuple(item.name for item in chosen)
        if names not in self._selections:
            self._selections[names] = Selection(self._cluster, chosen)
        return self._selections[names]


def none_usable(
    cluster: Cluster, selects: Callable[[Mapping[str, str]], bool], advertisement: str
) -> tuple[WithheldReason, str]:
    """Why none of the nodes that ``selects`` takes (by labels) may announce anything."""
    chosen = [node for node in cluster.nodes.values() if selects(node.labels)]
    every = f"every node that {advertisement} selects"
    if chosen and not cluster.ignore_exclude_label and all(node.excluded for node in chosen):
        return WithheldReason.EXCLUDED, f"{every} has the label {Node.EXCLUDED}"
    if chosen and all(node.network_unavailable for node in chosen):
        return WithheldReason.NO_NETWORK, f"{every} has the condition NetworkUnavailable"
    return WithheldReason.NO_NODES, f"no usable node is selected by {advertisement}"


def both(one: Field, other: Field) -> Field:
    """The nodes that do for both: two Services share an address."""
    if one.weights == other.weights and one.node_set.networks == other.node_set.networks:
        return replace(one, ending=one.ending | other.ending) if other.ending else one
    weights = {name: weight for name, weight in one.weights.items() if name in other.weights}
    able = {name: weight for name, weight in one.able.items() if name in other.able}
    weights = weights or able  # draining nodes, before none at all
    networks = sorted(
        {*one.node_set.networks, *other.node_set.networks}, key=lambda item: item.prefixlen
    )[:1]  # all contain the address: the widest contains the others
    known = {**one.node_set.nodes, **other.node_set.nodes}
    addresses = {name: known.get(name, "") for name in weights}
    name = "shared-" + digest(",".join([*sorted(weights), *map(str, networks)]))
    ending = (one.ending | other.ending) & weights.keys()
    ending = ending if ending != weights.keys() else frozenset()
    return Field(NodeSet(name, addresses, tuple(networks)), weights, able, ending)


def _family(address: IPAddress) -> Family:
    return Family.IPV4 if address.version == 4 else Family.IPV6


def digest(text: str) -> str:
    """A short name of a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
