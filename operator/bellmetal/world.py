"""The cluster as watches and lists have told it, kept as nouns; becomes one Cluster value.

May live here: keeping objects up to date. May not: decisions, writes.
`Cluster` is the frozen value of a moment; this is where the moments come from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bellmetal import kube, resources
from bellmetal.api import Client
from bellmetal.cluster import Cluster, Endpoints, Node, Service
from bellmetal.config import Config, Problem
from bellmetal.follow import L2_STATUSES, SLICES, Collection, Kind
from bellmetal.validation import Validated, validate

log = logging.getLogger(__name__)


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
REPORTS = Kind("bellmetal.io", "v1alpha1", "speakerreports", resources.SpeakerReport, True)


class World:
    """All collections of the controller."""

    def __init__(self, lb_class: str, ignore_exclude_label: bool) -> None:
        self._ignore_exclude_label = ignore_exclude_label
        self.services: Collection[resources.Service, Told] = Collection(
            SERVICES, lambda body: _told(body, lb_class)
        )
        self.endpoint_slices: Collection[resources.EndpointSlice, tuple[str, Endpoints]] = (
            Collection(ENDPOINT_SLICES, lambda body: (kube.service_of(body), kube.endpoints(body)))
        )
        self.nodes: Collection[resources.Node, Node] = Collection(NODES, kube.node)
        self.namespaces: Collection[resources.Namespace, Mapping[str, str]] = Collection(
            NAMESPACES, lambda body: body.metadata.labels or {}
        )
        self.pools: Collection[resources.IPAddressPool, Any] = Collection(POOLS, _configuration)
        self.l2_advertisements: Collection[resources.L2Advertisement, Any] = Collection(
            L2_ADVERTISEMENTS, _configuration
        )
        self.l2_statuses: Collection[resources.ServiceL2Status, resources.ServiceL2Status] = (
            Collection(L2_STATUSES, lambda body: body)
        )
        self.reports: Collection[resources.SpeakerReport, resources.SpeakerReport] = Collection(
            REPORTS, lambda body: body
        )
        self.slices: Collection[resources.AnnouncementSlice, resources.AnnouncementSlice] = (
            Collection(SLICES, lambda body: body)
        )
        self._validated: tuple[Any, Validated] | None = None

    def collections(self) -> tuple[Collection[Any, Any], ...]:
        """All of them."""
        return (
            self.services,
            self.endpoint_slices,
            self.nodes,
            self.namespaces,
            self.pools,
            self.l2_advertisements,
            self.reports,
            self.slices,
            self.l2_statuses,
        )

    async def load(self, client: Client, namespace: str) -> bool:
        """Lists everything; whether anything differed from what was known."""
        changed = False
        for collection in self.collections():
            kind = collection.kind
            path = kind.path(namespace if kind.namespaced else "")
            bodies, version = await client.list(kind.struct, path)
            if collection.take_all(bodies, version):
                log.debug("the list of %s brought news", kind.plural)
                changed = True
        return changed

    def validated(self) -> Validated:
        """The configuration, validated anew only when something that it is made of changed."""
        pools = list(self.pools.nouns.values())
        advertisements = list(self.l2_advertisements.nouns.values())
        namespaces = dict(self.namespaces.nouns)
        source = (pools, advertisements, namespaces)
        if self._validated is None or self._validated[0] != source:
            self._validated = source, validate(pools, advertisements, namespaces)
        return self._validated[1]

    def cluster(self, config: Config) -> Cluster:
        """The value of this moment."""
        endpoints: dict[str, Endpoints] = {}
        for service, found in self.endpoint_slices.nouns.values():
            before = endpoints.get(service)
            endpoints[service] = found if before is None else before | found
        return Cluster(
            config=config,
            services={key: told.service for key, told in self.services.nouns.items()},
            endpoints=endpoints,
            nodes=dict(self.nodes.nouns),
            speakers=frozenset(report.metadata.name for report in self.reports.nouns.values()),
            ignore_exclude_label=self._ignore_exclude_label,
        )

    def reference(self, problem: Problem) -> resources.ObjectReference | None:
        """The object that a problem is about."""
        for collection in (self.pools, self.l2_advertisements):
            for body in collection.nouns.values():
                if body.metadata.uid == problem.uid:
                    return kube.reference("metallb.io/v1beta1", problem.kind, body)
        return None


def _told(body: resources.Service, lb_class: str) -> Told:
    return Told(kube.service(body, lb_class), kube.reference("v1", "Service", body))


def _configuration(body: Any) -> Any:
    """A configuration object without what changes by itself, so that equal means equal."""
    meta = msgspec.structs.replace(body.metadata, resource_version="", annotations=None)
    return msgspec.structs.replace(body, metadata=meta)
