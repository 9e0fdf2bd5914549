"""All that was found out about a cluster, as one value. What could not be read is None.

May live here: frozen values, and what is derived from them. May not: reading (`survey.py`),
judging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster
from bellmetal.config import Problem
from bellmetal.facts import Doubt, Finding, SessionFacts
from bellmetal.holdings import Holdings
from bellmetal.intents import Intents, Withheld
from bellmetal.resources import ReportedInterface
from bellmetal.sights import LookKind, NodeSights, Sight
from bellmetal.slices import SliceContents
from bellmetal.standing import Standing


@dataclass(frozen=True, slots=True)
class EndpointCounts:
    """The endpoints of a Service, by what they can do, and on which node (empty: none is named)."""

    ready: Mapping[str, int] = field(default_factory=dict)
    ending: Mapping[str, int] = field(default_factory=dict)  # serving while they end
    not_ready: Mapping[str, int] = field(default_factory=dict)

    @property
    def usable(self) -> int:
        """How many can serve."""
        return sum(self.ready.values()) + sum(self.ending.values())


@dataclass(frozen=True, slots=True)
class ServiceDetail:
    """Of the one Service that is asked about: what decisions do not look at.

    ``tcp_port`` 0: it has none. ``writer``: the field manager that wrote its addresses last.
    """

    type: str = "LoadBalancer"
    lb_class: str = ""
    ending: bool = False
    tcp_port: int = 0
    writer: str = ""
    endpoints: EndpointCounts = EndpointCounts()
    source_ranges: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leader:
    """The Lease: who leads, and for how long (in seconds) it has not been renewed."""

    name: str = ""
    silent_for: float = 0.0
    lasts: float = 0.0

    @property
    def leads(self) -> bool:
        """Whether anybody does."""
        return bool(self.name) and self.silent_for <= 2 * self.lasts


@dataclass(frozen=True, slots=True)
class NodeSession:
    """A BGP session of a node. ``doubt``: why what was reported may be out of date; ``since``:
    when it became as it is (RFC 3339)."""

    node: str
    facts: SessionFacts
    doubt: str = ""
    since: str = ""


@dataclass(frozen=True)
class Situation:
    """``allocations`` and ``intents`` are what the controller's own functions decide on what was
    read; ``told`` is what the slices say.

    ``problems``: of the configuration. ``answering``: Service key → nodes that say that they
    answer for it; ``sent``: Service key → node → BGPPeers that it has sent it to. ``speakers``:
    node → whether its speaker's pod is ready. ``sights``: what speakers see of their nodes;
    ``looks``: what they saw when they were asked to look, by node and address. ``client``: somebody
    who is not served. ``strays``: our kinds in other namespaces. ``unread``: what could not be
    read, in sentences.
    """

    namespace: str
    now: str  # RFC 3339
    cluster: Cluster
    held: Holdings
    allocations: Allocations
    intents: Intents
    told: SliceContents = SliceContents()
    lb_class: str = ""
    standing: Mapping[IPAddress, Standing] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    leader: Leader | None = None
    answering: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sent: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    speakers: Mapping[str, bool] | None = None
    sessions: tuple[NodeSession, ...] = ()
    doubts: tuple[tuple[str, Doubt], ...] = ()
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    interfaces: Mapping[str, tuple[ReportedInterface, ...]] = field(default_factory=dict)
    sights: Mapping[str, NodeSights] = field(default_factory=dict)
    looks: tuple[tuple[str, IPAddress, Sight], ...] = ()
    client: IPAddress | None = None
    strays: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @cached_property
    def withheld(self) -> Mapping[str, tuple[Withheld, ...]]:
        """Service key → what is not announced of it."""
        found: dict[str, tuple[Withheld, ...]] = {}
        for item in self.intents.withheld:
            found[item.service] = (*found.get(item.service, ()), item)
        return found

    @cached_property
    def in_use(self) -> frozenset[IPAddress]:
        """Every address that a Service has."""
        granted = self.allocations.granted.values()
        return frozenset(address for item in granted for address in item.addresses)

    def problem_of(self, kind: str, name: str) -> Problem | None:
        """The first problem of an object."""
        return next((p for p in self.problems if (p.kind, p.name) == (kind, name)), None)

    def looked(self, kind: LookKind, address: IPAddress) -> list[tuple[str, Sight]]:
        """What nodes saw when they were asked about an address."""
        return [
            (node, sight)
            for node, about, sight in self.looks
            if about == address and sight.kind == kind.value
        ]
