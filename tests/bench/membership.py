"""200 nodes with 5,000 addresses on a simulated LAN, of which 30 nodes are lost at once.

``python -m bench.membership [NODES ADDRESSES LOST]``, with PYTHONPATH=tests. The owners and their
successors are the controller's plan; each node is a real `Ownership`; LAN, gossip and clock are
simulated, and gossip tells of a death as late as kinship does. No controller helps afterwards.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import time
from collections import Counter

from bellmetal.addresses import IPAddress
from bellmetal.allocation import allocate
from bellmetal.holdings import Holding
from bellmetal.intents import Intents
from bellmetal.planning import plan
from builders import cluster, pool, service
from simulated_lan import Lan

STEP = 0.05  # simulated seconds between two looks


def planned(names: list[str], count: int) -> Intents:
    """What the controller would say of that many Services."""
    services = [service(f"default/web-{number}") for number in range(count)]
    everything = cluster(*services, pools=[pool("lan", "10.0.0.0/16")], nodes=names)
    allocations = allocate(everything, {}, "2026-01-01T00:00:00Z")
    held = {
        address: Holding(address, 1, "lan")
        for allocation in allocations.granted.values()
        for address in allocation.addresses
    }
    return plan(everything, allocations, held, {})


class Watch:
    """Who answers, counted at every look."""

    def __init__(self, lan: Lan) -> None:
        self.lan = lan

    def owners(self) -> dict[IPAddress, list[str]]:
        """The living nodes that answer for each address."""
        found: dict[IPAddress, list[str]] = {address: [] for address in self.lan.addresses}
        for item in self.lan.nodes.values():
            for address in item.answering:
                found[address].append(item.name)
        return found

    def spread(self) -> float:
        """The most addresses of a living node, by the mean of them."""
        load = Counter(name for names in self.owners().values() for name in names)
        alive = [name for name, item in self.lan.nodes.items() if item.runs]
        return max(load.values()) / statistics.mean(load[name] for name in alive)


def main(count: int, addresses: int, lost: int) -> None:
    names = [f"n{number:03}" for number in range(count)]
    lan = Lan(names, 0, seed=1)
    lan.use(planned(names, addresses))
    watch = Watch(lan)
    began = time.monotonic()
    lan.start_all()
    lan.run(3.0)
    unowned = sum(len(found) != 1 for found in watch.owners().values())
    print(f"{count} nodes, {addresses} addresses: {unowned} without their one owner after 3 s;")
    print(f"the fullest node has {watch.spread():.2f} times the mean", flush=True)
    dead = random.Random(2).sample(names, lost)
    fault = lan.now
    for name in dead:
        lan.crash(name)
    orphans = {address for address, found in watch.owners().items() if not found}
    detected, last = float("nan"), float("nan")
    while lan.now < fault + 8.0:
        lan.run(STEP)
        owners = watch.owners()
        without = sum(not owners[address] for address in orphans)
        twice = sum(len(found) > 1 for found in owners.values())
        if without < len(orphans) and detected != detected:
            detected = lan.now - fault
        if without == 0 and last != last:
            last = lan.now - fault
        if lan.now - fault > 3.0 and twice:
            print(f"{lan.now - fault:.2f} s: {twice} addresses with two living owners")
    print(f"{lost} nodes lost with {len(orphans)} addresses: the first of them is answered for")
    print(
        f"{detected:.2f} s after, the last {last - detected:.2f} s later; at the end {twice} have"
    )
    print(f"two owners, the fullest node has {watch.spread():.2f} times the mean")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"({time.monotonic() - began:.0f} s of computing, {peak:.0f} MB)")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:4] or ("200", "5000", "30")))
