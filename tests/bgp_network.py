"""A network of two BGP sessions with a fake clock: connections that cut, delay and break.

What a session says is checked as it is said, and what arrives at the other end is read as a router
reads it.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bellmetal.facts import SessionState, SessionTrouble
from bellmetal.intents import PeerPlan
from bellmetal_bgp.effects import Changed, Close, Connect, Effect, Failure, Place, Send
from bellmetal_bgp.session import Session
from bgp_sessions import Learned, Path

REFUSED = Failure(SessionTrouble.REFUSED, "nobody listens there")
MOST_TURNS = 10_000  # at one moment


@dataclass
class Network:
    """Time, and what happens in it; ``latest``: seconds that bytes may take at most."""

    dice: random.Random
    latest: float = 0.05
    now: float = 1000.0
    _queue: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    sides: list[Side] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def at(self, when: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._numbers), work))

    def delay(self) -> float:
        return self.dice.uniform(0, self.latest)

    def pieces(self, data: bytes) -> list[bytes]:
        """Cut anywhere."""
        cuts = sorted(self.dice.choices(range(len(data) + 1), k=self.dice.randrange(4)))
        return [data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)]) if a < b]

    def run(self, seconds: float) -> None:
        """All that happens in this time, in its order."""
        end, turns = self.now + seconds, 0
        while True:
            due = [(when, side) for side in self.sides if (when := side.due()) is not None]
            timer, side = min(due, key=lambda item: item[0], default=(end + 1, None))
            first = self._queue[0][0] if self._queue else end + 1
            when = min(timer, first)
            if when > end:
                self.now = end
                return
            turns = turns + 1 if when <= self.now else 0
            assert turns < MOST_TURNS, "time stands still"
            self.now = max(self.now, when)
            if first <= timer:
                heapq.heappop(self._queue)[2]()
            elif side is not None:
                side.do(side.it.tick(self.now))

    def join(self, plans: tuple[PeerPlan, PeerPlan], places: tuple[Place, Place]) -> None:
        one, other = (Side(self, plan, place) for plan, place in zip(plans, places, strict=True))
        one.other, other.other = other, one
        self.sides = [one, other]

    def break_all(self) -> None:
        """Every connection is reset."""
        for link in self.links:
            for side in self.sides:
                link.arrive(side, lambda link=link, side=side: link.reset(side))  # type: ignore[misc]
        self.links.clear()

    @property
    def up(self) -> bool:
        return all(side.it.state is SessionState.ESTABLISHED for side in self.sides)


class Link:
    """One TCP connection. ``numbers``: what each side calls it."""

    def __init__(self, network: Network, caller: Side, number: int) -> None:
        self.network, self.numbers = network, {caller: number}
        self.open: set[Side] = set()
        self._clock: dict[Side, float] = {}
        self._early: dict[Side, list[bytes]] = {}

    def arrive(self, at: Side, work: Callable[[], None]) -> None:
        """Later, and not before what was sent before."""
        when = max(self._clock.get(at, 0.0), self.network.now + self.network.delay())
        self._clock[at] = when
        self.network.at(when, lambda: at.when_awake(work))

    def send(self, by: Side, data: bytes) -> None:
        for piece in self.network.pieces(data):
            self.arrive(by.other, lambda piece=piece: self._deliver(by.other, piece))  # type: ignore[misc]

    def _deliver(self, at: Side, piece: bytes) -> None:
        if at in self.open:
            at.hear(self.numbers[at], piece)

    def close(self, by: Side) -> None:
        if by in self.open:
            self.open.discard(by)
            self.arrive(by.other, lambda: self.reset(by.other))

    def reset(self, at: Side) -> None:
        if at in self.open:
            self.open.discard(at)
            at.lose(self.numbers[at])


class Side:
    """A session with its edge. ``listens``: takes calls."""

    other: Side

    def __init__(self, network: Network, plan: PeerPlan, place: Place) -> None:
        self.network, self.place = network, place
        self.it = Session(plan, network.now, network.dice)
        self.listens, self.reachable = True, True
        self.links: dict[int, Link] = {}
        self.attempts: dict[int, object] = {}
        self.learned: dict[int, Learned] = {}  # from the other side, by connection
        self.telling: dict[int, Telling] = {}
        self.asleep_until = 0.0
        self.news = 0

    # --- time ------------------------------------------------------------------------------------

    def due(self) -> float | None:
        due = self.it.deadline()
        return None if due is None else max(due, self.asleep_until)

    def when_awake(self, work: Callable[[], None]) -> None:
        if self.network.now >= self.asleep_until:
            work()
        else:
            self.network.at(self.asleep_until, lambda: self.when_awake(work))

    # --- what it wants ---------------------------------------------------------------------------

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Connect(number):
                    self._dial(number)
                case Send(number, data):
                    self.telling[number].say(data)
                    self.links[number].send(self, data)
                case Close(number):
                    self.attempts.pop(number, None)
                    if number in self.links:
                        self.links.pop(number).close(self)
                case Changed():
                    self.news += 1
        facts = self.it.facts("the other")
        up = facts.state is SessionState.ESTABLISHED
        assert (facts.trouble is None) == (facts.message == "") == up, facts
        assert facts.prefixes_pending >= 0

    def _dial(self, number: int) -> None:
        assert number not in self.links, "one connection of that number at a time"
        ticket = self.attempts[number] = object()
        self.network.at(self.network.now + self.network.delay(), lambda: self._ring(number, ticket))

    def _ring(self, number: int, ticket: object) -> None:
        if self.attempts.get(number) is not ticket:
            return
        if not (self.other.listens and self.reachable):
            del self.attempts[number]
            self.do(self.it.failed(number, REFUSED, self.network.now))
            return
        link = Link(self.network, self, number)
        link.arrive(self, lambda: self._connected(number, ticket, link))
        link.arrive(self.other, lambda: self.other.called(link))

    def _connected(self, number: int, ticket: object, link: Link) -> None:
        if self.attempts.get(number) is not ticket:
            link.arrive(self.other, lambda: link.reset(self.other))
            return
        del self.attempts[number]
        self._adopt(number, link)
        self.do(self.it.connected(number, self.place, self.network.now))

    def called(self, link: Link) -> None:
        number, effects = self.it.incoming(self.place, self.network.now)
        if Close(number) in effects:
            link.arrive(self.other, lambda: link.reset(self.other))
            self.do([effect for effect in effects if effect != Close(number)])
            return
        link.numbers[self] = number
        self._adopt(number, link)
        self.do(effects)

    def _adopt(self, number: int, link: Link) -> None:
        self.links[number] = link
        link.open.add(self)
        self.network.links.append(link)
        self.learned[number] = Learned()
        self.telling[number] = Telling()

    # --- what happens to it ----------------------------------------------------------------------

    def hear(self, number: int, data: bytes) -> None:
        self.learned[number].feed(data)
        self.do(self.it.receive((number, data), self.network.now))

    def lose(self, number: int) -> None:
        self.links.pop(number, None)
        self.do(self.it.lost(number, "reset", self.network.now))

    @property
    def number(self) -> int | None:
        """Of the only connection; None: there are none, or two."""
        return next(iter(self.links)) if len(self.links) == 1 else None


class Telling:
    """What one connection is told, as it is told: nothing twice, withdrawals first."""

    def __init__(self) -> None:
        self.learned = Learned()
        self.again = False  # a refresh was asked for: all may be told once more

    def say(self, data: bytes) -> None:
        before: dict[tuple[tuple[int, int], bytes], Path] = dict(self.learned.routes)
        announced: set[tuple[tuple[int, int], bytes]] = set()
        for said in self.learned.feed(data):
            for family, gone in said.withdrawn.items():
                late = gone and any(key[0] == family for key in announced)
                assert not late, "withdrawals come first"
                for nlri in gone:
                    assert (family, nlri) in before, "withdrawn, and it was never there"
                    del before[family, nlri]
            for family, there in said.announced.items():
                for nlri in there:
                    key = family, nlri
                    assert self.again or key not in announced, "twice in one flush"
                    announced.add(key)
                    if not self.again:
                        assert before.get(key) != said.path, "nothing has changed of it"
