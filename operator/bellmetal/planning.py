"""plan(cluster, allocations, standing) → which node should answer for each address, and who may.

What is announced by BGP is `routing.py`'s, and stands beside it; an address is withheld for want
of an advertisement only where neither kind selects it.

On layer 2, for each address, in this order, each "no" with its reason:

=====  ==================================================================  ====================
step   question                                                            if not
=====  ==================================================================  ====================
1      does an advertisement select its pool and Service?                  noMatchingAdvertisement
2      do selected nodes have network, are not excluded?                   noEligibleNodes,
                                                                           nodesExcluded, …
3      does an endpoint serve anywhere?                                    noEndpoints
4      has one of them an interface for it, in its subnet if any has?      noInterface
5      externalTrafficPolicy Local: on such a node?                        noLocalEndpoints
6      the owner and its successors: `spread.py`
=====  ==================================================================  ====================

A present owner who may stay, stays: nothing moves because something else changed.
Where no node has an interface any more (a switch restarts), what stands is kept, and said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Node, Service
from bellmetal.eligibility import Eligibility, Field, Selection, both, digest
from bellmetal.holdings import Holdings
from bellmetal.intents import (
    BGP,
    LAYER2,
    Announcement,
    Intents,
    NodeSet,
    ServiceId,
    Withheld,
    WithheldReason,
)
from bellmetal.peering import Peering
from bellmetal.routing import Routing
from bellmetal.spread import Counts, Spread, Wanted, preferred
from bellmetal.standing import Standing

ALL_NODES = "all"  # the set of every node: speakers learn from it whom to gossip with


def plan(
    cluster: Cluster,
    allocations: Allocations,
    held: Holdings,
    standing: Mapping[IPAddress, Standing],
    counts: Counts | None = None,
) -> Intents:
    """All announcements. Terms come from the ledger, raised where the owner changes.

    ``counts``: what nodes have besides; what is chosen here is added.
    """
    considering, peering = _Considering(cluster, standing), Peering(cluster)
    routing, unselected = Routing(cluster, peering), []
    twice: set[tuple[str, IPAddress]] = set()  # selected by both kinds of advertisement
    for key in sorted(allocations.granted):
        allocation, service = allocations.granted[key], cluster.services[key]
        for address, pool in zip(allocation.addresses, allocation.pools, strict=True):
            on_layer2 = considering.take(service, address, pool)
            if routing.take(service, address, pool):
                if on_layer2:
                    twice.add((key, address))
            elif not on_layer2:
                unselected.append(_unselected(service, address, pool))
    wanted = considering.wanted.values()
    Spread(cluster, wanted, counts or Counts()).choose()
    sets = _node_sets(wanted)
    sets[ALL_NODES] = everyone(cluster.nodes)
    routes, route_sets, unnamed = routing.finish()
    sets |= route_sets | peering.node_sets
    return Intents(
        tuple(_announcement(item, held) for item in wanted),
        tuple(sets.values()),
        (*unselected, *_withheld(considering.withheld, routing.withheld, twice)),
        routes,
        peering.plans,
        unnamed,
    )


def everyone(nodes: Mapping[str, Node]) -> NodeSet:
    """The set of every node that has an address."""
    found = {name: node.address for name, node in nodes.items() if node.address}
    return NodeSet(ALL_NODES, found)


def _unselected(service: Service, address: IPAddress, pool: str) -> Withheld:
    message = f'no L2Advertisement or BGPAdvertisement selects pool "{pool}" and this Service'
    return Withheld(service.key, address, WithheldReason.NO_ADVERTISEMENT, message)


def _withheld(
    on_layer2: Iterable[Withheld], by_bgp: Iterable[Withheld], twice: Collection[object]
) -> list[Withheld]:
    """One "no" for each address, and ``how`` it is not announced where it is otherwise."""
    layer2 = {(item.service, item.address): item for item in on_layer2}
    bgp = {(item.service, item.address): item for item in by_bgp}
    found = []
    for key, item in layer2.items():
        other = bgp.pop(key, None)
        if other is not None and other.message != item.message:
            item = replace(item, message=f"{LAYER2}, {item.message}; {BGP}, {other.message}")
        elif other is None and key in twice:
            item = replace(item, how=LAYER2)
        found.append(item)
    for key, item in bgp.items():
        if key not in twice:
            found.append(item)
        elif item.reason is not WithheldReason.NO_PEERS:  # nobody may have asked for any
            found.append(replace(item, how=f"{BGP} {item.how}".strip()))
    return found


def why_not(cluster: Cluster, item: Announcement, name: str) -> str:
    """Why a node may not own an address that is announced, by order either; empty: it may."""
    node = cluster.nodes.get(name)
    if node is None:
        return f"the cluster has no node {name}"
    pool = cluster.config.pool_of(item.address)
    eligibility, pool_name = Eligibility(cluster), pool.name if pool else ""
    for service in (cluster.services[one.key] for one in item.services):
        selection = eligibility.selection(service, pool_name)
        if no := lacks(cluster, selection, service, item.address, name):
            return no
    if not node.ready:
        return f"{name} is not ready"
    return "" if name in cluster.speakers else f"the speaker of {name} has not reported"


def lacks(
    cluster: Cluster, selection: Selection, service: Service, address: IPAddress, name: str
) -> str:
    """What keeps a node from owning a Service's address by the rules of layer 2; empty: nothing."""
    node = cluster.nodes[name]
    if not selection:
        return "no L2Advertisement selects it"
    if node.network_unavailable:
        return f"{name} has no network"
    if node.excluded and not cluster.ignore_exclude_label:
        return f"{name} has the label {node.EXCLUDED}"
    if name not in selection.weights:
        return f"L2Advertisement {selection.names} does not select {name}"
    if lacking := selection.lacks(name, address):
        return f"{name} has {lacking}"
    field, endpoints = selection.field(address), cluster.endpoints.get(service.key, Endpoints())
    if service.local_only:
        if name not in endpoints.nodes:
            return f"externalTrafficPolicy is Local and {name} has no serving endpoint"
        field = selection.local(field, endpoints)
    if name not in field.weights:
        return f"{name} is draining: {node.draining}"
    best = preferred(cluster, field)
    if best and field.weights[best] > field.weights[name]:
        return f"preferredNodeSelectors of {selection.names} prefer {best}"
    return ""


