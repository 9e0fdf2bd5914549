"""How many addresses of each pool are given out: into the pools' status, and into the metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from prometheus_client import Gauge

from bellmetal import controller_metrics as metrics
from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.allocation import Allocations
from bellmetal.config import Pool
from bellmetal.intents import RefusedReason
from bellmetal.metrics import show
from bellmetal.resources import IPAddressPoolStatus

MOST = 2**63 - 1  # what the status can hold
FOUR, SIX = Family.IPV4, Family.IPV6


def count(pools: Iterable[Pool], allocations: Allocations) -> dict[str, IPAddressPoolStatus]:
    """The status of every pool that is valid; an address that is shared counts once.

    Orphans do not count: their pool does not have them any more. What is reserved is not available,
    nor is anything out of a draining pool.
    """
    used: dict[str, set[IPAddress]] = defaultdict(set)
    for allocation in allocations.granted.values():
        for address, name in zip(allocation.addresses, allocation.pools, strict=True):
            used[name].add(address)
    return {pool.name: _status(pool, used[pool.name]) for pool in pools if not pool.broken}


def _status(pool: Pool, used: set[IPAddress]) -> IPAddressPoolStatus:
    assigned = {address for address in used if pool.allows(address)}
    kept = {address for address in pool.reserved if pool.allows(address)}
    taken = Counter(family_of(address) for address in assigned | kept)
    counts = Counter(family_of(address) for address in assigned)

    def available(family: Family) -> int:
        return 0 if pool.draining else min(MOST, pool.capacity(family) - taken[family])

    return IPAddressPoolStatus(
        assigned_ipv4=counts[FOUR],
        assigned_ipv6=counts[SIX],
        available_ipv4=available(FOUR),
        available_ipv6=available(SIX),
    )


def measure(
    pools: Iterable[Pool], counts: Mapping[str, IPAddressPoolStatus], allocations: Allocations
) -> None:
    """The metrics of pools, by MetalLB's names, and of Services that are refused something."""
    gauges: list[tuple[Gauge, Gauge, tuple[Family, ...]]] = [
        (metrics.ADDRESSES_TOTAL, metrics.ADDRESSES_IN_USE, (FOUR, SIX)),
        (metrics.IPV4_TOTAL, metrics.IPV4_IN_USE, (FOUR,)),
        (metrics.IPV6_TOTAL, metrics.IPV6_IN_USE, (SIX,)),
    ]
    shown = {pool.name: (pool, counts.get(pool.name, IPAddressPoolStatus())) for pool in pools}
    for total, in_use, families in gauges:
        show(total, {name: _capacity(pool, families) for name, (pool, _) in shown.items()})
        show(in_use, {name: _assigned(status, families) for name, (_, status) in shown.items()})
    alike = Counter(item.pools for item in allocations.granted.values())  # thousands, of few kinds
    served = {name: sum(n for pools, n in alike.items() if name in pools) for name in shown}
    show(metrics.SERVICES_ALLOCATED, served)
    # one more address that a Service would only prefer to have is no refusal
    without = [item for item in allocations.refused.values() if not item.additional]
    refused = Counter(item.reason for item in without)
    show(metrics.SERVICES_REFUSED, {reason.value: refused[reason] for reason in RefusedReason})


def _capacity(pool: Pool, families: Iterable[Family]) -> int:
    return sum(pool.capacity(family) for family in families)


def _assigned(status: IPAddressPoolStatus, families: Iterable[Family]) -> int:
    assigned = {FOUR: status.assigned_ipv4, SIX: status.assigned_ipv6}
    return sum(assigned[family] for family in families)
