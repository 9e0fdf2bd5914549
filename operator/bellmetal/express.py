"""What was decided stands as long as nothing changes that it depends on; new Services extend it.

Among 10,000 Services a decision on the whole takes a tenth of a second and more; the Service that
has just been made need not wait for it, and most news (endpoints, reports, statuses) does not
concern who has which address. May live here: when a decision stands. May not: which address
(`allocation.py`), writes (`controller.py`).

It stands when all that has changed is new Services that could be served, and what our own writes
made of others. With anything else the whole is decided, as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations, Decision
from bellmetal.cluster import Service
from bellmetal.config import Config
from bellmetal.intents import Allocation


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision stands on besides Services; ``loads``: how often the ledger had been read."""

    config: Config
    loads: int
    shy: Collection[IPAddress]

    def is_still(self, other: Basis) -> bool:
        """Whether all of it is as it was."""
        same = self.config is other.config and self.loads == other.loads
        return same and self.shy == other.shy


class Express:
    """Keeps the last whole decision, as long as it can be extended."""

    def __init__(self) -> None:
        self._decision: Decision | None = None
        self._basis: Basis | None = None
        self._services: dict[str, Service] = {}
        self._granted: dict[str, Allocation] = {}
        self._seen = -1  # how often Services had changed when they were looked at last

    def keep(self, decision: Decision, allocations: Allocations, basis: Basis) -> None:
        """A whole decision has been made, and is in the ledger."""
        self.forget()
        if not allocations.refused and not allocations.cleared:
            self._decision, self._basis = decision, basis
            self._services = dict(decision.cluster.services)
            self._granted = dict(allocations.granted)

    @property
    def stands(self) -> bool:
        """Whether new Services can be added to it, as far as it was looked at."""
        return self._decision is not None

    def standing(self, basis: Basis) -> Allocations | None:
        """What is decided, if it stands: all that changed was put to `serve`. Else None."""
        return Allocations(dict(self._granted)) if self._stands_on(basis) else None

    def _stands_on(self, basis: Basis) -> bool:
        return self._basis is not None and self._basis.is_still(basis)

    def forget(self) -> None:
        """Something went wrong: the whole has to be decided first."""
        self._decision = self._basis = None
        self._services, self._granted, self._seen = {}, {}, -1

    def has_seen(self, changes: int, basis: Basis) -> bool:
        """Whether there is nothing for `serve`: no Service has changed since it stands."""
        return self._stands_on(basis) and self._seen == changes

    def serve(
        self, services: Mapping[str, Service], changes: int, basis: Basis
    ) -> tuple[dict[str, Service], dict[str, Allocation]]:
        """The new ones that can have their addresses now, and these; empty where none can.

        ``services``: all of them; what says the same as before is the same object. ``changes``: how
        often any of them has changed.
        """
        decision = self._decision
        if decision is None or not self._stands_on(basis):
            return {}, {}
        new = {}
        for key, service in self._changed(services):
            known = self._services.get(key)
            if known is None and service is not None and _is_simple(service):
                new[key] = service
            elif not _is_same(known, service, decision.has.get(key, ())):
                self.forget()
                return {}, {}
        granted = decision.extend(new.values())
        if len(granted) < len(new):
            self.forget()  # some have to wait for a look at the whole
        else:
            self._services, self._seen = dict(services), changes
            self._granted |= granted
        return {key: new[key] for key in granted}, granted

    def _changed(self, services: Mapping[str, Service]) -> Iterator[tuple[str, Service | None]]:
        """What is another object than before; None: it is gone."""
        for key, service in services.items():
            if self._services.get(key) is not service:
                yield key, service
        for key in self._services.keys() - services.keys():
            yield key, None


def _is_simple(service: Service) -> bool:
    """It shows nothing yet that would have to be respected or adopted."""
    return service.wants_address and not service.shown.addresses


def _is_same(known: Service | None, service: Service | None, has: tuple[IPAddress, ...]) -> bool:
    """Whether a Service says what it said, but for what we have written into its status."""
    if service is None or known is None:
        said = service or known
        return said is None or not (said.wants_address or said.shown.addresses or has)
    if not (service.wants_address or known.wants_address or service.shown.addresses or has):
        return True  # none of ours, before and now
    return replace(service, shown=known.shown) == known and service.shown.addresses == has
