"""The page that a controller serves: of its own world, which its watches keep up to date."""

from __future__ import annotations

import asyncio
from typing import Protocol

from bellmetal.api import Client
from bellmetal.events import timestamp
from bellmetal.ledger import Ledger
from bellmetal.page.lookout import Lookout
from bellmetal.page.server import Page
from bellmetal.page.sources import Look, Reader
from bellmetal.settings import ControllerSettings
from bellmetal.survey import Told
from bellmetal.world import World


class Knows(Protocol):
    """What a controller knows, and whether it leads: only then its ledger is up to date."""

    identity: str
    leading: bool
    world: World
    ledger: Ledger


class Inside(Reader):
    """A controller's world, and what it does not watch; a warm standby knows only who leads."""

    def __init__(self, client: Client, settings: ControllerSettings, knows: Knows) -> None:
        common = settings.common
        self._told = Told(
            common.lb_class,
            settings.ignore_exclude_lb,
            settings.on_orphan,
            settings.drain_on_cordon,
        )
        self._knows = knows
        super().__init__(client, common.namespace, knows.identity, self._told)

    async def look(self) -> Look:
        """As `Source.look`."""
        now, knows = timestamp(), self._knows
        if not knows.leading:
            return Look(None, await self._surveyor.leader(now))
        held = knows.ledger.holdings
        situation = await self._surveyor.beside(knows.world, held, self._told, now)
        return await self._with_events(situation)


async def open_page(client: Client, settings: ControllerSettings, knows: Knows) -> Page:
    """Serves the page on the port that the settings say; raises OSError if it is taken."""
    source = Inside(client, settings, knows)
    page = Page(Lookout(source, asyncio.get_running_loop().time))
    await page.start(settings.ui_port)
    return page
