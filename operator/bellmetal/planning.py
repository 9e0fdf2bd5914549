"""plan(cluster, allocations, standing) → which node should answer for each address, and who may.

For each address, in this order, each "no" with its reason:

=====  ==================================================================  ====================
step   question                                                            if not
=====  ==================================================================  ====================
1      does an advertisement select its pool and Service?                  noMatchingAdvertisement
2      do selected nodes have network, are not excluded?                   noEligibleNodes
3      does an endpoint serve anywhere?                                    noEndpoints
4      externalTrafficPolicy Local: on such a node?                        noLocalEndpoints
5      the owner: by (preference of the user, present owner, speaker
       running and node ready, owner of the Service's other family,
       bounded load, rendezvous hash)
=====  ==================================================================  ====================

A present owner who may stay, stays: nothing moves because something else changed.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Node, Service
from bellmetal.config import L2Advertisement
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.holdings import Holdings
from bellmetal.intents import (
    Announcement,
    Intents,
    NodeSet,
    ServiceId,
    Withheld,
    WithheldReason,
    rank,
)

ALL_NODES = "all"  # the set of every node: speakers learn from it whom to gossip with
LOAD_SLACK = 1.25  # a node is full when it owns this many times the mean


@dataclass(frozen=True, slots=True)
class Standing:
    """Who owns an address now, as far as slices and reports tell."""

    owner: str
    term: int
    confirmed: bool = True  # the slices name this owner; else only its claim does


@dataclass(slots=True)
class _Wanted:
    """An address that will be announced, before its owner is chosen."""

    address: IPAddress
    services: list[Service]
    nodes: dict[str, int]  # eligible node → weight of the user's preference
    node_set: NodeSet
    interfaces: frozenset[str]
    owner: str = ""
    ranked: list[str] = field(default_factory=list)


def plan(
    cluster: Cluster,
    allocations: Allocations,
    held: Holdings,
    standing: Mapping[IPAddress, Standing],
) -> Intents:
    """All announcements. Terms come from the ledger, raised where the owner changes."""
    withheld: list[Withheld] = []
    wanted: dict[IPAddress, _Wanted] = {}
    for key in sorted(allocations.granted):
        service, allocation = cluster.services[key], allocations.granted[key]
        for address, pool in zip(allocation.addresses, allocation.pools, strict=True):
            answer = _consider(cluster, service, address, pool)
            if isinstance(answer, Withheld):
                withheld.append(answer)
            elif address not in wanted:
                wanted[address] = answer
            elif (no := _join(wanted[address], answer)) is not None:
                withheld.append(no)
    _choose_owners(cluster, list(wanted.values()), standing)
    node_sets = {item.node_set.name: item.node_set for item in wanted.values()}
    everyone = {name: node.address for name, node in cluster.nodes.items() if node.address}
    node_sets[ALL_NODES] = NodeSet(ALL_NODES, everyone)
    announcements = tuple(
        _announcement(item, held, standing.get(item.address)) for item in wanted.values()
    )
    return Intents(announcements, tuple(node_sets.values()), tuple(withheld))


def standings(
    announcements: Iterable[Announcement], claims: Iterable[Claim], nodes: Mapping[str, Node]
) -> dict[IPAddress, Standing]:
    """Who owns what: the slices' owner, or the node with the highest claim above it.

    A provisional claim counts once the API itself says that the slices' owner is not ready.
    """
    highest: dict[IPAddress, Claim] = {}
    for claim in claims:
        known = highest.get(claim.address)
        if known is None or _claim_order(claim) > _claim_order(known):
            highest[claim.address] = claim
    found = {}
    for announcement in announcements:
        address = announcement.address
        found[address] = Standing(announcement.owner, announcement.term)
        best = highest.get(address)
        if best is None or best.node == announcement.owner:
            continue
        node = nodes.get(announcement.owner)
        gone = node is None or not node.ready
        above = best.order > ClaimOrder(announcement.term, True, 0)
        of_this_term = best.order.term == announcement.term and best.order.epoch > 0
        if above or (gone and of_this_term):
            found[address] = Standing(best.node, best.order.term, confirmed=False)
    return found


def owners_of(
    announcements: Iterable[Announcement],
    standing: Mapping[IPAddress, Standing],
    claims: Iterable[Claim],
) -> dict[str, frozenset[str]]:
    """Service key → the nodes that own or claim an address of it, as far as anybody knows."""
    claimants: dict[IPAddress, set[str]] = {}
    for claim in claims:
        claimants.setdefault(claim.address, set()).add(claim.node)
    owners: dict[str, frozenset[str]] = {}
    for item in announcements:
        names = {item.owner} | claimants.get(item.address, set())
        if item.address in standing:
            names.add(standing[item.address].owner)
        for service in item.services:
            owners[service.key] = owners.get(service.key, frozenset()) | names
    return owners


def _claim_order(claim: Claim) -> tuple[ClaimOrder, int]:
    return claim.order, rank(claim.address, claim.node)


# --- 1 to 4: may it be announced, and by whom? ---------------------------------------------------


def _consider(
    cluster: Cluster, service: Service, address: IPAddress, pool: str
) -> _Wanted | Withheld:
    def withhold(reason: WithheldReason, message: str) -> Withheld:
        return Withheld(service.key, address, reason, message)

    advertisements = _matching(cluster, service, pool)
    if not advertisements:
        message = f'no L2Advertisement selects pool "{pool}" and this Service'
        return withhold(WithheldReason.NO_ADVERTISEMENT, message)
    nodes = _eligible(cluster, advertisements)
    if not nodes:
        names = ", ".join(item.name for item in advertisements)
        message = f"no usable node is selected by L2Advertisement {names}"
        return withhold(WithheldReason.NO_NODES, message)
    endpoints = cluster.endpoints.get(service.key, Endpoints())
    if not endpoints.serving:
        return withhold(WithheldReason.NO_ENDPOINTS, "the Service has no endpoint that serves")
    set_name = _selection_name(advertisements)
    if service.local_only:
        nodes = {name: weight for name, weight in nodes.items() if name in endpoints.nodes}
        if not nodes:
            message = "externalTrafficPolicy is Local and no eligible node has a serving endpoint"
            return withhold(WithheldReason.NO_LOCAL_ENDPOINTS, message)
        set_name = "local-" + _digest(",".join(sorted(nodes)))
    node_set = NodeSet(set_name, {name: cluster.nodes[name].address for name in nodes})
    interfaces = _interfaces(advertisements)
    return _Wanted(address, [service], nodes, node_set, interfaces)


def _join(item: _Wanted, other: _Wanted) -> Withheld | None:
    """Another Service shares the address: one node must do for all of them."""
    if other.nodes == item.nodes:
        item.services += other.services
        item.interfaces = _either(item.interfaces, other.interfaces)
        return None
    nodes = {name: weight for name, weight in item.nodes.items() if name in other.nodes}
    if not nodes:
        key, with_whom = other.services[0].key, item.services[0].key
        message = f"no node may announce it for {with_whom} as well, which shares the address"
        return Withheld(key, item.address, WithheldReason.NO_NODES, message)
    addresses = item.node_set.nodes
    item.nodes = nodes
    item.node_set = NodeSet(
        "shared-" + _digest(",".join(sorted(nodes))), {name: addresses[name] for name in nodes}
    )
    item.services += other.services
    item.interfaces = _either(item.interfaces, other.interfaces)
    return None


def _either(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The interfaces of both; empty means all."""
    return one | other if one and other else frozenset()


