"""A cluster with routers, on which rows of BGP are played: our programs at work, sessions up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Self

from lab import sockets
from lab.bare import Bare
from lab.processes import Process
from lab.programs import NAMESPACE, Programs
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.router import Bfd, Family, Neighbor, Plan, Restart, Router
from lab.waiting import until

OURS, THEIRS = 64512, 64513
FAST = Bfd(50, 3)
PROFILE = {"receiveInterval": 50, "transmitInterval": 50, "detectMultiplier": 3}
POOL = "198.18.0.0/20"
# Packets go by their own fields. For policy 1 Linux takes the sender's random hash if the sender is
# on the same machine, which no router outside a lab does.
SPREAD = {"net/ipv4/fib_multipath_hash_policy": "3", "net/ipv4/fib_multipath_hash_fields": "55"}


class Routed:
    """Nodes with speakers, a controller, and a session of each node with each router."""

    title: ClassVar[str] = "three nodes and FRR"
    options: ClassVar[Mapping[str, Any]] = {"nodes": 3, "outsiders": 0, "kube_proxy": False}
    kinds: ClassVar[Mapping[str, type[Router]]] = {"r1": FRR}
    neighbor: ClassVar[Mapping[str, Any]] = {}  # what routers say of nodes besides the address
    peer: ClassVar[Mapping[str, Any]] = {}  # what BGPPeers say besides addresses and numbers
    bfd: ClassVar[tuple[str, ...]] = ()  # the routers that have BFD with the nodes

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Self]:
        """All of it at work; gone at the end."""
        with Bare(routers=len(cls.kinds), clients=0, **cls.options) as lab:
            stage = cls(lab)
            try:
                stage.begin()
                yield stage
            finally:
                for router in stage.routers.values():
                    router.kill()

    def __init__(self, lab: Bare) -> None:
        self.lab = lab
        self.programs = Programs(lab)
        self.routers = {name: self._router(name) for name in self.kinds}
        self.running: dict[str, Process] = {}

    def _router(self, name: str) -> Router:
        given = {"families": (Family.IPV4,), **self.neighbor}
        if name in self.bfd:
            given["bfd"] = FAST
        nodes = [self.lab.node(node).address for node in self.lab.node_names]
        neighbors = tuple(Neighbor(OURS, address, **given) for address in nodes)
        host = self.lab.host(name)
        return self.kinds[name](host, Plan(THEIRS, host.address, neighbors, kernel=True))

    def begin(self) -> None:
        """Routers first, then what users apply, then our programs."""
        for router in self.routers.values():
            router.start()
        self.programs.pool("main", POOL)
        self.apply("BFDProfile", "fast", PROFILE)
        self.apply("BGPAdvertisement", "bgp", {})
        for name in self.routers:
            address = self.lab.host(name).address
            spec = {"myASN": OURS, "peerASN": THEIRS, "peerAddress": address, **self.peer}
            if name in self.bfd:
                spec["bfdProfile"] = "fast"
            self.apply("BGPPeer", name, spec, "v1beta2")
        self.running["controller-1"] = self.programs.controller()
        for node in self.lab.node_names:
            self.running[node] = self.programs.speaker(node)
        for name, router in self.routers.items():
            router.wait_established(timeout=40)
            if name in self.bfd:
                until(partial(_bfd_up, router), f"BFD of {name} is up")

    def apply(
        self, kind: str, name: str, spec: Mapping[str, Any], version: str = "v1beta1"
    ) -> None:
        """Applies one of metallb.io's objects."""
        metadata = {"name": name, "namespace": NAMESPACE}
        head = {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": metadata}
        self.lab.apply(head | {"spec": dict(spec)})

    def metrics(self, node: str) -> str:
        """What a node's speaker shows to Prometheus."""
        return self.lab.node(node).run(["curl", "-s", "http://127.0.0.1:9120/metrics"]).stdout


class Crowded(Routed):
    """Two nodes, five routers: FRR with BFD, and BIRD, which is small."""

    title = "two nodes and five routers"
    options: ClassVar[Mapping[str, Any]] = {**Routed.options, "nodes": 2}
    kinds: ClassVar[Mapping[str, type[Router]]] = {
        "r1": FRR,
        **{f"r{number}": BIRD for number in range(2, 6)},
    }
    bfd = ("r1",)


class Upgraded(Routed):
    """Three nodes that restart gracefully; FRR and BIRD with a client behind each."""

    title = "three nodes, FRR and BIRD, clients behind them"
    options: ClassVar[Mapping[str, Any]] = {"nodes": 3, "outsiders": 2}
    kinds: ClassVar[Mapping[str, type[Router]]] = {"r1": FRR, "r2": BIRD}
    neighbor: ClassVar[Mapping[str, Any]] = {"restart": Restart(helper=True)}
    peer: ClassVar[Mapping[str, Any]] = {"enableGracefulRestart": True, "holdTime": "9s"}
    service = "web"

    def begin(self) -> None:
        """The same, with a Service that both clients reach."""
        super().begin()
        behind = self.lab.host("o2").address.rpartition(".")[0]
        self.lab.host("o2").run(["ip", "route", "replace", "default", "via", f"{behind}.2"])
        for router in self.routers.values():
            sockets.sysctls(router.host.namespace, SPREAD)
        for node in self.lab.node_names:
            self.programs.web(node)
        self.programs.service(self.service, self.lab.node_names)
        self.address = self.programs.address(self.service)
        nodes = {self.lab.node(node).address for node in self.lab.node_names}
        for name, router in self.routers.items():
            until(lambda r=router: self.next_hops(r) == nodes, f"{name} has a way by each node", 20)

    def next_hops(self, router: Router) -> frozenset[str]:
        """To where a router's kernel sends what is for the Service."""
        return router.kernel_routes(Family.IPV4).get(f"{self.address}/32", frozenset())

    def ups(self, node: str) -> dict[str, float | None]:
        """Since when each router's session with a node is up; None where it is not."""
        address = self.lab.node(node).address
        found = {name: r.sessions()[address] for name, r in self.routers.items()}
        return {name: item.since if item.up else None for name, item in found.items()}


def _bfd_up(router: Router) -> bool:
    found = router.bfd()
    return len(found) == len(router.plan.neighbors) and all(one.up for one in found.values())
