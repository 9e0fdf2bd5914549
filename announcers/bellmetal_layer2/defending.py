"""What we answer for and another node claims too: rule 5, and what the LAN is told after it.

Whoever asks while two answer may believe the other one for as long as its cache lasts, and be cut
off when that one is.
"""

from __future__ import annotations

from collections.abc import Mapping

from bellmetal.addresses import IPAddress
from bellmetal_layer2 import succession
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.messages import Reassert
from bellmetal_layer2.peers import Peer
from bellmetal_layer2.possession import Possession
from bellmetal_layer2.roster import Roster
from bellmetal_layer2.succession import Candidacy
from bellmetal_layer2.voice import Voice

REPEAT_CLAIM = 0.1  # seconds between two answers to a lower claim
GIVEN_UP = 1.0  # seconds for which beacons may repeat that a claim is given up


class Defender:
    """Of what is answered for here; ``addresses`` are ownership's own."""

    def __init__(
        self,
        addresses: Mapping[IPAddress, Candidacy],
        roster: Roster,
        voice: Voice,
        possession: Possession,
    ) -> None:
        self._addresses, self._roster = addresses, roster
        self._voice, self._possession = voice, possession

    def claimed(self, address: IPAddress, peer: Peer, now: float) -> None:
        """Whoever hears a lower claim repeats its own (rate limited)."""
        known = self._addresses[address]
        if address not in peer.claims or not peer.settled:
            return
        if succession.alive(known, self._roster, peer.name):
            known.contested = True
            self._reassert(known, peer, now, REPEAT_CLAIM)

    def given_up(self, peer: Peer, beacon: Beacon) -> list[IPAddress]:
        """What a node gives up in a beacon that is about to be heard, and may have answered for
        while we did: it claimed that unheard, or against our claim."""
        released = [n.address for n in beacon.claims if n.order is None and not n.unable]
        ours = self._possession.answering.intersection(released)
        return [a for a in ours if a not in peer.claims or self._addresses[a].contested]

    def died(self, peer: Peer, now: float) -> None:
        """A node is dead: who believes it is told of what it claimed against us."""
        for address in self._possession.answering & peer.claims.keys():
            if self._addresses[address].contested:
                self.tell_anew(address, peer, now)

    def tell_anew(self, address: IPAddress, peer: Peer, now: float) -> None:
        """The LAN is told who has it: once, however often a beacon repeats what ends it."""
        known = self._addresses[address]
        self._reassert(known, peer, now, 0.0 if known.contested else GIVEN_UP)
        known.contested = False

    def _reassert(self, known: Candidacy, peer: Peer, now: float, pause: float) -> None:
        if now - known.repeated_at < pause:
            return
        known.repeated_at = now
        self._voice.repeat(known.address, now)
        self._possession.do(Reassert(known.address, peer.name))
