"""The cluster as one value: Services, Endpoints, Nodes, Namespaces' labels, configuration.

May live here: frozen values and predicates on one of them.
May not: JSON keys (`resources.py`), choices between objects (the decisions).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import Family, IPAddress, IPNetwork
from bellmetal.config import Config, OnOrphan


@dataclass(frozen=True, slots=True)
class Request:
    """What a Service asks for. ``fault`` is a sentence if it cannot be understood."""

    addresses: tuple[IPAddress, ...] = ()
    pool: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One of our conditions on a Service: written while something is wrong, removed after."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What a Service's status, annotation and conditions (ours alone) show now."""

    addresses: tuple[IPAddress, ...] = ()
    pool: str = ""
    conditions: tuple[Condition, ...] = ()
    foreign: bool = False  # an ingress entry that is no address (a hostname)


@dataclass(frozen=True, slots=True)
class Sharing:
    """The terms on which a Service shares an address: with its equals, on other ports.

    ``backend``: empty for externalTrafficPolicy Cluster, else the selector as text; ``ports`` as
    ``TCP/80``.
    """

    key: str = ""
    backend: str = ""
    ports: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """A short name of these terms; empty if it shares with nobody."""
        if not self.key:
            return ""
        text = "\0".join([self.key, self.backend, *sorted(self.ports)])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def agrees(self, other: Sharing) -> bool:
        """Whether both keys are the same, and they want to share at all."""
        return bool(self.key) and (self.key, self.backend) == (other.key, other.backend)


@dataclass(frozen=True, slots=True)
class Service:
    """A Service, as far as allocation and planning look at it."""

    namespace: str
    name: str
    uid: str
    created: str = ""  # RFC 3339, UTC: sorts as text
    wants_address: bool = True  # type LoadBalancer, our class, not being deleted
    ours: bool = True  # our class; what is not ours is never touched
    families: tuple[Family, ...] = (Family.IPV4,)
    family_policy: str = "SingleStack"
    cluster_ips: str = ""  # as text, for sentences
    local_only: bool = False  # externalTrafficPolicy: Local
    per_family: int = 1  # addresses of each family
    request: Request = Request()
    sharing: Sharing = Sharing()
    move_to: str = ""  # the node that should own its addresses, by a person's one-time order
    labels: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # annotations of ours that are unknown or wrong
    deprecated: tuple[str, ...] = ()  # annotations under MetalLB's old prefix
    shown: Shown = Shown()
    key: str = field(init=False, repr=False, compare=False)  # ``namespace/name``

    def __post_init__(self) -> None:
        # kept, as a pass asks for it a dozen times
        object.__setattr__(self, "key", f"{self.namespace}/{self.name}")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a Service's endpoints can serve: at all, and on which nodes.

    ``staying``: the nodes where one of them is not about to end.
    """

    serving: bool = False
    nodes: frozenset[str] = frozenset()
    staying: frozenset[str] = frozenset()

    def __or__(self, other: Endpoints) -> Endpoints:
        return Endpoints(
            self.serving or other.serving,
            self.nodes | other.nodes,
            self.staying | other.staying,
        )


@dataclass(frozen=True, slots=True)
class Link:
    """An interface that a node can announce on, as its speaker reports it, and its networks.

    ``ipv6``: it has a link-local address, without which nothing is announced in IPv6.
    """

    name: str
    networks: tuple[IPNetwork, ...] = ()
    ipv6: bool = False

    def speaks(self, family: Family) -> bool:
        """Whether addresses of that family can be announced on it."""
        return family is Family.IPV4 or self.ipv6


@dataclass(frozen=True, slots=True)
class Node:
    """A node. ``address`` is its InternalIP, where its speaker's gossip listens."""

    name: str
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    network_unavailable: bool = False
    draining: str = ""  # why its addresses should go elsewhere; empty: they should not

    EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"

    @property
    def excluded(self) -> bool:
        """Whether its label keeps load balancers away from it."""
        return Node.EXCLUDED in self.labels


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that decisions are made from."""

    config: Config = Config()
    services: Mapping[str, Service] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoints] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    speakers: frozenset[str] = frozenset()  # nodes whose speaker has reported
    links: Mapping[str, tuple[Link, ...]] = field(default_factory=dict)  # of those, as reported
    unsteady: frozenset[str] = frozenset()  # nodes that came and went too often lately
    ignore_exclude_label: bool = False
    on_orphan: OnOrphan = OnOrphan.KEEP  # where its pool does not say
    shy: frozenset[IPAddress] = frozenset()  # of nodes, gateways, their subnets: given last

    def living(self, name: str) -> bool:
        """Whether a node is ready, and its speaker has reported."""
        node = self.nodes.get(name)
        return node is not None and node.ready and name in self.speakers
