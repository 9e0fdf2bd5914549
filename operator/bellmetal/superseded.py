"""ServiceL2Status rows of nodes that own nothing of the Service any more: what dead nodes left.

A speaker removes its own rows; who is dead cannot. They may be thousands at once, and new Services
wait for no pass that removes rows: passes say which, the deletions are done beside them, slowly.
News of rows, of which there is one for each address, need no pass but where one contradicts. What
is removed by mistake its speaker writes again. May not live here: who owns what (`standing.py`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

from bellmetal.api import ApiError, Client
from bellmetal.follow import L2_STATUSES
from bellmetal.world import World

log = logging.getLogger(__name__)

AFTER = 3.0  # seconds that a row may contradict the owner: it may be seen before the report
PAUSE = 0.02  # seconds between two deletions: rows are for people
AGAIN = 5.0  # seconds after one that failed
GATHER = 1.0  # seconds from the news of a row to a look at all of them


class Superseded:
    """The leader's. ``later(seconds)`` asks for another pass."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        world: World,
        later: Callable[[float], None],
        pause: float = PAUSE,
    ) -> None:
        self._client, self._path, self._pause = client, L2_STATUSES.path(namespace), pause
        self._world, self._later = world, later
        self._owners: Mapping[str, frozenset[str]] | None = None  # as the last pass knew them
        self._since: dict[str, float] = {}  # key of a row → since when it contradicts
        self._due: list[str] = []
        self._news = asyncio.Event()
        self._look_due = -math.inf  # when rows that came are looked at

    def look(self, owners: Mapping[str, frozenset[str]]) -> None:
        """In a pass: which rows contradict for long enough. ``owners`` by the keys of Services."""
        now = asyncio.get_running_loop().time()
        self._owners = owners
        self._note(owners, now)
        self._due = [key for key, since in self._since.items() if now - since >= AFTER * 0.99]
        if self._due:
            self._news.set()

    def heard(self) -> None:
        """A row is news: it is looked at in a while, together with others."""
        loop = asyncio.get_running_loop()
        if self._look_due <= loop.time():
            self._look_due = loop.time() + GATHER
            loop.call_at(self._look_due, self._look_between)

    def _look_between(self) -> None:
        """What a pass has to look at again is its to say: it knows the owners of that moment."""
        if self._owners is not None:
            self._note(self._owners, asyncio.get_running_loop().time())

    def _note(self, owners: Mapping[str, frozenset[str]], now: float) -> None:
        """Which rows contradict, and since when; asks for a pass if there are new ones."""
        before, self._since = self._since, {}
        for key, body in self._world.l2_statuses.nouns.items():
            status = body.status
            service = f"{status.service_namespace}/{status.service_name}"
            if status.node and status.node not in owners.get(service, frozenset()):
                self._since[key] = before.get(key, now)
        if self._since.keys() - before.keys():
            self._later(AFTER)

    async def run(self) -> None:
        """Removes what is due, for ever; what fails is tried again after another pass, and said
        once while it is the same."""
        self._owners, self._since, self._due = None, {}, []  # of when we led before
        said = ""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.remove()
                said = ""
            except ApiError as error:
                if str(error) != said:
                    log.warning("%s: %s", self._path, error, extra={"op": "tidy"})
                said = str(error)
                self._later(AGAIN)

    async def remove(self) -> None:
        """Removes what is due, as the latest pass saw it; raises the first ApiError, after the
        others' turn."""
        refused: ApiError | None = None
        while self._due:
            key = self._due.pop()
            if key not in self._world.l2_statuses.nouns:
                continue  # its speaker was first
            try:
                await self._client.delete(f"{self._path}/{key.rpartition('/')[2]}")
            except ApiError as error:
                if not error.code:
                    raise  # nobody answers: the others would wait for the same
                refused = refused or error
            else:
                self._world.l2_statuses.remove(key)
            await asyncio.sleep(self._pause)
        if refused is not None:
            raise refused
