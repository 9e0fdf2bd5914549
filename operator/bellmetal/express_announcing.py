"""What is announced stands while the nodes and the configuration do; new Services are added to it.

Planning all of 10,000 Services takes longer than a new one should wait. It is announced as soon as
it has an endpoint, by the same rules, and the next look at the whole finds it where it would be.
May live here: what can be added. May not: rules of ownership (`planning.py`), where it stands in
slices (`packing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bellmetal.addresses import IPAddress, IPNetwork
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Service
from bellmetal.config import Config
from bellmetal.intents import Allocation, Announcement, Intents, NodeSet, WithheldReason
from bellmetal.ledger import Ledger
from bellmetal.packing import extend
from bellmetal.planning import plan
from bellmetal.spread import Counts
from bellmetal.world import World
from bellmetal.writer import Writer


class ExpressAnnouncing:
    """Keeps what the last whole plan was made of, as long as it can be added to."""

    def __init__(self, world: World, ledger: Ledger, writer: Writer) -> None:
        self._world, self._ledger, self._writer = world, ledger, writer
        self._around: Cluster | None = None  # as the plan saw it, without Services
        self._intents, self._counts = Intents(), Counts()
        self._sets: dict[str, NodeSet] = {}
        self._announced: set[IPAddress | IPNetwork] = set()  # filled when it is asked for
        self._waiting: dict[str, tuple[Service, Allocation]] = {}  # for their first endpoint

    def keep(
        self, cluster: Cluster, allocations: Allocations, intents: Intents, counts: Counts
    ) -> None:
        """A whole plan has been made, and is in the slices."""
        self._around = replace(cluster, services={}, endpoints={})
        self._intents, self._counts = intents, counts
        self._sets = {item.name: item for item in intents.node_sets}
        self._announced = set()
        self._waiting = {
            item.service: (cluster.services[item.service], allocations.granted[item.service])
            for item in intents.withheld
            if item.reason is WithheldReason.NO_ENDPOINTS
        }

    def forget(self) -> None:
        """The whole has to be planned first."""
        self._around = None
        self._waiting = {}

    def given(self, services: Mapping[str, Service], allocations: Allocations) -> None:
        """New Services that have their addresses, and are shown them."""
        if self._around is not None:
            granted = allocations.granted
            self._waiting |= {key: (services[key], item) for key, item in granted.items()}

    async def announce(self, config: Config) -> bool:
        """Those that have an endpoint now, if nothing else has changed; whether there were any.
        Raises ApiError."""
        if not self._waiting or self._around is None:
            return False
        endpoints = self._world.endpoints(self._waiting)
        ready = {key for key, found in endpoints.items() if found.serving}
        if not ready:
            return False
        around = self._world.surroundings(config)
        if around != self._around:
            self.forget()
            return False
        waiting = {key: self._waiting.pop(key) for key in ready}
        granted = {key: item for key, (known, item) in waiting.items() if self._is_still(known)}
        services = {key: self._world.services.nouns[key].service for key in granted}
        cluster = replace(around, services=services, endpoints=endpoints)
        held = self._ledger.holdings
        intents = plan(cluster, Allocations(granted), held, {}, self._counts)
        if not self._adds(intents):
            return False
        await self._write(intents, granted)
        return True

    def _is_still(self, known: Service) -> bool:
        """Whether a Service says what it said when it was given its addresses."""
        told = self._world.services.nouns.get(known.key)
        return told is not None and replace(told.service, shown=known.shown) == known

    def _knows(self, intents: Intents) -> bool:
        """Whether any of it is announced already."""
        if not self._announced:
            self._announced.update(_places(self._intents))
        return not self._announced.isdisjoint(_places(intents))

    def _adds(self, intents: Intents) -> bool:
        """Whether nothing of it has to be told, changed or looked at otherwise: the next whole plan
        does that."""
        known = all(self._sets.get(item.name) == item for item in intents.node_sets)
        plain = known and not intents.withheld and not intents.unnamed
        held = all(map(self._is_held, intents.announcements))
        return plain and held and not self._knows(intents)

    def _is_held(self, item: Announcement) -> bool:
        """Whether the ledger says so, of all the Services that it is for."""
        holding = self._ledger.holdings.get(item.address)
        uids = {one.uid for one in holding.holders} if holding is not None else set()
        return uids >= {service.uid for service in item.services}

    async def _write(self, intents: Intents, given: Mapping[str, Allocation]) -> None:
        around, self._around = self._around, None  # until it is known that it was written
        await self._ledger.confirm(a for item in given.values() for a in item.addresses)
        await self._writer.write_slices(extend(intents, self._writer.slices))
        self._announced.update(_places(intents))
        self._around = around


def _places(intents: Intents) -> Iterator[IPAddress | IPNetwork]:
    yield from (item.address for item in intents.announcements)
    yield from (item.prefix for item in intents.routes)
