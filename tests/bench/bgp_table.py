"""Rows in which a whole table is told to FRR and BIRD at once, by us and then by GoBGP.

Both have their routes before the routers let them in. What passes is timed by the kernel, in the
routers' namespaces; when the last route is in a table, the router itself is asked.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from ipaddress import IPv4Address
from typing import ClassVar, Self

from bench import mrt
from bench.bgp_stages import OURS, THEIRS
from bench.bgp_wire import Update, updates
from bench.rows import Row, Values
from bench.table import TIMES, Wish
from lab import packages
from lab.bgp_scene import Layout, Scene, Speaker
from lab.capture import WHOLE, Capture
from lab.errors import LabError
from lab.progress import Lines
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.gobgp import GoBGP
from lab.routers.router import Family, Neighbor, Plan, Router
from lab.waiting import until

ROUTES = 10_000
FIRST = IPv4Address("198.18.0.0")
TABLE = 3.0  # seconds from the first UPDATE to the last route in the router's table
SENT = 0.15  # seconds from our first byte to our last
RATIO = 1.5
TRIES = 5  # of GoBGP to take all routes in
NAMES = {"r1": "FRR", "r2": "BIRD"}


def routes(sets: int) -> Iterator[tuple[str, list[str]]]:
    """Prefixes and their communities: so many sets of attributes, each prefix another than the one
    before."""
    for number in range(ROUTES):
        said = [f"65000:{number % sets}"] if sets > 1 else []
        yield f"{FIRST + number}/32", said


class Pair:
    """A node and two routers, which do not let it in yet."""

    title: ClassVar[str] = "a node, FRR and BIRD"

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Self]:
        """The scene; gone at the end."""
        packages.install(Lines())
        with Scene(Layout(nodes=1, routers=2)) as scene:
            stage = cls(scene)
            try:
                stage.begin()
                yield stage
            finally:
                for router in stage.routers.values():
                    router.kill()

    def __init__(self, scene: Scene) -> None:
        self.scene, self.node = scene, scene["n1"]
        neighbor = Neighbor(OURS, self.node.address, families=(Family.IPV4,), hold_time=30)
        self.routers: Mapping[str, Router] = {
            name: kind(scene[name], Plan(THEIRS, scene[name].address, (neighbor,)))
            for name, kind in (("r1", FRR), ("r2", BIRD))
        }

    def begin(self) -> None:
        """Starts the routers."""
        for router in self.routers.values():
            router.start()
            router.shut(self.node.address)

    # --- who tells --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def ours(self, sets: int) -> Iterator[None]:
        """Our speaker, with all routes."""
        speaker = Speaker(self.node)
        peers = [
            {
                "name": name,
                "myASN": OURS,
                "peerASN": THEIRS,
                "address": router.host.address,
                "connectTime": 1,
                "holdTime": 30,
            }
            for name, router in self.routers.items()
        ]
        speaker.want(peers, [{"prefix": p, "communities": said} for p, said in routes(sets)])
        before = len(speaker.start().log())  # it has written nothing yet: it takes a while
        try:
            wanted = f" {ROUTES} routes"
            until(lambda: wanted in speaker.log()[before:], "our speaker has its routes", 60)
            yield
        finally:
            speaker.kill()

    @contextlib.contextmanager
    def gobgp(self, sets: int) -> Iterator[None]:
        """GoBGP, with all routes and both processors."""
        neighbors = tuple(
            Neighbor(THEIRS, router.host.address, families=(Family.IPV4,), hold_time=30)
            for router in self.routers.values()
        )
        teller = Loaded(self.node, Plan(OURS, self.node.address, neighbors, maximum_paths=1))
        teller.start()
        try:
            teller.load(sets)
            yield
        finally:
            teller.kill()

    # --- what passes ------------------------------------------------------------------------------

    def transfer(self, telling: AbstractContextManager[None]) -> dict[str, Transfer]:
        """Lets the node in at both routers, until both have all; then shuts it out again."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(telling)
            captures = {name: stack.enter_context(self._capture(name)) for name in self.routers}
            try:
                with ThreadPoolExecutor(len(self.routers)) as pool:
                    done = dict(
                        zip(self.routers, pool.map(self._let_in, self.routers), strict=True)
                    )
            finally:
                for router in self.routers.values():
                    router.shut(self.node.address)
        for router in self.routers.values():
            until(partial(_empty, router), f"{router.name} has forgotten all", 30)
        return {name: _transfer(captures[name], done[name]) for name in self.routers}

    def _capture(self, name: str) -> Capture:
        scene = self.scene
        path = scene.run.path / "captures" / f"{name}.pcap"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        command = ["ip", "netns", "exec", scene[name].namespace]
        wanted = f"tcp port 179 and src host {self.node.address}"
        return Capture(command, "eth0", wanted, path, scene.run.records, WHOLE)

    def _let_in(self, name: str) -> float:
        """When all routes are in the router's table."""
        router = self.routers[name]
        router.open(self.node.address)
        until(partial(_full, router), f"{ROUTES} routes in {router.name}'s table", 60, every=0.002)
        at = time.monotonic()
        time.sleep(0.3)  # the last frames are written
        return at


