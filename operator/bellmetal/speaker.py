"""The speaker: slices → this node's share → announcers; facts → reports. No decision on policy.

It works without the API: slices and claims are kept in a file, and who lives is judged on the LAN.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

from bellmetal import resources
from bellmetal.addresses import parse_address
from bellmetal.announcer import Context, Desired, Members
from bellmetal.api import Access, ApiError, Client, find_access
from bellmetal.bgp_reports import BGPReports
from bellmetal.crew import Crew
from bellmetal.events import Events, timestamp
from bellmetal.excluded import read_exclude_file
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.follow import LOOKS, SLICES, Follower
from bellmetal.health import Endpoints
from bellmetal.keyring import Ring
from bellmetal.looking import Looker
from bellmetal.members import Alone, Gossip
from bellmetal.metrics import CONFIG_LOADED, CONFIG_STALE, errors_counted
from bellmetal.node_files import NodeFiles
from bellmetal.passwords import Passwords
from bellmetal.reconciler import Reconciler
from bellmetal.reports import Identity, Reports, reported_claims
from bellmetal.secretfile import SecretWatch, read_secrets
from bellmetal.session_metrics import SessionCollector
from bellmetal.settings import SpeakerSettings
from bellmetal.sight_reports import asked, looks_status, node_status
from bellmetal.slices import PackedSlice, SliceContents, SliceReader
from bellmetal.speaker_metrics import SPEAKER, Counts, MembersCollector, find, tally
from bellmetal.statefile import StateFile
from bellmetal.states import Program, States
from bellmetal.surroundings import Surroundings
from bellmetal.turns import by_turns, collect_seldom

log = logging.getLogger(__name__)

COMPONENT = "metallb-speaker"
FILE_AFTER = 2.0  # seconds without the API, after which the file is used
REPORT_EVERY = 1.0  # seconds between two reports
DRAIN = 1.0


class Speaker:
    """One speaker process, once it has a client and members."""

    def __init__(
        self,
        client: Client,
        settings: SpeakerSettings,
        gossip: Gossip | None,
        ring: Ring,
        cluster: str,
    ) -> None:
        common = settings.common
        self.settings, self.client, self.gossip, self.ring = settings, client, gossip, ring
        self.events = Events(client, COMPONENT, settings.node_name, slowly=True)
        self.file = (
            StateFile(settings.state_dir, settings.node_name, cluster)
            if settings.state_dir
            else None
        )
        wall_ms = time.time_ns() // 1_000_000  # noqa: TID251 - the one use of it, once a start
        self.boot = self.file.next_boot(wall_ms) if self.file else wall_ms
        self._claims: tuple[Claim, ...] = ()
        self.secret = self._watch_secret()
        self.contents, self._reader = SliceContents(), SliceReader()
        self.crew, self.mine = Crew(self._again), Desired()
        self.passwords = Passwords(settings.bgp_password_dir)
        self.informed = asyncio.Event()  # slices were read, from the API or the file
        self.applying = Reconciler(self._apply_counted)
        self.reporting = Reconciler(self._report_counted, pause=REPORT_EVERY)
        self._faults: frozenset[str] = frozenset()
        self.counts = Counts()
        program = Program(settings.node_name, common.pod_name, common.pod_uid)
        self.states = States(client, common.namespace, program)
        self.slices = Follower(
            client, SLICES, common.namespace, self._slices_changed, convert=PackedSlice.of
        )
        self._see(NodeFiles(exclude=read_exclude_file(settings.exclude_file)))
        identity = Identity(settings.node_name, self.boot, settings.ml_bind_addr)
        self.reports = Reports(client, common.namespace, identity, self.events)
        self.bgp_reports = BGPReports(
            client, common.namespace, settings.node_name, self.events, self._report_later
        )

    def _see(self, files: NodeFiles) -> None:
        """What it sees of its node, and looks that are asked of it."""
        changed, own = self.reporting.poke, self.settings.node_name
        self.surroundings = Surroundings(files, lambda: self.crew.facts().unheard, changed)
        self.looker = Looker(self.crew.look, files, timestamp, changed)
        self.asked = Follower(
            *(self.client, LOOKS, self.settings.common.namespace, self._asked),
            fields=f"metadata.name={own}",
            convert=asked,
        )

    def _asked(self) -> None:
        key = f"{self.settings.common.namespace}/{self.settings.node_name}"
        self.looker.ask(self.asked.collection.nouns.get(key, ()))

    # --- announcers ------------------------------------------------------------------------------

    def make_announcers(self) -> None:
        """Every announcer that is installed."""
        state = self.file.read() if self.file else None
        self._claims = tuple(self._remembered(state.claims)) if state else ()
        self.crew.recruit(self._context)

    def _context(self, name: str, number: int) -> Context:
        members: Members = self.gossip.channel(number) if self.gossip else Alone()
        return Context(
            node=self.settings.node_name,
            boot=self.boot,
            keys=partial(self.ring.keys, f"{name}/beacon"),
            members=members,
            clock=time.monotonic,
            random=random.Random(),
            count=self.counts,
            changed=self.reporting.poke,
            exclude=read_exclude_file(self.settings.exclude_file),
            remembered=self._claims,
            refresh=self.settings.gratuitous_arp_interval,
            tally=tally,
        )

    def _again(self, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, self.applying.poke)

    def _report_later(self, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, self.reporting.poke)

    def _remembered(self, claims: list[resources.ReportedClaim]) -> list[Claim]:
        return [
            Claim(
                parse_address(item.address),
                self.settings.node_name,
                ClaimOrder(item.term, item.firm, item.epoch),
            )
            for item in claims
        ]

    # --- the shared secret -----------------------------------------------------------------------

    def _watch_secret(self) -> SecretWatch | None:
        directory = self.settings.ml_secret_key_path
        if directory is None:
            return None  # to have one from now on needs a restart
        told = self.gossip.told_keys if self.gossip else dict
        return SecretWatch(directory, self.ring, time.monotonic, told)

    async def _follow_secret(self) -> None:
        if self.secret is not None:
            await self.secret.run(self._rotate, self.reporting.poke)

    async def _rotate(self) -> None:
        if self.gossip is not None:
            await self.gossip.rotate(time.monotonic())

    # --- slices in -------------------------------------------------------------------------------

    def _slices_changed(self) -> None:
        self.informed.set()
        self.applying.poke()

    def _passwords_changed(self) -> None:
        if self.informed.is_set():  # before that nothing is known, which is not: nothing is wanted
            self.applying.poke()

    async def use_file_if_needed(self) -> None:
        """Works from the file if the API says nothing for a while after the start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FILE_AFTER):
                await self.informed.wait()
        state = self.file.read() if self.file and not self.informed.is_set() else None
        if state is not None and state.slices:
            log.warning("the API does not answer: working from the file", extra={"op": "state"})
            self.slices.collection.take_all(state.slices)
            self._slices_changed()

    async def _apply_counted(self) -> None:
        with errors_counted():
            await self._apply()

    async def _apply(self) -> None:
        slices = [*self.slices.collection.nouns.values()]
        news = [piece for piece in slices if not self._reader.knows(piece)]
        async for piece in by_turns(news, 1):  # thousands of addresses: the LAN comes first
            self._reader.know(piece)
        contents = self._reader.read(slices)
        await asyncio.sleep(0)
        for fault in contents.faults:
            if fault not in self._faults:
                log.error(fault, extra={"op": "slices", "event": "invalidSlice"})
        self._faults = frozenset(contents.faults)
        CONFIG_LOADED.set(1)
        CONFIG_STALE.set(1 if contents.faults else 0)
        await self.states.publish(contents.faults)
        # an unknown set means: keep the last
        sets = {**self.contents.node_sets, **contents.node_sets}
        self.contents = replace(contents, node_sets=sets)
        if self.gossip is not None:
            self.gossip.seed({n: ip for item in sets.values() for n, ip in item.nodes.items()})
        self.looker.permit(contents.announcements, tuple(contents.routes))
        node, known = self.settings.node_name, self.passwords.known
        self.mine = await self.crew.apply(self.contents, node, known)
        self.counts.keep(contents.announcements)
        self.reporting.poke()

    # --- facts out -------------------------------------------------------------------------------

    async def _report_counted(self) -> None:
        with errors_counted():
            await self._report()

    async def _report(self) -> None:
        facts = self.crew.facts()
        await asyncio.sleep(0)
        if self.file and self.informed.is_set():
            slices = sorted(self.slices.collection.nouns.values(), key=lambda item: item.key)
            await asyncio.to_thread(self.file.write, slices, reported_claims([facts]))
        secret = self.secret.findings() if self.secret else ()
        signed = [peer.name for peer in self.mine.peers if peer.signed]
        more = (*secret, *self.passwords.findings(signed))
        facts = replace(facts, findings=(*facts.findings, *more))
        find(facts.findings)
        # first what waits for nobody: the API may say no to the next
        await self.bgp_reports.publish(facts, self.mine.routes, time.monotonic())
        self.surroundings.interfaces(facts.interfaces)
        await self.reports.publish(facts, self.contents.announcements, self._sights())

    def _sights(self) -> dict[str, Any]:
        node = self.surroundings.sights
        seen: dict[str, Any] = {"looks": looks_status(self.looker.answers)}
        return seen if node is None else seen | {"node": node_status(node)}

    # --- running ---------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then hands over."""
        await self.crew.start()
        async with asyncio.TaskGroup() as group:
            events = group.create_task(self.events.run())
            tasks = [
                group.create_task(work)
                for work in (
                    self.slices.run(),
                    self.reports.statuses.run(),
                    self.bgp_reports.run(),
                    self.states.run(),
                    self._follow_secret(),
                    self.surroundings.run(),
                    self.asked.run(),
                    self.looker.run(),
                    self.passwords.run(self._passwords_changed),
                    self.use_file_if_needed(),
                    self.applying.run(),
                    self.reporting.run(),
                )
            ]
            await stop.wait()
            for task in tasks:  # the last report must not meet one that is under way
                task.cancel()
            await asyncio.wait(tasks)
            await self._say_goodbye()
            events.cancel()

    async def _say_goodbye(self) -> None:
        """Hands over, then reports that nothing is owned any more, as far as the API answers."""
        await self.crew.close(gracefully=True)
        self.mine = Desired()
        with contextlib.suppress(TimeoutError, ApiError):
            async with asyncio.timeout(DRAIN):
                await self._report()
                await self.bgp_reports.sessions.write()
                await self.reports.statuses.write()
                await self.events.drain()
                await self.bgp_reports.services.write()