def _matching(cluster: Cluster, service: Service, pool: str) -> list[L2Advertisement]:
    found = cluster.config.pool(pool)
    labels = found.labels if found else {}
    return [
        item
        for item in cluster.config.l2_advertisements
        if item.selects_pool(pool, labels) and item.selects_service(service.labels)
    ]


def _eligible(cluster: Cluster, advertisements: list[L2Advertisement]) -> dict[str, int]:
    """Nodes that any of them selects → sum of the weights of the preferences that match."""
    nodes: dict[str, int] = {}
    for name, node in cluster.nodes.items():
        if node.network_unavailable or (node.excluded and not cluster.ignore_exclude_label):
            continue
        selecting = [item for item in advertisements if item.selects_node(node.labels)]
        if selecting:
            nodes[name] = sum(
                preferred.weight
                for item in selecting
                for preferred in item.preferred
                if preferred.selector.matches(node.labels)
            )
    return nodes


def _interfaces(advertisements: list[L2Advertisement]) -> frozenset[str]:
    if any(not item.interfaces for item in advertisements):
        return frozenset()
    return frozenset().union(*(item.interfaces for item in advertisements))


def _selection_name(advertisements: list[L2Advertisement]) -> str:
    """A name that stays while nodes come and go: it says which advertisements choose."""
    return "selected-" + _digest(",".join(item.name for item in advertisements))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# --- 5: the owner --------------------------------------------------------------------------------


