"""The announcers of one process, together: one that fails keeps no other from its work.

May live here: this node's share of the intents, handing it over, and telling those that follow what
the others own. May not: where intents come from (`speaker.py`, `standalone.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from bellmetal.addresses import IPAddress, IPNetwork, printable
from bellmetal.announcer import Announcer, Context, Desired, Lookout, Password, find, follows
from bellmetal.facts import Facts, Finding, Owned, Proved, SessionFacts
from bellmetal.intents import Announcement
from bellmetal.reconciler import Reconciler
from bellmetal.sights import Look, Sight
from bellmetal.slices import SliceContents

log = logging.getLogger(__name__)

FIRST = "layer2"  # was there before all others
RETRY_FIRST, RETRY_LAST = 0.5, 30.0  # seconds between two tries; doubles in between
FOLLOW_EVERY = 0.1  # seconds between two times that followers are told what is owned


class Share:
    """A node's share of the intents; what all announcers are given alike is looked for once."""

    def __init__(
        self, contents: SliceContents, node: str, passwords: Mapping[str, Password]
    ) -> None:
        self._node, self._sets = node, contents.node_sets
        self._announcements = contents.announcements
        self._ours = {name for name, item in self._sets.items() if node in item.nodes}
        self.routes = tuple([item for item in contents.routes if item.node_set in self._ours])
        peers = {item.name: item for item in contents.peers if item.node_set in self._ours}
        self.peers = tuple(peers.values())  # one of each name
        self._passwords = {name: passwords[name] for name in peers if name in passwords}
        self._named = {item.node_set for item in self.routes}
        self._named |= {item.node_set for item in self.peers}
        self._mine = tuple(filter(self._is_ours, self._announcements.values()))

    def _is_ours(self, item: Announcement) -> bool:
        """Whether the node owns it or may own it."""
        return item.owner == self._node or item.node_set in self._ours

    def desired(self, owned: Callable[[], Iterable[IPAddress]] = tuple) -> Desired:
        """What the node owns or may own, what it has to hand over (of what it has ``owned``), its
        routes and peers."""
        announcements = self._mine
        if len(announcements) < len(self._announcements):
            kept = [self._announcements[a] for a in owned() if a in self._announcements]
            announcements += tuple(item for item in kept if not self._is_ours(item))
        names = {item.node_set for item in announcements} | self._named
        named = {name: item for name, item in self._sets.items() if name in names}
        return Desired(announcements, named, self.routes, self.peers, self._passwords)


def _concerns(protocol: str, desired: Desired) -> bool:
    """Whether there is something to do for a protocol; of a stranger's nobody knows."""
    if protocol == "layer2":
        return bool(desired.announcements)
    return protocol != "bgp" or bool(desired.peers)


def _all_owned(facts: list[Facts]) -> Mapping[IPAddress, Owned]:
    """What several announcers own; of one alone it is not copied, as it may be long."""
    found = [one.owned for one in facts if one.owned]
    if len(found) < 2:
        return found[0] if found else {}
    return {address: item for one in found for address, item in one.items()}


def _united(
    sent: list[Mapping[IPNetwork, frozenset[str]]],
) -> Mapping[IPNetwork, frozenset[str]]:
    """What several announcers have sent; of one alone it is not copied, as it may be long."""
    if len(sent) < 2:
        return sent[0] if sent else {}
    found: dict[IPNetwork, frozenset[str]] = {}
    for one in sent:
        for prefix, peers in one.items():
            found[prefix] = found.get(prefix, frozenset()) | peers
    return found


@dataclass(slots=True)
class _Mate:
    """An announcer of the crew. ``faults``: what failed → why, as it was said."""

    it: Announcer
    started: bool
    faults: dict[str, str]
    facts: Facts

    @property
    def follows(self) -> bool:
        return follows(self.it)


