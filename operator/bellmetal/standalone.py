"""The speaker without Kubernetes: a file of intents → announcers; sessions → lines of log.

For tests, and for a person who debugs a router. No gossip, no reports, no events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import Callable, Sized
from dataclasses import replace
from pathlib import Path

from bellmetal.addresses import printable
from bellmetal.announcer import Context
from bellmetal.crew import Crew
from bellmetal.excluded import read_exclude_file
from bellmetal.facts import BFDState, Facts, SessionState
from bellmetal.health import Endpoints
from bellmetal.intentsfile import IntentsError, doubts, intents_of, read_intents
from bellmetal.keyring import Keys
from bellmetal.members import Alone
from bellmetal.passwords import Passwords
from bellmetal.reconciler import Reconciler
from bellmetal.session_metrics import SessionCollector
from bellmetal.session_news import compare, compare_bfd, key_of, name_of
from bellmetal.settings import SpeakerSettings
from bellmetal.slices import SliceContents
from bellmetal.speaker_metrics import SPEAKER, Counts, tally

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at the file
TELL_EVERY = 0.1  # seconds between two looks at the sessions


class IntentsFile:
    """The file, read again when it changes. ``contents`` is the last that could be used."""

    def __init__(self, path: Path, node: str) -> None:
        self.path, self._node = path, node
        self.contents = read_intents(path, node)  # raises IntentsError
        self._warn()
        self.reread = asyncio.Event()
        self._taken = self._seen = self._bytes()
        self._said = ""

    def _bytes(self) -> bytes | None:
        with contextlib.suppress(OSError):
            return self.path.read_bytes()
        return None

    async def run(self, changed: Callable[[], None]) -> None:
        """Looks again and again, and at once when ``reread`` is set."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self.reread.wait()
            asked = self.reread.is_set()
            self.reread.clear()
            if self.look(asked):
                changed()

    def look(self, asked: bool = False) -> bool:
        """One look; whether there is something new. What changes is believed when it is seen twice,
        as an editor may be half through, or if a person ``asked`` for it."""
        now = self._bytes()
        steady, self._seen = now == self._seen, now
        if not asked and (now == self._taken or not steady):
            return False
        self._taken = now
        try:
            if now is None:
                read_intents(self.path, self._node)  # raises with the reason, but for a race
                return False
            contents = intents_of(now, self.path, self._node)
        except IntentsError as error:
            self._refuse(error)
            return False
        self._said = ""
        news, self.contents = contents != self.contents, contents
        if news or asked:
            self._warn()
        return news or asked

    def _warn(self) -> None:
        """Of what does nothing, as it stands."""
        for doubt in doubts(self.contents):
            log.warning("%s: %s", self.path, doubt, extra={"op": "intents"})

    def _refuse(self, error: IntentsError) -> None:
        if str(error) != self._said:
            for line in str(error).splitlines():
                log.error(line, extra={"op": "intents"})
            log.error("%s is not in force: what it said before stays", self.path)
        self._said = str(error)


class Sightings:
    """What of the facts is told, one line for each thing that is new."""

    def __init__(self) -> None:
        self._before, self._sent = Facts(), dict[tuple[str, str, str], int]()

    def tell(self, facts: Facts) -> None:
        """Compares with what was told."""
        before, self._before = self._before, facts
        for item in compare(before.sessions, facts.sessions):
            level = logging.WARNING if item.warning else logging.INFO
            log.log(level, "%s (%s)", printable(item.sentence), item.reason)
        for one, sentence in compare_bfd(before.sessions, facts.sessions):
            up = one.bfd is not None and one.bfd.state is BFDState.UP
            log.log(logging.INFO if up else logging.WARNING, printable(sentence))
        self._tell_sent(facts)
        for address in facts.owned.keys() - before.owned.keys():
            log.info("%s: announced on layer 2", address)
        for address in before.owned.keys() - facts.owned.keys():
            log.info("%s: not announced on layer 2 any more", address)
        known = _said(before)
        for message in _said(facts):
            if message not in known:
                log.warning(printable(message))

    def _tell_sent(self, facts: Facts) -> None:
        """How many prefixes a peer has, once none is on its way any more."""
        for item in facts.sessions:
            key = key_of(item)
            if item.state is not SessionState.ESTABLISHED:
                self._sent.pop(key, None)
            elif not item.prefixes_pending and self._sent.get(key, 0) != item.prefixes_sent:
                log.info("%s: prefixes sent: %d", name_of(item), item.prefixes_sent)
                self._sent[key] = item.prefixes_sent


