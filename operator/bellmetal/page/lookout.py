"""One look for all who ask: nothing is found out while nobody asks, and not more often than it may.

What was found stays for two seconds, or for five times as long as it took to find out, so that a
large cluster is not busy with being looked at. A "no" of the API server stays as long.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

from bellmetal.addresses import AddressError, Range, parse_address
from bellmetal.api import ApiError
from bellmetal.diagnosis.chain import Explanation
from bellmetal.diagnosis.node import explain_node
from bellmetal.diagnosis.peer import explain_peer
from bellmetal.diagnosis.pool import explain_pool
from bellmetal.diagnosis.service import explain_service
from bellmetal.diagnosis.situation import ServiceDetail, Situation
from bellmetal.diagnosis.wire import as_plain
from bellmetal.events import timestamp
from bellmetal.page import state as states
from bellmetal.page.facts import address_facts, block_map
from bellmetal.page.occupancy import Occupancy, occupancy
from bellmetal.page.services import services
from bellmetal.page.sources import Look, Source

PAUSE = 2.0  # seconds between two looks
SHARE = 5.0  # … or so many times as long as a look took
LONGEST_PAUSE = 60.0
MOST_KEPT = 64  # explanations of one look

Plain = dict[str, Any]


def encode(plain: object) -> bytes:
    """JSON; by the standard library, as a /48 has more addresses than fit into 64 bits."""
    return json.dumps(plain, separators=(",", ":")).encode()


class NoSuchThingError(Exception):
    """Somebody asks for what is not there."""


class BadQuestionError(Exception):
    """Somebody asks for what cannot be."""


class View:
    """What one look has found, and what was asked of it since."""

    def __init__(self, look: Look, source: Source) -> None:
        self._source = source
        self._explained: dict[tuple[str, str], Plain] = {}
        self.situation: Situation | None = look.situation
        plain: Plain = {
            "version": states.VERSION,
            "namespace": source.namespace,
            "leader": states.leader_of(look.leader),
        }
        self._found = Occupancy({}, {})
        if look.situation is not None:
            self._found = occupancy(look.situation)
            plain = states.state(look.situation, self._found, look.events)
            plain["unread"] = list(look.unread)
        plain |= {"servedBy": source.name, "standby": look.situation is None}
        digest = hashlib.blake2b(encode(plain), digest_size=12).hexdigest()
        self.etag = f'"{digest}"'  # of all but the time: what says the same is the same
        self.body = encode(plain | {"now": timestamp()})

    def _known(self) -> Situation:
        if self.situation is None:
            raise NoSuchThingError("this controller does not lead: ask the one that does")
        return self.situation

    def services(self, wanted: str) -> Plain:
        """Services by a part of their name, address or owner."""
        return services(self._known(), self._found, wanted)

    def address(self, text: str) -> Plain:
        """What is known of an address."""
        try:
            return address_facts(self._known(), self._found, parse_address(text))
        except AddressError as error:
            raise BadQuestionError(str(error)) from error

    def block(self, name: str, first: str, last: str) -> Plain:
        """The map of a part of a pool."""
        pool = self._known().cluster.config.pool(name)
        if pool is None:
            raise NoSuchThingError(f'there is no IPAddressPool "{name}"')
        try:
            block = Range(parse_address(first), parse_address(last))
        except AddressError as error:
            raise BadQuestionError(str(error)) from error
        if block.first.version != block.last.version or int(block.first) > int(block.last):
            raise BadQuestionError(f'"{block}" is not a range')
        return block_map(self._found, pool, block)

    async def explain(self, subject: str, name: str) -> Plain:
        """The explanation of a Service, pool, node or peer; found out once a look."""
        known = self._explained.get((subject, name))
        if known is not None:
            return known
        situation = self._known()
        _must_be(situation, subject, name)
        detail = await self._source.detail(name) if subject == "service" else ServiceDetail()
        plain = as_plain(_explanation(situation, subject, name, detail))
        if len(self._explained) < MOST_KEPT:
            self._explained[subject, name] = plain
        return plain


def _must_be(situation: Situation, subject: str, name: str) -> None:
    """Nothing is asked of the API server about what is not known to be there."""
    cluster = situation.cluster
    match subject:
        case "service":
            kind, there = "Service", name in cluster.services
        case "pool":
            kind, there = "IPAddressPool", cluster.config.pool(name) is not None
        case "node":
            kind, there = "Node", name in cluster.nodes
        case _:
            kind, there = "BGPPeer", any(peer.name == name for peer in cluster.config.peers)
            there = there or situation.problem_of("BGPPeer", name) is not None
    if not there:
        raise NoSuchThingError(f'there is no {kind} "{name}"')


def _explanation(
    situation: Situation, subject: str, name: str, detail: ServiceDetail
) -> Explanation:
    match subject:
        case "service":
            return explain_service(situation, name, detail)
        case "pool":
            return explain_pool(situation, name)
        case "node":
            return explain_node(situation, name)
        case _:
            return explain_peer(situation, name)


class Lookout:
    """Keeps the last view, and looks again when somebody asks and it is time."""

    def __init__(self, source: Source, clock: Callable[[], float]) -> None:
        self._source, self._clock = source, clock
        self._lock = asyncio.Lock()
        self._view: View | None = None
        self._error: ApiError | None = None
        self._until = float("-inf")

    async def view(self) -> View:
        """What is so now, or was a moment ago; raises ApiError."""
        async with self._lock:
            if self._clock() >= self._until:
                await self._look()
        if self._error is not None or self._view is None:
            raise self._error or ApiError(0, "", "nothing is known yet")
        return self._view

    async def _look(self) -> None:
        began = self._clock()
        try:
            look = await self._source.look()
            self._view, self._error = await asyncio.to_thread(View, look, self._source), None
        except ApiError as error:
            self._error = error
        now = self._clock()
        self._until = now + min(LONGEST_PAUSE, max(PAUSE, SHARE * (now - began)))
