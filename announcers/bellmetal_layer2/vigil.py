"""Whether somebody else has an address that we answer for (RFC 5227, RFC 4862). A sans-IO machine.

A new address is probed while it is answered for already (rule 8): a foreign answer ends it. Later
on a foreign claim is reported and defended against, never obeyed: whoever joins a LAN must not be
able to take an address from those who use it. Either way the LAN is then asked now and then
whether the foreign device is still there.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.facts import Doubt, DoubtKind, Interface
from bellmetal_layer2.kin import Kin
from bellmetal_layer2.probes import (
    Allow,
    Ask,
    Defend,
    Forbid,
    Tallied,
    Told,
    VigilEffect,
    ask_if_held,
)
from bellmetal_layer2.proxies import PAUSE, ROUNDS, Proxies, Verdict
from bellmetal_layer2.testimony import Unheard, Word

PROBES = 3
PROBE_EVERY = 0.1  # seconds: three in 200 ms, and as long again for the last answer
CHECK = ROUNDS * PAUSE + 0.05  # seconds until it is known whether somebody is a proxy
AGAIN = 10.0  # seconds between two questions to a foreign device that was there
ONCE_MORE = 1.0  # … and after one that was not answered
GONE = 3  # questions without an answer, after which it is gone
DEFEND_EVERY = 10.0  # seconds; RFC 5227, DEFEND_INTERVAL
PACE = 0.001  # seconds between two questions: 5,000 new addresses must not flood the LAN
MOST_PER_TURN = 20
MOST_MACS = 4  # that are named


class Stage(enum.Enum):
    """What is going on with an address."""

    PROBING = "probing"
    CHECKING = "checking"  # somebody answered: is it a proxy, which answers for anything?
    HELD = "held"
    CONTESTED = "contested"


@dataclass(slots=True)
class Case:
    """One address that is looked into; ``asked``: questions without an answer so far."""

    address: IPAddress
    due: float
    stage: Stage = Stage.PROBING
    asked: int = 0
    suspect: tuple[str, bytes] = ("", b"")
    fresh: bool = True  # a foreign answer ends it
    macs: dict[bytes, None] = field(default_factory=dict)
    defended_at: float = float("-inf")


class Vigil:
    """Of node ``me``; `Machine` of VigilEffect, told Words about its addresses."""

    def __init__(self, me: str, kin: Kin, proxies: Proxies) -> None:
        self._me, self._kin, self._proxies = me, kin, proxies
        self._interfaces: Mapping[str, Interface] = {}
        self._owned: dict[IPAddress, frozenset[str]] = {}  # or would be, without the foreigner
        self._cases: dict[IPAddress, Case] = {}
        self._cut_short: set[IPAddress] = set()  # probing that a pause of our loop ended
        self._due: list[tuple[float, int, IPAddress]] = []
        self._free_at = 0.0
        self._number = 0

    # --- commands --------------------------------------------------------------------------------

    def interfaces(self, present: Mapping[str, Interface]) -> None:
        """The usable interfaces."""
        self._interfaces = present

    def own(self, address: IPAddress, names: frozenset[str], fresh: bool, now: float) -> None:
        """It is answered for, on these interfaces; ``fresh``: by nobody of the cluster before."""
        self._owned[address] = names
        if fresh or address in self._cut_short:
            self._cut_short.discard(address)
            self._cases[address] = case = Case(address, now)
            self._schedule(case, now)

    def mistrust(
        self, address: IPAddress, names: frozenset[str], doubt: Doubt, mac: bytes, now: float
    ) -> list[VigilEffect]:
        """It would be ours now, but a foreign device was seen to have it: begin with that."""
        self._owned[address] = names
        case = Case(address, now, suspect=(doubt.interface, mac), macs={mac: None})
        self._cases[address] = case
        return self._convict(case, now)

    def disown(self, address: IPAddress, paused: bool = False) -> None:
        """It is not answered for any more; ``paused``: our claim stays, so it may be again."""
        case = self._cases.get(address)
        if case is not None and case.stage is Stage.HELD and paused:
            return
        self._owned.pop(address, None)
        self._cases.pop(address, None)
        self._cut_short.discard(address)
        if paused and case is not None and case.fresh and case.stage is not Stage.CONTESTED:
            self._cut_short.add(address)

    @property
    def doubts(self) -> list[Doubt]:
        """The addresses that somebody else has, too."""
        return [
            Doubt(
                case.address,
                DoubtKind.HELD if case.stage is Stage.HELD else DoubtKind.CONTESTED,
                case.suspect[0],
                self._me,
                tuple(mac.hex(":") for mac in case.macs),
            )
            for case in self._cases.values()
            if case.stage in (Stage.HELD, Stage.CONTESTED)
        ]

    # --- the machine -----------------------------------------------------------------------------

    def concerns(self, address: IPAddress) -> bool:
        """Whether a word about it is for this machine."""
        return address in self._owned or address in self._cases

    def receive(self, data: Word, now: float) -> list[VigilEffect]:
        """Somebody who is no member says that it has one of our addresses, or wants it."""
        case = self._cases.get(data.address)
        stage = case.stage if case else None
        if data.wish and stage not in (Stage.PROBING, Stage.HELD):
            return [Tallied("ignored", Unheard.NO_CLAIM.value)]  # it is told that we are here
        if case is None:
            case = Case(data.address, now, fresh=False)
            self._cases[data.address] = case
        if stage in (None, Stage.PROBING):
            self._check(case, data, now)
            return []
        if stage is Stage.CHECKING:
            return []
        return self._still_there(case, data, now)

    def _check(self, case: Case, word: Word, now: float) -> None:
        case.stage, case.suspect = Stage.CHECKING, (word.interface, word.mac)
        self._proxies.judge(case.suspect, case.address, now)
        self._schedule(case, now + CHECK)

    def _still_there(self, case: Case, word: Word, now: float) -> list[VigilEffect]:
        if len(case.macs) < MOST_MACS:
            case.macs[word.mac] = None
        if case.asked:
            case.asked = 0
            self._schedule(case, now + AGAIN)
        if case.stage is Stage.CONTESTED and now - case.defended_at >= DEFEND_EVERY:
            case.defended_at = now
            return [Defend(word.interface, word.address)]
        return []

    def tick(self, now: float) -> list[VigilEffect]:
        """Questions that are due, a few at a time."""
        effects: list[VigilEffect] = []
        for _ in range(MOST_PER_TURN):
            if not self._due or max(self._due[0][0], self._free_at) > now:
                break
            due, _, address = heapq.heappop(self._due)
            case = self._cases.get(address)
            if case is not None and case.due == due:
                effects += self._step(case, now)
                self._free_at = max(self._free_at, now - MOST_PER_TURN * PACE) + PACE
        return effects

    def deadline(self) -> float | None:
        """When the next question is due."""
        return max(self._due[0][0], self._free_at) if self._due else None

    def _schedule(self, case: Case, due: float) -> None:
        self._number += 1
        case.due = due
        heapq.heappush(self._due, (due, self._number, case.address))

    # --- one step of one case --------------------------------------------------------------------

    def _step(self, case: Case, now: float) -> list[VigilEffect]:
        if case.stage is Stage.CHECKING:
            return self._judge(case, now)
        if case.stage is Stage.PROBING:
            if case.asked == PROBES:
                del self._cases[case.address]
                return []
            return self._ask(case, now + PROBE_EVERY)
        if case.asked == GONE or all(self._kin.name_of(mac) for mac in case.macs):
            return self._gone(case)
        return self._ask(case, now + ONCE_MORE)

    def _ask(self, case: Case, due: float) -> list[VigilEffect]:
        case.asked += 1
        self._schedule(case, due)
        chosen = self._owned.get(case.address, frozenset())
        names = sorted(self._interfaces.keys() & chosen if chosen else self._interfaces)
        asks: list[Ask] = [ask_if_held(case.address, self._interfaces[name]) for name in names]
        return [*asks]

    def _judge(self, case: Case, now: float) -> list[VigilEffect]:
        """Who answered is a proxy, or a foreign device, or turned out to be a node."""
        verdict = self._proxies.verdict(case.suspect, now)
        member = self._kin.name_of(case.suspect[1])
        if verdict is Verdict.PROXY or member:
            if case.fresh:  # somebody else may hold it all the same
                case.stage, case.asked = Stage.PROBING, 0
                self._schedule(case, now)
            else:
                del self._cases[case.address]
            return []
        if verdict is Verdict.OPEN:  # too many are being checked
            self._proxies.judge(case.suspect, case.address, now)
            self._schedule(case, now + CHECK)
            return []
        case.macs[case.suspect[1]] = None
        return self._convict(case, now)

    def _convict(self, case: Case, now: float) -> list[VigilEffect]:
        """A foreign device has it."""
        case.stage = Stage.HELD if case.fresh else Stage.CONTESTED
        case.asked = 0
        self._schedule(case, now + AGAIN)
        (doubt,) = [item for item in self.doubts if item.address == case.address]
        told = Told(doubt.kind.value, doubt.message, warning=True)
        if case.fresh:
            return [told, Forbid(case.address)]
        case.defended_at = now
        return [told, Defend(case.suspect[0], case.address)]

    def _gone(self, case: Case) -> list[VigilEffect]:
        address = case.address
        del self._cases[address]
        who = " and ".join(mac.hex(":") for mac in case.macs)
        told = Told("foreignGone", f"{address} is held by {who} no more")
        return [told, Allow(address)] if case.stage is Stage.HELD else [told]