class Crew:
    """``again(seconds)`` asks for another `apply` after a while: what failed is tried again.

    ``lazy``: nobody is started before there is something of its protocol to do.
    """

    def __init__(self, again: Callable[[float], None], lazy: bool = False) -> None:
        self._mates: list[_Mate] = []
        self._again, self._lazy, self._failures = again, lazy, 0
        self._mine = Desired()
        self._turn = asyncio.Lock()  # nobody is given two shares at a time
        self._news = Reconciler(self._tell_followers, FOLLOW_EVERY)
        self._following: asyncio.Task[None] | None = None

    def add(self, announcer: Announcer) -> None:
        """One more; before `start`."""
        self._mates.append(_Mate(announcer, False, {}, Facts()))

    def recruit(self, context: Callable[[str, int], Context]) -> None:
        """Every announcer that is installed; ``context`` is given its name and its number among
        the members' messages, which must not change with what else is installed."""
        found = find()
        names = sorted(found, key=lambda name: (name != FIRST, name))
        followed = any(follows(kind) for kind in found.values())
        for number, name in enumerate(names, start=0 if FIRST in found else 1):
            given = context(name, number)
            if followed and not follows(found[name]):
                given = replace(given, changed=partial(self._changed, given.changed))
            self.add(found[name](given))

    async def start(self) -> None:
        """Starts all; raises the first one's failure if none could be started."""
        if self._followers():
            self._following = asyncio.create_task(self._news.run())
        if self._lazy:
            return
        first: Exception | None = None
        for mate in self._mates:
            first = await self._start(mate) or first
        if first is not None and not any(mate.started for mate in self._mates):
            raise first

    async def _start(self, mate: _Mate) -> Exception | None:
        failed = await self._try(mate, "start", mate.it.start)
        mate.started = failed is None
        return failed

    async def apply(
        self, contents: SliceContents, node: str, passwords: Mapping[str, Password]
    ) -> Desired:
        """Gives each its share; the share of routes and peers, which is the same for all."""
        failed = False
        share = Share(contents, node, passwords)
        async with self._turn:
            for mate in [*self._leaders(), *self._followers()]:
                await asyncio.sleep(0)
                self._mine = share.desired(partial(self._owned_by, mate))
                await asyncio.sleep(0)  # thousands of addresses take time: the LAN comes first
                if not mate.started and self._lazy and not _concerns(mate.it.protocol, self._mine):
                    continue
                failed |= not await self._give(mate)
        self._retry(failed)
        return self._mine

    async def _give(self, mate: _Mate) -> bool:
        """Hands one its share, and starts it before if need be; whether that went well."""
        if not mate.started and await self._start(mate) is not None:
            return False
        mine = replace(self._mine, owned=self.owned()) if mate.follows else self._mine
        return await self._try(mate, "apply", partial(mate.it.apply, mine)) is None

    def _retry(self, failed: bool) -> None:
        if not failed:
            self._failures = 0
            return
        self._again(min(RETRY_LAST, RETRY_FIRST * 2.0 ** min(self._failures, 10)))
        self._failures += 1

    async def close(self, gracefully: bool) -> None:
        """Ends all at the same time, each in its own way and pace; then those that follow them."""
        await self._close(self._leaders(), gracefully)
        if self._following is not None:
            self._following.cancel()
        async with self._turn:
            await self._close(self._followers(), gracefully)

    async def _close(self, mates: list[_Mate], gracefully: bool) -> None:
        started = [mate for mate in mates if mate.started]
        await asyncio.gather(
            *(self._try(mate, "close", partial(mate.it.close, gracefully)) for mate in started)
        )

    # --- those that follow what the others own ---------------------------------------------------

    def _leaders(self) -> list[_Mate]:
        return [mate for mate in self._mates if not mate.follows]

    def _followers(self) -> list[_Mate]:
        return [mate for mate in self._mates if mate.follows]

    def _changed(self, tell: Callable[[], None]) -> None:
        tell()
        self._news.poke()

    async def _tell_followers(self) -> None:
        """Gives them what is owned now, with the share as it is. The others are left alone: they
        know it, and have more urgent things to do when it changes."""
        async with self._turn:
            given = [await self._give(mate) for mate in self._followers() if mate.started]
        if not all(given):
            self._retry(failed=True)

    def owned(self) -> Mapping[IPAddress, Owned]:
        """What this node answers for, by those that decide it."""
        return _all_owned([self._status(mate) for mate in self._leaders()])

    def _owned_by(self, mate: _Mate) -> Iterable[IPAddress]:
        """What one answers for, or those that it follows."""
        return self.owned() if mate.follows else self._status(mate).owned

    # --- what they see ---------------------------------------------------------------------------

    def statuses(self) -> list[Facts]:
        """What each observes; of one that cannot say, what it said last."""
        return [self._status(mate) for mate in self._mates]

    def facts(self) -> Facts:
        """All of it together, and what failed."""
        facts = self.statuses()
        return Facts(
            owned=_all_owned([mate.facts for mate in self._leaders()]),
            claims=tuple(claim for one in facts for claim in one.claims),
            interfaces=tuple(item for one in facts for item in one.interfaces),
            findings=(*(item for one in facts for item in one.findings), *self.findings()),
            doubts=tuple(item for one in facts for item in one.doubts),
            proved=Proved(
                sum(one.proved.asked for one in facts), sum(one.proved.seen for one in facts)
            ),
            sessions=tuple(item for one in facts for item in one.sessions),
            sent=_united([one.sent for one in facts if one.sent]),
            unheard=tuple(sorted({name for one in facts for name in one.unheard})),
        )

    async def look(self, look: Look) -> Sight | None:
        """The answer of the first announcer whose look it is; None if it is nobody's."""
        for mate in self._mates:
            if mate.started and isinstance(mate.it, Lookout):
                found = await mate.it.look(look)
                if found is not None:
                    return found
        return None

    def sessions(self) -> list[SessionFacts]:
        """The BGP sessions as they are at this moment."""
        return [item for one in self.statuses() for item in one.sessions]

    def findings(self) -> tuple[Finding, ...]:
        """What failed and was not mended since."""
        return tuple(
            Finding("announcerFailed", f"announcer {mate.it.name}: {what} failed: {why}")
            for mate in self._mates
            for what, why in mate.faults.items()
        )

    def _status(self, mate: _Mate) -> Facts:
        try:
            mate.facts = mate.it.status()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            self._failed(mate, "status", error)
        else:
            self._succeeded(mate, "status")
        return mate.facts

    # --- failures --------------------------------------------------------------------------------

    async def _try(
        self, mate: _Mate, what: str, do: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        try:
            await do()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            self._failed(mate, what, error)
            return error
        self._succeeded(mate, what)
        return None

    def _failed(self, mate: _Mate, what: str, error: Exception) -> None:
        why = printable(f"{error}" or type(error).__name__)
        if mate.faults.get(what) != why:
            traceback = not isinstance(error, OSError) and log.isEnabledFor(logging.DEBUG)
            extra = {"op": what, "event": "announcerFailed"}
            said = "announcer %s: %s failed, the others go on: %s"
            log.error(said, mate.it.name, what, why, extra=extra, exc_info=traceback)
        mate.faults[what] = why

    def _succeeded(self, mate: _Mate, what: str) -> None:
        if mate.faults.pop(what, None) is not None:
            log.info("announcer %s: %s succeeds again", mate.it.name, what, extra={"op": what})
