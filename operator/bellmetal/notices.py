"""What people are told, once per change of mind: events on Services and configuration, logs.

May live here: when and how something is said. May not: why (the decisions carry their sentences).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client import Gauge

from bellmetal import kube, metrics
from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.allocation import Allocations
from bellmetal.config import Problem
from bellmetal.events import Events
from bellmetal.holdings import Holder
from bellmetal.intents import Withheld, WithheldReason
from bellmetal.world import World
from bellmetal.writer import ServicePatch

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds that an address may be withheld (endpoints come later) before we say so


class Notices:
    """Remembers what was said, so that it is said once. Times are of one monotonic clock."""

    def __init__(self, world: World, events: Events) -> None:
        self._world, self._events = world, events
        self._problems: frozenset[Problem] = frozenset()
        self._withheld: dict[str, tuple[Withheld, float]] = {}
        self._withheld_told: dict[str, Withheld] = {}
        self._first_pass = True
        self._shown_at_start: frozenset[str] = frozenset()
        self._orphaned: frozenset[str] = frozenset()

    def begin(self) -> None:
        """The world is complete and nothing was written yet."""
        self._shown_at_start = frozenset(
            key for key, told in self._world.services.nouns.items() if told.service.shown.addresses
        )

    def problems(self, problems: Iterable[Problem]) -> None:
        """Invalid configuration: an event on the object at fault, and one line of log."""
        now = frozenset(problems)
        for problem in sorted(now - self._problems, key=str):
            log.error(str(problem), extra={"op": "validate", "event": "invalidConfiguration"})
            about = self._world.reference(problem)
            if about is not None:
                message = f"{problem.path}: {problem.message}"
                self._events.record(
                    about, "InvalidConfiguration", message, warning=True, once="problem"
                )
        for problem in sorted(self._problems - now, key=str):
            log.info("solved: %s", problem, extra={"op": "validate"})
        self._problems = now
        metrics.CONFIG_LOADED.set(1)
        metrics.CONFIG_STALE.set(1 if now else 0)

    def patched(self, patch: ServicePatch) -> None:
        """A Service's status was written."""
        told = self._world.services.nouns.get(patch.service.key)
        if told is None:
            return
        extra = {"op": "allocate", "service": patch.service.key}
        if patch.allocation and patch.gives:
            text = kube.shown_list(patch.allocation.addresses)
            before = patch.service.shown.addresses
            if before:
                log.info("assigned %s instead of %s", text, kube.shown_list(before), extra=extra)
            else:
                log.info("assigned %s from %s", text, patch.allocation.pool, extra=extra)
            self._events.record(told.reference, "IPAllocated", f"Assigned IP {text}")
        if patch.refused and patch.refuses:
            sentence = f'Failed to allocate IP for "{patch.service.key}": {patch.refused.message}'
            log.warning(sentence, extra=extra | {"reason": patch.refused.reason.value})
            self._events.record(told.reference, "AllocationFailed", sentence, warning=True)

    def freed(self, released: Iterable[tuple[Holder, IPAddress]], allocations: Allocations) -> None:
        """Addresses that the ledger has taken back, of Services that have no other now.

        Not seen from their status: the API server clears it itself when the type changes.
        """
        for holder, address in released:
            if holder.key in allocations.granted:
                continue
            text = kube.shown_list([address])
            log.info("freed %s", text, extra={"op": "allocate", "service": holder.key})
            told = self._world.services.nouns.get(holder.key)
            if told is not None and told.service.uid == holder.uid:
                self._events.record(told.reference, "IPFreed", f"Freed IP {text}")

    def orphans(self, allocations: Allocations) -> None:
        """Addresses that no pool allows any more and that their Services keep."""
        now = {key: item for key, item in allocations.granted.items() if item.orphaned}
        for key in sorted(now.keys() - self._orphaned):
            told = self._world.services.nouns.get(key)
            text = kube.shown_list(now[key].addresses)
            sentence = f"no IPAddressPool allows {text} any more; the Service keeps it"
            log.warning(sentence, extra={"op": "allocate", "service": key})
            if told is not None:
                self._events.record(
                    told.reference, "AddressOrphaned", sentence, warning=True, once="problem"
                )
        self._orphaned = frozenset(now)

    def withheld(
        self, withheld: Iterable[Withheld], now: float, later: Callable[[float], None]
    ) -> None:
        """Addresses that are not announced; said when it lasts. ``later(seconds)`` calls again.

        Services that had an address when this process began and lack endpoints were told by the
        process before, and `kubectl` shows it: not said again.
        """
        current = {item.service: item for item in withheld}
        if self._first_pass:
            self._first_pass = False
            said = {key: item for key, item in current.items() if self._was_known(item)}
            self._withheld = {key: (item, now) for key, item in said.items()}
            self._withheld_told = said
        for key in [key for key in self._withheld if key not in current]:
            del self._withheld[key]
            if self._withheld_told.pop(key, None) and key in self._world.services.nouns:
                log.info("announced again", extra={"op": "plan", "service": key})
        for key, item in current.items():
            known, since = self._withheld.get(key, (None, now))
            if known != item:
                since = now
                self._withheld[key] = item, since
                later(PATIENCE)
            if now - since >= PATIENCE * 0.99 and self._withheld_told.get(key) != item:
                self._tell_withheld(item)

    def _was_known(self, item: Withheld) -> bool:
        lacks = item.reason in (WithheldReason.NO_ENDPOINTS, WithheldReason.NO_LOCAL_ENDPOINTS)
        return lacks and item.service in self._shown_at_start

    def _tell_withheld(self, item: Withheld) -> None:
        self._withheld_told[item.service] = item
        sentence = f"{item.address} is not announced: {item.message} ({item.reason.value})"
        log.warning(
            sentence, extra={"op": "plan", "service": item.service, "reason": item.reason.value}
        )
        told = self._world.services.nouns.get(item.service)
        if told is not None:
            self._events.record(
                told.reference, "notAnnounced", sentence, warning=True, once="problem"
            )


def count_pools(world: World, allocations: Allocations) -> None:
    """The pool metrics, by MetalLB's names."""
    used: Counter[tuple[str, Family]] = Counter()
    for allocation in allocations.granted.values():
        for address in allocation.addresses:
            used[allocation.pool, family_of(address)] += 1
    four, six = Family.IPV4, Family.IPV6
    gauges: list[tuple[Gauge, Gauge, tuple[Family, ...]]] = [
        (metrics.ADDRESSES_TOTAL, metrics.ADDRESSES_IN_USE, (four, six)),
        (metrics.IPV4_TOTAL, metrics.IPV4_IN_USE, (four,)),
        (metrics.IPV6_TOTAL, metrics.IPV6_IN_USE, (six,)),
    ]
    pools = world.validated().config.pools
    for total, in_use, families in gauges:
        metrics.forget(total)  # pools that are gone
        metrics.forget(in_use)
        for pool in pools:
            total.labels(pool.name).set(sum(pool.capacity(family) for family in families))
            in_use.labels(pool.name).set(sum(used[pool.name, family] for family in families))
