"""What speakers of nodes that are gone have left behind for people to read: it is removed.

A speaker removes its own objects; who is gone cannot. May not live here: what nodes own
(`announcing.py` removes what contradicts that, while the node is there).
"""

from __future__ import annotations

import asyncio
import logging

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.follow import Kind
from bellmetal.world import World

log = logging.getLogger(__name__)

EVERY = 30.0  # seconds between two looks
AFTER = 60.0  # seconds that a Node has to be gone: its speaker may outlive it for a while
LEFT = (
    Kind("bellmetal.io", "v1alpha1", "bgpsessionstatuses", resources.Object, True),
    Kind("metallb.io", "v1beta1", "servicebgpstatuses", resources.Object, True),
)


class Departed:
    """Knows who was there by the SpeakerReports, which stay."""

    def __init__(self, client: Client, namespace: str, world: World) -> None:
        self._client, self._namespace, self._world = client, namespace, world
        self._since: dict[str, float] = {}
        self._done: set[str] = set()
        self._said = ""

    async def run(self) -> None:
        """Looks again and again, for ever."""
        while True:
            await self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(EVERY)

    async def look(self, now: float) -> None:
        """One look at who is gone, in seconds of one clock; never raises ApiError."""
        nodes = self._world.nodes.nouns.keys()
        reports = self._world.reports.nouns.values()
        gone = {report.metadata.name for report in reports} - nodes
        self._since = {node: self._since.get(node, now) for node in gone}
        self._done &= gone
        for node in sorted(gone - self._done):
            if now - self._since[node] >= AFTER:
                try:
                    await self._remove(node)
                except ApiError as error:
                    if str(error) != self._said:
                        log.warning("what %s has left cannot be removed: %s", node, error)
                    self._said = str(error)
                else:
                    self._done.add(node)

    async def _remove(self, node: str) -> None:
        count = 0
        for kind in LEFT:
            path = kind.path(self._namespace)
            found, _ = await self._client.list(kind.struct, path, f"metallb.io/node={node}")
            for item in found:
                await self._client.delete(f"{path}/{item.metadata.name}")
            count += len(found)
        if count:
            extra = {"op": "tidy", "node": node}
            log.info("node %s is gone: removed %d of its status objects", node, count, extra=extra)
