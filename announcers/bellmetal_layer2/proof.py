"""Whether the LAN sees the addresses that other nodes own: asked as anybody there. Sans-IO.

One node asks for an address that another one owns, once a minute, and compares who answers with
where the owner's beacons come from. Three misses make a doubt; one answer ends it. Nothing is
judged while it is unclear who owns the address: that is ownership's to say, here it is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from bellmetal.addresses import IPAddress
from bellmetal.facts import Doubt, DoubtKind, Interface, Proved
from bellmetal.intents import rank
from bellmetal_layer2.kin import Kin
from bellmetal_layer2.probes import Tallied, Told, VigilEffect, ask_who
from bellmetal_layer2.proxies import Proxies, Verdict
from bellmetal_layer2.testimony import Word

EVERY = 60.0  # seconds between two questions for one address
RATE = 10  # questions a second
SHORTEST, LONGEST = 0.1, 1.0  # seconds between two turns of the loop: longest with thousands
MOST_LOOKS = 500  # addresses that are looked at in one turn, some microseconds each
CALM = 3.0  # seconds after a change of owner in which nothing is judged
SPREAD = 2.0  # seconds over which questions that begin together are spread
ANSWER = 0.5  # seconds that an answer may take
ONCE_MORE = 1.0  # seconds until the next question after a miss
MISSES = 3
MOST_ANSWERS = 16  # to one question, that are kept
DOUBTFUL = 10.0  # seconds between two questions for an address in doubt
LATER = 10.0  # seconds until it is looked again whose turn it is to ask; of many later
MANY = 500  # addresses: for each so many it is a second later
Answers: TypeAlias = Mapping[bytes, str]  # mac → interface
NO_ANSWERS: Answers = MappingProxyType({})
Queue: TypeAlias = list[tuple[float, int, IPAddress]]  # when it is due, a number, what


@dataclass(slots=True)
class Look:
    """What is known of one address; ``kind`` and ``misses``: of the bad answers in a row."""

    address: IPAddress
    due: float
    chosen: frozenset[str] = frozenset()  # interfaces; none: all
    owner: str = ""
    fresh: bool = True  # not asked for yet, and calm since it is known
    waiting: bool = False
    answers: Answers = field(default_factory=lambda: NO_ANSWERS)  # to the last question
    asked_on: tuple[str, ...] = ()
    kind: DoubtKind | None = None
    misses: int = 0
    seen: bool = False
    doubt: Doubt | None = None
    mac: bytes = b""  # of the doubt


class Proof:
    """`Machine` of VigilEffect. ``owner_of(address)``: who owns it, if we are to ask; or nothing.

    ``kin`` knows who is a node, ``proxies`` who answers for anything.
    """

    def __init__(
        self, me: str, kin: Kin, proxies: Proxies, owner_of: Callable[[IPAddress], str]
    ) -> None:
        self._me, self._kin, self._proxies, self._owner_of = me, kin, proxies, owner_of
        self._interfaces: Mapping[str, Interface] = {}
        self._looks: dict[IPAddress, Look] = {}
        self._due, self._urgent = Queue(), Queue()
        self._free_at = 0.0
        self._number = 0

    # --- commands --------------------------------------------------------------------------------

    def interfaces(self, present: Mapping[str, Interface]) -> None:
        """The usable interfaces."""
        self._interfaces = present

    def want(self, names: Mapping[IPAddress, frozenset[str]], now: float) -> None:
        """More addresses that we may have to ask for, and on which interfaces (none named: all)."""
        for address, chosen in names.items():
            look = self._looks.get(address)
            if look is None:
                self._looks[address] = look = Look(address, now)
                self._schedule(look, now + CALM + SPREAD * self._share(address))
            look.chosen = chosen

    def forget(self, address: IPAddress) -> None:
        """An address that we have not to ask for any more."""
        self._looks.pop(address, None)

    def unsettle(self, now: float) -> None:
        """We have not listened: what was asked is forgotten, and nothing judged for a while."""
        for look in self._looks.values():
            look.owner = ""
            look.misses = 0
            if look.waiting:
                look.waiting = False
                self._schedule(look, now + CALM)

    @property
    def doubts(self) -> list[Doubt]:
        """The addresses that the LAN does not see as it should."""
        return [look.doubt for look in self._looks.values() if look.doubt is not None]

    @property
    def proved(self) -> Proved:
        """Of how many something is known, and how many are seen."""
        known = [look for look in self._looks.values() if look.seen or look.doubt is not None]
        return Proved(len(known), sum(look.seen for look in known))

    def foreign(self, address: IPAddress) -> tuple[Doubt, bytes] | None:
        """The foreign device that was seen to have an address instead of its owner, if any."""
        look = self._looks.get(address)
        if look is None or look.doubt is None or look.doubt.kind is not DoubtKind.FOREIGN:
            return None
        return (look.doubt, look.mac) if not look.seen else None

    # --- the machine -----------------------------------------------------------------------------

    def concerns(self, address: IPAddress) -> bool:
        """Whether an answer for it is waited for."""
        look = self._looks.get(address)
        return look is not None and look.waiting

    def receive(self, data: Word, now: float) -> list[VigilEffect]:
        """Somebody answered, member or not."""
        look = self._looks.get(data.address)
        if look is None or not look.waiting or data.wish or data.mac in look.answers:
            return []
        if len(look.answers) < MOST_ANSWERS:
            look.answers = {**look.answers, data.mac: data.interface}
        return []

    def tick(self, now: float) -> list[VigilEffect]:
        """Judges what was asked, asks what is due. Thousands are looked at together."""
        if now < self._free_at:
            return []
        effects, asked, most = list[VigilEffect](), 0, round(self._rest * RATE)
        for _ in range(MOST_LOOKS):
            look = self._next(now) if asked < most else None
            if look is None:
                break
            if look.waiting:
                effects += self._judge(look, now)
                look.answers = NO_ANSWERS  # thousands are kept
            else:
                effects += self._ask(look, now)
                asked += look.waiting
            self._free_at = now + self._rest
        return effects

    def deadline(self) -> float | None:
        """When the next question or judgement is due."""
        dues = [queue[0][0] for queue in (self._urgent, self._due) if queue]
        return max(min(dues), self._free_at) if dues else None

    @property
    def _rest(self) -> float:
        """Seconds between two turns."""
        return min(LONGEST, max(SHORTEST, len(self._looks) / 1000))

    def _next(self, now: float) -> Look | None:
        """What is due: first what was asked, or missed an answer, so that it waits for no other."""
        for queue in (self._urgent, self._due):
            while queue and queue[0][0] <= now:
                due, _, address = heapq.heappop(queue)
                look = self._looks.get(address)
                if look is not None and look.due == due:
                    return look
        return None

    def _schedule(self, look: Look, due: float, urgent: bool = False) -> None:
        self._number += 1
        look.due = due
        queue = self._urgent if urgent else self._due
        heapq.heappush(queue, (due, self._number, look.address))

    @property
    def _later(self) -> float:
        return LATER + len(self._looks) / MANY

    def _share(self, address: IPAddress) -> float:
        """0 to 1, always the same of one address."""
        return rank(address, self._me) / 2**64

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, look: Look, now: float) -> list[VigilEffect]:
        owner, fresh, look.fresh = self._owner_of(look.address), look.fresh, False
        if owner != look.owner:
            look.owner, look.seen, look.misses = owner, False, 0
            if not (owner and fresh):
                self._schedule(look, now + (CALM if owner else self._later))
                return self._clear(look)
        on = self._where(look, now) if owner else []
        asks = [a for n in on if (a := ask_who(look.address, self._interfaces[n])) is not None]
        if not asks:
            look.seen, look.misses = False, 0
            self._schedule(look, now + self._later)
            return self._clear(look)
        look.waiting, look.answers = True, NO_ANSWERS
        look.asked_on = tuple(item.interface for item in asks)
        self._schedule(look, now + ANSWER, urgent=True)
        return [*asks]

    def _where(self, look: Look, now: float) -> list[str]:
        """The interfaces on which the owner is heard, of those that the address is announced on."""
        present = self._interfaces
        names = sorted(present.keys() & look.chosen if look.chosen else present)
        return [name for name in names if self._kin.macs(look.owner, name, now)]

    def _clear(self, look: Look) -> list[VigilEffect]:
        """There is no doubt any more."""
        before, look.doubt, look.kind = look.doubt, None, None
        return [Told("doubtGone", f"no doubt any more: {before.message}")] if before else []

    # --- judging ---------------------------------------------------------------------------------

    def _judge(self, look: Look, now: float) -> list[VigilEffect]:
        look.waiting = False
        if self._owner_of(look.address) != look.owner:
            self._schedule(look, now)
            return []
        if self._unclear(look, now):
            self._schedule(look, now + ONCE_MORE, urgent=True)
            return []
        kind, macs = self._verdict(look, now)
        look.seen = any(look.answers.get(m) for m in self._expected(look, now))
        tally = Tallied("proofs", kind.value if kind else "seen")
        if kind is None:
            look.misses = 0
            spread = EVERY * (0.95 + 0.1 * self._share(look.address))
            self._schedule(look, now + spread)
            return [*self._clear(look), tally]
        look.misses = look.misses + 1 if kind is look.kind else 1
        look.kind = kind
        if look.misses < MISSES:
            self._schedule(look, now + ONCE_MORE, urgent=True)
            return [tally]
        self._schedule(look, now + DOUBTFUL)
        return [tally, *self._doubt(look, kind, macs)]

    def _expected(self, look: Look, now: float) -> frozenset[bytes]:
        known = (self._kin.macs(look.owner, name, now) for name in look.asked_on)
        return frozenset(mac for macs in known for mac in macs)

    def _verdict(self, look: Look, now: float) -> tuple[DoubtKind | None, list[bytes]]:
        expected = self._expected(look, now)
        others = [mac for mac in look.answers if mac not in expected]
        foreign = [mac for mac in others if self._honest(look, mac, now)]
        if foreign:
            return DoubtKind.FOREIGN, foreign
        names = {mac: self._kin.name_of(mac) for mac in others}
        members = [mac for mac, name in names.items() if name not in ("", look.owner)]
        if members:
            return DoubtKind.OTHER_NODE, members
        seen = look.answers.keys() & expected or look.owner in names.values()
        return (None, []) if seen else (DoubtKind.UNSEEN, [])

    def _honest(self, look: Look, mac: bytes, now: float) -> bool:
        """Whether it is a foreign device, which answers for what it has alone."""
        key = look.answers[mac], mac
        known = not self._kin.name_of(mac) and self._proxies.judge(key, look.address, now)
        return known is Verdict.HONEST

    def _unclear(self, look: Look, now: float) -> bool:
        """Whether somebody answered of whom that is not known yet."""
        return any(
            not self._kin.name_of(mac)
            and self._proxies.judge((where, mac), look.address, now) is Verdict.OPEN
            for mac, where in look.answers.items()
        )

    def _doubt(self, look: Look, kind: DoubtKind, macs: list[bytes]) -> list[VigilEffect]:
        where = look.answers[macs[0]] if macs else ", ".join(look.asked_on)
        who = tuple(self._named(mac) for mac in macs)
        doubt = Doubt(look.address, kind, where, look.owner, who)
        before, look.doubt = look.doubt, doubt
        look.mac = macs[0] if macs else b""
        if doubt == before:
            return []
        return [Told(kind.value, doubt.message, warning=True)]

    def _named(self, mac: bytes) -> str:
        name = self._kin.name_of(mac)
        return f"{name} ({mac.hex(':')})" if name else mac.hex(":")
