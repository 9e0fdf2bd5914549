"""The speaker: slices → this node's share → announcers; facts → reports. No decision on policy.

It works without the API: slices and claims are kept in a file, and who lives is judged on the LAN.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from bellmetal import metrics, resources
from bellmetal.addresses import IPAddress, parse_address
from bellmetal.announcer import Announcer, Context, Desired, Members, find
from bellmetal.api import Access, ApiError, Client, find_access
from bellmetal.events import Events
from bellmetal.facts import Claim, ClaimOrder, Facts, Finding, Proved
from bellmetal.follow import SLICES, Follower
from bellmetal.health import Endpoints
from bellmetal.intents import SliceContents, SliceReader
from bellmetal.keyring import Ring
from bellmetal.members import Alone, Gossip
from bellmetal.reconciler import Reconciler
from bellmetal.reports import Identity, Reports, reported_claims
from bellmetal.secretfile import SecretWatch, read_secrets
from bellmetal.settings import SettingsError, SpeakerSettings
from bellmetal.statefile import StateFile
from bellmetal.states import Program, States

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
        self.events = Events(client, COMPONENT, settings.node_name)
        self.file = (
            StateFile(settings.state_dir, settings.node_name, cluster)
            if settings.state_dir
            else None
        )
        wall_ms = time.time_ns() // 1_000_000  # noqa: TID251 - the one use of it, once a start
        self.boot = self.file.next_boot(wall_ms) if self.file else wall_ms
        self.secret = self._watch_secret()
        self.contents, self._reader = SliceContents(), SliceReader()
        self.announcers: list[Announcer] = []
        self.informed = asyncio.Event()  # slices were read, from the API or the file
        self.applying = Reconciler(self._apply)
        self.reporting = Reconciler(self._report, pause=REPORT_EVERY)
        self._faults: frozenset[str] = frozenset()
        program = Program(settings.node_name, common.pod_name, common.pod_uid)
        self.states = States(client, common.namespace, program)
        self.slices = Follower(client, SLICES, common.namespace, self._slices_changed)
        identity = Identity(settings.node_name, self.boot, settings.ml_bind_addr)
        self.reports = Reports(client, common.namespace, identity, self.events, self.reporting.poke)

    # --- announcers ------------------------------------------------------------------------------

    def make_announcers(self) -> None:
        """Every announcer that is installed."""
        state = self.file.read() if self.file else None
        remembered = tuple(self._remembered(state.claims)) if state else ()
        for number, (name, announcer) in enumerate(sorted(find().items())):
            members: Members = self.gossip.channel(number) if self.gossip else Alone()
            context = Context(
                node=self.settings.node_name,
                boot=self.boot,
                keys=partial(self.ring.keys, f"{name}/beacon"),
                members=members,
                clock=time.monotonic,
                random=random.Random(),
                count=Counts(),
                changed=self.reporting.poke,
                exclude=read_exclude_file(self.settings.exclude_file),
                remembered=remembered,
                refresh=self.settings.gratuitous_arp_interval,
                tally=_tally,
            )
            self.announcers.append(announcer(context))

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

    async def _apply(self) -> None:
        contents = self._reader.read(self.slices.collection.nouns.values())
        await asyncio.sleep(0)  # thousands of addresses take their time: the LAN comes first
        for fault in contents.faults:
            if fault not in self._faults:
                log.error(fault, extra={"op": "slices", "event": "invalidSlice"})
        self._faults = frozenset(contents.faults)
        await self.states.publish(contents.faults)
        # an unknown set means: keep the last
        sets = {**self.contents.node_sets, **contents.node_sets}
        self.contents = SliceContents(contents.announcements, sets, contents.faults)
        if self.gossip is not None:
            self.gossip.seed({n: ip for item in sets.values() for n, ip in item.nodes.items()})
        for announcer in self.announcers:
            share = self._share(announcer)
            await asyncio.sleep(0)
            await announcer.apply(share)
        self.reporting.poke()

    def _share(self, announcer: Announcer) -> Desired:
        """What this node owns or may own, and what it has to hand over."""
        me, owned = self.settings.node_name, announcer.status().owned
        sets = self.contents.node_sets
        share = tuple(
            item
            for item in self.contents.announcements.values()
            if item.owner == me
            or item.address in owned
            or (item.node_set in sets and me in sets[item.node_set].nodes)
        )
        names = {item.node_set for item in share}
        return Desired(share, {name: item for name, item in sets.items() if name in names})

    # --- facts out -------------------------------------------------------------------------------

    async def _report(self) -> None:
        facts = [announcer.status() for announcer in self.announcers]
        await asyncio.sleep(0)
        if self.file and self.informed.is_set():
            slices = sorted(self.slices.collection.nouns.values(), key=lambda item: item.key)
            await asyncio.to_thread(self.file.write, slices, reported_claims(facts))
        merged = Facts(
            owned={address: item for one in facts for address, item in one.owned.items()},
            claims=tuple(claim for one in facts for claim in one.claims),
            interfaces=tuple(item for one in facts for item in one.interfaces),
            findings=tuple(item for one in facts for item in one.findings) + self._findings(),
            doubts=tuple(item for one in facts for item in one.doubts),
            proved=Proved(
                sum(one.proved.asked for one in facts), sum(one.proved.seen for one in facts)
            ),
        )
        await self.reports.publish(merged, self.contents.announcements)

    def _findings(self) -> tuple[Finding, ...]:
        return self.secret.findings() if self.secret else ()

    # --- running ---------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then hands over."""
        for announcer in self.announcers:
            await announcer.start()
        async with asyncio.TaskGroup() as group:
            events = group.create_task(self.events.run())
            tasks = [
                group.create_task(work)
                for work in (
                    self.slices.run(),
                    self.reports.statuses.run(),
                    self.states.run(),
                    self._follow_secret(),
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
        for announcer in self.announcers:
            await announcer.close(gracefully=True)
        with contextlib.suppress(TimeoutError, ApiError):
            async with asyncio.timeout(DRAIN):
                await self._report()
                await self.events.drain()


class Counts:
    """Counts on the wire, as Prometheus shows them (`announcer.Count`)."""

    def __init__(self) -> None:
        self._tallies = {
            "requests_received": metrics.REQUESTS_RECEIVED,
            "responses_sent": metrics.RESPONSES_SENT,
            "gratuitous_sent": metrics.GRATUITOUS_SENT,
        }

    def __call__(self, name: str, address: IPAddress, by: int = 1) -> None:
        """So many more of it."""
        self._tallies[name].add(address, by)


def _tally(what: str, kind: str) -> None:
    """Counts what is of no address (`announcer.Context.tally`)."""
    if what == "ignored":
        metrics.IGNORED.labels(kind).inc()
    elif what == "proofs":
        metrics.PROOFS.labels(kind).inc()
        if kind == "seen":
            metrics.PROOF_TIME.set_to_current_time()


def read_exclude_file(path: Path) -> re.Pattern[str] | None:
    """Interfaces to leave alone (MetalLB's excludel2.yaml); raises SettingsError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    import yaml  # only where there is such a file

    try:
        body = yaml.safe_load(text) or {}
        patterns = body["announcedInterfacesToExclude"] or []
        if not isinstance(patterns, list):
            raise TypeError(patterns)
        for pattern in patterns:
            re.compile(pattern)
        return re.compile("|".join(f"({item})" for item in patterns)) if patterns else None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        message = "wants a list announcedInterfacesToExclude of regular expressions"
        raise SettingsError(f"{path}: {message}") from error
    except re.error as error:
        raise SettingsError(f'{path}: "{error.pattern!s}": {error.msg}') from error


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
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    common, access = settings.common, find_access()
    ring = Ring(read_secrets(settings.ml_secret_key_path), time.monotonic())
    async with Client(access) as client, _gossip(settings, ring) as gossip:
        speaker = Speaker(client, settings, gossip, ring, _cluster_of(access))
        speaker.make_announcers()
        endpoints = Endpoints(speaker.informed.is_set)
        await endpoints.start(common.health_probe_port, common.port, "127.0.0.1")
        try:
            await speaker.run(stop)
        finally:
            await endpoints.stop()
    return 0