def _received(router: Router) -> int:
    return sum(one.received.get(Family.IPV4, 0) for one in router.sessions().values())


def _full(router: Router) -> bool:
    return _received(router) == ROUTES


def _empty(router: Router) -> bool:
    return _received(router) == 0 and not any(one.up for one in router.sessions().values())


class Loaded(GoBGP):
    """GoBGP with many routes, which it tells everybody."""

    processors = 2

    def load(self, sets: int) -> None:
        """Takes them in from a file; `gobgp` forgets some of the last, so some stand twice."""
        path, told = self.dir / "routes.mrt", [*routes(sets)]
        path.write_bytes(mrt.dump(self.plan.asn, self.host.address, told + told[: ROUTES // 5]))
        self.ask("global", "policy", "export", "set", "own", "default", "accept")
        for _ in range(TRIES):
            self.ask("mrt", "inject", "global", str(path))
            if (size := self._size()) == ROUTES:
                return
        raise LabError(f"GoBGP has {size} routes of {ROUTES}")

    def _size(self) -> int:
        told = json.loads(self.ask("global", "rib", "summary", "-a", "ipv4", "-j"))
        return int(told.get("num_path", told.get("num_destination", 0)))


class Transfer:
    """How long a table took: ``sent`` from the first to the last byte, ``taken`` from the first
    byte to the last route in the router's table; seconds. ``updates``: how many messages."""

    def __init__(self, told: list[Update], done: float) -> None:
        told = [update for update in told if update.announced]
        prefixes = {prefix for update in told for prefix in update.announced}
        if len(prefixes) != ROUTES:
            raise LabError(f"the sniffer saw {len(prefixes)} routes instead of {ROUTES}")
        began = told[0].began
        self.sent, self.taken = told[-1].ended - began, done - began
        self.updates = len(told)


def _transfer(capture: Capture, done: float) -> Transfer:
    if capture.dropped:
        raise LabError(f"the sniffer missed {capture.dropped} frames")
    return Transfer(updates(capture.frames()), done)


# --- rows -----------------------------------------------------------------------------------------


def table(sets: int) -> Callable[[Pair, int], Values]:
    """The rows' run for so many sets of attributes; who begins changes with each run."""

    def once(stage: Pair, number: int) -> Values:
        tellers = {"ours": stage.ours, "gobgp": stage.gobgp}
        order = sorted(tellers, reverse=number % 2 == 0)
        done = {name: stage.transfer(tellers[name](sets)) for name in order}
        found: dict[str, float] = {}
        for router, name in NAMES.items():
            ours, theirs = done["ours"][router], done["gobgp"][router]
            found |= {
                f"sent-{name}": ours.sent,
                f"sent-{name}-gobgp": theirs.sent,
                f"table-{name}": ours.taken,
                f"table-{name}-gobgp": theirs.taken,
                f"ratio-{name}": ours.taken / theirs.taken,
            }
        return found

    return once


def wishes(what: str) -> dict[str, Wish]:
    found = {}
    for name in NAMES.values():
        told = f"{what} to {name}"
        found |= {
            f"sent-{name}": Wish(f"{told}: first byte to last", most=SENT),
            f"sent-{name}-gobgp": Wish(f"{told}: first byte to last, by GoBGP"),
            f"table-{name}": Wish(f"{told}: first byte to all in its table", most=TABLE),
            f"table-{name}-gobgp": Wish(f"{told}: first byte to all in its table, by GoBGP"),
            f"ratio-{name}": Wish(f"{told}: that by GoBGP's", TIMES, p50=RATIO),
        }
    return found


ROWS = (
    Row("table", wishes("10,000 routes"), table(1), 0.5, 12, stage=Pair),
    Row("table-sets", wishes("10,000 routes in 100 sets"), table(100), 0.25, 12, stage=Pair),
)