@contextlib.asynccontextmanager
async def _gossip(settings: SpeakerSettings, ring: Ring) -> AsyncIterator[Gossip | None]:
    if not settings.ml_bind_addr:
        log.warning("no --ml-bindaddr: this speaker works alone, without gossip")
        yield None
        return
    if settings.ml_secret_key_path is None:
        log.warning("no --ml-secret-key-path: gossip and beacons are not authenticated")
    async with Gossip(
        settings.node_name, settings.ml_bind_addr, settings.ml_bind_port, ring
    ) as gossip:
        yield gossip


def _cluster_of(access: Access) -> str:
    """Tells clusters apart: a state file of another one must not be used."""
    return hashlib.blake2b(access.ca_data or access.server.encode(), digest_size=8).hexdigest()


async def main(settings: SpeakerSettings) -> int:
    """Runs a speaker until SIGTERM; the exit status."""
    collect_seldom()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    common, access = settings.common, find_access()
    ring = Ring(read_secrets(settings.ml_secret_key_path), time.monotonic())
    async with Client(access) as client, _gossip(settings, ring) as gossip:
        speaker = Speaker(client, settings, gossip, ring, _cluster_of(access))
        speaker.make_announcers()
        SPEAKER.register(SessionCollector(speaker.crew.sessions))
        if gossip is not None:
            SPEAKER.register(MembersCollector(gossip.states))
        endpoints = Endpoints(speaker.informed.is_set, SPEAKER)
        await endpoints.start(common.health_probe_port, common.port, "127.0.0.1")
        try:
            await speaker.run(stop)
        finally:
            await endpoints.stop()
    return 0
