"""What the loss or drain of nodes, or another configuration, does to who announces what. Pure.

May live here: a cluster without some nodes, and how plans differ. May not: rules of planning
(`planning.py`), how it is shown (`cli`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints
from bellmetal.holdings import Holdings
from bellmetal.intents import Intents, rank
from bellmetal.planning import plan
from bellmetal.standing import Standing

WHY = "as planned"


@dataclass(frozen=True, slots=True)
class Announcers:
    """Who announces an address: its owner on layer 2, the nodes that send its route by BGP."""

    owner: str = ""
    routed_by: frozenset[str] = frozenset()

    @property
    def anybody(self) -> bool:
        """Whether it is announced at all."""
        return bool(self.owner or self.routed_by)


@dataclass(frozen=True, slots=True)
class Change:
    """One address, now and then. ``why``: why nobody announces it then, or why it stays, in a
    sentence."""

    address: IPAddress
    services: tuple[str, ...]
    now: Announcers
    then: Announcers
    why: str = ""
    stays: str = ""  # the node that drains and cannot be left

    @property
    def lost(self) -> bool:
        """Whether it is announced now and not then."""
        return self.now.anybody and not self.then.anybody


def lose(cluster: Cluster, gone: Collection[str]) -> Cluster:
    """The cluster once these nodes have lost their power: their endpoints are gone with them."""
    return replace(
        cluster,
        nodes={name: node for name, node in cluster.nodes.items() if name not in gone},
        speakers=cluster.speakers.difference(gone),
        links={name: links for name, links in cluster.links.items() if name not in gone},
        endpoints={key: _without(found, gone) for key, found in cluster.endpoints.items()},
    )


def _without(found: Endpoints, gone: Collection[str]) -> Endpoints:
    """Endpoints whose nodes are not known stay."""
    nodes = found.nodes.difference(gone)
    serving = found.serving and (bool(nodes) or not found.nodes)
    return Endpoints(serving, nodes, found.staying.difference(gone))


def drain(cluster: Cluster, leaving: Collection[str]) -> Cluster:
    """The cluster once these nodes drain."""
    nodes = {
        name: replace(node, draining=node.draining or WHY) if name in leaving else node
        for name, node in cluster.nodes.items()
    }
    return replace(cluster, nodes=nodes)


def silenced(
    before: tuple[Intents, Allocations], after: tuple[Intents, Allocations]
) -> tuple[Change, ...]:
    """The addresses that their Services keep, and that nobody announces any more, by number."""
    kept: dict[IPAddress, list[str]] = {}
    for key, item in sorted(after[1].granted.items()):
        held = before[1].granted.get(key)
        for address in item.addresses if held else ():
            if held is not None and address in held.addresses:
                kept.setdefault(address, []).append(key)
    changes = _changes(kept, announcers(*before), announcers(*after), after[0])
    return tuple(change for change in changes if change.lost)


def foresee(
    before: Intents,
    after: Cluster,
    allocations: Allocations,
    held: Holdings,
    standing: Mapping[IPAddress, Standing],
) -> tuple[Change, ...]:
    """What becomes of every address that another or nobody announces then, by number."""
    intents = plan(after, allocations, held, _taken_over(standing, after))
    users: dict[IPAddress, list[str]] = {}
    for key, item in sorted(allocations.granted.items()):
        for address in item.addresses:
            users.setdefault(address, []).append(key)
    now, then = announcers(before, allocations), announcers(intents, allocations)
    changes = _changes(users, now, then, intents)
    kept = (_kept(after, item) for item in changes)
    return tuple(item for item in kept if item.now != item.then or item.stays)


def _changes(
    users: Mapping[IPAddress, list[str]],
    now: Mapping[IPAddress, Announcers],
    then: Mapping[IPAddress, Announcers],
    after: Intents,
) -> list[Change]:
    """What is said of each address, by number; ``after``: the plan of ``then``."""
    withheld = {no.address: no.sentence for no in after.withheld if not no.how}
    return [
        Change(
            address,
            tuple(users[address]),
            now.get(address, Announcers()),
            then.get(address, Announcers()),
            withheld.get(address, ""),
        )
        for address in sorted(users, key=lambda one: (one.version, int(one)))
    ]


def _kept(after: Cluster, item: Change) -> Change:
    """A drain that an owner does not leave by: nobody else may own the address."""
    owner = after.nodes.get(item.then.owner)
    if owner is None or not owner.draining or item.now.owner != owner.name:
        return item
    others = sorted(after.nodes.keys() - {owner.name})
    said = f"no other node may own it ({len(others)} looked at: bellmetal explain address"
    return replace(item, stays=owner.name, why=f"{said} {item.address})")


def _taken_over(
    standing: Mapping[IPAddress, Standing], after: Cluster
) -> dict[IPAddress, Standing]:
    """Reflex comes before the controller: a successor has what a lost node owned."""
    found = {}
    for address, item in standing.items():
        if item.owner in after.nodes:
            found[address] = item
            continue
        able = item.node_set.nodes if item.node_set else ()
        rest = sorted(able, key=lambda name: rank(address, name), reverse=True)
        heirs = [name for name in (*item.successors, *rest) if after.living(name)]
        if heirs:
            found[address] = replace(item, owner=heirs[0], confirmed=False)
    return found


def announcers(intents: Intents, allocations: Allocations) -> dict[IPAddress, Announcers]:
    """Address → who announces it; a route leads to the addresses of its Services in its prefix."""
    sets = {item.name: item for item in intents.node_sets}
    found = {item.address: Announcers(item.owner) for item in intents.announcements}
    talking = {plan_.name: frozenset(sets[plan_.node_set].nodes) for plan_ in intents.peers}
    for route in intents.routes:
        node_set = sets[route.node_set]
        peers = route.peers or talking.keys()
        hearing = frozenset().union(*(talking.get(name, frozenset()) for name in peers))
        nodes = (frozenset(node_set.nodes) - node_set.draining) & hearing
        for service in route.services:
            granted = allocations.granted.get(service.key)
            for address in granted.addresses if granted else ():
                if address.version == route.prefix.version and address in route.prefix:
                    known = found.get(address, Announcers())
                    found[address] = replace(known, routed_by=known.routed_by | nodes)
    return found
