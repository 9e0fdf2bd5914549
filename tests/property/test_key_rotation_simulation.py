"""The members' secret changes on a simulated LAN: real beacons, signed and read by real rings."""

from __future__ import annotations

import random

import pytest

from bellmetal.keyring import Ring, Secrets
from bellmetal_layer2 import beacon
from bellmetal_layer2.beacon import Beacon, UnknownKeyError
from bellmetal_layer2.messages import Heard, Unreadable
from simulated_lan import Lan, Node

OLD, NEW = Secrets(b"old"), Secrets(b"new")
TAKES = 120.0  # seconds until the last node has the new secret


class KeyedLan(Lan):
    """A LAN where beacons are bytes; each node has a ring of its own."""

    def __init__(self, names: list[str], addresses: int, seed: int) -> None:
        super().__init__(names, addresses, seed)
        self.rings = {name: Ring(OLD, self.now) for name in names}
        self.refused: list[str] = []

    def _broadcast(self, node: Node, said: Beacon) -> None:
        data = beacon.encode(said, *self.rings[node.name].keys("test").signing)
        for other in self.nodes.values():
            if other is not node and other.machine is not None:
                when = self.now + self.dice.uniform(0.0002, 0.003)
                self._later(when, other, self._read(other, data))

    def _read(self, node: Node, data: bytes) -> Heard | Unreadable:
        try:
            return Heard(beacon.decode(data, *self.rings[node.name].keys("test").believed), "eth0")
        except UnknownKeyError as error:
            self.refused.append(f"{node.name} refused {error.node}")
            return Unreadable(error.node)

    def learn(self, name: str, secrets: Secrets) -> None:
        self.rings[name].learn(secrets, self.now)
        self.note(f"--- {name} has the new secret")

    def start_anew(self, name: str, secrets: Secrets) -> None:
        """The process ends in an orderly way; the next one knows what the Secret has now."""

        def start() -> None:
            self.rings[name] = Ring(secrets, self.now)
            self.start(name, remember=True)

        self.leave(name)
        self.at(self.now + 3.0, start)

    def owners(self) -> list[list[str]]:
        return [self.answerers(address) for address in self.addresses]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_refused_and_nothing_moves_while_nodes_get_it(seed: int) -> None:
    lan = KeyedLan(["n1", "n2", "n3", "n4"], 4, seed)
    lan.start_all()
    lan.run(5.0)
    before, moved = lan.owners(), list[str]()
    assert before == [["n1"], ["n2"], ["n3"], ["n4"]]
    lan.on_change = lambda: moved.append(lan.log[-1])
    dice = random.Random(seed)
    for name in lan.nodes:
        lan.at(lan.now + dice.uniform(0, TAKES), lambda name=name: lan.learn(name, NEW))  # type: ignore[misc]
    lan.run(TAKES + 5.0)
    assert (moved, lan.refused, lan.owners()) == ([], [], before)
    for when in (600.0, 1200.0):
        for ring in lan.rings.values():
            ring.tick(lan.now + when)
        lan.run(2.0)
    assert (moved, lan.refused, lan.owners()) == ([], [], before)
    assert not any(ring.rotating for ring in lan.rings.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("previous", [b"", b"old"], ids=["new alone", "with the previous"])
def test_one_that_starts_in_the_middle_never_answers_beside_another(
    seed: int, previous: bytes
) -> None:
    lan = KeyedLan(["n1", "n2", "n3"], 3, seed)
    lan.start_all()
    lan.run(5.0)
    twice: list[str] = []

    def look() -> None:
        twice.extend(str(owners) for owners in lan.owners() if len(owners) > 1)
        lan.at(lan.now + 0.05, look)

    dice, now = random.Random(seed), lan.now
    lan.start_anew("n1", Secrets(b"new", previous))
    for name in ("n2", "n3"):
        lan.at(now + dice.uniform(4, 40), lambda name=name: lan.learn(name, NEW))  # type: ignore[misc]
    lan.run(4.0)
    look()
    lan.run(40.0)
    assert twice == [], lan.told()
    assert all(len(owners) == 1 for owners in lan.owners()), lan.told()
    assert lan.settled(lan.nodes["n1"])
    if previous:
        assert lan.refused == []
