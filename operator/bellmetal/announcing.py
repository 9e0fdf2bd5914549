"""The second half of a pass: what is allocated becomes announcements, in slices and for people.

plan → terms into the ledger → slices → what is withheld, ordered, superseded.
May live here: the order of these. May not: rules of ownership (`planning.py`), how it is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from bellmetal import kube, sightings
from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.api import ApiError
from bellmetal.beside import Beside, restrain, seeds
from bellmetal.cluster import Cluster
from bellmetal.companion import Companion
from bellmetal.controller_metrics import OWNER_CHANGES
from bellmetal.events import timestamp
from bellmetal.express_announcing import ExpressAnnouncing
from bellmetal.fulfilment import Fulfilment
from bellmetal.intents import Announcement, Intents
from bellmetal.ledger import Ledger
from bellmetal.notices import Notices
from bellmetal.orders import judge
from bellmetal.packing import led_anew, pack
from bellmetal.planning import everyone, plan
from bellmetal.reconciler import AgainError
from bellmetal.slices import SliceReader
from bellmetal.spread import Counts
from bellmetal.standing import Standing, owners_of, standings
from bellmetal.superseded import Superseded
from bellmetal.tenures import reason, succeed
from bellmetal.tidying import Picture, Tidying
from bellmetal.world import World
from bellmetal.writer import ServicePatch, Writer, condition_patches, not_announced

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Announcing:
    """``reload``: lists the whole world anew. ``tell``: writes into Services what is for people, as
    the controller does. ``later(seconds)``: asks for another pass. ``beside``: what may be done
    while another load balancer is being replaced."""

    world: World
    ledger: Ledger
    writer: Writer
    notices: Notices
    reload: Callable[[], Awaitable[object]]
    tell: Callable[[list[ServicePatch]], Awaitable[list[ApiError]]]
    later: Callable[[float], None]
    tidying: Tidying
    superseded: Superseded
    beside: Callable[[], Beside]
    _reader: SliceReader = field(default_factory=SliceReader)
    _fulfilment: Fulfilment = field(init=False)
    express: ExpressAnnouncing = field(init=False)

    def __post_init__(self) -> None:
        self.express = ExpressAnnouncing(self.world, self.ledger, self.writer)
        self._fulfilment = Fulfilment(self.world, self.writer, self.notices, self.later)

    @property
    def awaits_rows(self) -> bool:
        """Whether a ServiceL2Status may be what the next pass waits for: most are news of our own
        doing, a row for each address."""
        return self._fulfilment.waits or not self.beside().alone

    async def announce(self, cluster: Cluster, allocations: Allocations, today: str) -> None:
        """Decides who announces what and writes what differs; raises for what must be retried.

        ``today`` is the wall clock, RFC 3339.
        """
        self.express.forget()
        contents = self._reader.read(self.writer.slices.values())
        claims = kube.claims(self.world.reports.nouns.values())
        announced = contents.announcements
        OWNER_CHANGES.keep(announced)
        standing = standings(announced.values(), claims, cluster.nodes, contents.node_sets)
        beside = self.beside()
        if not beside.alone:
            standing = seeds(self.world.l2_statuses.nouns.values(), allocations) | standing
        counts = Counts()
        planned = plan(cluster, allocations, self.ledger.holdings, standing, counts)
        intents = restrain(planned, beside)
        self.tidying.picture = Picture(cluster.nodes, intents) if beside.alone else None
        await self._raise_terms(cluster, intents, contents.announcements, standing, today)
        changes = pack(intents, self.writer.slices)
        if changes:
            known = contents.announcements
            news = {a.address for a in intents.announcements if known.get(a.address) != a}
            for key in led_anew(changes, self.writer.slices):
                if key in allocations.granted:
                    news.update(allocations.granted[key].addresses)
            await self.ledger.confirm(news)
        try:
            await self.writer.write_slices(changes)
        except ApiError as error:
            if error.conflict or error.gone:
                await self.ledger.load()
                await self.reload()
                raise AgainError(f"AnnouncementSlice: {error}") from error
            raise
        if beside.alone:
            self.express.keep(cluster, allocations, intents, counts)
        now = asyncio.get_running_loop().time()
        self.notices.withheld(intents.withheld, now, self.later)
        self.notices.unnamed(intents.unnamed)
        await self._fulfilment.settle(judge(cluster, intents, contents.announcements), now)
        await self._tell_unannounced(cluster, intents)
        await self._tell_doubts(cluster, allocations)
        if beside.alone:
            self.superseded.look(owners_of(intents.announcements, standing, claims))

    async def observe(self, companion: Companion) -> None:
        """Another one decides: nothing is ours to announce, or not any more; speakers learn whom to
        gossip with all the same."""
        await companion.adopt(self.world, self.ledger, timestamp())
        nodes = self.world.cluster(self.world.validated().config).nodes
        changes = pack(Intents(node_sets=(everyone(nodes),)), self.writer.slices)
        await self.writer.write_slices(changes)

    async def _tell_unannounced(self, cluster: Cluster, intents: Intents) -> None:
        withheld = {item.service for item in intents.withheld}
        wanted = {key: not_announced(item) for key, item in self.notices.unannounced.items()}
        patches = condition_patches(cluster.services, kube.ANNOUNCED, wanted, withheld)
        if failed := await self.tell(patches):
            raise failed[0]

    async def _tell_doubts(self, cluster: Cluster, allocations: Allocations) -> None:
        """What speakers say of how the LAN sees addresses; the events are theirs."""
        wanted = sightings.conditions(self.world.reports.nouns.values(), cluster, allocations)
        if failed := await self.tell(condition_patches(cluster.services, kube.SEEN, wanted)):
            raise failed[0]

    async def _raise_terms(
        self,
        cluster: Cluster,
        intents: Intents,
        before: Mapping[IPAddress, Announcement],
        standing: Mapping[IPAddress, Standing],
        today: str,
    ) -> None:
        """Terms live in the ledger: a slice never says one that the ledger does not know.

        The owners of an address are written down there with its term.
        """
        nodes = {item.name: item.nodes for item in intents.node_sets}
        raised, moved = [], []
        for item in intents.announcements:
            holding = self.ledger.holdings.get(item.address)
            if holding is None or holding.term >= item.term:
                continue
            why, former = "", before.get(item.address)
            if former is not None and former.owner != item.owner:
                present = standing[item.address]
                why = reason(cluster, former, item, present, nodes[item.node_set])
                holding = succeed(holding, former.owner, item.owner, why, today)
                moved.append(item.address)
            raised.append(replace(holding, term=item.term))
            services = ", ".join(service.key for service in item.services)
            extra: dict[str, object] = {"op": "plan", "service": services}
            extra |= {"ips": [str(item.address)], "protocol": "layer2"}
            extra |= {"term": item.term, "reason": why}
            log.info("%s is owned by %s", item.address, item.owner, extra=extra)
        await self.ledger.add(raised)
        for address in moved:
            OWNER_CHANGES.add(address, 1)
