"""What a node says: thousands of claims in pieces, each once; nobody asks for what still comes."""

from __future__ import annotations

import ipaddress
import itertools

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import CLAIMS_PER_BEACON, EVERYBODY, Beacon
from bellmetal_layer2.messages import Emit
from bellmetal_layer2.peers import ASK_EVERY, TELLING, Peer
from bellmetal_layer2.places import ANYWHERE
from bellmetal_layer2.roster import Roster
from bellmetal_layer2.voice import PIECE, PIECE_EVERY, Voice

FIRM = ClaimOrder(1, True, 0)


class Said:
    """A voice with that many claims, and what it says until it has no more to say."""

    def __init__(self, count: int) -> None:
        self.roster = Roster("n1", 0.0)
        self.voice = Voice("n1", 1, self.roster, 0.0)
        self.voice.settled = True
        self.addresses: list[IPAddress] = [
            ipaddress.ip_address("10.0.0.0") + n for n in range(count)
        ]
        self.now = 0.0
        for address in self.addresses:
            self.voice.claim(address, FIRM, self.now)

    def until(self, end: float) -> list[tuple[float, list[Beacon]]]:
        """What is said, and when, each time it is due."""
        found = []
        while (due := max(self.now, self.voice.due())) <= end:
            self.now = due
            said = [item.beacon for item in self.voice.speak(self.now) if isinstance(item, Emit)]
            found.append((self.now, said))
            self.now += 1e-6
        return found


def told(said: list[tuple[float, list[Beacon]]]) -> list[IPAddress]:
    return [news.address for _, beacons in said for one in beacons for news in one.claims]


def test_a_few_claims_are_told_at_once_and_repeated() -> None:
    it = Said(3)
    said = it.until(2.0)
    assert [len(one.claims) for one in said[0][1]] == [3]
    assert 5 <= told(said).count(it.addresses[0]) <= 7
    assert all(not one.claims for _, beacons in said[7:] for one in beacons)


def test_thousands_are_told_in_pieces_and_once() -> None:
    it = Said(5000)
    said = it.until(1.0)
    assert sorted(told(said), key=int) == it.addresses
    assert max(len(beacons) for _, beacons in said) <= PIECE // CLAIMS_PER_BEACON
    last = max(at for at, beacons in said if any(one.claims for one in beacons))
    assert last <= 5000 / PIECE * PIECE_EVERY + 0.02


def test_what_is_new_meanwhile_comes_after_them() -> None:
    it = Said(5000)
    it.until(0.01)
    late = ipaddress.ip_address("10.9.9.9")
    it.voice.claim(late, FIRM, it.now)
    assert told(it.until(1.0))[-1] == late


def test_who_asks_for_all_is_told_all_once_however_many_ask() -> None:
    it = Said(5000)
    it.until(1.0)
    question = Beacon("n2", 1, 1, 0, 0.1, ask=EVERYBODY)
    for _ in range(5):
        it.voice.dump(question)
    said = it.until(2.0)
    assert sorted(told(said), key=int) == it.addresses
    assert [one.reset for _, beacons in said for one in beacons].count(True) == 1


def test_they_are_told_again_not_before_the_others_could_take_them_in() -> None:
    it = Said(5000)
    it.until(1.0)
    question, began = Beacon("n2", 1, 1, 0, 0.1, ask=EVERYBODY), it.now
    resets = []
    while it.now < began + 1.0:
        it.voice.dump(question)
        for at, beacons in it.until(it.now + 0.01):
            resets += [at for one in beacons if one.reset]
        it.now += 0.01
    apart = [b - a for a, b in itertools.pairwise(resets)]
    assert min(apart) >= 2 * 5000 / PIECE * PIECE_EVERY


def test_that_nothing_is_claimed_is_said_too() -> None:
    it = Said(0)
    it.until(0.05)
    it.voice.dump(Beacon("n2", 1, 1, 0, 0.1, ask="n1"))
    said = it.until(it.now + 0.01)
    assert [one.reset for _, beacons in said for one in beacons] == [True]


def test_nobody_is_asked_while_claims_still_come() -> None:
    sender, peer = Said(5000), Peer("n1")
    asked = []
    for at, beacons in sender.until(1.0):
        for one in beacons:
            peer.hear(one, at, "eth0")
            asked.append(peer.to_ask(at))
    assert peer.known
    assert not any(asked)


def test_what_was_lost_on_the_way_is_asked_for_when_no_more_comes() -> None:
    sender, peer = Said(5000), Peer("n1")
    lost, end = 7, 0.0
    for at, beacons in sender.until(0.5):
        for one in beacons:
            if one.counter != lost:
                peer.hear(one, at, "eth0")
                end = at if one.claims else end
    assert not peer.known
    assert peer.judge(ANYWHERE, end, 1.0, True).value == "alive"
    assert not peer.to_ask(end + TELLING / 2)
    assert peer.to_ask(end + TELLING + 0.01)
    peer.asked_at = end + TELLING + 0.01
    assert not peer.to_ask(end + TELLING + ASK_EVERY)
