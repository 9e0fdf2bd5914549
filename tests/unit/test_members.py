"""Who is alone knows nobody; nodes are counted by what gossip says of them."""

from __future__ import annotations

from collections.abc import Mapping

from bellmetal.announcer import Liveness
from bellmetal.keyring import Ring, Secrets
from bellmetal.members import Alone, Gossip


def test_who_is_alone_knows_nobody() -> None:
    alone = Alone()
    alone.subscribe(lambda *_: None, lambda _: None)
    alone.send("n2", b"hello")
    assert alone.liveness("n2") is Liveness.UNKNOWN


class Heard(Gossip):
    """What gossip says of nodes is given."""

    said: Mapping[str, Liveness] = {"n1": Liveness.ALIVE, "n2": Liveness.DEAD, "n9": Liveness.ALIVE}

    def liveness(self, node: str) -> Liveness:
        return self.said.get(node, Liveness.UNKNOWN)


async def test_the_nodes_of_the_slices_are_counted_by_what_gossip_says_of_them() -> None:
    gossip = Heard("n1", "127.0.0.1", 7946, Ring(Secrets(), 0.0))
    assert gossip.states() == {"unknown": 0, "alive": 1, "dead": 0, "left": 0}
    gossip.seed({"n1": "192.0.2.1", "n2": "192.0.2.2", "n3": "192.0.2.3"})
    assert gossip.states() == {"unknown": 1, "alive": 1, "dead": 1, "left": 0}
