"""A member that lies can claim what it likes; what is kept of it is bounded, and said once."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal.facts import ClaimOrder
from bellmetal.intents import Announcement, NodeSet
from bellmetal_layer2.beacon import Beacon, ClaimNews
from bellmetal_layer2.messages import Heard, Said
from bellmetal_layer2.ownership import MOST_TWINS, Ownership
from bellmetal_layer2.peers import MOST_OF_ONE, Peer
from bellmetal_layer2.roster import MOST_CLAIMS, MOST_PEERS, Roster

IP = ipaddress.ip_address("192.0.2.10")
BASE = ipaddress.ip_address("2001:db8::")
ORDER = ClaimOrder(1, True, 1)


class Machine:
    """Node n1, in a set with n2 and n3."""

    def __init__(self) -> None:
        self.it, self.now, self.counter = Ownership("n1", 7, 0.0), 0.0, 0
        self.said: list[str] = []
        announcement = Announcement(IP, 1, "n2", "all", ("n3",))
        sets = {"all": NodeSet("all", {"n1": "", "n2": "", "n3": ""})}
        self.it.want([announcement], sets, 0.0)

    def hear(self, name: str, *claims: ClaimNews, boot: int = 1) -> None:
        self.counter += 1
        self.now += 0.0001
        beacon = Beacon(name, boot, self.counter, 0, 0.1, claims=claims)
        effects = self.it.receive(Heard(beacon, "lan0"), self.now)
        self.said += [item.message for item in effects if isinstance(item, Said)]

    def flood(self, name: str, number: int, start: int = 0) -> None:
        for at in range(start, start + number, 1000):
            news = (ClaimNews(BASE + n, ORDER) for n in range(at, min(at + 1000, start + number)))
            self.hear(name, *news)


@pytest.mark.slow
def test_one_that_claims_too_much_leaves_room_for_the_others() -> None:
    machine = Machine()
    machine.flood("n3", MOST_OF_ONE + 5000)
    machine.hear("n2", ClaimNews(IP, ORDER))
    peers = machine.it._roster.peers
    assert len(peers["n3"].claims) == MOST_OF_ONE
    assert not peers["n3"].known
    assert peers["n2"].claims == {IP: ORDER}
    assert machine.said.count("'n3' claims more than can be kept") == 1


def test_what_is_known_already_may_change_and_go_where_there_is_no_room() -> None:
    peer, later = Peer("n2"), ClaimOrder(2, True, 0)
    for counter, news in enumerate(
        [ClaimNews(IP, ORDER), ClaimNews(IP + 1, ORDER), ClaimNews(IP, later), ClaimNews(IP, None)]
    ):
        peer.hear(Beacon("n2", 1, counter + 1, 0, 0.1, claims=(news,)), 0.0, "lan0", room=1)
        assert peer.claims == [{IP: ORDER}, {IP: ORDER}, {IP: later}, {}][counter]
    assert peer.crowded


@pytest.mark.slow
def test_all_together_are_bounded_too() -> None:
    machine = Machine()
    for number in range(4):
        machine.flood(f"x{number}", MOST_OF_ONE // 2 + 4000, start=number * 100_000)
    roster = machine.it._roster
    kept = sum(len(peer.claims) for peer in roster.peers.values())
    assert kept == roster._claims == MOST_CLAIMS
    assert len(roster._claimants) == MOST_CLAIMS


def test_what_is_released_makes_room() -> None:
    roster = Roster("n1", 0.0)
    peer = roster.peer("n2")
    for counter, order in ((1, ORDER), (2, None)):
        beacon = Beacon("n2", 1, counter, 0, 0.1, claims=(ClaimNews(IP, order),))
        roster.hear(peer, beacon, 0.0, "lan0")
        assert roster._claims == (1 if order else 0)
    again = Beacon("n2", 1, 3, 0, 0.1, claims=(ClaimNews(IP, ORDER),))
    roster.hear(peer, again, 0.0, "lan0")
    roster.hear(peer, Beacon("n2", 2, 1, 0, 0.1), 0.0, "lan0")  # another process
    assert roster._claims == 0


@pytest.mark.slow
def test_invented_names_are_bounded_and_keep_no_node_of_the_set_out() -> None:
    machine = Machine()
    for number in range(MOST_PEERS + 50):
        machine.hear(f"x{number}")
    machine.hear("n2", ClaimNews(IP, ORDER))
    peers = machine.it._roster.peers
    assert len(peers) <= MOST_PEERS + 2
    assert peers["n2"].claims == {IP: ORDER}
    complaints = [message for message in machine.said if "too many" in message]
    assert len(complaints) == 1
    assert complaints[0].endswith("is not listened to: there are too many")


def test_twins_are_told_of_a_few_times() -> None:
    machine = Machine()
    machine.now = 2.0
    for boot in range(100, 200):
        machine.hear("n1", boot=boot)
    assert machine.said.count("another speaker calls itself n1") == MOST_TWINS
