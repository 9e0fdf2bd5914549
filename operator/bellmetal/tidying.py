"""ServiceBGPStatus rows that nobody keeps: of nodes that are not ready for long, and of Services
that have no route there. They are removed slowly, beside all else.

A speaker keeps its own rows; these are of speakers that cannot (`departed.py` has those of nodes
that are gone). What is removed by mistake its speaker writes again. Rows may be very many: they are
not watched, but listed once in a while, and those of a node when it is missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.cluster import Node
from bellmetal.follow import Kind
from bellmetal.intents import Intents

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds between two looks at who is missed
PATIENCE = 60.0  # seconds that a node may be missed
SCAN_EVERY = 600.0  # seconds between two looks at all rows
PAUSE = 0.02  # seconds between two deletions: rows are for people
ROWS = Kind("metallb.io", "v1beta1", "servicebgpstatuses", resources.ServiceBGPStatus, True)


@dataclass(frozen=True)
class Picture:
    """The nodes and what was decided last."""

    nodes: Mapping[str, Node]
    intents: Intents

    def routed(self) -> dict[str, set[str]]:
        """Service key → the names of the node sets of its routes."""
        found: dict[str, set[str]] = {}
        for route in self.intents.routes:
            for service in route.services:
                found.setdefault(service.key, set()).add(route.node_set)
        return found


class Tidying:
    """The leader's; every pass leaves its ``picture`` here."""

    def __init__(self, client: Client, namespace: str, pause: float = PAUSE) -> None:
        self._client, self._path, self._pause = client, ROWS.path(namespace), pause
        self._since: dict[str, float] = {}
        self._missed: set[str] = set()
        self._scan_at = 0.0
        self.picture: Picture | None = None

    async def run(self) -> None:
        """For ever; what fails is tried again, and said once while it is the same."""
        said = ""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look(asyncio.get_running_loop().time())
                said = ""
            except ApiError as error:
                if str(error) != said:
                    log.warning("%s: %s", self._path, error, extra={"op": "tidy"})
                said = str(error)

    async def look(self, now: float) -> None:
        """Removes what is outdated, where it is time to look; seconds of one monotonic clock."""
        if self.picture is None:
            return
        away = {name for name, node in self.picture.nodes.items() if not node.ready}
        self._since = {name: self._since.get(name, now) for name in away}
        self._missed &= away
        new = {name for name in away - self._missed if now - self._since[name] >= PATIENCE}
        if now >= self._scan_at:
            await self._tidy("", self._missed | new)
            self._scan_at = now + SCAN_EVERY
        else:
            for name in sorted(new):
                await self._tidy(f"metallb.io/node={name}", {name})
        self._missed |= new

    async def _tidy(self, selector: str, missed: set[str]) -> None:
        try:
            rows, _ = await self._client.list(resources.ServiceBGPStatus, self._path, selector)
        except ApiError as error:
            if error.gone:
                return  # the cluster has no such kind yet
            raise
        assert self.picture is not None
        routed, picture, count = self.picture.routed(), self.picture, 0
        sets = {item.name: item.nodes for item in picture.intents.node_sets}
        for row in rows:
            status = row.status
            chosen = routed.get(f"{status.service_namespace}/{status.service_name}", ())
            here = any(status.node in sets.get(name, ()) for name in chosen)
            if status.node and (status.node in missed or not here):
                await self._client.delete(f"{self._path}/{row.metadata.name}")
                await asyncio.sleep(self._pause)
                count += 1
        if count:
            log.info("removed %d outdated ServiceBGPStatus objects", count, extra={"op": "tidy"})
