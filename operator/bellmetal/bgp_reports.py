"""What a speaker writes of BGP: ServiceBGPStatus and BGPSessionStatus objects, events, metrics.

Facts in, writes out, and only those that change something.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from bellmetal import resources
from bellmetal.addresses import IPNetwork
from bellmetal.api import Client
from bellmetal.events import Events
from bellmetal.facts import Facts
from bellmetal.follow import Kind
from bellmetal.intents import Route, ServiceId
from bellmetal.logs import ANNOUNCED, WITHDRAWN, tell_services
from bellmetal.rows import Rows, about, digest_of, row_name, service_labels
from bellmetal.session_reports import SESSIONS, Pages, SessionEvents
from bellmetal.speaker_metrics import ANNOUNCED as ANNOUNCEMENTS

BGP_STATUSES = Kind("metallb.io", "v1beta1", "servicebgpstatuses", resources.ServiceBGPStatus, True)
MOST_RETOLD = 10_000  # Services of which is remembered how often their announcing began
NOBODY: frozenset[str] = frozenset()
PIECE = 500  # routes that are looked at in one turn of the loop: the LAN and the routers come first

log = logging.getLogger(__name__)

T = TypeVar("T")


class BGPReports:
    """The reports of one speaker's BGP sessions. ``later(seconds)`` asks for another `publish`."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        node: str,
        events: Events,
        later: Callable[[float], None],
    ) -> None:
        self._later = later
        self.services = Rows(client, BGP_STATUSES, namespace, node)
        self.sessions = Rows(client, SESSIONS, namespace, node, subresource=False)
        self._news = SessionEvents(events, namespace, node)
        self._pages = Pages(node)
        self._announced = Announced(node, events)

    async def run(self) -> None:
        """Writes what `publish` wants, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.services.run())
            group.create_task(self.sessions.run())

    async def publish(self, facts: Facts, routes: Sequence[Route], now: float) -> None:
        """Takes in what is observed now; ``routes`` are this node's, ``now`` the facts' clock."""
        due = self._news.tell(facts.sessions, now)
        self.sessions.want(self._pages.turn(facts.sessions, now))
        for moment in (due, self._pages.deadline):
            if moment is not None:
                self._later(max(0.0, moment - now))
        rows = await self._announced.take(routes, facts.sent)
        if rows is not None:
            self.services.want(rows)


class ServiceRow:
    """A ServiceBGPStatus as it should be. Thousands are kept: it is made when it is written."""

    __slots__ = ("_node", "_peers", "_service", "digest", "name")

    def __init__(self, service: ServiceId, node: str, peers: frozenset[str]) -> None:
        self._service, self._node, self._peers = service, node, peers
        self.name = row_name("bgp", service, node)
        self.digest = digest_of(self.status)

    def says(self, peers: frozenset[str]) -> bool:
        """Whether it names these."""
        return self._peers == peers

    @property
    def status(self) -> resources.ServiceBGPStatusStatus:
        """The struct of its status."""
        service = self._service
        return resources.ServiceBGPStatusStatus(
            self._node, service.name, service.namespace, sorted(self._peers)
        )

    @property
    def labels(self) -> Mapping[str, str]:
        """What it is found by."""
        return service_labels(self._service)


class Announced:
    """The Services that this node announces by BGP: their rows, events and metrics."""

    def __init__(self, node: str, events: Events) -> None:
        self._node, self._events = node, events
        self._routes: Sequence[Route] = ()
        self._sent: Mapping[IPNetwork, frozenset[str]] | None = None
        self._told: set[ServiceId] = set()
        self._retold: Counter[str] = Counter()
        self._rows: dict[ServiceId, ServiceRow] = {}
        ANNOUNCEMENTS.of("bgp", node, self._places)

    async def take(
        self, routes: Sequence[Route], sent: Mapping[IPNetwork, frozenset[str]]
    ) -> dict[str, ServiceRow] | None:
        """The rows by name that there should be; None: as before."""
        if routes is self._routes and sent == self._sent:
            return None
        told: dict[ServiceId, frozenset[str]] = {}
        async for piece in _pieces(routes):
            gather(told, piece, sent)
        await self._tell(told)
        rows = await self._wanted(told)
        self._routes, self._sent = routes, sent
        return rows

    def _places(self) -> Iterator[tuple[str, str]]:
        """Each Service with its addresses, or the prefixes of routes that stand for more."""
        for route in self._routes:
            if heard(route, self._sent or {}):
                whole = route.prefix.prefixlen == route.prefix.max_prefixlen
                place = str(route.prefix.network_address if whole else route.prefix)
                yield from ((service.key, place) for service in route.services)

    async def _tell(self, told: Mapping[ServiceId, frozenset[str]]) -> None:
        """Once when its announcing begins: a session that comes back begins nothing."""
        message = f'announcing from node "{self._node}" with protocol "bgp"'
        for service in self._told - told.keys():
            if len(self._retold) >= MOST_RETOLD:
                self._retold.clear()
            self._retold[service.uid] += 1
        gone = [(service.key, "") for service in self._told - told.keys()]
        tell_services(log, WITHDRAWN, "bgp", sorted(gone))
        self._told &= told.keys()
        news = [one for one, peers in told.items() if peers and one not in self._told]
        tell_services(log, ANNOUNCED, "bgp", [(service.key, "") for service in news])
        async for piece in _pieces(news):
            for service in piece:
                self._told.add(service)
                # the first time of a process may be one of a restart, which is no news
                once = f"bgp/{self._retold[service.uid]}" if service.uid in self._retold else "bgp"
                self._events.record(about(service), "nodeAssigned", message, once=once)

    async def _wanted(self, told: Mapping[ServiceId, frozenset[str]]) -> dict[str, ServiceRow]:
        """A row that says the same is the same: making one takes its time."""
        before, self._rows = self._rows, {}
        async for piece in _pieces([item for item in told.items() if item[1]]):
            for service, peers in piece:
                row = before.get(service)
                if row is None or not row.says(peers):
                    row = ServiceRow(service, self._node, peers)
                self._rows[service] = row
        return {row.name: row for row in self._rows.values()}


def heard(route: Route, sent: Mapping[IPNetwork, frozenset[str]]) -> frozenset[str]:
    """The peers that a route was sent to."""
    peers = sent.get(route.prefix, NOBODY)
    return peers & route.peers if route.peers else peers


def gather(
    told: dict[ServiceId, frozenset[str]],
    routes: Iterable[Route],
    sent: Mapping[IPNetwork, frozenset[str]],
) -> None:
    """Adds to ``told`` whom these routes were sent to, by Service; where nobody was, that too."""
    for route in routes:
        peers = heard(route, sent)
        for service in route.services:
            before = told.get(service)
            told[service] = before | peers if before else peers


async def _pieces(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    for start in range(0, len(items), PIECE):
        yield items[start : start + PIECE]
        await asyncio.sleep(0)
