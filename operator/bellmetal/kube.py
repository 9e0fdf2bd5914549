"""Typed structs → nouns: what a Kubernetes object means to us.

May live here: conversions, annotation names. May not: JSON keys (`resources.py`), decisions.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache

from bellmetal import resources
from bellmetal.addresses import AddressError, Family, IPAddress, parse_address, quoted
from bellmetal.cluster import (
    Condition,
    Endpoints,
    Link,
    Node,
    Request,
    Service,
    Sharing,
    Shown,
)
from bellmetal.config import DRAIN
from bellmetal.facts import Claim, ClaimOrder, Doubt, DoubtKind
from bellmetal.intents import Allocation
from bellmetal.validation.annotations import MOST_STRANGE, service_wishes

PREFIXES = ("metallb.io", "metallb.universe.tf")  # the first wins, also when it is empty
DEPRECATED = "metallb.universe.tf/"
LONGEST = 1000  # characters of a text of a Service that are kept
SHOWN_OF_LONG = 200  # of a longer one, beside its digest
POOL_ANNOTATION = "metallb.io/ip-allocated-from-pool"
HOW_TO_ASK = 'write addresses with commas between them, as in "192.0.2.1,2001:db8::1"'
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
ALLOCATED = "bellmetal.io/AddressAllocated"
ANNOUNCED = "bellmetal.io/Announced"
SHOWN = "bellmetal.io/AddressShown"
DRAIN_TAINTS = (DRAIN, "ToBeDeletedByClusterAutoscaler", "node.kubernetes.io/out-of-service")
SEEN = "bellmetal.io/SeenOnLAN"


def service(body: resources.Service, lb_class: str = "") -> Service:
    """A Service; ``lb_class`` is the class that we serve (empty: those without one)."""
    spec, annotations = body.spec, body.metadata.annotations or {}
    ours = (spec.load_balancer_class or "") == lb_class
    wishes = service_wishes(annotations)
    wants = ours and spec.type == "LoadBalancer" and body.metadata.deletion_timestamp is None
    return Service(
        namespace=body.metadata.namespace,
        name=body.metadata.name,
        uid=body.metadata.uid,
        created=body.metadata.creation_timestamp or "",
        wants_address=wants,
        ours=ours,
        families=_families(spec),
        cluster_ips=quoted(_cluster_ips(spec)),
        per_family=wishes.per_family,
        problems=wishes.problems,
        sharing=_sharing(spec, annotations),
        family_policy=spec.ip_family_policy or "SingleStack",
        local_only=spec.external_traffic_policy == "Local",
        request=_request(spec, annotations, wishes.fault),
        move_to=wishes.move_to,
        labels=body.metadata.labels or {},
        deprecated=tuple(sorted(key for key in annotations if key.startswith(DEPRECATED)))[
            :MOST_STRANGE
        ],
        shown=_shown(body, annotations),
    )


def _cluster_ips(spec: resources.ServiceSpec) -> list[str]:
    return spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])


def _families(spec: resources.ServiceSpec) -> tuple[Family, ...]:
    """The families of its cluster IPs, the primary one first."""
    found = (Family.IPV6 if ":" in text else Family.IPV4 for text in _cluster_ips(spec))
    return tuple(dict.fromkeys(found)) or (Family.IPV4,)


def _sharing(spec: resources.ServiceSpec, annotations: Mapping[str, str]) -> Sharing:
    selector = ""
    if spec.external_traffic_policy == "Local":
        selector = ",".join(
            f"{key}={value}" for key, value in sorted((spec.selector or {}).items())
        )
    ports = frozenset(f"{port.protocol}/{port.port}" for port in spec.ports or [])
    return Sharing(_short(annotation(annotations, "allow-shared-ip")), _short(selector), ports)


def annotation(annotations: Mapping[str, str], name: str) -> str:
    """The value of ``name`` under either prefix; an empty new one hides the old one."""
    for prefix in PREFIXES:
        if f"{prefix}/{name}" in annotations:
            return annotations[f"{prefix}/{name}"]
    return ""


def _short(text: str) -> str:
    """What may be of any length, as it is kept; different texts stay different."""
    if len(text) <= LONGEST:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[:SHOWN_OF_LONG]}…{digest}"


def _request(
    spec: resources.ServiceSpec, annotations: Mapping[str, str], fault: str = ""
) -> Request:
    pool = _short(annotation(annotations, "address-pool"))
    if fault:
        return Request(pool=pool, fault=fault)
    if "None" in _cluster_ips(spec):
        return Request(pool=pool, fault='IPFamilyForAddresses: Invalid address ["None"]')
    text = annotation(annotations, "loadBalancerIPs")
    if text and spec.load_balancer_ip:
        fault = "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP"
        fault += ": keep the annotation, the field is deprecated in Kubernetes"
        return Request(pool=pool, fault=fault)
    try:
        if text:
            addresses = tuple(parse_address(part.strip()) for part in text.split(","))
            return Request(addresses, pool)
        if spec.load_balancer_ip:
            return Request((parse_address(spec.load_balancer_ip),), pool)
    except AddressError:
        field = "metallb.io/loadBalancerIPs:" if text else "spec.loadBalancerIP"
        fault = f'invalid {field} "{_short(text or spec.load_balancer_ip)}"'
        how = HOW_TO_ASK if text else 'write one address, as in "192.0.2.1"'
        return Request(pool=pool, fault=f"{fault}: {how}")
    return Request(pool=pool)


def _shown(body: resources.Service, annotations: Mapping[str, str]) -> Shown:
    addresses: list[IPAddress] = []
    foreign = False
    for entry in body.status.load_balancer.ingress or []:
        try:
            addresses.append(parse_address(entry.ip))
        except AddressError:
            foreign = True
    conditions = [
        Condition(item.type, item.status, item.reason, item.message)
        for item in body.status.conditions or []
        if item.type in (ALLOCATED, ANNOUNCED, SHOWN, SEEN)
    ]
    return Shown(
        addresses=tuple(addresses),
        pool=_short(annotations.get(POOL_ANNOTATION, "")),
        conditions=tuple(conditions),
        foreign=foreign,
    )


def endpoints(body: resources.EndpointSlice) -> Endpoints:
    """Where one EndpointSlice says that endpoints can serve (ready, or serving while ending)."""
    serving, nodes, staying = False, set(), set()
    for item in body.endpoints or []:
        conditions = item.conditions
        if conditions.ready in (None, True) or conditions.serving:
            serving = True
            if item.node_name:
                nodes.add(item.node_name)
                if not conditions.terminating:
                    staying.add(item.node_name)
    return Endpoints(serving, frozenset(nodes), frozenset(staying))


def service_of(body: resources.EndpointSlice) -> str:
    """The key of the Service that an EndpointSlice belongs to, or nothing."""
    name = (body.metadata.labels or {}).get(SERVICE_NAME_LABEL, "")
    return f"{body.metadata.namespace}/{name}" if name else ""


def node(body: resources.Node, drain_on_cordon: bool = False) -> Node:
    """A Node; unknown readiness counts as not ready."""
    conditions = {item.type: item.status for item in body.status.conditions or []}
    inside = [a.address for a in body.status.addresses or [] if a.type == "InternalIP"]
    return Node(
        name=body.metadata.name,
        address=inside[0] if inside else "",
        labels=body.metadata.labels or {},
        ready=conditions.get("Ready") == "True",
        network_unavailable=conditions.get("NetworkUnavailable") == "True",
        draining=_draining(body, drain_on_cordon),
    )


def _draining(body: resources.Node, on_cordon: bool) -> str:
    """Why its addresses should go elsewhere; an annotation that is neither true nor false is a
    Problem and drains nothing."""
    if (body.metadata.annotations or {}).get(DRAIN) == "true":
        return f"it has the annotation {DRAIN}"
    keys = {taint.key for taint in body.spec.taints or []}
    for key in DRAIN_TAINTS:
        if key in keys:
            return f"it has the taint {key}"
    return "it is cordoned" if on_cordon and body.spec.unschedulable else ""


def boots(reports: Iterable[resources.SpeakerReport]) -> dict[str, str]:
    """Node → the boot id of its speaker."""
    return {report.metadata.name: report.status.boot_id for report in reports}


def links(reports: Iterable[resources.SpeakerReport]) -> dict[str, tuple[Link, ...]]:
    """Node → the interfaces that can announce, of every node that has reported."""
    return {
        report.metadata.name: tuple(
            _link(item.name, tuple(item.subnets)) for item in report.status.interfaces if item.up
        )
        for report in reports
    }


@lru_cache(maxsize=16384)
def _link(name: str, subnets: tuple[str, ...]) -> Link:
    """An interface; its networks are those in which it can have neighbours."""
    networks, ipv6 = set(), False
    for text in subnets:
        try:
            found = ipaddress.ip_interface(text)
        except ValueError:  # its speaker is at fault
            continue
        if found.is_link_local:
            ipv6 = ipv6 or found.version == 6
        elif found.network.prefixlen < found.max_prefixlen:
            networks.add(found.network)
    return Link(name, tuple(sorted(networks, key=lambda item: (item.version, item))), ipv6)


def shy_addresses(reports: Iterable[resources.SpeakerReport]) -> frozenset[IPAddress]:
    """Addresses of nodes, and the first and last of their subnets: others are given first."""
    found: set[IPAddress] = set()
    for report in reports:
        for item in report.status.interfaces:
            for text in [*item.subnets, *item.gateways]:
                found |= _shy_of(text)
    return frozenset(found)


@lru_cache(maxsize=16384)
def _shy_of(subnet: str) -> frozenset[IPAddress]:
    try:
        interface = ipaddress.ip_interface(subnet)
    except ValueError:  # its speaker is at fault
        return frozenset()
    ends = {interface.network[0]}
    if interface.version == 4:
        ends.add(interface.network[-1])
    return frozenset({interface.ip} | ends)


def claims(reports: Iterable[resources.SpeakerReport]) -> list[Claim]:
    """The claims of all reports; an unreadable one is left out (its speaker is at fault)."""
    found = []
    for report in reports:
        for item in report.status.claims:
            try:
                address = parse_address(item.address)
            except AddressError:
                continue
            order = ClaimOrder(item.term, item.firm, item.epoch)
            found.append(Claim(address, report.metadata.name, order))
    return found


def doubts(reports: Iterable[resources.SpeakerReport]) -> list[tuple[str, Doubt]]:
    """What the nodes of all reports doubt; what cannot be read is left out."""
    found = []
    for report in reports:
        for item in report.status.doubts:
            try:
                address, kind = parse_address(item.address), DoubtKind(item.kind)
            except ValueError:  # AddressError is one; a newer speaker may know other kinds
                continue
            doubt = Doubt(address, kind, item.interface, item.owner, tuple(item.macs))
            found.append((report.metadata.name, doubt))
    return found


def reference(api_version: str, kind: str, body: resources.Object) -> resources.ObjectReference:
    """A reference to an object, as events need it."""
    meta = body.metadata
    return resources.ObjectReference(api_version, kind, meta.namespace, meta.name, meta.uid)


def orphan_message(allocation: Allocation) -> str:
    """That a Service keeps addresses which no pool allows any more."""
    text = shown_list(address for address, _ in allocation.orphaned)
    pool = allocation.orphaned[0][1]
    if pool:
        return f"IPAddressPool/{pool} is not for this Service any more; it keeps {text}"
    return f"no IPAddressPool allows {text} any more; the Service keeps it"


def shown_list(addresses: Iterable[IPAddress]) -> str:
    """Addresses as MetalLB's sentences show them."""
    return quoted([str(address) for address in addresses])
