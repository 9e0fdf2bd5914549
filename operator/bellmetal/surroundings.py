"""The speaker's view of its node, kept up to date: when to look again, and whether it changed.

What blocks is read in a thread: the loop that answers ARP comes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from bellmetal import kube_proxy
from bellmetal.node_files import IPVS, NodeFiles
from bellmetal.sights import MOST_UNHEARD, KubeProxy, NodeSights
from bellmetal.sockets import count_addresses

log = logging.getLogger(__name__)

EVERY = 30.0  # seconds between two looks at rest
SETTLE = 1.0  # seconds after a change of interfaces: what follows it is seen too


class Surroundings:
    """``changed`` is called when something is seen that was not so before.

    ``sights`` is what was seen last; None before the first look. ``unheard``: nodes that are not
    heard at this moment; in the sights are those for which it has been so for a while, as else each
    restart of a speaker would make all others write.
    """

    def __init__(
        self,
        files: NodeFiles,
        unheard: Callable[[], Iterable[str]],
        changed: Callable[[], None],
        proxy: Callable[[], Awaitable[KubeProxy]] = kube_proxy.ask,
        count: Callable[[str], int] = count_addresses,
    ) -> None:
        self._files, self._unheard, self._changed = files, unheard, changed
        self._proxy, self._count = proxy, count
        self.sights: NodeSights | None = None
        self._silent: dict[str, float] = {}  # node → since when it is not heard
        self._stirred = asyncio.Event()
        self._interfaces: object = None

    def interfaces(self, present: object) -> None:
        """The usable interfaces as they are now: if they changed, it is time to look."""
        if present != self._interfaces:
            self._interfaces = present
            self._stirred.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._stirred.clear()
            await self._renew()
            try:
                async with asyncio.timeout(EVERY):
                    await self._stirred.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE)

    async def _renew(self) -> None:
        try:
            found = await self.look()
        except OSError as error:  # what was seen last stands; in a while it is tried again
            log.warning("cannot look at this node: %s", error, extra={"op": "sights"})
            return
        if found != self.sights:
            self.sights = found
            self._changed()

    async def look(self) -> NodeSights:
        """All of it anew; what cannot be read is left empty. Raises OSError."""
        found = await asyncio.to_thread(self._read)
        return replace(found, kube_proxy=await self._proxy(), unheard=self._long_unheard())

    def _long_unheard(self) -> tuple[str, ...]:
        now = asyncio.get_running_loop().time()
        self._silent = {name: self._silent.get(name, now) for name in self._unheard()}
        long = (name for name, since in self._silent.items() if now - since > EVERY - SETTLE)
        return tuple(sorted(long)[:MOST_UNHEARD])

    def _read(self) -> NodeSights:
        files = self._files
        return NodeSights(
            kernel=files.kernel(),
            links=files.links(),
            ipvs_addresses=self._ipvs() if files.has_ipvs() else None,
            ip_forward=files.forwards(),
        )

    def _ipvs(self) -> int:
        return self._count(IPVS) + self._files.ipvs_addresses6()
