"""Looks that people ask of this speaker: which of them it does, one after the other, each once.

What is asked for stands in its SpeakerReport, so that is the queue too: whoever asks for more
takes nothing from anybody but those who ask. The loop that answers ARP comes first: one look at a
time, with a pause after each, and none takes longer than MOST_SECONDS.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network

from bellmetal.addresses import IPAddress, IPNetwork
from bellmetal.intents import Announcement, Route
from bellmetal.node_files import NodeFiles
from bellmetal.reaching import connect, route
from bellmetal.sights import MOST_LOOKS, MOST_SECONDS, Look, LookKind, Outcome, Sight, seen

log = logging.getLogger(__name__)

PAUSE = 0.05  # seconds between two looks
GRACE = 1.0  # seconds that one may take longer than it says
REMEMBERED = 1024  # looks that are not done again, should somebody ask for them once more

Asked = Look | Sight  # the latter: what cannot be understood, and the answer to it


class Looker:
    """``lan`` is the announcers' part (`Crew.look`); ``clock`` says the time in RFC 3339."""

    def __init__(
        self,
        lan: Callable[[Look], Awaitable[Sight | None]],
        files: NodeFiles,
        clock: Callable[[], str],
        changed: Callable[[], None],
    ) -> None:
        self._lan, self._files, self._clock, self._changed = lan, files, clock, changed
        self._announcements: Mapping[IPAddress, Announcement] = {}
        self._routes: tuple[Route, ...] = ()
        self._prefixes: frozenset[IPNetwork] | None = None  # of the routes, if anybody asked
        self._asked: tuple[Asked, ...] | None = None  # None: nothing was read yet
        self._done: deque[str] = deque(maxlen=REMEMBERED)
        self._answers: deque[Sight] = deque(maxlen=MOST_LOOKS)
        self._news = asyncio.Event()

    @property
    def answers(self) -> tuple[Sight, ...]:
        """The last of them, the oldest first."""
        return tuple(self._answers)

    def permit(
        self, announcements: Mapping[IPAddress, Announcement], routes: tuple[Route, ...]
    ) -> None:
        """What the slices name: a speaker looks at nothing else."""
        self._announcements, self._routes, self._prefixes = announcements, routes, None

    def ask(self, asked: Iterable[Asked]) -> None:
        """All that is asked for now. What stood there before this speaker began is not done: who
        asked may be gone long since, and what was answered then is forgotten."""
        first, self._asked = self._asked is None, tuple(asked)[:MOST_LOOKS]
        if first:
            for item in self._asked:
                self._answer(_too_old(item))
        self._news.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while (item := self._next()) is not None:
                self._answer(await self._see(item) if isinstance(item, Look) else item)
                await asyncio.sleep(PAUSE)

    def _next(self) -> Asked | None:
        done = set(self._done)
        return next((item for item in self._asked or () if item.id not in done), None)

    def _answer(self, sight: Sight) -> None:
        self._done.append(sight.id)
        self._answers.append(replace(sight, at=self._clock()))
        self._changed()

    async def _see(self, look: Look) -> Sight:
        if (no := self._denied(look)) is not None:
            return seen(look, Outcome.DENIED, no)
        log.info("looking: %s %s", look.kind.value, look.address, extra={"op": "look"})
        try:
            async with asyncio.timeout(MOST_SECONDS + GRACE):
                found = await self._do(look)
        except Exception as error:  # whatever it is, the next one is looked at  # noqa: BLE001
            log.warning("looking failed: %s: %s", type(error).__name__, error, extra={"op": "look"})
            return seen(look, Outcome.FAILED, f"it failed: {str(error) or type(error).__name__}")
        if found is None:
            message = f"no announcer of this speaker can {look.kind.value}"
            return seen(look, Outcome.FAILED, message)
        return found

    async def _do(self, look: Look) -> Sight | None:
        match look.kind:
            case LookKind.CONNECT:
                return await connect(look)
            case LookKind.ROUTE:
                return await route(look, self._files)
            case _:
                return await self._lan(look)

    def _denied(self, look: Look) -> str | None:
        """Why not. Else who may write reports could scan networks from the nodes."""
        if look.kind is LookKind.ROUTE or look.address in self._announcements:
            return None
        if self._prefixes is None:
            self._prefixes = frozenset(item.prefix for item in self._routes)
        lengths = {item.prefixlen for item in self._prefixes}
        around = (ip_network((look.address, n), strict=False) for n in lengths if n <= _width(look))
        if not self._prefixes.isdisjoint(around):
            return None
        return f"{look.address} is not an address that the slices name: only those are looked at"


def _width(look: Look) -> int:
    return look.address.max_prefixlen


def _too_old(item: Asked) -> Sight:
    kind = item.kind.value if isinstance(item, Look) else item.kind
    message = "it was asked before this speaker started: ask again"
    return Sight(item.id, kind, False, Outcome.DENIED.value, message)
