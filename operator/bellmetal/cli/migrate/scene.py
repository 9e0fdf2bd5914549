"""Where a takeover stands: MetalLB, ours, the record, who answers. Only reads.

May live here: looking and waiting. May not: changing anything (`takeover.py`, `metallb.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bellmetal import resources
from bellmetal.api import Client
from bellmetal.cli.migrate.installation import Installation, Program, read_installation
from bellmetal.cli.migrate.metallb import MetalLB
from bellmetal.cli.migrate.record import Record, Records
from bellmetal.cli.migrate.releases import POLICY as POLICY  # for those who say what is left
from bellmetal.follow import L2_STATUSES, SLICES
from bellmetal.intents import Announcement
from bellmetal.rows import row_name
from bellmetal.session_reports import SESSIONS
from bellmetal.slices import read_slices

POLL = 0.3  # seconds between two looks
FLAG = "--takeover"


class NotYetError(Exception):
    """A step before its time, or something in the way: a sentence with what to do. ``status``: the
    exit status; ``commands``: what to type, if it is more than the sentence can hold."""

    def __init__(self, message: str, status: int = 3, commands: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.status, self.commands = status, tuple(commands)


@dataclass(slots=True)
class Scene:
    """All that a step looks at, and how long it waits (seconds)."""

    client: Client
    namespace: str
    timeout: float
    found: Installation
    metallb: MetalLB
    records: Records
    record: Record | None

    @property
    def known(self) -> Record:
        """The record; raises NotYetError."""
        if self.record is None:
            raise NotYetError("no takeover has begun: `bellmetal migrate takeover start`", 2)
        return self.record

    @property
    def beside(self) -> bool:
        """Whether our controllers run as beside MetalLB."""
        ours = self.found.our_controller
        return ours is not None and FLAG in (ours.container.args or ())

    async def nodes(self) -> dict[str, resources.Node]:
        """All Nodes by name."""
        found, _ = await self.client.list(resources.Node, "/api/v1/nodes")
        return {item.metadata.name: item for item in found}

    async def announced(self) -> list[Announcement]:
        """What our slices announce on layer 2."""
        path = SLICES.path(self.namespace)
        slices, _ = await self.client.list(resources.AnnouncementSlice, path)
        return list(read_slices(slices).announcements.values())

    async def answering(self) -> set[str]:
        """The names of ServiceL2Status objects that there are: a speaker writes one once it
        answers."""
        path = L2_STATUSES.path(self.namespace)
        found, _ = await self.client.list(resources.ServiceL2Status, path)
        return {item.metadata.name for item in found}

    async def sessions(self, node: str) -> list[resources.BGPSessionStatusStatus]:
        """Our BGP sessions of a node."""
        path = SESSIONS.path(self.namespace)
        found, _ = await self.client.list(resources.BGPSessionStatus, path)
        return [item.status for item in found if item.status.node == node]

    async def peers(self) -> int:
        """How many BGPPeers there are."""
        path = f"/apis/metallb.io/v1beta2/namespaces/{self.namespace}/bgppeers"
        return len((await self.client.list(resources.Object, path))[0])

    async def until(self, done: Callable[[], Awaitable[Any]], what: str) -> None:
        """Waits; raises NotYetError after the timeout."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.timeout
        while not await done():
            if loop.time() > end:
                message = f"not in {self.timeout:g} s: {what}; repeat the step, or `rollback`"
                raise NotYetError(message, 4)
            await asyncio.sleep(POLL)

    async def ready(self, program: Program | None) -> bool:
        """Whether a Deployment or DaemonSet has all its pods at work."""
        if program is None:
            return False
        live = await self.client.get(type(program.workload), program.path)
        status, spec = live.status, live.spec
        if status.observed_generation < live.metadata.generation:
            return False
        if "/daemonsets/" in program.path:
            wanted = status.desired_number_scheduled
            return 0 < wanted == status.number_available == status.updated_number_scheduled
        wanted = 1 if spec.replicas is None else spec.replicas
        return 0 < wanted == status.available_replicas == status.updated_replicas


async def look(client: Client, namespace: str, timeout: float) -> Scene:
    """Reads it; raises ApiError."""
    found = await read_installation(client, namespace)
    records = Records(client, namespace)
    return Scene(
        client,
        namespace,
        timeout,
        found,
        MetalLB(client, found),
        records,
        await records.read(),
    )


def unanswered(announced: list[Announcement], names: set[str]) -> list[Announcement]:
    """Those whose owner has not said yet that it answers; names as `row_name` makes them."""
    return [
        item
        for item in announced
        if item.services and row_name("l2", item.services[0], item.owner) not in names
    ]