# --- 1 to 5: may it be announced, and by whom? ---------------------------------------------------


class _Considering:
    """What will be announced, and what not: ``wanted`` and ``withheld``."""

    def __init__(self, cluster: Cluster, standing: Mapping[IPAddress, Standing]) -> None:
        self._cluster, self._standing = cluster, standing
        self._eligibility = Eligibility(cluster)
        self.wanted: dict[IPAddress, Wanted] = {}
        self.withheld: list[Withheld] = []

    def take(self, service: Service, address: IPAddress, pool: str) -> bool:
        """One address of a Service, that is given out of a pool; whether it is selected at all."""
        selection = self._eligibility.selection(service, pool)
        if selection and (item := self._consider(service, address, selection)) is not None:
            self._want(service, address, item)
        return bool(selection)

    def _want(self, service: Service, address: IPAddress, item: Wanted) -> None:
        other = self.wanted.setdefault(address, item)
        if other is item:
            item.present = self._standing.get(address)
        elif not _join(other, item):
            message = f"no node may announce it for {other.services[0].key} as well,"
            message += " which shares the address"
            self._withhold(service, address, WithheldReason.NO_NODES, message)

    def _withhold(
        self, service: Service, address: IPAddress, reason: WithheldReason, message: str
    ) -> None:
        self.withheld.append(Withheld(service.key, address, reason, message))

    def _consider(
        self, service: Service, address: IPAddress, selection: Selection
    ) -> Wanted | None:
        if not selection.weights:
            self._withhold(service, address, *selection.none_usable())
            return None
        endpoints = self._cluster.endpoints.get(service.key, Endpoints())
        if not endpoints.serving:
            message = "the Service has no endpoint that serves"
            self._withhold(service, address, WithheldReason.NO_ENDPOINTS, message)
            return None
        field = selection.field(address)
        if kept := not field.weights:
            here = selection.weights.keys()
            names = here & endpoints.nodes if service.local_only else here
            field, no = self._kept(address, selection, names)
            self._withhold(service, address, WithheldReason.NO_INTERFACE, no)
        elif service.local_only:
            field = selection.local(field, endpoints)
            if not field.weights:
                self._withhold_local(service, address, selection, endpoints)
        if not field.weights:
            return None
        present = self._standing.get(address)
        interfaces = present.interfaces if kept and present else selection.interfaces
        return Wanted(
            address,
            [service],
            field,
            interfaces,
            selection.refresh,
            kept=kept,
            order=service.move_to,
        )

    def _kept(
        self, address: IPAddress, selection: Selection, able: Collection[str]
    ) -> tuple[Field, str]:
        """Nobody has an interface for it: the set and the owner that stand, if they are able but
        for that; and a sentence."""
        lacking = selection.all_that_lack(selection.weights, address)
        message = f"no node has an interface for it: {lacking}"
        present = self._standing.get(address)
        last = present.node_set if present else None
        names = [name for name in last.nodes if name in able] if last else []
        if last is None or present is None or present.owner not in names:
            return Field(NodeSet(""), {}, {}), message
        if len(names) < len(last.nodes):
            name = "kept-" + digest(",".join([*sorted(names), *map(str, last.networks)]))
            last = NodeSet(name, selection.addresses_of(names), last.networks)
        weights = {name: selection.weights[name] for name in names}
        message += f"; {present.owner} keeps it for when its interface is back"
        return Field(last, weights, weights), message

    def _withhold_local(
        self, service: Service, address: IPAddress, selection: Selection, endpoints: Endpoints
    ) -> None:
        message = "externalTrafficPolicy is Local and no eligible node has a serving endpoint"
        selected = endpoints.nodes & selection.weights.keys()
        if lacking := selection.all_that_lack(selected, address):
            message += f" ({lacking})"
        self._withhold(service, address, WithheldReason.NO_LOCAL_ENDPOINTS, message)