def _choose_owners(
    cluster: Cluster, wanted: list[_Wanted], standing: Mapping[IPAddress, Standing]
) -> None:
    """Owners and ranks; both families of a Service rank alike, so they also move alike."""
    load: Counter[str] = Counter()
    leading: dict[str, IPAddress] = {}  # Service key → the address whose rank counts
    owning: dict[str, str] = {}  # Service key → who owns an address of it
    undecided = []
    for item in wanted:
        keys = [service.key for service in item.services]
        leader = next((leading[key] for key in keys if key in leading), item.address)
        leading |= {key: leader for key in keys if key not in leading}
        item.ranked = _ranked(cluster, item, leader)
        present = standing.get(item.address)
        top = max(item.nodes.values())
        if present and item.nodes.get(present.owner, -1) == top:
            item.owner = present.owner
            load[item.owner] += 1
            owning |= {key: item.owner for key in keys if key not in owning}
        else:
            undecided.append(item)
    for item in undecided:
        keys = [service.key for service in item.services]
        item.owner = _companion(cluster, item, [owning[key] for key in keys if key in owning])
        limit = _limit(item, len(wanted))
        if not item.owner or load[item.owner] > limit:  # one more than a node alone would get
            item.owner = _least_loaded(item, load, limit)
        load[item.owner] += 1
        owning |= {key: item.owner for key in keys if key not in owning}


def _ranked(cluster: Cluster, item: _Wanted, leader: IPAddress) -> list[str]:
    def order(name: str) -> tuple[tuple[int, bool, bool], int]:
        return _quality(cluster, item, name), -rank(leader, name)

    return sorted(item.nodes, key=order)


def _quality(cluster: Cluster, item: _Wanted, name: str) -> tuple[int, bool, bool]:
    """How good a node is for an address; the smallest is the best."""
    return -item.nodes[name], not cluster.nodes[name].ready, name not in cluster.speakers


def _companion(cluster: Cluster, item: _Wanted, owners: Iterable[str]) -> str:
    """Who owns the other family of its Service, if no node is better; else nobody."""
    best = _quality(cluster, item, item.ranked[0])
    able = (name for name in owners if name in item.nodes)
    return next((name for name in able if _quality(cluster, item, name) == best), "")


def _equals(item: _Wanted) -> list[str]:
    """The nodes that the user prefers most, by rank."""
    best = item.nodes[item.ranked[0]]
    return [name for name in item.ranked if item.nodes[name] == best]


def _limit(item: _Wanted, total: int) -> int:
    """How many addresses a node may have before it is full."""
    return math.ceil(LOAD_SLACK * total / len(_equals(item)))


def _least_loaded(item: _Wanted, load: Counter[str], limit: int) -> str:
    """The first by rank that is not full, among those that are as good as the best."""
    equals = _equals(item)
    return next((name for name in equals if load[name] < limit), equals[0])


def _announcement(item: _Wanted, held: Holdings, present: Standing | None) -> Announcement:
    holding = held.get(item.address)
    term = holding.term if holding else 1
    if present is not None:
        term = max(term, present.term)
        if present.owner != item.owner or not present.confirmed:
            term = max(term, present.term + 1)
    return Announcement(
        address=item.address,
        term=term,
        owner=item.owner,
        node_set=item.node_set.name,
        successors=tuple(name for name in item.ranked if name != item.owner)[:2],
        interfaces=item.interfaces,
        services=tuple(ServiceId(s.namespace, s.name, s.uid) for s in item.services),
    )
