"""What a change costs in a cluster of 3,000 nodes: slices and bytes, by the decisions themselves.

``python -m bench.many_nodes [NODES SERVICES]``, with PYTHONPATH=tests: no lab, no root. Every
speaker receives every slice that is written, so bytes are those of one speaker.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, replace

import msgspec

from bellmetal.cluster import Cluster
from bellmetal.packing import SliceChanges, pack
from bench.curves import Sized, stored


@dataclass(frozen=True)
class Cost:
    """What one change of the cluster made the controller write."""

    what: str
    slices: int
    sets: int  # of them, those that hold node sets
    bytes: int
    moved: int  # addresses that have another owner than before
    owned: int  # addresses that had to have one

    @property
    def row(self) -> str:
        """A line of Markdown."""
        cells = (self.what, self.slices, self.sets, self.bytes, self.moved, self.owned)
        return f"| {' | '.join(map(str, cells))} |"


HEAD = "| what | slices written | of them node sets | bytes | owners changed | had to |"


def cost(what: str, before: Sized, changes: SliceChanges, owned: int) -> Cost:
    """Counts what is written, and compares owners."""
    written = [*changes.write, *changes.vacate]
    after = stored(changes, before.slices)
    was, now = _owners(before.slices.values()), _owners(after.values())
    moved = sum(was[address] != now[address] for address in was.keys() & now.keys())
    sets = sum(bool(item.spec.node_sets) for item in written)
    size = sum(len(msgspec.json.encode(item)) for item in written)
    return Cost(what, len(written) + len(changes.delete), sets, size, moved, owned)


def _owners(slices: object) -> dict[str, str]:
    return {
        one.address: one.owner
        for item in slices  # type: ignore[attr-defined]
        for one in item.spec.announcements
    }


def costs(nodes: int, services: int) -> list[Cost]:
    """One Service comes, changes its policy, goes; one node is not ready, leaves, joins."""
    it, rng = Sized(services, nodes=nodes), random.Random(1)
    key = rng.choice(sorted(it.full.services))
    found = []

    def play(what: str, changed: Cluster, owned: int = 0) -> None:
        found.append(cost(what, it, pack(it.replan(changed), it.slices), owned))

    play("nothing changes", it.full)
    others = {k: v for k, v in it.full.services.items() if k != key}
    play("a Service goes", replace(it.full, services=others))
    local = replace(it.full.services[key], local_only=True)
    play("a Service turns to Local", replace(it.full, services={**it.full.services, key: local}))
    owners = _owners(it.slices.values())
    node = owners[str(it.given.granted[key].addresses[0])]
    owned = sum(owner == node for owner in owners.values())
    down = {**it.full.nodes, node: replace(it.full.nodes[node], ready=False)}
    play("a node is not ready", replace(it.full, nodes=down), owned)
    left = {name: item for name, item in it.full.nodes.items() if name != node}
    play("a node leaves", replace(it.full, nodes=left), owned)
    joined = {**it.full.nodes, "n-new": replace(it.full.nodes[node], name="n-new")}
    play("a node joins", replace(it.full, nodes=joined))
    return found


def main(nodes: int, services: int) -> None:
    """Prints a table."""
    print(f"{services} Services on {nodes} nodes")
    print(f"{HEAD}\n|{'---|' * 6}")
    for item in costs(nodes, services):
        print(item.row, flush=True)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main(*(numbers + [3000, 10000][len(numbers) :]))
