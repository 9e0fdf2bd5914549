"""One other node: when it was heard, what gossip says of it, what it claims, whether it lives.

Life is judged by place: a node that is heard on one LAN may be silent on another.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import Beacon, ClaimNews
from bellmetal_layer2.claims import ClaimSet
from bellmetal_layer2.places import ANYWHERE, Place

MISSED = 3  # beacons that may be missing
GRACE = 0.05  # seconds that one may be late
ASK_EVERY = 0.3  # seconds between two questions to a node whose claims are not known
TELLING = 0.05  # seconds without another claim, after which no more of them come
TELLS = 1.0  # seconds in which thousands of claims are told
SHORTEST = 0.02  # seconds between beacons, below which none is believed
PATIENCE = 5.0  # seconds after a start before a node that was never seen counts as dead
GOSSIPLESS = 2.0  # seconds of silence that are death where gossip knows nothing of the node
MOST_OF_ONE = 32_768  # claims of one node that are kept: one that lies leaves room for others


class Life(enum.Enum):
    """How a node is judged (rule 2)."""

    ALIVE = "alive"
    SILENT = "silent"  # it lives elsewhere, not heard on this LAN: split, or its loop hangs
    DEAD = "dead"
    UNSEEN = "unseen"  # not seen since our own start, and that is too short to tell


@dataclass(slots=True, eq=False)
class Peer:
    """One other node, as its beacons and gossip show it."""

    name: str
    boot: int = 0
    counter: int = 0
    heard: dict[str, float] = field(default_factory=dict)  # interface → when it was heard there
    counters: dict[str, int] = field(default_factory=dict)  # interface → the last beacon there
    told_at: float | None = None  # on a LAN or by gossip
    silence_after: float = 0.35
    settled: bool = False
    left: bool = False
    apart: bool = False  # it says that it cannot be heard
    gossip: Liveness = Liveness.UNKNOWN
    told: ClaimSet = field(default_factory=ClaimSet)
    quiet: set[IPAddress] = field(default_factory=set)  # what it claims and does not answer for
    crowded: bool = False  # it claims more than there is room for
    digest: int = 0  # of all its claims, as it says
    asked_at: float = float("-inf")
    telling_at: float = float("-inf")  # when it told claims last
    unknown_since: float | None = None  # when some of its claims began to be not known here
    lives: dict[Place, Life] = field(default_factory=dict)
    since: dict[Place, float] = field(default_factory=dict)  # when that was judged first
    # A dump of all its claims while its parts come in. What was told before holds until it is
    # whole: else every dump would, for a moment, look like a release of thousands of addresses.
    _dump: ClaimSet | None = None

    @property
    def claims(self) -> dict[IPAddress, ClaimOrder]:
        """What it claims, as far as it was told here."""
        return self.told.orders

    @property
    def known(self) -> bool:
        """Whether all its claims are known here."""
        return self.told.digest == self.digest

    def told_since(self, moment: float) -> bool:
        """Whether it said something since then, and is still here or just about to go."""
        here = self.life() is Life.ALIVE or self.left
        return here and self.told_at is not None and self.told_at > moment

    # --- hearing it ------------------------------------------------------------------------------

    def fresh(self, beacon: Beacon) -> bool:
        """Whether a beacon is newer than all before; an old or repeated one is not."""
        return (beacon.boot, beacon.counter) > (self.boot, self.counter)

    def latest(self, beacon: Beacon, on: str) -> bool:
        """Whether it is the newest one, which comes once on each LAN that both are on."""
        first = self.counters.get(on) != beacon.counter
        return bool(on) and first and (beacon.boot, beacon.counter) == (self.boot, self.counter)

    def hear(self, beacon: Beacon, now: float, on: str, room: int = MOST_OF_ONE) -> set[IPAddress]:
        """Takes in a beacon; the addresses on which its word may have changed.

        ``on``: the interface that it came in on; empty: by gossip. ``room``: how many claims are
        kept at most; what is beyond is not known, as if it had not been heard.
        """
        if on:
            self.heard[on], self.counters[on] = now, beacon.counter
            self.silence_after = MISSED * max(beacon.interval, SHORTEST) + GRACE
        if not self.fresh(beacon):
            return set()
        touched = {news.address for news in beacon.claims}
        flags = (beacon.boot, beacon.settled, beacon.leaving)
        if flags != (self.boot, self.settled, self.left):
            touched |= self.claims.keys()
        if beacon.boot != self.boot:  # another process: it knows nothing of those claims
            self.told, self._dump = ClaimSet(), None
            self.quiet.clear()
        self.boot, self.counter, self.told_at = beacon.boot, beacon.counter, now
        self.settled, self.left, self.apart = beacon.settled, beacon.leaving, beacon.apart
        if beacon.claims:
            self.telling_at = now
        touched |= self._learn(beacon, room)
        self.unknown_since = None if self.known else self.unknown_since or now
        return touched

    def to_ask(self, now: float) -> bool:
        """Whether to ask for its claims: some are not known, and no more of them seem to come."""
        if self.unknown_since is None or now - self.asked_at <= ASK_EVERY:
            return False
        return now - self.telling_at > TELLING or now - self.unknown_since > TELLS

    def _learn(self, beacon: Beacon, room: int) -> set[IPAddress]:
        if beacon.reset:
            self._dump = ClaimSet()
        self.digest = beacon.digest
        for news in beacon.claims:
            self._put(self.told, news, room)
            kept = news.quiet and news.address in self.told.orders
            (self.quiet.add if kept else self.quiet.discard)(news.address)
            if self._dump is not None:
                self._put(self._dump, news, room)
        if self._dump is None or self._dump.digest != beacon.digest:
            return set()
        before, self.told, self._dump = self.told, self._dump, None
        return before.orders.keys() - self.claims.keys()

    def _put(self, told: ClaimSet, news: ClaimNews, room: int) -> None:
        if news.order and news.address not in told.orders and len(told.orders) >= room:
            self.crowded = True
        else:
            told.put(news.address, news.order)

    def excuse(self, now: float) -> None:
        """It was we who did not listen: its silence counts from now."""
        for place, life in self.lives.items():
            if life is Life.ALIVE:
                for name in place or [*self.heard]:
                    if name in self.heard:
                        self.heard[name] = max(self.heard[name], now - GRACE)

    # --- judging it ------------------------------------------------------------------------------

    def life(self, place: Place = ANYWHERE) -> Life:
        """How it was judged last."""
        return self.lives.get(place, Life.UNSEEN)

    @property
    def described(self) -> str:
        """How it was judged last, for people."""
        life = self.life()
        parts = [life.value]
        for place, there in sorted(self.lives.items(), key=lambda item: sorted(item[0])):
            if there is not life:
                parts.append(f"{there.value} on {', '.join(sorted(place))}")
        return ", ".join(parts)

    def heard_at(self, place: Place = ANYWHERE) -> float | None:
        """When it was last heard there."""
        times = [at for name, at in self.heard.items() if not place or name in place]
        return max(times, default=None)

    def silent_at(self, place: Place = ANYWHERE) -> float:
        """When it will have been silent for too long."""
        heard_at = self.heard_at(place)
        return float("inf") if heard_at is None else heard_at + self.silence_after

    @property
    def next_silence(self) -> float:
        """When it will be silent somewhere where it lives."""
        living = (place for place, life in self.lives.items() if life is Life.ALIVE)
        return min(map(self.silent_at, living), default=float("inf"))

    def judge(self, place: Place, now: float, listened: float, others_heard: bool) -> Life:
        """Whether it lives there; ``listened``: for how many seconds this node could hear it."""
        if self.left:
            return Life.DEAD
        elsewhere = bool(place) and now < self.silent_at() < float("inf")
        heard_at = self.heard_at(place)
        if heard_at is None:
            return self._judge_unheard(listened, others_heard, elsewhere)
        if now < self.silent_at(place):
            return Life.ALIVE
        if elsewhere:
            return Life.SILENT
        if self.gossip in (Liveness.DEAD, Liveness.LEFT):
            return Life.DEAD
        if self.gossip is Liveness.UNKNOWN and now - heard_at > GOSSIPLESS:
            return Life.DEAD
        return Life.SILENT

    def _judge_unheard(self, listened: float, others_heard: bool, elsewhere: bool) -> Life:
        if self.gossip is Liveness.ALIVE or elsewhere:
            # Nobody is heard: this LAN drops the beacons, and what is known otherwise decides.
            split = self.apart or (others_heard and listened > PATIENCE)
            return Life.SILENT if split else Life.ALIVE
        if self.gossip in (Liveness.DEAD, Liveness.LEFT):
            return Life.DEAD
        return Life.DEAD if listened > PATIENCE else Life.UNSEEN
