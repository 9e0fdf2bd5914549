"""What would become of every Service if Bellmetal decided now: the controller's own functions say.

May live here: loading a cluster that may never have seen Bellmetal, and comparing. May not: rules
of allocation. Only reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bellmetal.allocation import Allocations
from bellmetal.api import ApiError, Client
from bellmetal.cluster import Cluster
from bellmetal.comparison import Moment, Row, compare, decide
from bellmetal.config import OnOrphan, Problem
from bellmetal.follow import L2_STATUSES, REPORTS, SLICES, Kind
from bellmetal.intents import Allocation, Refused
from bellmetal.ledger import Ledger
from bellmetal.settings import SettingsError
from bellmetal.world import OPTIONAL, World
from bellmetal.writer import service_patches

NOT_YET: frozenset[Kind[Any]] = OPTIONAL | {
    REPORTS,
    SLICES,
    L2_STATUSES,
}  # kinds that come with Bellmetal's chart


@dataclass(frozen=True, slots=True)
class Outlook:
    """The cluster, what is wrong with its configuration, and what would happen to Services.

    ``written``: Services whose status Bellmetal would write to. ``unknown``: Services that the
    ledger does not know yet although they show an address.
    """

    world: World
    problems: tuple[Problem, ...]
    rows: tuple[Row, ...]
    written: tuple[str, ...]
    unknown: tuple[str, ...]


async def look_ahead(client: Client, namespace: str, lb_class: str, now: str) -> Outlook:
    """Reads the cluster and decides; ``now`` is RFC 3339. Raises ApiError and SettingsError."""
    world = World(lb_class, False, OnOrphan.KEEP)
    world.optional = NOT_YET
    await world.load(client, namespace)
    if namespace not in world.namespaces.nouns:
        raise SettingsError(f"the cluster has no namespace {namespace}: --namespace")
    ledger = Ledger(client, namespace)
    try:
        await ledger.load()
    except ApiError as error:
        if not error.gone:  # its CRD comes with Bellmetal's chart
            raise
    validated = world.validated()
    cluster = world.cluster(validated.config)
    after = decide(cluster, ledger.holdings, now)
    patches = service_patches(cluster.services, after.allocations)
    shown = _shown(cluster)
    return Outlook(
        world,
        validated.problems,
        compare(_now(cluster, shown, after), after),
        tuple(patch.service.key for patch in patches),
        tuple(key for key, one in shown.items() if not set(one.addresses) <= set(ledger.holdings)),
    )


def _shown(cluster: Cluster) -> dict[str, Allocation]:
    """What Services show, as if it had been decided."""
    return {
        key: Allocation(key, item.shown.addresses, (item.shown.pool,) * len(item.shown.addresses))
        for key, item in cluster.services.items()
        if item.wants_address and item.shown.addresses
    }


def _now(cluster: Cluster, shown: Mapping[str, Allocation], after: Moment) -> Moment:
    """Who shows nothing now is refused by MetalLB, too: that is no news."""
    refused: dict[str, Refused] = {
        key: item for key, item in after.allocations.refused.items() if key not in shown
    }
    return Moment(cluster, Allocations(shown, refused), {})
