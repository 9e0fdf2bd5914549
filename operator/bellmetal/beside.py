"""Another load balancer still runs beside this one (MetalLB, being replaced): what may be done.

Pure functions of what the ConfigMap `bellmetal-takeover` says. May not live here: reading it
(`companion.py`), the steps of a takeover (`cli.migrate.takeover`).

==========  =====================================================================================
stage       what this controller does
==========  =====================================================================================
observe     writes into the ledger what Services show, and nothing else: the other one decides
decide      decides and writes Services; BGP sessions from ``nodes`` alone, no layer 2
announce    layer 2 too, from everywhere: the other one is about to leave its last node
complete    everything: the other one is gone
==========  =====================================================================================
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster
from bellmetal.holdings import Holding, Holdings
from bellmetal.intents import Intents, NodeSet
from bellmetal.resources import ServiceL2Status
from bellmetal.standing import Standing

NAME = "bellmetal-takeover"  # of the ConfigMap
STAGE, NODES = "stage", "nodes"  # its keys


class Stage(enum.Enum):
    """How far it has come."""

    OBSERVE = "observe"
    DECIDE = "decide"
    ANNOUNCE = "announce"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Beside:
    """What the ConfigMap says; ``nodes``: those that the other one has left."""

    stage: Stage = Stage.OBSERVE
    nodes: frozenset[str] = frozenset()

    @property
    def decides(self) -> bool:
        """Whether Services are ours to write to."""
        return self.stage is not Stage.OBSERVE

    @property
    def layer2(self) -> bool:
        """Whether addresses are ours to answer for."""
        return self.stage in (Stage.ANNOUNCE, Stage.COMPLETE)

    @property
    def alone(self) -> bool:
        """Whether what lies around in status objects is ours alone."""
        return self.stage is Stage.COMPLETE


def read_beside(data: Mapping[str, str] | None) -> Beside:
    """Without a ConfigMap, or with a stage that nobody knows: the other one decides."""
    found = data or {}
    known = {item.value: item for item in Stage}
    names = (name.strip() for name in found.get(NODES, "").split(","))
    return Beside(known.get(found.get(STAGE, ""), Stage.OBSERVE), frozenset(filter(None, names)))


# --- observing -----------------------------------------------------------------------------------


def as_shown(cluster: Cluster, held: Holdings) -> tuple[Cluster, dict[IPAddress, Holding]]:
    """The cluster without those who show nothing, and the ledger without what nobody shows: the
    other one may have given, moved or taken back addresses since."""
    services = {key: item for key, item in cluster.services.items() if item.shown.addresses}
    shown = {(item.uid, a) for item in services.values() for a in item.shown.addresses}
    kept = {}
    for address, holding in held.items():
        holders = tuple(one for one in holding.holders if (one.uid, address) in shown)
        if holders or not holding.holders:
            kept[address] = replace(holding, holders=holders)
    return replace(cluster, services=services), kept


def adopted(cluster: Cluster, allocations: Allocations) -> Allocations:
    """Those alone that have what they show: the rest is the other one's to decide still."""
    return Allocations(
        {
            key: item
            for key, item in allocations.granted.items()
            if set(item.addresses) == set(cluster.services[key].shown.addresses)
        }
    )


# --- announcing ----------------------------------------------------------------------------------


def seeds(
    statuses: Iterable[ServiceL2Status], allocations: Allocations
) -> dict[IPAddress, Standing]:
    """Who answers for each address now, as the other one says it: there it stays, so that no
    client sees another MAC."""
    found: dict[IPAddress, Standing] = {}
    for body in statuses:
        status = body.status
        allocation = allocations.granted.get(f"{status.service_namespace}/{status.service_name}")
        if allocation is not None and status.node:
            found |= {address: Standing(status.node, 0) for address in allocation.addresses}
    return found


def restrain(intents: Intents, beside: Beside) -> Intents:
    """What may be announced: no router hears two programs from one node."""
    sessions = {plan.node_set for plan in intents.peers}
    sets = intents.node_sets
    if not beside.alone:
        sets = tuple(_left(item, beside.nodes) if item.name in sessions else item for item in sets)
    return replace(
        intents,
        announcements=intents.announcements if beside.layer2 else (),
        node_sets=sets,
    )


def _left(item: NodeSet, nodes: frozenset[str]) -> NodeSet:
    return replace(item, nodes={name: ip for name, ip in item.nodes.items() if name in nodes})
