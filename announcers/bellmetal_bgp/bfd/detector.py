"""The speaker's end of BFD, on asyncio: wishes in, facts out, the process kept running.

The process is started with the first wish and ends with the last one; if it dies it is started
anew, and the facts say so. Nothing here keeps BFD's time: this loop may stand still.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bellmetal.addresses import IPAddress
from bellmetal.config import BFDProfile
from bellmetal.facts import BFDFacts, BFDState
from bellmetal_bgp.bfd import sockets
from bellmetal_bgp.bfd.packets import State, in_words
from bellmetal_bgp.bfd.session import Timers
from bellmetal_bgp.bfd.wishes import (
    Close,
    Forget,
    Order,
    Reach,
    Told,
    Want,
    WordError,
    decode_told,
    encode,
)

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]  # where the process finds this package
MODULE = "bellmetal_bgp.bfd.process"
MOST_PER_TURN = 64  # messages read before the loop gets its turn
FAREWELL = 1.5  # seconds for AdminDown to be told; the process itself takes one at most
KILL_AFTER = 2.0  # seconds after which a process that does not end is killed
FIRST_DELAY, LAST_DELAY = 0.1, 5.0  # seconds until a process that died is started anew
NO_ECHO = "echo mode: for IPv4 over one hop alone; the session goes on without"
STABLE = 30.0  # seconds after which a process has proved itself


@dataclass(frozen=True)
class Wish:
    """A session that is wanted. ``interface``: empty, or over which a single hop leads.

    A link-local ``remote`` needs it. ``local``: None leaves the choice to the kernel.
    """

    remote: IPAddress
    local: IPAddress | None
    interface: str
    multi_hop: bool
    vrf: str
    profile: BFDProfile

    @property
    def reach(self) -> Reach:
        """What tells it from other sessions on the wire; wishes that agree in it share one."""
        remote = str(self.remote).partition("%")[0]
        local = "" if self.local is None else str(self.local).partition("%")[0]
        interface = "" if self.multi_hop else self.interface
        return Reach(remote, local, interface, self.multi_hop, self.vrf)


@dataclass
class _Entry:
    """A session on the wire, and who wants it; the profile in force is the first one's by name."""

    want: Want
    keys: list[str]
    facts: BFDFacts
    remark: str = ""


@dataclass
class _Child:
    """The process: its end of the pair, and what could not be said to it yet."""

    process: subprocess.Popen[bytes]
    notes: sockets.Notes
    started: float
    closing: bool = False
    hung_up: float = 0.0
    unsaid: deque[bytes] = field(default_factory=deque)


