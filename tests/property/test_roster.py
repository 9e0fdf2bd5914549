"""Whom time alone cannot change need not be judged: as if all were judged each time."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bellmetal.announcer import Liveness
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.peers import Peer
from bellmetal_layer2.roster import Roster

NAMES, LANS = ("n2", "n3", "n4"), ("lan0", "lan1")
PLACES = (frozenset({"lan0"}), frozenset({"lan1"}), frozenset(LANS))
some = st.sampled_from
CALLS = st.one_of(
    st.tuples(st.just("wait"), some([0.05, 0.2, 0.5, 2.5, 6.0])),
    st.tuples(st.just("hear"), some(NAMES), some(["", *LANS]), st.booleans(), st.booleans()),
    st.tuples(st.just("gossip"), some(NAMES), some(list(Liveness))),
    st.tuples(st.just("listen"), st.sets(some(LANS))),
    st.tuples(st.just("places"), st.sets(some(PLACES))),
)


class Everybody(Roster):
    """Judges all, each time."""

    def judge_all(self, now: float) -> list[Peer]:
        self._mortal = dict(self.peers)
        return super().judge_all(now)


class Stage:
    """Does the same to a roster as `Ownership` does."""

    def __init__(self, kind: type[Roster]) -> None:
        self.roster, self.now, self.counter = kind("n1", 0.0), 0.0, 0
        self.roster.listen(["lan0"], 0.0)

    def play(self, what: str, *given: Any) -> object:
        getattr(self, what)(*given)
        changed = self.roster.judge_all(self.now)
        lives = {name: (peer.lives, peer.since) for name, peer in self.roster.peers.items()}
        names = {peer.name for peer in changed}, {peer.name for peer in self.roster.alive}
        return names, lives, self.roster.next_silence

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def hear(self, name: str, on: str, leaving: bool, apart: bool) -> None:
        self.counter += 1
        beacon = Beacon(name, 1, self.counter, 0, 0.1, leaving=leaving, apart=apart)
        peer = self.roster.peer(name)
        self.roster.hear(peer, beacon, self.now, on)
        self.roster.judge(peer, self.now)

    def gossip(self, name: str, liveness: Liveness) -> None:
        peer = self.roster.peer(name)
        peer.gossip = liveness
        self.roster.judge(peer, self.now)

    def listen(self, lans: set[str]) -> None:
        self.roster.listen(sorted(lans), self.now)

    def places(self, places: set[frozenset[str]]) -> None:
        self.roster.judge_at(places, self.now)


@settings(max_examples=500)
@given(st.lists(CALLS, min_size=5, max_size=25))
def test_who_is_dead_stays_dead_until_something_is_heard(calls: list[tuple[Any, ...]]) -> None:
    lazy, eager = Stage(Roster), Stage(Everybody)
    for call in calls:
        assert lazy.play(*call) == eager.play(*call)


def test_the_dead_are_not_judged_again() -> None:
    stage = Stage(Roster)
    for name in NAMES:
        stage.gossip(name, Liveness.UNKNOWN)
    stage.hear("n2", "lan0", leaving=False, apart=False)
    stage.play("wait", 6.0)
    assert [*stage.roster._mortal] == []
    stage.play("hear", "n2", "lan0", False, False)
    assert [*stage.roster._mortal] == ["n2"]
