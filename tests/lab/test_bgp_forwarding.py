"""A client behind a router reaches a service on each node that announces it, and on no other.

c1 ── r1 (FRR or BIRD, ECMP) ── n1, n2, n3, each with a speaker and a web server
"""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab import packages, sockets
from lab.bgp_scene import WEB_PORT, Layout, Scene, Speaker
from lab.fixtures import require
from lab.prober import Prober
from lab.progress import Lines
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.router import BOTH, Bfd, Family, Neighbor, Plan, Restart, Router
from lab.waiting import until

pytestmark = pytest.mark.lab

SERVICE = {Family.IPV4: "198.51.100.80", Family.IPV6: "2001:db8::80"}
PREFIXES = tuple(f"{a}/{128 if ':' in a else 32}" for a in SERVICE.values())
NODES = ("n1", "n2", "n3")
OURS, THEIRS = 65100, 65001


@dataclass(frozen=True)
class Stage:
    scene: Scene
    router: Router
    speakers: dict[str, Speaker]

    def hops(self, family: Family) -> set[str]:
        """Where the kernel of the router sends it."""
        prefix = PREFIXES[BOTH.index(family)]
        return set(self.router.kernel_routes(family).get(prefix, ()))

    def answers(self, family: Family, times: int = 40) -> Counter[str]:
        """Which nodes answer a client that connects so many times."""
        host = self.scene["c1"].namespace
        return Counter(sockets.inside(host, lambda: _ask(SERVICE[family])) for _ in range(times))


def _ask(address: str) -> str:
    asked = http.client.HTTPConnection(address, WEB_PORT, timeout=3)
    try:
        asked.request("GET", "/")
        return asked.getresponse().read().decode().strip()
    finally:
        asked.close()


@contextmanager
def stage(kind: type[Router], graceful: bool = False) -> Iterator[Stage]:
    """Three nodes that announce the service over IPv4 sessions with BFD, and one router."""
    with Scene(Layout(nodes=3, clients=1)) as scene:
        more = {"bfd": Bfd(50, 3), "restart": Restart() if graceful else None}
        neighbors = [Neighbor(OURS, scene[node].address, **more) for node in NODES]
        plan = Plan(THEIRS, "192.0.2.1", tuple(neighbors), kernel=True)
        with kind(scene["r1"], plan) as router:
            speakers = {node: _speaker(scene, node, graceful) for node in NODES}
            router.wait_established()
            yield Stage(scene, router, speakers)


def _speaker(scene: Scene, node: str, graceful: bool) -> Speaker:
    scene.serve(node, *SERVICE.values())
    speaker = Speaker(scene[node])
    bfd = {"receiveInterval": 50, "transmitInterval": 50, "detectMultiplier": 3}
    peer = {"name": "r1", "address": scene["r1"].address, "myASN": OURS, "peerASN": THEIRS}
    more = {"dualStack": True, "connectTime": 1, "bfd": bfd, "gracefulRestart": graceful}
    speaker.want([{**peer, **more}], [{"prefix": prefix} for prefix in PREFIXES])
    speaker.start()
    return speaker


@pytest.fixture(scope="module", params=[FRR, BIRD], ids=lambda kind: kind.name)
def staged(request: pytest.FixtureRequest) -> Iterator[Stage]:
    require()
    packages.install(Lines())
    with stage(request.param) as made:
        yield made


@pytest.mark.parametrize("family", BOTH, ids=lambda family: family.value)
def test_connections_are_spread_over_all_nodes(staged: Stage, family: Family) -> None:
    until(lambda: len(staged.hops(family)) == len(NODES), "three next hops", 10)
    answers = staged.answers(family)
    assert set(answers) == set(NODES)
    assert answers.total() == 40


def test_a_node_that_ends_in_order_gets_no_more(staged: Stage) -> None:
    until(lambda: len(staged.hops(Family.IPV4)) == len(NODES), "three next hops", 10)
    staged.speakers["n3"].stop()
    until(lambda: len(staged.hops(Family.IPV4)) == 2, "two next hops", 5)
    assert set(staged.answers(Family.IPV4)) == {"n1", "n2"}
    staged.speakers["n3"].start()
    until(lambda: len(staged.hops(Family.IPV4)) == len(NODES), "three next hops again", 15)


def test_a_node_that_is_cut_off_is_found_out_by_bfd(staged: Stage) -> None:
    peer = staged.scene["n2"].address
    until(lambda: len(staged.hops(Family.IPV4)) == len(NODES), "three next hops", 15)
    until(lambda: staged.router.bfd()[peer].up, "BFD is up", 5)
    staged.scene.cut("n2")
    until(lambda: len(staged.hops(Family.IPV4)) == 2, "two next hops", 3)
    assert set(staged.answers(Family.IPV4)) == {"n1", "n3"}
    staged.scene.join("n2")
    until(lambda: len(staged.hops(Family.IPV4)) == len(NODES), "three next hops again", 20)


@pytest.mark.parametrize("kind", [FRR, BIRD], ids=lambda kind: kind.name)
def test_a_client_notices_nothing_when_speakers_restart_gracefully_with_bfd(
    kind: type[Router],
) -> None:
    require()
    with stage(kind, graceful=True) as staged:
        for family in BOTH:
            until(lambda f=family: len(staged.hops(f)) == len(NODES), "three next hops", 10)
        probers = [Prober(staged.scene["c1"], a, WEB_PORT, 0.02) for a in SERVICE.values()]
        for prober in probers:
            until(lambda p=prober: any(one.ok for one in p.attempts()), "a connection", 10)
        with staged.router.watch_kernel() as seen:
            began = time.monotonic()
            for node in NODES:
                restarted = time.monotonic()
                _restart(staged, node)
                assert all(prober.attempts(restarted) for prober in probers)
            lost = [prober.broken(began) for prober in probers]
        assert lost == [[], []]
        if kind is FRR:  # BIRD writes a route anew whenever one of its next hops is told again
            assert [change for change in seen.changes() if change.prefix in PREFIXES] == []


def test_routes_that_are_kept_over_restarts_do_not_outlive_their_node() -> None:
    """With FRR, which is not told to ignore BFD (`check-control-plane-failure`)."""
    require()
    with stage(FRR, graceful=True) as staged:
        for family in BOTH:
            until(lambda f=family: len(staged.hops(f)) == len(NODES), "three next hops", 10)
        until(lambda: all(b.up for b in staged.router.bfd().values()), "BFD is up", 10)
        staged.scene.cut("n3")
        for family in BOTH:
            until(lambda f=family: len(staged.hops(f)) == 2, "two next hops", 3, every=0.02)


def _restart(staged: Stage, node: str) -> None:
    """Ends a node's speaker and starts it again; returns once the router has its routes anew."""
    peer = staged.scene[node].address
    staged.speakers[node].stop()
    until(lambda: not staged.router.sessions()[peer].up, "the session has ended", 5)
    assert len(staged.hops(Family.IPV4)) == len(NODES)
    staged.speakers[node].start()
    staged.router.wait_established(peer)
    until(lambda: not _stale(staged.router, peer), "its routes are new", 10)


def _stale(router: Router, peer: str) -> bool:
    ways = [way for family in BOTH for found in router.routes(family).values() for way in found]
    return any(way.stale for way in ways if way.peer == peer)