def _join(item: Wanted, other: Wanted) -> bool:
    """Another Service shares the address: one node must do for all of them."""
    field = both(item.field, other.field)
    if not field.weights:
        return False
    item.field = field
    item.services += other.services
    item.kept = item.kept and other.kept
    item.interfaces = (
        item.interfaces | other.interfaces if item.interfaces and other.interfaces else frozenset()
    )
    item.refresh = min(filter(None, (item.refresh, other.refresh)), default=0)
    orders = {service.move_to for service in item.services if service.move_to}
    item.order = orders.pop() if len(orders) == 1 else ""  # of two that contradict, none counts
    return True


# --- what comes of it ----------------------------------------------------------------------------


def _node_sets(wanted: Iterable[Wanted]) -> dict[str, NodeSet]:
    """By name. A set that is kept goes by another name where its own is in use again."""
    found = {item.field.node_set.name: item.field.node_set for item in wanted if not item.kept}
    for item in wanted:
        node_set = item.field.node_set
        if item.kept and found.setdefault(node_set.name, node_set) != node_set:
            text = ",".join([*sorted(node_set.nodes), *map(str, node_set.networks)])
            node_set = replace(node_set, name=f"kept-{digest(text)}")
            item.field = replace(item.field, node_set=node_set)
            found[node_set.name] = node_set
    return found


def _announcement(item: Wanted, held: Holdings) -> Announcement:
    holding, present = held.get(item.address), item.present
    term = holding.term if holding else 1
    if present is not None:
        term = max(term, present.term)
        if present.owner != item.owner or not present.confirmed:
            term = max(term, present.term + 1)
    return Announcement(
        address=item.address,
        term=term,
        owner=item.owner,
        node_set=item.field.node_set.name,
        successors=item.successors,
        interfaces=item.interfaces,
        services=tuple(ServiceId(s.namespace, s.name, s.uid) for s in item.services),
        refresh=item.refresh,
    )