def _said(facts: Facts) -> list[str]:
    return [item.message for item in facts.findings] + [item.message for item in facts.doubts]


class Standalone:
    """One such process."""

    def __init__(self, settings: SpeakerSettings, file: IntentsFile) -> None:
        self.settings, self.file = settings, file
        self.passwords = Passwords(settings.bgp_password_dir)
        self.applying = Reconciler(self._apply)
        self.telling = Reconciler(self._tell, pause=TELL_EVERY)
        self.crew = Crew(self._again, lazy=True)
        self.applied = False
        self._sightings = Sightings()

    def _again(self, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, self.applying.poke)

    def context(self, name: str, number: int) -> Context:
        """What an announcer is given: nobody else is there."""
        wall_ms = time.time_ns() // 1_000_000  # noqa: TID251 - the one use of it, once a start
        return Context(
            node=self.settings.node_name,
            boot=wall_ms,
            keys=Keys,
            members=Alone(),
            clock=time.monotonic,
            random=random.Random(),
            count=Counts(),
            changed=self.telling.poke,
            exclude=read_exclude_file(self.settings.exclude_file),
            refresh=self.settings.gratuitous_arp_interval,
            tally=tally,
        )

    async def _apply(self) -> None:
        contents = self.file.contents
        known = self.passwords.known
        # who puts a password there wants it: the file need not say so again
        peers = tuple(replace(p, signed=p.signed or p.name in known) for p in contents.peers)
        contents = replace(contents, peers=peers)
        mine = await self.crew.apply(contents, self.settings.node_name, known)
        self.applied = True
        said = ", ".join((_some(mine.peers, "peer"), _some(mine.routes, "route")))
        said += f", {_some(mine.announcements, 'address', 'es')} on layer 2"
        log.info("%s: node %s has %s", self.file.path, self.settings.node_name, said)
        if _anything(contents) and not (mine.peers or mine.routes or mine.announcements):
            log.warning("no node set of the file has this node: is --node-name right?")

    async def _tell(self) -> None:
        self._sightings.tell(self.crew.facts())

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then withdraws."""
        await self.crew.start()
        self.applying.poke()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (
                    self.file.run(self.applying.poke),
                    self.passwords.run(self.applying.poke),
                    self.applying.run(),
                    self.telling.run(),
                )
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        log.info("ending")
        await self.crew.close(gracefully=True)
        await self._tell()


def _some(items: Sized, word: str, ending: str = "s") -> str:
    return f"{len(items)} {word}{ending if len(items) != 1 else ''}"


def _anything(contents: SliceContents) -> bool:
    return bool(contents.peers or contents.routes or contents.announcements)


async def main(settings: SpeakerSettings) -> int:
    """Announces what the file says until SIGTERM; 2: the file cannot be used."""
    assert settings.intents is not None
    try:
        file = IntentsFile(settings.intents, settings.node_name)
    except IntentsError as error:
        for line in str(error).splitlines():
            log.error(line, extra={"op": "intents"})
        return 2
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, file.reread.set)
    speaker = Standalone(settings, file)
    speaker.crew.recruit(speaker.context)
    SPEAKER.register(SessionCollector(speaker.crew.sessions))
    endpoints = Endpoints(lambda: speaker.applied, SPEAKER)
    await endpoints.start(settings.common.health_probe_port, settings.common.port, "127.0.0.1")
    try:
        await speaker.run(stop)
    finally:
        await endpoints.stop()
    return 0
