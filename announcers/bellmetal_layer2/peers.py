"""What is known of the other nodes: when they were heard, what gossip says, what they claim."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import Beacon, claim_digest

MISSED = 3  # beacons that may be missing
GRACE = 0.05  # seconds that one may be late
PATIENCE = 5.0  # seconds after a start before a node that was never seen counts as dead
GOSSIPLESS = 2.0  # seconds of silence that are death where gossip knows nothing of the node


class Life(enum.Enum):
    """How a node is judged (design, rule 2)."""

    ALIVE = "alive"
    SILENT = "silent"  # alive by gossip, not heard on this LAN: split, or its loop hangs
    DEAD = "dead"
    UNSEEN = "unseen"  # not seen since our own start, and that is too short to tell


@dataclass(slots=True)
class Peer:
    """One other node. ``claims`` are those that it told; ``digest`` is of exactly these."""

    name: str
    boot: int = 0
    counter: int = 0
    heard_at: float | None = None  # on this LAN
    told_at: float | None = None  # on the LAN or by gossip
    silence_after: float = 0.35
    settled: bool = False
    left: bool = False
    gossip: Liveness = Liveness.UNKNOWN
    claims: dict[IPAddress, ClaimOrder] = field(default_factory=dict)
    digest: int = 0
    told_digest: int = 0
    asked_at: float = float("-inf")
    life: Life = Life.UNSEEN

    @property
    def known(self) -> bool:
        """Whether all its claims are known here."""
        return self.digest == self.told_digest

    @property
    def leaving_or_dead(self) -> bool:
        """Whether what it claims is about to end by itself."""
        return self.left or self.life is Life.DEAD

    def fresh(self, beacon: Beacon) -> bool:
        """Whether a beacon is newer than all before; an old or repeated one is not."""
        return (beacon.boot, beacon.counter) > (self.boot, self.counter)

    def hear(self, beacon: Beacon, now: float, by_gossip: bool) -> None:
        """Takes in a fresh beacon."""
        if beacon.boot != self.boot:
            self.forget()
        self.boot, self.counter = beacon.boot, beacon.counter
        self.told_at = now
        if not by_gossip:
            self.heard_at = now
            self.silence_after = MISSED * max(beacon.interval, 0.02) + GRACE
        self.settled, self.left = beacon.settled, beacon.leaving
        self._learn(beacon)

    def _learn(self, beacon: Beacon) -> None:
        if beacon.reset:
            self.forget()
        for news in beacon.claims:
            before = self.claims.pop(news.address, None)
            if before is not None:
                self.digest ^= claim_digest(news.address, before)
            if news.order is not None:
                self.claims[news.address] = news.order
                self.digest ^= claim_digest(news.address, news.order)
        self.told_digest = beacon.digest

    def forget(self) -> None:
        """None of its claims is known."""
        self.claims.clear()
        self.digest = 0

    def due(self) -> float | None:
        """When it will have been silent for too long."""
        return None if self.heard_at is None else self.heard_at + self.silence_after

    def judge(self, now: float, started: float, others_heard: bool) -> Life:
        """Whether it lives; ``started`` is when this node began to listen."""
        if self.left:
            return Life.DEAD
        if self.heard_at is None:
            return self._judge_unheard(now - started, others_heard)
        silent_for = now - self.heard_at
        if silent_for <= self.silence_after:
            return Life.ALIVE
        if self.gossip in (Liveness.DEAD, Liveness.LEFT):
            return Life.DEAD
        if self.gossip is Liveness.UNKNOWN and silent_for > GOSSIPLESS:
            return Life.DEAD
        return Life.SILENT

    def _judge_unheard(self, listened: float, others_heard: bool) -> Life:
        if self.gossip is Liveness.ALIVE:
            # Nobody is heard: this LAN drops the beacons, and gossip alone decides.
            return Life.SILENT if others_heard and listened > PATIENCE else Life.ALIVE
        if self.gossip in (Liveness.DEAD, Liveness.LEFT):
            return Life.DEAD
        return Life.DEAD if listened > PATIENCE else Life.UNSEEN
