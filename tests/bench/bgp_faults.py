"""Rows in which nodes die, are drained or get a new speaker, under a client behind the router.

In the nodes' place of speaking BGP it is us, and then FRR, in the same scene and run.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, Self

from bench import flows
from bench.bgp_stages import FAST, OURS, PROFILE, SPREAD, THEIRS, Upgraded
from bench.deaths import failed
from bench.rows import Row, Values
from bench.table import COUNT, Wish
from lab import packages, sockets
from lab.bgp_scene import WEB_PORT, Layout, Scene, Speaker
from lab.errors import LabError
from lab.host import Host
from lab.prober import Prober
from lab.processes import Process
from lab.progress import Lines
from lab.routers.frr import FRR
from lab.routers.router import Exported, Family, Neighbor, Plan
from lab.waiting import until

SERVICE = "198.51.100.1"
PREFIX = f"{SERVICE}/32"
ECHO_PORT = 9000
GRACEFUL_SHUTDOWN = "65535:0"
DRAIN_TIME = 2.0  # seconds
FLOWS, FIRST_PORT = 64, 20_000
GONE = 0.25  # seconds until a dead node's way is gone
LOOK = 2.0  # seconds after a fault, in which every attempt has ended
BEFORE = 0.5  # seconds for which all works before it is disturbed


class Teller(ABC):
    """Who speaks BGP on one node and tells of the Service."""

    def __init__(self, host: Host, router: str) -> None:
        self.host, self.router = host, router

    @abstractmethod
    def start(self) -> None:
        """Starts it."""

    @abstractmethod
    def drain(self) -> None:
        """GRACEFUL_SHUTDOWN, and withdrawal `DRAIN_TIME` later; returns at once or after it."""

    @abstractmethod
    def stop(self) -> None:
        """Ends it, at once."""


class Ours(Teller):
    """Our speaker, without Kubernetes."""

    def start(self) -> None:
        self._speaker = Speaker(self.host)
        self._want(draining=False)
        self._speaker.start()

    def _want(self, draining: bool) -> None:
        peer = {"name": "r1", "myASN": OURS, "peerASN": THEIRS, "address": self.router}
        peer |= {"holdTime": 9, "connectTime": 1, "drainTime": DRAIN_TIME, "bfd": PROFILE}
        self._speaker.want([peer], [{"prefix": PREFIX}], draining=draining)

    def drain(self) -> None:
        self._want(draining=True)
        self._speaker.process.signal(signal.SIGHUP)

    def stop(self) -> None:
        self._speaker.kill()


class Theirs(Teller):
    """FRR with a static route."""

    def start(self) -> None:
        neighbor = Neighbor(
            THEIRS, self.router, families=(Family.IPV4,), bfd=FAST, exports=True, hold_time=9
        )
        plan = Plan(OURS, self.host.address, (neighbor,), (Exported(PREFIX),))
        self._frr = FRR(self.host, plan)
        self._frr.start()
        self._configure("bgp route-map delay-timer 0")  # a change is told at once

    def _configure(self, *lines: str) -> None:
        if against := self._frr.bgpd.configure(lines):
            raise LabError("; ".join(against))

    def drain(self) -> None:
        draining = Exported(PREFIX, communities=(GRACEFUL_SHUTDOWN,))
        self._frr.apply(replace(self._frr.plan, routes=(draining,)))
        time.sleep(DRAIN_TIME)
        family = "address-family ipv4 unicast"
        self._configure(f"router bgp {OURS}", family, f"no network {PREFIX}")

    def stop(self) -> None:
        self._frr.kill()


class Ways:
    """Three nodes that serve, FRR that spreads a client's connections over them, with BFD."""

    title: ClassVar[str] = "three nodes, FRR and a client behind it"

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Self]:
        """The scene; gone at the end."""
        packages.install(Lines())
        with Scene(Layout(nodes=3, routers=1, clients=1)) as scene:
            stage = cls(scene)
            try:
                stage.router.start()
                yield stage
            finally:
                stage.router.kill()

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.nodes = [name for name in scene.hosts if name[0] == "n"]
        given = {"families": (Family.IPV4,), "bfd": FAST}
        neighbors = tuple(Neighbor(OURS, scene[name].address, **given) for name in self.nodes)
        router = scene["r1"]
        self.router = FRR(router, Plan(THEIRS, router.address, neighbors, kernel=True))
        sockets.sysctls(router.namespace, SPREAD)
        self._echoes: dict[str, Process] = {}
        for name in self.nodes:
            scene.serve(name, SERVICE)

    @contextlib.contextmanager
    def telling(self, kind: type[Teller]) -> Iterator[dict[str, Teller]]:
        """Lets all nodes tell of the Service, until the router has a way by each."""
        tellers = {name: kind(self.scene[name], self.router.host.address) for name in self.nodes}
        started: list[Teller] = []
        try:
            for teller in tellers.values():
                started.append(teller)
                teller.start()
            self.wait(*self.nodes)
            yield tellers
        finally:
            for teller in started:
                teller.stop()
            self.wait()

    def wait(self, *nodes: str) -> None:
        """Until the router has ways by exactly these nodes, and BFD with each."""
        wanted = {self.scene[name].address for name in nodes}
        what = f"{PREFIX} leads to {', '.join(nodes) or 'nobody'}"
        until(lambda: self.next_hops() == wanted, what, 30)
        until(lambda: self._bfd() == wanted, f"BFD with {', '.join(nodes) or 'nobody'}", 15)

    def next_hops(self) -> frozenset[str]:
        """To where the router's kernel sends what is for the Service."""
        return self.router.kernel_routes(Family.IPV4).get(PREFIX, frozenset())

    def _bfd(self) -> set[str]:
        return {peer for peer, one in self.router.bfd().items() if one.up}

    @contextlib.contextmanager
    def client(self) -> Iterator[Prober]:
        """A client that connects every 10 ms."""
        prober = Prober(self.scene["c1"], SERVICE, WEB_PORT)
        try:
            until(lambda: sum(a.ok for a in prober.attempts()) >= 20, "the client connects")
            time.sleep(BEFORE)
            yield prober
        finally:
            prober.stop()

    @contextlib.contextmanager
    def held(self) -> Iterator[flows.Flows]:
        """Connections that are held. Servers are new, and know none of those before."""
        for echo in self._echoes.values():
            echo.kill()
        for name in self.nodes:
            self._echoes[name] = flows.serve(self.scene[name], ECHO_PORT)
        with flows.held(self.scene["c1"], SERVICE, ECHO_PORT, FLOWS, FIRST_PORT) as held:
            yield held

    # --- power ------------------------------------------------------------------------------------

    def power_off(self, node: str) -> float:
        """The link first, then all that runs there; the moment (monotonic)."""
        host = self.scene[node]
        pids = host.pids()
        with self._lan() as lan:
            now = time.monotonic()
            sockets.set_link(lan, host.link, up=False)
        host.kill_processes(pids)
        host.kill_processes()
        return now

    def power_on(self, node: str) -> None:
        """The link, and the server; who tells is the caller's to start."""
        with self._lan() as lan:
            sockets.set_link(lan, self.scene[node].link, up=True)
        self.scene.serve(node)

    def _lan(self) -> socket.socket:
        lan = f"{self.scene.run.prefix}lan"
        return sockets.open_in(lan, socket.AF_INET, socket.SOCK_DGRAM)


