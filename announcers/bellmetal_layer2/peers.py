"""One other node: when it was heard, what gossip says of it, what it claims, whether it lives."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.claims import ClaimSet

MISSED = 3  # beacons that may be missing
GRACE = 0.05  # seconds that one may be late
SHORTEST = 0.02  # seconds between beacons, below which none is believed
PATIENCE = 5.0  # seconds after a start before a node that was never seen counts as dead
GOSSIPLESS = 2.0  # seconds of silence that are death where gossip knows nothing of the node


class Life(enum.Enum):
    """How a node is judged (rule 2)."""

    ALIVE = "alive"
    SILENT = "silent"  # alive by gossip, not heard on this LAN: split, or its loop hangs
    DEAD = "dead"
    UNSEEN = "unseen"  # not seen since our own start, and that is too short to tell


@dataclass(slots=True, eq=False)
class Peer:
    """One other node, as its beacons and gossip show it."""

    name: str
    boot: int = 0
    counter: int = 0
    heard_at: float | None = None  # on this LAN
    told_at: float | None = None  # on the LAN or by gossip
    silence_after: float = 0.35
    settled: bool = False
    left: bool = False
    gossip: Liveness = Liveness.UNKNOWN
    told: ClaimSet = field(default_factory=ClaimSet)
    digest: int = 0  # of all its claims, as it says
    asked_at: float = float("-inf")
    life: Life = Life.UNSEEN
    alive_since: float = float("inf")
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
        here = self.life is Life.ALIVE or self.left
        return here and self.told_at is not None and self.told_at > moment

    # --- hearing it ------------------------------------------------------------------------------

    def fresh(self, beacon: Beacon) -> bool:
        """Whether a beacon is newer than all before; an old or repeated one is not."""
        return (beacon.boot, beacon.counter) > (self.boot, self.counter)

    def hear(self, beacon: Beacon, now: float, by_gossip: bool) -> set[IPAddress]:
        """Takes in a fresh beacon; the addresses on which its word may have changed."""
        touched = {news.address for news in beacon.claims}
        flags = (beacon.boot, beacon.settled, beacon.leaving)
        if flags != (self.boot, self.settled, self.left):
            touched |= self.claims.keys()
        if beacon.boot != self.boot:  # another process: it knows nothing of those claims
            self.told, self._dump = ClaimSet(), None
        self.boot, self.counter, self.told_at = beacon.boot, beacon.counter, now
        if not by_gossip:
            self.heard_at = now
            self.silence_after = MISSED * max(beacon.interval, SHORTEST) + GRACE
        self.settled, self.left = beacon.settled, beacon.leaving
        return touched | self._learn(beacon)

    def _learn(self, beacon: Beacon) -> set[IPAddress]:
        if beacon.reset:
            self._dump = ClaimSet()
        self.digest = beacon.digest
        for news in beacon.claims:
            self.told.put(news.address, news.order)
            if self._dump is not None:
                self._dump.put(news.address, news.order)
        if self._dump is None or self._dump.digest != beacon.digest:
            return set()
        before, self.told, self._dump = self.told, self._dump, None
        return before.orders.keys() - self.claims.keys()

    def excuse(self, now: float) -> None:
        """It was we who did not listen: its silence counts from now."""
        if self.life is Life.ALIVE and self.heard_at is not None:
            self.heard_at = max(self.heard_at, now - GRACE)

    # --- judging it ------------------------------------------------------------------------------

    @property
    def silent_at(self) -> float:
        """When it will have been silent for too long."""
        return float("inf") if self.heard_at is None else self.heard_at + self.silence_after

    def judge(self, now: float, started: float, others_heard: bool) -> Life:
        """Whether it lives; ``started`` is when this node began to listen."""
        if self.left:
            return Life.DEAD
        if self.heard_at is None:
            return self._judge_unheard(now - started, others_heard)
        if now < self.silent_at:
            return Life.ALIVE
        if self.gossip in (Liveness.DEAD, Liveness.LEFT):
            return Life.DEAD
        if self.gossip is Liveness.UNKNOWN and now - self.heard_at > GOSSIPLESS:
            return Life.DEAD
        return Life.SILENT

    def _judge_unheard(self, listened: float, others_heard: bool) -> Life:
        if self.gossip is Liveness.ALIVE:
            # Nobody is heard: this LAN drops the beacons, and gossip alone decides.
            return Life.SILENT if others_heard and listened > PATIENCE else Life.ALIVE
        if self.gossip in (Liveness.DEAD, Liveness.LEFT):
            return Life.DEAD
        return Life.DEAD if listened > PATIENCE else Life.UNSEEN
