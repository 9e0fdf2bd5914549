"""The load balancer beside this one, as the ConfigMap `bellmetal-takeover` tells of it.

May live here: following that object, and adopting what Services show meanwhile. May not: what may
be done at which stage (`beside.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from bellmetal import resources
from bellmetal.allocation import allocate
from bellmetal.api import Client
from bellmetal.beside import NAME, Beside, Stage, adopted, as_shown, read_beside
from bellmetal.follow import Follower, Kind
from bellmetal.ledger import Ledger, LedgerConflictError
from bellmetal.reconciler import AgainError
from bellmetal.settlement import settle
from bellmetal.world import World

log = logging.getLogger(__name__)

CONFIG_MAPS = Kind("", "v1", "configmaps", resources.ConfigMap, True)


class Companion:
    """``poke`` is called when the stage changes. Not ``present``: there is no other one, ever."""

    def __init__(
        self, client: Client, namespace: str, poke: Callable[[], None], present: bool
    ) -> None:
        self._client, self._namespace = client, namespace
        self._present = present
        self._follower = Follower(
            client, CONFIG_MAPS, namespace, poke, fields=f"metadata.name={NAME}"
        )
        self._said = ""

    async def run(self) -> None:
        """Follows the object for ever, if there is a reason to."""
        if self._present:
            await self._follower.run()

    @property
    def stage(self) -> Beside:
        """How far the takeover has come. As long as that is not known, the other one decides."""
        if not self._present:
            return Beside(Stage.COMPLETE)
        if not self._follower.listed.is_set():
            return Beside()
        body = self._follower.collection.nouns.get(f"{self._namespace}/{NAME}")
        return read_beside(body.data if body is not None else None)

    async def adopt(self, world: World, ledger: Ledger, now: str) -> None:
        """Writes what Services show into the ledger, and nothing anywhere else."""
        shown, held = as_shown(world.cluster(world.validated().config), ledger.holdings)
        allocations = adopted(shown, allocate(shown, held, now))
        try:
            changes = settle(allocations, shown.services, ledger.holdings, now, ledger.floor)
            await ledger.write(changes)
        except LedgerConflictError as conflict:
            await world.load(self._client, self._namespace)
            raise AgainError(str(conflict)) from conflict
        ours = [item for item in shown.services.values() if item.wants_address]
        said = f"observing: {len(allocations.granted)} of {len(ours)} Services keep what they show"
        if said != self._said:
            log.info(said, extra={"op": "takeover"})
        self._said = said
