"""The controller: Kopf keeps the World; one pass turns it into decisions and writes.

The order of work for a new Service: allocate → ledger → PATCH → plan → slice → events.
May live here: the order of things. May not: rules of allocation, ownership, configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import platform
import secrets
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from bellmetal import metrics, resources
from bellmetal.admission import Admission
from bellmetal.allocating import Allocating
from bellmetal.announcing import Announcing
from bellmetal.api import ApiError, Client, find_access
from bellmetal.companion import Companion
from bellmetal.config import Config, Problem
from bellmetal.controller_metrics import CONTROLLER, led
from bellmetal.departed import Departed
from bellmetal.events import Events, timestamp
from bellmetal.follow import L2_STATUSES, Follower
from bellmetal.health import Endpoints
from bellmetal.keychain import Keychain
from bellmetal.leadership import Leadership
from bellmetal.ledger import Ledger, LedgerConflictError
from bellmetal.notices import Notices
from bellmetal.page.inside import open_page
from bellmetal.reconciler import AgainError, Reconciler
from bellmetal.settings import ControllerSettings
from bellmetal.states import Program, States
from bellmetal.superseded import Superseded
from bellmetal.tidying import Tidying
from bellmetal.turns import collect_seldom
from bellmetal.unrest import Unrest
from bellmetal.watches import watch
from bellmetal.webhook import Webhook
from bellmetal.world import ENDPOINT_SLICES, World
from bellmetal.writer import (
    ServicePatch,
    Writer,
)

log = logging.getLogger(__name__)

COMPONENT = "metallb-controller"
RELIST_EVERY = 600.0  # seconds; finds what a broken watch lost
FRESH = 10.0  # seconds for which what was listed serves whoever begins to lead
SECOND_LOOK = 5.0  # seconds; Kopf's watches come back later than the API
TOLD_AT_ONCE = 32  # Services that are told what is for people, before new ones are looked at
DRAIN = 3.0  # seconds that events may take at the end


class Controller:
    """One controller process, once it has a client."""

    def __init__(self, client: Client, settings: ControllerSettings) -> None:
        common = settings.common
        self.settings, self.namespace = settings, common.namespace
        self.identity = common.pod_name or f"{platform.node()}-{secrets.token_hex(4)}"
        self.client = client
        self.world = World(
            common.lb_class,
            settings.ignore_exclude_lb,
            settings.on_orphan,
            settings.drain_on_cordon,
        )
        self.events = Events(client, COMPONENT, self.identity)
        self.notices = Notices(self.world, self.events)
        self.unrest = Unrest(self.world, self.events)
        self.ledger = Ledger(client, self.namespace)
        self.writer = Writer(client, self.namespace, self.world.slices)
        program = Program(pod_name=common.pod_name, pod_uid=common.pod_uid)
        self.states = States(client, self.namespace, program)
        self.leadership = Leadership(client, self.namespace, self.identity)
        self.reconciler = Reconciler(self.step, hasten=self.hasten)
        self.keychain = Keychain(client, self.namespace, self.reconciler.poke)
        self.companion = Companion(client, self.namespace, self.reconciler.poke, settings.takeover)
        self.departed = Departed(client, self.namespace, self.world)
        self.endpoints = Follower(client, ENDPOINT_SLICES, "", self.reconciler.poke)
        self.endpoints.collection = self.world.endpoint_slices
        self.loaded = self.leading = False
        self._looked = -math.inf  # when our own last list of all began
        self._reckoned = 0  # news of the ledger then
        self._heard: dict[str, float] = {}  # when Kopf had first listed itself, by plural
        self._look_again: float | None = None  # when what is observed will have lasted
        self.allocating = Allocating(
            self.world,
            self.ledger,
            self.writer,
            self.notices,
            self.reconciler.poke,
            self._poke_later,
        )
        self.announcing = Announcing(
            self.world,
            self.ledger,
            self.writer,
            self.notices,
            self._load_world,
            self._tell,
            self._poke_later,
            Tidying(client, self.namespace),
            Superseded(client, self.namespace, self.world, self._poke_later),
            lambda: self.companion.stage,
        )

    # --- one pass --------------------------------------------------------------------------------

    async def step(self) -> None:
        """Decide on the whole, write what differs. Raises for what must be tried again."""
        if not self.companion.stage.decides:
            await self.announcing.observe(self.companion)
            return
        if self._is_behind():
            await self._load_world()
        validated = self.world.validated()
        unsigned, unwritten = await self._sign(validated.config)
        problems = (*validated.problems, *unsigned)
        self.notices.problems(problems)
        await self.states.publish(str(problem) for problem in problems)
        self._observe()
        _, failed = await self._hurry(validated.config)
        cluster = self.world.cluster(validated.config)
        self.notices.services(cluster.services.values())
        now = timestamp()
        try:
            allocations = await self.allocating.allocate(cluster, now)
            failed += await self.allocating.show(cluster, allocations)
            await self.announcing.announce(cluster, allocations, now)
        except LedgerConflictError as conflict:
            raise AgainError(str(conflict)) from conflict
        except ApiError:
            metrics.UPDATE_ERRORS.inc()
            raise
        self.notices.allocated(allocations)
        if math.isfinite(allocations.again_in):  # an address cools down that somebody waits for
            self._poke_later(allocations.again_in + 0.1)
        failed += await self.allocating.count(cluster, allocations) + unwritten
        failed += await self.allocating.prune(cluster.config, now)
        if failed:
            metrics.UPDATE_ERRORS.inc()
            raise failed[0]

    async def hasten(self) -> bool:
        """Between two passes: new Services have their addresses, and those that have an endpoint
        are announced, if nothing else has changed. Whether there were any."""
        if not self.companion.stage.decides or self._is_behind():
            return False
        config = self.world.validated().config
        served, failed = await self._hurry(config)
        if failed:
            raise failed[0]
        if self.allocating.express.stands and await self.announcing.express.announce(config):
            return True
        return served

    async def _hurry(self, config: Config) -> tuple[bool, list[ApiError]]:
        """Services that have just been made have their addresses before all else is looked at;
        whether there were any, and failures."""
        services, allocations, failed = await self.allocating.hurry(config)
        if not failed:
            self.announcing.express.given(services, allocations)
        return bool(allocations.granted), failed

    async def _sign(self, config: Config) -> tuple[tuple[Problem, ...], list[ApiError]]:
        """The passwords of peers; what cannot be written stops nothing else."""
        peers = self.world.peers
        names = {body.metadata.name for body in peers.nouns.values()}
        names |= {item.name for item in peers.unreadable.values()}
        try:
            return await self.keychain.keep(config.peers, names), []
        except ApiError as error:
            if error.code == 403 and not names:
                return (), []  # the right is missing, and nobody needs it
            return (), [error]

    def _observe(self) -> None:
        """What needs time to be believed is looked at again when it is due."""
        now = asyncio.get_running_loop().time()
        again = self.world.observe(now)
        if again is not None and again != self._look_again:
            self._poke_later(max(0.0, again - now) + 0.1)
        self._look_again = again
        self.unrest.tell(now)

    async def _tell(self, patches: list[ServicePatch]) -> list[ApiError]:
        """What is for people, when all is announced: new Services come in between."""
        failed: list[ApiError] = []
        for start in range(0, len(patches), TOLD_AT_ONCE):
            if start:
                await self.hasten()
            failed += await self.allocating.patch(patches[start : start + TOLD_AT_ONCE])
        return failed

    def _changed(self, plural: str) -> None:
        """News of a kind. Thousands of rows, which are for people, need no pass."""
        if plural != L2_STATUSES.plural or self.announcing.awaits_rows:
            self.reconciler.poke()
        elif self.leading:
            self.announcing.superseded.heard()

    def _poke_later(self, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, self.reconciler.poke)

    # --- running ---------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> bool:
        """Until ``stop``; False if something else ended it."""
        watching = asyncio.Event()
        writing = asyncio.create_task(self.events.run())
        follow = (self.keychain.secrets.run, self.companion.run, self.endpoints.run)
        following = [asyncio.create_task(run()) for run in follow]
        leading = asyncio.create_task(self._lead(watching))
        # Kopf, when it ends, cancels every task that is younger than itself: it comes last.
        kopf = asyncio.create_task(
            watch(
                self.world,
                find_access(),
                self.namespace,
                self._changed,
                self._kopf_listed,
                watching,
            )
        )
        ready = asyncio.create_task(self._take_signals(watching, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([leading, kopf, stopping], return_when=asyncio.FIRST_COMPLETED)
        # Until our handlers are in place a signal ends Kopf, which is as good.
        ended_well = stop.is_set() or (kopf.done() and not kopf.exception() and not leading.done())
        await self._end(leading, ready, stopping)
        await self.leadership.release()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self.events.drain()
        await self._end(writing, *following, kopf)
        return ended_well

    async def _end(self, *tasks: asyncio.Task[Any]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=DRAIN)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                log.error("a task ended: %s", error, exc_info=error)

    async def _take_signals(self, watching: asyncio.Event, stop: asyncio.Event) -> None:
        """Kopf installs signal handlers of its own when it starts: ours follow."""
        await watching.wait()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

    async def _lead(self, watching: asyncio.Event) -> None:
        """Loads the world (a warm standby has it); then waits to lead and leads, for ever."""
        await self._until_done(self._load_first)
        await watching.wait()
        self.loaded = True
        metrics.CONFIG_LOADED.set(1)
        while True:
            await self.leadership.acquire()
            await self._lead_once()

    async def _lead_once(self) -> None:
        """Decides until leadership is lost: the API was away for too long, or another took it."""
        await self._until_done(self._load_own)
        led(True)
        self.reconciler.poke()
        work = [
            asyncio.create_task(self.reconciler.run()),
            asyncio.create_task(self._relist()),
            asyncio.create_task(self.states.run()),
            asyncio.create_task(self.departed.run()),
            asyncio.create_task(self.announcing.tidying.run()),
            asyncio.create_task(self.announcing.superseded.run()),
        ]
        self.leading = True
        try:
            await self.leadership.hold()
        finally:
            self.leading = False
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            led(False)
            metrics.CONFIG_STALE.set(0)

    async def _load_world(self) -> bool:
        """Lists all; whether anything differed from what was known."""
        began, news = asyncio.get_running_loop().time(), self.ledger.news
        changed = await self.world.load(self.client, self.namespace)
        self._looked, self._reckoned = began, news
        return changed

    def _is_behind(self) -> bool:
        """Whether somebody else has written the ledger since all was listed: he may know Services
        and pools that no watch has told us of yet."""
        return self.ledger.news != self._reckoned

    async def _load_first(self) -> None:
        await self.ledger.load()  # first: the world then knows everybody whom the ledger names
        await self._load_world()

    async def _load_own(self) -> None:
        await self._ensure_secret()
        self.allocating.express.forget()
        self.announcing.express.forget()
        await self.ledger.load()
        # who has just begun need not list thousands twice, if nobody has decided anything since
        if self._is_behind() or asyncio.get_running_loop().time() - self._looked > FRESH:
            await self._load_world()
        self.keychain.forget()
        self.notices.begin()

    async def _until_done(self, load: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await load()
                return
            except ApiError as error:
                log.warning("cannot read the cluster yet: %s", error, extra={"op": "load"})
                await asyncio.sleep(1.0)

    def _kopf_listed(self, plural: str, again: bool) -> None:
        self._heard.setdefault(plural, asyncio.get_running_loop().time())
        if again and self.loaded:
            self.leadership.recovered.set()

    def _is_unheard(self) -> bool:
        """Whether there is a kind of which Kopf had not listed when we did: what was deleted in
        between, nobody tells. Kinds of which there is nothing cannot tell, and need not."""
        return any(
            item.nouns and self._heard.get(item.kind.plural, math.inf) >= self._looked
            for item in self.world.told_by_kopf()
        )

    async def _relist(self) -> None:
        """Compares with fresh lists: regularly; after a start until Kopf had listed before us; and
        after the API was away or a watch broke.

        Twice then: what is deleted between a list and the return of its watch, nobody tells.
        """
        recovered, soon = self.leadership.recovered, SECOND_LOOK
        while True:
            pause = min(soon, RELIST_EVERY) if self._is_unheard() else RELIST_EVERY
            soon *= 1.5
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await recovered.wait()
            again = recovered.is_set()
            recovered.clear()
            await self._until_done(self._compare)
            if again:
                await asyncio.sleep(SECOND_LOOK)
                await self._until_done(self._compare)

    async def _compare(self) -> None:
        self.keychain.forget()
        if await self._load_world():
            log.info("a fresh list brought what no watch had told")
            self.reconciler.poke()

    async def _ensure_secret(self) -> None:
        """Makes the key that speakers share, if it is not there."""
        name = self.settings.ml_secret_name
        if not name:
            return
        body = resources.Secret(
            api_version="v1",
            kind="Secret",
            metadata=resources.Metadata(name=name, labels={"app": "metallb"}),
            string_data={"secretkey": secrets.token_urlsafe(32)},
        )
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        try:
            await self.client.request("POST", path, body)
            log.info("made the Secret %s that speakers share", name)
        except ApiError as error:
            if not error.conflict:
                raise


async def main(settings: ControllerSettings) -> int:
    """Runs a controller until SIGTERM; the exit status."""
    collect_seldom()
    stop = asyncio.Event()
    common = settings.common
    async with Client(find_access()) as client:
        controller = Controller(client, settings)
        endpoints = Endpoints(lambda: controller.loaded, CONTROLLER)
        await endpoints.start(common.health_probe_port, common.port, "0.0.0.0")
        webhook = await _webhook(controller, client) if settings.webhook_port else None
        page = await open_page(client, settings, controller) if settings.ui_port else None
        try:
            return 0 if await controller.run(stop) else 1
        finally:
            if webhook is not None:
                await webhook.stop()
            if page is not None:
                await page.stop()
            await endpoints.stop()


async def _webhook(controller: Controller, client: Client) -> Webhook:
    """Serves admission, whether this controller leads or not."""
    settings = controller.settings
    admission = Admission(client, controller.world, controller.namespace, lambda: controller.loaded)
    webhook = Webhook(admission, settings.webhook_cert_dir)
    await webhook.start(settings.webhook_port)
    return webhook
