"""The first half of a pass: who has which address, in the ledger, and what Services show.

decide → ledger → PATCH → pools' counters → what the ledger forgets; and the first of these for new
Services alone, in haste. May live here: the order of these. May not: rules of allocation
(`allocation.py`), what may be done in haste (`express.py`), announcing (`announcing.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bellmetal import kube
from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations, Decision
from bellmetal.api import ApiError
from bellmetal.cluster import Cluster, Service
from bellmetal.config import Config
from bellmetal.counters import count, measure
from bellmetal.events import timestamp
from bellmetal.express import Basis, Express
from bellmetal.holdings import released
from bellmetal.ledger import Ledger, LedgerConflictError
from bellmetal.notices import Notices
from bellmetal.pruning import outdated
from bellmetal.reconciler import AgainError
from bellmetal.rivals import Rivals, rival_of
from bellmetal.settlement import settle
from bellmetal.world import World
from bellmetal.writer import ServicePatch, Writer, condition_patches, service_patches

PRUNED_AGAIN = 1.0  # seconds until the next part


@dataclass(slots=True)
class Allocating:
    """``poke`` and ``later(seconds)`` ask for another pass."""

    world: World
    ledger: Ledger
    writer: Writer
    notices: Notices
    poke: Callable[[], None]
    later: Callable[[float], None]
    express: Express = field(default_factory=Express)
    rivals: Rivals = field(default_factory=Rivals)

    async def allocate(self, cluster: Cluster, now: str) -> Allocations:
        """Who has which address, in the ledger: as it stands, or decided anew."""
        basis = Basis(cluster.config, self.ledger.loads, cluster.shy)
        allocations = self.express.standing(basis)
        if allocations is not None:
            await self.ledger.write(())  # raises if nobody knows what was written last
            return allocations
        self.express.forget()
        decision = Decision(cluster, self.ledger.holdings, now)
        allocations = decision.run()
        held, floor = self.ledger.holdings, self.ledger.floor
        changes = settle(allocations, cluster.services, held, now, floor)
        losses = released(self.ledger.holdings, changes)
        await self.ledger.write(changes)
        self.express.keep(decision, allocations, basis)
        self.notices.freed(losses, allocations)
        return allocations

    async def hurry(self, config: Config) -> tuple[dict[str, Service], Allocations, list[ApiError]]:
        """New Services that can have their addresses before the whole is looked at: these, what
        they are given, and failures. Who comes meanwhile is next, or the rest would never be."""
        basis = Basis(config, self.ledger.loads, self.world.shy())
        changes = self.world.services.changes
        if self.express.has_seen(changes, basis):
            return {}, Allocations(), []  # endpoints and the like change more often
        known = {key: told.service for key, told in self.world.services.nouns.items()}
        services, granted = self.express.serve(known, changes, basis)
        allocations = Allocations(granted)
        return services, allocations, await self._give(services, allocations) if granted else []

    async def _give(self, services: dict[str, Service], allocations: Allocations) -> list[ApiError]:
        """Writes into the ledger and shows what these Services are given."""
        held = self.ledger.holdings
        addresses = {a for item in allocations.granted.values() for a in item.addresses}
        about = {address: held[address] for address in addresses & held.keys()}
        try:
            floor = self.ledger.floor
            await self.ledger.write(settle(allocations, services, about, timestamp(), floor))
            return await self.patch(service_patches(services, allocations))
        except LedgerConflictError as conflict:
            self.express.forget()
            raise AgainError(str(conflict)) from conflict
        except ApiError:
            self.express.forget()
            raise

    async def show(self, cluster: Cluster, allocations: Allocations) -> list[ApiError]:
        """Services show what they have, and who else writes there is named; what failed."""
        now = asyncio.get_running_loop().time()
        patches = self.rivals.leave_out(service_patches(cluster.services, allocations), now)
        await self.ledger.confirm(a for p in patches for a in (*p.added, *p.removed))
        failed = await self._patch_in_turn(patches)
        unnamed = [key for key in self.rivals.unnamed() if key in cluster.services]
        wrote = await self.writer.managed_fields(cluster.services[key] for key in unnamed)
        for key, fields in zip(unnamed, wrote, strict=True):
            self.rivals.name(key, rival_of(fields))
        rivals = self.rivals.conditions(cluster.services, allocations, now)
        self.notices.rivals({key: item.message for key, item in rivals.items()})
        if (again := self.rivals.next_try(now)) is not None:
            self.later(again)
        return failed + await self.patch(condition_patches(cluster.services, kube.SHOWN, rivals))

    async def _patch_in_turn(self, patches: list[ServicePatch]) -> list[ApiError]:
        """Nobody is shown an address before those who lose it show it no more."""
        failed: list[ApiError] = []
        while patches:
            leaving = {address for patch in patches for address in patch.removed}
            turn = [patch for patch in patches if not leaving.intersection(patch.added)]
            rest = [patch for patch in patches if leaving.intersection(patch.added)]
            turn = turn or rest  # they exchange their addresses
            failed += await self.patch(turn)
            stuck = {a for patch in turn for a in patch.removed if self._still_shows(patch, a)}
            patches = [] if turn is rest else [p for p in rest if not stuck.intersection(p.added)]
        return failed

    def _still_shows(self, patch: ServicePatch, address: IPAddress) -> bool:
        told = self.world.services.nouns.get(patch.service.key)
        return told is not None and address in told.service.shown.addresses

    async def prune(self, config: Config, now: str) -> list[ApiError]:
        """The ledger forgets what it need not remember, a part in each pass; what failed."""
        records = outdated(self.ledger.holdings, config.pools, now)
        try:
            if await self.ledger.forget(records):
                self.later(PRUNED_AGAIN)
        except LedgerConflictError as conflict:
            raise AgainError(str(conflict)) from conflict
        except ApiError as error:
            return [error]
        return []

    async def patch(self, patches: list[ServicePatch]) -> list[ApiError]:
        """Writes into Services, and takes in what they are then; what failed."""
        done, failed = await self.writer.patch_services(patches)
        for patch, body in done:
            key = patch.service.key
            told = self.world.services.nouns.get(key)
            if told is not None and told.service.uid == body.metadata.uid:
                self.world.services.take(body)
                if patch.brought_news(self.world.services.nouns[key].service):
                    self.poke()
            self.rivals.wrote(patch)
            self.notices.patched(patch)
        return failed

    async def count(self, cluster: Cluster, allocations: Allocations) -> list[ApiError]:
        """Pools show what is in use of them, the metrics too; what failed."""
        pools = cluster.config.pools
        counts = count(pools, allocations)
        measure(pools, counts, allocations)
        present = {body.metadata.name: body for body in self.world.pools.nouns.values()}
        written, failed = await self.writer.patch_pools(
            {
                name: status
                for name, status in counts.items()
                if name in present and present[name].status != status
            }
        )
        for body in written:
            former = present[body.metadata.name]
            self.world.pools.take(body)
            now = self.world.pools.nouns[body.key]
            if (former.spec, former.metadata) != (now.spec, now.metadata):
                self.poke()  # the answer brought news
        return failed
