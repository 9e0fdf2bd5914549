"""The cluster as watches and lists have told it, kept as nouns; becomes one Cluster value.

May live here: keeping objects up to date. May not: decisions, writes.
`Cluster` is the frozen value of a moment; this is where the moments come from.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from bellmetal import kube, resources
from bellmetal.addresses import IPAddress
from bellmetal.api import ApiError, Client
from bellmetal.carriers import Carriers
from bellmetal.cluster import Cluster, Endpoints, Node, Service
from bellmetal.config import PREFIX, Config, Labelled, OnOrphan, Problem
from bellmetal.damping import Damping
from bellmetal.follow import L2_STATUSES, REPORTS, SLICES, Collection, Kind
from bellmetal.validation import Objects, Validated, validate

log = logging.getLogger(__name__)

C = TypeVar("C", bound=resources.Object)


@dataclass(frozen=True, slots=True)
class Told:
    """A Service as told: its noun, and what is needed to refer to it in an event."""

    service: Service
    reference: resources.ObjectReference


SERVICES = Kind("", "v1", "services", resources.Service)
ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "endpointslices", resources.EndpointSlice)
NODES = Kind("", "v1", "nodes", resources.Node)
NAMESPACES = Kind("", "v1", "namespaces", resources.Namespace)
POOLS = Kind("metallb.io", "v1beta1", "ipaddresspools", resources.IPAddressPool, True)
L2_ADVERTISEMENTS = Kind(
    "metallb.io", "v1beta1", "l2advertisements", resources.L2Advertisement, True
)
BGP_ADVERTISEMENTS = Kind(
    "metallb.io", "v1beta1", "bgpadvertisements", resources.BGPAdvertisement, True
)
PEERS = Kind("metallb.io", "v1beta2", "bgppeers", resources.BGPPeer, True)
BFD_PROFILES = Kind("metallb.io", "v1beta1", "bfdprofiles", resources.BFDProfile, True)
COMMUNITIES = Kind("metallb.io", "v1beta1", "communities", resources.Community, True)


# Kinds that a cluster may not have yet: Helm leaves CRDs as they are when it upgrades.
OPTIONAL: frozenset[Kind[Any]] = frozenset([BGP_ADVERTISEMENTS, PEERS, BFD_PROFILES, COMMUNITIES])


class World:
    """All collections of the controller."""

    def __init__(
        self,
        lb_class: str,
        ignore_exclude_label: bool,
        on_orphan: OnOrphan = OnOrphan.KEEP,
        drain_on_cordon: bool = False,
    ) -> None:
        self._ignore_exclude_label, self._on_orphan = ignore_exclude_label, on_orphan
        self.carriers, self.damping = Carriers(), Damping()
        self.services: Collection[resources.Service, Told] = Collection(
            SERVICES, lambda body: _told(body, lb_class)
        )
        self.endpoint_slices: Collection[resources.EndpointSlice, tuple[str, Endpoints]] = (
            Collection(ENDPOINT_SLICES, lambda body: (kube.service_of(body), kube.endpoints(body)))
        )
        self.nodes: Collection[resources.Node, tuple[Node, Labelled]] = Collection(
            NODES, lambda body: (kube.node(body, drain_on_cordon), _labelled(body))
        )
        self.namespaces: Collection[resources.Namespace, Labelled] = Collection(
            NAMESPACES, _labelled
        )
        self.pools = Collection(POOLS, _configuration)
        self.l2_advertisements = Collection(L2_ADVERTISEMENTS, _configuration)
        self.bgp_advertisements = Collection(BGP_ADVERTISEMENTS, _configuration)
        self.peers = Collection(PEERS, _configuration)
        self.bfd_profiles = Collection(BFD_PROFILES, _configuration)
        self.communities = Collection(COMMUNITIES, _configuration)
        self.l2_statuses: Collection[resources.ServiceL2Status, resources.ServiceL2Status] = (
            Collection(L2_STATUSES, lambda body: body)
        )
        self.reports: Collection[resources.SpeakerReport, resources.SpeakerReport] = Collection(
            REPORTS, lambda body: body, _decisive
        )
        self.slices: Collection[resources.AnnouncementSlice, resources.AnnouncementSlice] = (
            Collection(SLICES, lambda body: body)
        )
        self.optional: frozenset[Kind[Any]] = OPTIONAL
        self._validated: tuple[Objects, Validated] | None = None
        self._shy: tuple[tuple[resources.SpeakerReport, ...], frozenset[IPAddress]] = (
            (),
            frozenset(),
        )
        self._absent: set[str] = set()  # plurals of kinds that the cluster does not have

    def collections(self) -> tuple[Collection[Any, Any], ...]:
        """All of them."""
        return (
            self.services,
            self.endpoint_slices,
            self.nodes,
            self.namespaces,
            self.pools,
            self.l2_advertisements,
            self.bgp_advertisements,
            self.peers,
            self.bfd_profiles,
            self.communities,
            self.reports,
            self.slices,
            self.l2_statuses,
        )

    def told_by_kopf(self) -> tuple[Collection[Any, Any], ...]:
        """All but EndpointSlices, which come by our own watch."""
        return tuple(item for item in self.collections() if item is not self.endpoint_slices)

    async def load(self, client: Client, namespace: str) -> bool:
        """Lists everything; whether anything differed from what was known."""
        changed = False
        for collection in self.collections():
            bodies, version = await self._list(collection, client, namespace)
            if collection.take_all(bodies, version):
                log.debug("the list of %s brought news", collection.kind.plural)
                changed = True
        return changed

    async def _list(
        self, collection: Collection[Any, Any], client: Client, namespace: str
    ) -> tuple[list[Any], str]:
        """Bodies and version; what is ours to configure is decoded one by one, as it may not be
        readable."""
        kind = collection.kind
        path = kind.path(namespace if kind.namespaced else "")
        if not kind.namespaced:
            return await client.list(kind.struct, path)
        try:
            found, version = await client.list(msgspec.Raw, path)
        except ApiError as error:
            if not error.gone or kind not in self.optional:
                raise
            if kind.plural not in self._absent and kind in OPTIONAL:
                log.warning("the cluster has no %s.%s: apply the CRDs", kind.plural, kind.group)
            self._absent.add(kind.plural)
            return [], ""
        self._absent.discard(kind.plural)
        return [collection.decode(item) for item in found], version

    def still(self) -> World:
        """A copy that changes no more: for what is found out beside the event loop."""
        copied = copy.copy(self)
        for name, item in vars(self).items():
            if isinstance(item, Collection):
                setattr(copied, name, item.still())
        copied.carriers, copied.damping = copy.copy(self.carriers), copy.deepcopy(self.damping)
        return copied

    def validated(self) -> Validated:
        """The configuration, validated anew only when something that it is made of changed."""
        objects = Objects(
            pools=tuple(_without_status(body) for body in _readable(self.pools)),
            l2_advertisements=_readable(self.l2_advertisements),
            bgp_advertisements=_readable(self.bgp_advertisements),
            peers=_readable(self.peers),
            bfd_profiles=_readable(self.bfd_profiles),
            communities=_readable(self.communities),
            namespaces=dict(self.namespaces.nouns),
            nodes={name: labelled for name, (_, labelled) in self.nodes.nouns.items()},
            unreadable=tuple(
                problem
                for collection in self.collections()
                for problem in collection.unreadable.values()
            ),
        )
        if self._validated is None or self._validated[0] != objects:
            self._validated = objects, validate(objects)
        return self._validated[1]

    def observe(self, now: float) -> float | None:
        """What needs time to be believed: interfaces, and whether nodes are steady. Returns when
        to look again; seconds of one monotonic clock."""
        reports = tuple(self.reports.nouns.values())
        nodes = {name: node for name, (node, _) in self.nodes.nouns.items()}
        self.carriers.observe(kube.links(reports), now)
        self.damping.observe(nodes, kube.boots(reports), now)
        times = (self.carriers.deadline(), self.damping.deadline())
        return min((time for time in times if time is not None), default=None)

    def cluster(self, config: Config) -> Cluster:
        """The value of this moment; interfaces and steadiness as they were observed last."""
        services = {key: told.service for key, told in self.services.nouns.items()}
        around = self.surroundings(config)
        return replace(around, services=services, endpoints=self.endpoints())

    def surroundings(self, config: Config) -> Cluster:
        """The same without Services and their endpoints."""
        return Cluster(
            config=config,
            nodes={name: node for name, (node, _) in self.nodes.nouns.items()},
            speakers=frozenset(report.metadata.name for report in self.reports.nouns.values()),
            links=self.carriers.links,
            unsteady=frozenset(self.damping.unsteady),
            ignore_exclude_label=self._ignore_exclude_label,
            on_orphan=self._on_orphan,
            shy=self.shy(),
        )

    def endpoints(self, services: Container[str] | None = None) -> dict[str, Endpoints]:
        """Where Services can be served, by key; of all, or of some."""
        found: dict[str, Endpoints] = {}
        for service, item in self.endpoint_slices.nouns.values():
            if services is None or service in services:
                found[service] = found[service] | item if service in found else item
        return found

    def shy(self) -> frozenset[IPAddress]:
        """Addresses of nodes and the like, looked for anew only when a report is another one."""
        reports = tuple(self.reports.nouns.values())
        if self._shy[0] != reports:
            self._shy = reports, kube.shy_addresses(reports)
        return self._shy[1]

    def reference(self, problem: Problem) -> resources.ObjectReference | None:
        """The object that a problem is about."""
        for collection in self.collections():
            kind = collection.kind
            if kind.struct.__name__ != problem.kind:
                continue
            version = f"{kind.group}/{kind.version}" if kind.group else kind.version
            for key in [*collection.nouns, *collection.unreadable]:
                namespace, _, name = key.rpartition("/")
                if name == problem.name and problem.uid in _uids(collection, key):
                    return resources.ObjectReference(
                        version, problem.kind, namespace, name, problem.uid
                    )
        return None


def _uids(collection: Collection[Any, Any], key: str) -> set[str]:
    """The uid of an object, as far as its noun has one."""
    found = set()
    if key in collection.unreadable:
        found.add(collection.unreadable[key].uid)
    noun = collection.nouns.get(key)
    for item in noun if isinstance(noun, tuple) else (noun,):
        match item:
            case Labelled():
                found.add(item.uid)
            case Told():
                found.add(item.reference.uid)
            case resources.Object():
                found.add(item.metadata.uid)
    return found


def _told(body: resources.Service, lb_class: str) -> Told:
    return Told(kube.service(body, lb_class), kube.reference("v1", "Service", body))


def _configuration(body: C) -> C:
    """A configuration object without what changes by itself, so that equal means equal."""
    meta = msgspec.structs.replace(
        body.metadata, resource_version="", annotations=_ours(body.metadata) or None
    )
    return msgspec.structs.replace(body, metadata=meta)


def _without_status(body: resources.IPAddressPool) -> resources.IPAddressPool:
    return msgspec.structs.replace(body, status=None)  # for people: it is we who write it


def _decisive(body: resources.SpeakerReport) -> tuple[str, resources.SpeakerReportStatus]:
    """What of a report may decide anything: how many addresses the LAN sees, what a node looks
    like and what was looked at for somebody is for people, and changes with every Service."""
    status = msgspec.structs.replace(
        body.status, proved=resources.ReportedProof(), node=None, looks=[]
    )
    return body.metadata.uid, status


def _labelled(body: resources.Object) -> Labelled:
    meta = body.metadata
    return Labelled(meta.name, meta.labels or {}, _ours(meta), meta.uid)


def _ours(meta: resources.Metadata) -> dict[str, str]:
    """The annotations that are configuration of ours."""
    annotations = meta.annotations or {}
    return {name: text for name, text in annotations.items() if name.startswith(PREFIX)}


def _readable(collection: Collection[Any, C]) -> tuple[C, ...]:
    return tuple(body for key, body in collection.nouns.items() if key not in collection.unreadable)
