"""All other nodes together: who lives, who claims an address, whether most of a set live."""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.peers import Life, Peer

# Seconds after which a node that came back counts for a majority. When a partition heals, nodes are
# heard one after the other: the first must not make the next one's death sure.
STEADY = 0.35


class Roster:
    """The peers of node ``me``, which began to listen at ``now``."""

    def __init__(self, me: str, now: float) -> None:
        self.me, self._started = me, now
        self.peers: dict[str, Peer] = {}
        self._heard_any = False
        self._claimants: dict[IPAddress, set[str]] = {}  # who has told of a claim
        self._majorities: dict[tuple[str, ...], bool] = {}
        self._steady_at = float("inf")  # when the next of the living will count

    def peer(self, name: str) -> Peer:
        """What is known of a node; nothing yet, if it is new."""
        if name not in self.peers:
            self.peers[name] = Peer(name)
        return self.peers[name]

    def hear(self, peer: Peer, beacon: Beacon, now: float, by_gossip: bool) -> set[IPAddress]:
        """Takes in a fresh beacon; the addresses on which its word may have changed."""
        touched = peer.hear(beacon, now, by_gossip)
        self._heard_any = self._heard_any or not by_gossip
        for address in touched:
            if address in peer.claims:
                self._claimants.setdefault(address, set()).add(peer.name)
            elif address in self._claimants:
                self._claimants[address].discard(peer.name)
                if not self._claimants[address]:
                    del self._claimants[address]
        return touched

    def claims_on(self, address: IPAddress) -> Iterable[tuple[Peer, ClaimOrder]]:
        """Who claims an address, living or not."""
        for name in self._claimants.get(address, ()):
            peer = self.peers[name]
            yield peer, peer.claims[address]

    # --- who lives -------------------------------------------------------------------------------

    def judge(self, peer: Peer, now: float) -> bool:
        """Judges whether a node lives; True if that has changed."""
        life = peer.judge(now, self._started, self._heard_any)
        changed = life is not peer.life
        if changed:
            peer.life = life
            peer.alive_since = now if life is Life.ALIVE else float("inf")
            self._majorities.clear()
        return changed

    def life(self, name: str, now: float) -> Life:
        """Whether a node lives, as it was judged last."""
        if name == self.me:
            return Life.ALIVE
        peer = self.peer(name)
        if peer.life is Life.UNSEEN:
            self.judge(peer, now)
        return peer.life

    def most_live(self, nodes: tuple[str, ...], now: float) -> bool:
        """Whether more than half of the nodes live, and have for a while."""
        if now >= self._steady_at:
            self._majorities.clear()
        if nodes not in self._majorities:  # asked for every address of a dead node
            steady = sum(self._is_steady(name, now) for name in nodes)
            self._majorities[nodes] = steady * 2 > len(nodes)
            coming = (peer.alive_since + STEADY for peer in self.alive)
            self._steady_at = min((at for at in coming if at > now), default=float("inf"))
        return self._majorities[nodes]

    def _is_steady(self, name: str, now: float) -> bool:
        if self.life(name, now) is not Life.ALIVE:
            return False
        return name == self.me or now >= self.peers[name].alive_since + STEADY

    def exchanged_since(self, moment: float, patient: bool) -> list[str]:
        """Those whose claims are known anew since a moment; nobody, as long as more is to come.

        ``patient``: one that lives and has not spoken yet may be the one that took over from us.
        """
        told = [peer for peer in self.peers.values() if peer.told_since(moment)]
        if patient and any(not peer.told_since(moment) for peer in self.alive):
            return []
        return sorted(peer.name for peer in told) if all(peer.known for peer in told) else []

    @property
    def alive(self) -> list[Peer]:
        """Those that live."""
        return [peer for peer in self.peers.values() if peer.life is Life.ALIVE]

    @property
    def deaf(self) -> list[str]:
        """Those that live by gossip and were never heard: they do not hear us either."""
        return [
            peer.name
            for peer in self.peers.values()
            if peer.heard_at is None and peer.gossip is Liveness.ALIVE
        ]

    @property
    def next_silence(self) -> float:
        """When the next of the living will have been silent for too long."""
        return min((peer.silent_at for peer in self.alive), default=float("inf"))
