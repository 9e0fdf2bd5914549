"""The rules of ownership walked through, one story each, on a simulated LAN with three nodes.

Every story runs with several seeds: what comes first within a few milliseconds must not matter.
"""

from __future__ import annotations

import pytest

from bellmetal.addresses import IPAddress
from simulated_lan import Lan

SEEDS = range(5)
AGREE = 1.0  # seconds after which one answers for who hear each other


class Walk:
    """A LAN with n1 as the owner of its only address, and what was seen on it."""

    def __init__(self, seed: int, nodes: int = 3, apart: bool = False) -> None:
        names = [f"n{number}" for number in range(1, nodes + 1)]
        self.lan = Lan(names, 1, seed, gossip_apart=apart)
        self.address: IPAddress = self.lan.addresses[0]
        self.moves: list[str] = []
        self.both = 0.0  # seconds in which two who hear each other answered, in one go
        self._both_since: float | None = None
        self.lan.on_change = self._look
        self.lan.start_all()
        self.lan.run(2.0)
        assert self.who == ["n1"]
        self.moves.clear()

    def _look(self) -> None:
        for name in self.who:
            if self.moves[-1:] != [name]:
                self.moves.append(name)
        nodes = self.lan.nodes
        pairs = [(a, b) for a in self.who for b in self.who if a < b]
        both = any(self.lan._joined(nodes[a], nodes[b]) for a, b in pairs)
        if not both and self._both_since is not None:
            self.both = max(self.both, self.lan.now - self._both_since)
            self._both_since = None
        if both and self._both_since is None:
            self._both_since = self.lan.now

    @property
    def who(self) -> list[str]:
        return self.lan.answerers(self.address)

    def within(self, seconds: float, *names: str) -> float:
        """Runs until these answer, and they alone; how long that took."""
        began = self.lan.now
        while self.who != list(names) and self.lan.now - began <= seconds:
            self.lan.run(0.005)
        assert self.who == list(names), f"after {seconds} s\n{self.lan.told()}"
        return self.lan.now - began

    def stays(self, seconds: float, *names: str) -> None:
        """Nobody else answers for a while, not for a moment."""
        self.moves.clear()
        self.lan.run(seconds)
        assert self.who == list(names), self.lan.told()
        assert set(self.moves) <= set(names), self.lan.told()


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_owner_and_leader_die_together(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.crash("n1")  # and no controller says anything
    walk.within(0.6, "n2")
    walk.stays(10.0, "n2")


def test_the_owner_sleeps_for_five_seconds(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.hang("n1", 5.0, stop=True)
    walk.within(0.6, "n2")
    walk.lan.run(5.0)
    walk.stays(10.0, "n2")
    assert walk.both == 0.0, "the sleeper answered nothing when it woke"


def test_the_owners_loop_hangs_for_five_seconds_while_gossip_believes_it_alive(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.hang("n1", 5.0, stop=False)
    walk.within(0.6, "n2")
    walk.lan.run(5.0)
    walk.stays(10.0, "n2")


def test_gossip_is_cut_and_the_lan_whole(seed: int) -> None:
    walk = Walk(seed, apart=True)
    walk.lan.part_gossip({"n1"})
    walk.stays(10.0, "n1")
    walk.lan.heal()
    walk.stays(10.0, "n1")


def test_the_lan_is_cut_and_gossip_whole(seed: int) -> None:
    """Each part is served; joined, the majority's owner keeps it and the isolated one yields."""
    walk = Walk(seed, apart=True)
    walk.lan.part({"n1"}, 2)
    walk.within(0.6, "n1", "n2")
    walk.stays(10.0, "n1", "n2")
    walk.lan.heal()
    walk.within(AGREE, "n2")
    walk.stays(10.0, "n2")
    assert walk.both <= AGREE


def test_all_is_cut_and_joined(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.part({"n1"}, 2)
    walk.within(0.6, "n1", "n2")
    walk.stays(10.0, "n1", "n2")
    walk.lan.heal()
    walk.within(AGREE, "n2")
    walk.stays(10.0, "n2")
    assert walk.both <= AGREE


def test_the_minority_has_the_owner_only_for_a_moment(seed: int) -> None:
    """A short cut: too short to be sure, so the address goes back to who had it."""
    walk = Walk(seed)
    walk.lan.part({"n1"}, 2)
    walk.lan.run(0.5)
    walk.lan.heal()
    walk.lan.run(AGREE)
    assert len(walk.who) == 1
    walk.stays(10.0, *walk.who)
    assert walk.both <= AGREE


@pytest.mark.parametrize("apart", [False, True], ids=["gossip over the LAN", "gossip apart"])
def test_frames_of_the_owner_are_lost(seed: int, apart: bool) -> None:
    """The others do not hear it, it hears them: it yields as soon as another claims."""
    walk = Walk(seed, apart=apart)
    walk.lan.part({"n1"}, 1)
    walk.lan.run(5.0)
    assert len(walk.who) == 1
    walk.lan.heal()
    walk.lan.run(AGREE)
    assert len(walk.who) == 1
    walk.stays(10.0, *walk.who)
    assert walk.both <= AGREE


@pytest.mark.parametrize("apart", [False, True], ids=["gossip over the LAN", "gossip apart"])
def test_frames_to_a_follower_are_lost(seed: int, apart: bool) -> None:
    walk = Walk(seed, apart=apart)
    walk.lan.part({"n1", "n3"}, 1)
    walk.lan.run(5.0)
    walk.lan.heal()
    walk.within(AGREE, "n1")
    walk.stays(10.0, "n1")
    assert walk.both <= AGREE


def test_the_watch_of_one_speaker_is_slow(seed: int) -> None:
    """It learns of a move seconds after the others, and obeys the claims meanwhile."""
    walk = Walk(seed)
    walk.lan.nodes["n3"].lag = 5.0
    walk.lan.order(walk.address, "n2")
    walk.within(0.3, "n2")
    walk.stays(10.0, "n2")
    walk.lan.crash("n2")
    walk.within(0.6, "n1")


def test_the_watch_of_the_new_owner_is_slow(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.nodes["n2"].lag = 5.0
    walk.lan.order(walk.address, "n2")
    walk.stays(4.5, "n1")
    walk.within(2.0, "n2")
    walk.stays(10.0, "n2")
    assert walk.both <= 0.1


def test_an_address_is_used_again_while_its_old_owner_lags(seed: int) -> None:
    """Another Service has it, in the next term and elsewhere; the old owner does not know yet."""
    walk = Walk(seed)
    walk.lan.nodes["n1"].lag = 5.0
    walk.lan.order(walk.address, "n3")
    walk.within(0.3, "n3")
    walk.stays(10.0, "n3")


def test_a_node_boots_with_an_old_file(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.crash("n1")
    walk.within(0.6, "n2")
    walk.lan.confirm()  # the controller names n2 in the next term
    walk.lan.run(1.0)
    walk.lan.start("n1", remember=True)
    walk.stays(10.0, "n2")


def test_a_node_joins_and_takes_nothing(seed: int) -> None:
    walk = Walk(seed)
    walk.lan.crash("n3")
    walk.lan.run(3.0)
    walk.lan.start("n3")
    walk.stays(10.0, "n1")


@pytest.mark.parametrize("apart", [False, True], ids=["gossip over the LAN", "gossip apart"])
def test_two_nodes_are_cut_apart_and_joined(seed: int, apart: bool) -> None:
    """Nobody has a majority: who was the owner stays it."""
    walk = Walk(seed, nodes=2, apart=apart)
    walk.lan.part({"n1"}, 2)
    walk.within(0.6, "n1", "n2")
    walk.lan.run(10.0)
    walk.lan.heal()
    walk.within(AGREE, "n1")
    walk.stays(10.0, "n1")
    assert walk.both <= AGREE


def test_one_of_two_dies_and_comes_back(seed: int) -> None:
    walk = Walk(seed, nodes=2)
    walk.lan.crash("n1")
    walk.within(0.6, "n2")
    walk.lan.run(5.0)
    walk.lan.start("n1", remember=True)
    walk.stays(10.0, "n2")


def test_a_node_alone_serves(seed: int) -> None:
    walk = Walk(seed, nodes=1)
    walk.lan.crash("n1")
    walk.lan.start("n1", remember=True)
    walk.within(0.6, "n1")


@pytest.mark.parametrize("remember", [False, True], ids=["without a file", "with their files"])
def test_all_start_at_once_and_the_first_does_not_get_everything(seed: int, remember: bool) -> None:
    names = ["n1", "n2", "n3"]
    lan = Lan(names, 30, seed)
    for number, name in enumerate(names):
        lan.at(100.0 + number, lambda name=name: lan.start(name, remember=remember))
    lan.run(15.0)
    held = {name: len(lan.nodes[name].answering) for name in names}
    assert held == {"n1": 10, "n2": 10, "n3": 10}, lan.told()


def test_half_of_the_nodes_are_lost_at_once(seed: int) -> None:
    lan = Lan([f"n{number}" for number in range(1, 6)], 20, seed)
    lan.start_all()
    lan.run(2.0)
    for name in ("n1", "n2"):
        lan.crash(name)
    lan.run(0.7)
    owners = {address: lan.answerers(address) for address in lan.addresses}
    assert all(len(names) == 1 for names in owners.values()), owners