KINDS: Mapping[str, type[Teller]] = {"ours": Ours, "theirs": Theirs}


def both(play: Callable[[Ways, str, type[Teller]], dict[str, float]]) -> Callable[..., Values]:
    """A run with us in the nodes' place, and with FRR; who begins, and which node, changes."""

    def once(stage: Ways, number: int) -> Values:
        node = stage.nodes[number % len(stage.nodes)]
        done = {
            name: play(stage, node, KINDS[name]) for name in sorted(KINDS, reverse=number % 2 == 1)
        }
        found = dict(done["ours"])
        for name, value in done["theirs"].items():
            found[f"{name}-frr"] = value
            found[f"{name}-more"] = found[name] - value
        return found

    return once


def beside(name: str, ours: Wish, judged: bool = False) -> dict[str, Wish]:
    """Our figure, FRR's, and the difference; ``judged``: it should not be above 0."""
    return {
        name: ours,
        f"{name}-frr": Wish(f"{ours.what}, FRR on the nodes", ours.unit),
        f"{name}-more": Wish(f"{ours.what}, more than FRR", ours.unit, no_more=judged),
    }


# --- a node dies ----------------------------------------------------------------------------------


def dies(stage: Ways, node: str, kind: type[Teller]) -> dict[str, float]:
    """A node's power is cut; then it is switched on again."""
    others = [name for name in stage.nodes if name != node]
    with stage.telling(kind) as tellers:
        with stage.client() as client, stage.router.watch_kernel() as watch:
            fault = stage.power_off(node)
            time.sleep(LOOK)
            told = [change.at for change in watch.changes() if change.prefix == PREFIX]
            lost = failed([client], fault)
        stage.wait(*others)
        stage.power_on(node)
        tellers[node].stop()
    gone = [at - fault for at in told if at >= fault]
    return {"gone": min(gone, default=float("inf")), "failed": lost}


