"""All other nodes together: who lives, who claims an address, whether most of a set live."""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.peers import MOST_OF_ONE, Life, Peer
from bellmetal_layer2.places import ANYWHERE, Place

# Seconds after which a node that came back counts for a majority. When a partition heals, nodes are
# heard one after the other: the first must not make the next one's death sure.
STEADY = 0.35

# Whoever holds the key can lie as it likes, but not make this process grow without bound.
MOST_PEERS = 1024  # nodes that are kept, beside those that the slices name
MOST_CLAIMS = 65_536  # of all nodes together: 20,000 addresses, each claimed by three


class Roster:
    """The peers of node ``me``, which began to listen at ``now``."""

    def __init__(self, me: str, now: float) -> None:
        self.me, self._started = me, now
        self.peers: dict[str, Peer] = {}
        # Those whose life time alone may change: who is dead everywhere stays so until it is heard,
        # gossip tells of it, or we listen elsewhere. A cluster may have hundreds without a speaker.
        self._mortal: dict[str, Peer] = {}
        self._claims = 0  # that are kept, of all nodes
        self._places: frozenset[Place] = frozenset([ANYWHERE])
        self._listening: dict[str, float] = {}  # interface → since when
        self._heard_on: set[str] = set()  # interfaces on which anybody was ever heard
        self._claimants: dict[IPAddress, tuple[str, ...]] = {}  # who has told of a claim
        self._majorities: dict[tuple[tuple[str, ...], Place], bool] = {}
        self._steady_at = float("inf")  # when the next of the living will count
        self.next_silence = float("inf")  # nobody who lives will have been silent too long before

    def peer(self, name: str) -> Peer:
        """What is known of a node; nothing yet, if it is new."""
        if name not in self.peers:
            self.peers[name] = self._mortal[name] = Peer(name)
        return self.peers[name]

    def admits(self, name: str, sets: Iterable[tuple[str, ...]]) -> bool:
        """Whether there is room for a node: always for one that may own something."""
        if name in self.peers or len(self.peers) < MOST_PEERS:
            return True
        return any(name in nodes for nodes in sets)

    # --- where -----------------------------------------------------------------------------------

    def listen(self, names: Iterable[str], now: float) -> None:
        """The interfaces on which others can be heard; what was heard on others is forgotten."""
        self._listening = {name: self._listening.get(name, now) for name in names}
        self._heard_on &= self._listening.keys()
        for peer in self.peers.values():
            for name in peer.heard.keys() - self._listening.keys():
                del peer.heard[name]
        self._mortal = dict(self.peers)

    def judge_at(self, places: Iterable[Place], now: float) -> None:
        """Where life counts from now on."""
        wanted = frozenset([ANYWHERE, *places])
        if wanted == self._places:
            return
        self._places = wanted
        for peer in self.peers.values():
            peer.lives = {at: life for at, life in peer.lives.items() if at in wanted}
            peer.since = {at: since for at, since in peer.since.items() if at in wanted}
            self.judge(peer, now)

    def _listened(self, place: Place, now: float) -> float:
        since = [at for name, at in self._listening.items() if not place or name in place]
        return now - min(since, default=self._started)

    def _anybody(self, place: Place) -> bool:
        return not self._heard_on.isdisjoint(place) if place else bool(self._heard_on)

    # --- hearing ---------------------------------------------------------------------------------

    def hear(self, peer: Peer, beacon: Beacon, now: float, on: str) -> set[IPAddress]:
        """Takes in a beacon; the addresses on which its word may have changed."""
        before = len(peer.claims)
        touched = peer.hear(beacon, now, on, self._room(peer))
        self._claims += len(peer.claims) - before
        if on:
            self._heard_on.add(on)
        for address in touched:
            self._note(address, peer.name, address in peer.claims)
        return touched

    def _note(self, address: IPAddress, name: str, claims: bool) -> None:
        before = self._claimants.get(address, ())
        if claims is (name in before):
            return
        after = (*before, name) if claims else tuple(item for item in before if item != name)
        if after:
            self._claimants[address] = after
        else:
            del self._claimants[address]

    def _room(self, peer: Peer) -> int:
        """How many claims of a node are kept at most."""
        others = self._claims - len(peer.claims)
        return min(MOST_OF_ONE, MOST_CLAIMS - others)

    def claims_on(self, address: IPAddress) -> Iterable[tuple[Peer, ClaimOrder]]:
        """Who claims an address, living or not."""
        for name in self._claimants.get(address, ()):
            peer = self.peers[name]
            yield peer, peer.claims[address]

    # --- who lives -------------------------------------------------------------------------------

    def judge(self, peer: Peer, now: float) -> list[Place]:
        """Judges whether a node lives; the places where that has changed."""
        changed = []
        for place in self._places:
            life = peer.judge(place, now, self._listened(place, now), self._anybody(place))
            if life is not peer.life(place):
                changed.append(place)
            if place not in peer.lives or place in changed:
                peer.lives[place], peer.since[place] = life, now
                self._majorities.clear()
                self.next_silence = min(self.next_silence, peer.next_silence)
        if any(life is not Life.DEAD for life in peer.lives.values()):
            self._mortal[peer.name] = peer
        else:
            self._mortal.pop(peer.name, None)
        return changed

    def judge_all(self, now: float) -> list[Peer]:
        """Judges all of them; those of whom something has changed."""
        changed = [peer for peer in [*self._mortal.values()] if self.judge(peer, now)]
        silences = (peer.next_silence for peer in self._mortal.values())
        self.next_silence = min(silences, default=float("inf"))
        return changed

    def life(self, name: str, place: Place, now: float) -> Life:
        """Whether a node lives there, as it was judged last."""
        if name == self.me:
            return Life.ALIVE
        peer = self.peer(name)
        if peer.life(place) is Life.UNSEEN:
            self.judge(peer, now)
        return peer.life(place)

    def since(self, name: str, place: Place) -> float:
        """Since when it is so."""
        return self.peer(name).since.get(place, float("inf"))

    def most_live(self, nodes: tuple[str, ...], place: Place, now: float) -> bool:
        """Whether more than half of the nodes live there, and have for a while."""
        if now >= self._steady_at:
            self._majorities.clear()
        key = nodes, place
        if key not in self._majorities:  # asked for every address of a dead node
            steady = sum(self._is_steady(name, place, now) for name in nodes)
            self._majorities[key] = steady * 2 > len(nodes)
            coming = (at + STEADY for peer in self.peers.values() for at in peer.since.values())
            self._steady_at = min((at for at in coming if at > now), default=float("inf"))
        return self._majorities[key]

    def _is_steady(self, name: str, place: Place, now: float) -> bool:
        if self.life(name, place, now) is not Life.ALIVE:
            return False
        return name == self.me or now >= self.since(name, place) + STEADY

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
        """Those that live, on whatever LAN."""
        return [peer for peer in self._mortal.values() if peer.life() is Life.ALIVE]

    def unheard(self, nodes: Iterable[str]) -> tuple[str, ...]:
        """Those of the nodes that are dead or silent; who may only just come is not."""
        found = (self.peers[name] for name in nodes if name in self.peers)
        gone = (Life.DEAD, Life.SILENT)
        return tuple(sorted(peer.name for peer in found if peer.life() in gone))

    @property
    def deaf(self) -> list[str]:
        """Those that live by gossip and were never heard: they do not hear us either."""
        return [
            peer.name
            for peer in self.peers.values()
            if not peer.heard and peer.gossip is Liveness.ALIVE
        ]
