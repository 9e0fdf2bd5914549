"""Rows of many routes in one speaker, out of the API: what it keeps up meanwhile, what it weighs.

No controller runs: slices are written as it would write them, by its own packing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from bellmetal.config import BFDProfile
from bellmetal.intents import Intents, NodeSet, PeerPlan, Route, ServiceId
from bellmetal.packing import pack
from bellmetal.resources import AnnouncementSlice
from bench.bgp_stages import FAST, OURS, THEIRS
from bench.figures import cpu, rss
from bench.rows import Row, Values
from bench.table import COUNT, MEGABYTES, PERCENT, SECONDS, Wish
from lab.bare import Bare
from lab.host import Host
from lab.processes import Process
from lab.programs import NAMESPACE, Programs
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.router import Family, Neighbor, Plan, Router
from lab.waiting import until

URL = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/announcementslices"
FIRST = ipaddress.IPv4Address("198.18.0.0")
AT_ONCE = 8  # writes in flight
PROFILE = BFDProfile("fast", 50, 50, 3)


class Loaded:
    """One node with our speaker, routers as its peers, and slices that are ours to write."""

    title: ClassVar[str]
    nodes: ClassVar[int] = 1
    kinds: ClassVar[Mapping[str, type[Router]]]  # the speaker's peers; all that are FRR have BFD
    others: ClassVar[int] = 0  # routers that are nothing to the speaker

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Self]:
        """All of it at work, without a route; gone at the end."""
        options = {"clients": 0, "outsiders": 0, "kube_proxy": False, "controller_manager": False}
        count = len(cls.kinds) + cls.others
        with Bare(nodes=cls.nodes, routers=count, **options) as lab:
            stage = cls(lab)
            try:
                stage.begin()
                yield stage
            finally:
                for router in stage.routers.values():
                    router.kill()

    def __init__(self, lab: Bare) -> None:
        self.lab, self.node = lab, lab.node("n1")
        self.programs = Programs(lab)
        self.routers = {name: self._router(name) for name in self.kinds}
        self._all = NodeSet("all", {"n1": self.node.address})
        self._slices: dict[str, AnnouncementSlice] = {}
        self.speaker: Process

    def _router(self, name: str) -> Router:
        kind, host = self.kinds[name], self.lab.host(name)
        bfd = FAST if kind is FRR else None
        neighbor = Neighbor(OURS, self.node.address, families=(Family.IPV4,), bfd=bfd)
        return kind(host, Plan(THEIRS, host.address, (neighbor,)))

    def begin(self) -> None:
        """Starts everything."""
        for router in self.routers.values():
            router.start()
        self.write(0)
        self.speaker = self.programs.speaker("n1", "--port=0", "--health-probe-port=0")
        for router in self.routers.values():
            router.wait_established(timeout=30)
            if isinstance(router, FRR):
                until(partial(_bfd_up, router), f"BFD of {router.host.name}", 15)

    def write(self, count: int) -> None:
        """Writes slices with so many routes, as fast as the API takes them."""
        routes = tuple(
            Route(
                ipaddress.IPv4Network(f"{FIRST + number}/32"),
                "all",
                services=(ServiceId("default", f"web-{number}", f"uid-{number}"),),
            )
            for number in range(count)
        )
        peers = tuple(self._peer(name) for name in self.routers)
        intents = Intents(node_sets=(self._all,), routes=routes, peers=peers)
        changes = pack(intents, self._slices)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._apply, [*changes.write, *changes.vacate]))
            list(pool.map(self._delete, changes.delete))

    def _peer(self, name: str) -> PeerPlan:
        return PeerPlan(
            name,
            "all",
            OURS,
            THEIRS,
            address=ipaddress.ip_address(self.lab.host(name).address),
            hold_time=9,
            connect_time=1,
            bfd=PROFILE if self.kinds[name] is FRR else None,
        )

    def _apply(self, item: AnnouncementSlice) -> None:
        path = f"{URL}/{item.metadata.name}?fieldManager=bench&force=true"
        body = msgspec.to_builtins(item)
        self.lab.rest.request("PATCH", path, body, "application/apply-patch+yaml")
        self._slices[item.metadata.name] = item

    def _delete(self, item: AnnouncementSlice) -> None:
        self.lab.rest.request("DELETE", f"{URL}/{item.metadata.name}")
        del self._slices[item.metadata.name]

    def wait(self, count: int, timeout: float = 60) -> None:
        """Until every router has so many routes."""
        for name, router in self.routers.items():
            until(lambda r=router: _received(r) == count, f"{count} routes at {name}", timeout)


def _received(router: Router) -> int:
    return sum(one.received.get(Family.IPV4, 0) for one in router.sessions().values())


def _bfd_up(router: FRR) -> bool:
    found = router.bfd().values()
    return len(found) == 1 and all(one.up for one in found)


# --- thousands arrive -----------------------------------------------------------------------------

ARRIVING = 5000
CALM = 1.0  # seconds of looking after all has arrived

_BUSY = "import os; os.sched_setaffinity(0, {{{}}})\nwhile True: pass"


class Beside(Loaded):
    """Our speaker and FRR; beside them FRR and FRR with the same BFD, to see what the machine does
    to anybody."""

    title = "a node with our speaker, a node with FRR, each with a router"
    nodes = 2
    kinds: ClassVar[Mapping[str, type[Router]]] = {"r1": FRR}
    others = 1

    def begin(self) -> None:
        """Starts the pair beside it first."""
        node, router = self.lab.node("n2"), self.lab.host("r2")
        self.pair = [_frr(node, OURS, router, THEIRS), _frr(router, THEIRS, node, OURS)]
        for one in self.pair:
            one.start()
        super().begin()
        for one in self.pair:
            one.wait_established(timeout=30)
            until(partial(_bfd_up, one), f"BFD of {one.host.name}", 15)

    def losses(self) -> Mapping[str, tuple[int, int]]:
        """BFD and BGP sessions that were lost so far, by the routers' count."""
        return {"ours": _losses(self.routers["r1"]), "frr": _losses(self.pair[1])}