DEAD = Row(
    "dead-node",
    {
        **beside("gone", Wish("node killed, BFD 3 x 50 ms: its way is gone", most=GONE)),
        **beside("failed", Wish("node killed: failed connections, one every 10 ms", COUNT), True),
    },
    both(dies),
    seconds=15,
    stage=Ways,
)

# --- a node is drained ----------------------------------------------------------------------------


def drained(stage: Ways, node: str, kind: type[Teller]) -> dict[str, float]:
    """A node is given up by its teller, while connections to it are held and new ones are made."""
    others = [name for name in stage.nodes if name != node]
    with (
        stage.telling(kind) as tellers,
        stage.held() as held,
        stage.client() as client,
    ):
        early = len(held.lost())
        began = time.monotonic()
        tellers[node].drain()
        until(lambda: not _told(stage, node), f"{node} tells nothing any more", 15)
        hops = {stage.scene[name].address for name in others}
        until(lambda: stage.next_hops() == hops, "its way is gone", 5)
        time.sleep(LOOK)
        lost = [loss for loss in held.lost() if loss.at >= began]
        return {"failed": failed([client], began), "lost": len(lost), "early": early}


def _told(stage: Ways, node: str) -> bool:
    ways = stage.router.routes(Family.IPV4).get(PREFIX, ())
    return any(way.peer == stage.scene[node].address for way in ways)


DRAINED = Row(
    "drain",
    {
        **beside("failed", Wish("node drained: failed new connections", COUNT, most=0), True),
        **beside("lost", Wish(f"node drained: lost of {FLOWS} held connections", COUNT), True),
        **beside("early", Wish("held connections lost before the drain", COUNT, most=0)),
    },
    both(drained),
    share=0.5,
    seconds=16,
    stage=Ways,
)

# --- speakers are upgraded ------------------------------------------------------------------------

ATTEMPTS = 1000  # by each router
PAUSE = 0.3  # seconds between the end of a speaker and the start of the next


def upgraded(stage: Upgraded, number: int) -> Values:
    """Each node's speaker ends and another one starts, one node after the other."""
    with contextlib.ExitStack() as stack:
        clients = {
            router: stack.enter_context(_client(stage, outsider))
            for router, outsider in (("FRR", "o1"), ("BIRD", "o2"))
        }
        watches = {
            router.name: stack.enter_context(router.watch_kernel())
            for router in stage.routers.values()
        }
        time.sleep(BEFORE)
        began = time.monotonic()
        for node in stage.lab.node_names:
            _restart(stage, node)
        until(partial(_enough, clients, began), f"{ATTEMPTS} attempts each", 60, every=0.1)
        time.sleep(LOOK)
        found: dict[str, float] = {}
        for name, client in clients.items():
            gone = [c for c in watches[name].changes() if c.what == "gone" and c.at >= began]
            found[f"attempts-{name}"] = len(client.attempts(began))
            found[f"failed-{name}"] = failed([client], began)
            found[f"gone-{name}"] = len(gone)
    return found


@contextlib.contextmanager
def _client(stage: Upgraded, outsider: str) -> Iterator[Prober]:
    prober = Prober(stage.lab.host(outsider), stage.address)
    try:
        until(lambda: sum(a.ok for a in prober.attempts()) >= 20, f"{outsider} connects")
        yield prober
    finally:
        prober.stop()


def _enough(clients: Mapping[str, Prober], since: float) -> bool:
    return all(len(client.attempts(since)) >= ATTEMPTS for client in clients.values())


def _restart(stage: Upgraded, node: str) -> None:
    before = stage.ups(node)
    stage.running[node].terminate()
    stage.running[node].wait()
    time.sleep(PAUSE)
    stage.running[node] = stage.programs.speaker(node)

    def again() -> bool:
        now = stage.ups(node)
        return all(now[name] not in (None, before[name]) for name in now)

    until(again, f"{node}'s sessions are up again", 30, every=0.1)
    time.sleep(BEFORE)  # its table is told


UPGRADED = Row(
    "upgrade",
    {
        f"{figure}-{name}": Wish(f"speakers restarted one by one, {name}: {what}", COUNT, most=most)
        for name in ("FRR", "BIRD")
        for figure, what, most in (
            ("attempts", "connection attempts", None),
            ("failed", "failed", 0),
            ("gone", "routes gone meanwhile", 0),
        )
    },
    upgraded,
    share=0.25,
    seconds=27,
    stage=Upgraded,
)

ROWS = (DEAD, DRAINED, UPGRADED)