def launch(theirs: sockets.Notes) -> subprocess.Popen[bytes]:
    """Starts the process with its end of the pair; raises OSError.

    Without site: that would import what the process has no use for.
    """
    return subprocess.Popen(
        [sys.executable, "-S", "-m", MODULE],
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


class Detector:
    """All BFD sessions of this node.

    ``on_change(key)`` is called on the event loop when a session's facts have news, counters
    excepted. ``clock`` is monotonic, in seconds: what ``since`` of the facts counts in.
    """

    def __init__(
        self,
        on_change: Callable[[str], None],
        clock: Callable[[], float],
        launch: Callable[[sockets.Notes], subprocess.Popen[bytes]] = launch,
    ) -> None:
        self._on_change, self._clock, self._launch = on_change, clock, launch
        self._entries: dict[int, _Entry] = {}
        self._keys: dict[str, int] = {}
        self._numbers: dict[Reach, int] = {}
        self._last_number = 0
        self._child: _Child | None = None
        self._delay = FIRST_DELAY
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # --- what the speaker wants -------------------------------------------------------------------

    def want(self, wishes: Mapping[str, Wish]) -> None:
        """Takes the whole truth; sessions that stay are changed without being lost."""
        wanted: dict[Reach, list[str]] = {}
        for key in sorted(wishes):
            wanted.setdefault(wishes[key].reach, []).append(key)
        for reach in [*self._numbers]:
            if reach not in wanted:
                number = self._numbers.pop(reach)
                del self._entries[number]
                self._say(Forget(number))
        self._keys.clear()
        for reach, keys in wanted.items():
            self._want(reach, keys, wishes[keys[0]].profile)
        if wanted and self._child is None and self._timer is None:
            self._start()
        elif not wanted:
            self._end()

    def _want(self, reach: Reach, keys: list[str], profile: BFDProfile) -> None:
        number = self._numbers.get(reach)
        if number is None:
            self._last_number += 1
            number = self._numbers[reach] = self._last_number
            facts = BFDFacts(BFDState.DOWN, self._clock(), multi_hop=reach.multi_hop)
            want = _order(number, reach, profile)
            self._entries[number] = _Entry(want, keys, facts)
            self._say(want)
        entry = self._entries[number]
        entry.keys = keys
        entry.remark = NO_ECHO if profile.echo_mode and not _may_echo(reach, profile) else ""
        want = _order(number, reach, profile)
        if want != entry.want:
            entry.want = want
            self._say(want)
        self._keys.update(dict.fromkeys(keys, number))

    def facts(self, key: str) -> BFDFacts | None:
        """What a session is like; None if it is not wanted."""
        number = self._keys.get(key)
        return None if number is None else self._entries[number].facts

    async def close(self, gracefully: bool) -> None:
        """Ends all; gracefully: peers are told AdminDown, which is no failure, before."""
        self._closed = True
        self._entries.clear()
        self._keys.clear()
        self._numbers.clear()
        if self._timer is not None:
            self._timer.cancel()
        child = self._child
        if child is None:
            return
        if gracefully:
            self._end()
            await self._until(lambda: self._child is not child, FAREWELL)
        self._hang_up(child)
        await self._until(lambda: child.process.poll() is not None, KILL_AFTER)
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait()

    async def _until(self, condition: Callable[[], bool], timeout: float) -> None:
        end = time.monotonic() + timeout
        while not condition() and time.monotonic() < end:
            await asyncio.sleep(0.005)

    # --- the process ------------------------------------------------------------------------------

    def _start(self) -> None:
        self._timer = None
        if self._closed or not self._entries:
            return
        ours, theirs = sockets.pair()
        try:
            process = self._launch(theirs)
        except OSError as error:
            ours.close()
            self._lost(f"the BFD process cannot be started: {error.strerror}")
            return
        finally:
            theirs.close()
        self._child = child = _Child(process, ours, time.monotonic())
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, child)
        for entry in self._entries.values():
            self._say(entry.want)

    def _say(self, order: Order) -> None:
        """What cannot be said now is said when there is room, in order."""
        child = self._child
        if child is None or child.closing:
            return  # a new process is told all that is wanted
        child.unsaid.append(encode(order))
        if len(child.unsaid) == 1:
            self._flush(child)

    def _flush(self, child: _Child) -> None:
        while child.unsaid and child.notes.send(child.unsaid[0]):
            child.unsaid.popleft()
        loop = asyncio.get_running_loop()
        if child.unsaid:
            loop.add_writer(child.notes.fileno(), self._flush, child)
        else:
            loop.remove_writer(child.notes.fileno())

    def _end(self) -> None:
        if self._child is not None and not self._child.closing:
            self._say(Close())
            self._child.closing = True

    def _hear(self, child: _Child) -> None:
        for _ in range(MOST_PER_TURN):
            data = child.notes.receive()
            if data is None:
                return
            if not data:
                self._hang_up(child)
                self._reap(child)
                return
            try:
                self._told(decode_told(data))
            except WordError as error:
                log.error("the BFD process said what is not understood: %s", error)

    def _hang_up(self, child: _Child) -> None:
        """Takes our end off the loop and closes it, once."""
        if self._child is not child:
            return
        self._child, child.hung_up = None, time.monotonic()
        loop = asyncio.get_running_loop()
        loop.remove_reader(child.notes.fileno())
        loop.remove_writer(child.notes.fileno())
        child.notes.close()

    def _reap(self, child: _Child) -> None:
        """Its end of the pair is closed: it has ended, or is about to."""
        status = child.process.poll()
        if status is None:
            if time.monotonic() > child.hung_up + KILL_AFTER:
                child.process.kill()
            asyncio.get_running_loop().call_later(0.005, self._reap, child)
            return
        if child.closing:
            self._delay = FIRST_DELAY
            self._start()  # if somebody wants one again
            return
        if time.monotonic() > child.started + STABLE:
            self._delay = FIRST_DELAY
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        self._lost(f"the BFD process has ended ({how})")

    def _lost(self, why: str) -> None:
        """No session lives now; the process is started anew, less and less often."""
        if self._closed or not self._entries:
            return
        log.error("%s; it is started anew in %g s", why, self._delay)
        for entry in self._entries.values():
            before = entry.facts
            since = before.since if before.state is BFDState.DOWN else self._clock()
            entry.facts = BFDFacts(
                BFDState.DOWN,
                since,
                multi_hop=before.multi_hop,
                message=f"{why}; it is started anew",
                counters=before.counters,
            )
            self._tell(entry)
        self._timer = asyncio.get_running_loop().call_later(self._delay, self._start)
        self._delay = min(2 * self._delay, LAST_DELAY)

    # --- what the process says --------------------------------------------------------------------

    def _told(self, told: Told) -> None:
        entry = self._entries.get(told.number)
        if entry is None:
            return  # it is wanted no more
        before = entry.facts
        entry.facts = BFDFacts(
            BFDState[State(told.state).name],
            self._clock() - (time.monotonic() - told.since),
            in_words(told.diagnostic),
            in_words(told.remote_diagnostic),
            told.transmit_us,
            told.detect_us,
            told.multiplier,
            entry.want.reach.multi_hop,
            told.message or entry.remark,
            told.counters,
            BFDState[State(told.remote_state).name],
        )
        if _news(before, entry.facts):
            self._tell(entry)

    def _tell(self, entry: _Entry) -> None:
        for key in entry.keys:
            self._on_change(key)


def _news(before: BFDFacts, after: BFDFacts) -> bool:
    """Whether there is more to tell than counters; a loss in between is told by its counter."""
    ups, downs = "session_up_events", "session_down_events"
    return (
        (before.state, before.remote_state, before.message, before.diagnostic)
        != (after.state, after.remote_state, after.message, after.diagnostic)
        or (before.transmit_us, before.detect_us) != (after.transmit_us, after.detect_us)
        or before.counters.get(ups) != after.counters.get(ups)
        or before.counters.get(downs) != after.counters.get(downs)
    )


def _may_echo(reach: Reach, profile: BFDProfile) -> bool:
    """Over one hop (RFC 5883, section 3), and over IPv4, as MetalLB has it."""
    return profile.echo_mode and not reach.multi_hop and ":" not in reach.remote


def _order(number: int, reach: Reach, profile: BFDProfile) -> Want:
    return Want(
        number,
        reach,
        Timers(
            transmit_us=profile.transmit_interval_ms * 1000,
            receive_us=profile.receive_interval_ms * 1000,
            detect_mult=profile.detect_multiplier,
            passive=profile.passive_mode,
            echo_us=profile.echo_interval_ms * 1000 if _may_echo(reach, profile) else 0,
        ),
        profile.minimum_ttl,
    )