def _frr(host: Host, asn: int, other: Host, their_asn: int) -> FRR:
    neighbor = Neighbor(their_asn, other.address, families=(Family.IPV4,), bfd=FAST)
    return FRR(host, Plan(asn, host.address, (neighbor,)))


def _losses(router: Router) -> tuple[int, int]:
    assert isinstance(router, FRR)
    bfd = router.bfdd.json("show bfd peers counters")
    bgp = router.bgpd.json("show bgp neighbors").values()
    return (
        sum(one["session-down"] for one in bfd),
        sum(one["connectionsDropped"] for one in bgp),
    )


@contextlib.contextmanager
def hog(host: Host) -> Iterator[None]:
    """Keeps the last of the machine's processors busy."""
    last = max(os.sched_getaffinity(0))
    process = host.spawn([sys.executable, "-S", "-c", _BUSY.format(last)], log="hog")
    try:
        yield
    finally:
        process.kill()


def arrive(stage: Beside, number: int) -> Values:
    """All at once; then they are taken away again."""
    with hog(stage.lab.control_plane_host):
        time.sleep(0.2)
        before = stage.losses()
        began = time.monotonic()
        stage.write(ARRIVING)
        written = time.monotonic()
        stage.wait(ARRIVING)
        there = time.monotonic()
        time.sleep(CALM)
        after = stage.losses()
    stage.write(0)
    stage.wait(0)
    found = {"written": written - began, "there": there - began}
    for who in before:
        for index, what in enumerate(("bfd", "bgp")):
            found[f"{what}-{who}"] = after[who][index] - before[who][index]
    return found


def _lost(who: str, what: str, most: int | None) -> dict[str, Wish]:
    words = {"bfd": "BFD", "bgp": "BGP"}
    return {
        f"{kind}-{who}": Wish(f"{what}: {word} sessions lost", COUNT, most=most)
        for kind, word in words.items()
    }


ARRIVAL = Row(
    "arrival",
    {
        "written": Wish("5,000 routes in 50 slices: written to the API", SECONDS),
        "there": Wish("from the first write to all of them at the router", SECONDS),
        **_lost("ours", "5,000 routes arrive, other core busy, BFD 3 x 50 ms", 0),
        **_lost("frr", "meanwhile between FRR and FRR beside it", None),
    },
    arrive,
    share=0.5,
    seconds=5,
    stage=Beside,
)

# --- weight ---------------------------------------------------------------------------------------

HEAVY = 10_000
REST = 60.0  # seconds of nothing to do, over which CPU is counted
STATUSES = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/servicebgpstatuses"
WRITING = 600.0  # seconds that a status for each Service may take: two writes, 50 a second at most
SETTLE = 10.0  # seconds after the last of them
MOST_RSS, MOST_CPU = 90.0, 0.01


class Heavy(Loaded):
    """A speaker with four peers, one of them with BFD."""

    title = "a node and four routers"
    kinds: ClassVar[Mapping[str, type[Router]]] = {"r1": FRR, "r2": BIRD, "r3": BIRD, "r4": BIRD}


def weigh(stage: Heavy, _: int) -> Values:
    """A speaker that has taken all in and has nothing to do."""
    stage.write(HEAVY)
    stage.wait(HEAVY)
    full = rss(stage.speaker.pid)
    began = time.monotonic()
    until(lambda: _statuses(stage) == HEAVY, f"{HEAVY} statuses are written", WRITING, every=2.0)
    written = time.monotonic() - began
    time.sleep(SETTLE)
    speaker = stage.speaker.pid
    helpers = children(speaker)
    before, began = cpu(speaker), time.monotonic()
    helped = cpu(*helpers)
    time.sleep(REST)
    passed = time.monotonic() - began
    return {
        "full": full,
        "written": written,
        "rss": rss(speaker),
        "cpu": (cpu(speaker) - before) / passed,
        "rss-bfd": sum(map(rss, helpers)),
        "cpu-bfd": (cpu(*helpers) - helped) / passed,
    }


def _statuses(stage: Heavy) -> int:
    found = stage.lab.rest.get(f"{STATUSES}?limit=1")
    return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    return [
        int(text)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for text in path.read_text().split()
    ]


WEIGHT = Row(
    "weight",
    {
        "full": Wish("speaker has told 10,000 routes to 4 peers: RSS at once", MEGABYTES),
        "written": Wish("until all statuses are written", SECONDS),
        "rss": Wish("speaker with 10,000 routes and 4 peers: RSS", MEGABYTES, most=MOST_RSS),
        "cpu": Wish("the same at rest for 60 s: of a core", PERCENT, most=MOST_CPU),
        "rss-bfd": Wish("its BFD process: RSS", MEGABYTES),
        "cpu-bfd": Wish("its BFD process with one session of 50 ms: of a core", PERCENT),
    },
    weigh,
    share=0.05,
    seconds=310,
    stage=Heavy,
)

ROWS = (ARRIVAL, WEIGHT)
