"""What was read of a cluster before anybody judges it: frozen, by what it is.

A field that could not be read is empty, and stands in ``unread`` with the reason. May live here:
nouns, and what several rooms ask of them. May not: findings, reading.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bellmetal import resources
from bellmetal.config import Config, Problem
from bellmetal.preflight import discovery, objects
from bellmetal.sight_reports import read_sights
from bellmetal.sights import NodeSights

PROGRAMS = ("controller", "speaker")
MEMBER_SECRET = "METALLB_ML_SECRET_NAME"  # the controllers' variable


@dataclass(frozen=True, slots=True)
class Unread:
    """Why something is not known. ``verb``: the right that is missing, if one is; ``namespace``
    empty: in the whole cluster. ``unknowable``: nobody is to blame."""

    why: str
    resource: str
    verb: str = ""
    namespace: str = ""
    unknowable: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """A right that somebody needs: ``who`` is a program, or a command of ours."""

    who: str
    verb: str
    group: str
    resource: str  # with its subresource: services/status
    namespaced: bool = True  # in our own namespace; else in the whole cluster
    name: str = ""

    @property
    def what(self) -> str:
        """The resource as RBAC and kubectl write it."""
        name, slash, sub = self.resource.partition("/")
        return f"{name}{'.' + self.group if self.group else ''}{slash}{sub}"


@dataclass(frozen=True, slots=True)
class KubeProxy:
    """kube-proxy as its ConfigMap says; ``fault``: why that cannot be understood. ``replaced_by``
    names who does its work."""

    mode: str = ""
    strict_arp: bool = False
    node_port_addresses: tuple[str, ...] = ()
    fault: str = ""
    replaced_by: str = ""


@dataclass(frozen=True)
class Seen:
    """All that was read. ``now``: the API server's clock; None if it does not tell."""

    namespace: str
    unread: Mapping[str, Unread] = field(default_factory=dict)
    now: datetime.datetime | None = None
    server: discovery.Version = discovery.Version()
    user: str = ""
    crds: Mapping[str, objects.Definition | None] = field(default_factory=dict)
    webhook: objects.WebhookConfiguration | None = None
    own_namespace: resources.Namespace | None = None
    deployments: tuple[objects.Workload, ...] = ()
    daemon_sets: tuple[objects.Workload, ...] = ()
    static_pods: tuple[objects.Workload, ...] = ()  # of kube-system, made by nodes' own manifests
    pods: tuple[objects.Pod, ...] = ()  # of our own namespace
    lease: resources.Lease | None = None
    has_secret: bool = False
    nodes: tuple[objects.Node, ...] = ()
    node_leases: tuple[resources.Lease, ...] = ()
    reports: tuple[resources.SpeakerReport, ...] = ()
    states: tuple[resources.ConfigurationState, ...] = ()
    refused_user: tuple[Want, ...] = ()
    refused_programs: tuple[Want, ...] = ()
    kube_proxy: KubeProxy | None = None
    pod_cidrs: tuple[str, ...] = ()  # as kubeadm was told
    service_cidrs: tuple[str, ...] = ()
    cilium_pools: tuple[objects.CiliumPool, ...] = ()
    cilium_policies: tuple[objects.CiliumPolicy, ...] = ()
    calico: tuple[objects.CalicoBGP, ...] = ()
    pools: tuple[resources.IPAddressPool, ...] = ()
    strays: tuple[resources.Object, ...] = ()  # configuration in other namespaces
    config: Config = field(default_factory=Config)
    problems: tuple[Problem, ...] = ()

    @property
    def workloads(self) -> Iterator[objects.Workload]:
        """Deployments, DaemonSets, and pods that stand for themselves."""
        yield from self.deployments
        yield from self.daemon_sets
        yield from self.static_pods

    def ours(self, program: str) -> list[objects.Workload]:
        """The workloads of one of our programs in our namespace."""
        return [one for one in self.all_ours(program) if one.metadata.namespace == self.namespace]

    def all_ours(self, program: str) -> list[objects.Workload]:
        """The same in all namespaces."""
        return [one for one in self.workloads if program in map(program_of, one.containers)]

    @property
    def installed(self) -> bool:
        """Whether a program of ours is to run in our namespace."""
        return any(self.ours(program) for program in PROGRAMS)

    @property
    def member_secret(self) -> str:
        """The name of the members' Secret, which the controllers make; empty: they make none."""
        for workload in self.ours("controller"):
            for container in workload.containers:
                for item in container.env:
                    if item.name == MEMBER_SECRET:
                        return item.value
        return ""

    def age(self, time: str | None) -> float | None:
        """Seconds since a time of RFC 3339, by the API server's clock; None: nobody can say."""
        if not time or self.now is None:
            return None
        return (self.now - datetime.datetime.fromisoformat(time)).total_seconds()

    @functools.cached_property
    def views(self) -> dict[str, NodeSights]:
        """Node → what its speaker sees of it; what nodes that are not ready said once is not it."""
        silent = {node.name for node in self.nodes if not node.ready}
        told = ((report.metadata.name, read_sights(report)) for report in self.reports)
        return {name: view for name, view in told if view is not None and name not in silent}

    @property
    def by_layer2(self) -> bool:
        """Whether layer 2 is used, or nobody has said what will be."""
        return bool(self.config.l2_advertisements) or not self.config.bgp_advertisements

    def argument(self, program: str, flag: str) -> str | None:
        """What a program is started with: ``--flag=value``; empty if it has no value."""
        for workload in self.ours(program):
            for container in workload.containers:
                for word in container.args:
                    name, _, value = word.partition("=")
                    if name == flag:
                        return value
        return None


def program_of(container: objects.Container) -> str:
    """Which program of ours a container runs; empty: none. Whatever its image is called."""
    first = container.args[0] if container.args else ""
    return first if first in PROGRAMS and container.name == first else ""
