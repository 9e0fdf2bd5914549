"""Beacons of an older boot, recordings of them, and beacons of a key that is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from bellmetal.announcer import Liveness
from bellmetal_layer2.beacon import EVERYBODY, Beacon
from bellmetal_layer2.messages import GossipSays, Heard, Message, Unreadable
from bellmetal_layer2.peers import Life, Peer
from bellmetal_layer2.places import ANYWHERE
from bellmetal_layer2.provenance import ANSWER, ASK_EVERY, LISTEN, MOST_UNREAD, UNREAD, Provenance
from bellmetal_layer2.roster import Roster
from simulated_lan import Lan, Node

# --- one that doubts ----------------------------------------------------------------------------


class Doubter:
    """Node n1, which knows n2 with boot 100."""

    def __init__(self) -> None:
        self.it, self.now, self.counter = Provenance(0.0), 10.0, 0
        self.peer = Peer("n2")
        assert self.hears(100)
        self.peer.boot = 100

    def hears(self, boot: int, *echoes: int) -> bool:
        return self.it.believes(self.peer, Beacon("n2", boot, 1, 0, 0.1, echoes=echoes), self.now)

    def asks(self, ask: str | None = None) -> Beacon:
        self.counter += 1
        said = Beacon("n1", 7, self.counter, 0, 0.1, ask=ask or self.it.to_ask(self.now))
        self.it.asked(said, self.now)
        return said


@pytest.fixture
def it() -> Doubter:
    return Doubter()


@pytest.mark.parametrize(
    ("boot", "believed"),
    [
        pytest.param(100, True, id="the same process"),
        pytest.param(101, True, id="a later start"),
        pytest.param(99, False, id="an earlier one"),
    ],
)
def test_boots_rise(it: Doubter, boot: int, believed: bool) -> None:
    assert it.hears(boot) is believed


def test_who_comes_with_an_older_boot_is_asked_and_believed_if_it_echoes(it: Doubter) -> None:
    assert not it.hears(50)
    asked = it.asks()
    assert asked.ask == "n2"
    assert not it.hears(50)
    assert not it.hears(50, 4711)
    assert it.hears(50, 4711, asked.challenge)
    assert (it.peer.boot, it.peer.counter) == (0, 0)
    assert it.it.to_ask(it.now) == ""


@pytest.mark.parametrize("ask", ["n2", EVERYBODY])
def test_it_may_be_asked_with_everybody(it: Doubter, ask: str) -> None:
    it.hears(50)
    assert it.hears(50, it.asks(ask).challenge)


def test_a_question_to_another_is_none_to_it(it: Doubter) -> None:
    it.hears(50)
    assert not it.hears(50, it.asks("n3").challenge)


def test_one_that_lives_is_not_doubted(it: Doubter) -> None:
    it.peer.lives[ANYWHERE] = Life.ALIVE
    assert not it.hears(50)
    assert it.it.to_ask(it.now) == ""


def test_it_is_asked_three_times_a_second_at_most(it: Doubter) -> None:
    it.hears(50)
    it.asks()
    it.now += ASK_EVERY / 2
    it.hears(50)
    assert it.it.to_ask(it.now) == ""
    it.now += ASK_EVERY / 2 + 0.01
    assert it.it.to_ask(it.now) == "n2"


def test_an_answer_that_comes_too_late_is_none(it: Doubter) -> None:
    it.hears(50)
    asked = it.asks()
    it.now += ANSWER
    assert not it.hears(50, asked.challenge)


def test_an_answer_counts_once(it: Doubter) -> None:
    """Its recording is none."""
    it.hears(50)
    asked = it.asks()
    assert it.hears(50, asked.challenge)
    it.peer.boot = 50
    assert not it.hears(49, asked.challenge)


def test_recordings_of_the_boot_before_are_no_news_after_that(it: Doubter) -> None:
    it.hears(50)
    it.hears(50, it.asks().challenge)
    it.peer.boot = 50
    assert not it.hears(100)
    assert not it.hears(60)
    assert it.hears(101)


def test_who_is_not_heard_any_more_is_not_asked(it: Doubter) -> None:
    it.hears(50)
    it.now += ANSWER + 0.1
    assert it.it.to_ask(it.now) == ""
    assert it.it._doubted == {}


def test_open_questions_are_bounded(it: Doubter) -> None:
    it.hears(50)
    for _ in range(100):
        it.asks("n2")
    assert len(it.it._challenges["n2"]) == 8


def test_those_that_ask_are_answered_eight_at_a_time(it: Doubter) -> None:
    asking = [Beacon(f"n{n}", 1, 1, 0, 0.1, ask="n1") for n in range(10)]
    for beacon in [*asking, asking[0]]:
        it.it.echo(beacon)
    challenges = tuple(beacon.challenge for beacon in asking)
    assert it.it.echoes() == challenges[:8]
    assert it.it.echoes() == challenges[8:]
    assert it.it.echoes() == ()


def test_those_that_ask_are_bounded(it: Doubter) -> None:
    for n in range(1000):
        it.it.echo(Beacon("n3", 1, n, 0, 0.1, ask="n1"))
    assert len(it.it._echoes) == 64


# --- a key that is not known ---------------------------------------------------------------------


def test_one_that_cannot_be_understood_is_waited_for_while_it_is_heard() -> None:
    it, roster = Provenance(0.0), Roster("n1", 0.0)
    it.unreadable("n2", 1.0)
    assert it.unread([], roster, 1.0 + LISTEN - 0.01) == ["n2"]
    assert it.unread([], roster, 1.0 + LISTEN) == []


def test_for_two_minutes_and_a_half_after_the_start_at_most() -> None:
    it, roster = Provenance(0.0), Roster("n1", 0.0)
    for now, expected in ((UNREAD, ["n2"]), (UNREAD + 0.1, [])):
        it.unreadable("n2", now)
        assert it.unread([], roster, now) == expected


def test_one_that_is_understood_too_is_not_waited_for() -> None:
    it, roster = Provenance(0.0), Roster("n1", 0.0)
    roster.peer("n2").told_at = 0.5
    it.unreadable("n2", 1.0)
    assert it.unread([], roster, 1.0) == []


def test_what_gossip_says_does_not_make_it_understood() -> None:
    """Gossip may have the new key already; what it claims is not known all the same."""
    it, roster = Provenance(0.0), Roster("n1", 0.0)
    roster.peer("n2").gossip = Liveness.ALIVE
    assert roster.life("n2", ANYWHERE, 1.0) is Life.ALIVE
    it.unreadable("n2", 1.0)
    assert it.unread([], roster, 1.0) == ["n2"]


def test_invented_names_are_bounded() -> None:
    it = Provenance(0.0)
    for n in range(10_000):
        it.unreadable(f"n{n}", 1.0)
    assert len(it._unread) == MOST_UNREAD


# --- on a LAN ------------------------------------------------------------------------------------


def lan_at_work() -> Lan:
    lan = Lan(["n1", "n2", "n3"], addresses=3)
    for node in lan.nodes.values():
        node.boot = 1_000_000
    lan.start_all()
    lan.run(5.0)
    assert owners(lan) == [["n1"], ["n2"], ["n3"]]
    return lan


def owners(lan: Lan) -> list[list[str]]:
    return [lan.answerers(address) for address in lan.addresses]


def record(lan: Lan) -> list[Beacon]:
    """What is said on the LAN from now on."""
    said: list[Beacon] = []
    broadcast: Callable[[Node, Beacon], None] = lan._broadcast

    def note(node: Node, beacon: Beacon) -> None:
        said.append(beacon)
        broadcast(node, beacon)

    lan._broadcast = note  # type: ignore[method-assign]
    return said


def test_a_node_whose_clock_was_set_back_is_a_member_again_within_a_second() -> None:
    lan = lan_at_work()
    lan.crash("n1")
    lan.nodes["n1"].boot = 5
    lan.run(3.0)
    assert owners(lan) == [["n2"], ["n2"], ["n3"]]
    lan.start("n1")
    lan.run(1.0)
    for name in ("n2", "n3"):
        machine = lan.nodes[name].machine
        assert machine is not None
        assert machine._roster.peers["n1"].boot == 6
        assert machine._roster.peers["n1"].life() is Life.ALIVE
    assert owners(lan) == [["n2"], ["n2"], ["n3"]]
    lan.crash("n2")  # and it counts: it takes over
    lan.run(1.0)
    assert owners(lan) == [["n1"], ["n1"], ["n3"]]


def recordings(said: list[Beacon], node: str) -> Iterator[Beacon]:
    while True:
        yield from [beacon for beacon in said if beacon.node == node]


@pytest.mark.parametrize("again", [0, 1], ids=["its last boot", "a boot before"])
def test_a_recording_makes_no_dead_node_live(again: int) -> None:
    """Played for ten seconds to a LAN where the node is dead: its address is taken over."""
    lan = lan_at_work()
    said = record(lan)
    lan.run(2.0)
    lan.crash("n1")
    if again:
        lan.run(3.0)
        lan.start("n1")
        lan.run(3.0)
        lan.crash("n1")
    tape = recordings([*said], "n1")

    def play() -> None:
        for name in ("n2", "n3"):
            lan._later(lan.now, lan.nodes[name], Heard(next(tape), "eth0"))
        lan.after(0.02, 0.05, play)

    play()
    lan.run(10.0)
    assert owners(lan)[0] == ["n2"]
    machine = lan.nodes["n2"].machine
    assert machine is not None
    assert machine._roster.peers["n1"].life() is Life.DEAD


def test_one_that_cannot_understand_the_others_claims_nothing_until_it_can() -> None:
    """It starts with the new secret alone; n2 and n3 have the old one for 20 seconds more."""
    lan = lan_at_work()
    lan.crash("n1")
    lan.run(3.0)
    assert owners(lan) == [["n2"], ["n2"], ["n3"]]
    lan.deaf = {(a, b) for a in lan.nodes for b in lan.nodes if "n1" in (a, b)}
    lan.start("n1")
    machine = lan.nodes["n1"].machine
    assert machine is not None

    def noise() -> None:
        if lan.deaf:
            for name in ("n2", "n3"):
                lan._later(lan.now, lan.nodes["n1"], Unreadable(name))
            lan.after(0.1, 0.1, noise)

    noise()
    lan.run(20.0)
    assert not machine.settled
    assert owners(lan) == [["n2"], ["n2"], ["n3"]]
    lan.heal()
    lan.run(1.0)
    assert machine.settled
    assert owners(lan) == [["n2"], ["n2"], ["n3"]]


def test_a_foreign_cluster_on_the_lan_holds_nobody_up() -> None:
    lan = Lan(["n1", "n2"], addresses=1)
    lan.start("n1")
    for _ in range(30):
        lan.run(0.1)
        lan._later(lan.now, lan.nodes["n1"], Unreadable("other"))
    assert owners(lan) == [["n1"]]


@pytest.mark.parametrize("message", [Unreadable("n1"), GossipSays("n1", Liveness.ALIVE)])
def test_what_is_said_of_us_makes_us_no_peer_of_ours(message: Message) -> None:
    """A foreign cluster on this LAN may have a node of our name: we start all the same."""
    lan = Lan(["n1", "n2"], addresses=1)
    lan.start("n1")
    for _ in range(30):
        lan.run(0.1)
        lan._later(lan.now, lan.nodes["n1"], message)
    machine = lan.nodes["n1"].machine
    assert machine is not None
    assert (owners(lan), machine.heirs) == ([["n1"]], [])


def test_that_beacons_echo_changes_no_challenge() -> None:
    beacon = Beacon("n1", 1, 1, 0, 0.1)
    assert replace(beacon, echoes=(1, 2)).challenge == beacon.challenge
