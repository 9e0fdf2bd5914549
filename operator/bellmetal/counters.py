"""How many addresses of each pool are given out: into the pools' status, and into the metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from prometheus_client import Gauge

from bellmetal import metrics
from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.allocation import Allocations
from bellmetal.config import Pool
from bellmetal.resources import IPAddressPoolStatus

MOST = 2**63 - 1  # what the status can hold
FOUR, SIX = Family.IPV4, Family.IPV6


def count(pools: Iterable[Pool], allocations: Allocations) -> dict[str, IPAddressPoolStatus]:
    """The status of every pool that is valid; an address that is shared counts once.

    Orphans do not count: their pool does not have them any more. What is reserved is not available,
    nor is anything out of a draining pool.
    """
    used: dict[tuple[str, Family], set[IPAddress]] = defaultdict(set)
    for allocation in allocations.granted.values():
        for address, name in zip(allocation.addresses, allocation.pools, strict=True):
            used[name, family_of(address)].add(address)

    def assigned(pool: Pool, family: Family) -> int:
        return sum(pool.allows(address) for address in used[pool.name, family])

    def available(pool: Pool, family: Family) -> int:
        if pool.draining:
            return 0
        reserved = {a for a in pool.reserved if family_of(a) is family and pool.allows(a)}
        kept = len(reserved - used[pool.name, family])
        return min(MOST, pool.capacity(family) - assigned(pool, family) - kept)

    return {
        pool.name: IPAddressPoolStatus(
            assigned_ipv4=assigned(pool, FOUR),
            assigned_ipv6=assigned(pool, SIX),
            available_ipv4=available(pool, FOUR),
            available_ipv6=available(pool, SIX),
        )
        for pool in pools
        if not pool.broken
    }


def measure(pools: Iterable[Pool], counts: Mapping[str, IPAddressPoolStatus]) -> None:
    """The pool metrics, by MetalLB's names."""
    gauges: list[tuple[Gauge, Gauge, tuple[Family, ...]]] = [
        (metrics.ADDRESSES_TOTAL, metrics.ADDRESSES_IN_USE, (FOUR, SIX)),
        (metrics.IPV4_TOTAL, metrics.IPV4_IN_USE, (FOUR,)),
        (metrics.IPV6_TOTAL, metrics.IPV6_IN_USE, (SIX,)),
    ]
    for total, in_use, families in gauges:
        metrics.forget(total)  # pools that are gone
        metrics.forget(in_use)
        for pool in pools:
            status = counts.get(pool.name, IPAddressPoolStatus())
            assigned = {FOUR: status.assigned_ipv4, SIX: status.assigned_ipv6}
            total.labels(pool.name).set(sum(pool.capacity(family) for family in families))
            in_use.labels(pool.name).set(sum(assigned[family] for family in families))
