"""A cluster that speaks BGP: nodes with our programs, routers behind which a client is.

The client is outside: what it sends to a Service's address goes through the router, which spreads
it over the nodes (ECMP).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from types import TracebackType
from typing import Any, Self

from lab.bare import Bare
from lab.host import Host
from lab.processes import Process
from lab.programs import NAMESPACE, Programs
from lab.routers.router import Family, Neighbor, Plan, Router
from lab.waiting import until

OURS, THEIRS = 64512, 64513
POOL = "198.51.100.0/24"


class BGPCluster:
    """`with BGPCluster(FRR) as it`: control plane, speakers, one router of that kind, all at work.

    ``neighbor`` is what each node's neighbor statement on the router has besides the address;
    ``peer`` what the BGPPeer has besides addresses and numbers; ``controller``: its flags.
    """

    def __init__(
        self,
        router: Callable[[Host, Plan], Router],
        nodes: int = 3,
        neighbor: Mapping[str, Any] | None = None,
        peer: Mapping[str, Any] | None = None,
        controller: Iterable[str] = (),
        **lab: Any,
    ) -> None:
        self._controller = tuple(controller)
        self._kind, self._neighbor, self._peer = router, dict(neighbor or {}), dict(peer or {})
        self.lab = Bare(nodes=nodes, routers=1, **lab)
        self.running: dict[str, Process] = {}

    def __enter__(self) -> Self:
        self.lab.__enter__()
        try:
            self._begin()
        except BaseException as problem:
            self.__exit__(type(problem), problem, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if hasattr(self, "router"):
            self.router.kill()
        self.lab.__exit__(kind, problem, trace)

    def _begin(self) -> None:
        self.host = self.lab.host("r1")
        self.router = self._kind(self.host, self.plan())
        self.router.start()
        self.programs = Programs(self.lab)
        self.programs.pool("main", POOL)
        self.peer(**self._peer)
        self.advertise()
        self.running["controller-1"] = self.programs.controller("controller-1", *self._controller)
        for node in self.lab.node_names:
            self.speaker(node)

    def plan(self) -> Plan:
        """The router's: every node is a neighbor, what they tell goes into its kernel."""
        given = {"families": (Family.IPV4,), "asn": OURS, **self._neighbor}
        nodes = [self.lab.node(name) for name in self.lab.node_names]
        neighbors = tuple(Neighbor(address=node.address, **given) for node in nodes)
        return Plan(THEIRS, self.host.address, neighbors, kernel=True)

    def speaker(self, node: str, *flags: str) -> Process:
        """Starts a node's speaker."""
        self.running[node] = self.programs.speaker(node, *flags)
        return self.running[node]

    # --- what users apply -------------------------------------------------------------------------

    def peer(
        self, name: str = "r1", annotations: Mapping[str, str] | None = None, **spec: Any
    ) -> None:
        """Applies a BGPPeer."""
        body = {"myASN": OURS, "peerASN": THEIRS, "peerAddress": self.host.address, **spec}
        self.object("BGPPeer", name, body, annotations, "v1beta2")

    def advertise(
        self, name: str = "bgp", annotations: Mapping[str, str] | None = None, **spec: Any
    ) -> None:
        """Applies a BGPAdvertisement."""
        self.object("BGPAdvertisement", name, spec, annotations)

    def object(
        self,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        annotations: Mapping[str, str] | None = None,
        version: str = "v1beta1",
    ) -> None:
        """Applies one of metallb.io's objects."""
        metadata = {"name": name, "namespace": NAMESPACE, "annotations": dict(annotations or {})}
        head = {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": metadata}
        self.lab.apply(head | {"spec": dict(spec)})

    # --- looking ----------------------------------------------------------------------------------

    def established(self) -> None:
        """Until every node's session is up."""
        self.router.wait_established(timeout=30)

    def next_hops(self, address: str) -> frozenset[str]:
        """The nodes to which the router's kernel sends an address or a prefix, by name."""
        routes = self.router.kernel_routes(Family.of(address))
        names = {self.lab.node(name).address: name for name in self.lab.node_names}
        found = routes.get(str(ip_network(address)), frozenset())
        return frozenset(names.get(hop, hop) for hop in found)

    def wait_next_hops(self, address: str, *nodes: str, timeout: float = 15) -> None:
        """Until the router's kernel sends an address to exactly these nodes."""
        what = f"{address} leads to {', '.join(nodes) or 'nobody'}"
        until(lambda: self.next_hops(address) == set(nodes), what, timeout, every=0.02)

    def service(self, name: str = "web", nodes: Iterable[str] = (), **spec: Any) -> str:
        """Applies a Service with endpoints on these nodes, or on all; its address."""
        self.programs.service(name, nodes or self.lab.node_names, **spec)
        return self.programs.address(name)

    def ups(self) -> dict[str, float | None]:
        """Since when the router's sessions are up, by node."""
        names = {self.lab.node(name).address: name for name in self.lab.node_names}
        return {names[peer]: item.since for peer, item in self.router.sessions().items() if item.up}
