"""Nouns and objects with good defaults: a test says only what it is about.

``service("shop/web")`` is a noun; ``service_object("shop/web")`` is the Kubernetes object of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bellmetal import resources
from bellmetal.addresses import IPAddress, Range, parse_address, parse_range
from bellmetal.cluster import (
    Cluster,
    Condition,
    Endpoints,
    Node,
    Request,
    Service,
    Sharing,
    Shown,
)
from bellmetal.config import (
    BFDProfile,
    BGPAdvertisement,
    Config,
    L2Advertisement,
    Peer,
    Pool,
    PreferredNodes,
)
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.holdings import Holder, Holding
from bellmetal.intents import Allocation, Announcement, NodeSet, ServiceId
from bellmetal.selectors import Requirement, Selector

LONG_AGO = "2026-01-01T00:00:00Z"
NOW = "2026-06-01T12:00:00Z"


# --- nouns ---------------------------------------------------------------------------------------


def addresses(*texts: str) -> tuple[IPAddress, ...]:
    return tuple(parse_address(text) for text in texts)


def ranges(*texts: str) -> tuple[Range, ...]:
    return tuple(parse_range(text) for text in texts)


def labelled(**labels: str) -> Selector:
    """A selector for exactly these labels."""
    return Selector(tuple(Requirement(k, "In", frozenset([v])) for k, v in labels.items()))


def service(
    key: str = "shop/web",
    ip: str | Iterable[str] = (),
    *,
    pool: str = "",
    fault: str = "",
    shown: str | Iterable[str] = (),
    shown_pool: str = "",
    conditions: tuple[Condition, ...] = (),
    **fields: Any,
) -> Service:
    """A Service that asks for ``ip`` and ``pool`` and shows ``shown`` out of ``shown_pool``."""
    namespace, name = key.split("/")
    defaults: dict[str, Any] = {
        "uid": f"uid-{namespace}-{name}",
        "created": LONG_AGO,
        "request": Request(addresses(*_texts(ip)), pool, fault),
        "shown": Shown(addresses(*_texts(shown)), shown_pool, conditions),
    }
    return Service(namespace, name, **(defaults | fields))


def sharing(key: str = "", *ports: str, backend: str = "") -> Sharing:
    """Terms of sharing; ports as ``TCP/80``."""
    return Sharing(key, backend, frozenset(ports or ("TCP/80",)))


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def pool(name: str = "main", *entries: str, **fields: Any) -> Pool:
    """A pool of 192.0.2.0/24, or of ``entries``."""
    return Pool(name, ranges(*(entries or ("192.0.2.0/24",))), **fields)


def advertisement(name: str = "all", **fields: Any) -> L2Advertisement:
    """An advertisement of everything, or of the pools named by ``pools``."""
    named = {"pools": frozenset(_texts(fields.pop("pools", ())))}
    return L2Advertisement(name, **(named | fields))


def preferring(weight: int, **labels: str) -> PreferredNodes:
    return PreferredNodes(weight, labelled(**labels))


def bgp_advertisement(name: str = "all", **fields: Any) -> BGPAdvertisement:
    """One of everything, or of the pools named by ``pools``, to all peers or those in ``peers``."""
    named = {key: frozenset(_texts(fields.pop(key, ()))) for key in ("pools", "peers")}
    return BGPAdvertisement(name, **(named | fields))


def peer(name: str = "tor", address: str = "10.0.9.1", **fields: Any) -> Peer:
    """An external peer of every node; without an ``address`` the fields say where it is."""
    defaults: dict[str, Any] = {"my_asn": 64512, "peer_asn": 64513, "uid": f"uid-{name}"}
    if address:
        defaults["peer_address"] = parse_address(address)
    return Peer(name, **(defaults | fields))


def node(name: str = "n1", **fields: Any) -> Node:
    """A node that is ready; ``n7`` lives at 10.0.0.7."""
    number = "".join(filter(str.isdigit, name)) or "1"
    return Node(name, **({"address": f"10.0.0.{number}"} | fields))


def cluster(
    *services: Service,
    pools: Iterable[Pool] | None = None,
    advertisements: Iterable[L2Advertisement] | None = None,
    nodes: Iterable[Node | str] = ("n1", "n2", "n3"),
    endpoints: Mapping[str, Endpoints] | None = None,
    speakers: Iterable[str] | None = None,
    bgp: Iterable[BGPAdvertisement] = (),
    peers: Iterable[Peer] = (),
    profiles: Iterable[BFDProfile] = (),
    **fields: Any,
) -> Cluster:
    """A cluster with one pool, one advertisement of everything and three nodes; the endpoints of
    each Service serve on every node."""
    living = [item if isinstance(item, Node) else node(item) for item in nodes]
    names = frozenset(item.name for item in living)
    everywhere = {item.key: Endpoints(True, names) for item in services}
    found = [pool()] if pools is None else list(pools)
    wanted = [advertisement()] if advertisements is None else list(advertisements)
    config = Config(
        tuple(sorted(found, key=lambda item: item.name)),
        tuple(sorted(wanted, key=lambda item: item.name)),
        bgp_advertisements=tuple(bgp),
        peers=tuple(peers),
        bfd_profiles=tuple(profiles),
    )
    return Cluster(
        config=config,
        services={item.key: item for item in services},
        endpoints=everywhere if endpoints is None else endpoints,
        nodes={item.name: item for item in living},
        speakers=names if speakers is None else frozenset(speakers),
        **fields,
    )


def holder(of: Service | str, since: str = LONG_AGO) -> Holder:
    owner = service(of) if isinstance(of, str) else of
    return Holder(owner.uid, owner.namespace, owner.name, since)


def holding(address: str, *of: Service | Holder | str, **fields: Any) -> Holding:
    """A ledger entry: the address is held by these Services, or free."""
    holders = tuple(item if isinstance(item, Holder) else holder(item) for item in of)
    defaults: dict[str, Any] = {"term": 1, "pool": "main", "holders": holders}
    return Holding(parse_address(address), **(defaults | fields))


def held(*holdings: Holding) -> dict[IPAddress, Holding]:
    return {item.address: item for item in holdings}


def allocation(key: str, *texts: str, **fields: Any) -> Allocation:
    defaults: dict[str, Any] = {"pools": ("main",) * len(texts)}
    return Allocation(key, addresses(*texts), **(defaults | fields))


def announcement(address: str = "192.0.2.10", owner: str = "n1", **fields: Any) -> Announcement:
    """Node ``owner`` should answer for ``address``, for Service shop/web."""
    defaults: dict[str, Any] = {
        "term": 1,
        "node_set": "selected-all",
        "services": (ServiceId("shop", "web", "uid-shop-web"),),
    }
    return Announcement(parse_address(address), owner=owner, **(defaults | fields))


def node_set(name: str = "selected-all", *names: str) -> NodeSet:
    return NodeSet(name, {item: node(item).address for item in names or ("n1", "n2", "n3")})


def claim(
    address: str = "192.0.2.10",
    node: str = "n1",
    term: int = 1,
    epoch: int = 0,
    firm: bool = True,
) -> Claim:
    return Claim(parse_address(address), node, ClaimOrder(term, firm, epoch))


# --- Kubernetes objects --------------------------------------------------------------------------


def metadata(key: str, **fields: Any) -> resources.Metadata:
    """``namespace/name``, or a name alone, as an object's metadata."""
    namespace, _, name = key.rpartition("/")
    defaults: dict[str, Any] = {
        "uid": f"uid-{key.replace('/', '-')}",
        "resource_version": "1",
        "creation_timestamp": LONG_AGO,
    }
    return resources.Metadata(name, namespace, **(defaults | fields))


def service_object(
    key: str = "shop/web",
    *,
    ingress: Iterable[resources.Ingress | str] = (),
    conditions: list[resources.Condition] | None = None,
    meta: Mapping[str, Any] | None = None,
    **spec: Any,
) -> resources.Service:
    """A Service of type LoadBalancer; ``ingress`` are the addresses that its status shows."""
    entries = [resources.Ingress(ip=i) if isinstance(i, str) else i for i in ingress]
    defaults: dict[str, Any] = {
        "type": "LoadBalancer",
        "cluster_ip": "10.96.0.1",
        "cluster_ips": ["10.96.0.1"],
    }
    return resources.Service(
        api_version="v1",
        kind="Service",
        metadata=metadata(key, **(meta or {})),
        spec=resources.ServiceSpec(**(defaults | spec)),
        status=resources.ServiceStatus(
            resources.LoadBalancerStatus(entries or None), conditions=conditions
        ),
    )


def selector_object(**labels: str) -> resources.LabelSelector:
    return resources.LabelSelector(match_labels=labels)


def pool_object(
    name: str = "main", *entries: str, meta: Mapping[str, Any] | None = None, **spec: Any
) -> resources.IPAddressPool:
    """An IPAddressPool of 192.0.2.0/24, or of ``entries``."""
    defaults: dict[str, Any] = {"addresses": list(entries or ("192.0.2.0/24",))}
    return resources.IPAddressPool(
        metadata=metadata(f"metallb-system/{name}", **(meta or {})),
        spec=resources.IPAddressPoolSpec(**(defaults | spec)),
    )


def advertisement_object(
    name: str = "all", *, meta: Mapping[str, Any] | None = None, **spec: Any
) -> resources.L2Advertisement:
    return resources.L2Advertisement(
        metadata=metadata(f"metallb-system/{name}", **(meta or {})),
        spec=resources.L2AdvertisementSpec(**spec),
    )


def node_object(
    name: str = "n1", ready: str = "True", address: str = "10.0.0.1", **meta: Any
) -> resources.Node:
    return resources.Node(
        metadata=metadata(name, **meta),
        status=resources.NodeStatus(
            conditions=[resources.NodeCondition("Ready", ready)],
            addresses=[resources.NodeAddress("InternalIP", address)],
        ),
    )


def endpoint(
    node_name: str | None = "n1",
    *,
    ready: bool | None = True,
    serving: bool | None = None,
    terminating: bool | None = None,
) -> resources.SliceEndpoint:
    conditions = resources.EndpointConditions(ready, serving, terminating)
    return resources.SliceEndpoint(["10.1.0.1"], conditions, node_name)


def endpoint_slice_object(
    of: str = "shop/web", *endpoints: resources.SliceEndpoint
) -> resources.EndpointSlice:
    namespace, name = of.split("/")
    return resources.EndpointSlice(
        metadata=metadata(f"{namespace}/{name}-1", labels={"kubernetes.io/service-name": name}),
        endpoints=list(endpoints),
    )


def slice_object(
    name: str = "layer2-0",
    *announcements: resources.SliceAnnouncement,
    node_sets: Iterable[resources.SliceNodeSet] = (),
    routes: Iterable[resources.SliceRoute] = (),
    peers: Iterable[resources.SlicePeer] = (),
    version: int = 1,
    resource_version: str = "1",
) -> resources.AnnouncementSlice:
    return resources.AnnouncementSlice(
        api_version="bellmetal.io/v1alpha1",
        kind="AnnouncementSlice",
        metadata=resources.Metadata(
            name=name, resource_version=resource_version, labels={"app": "metallb"}
        ),
        spec=resources.AnnouncementSliceSpec(
            version, list(node_sets), list(announcements), list(routes), list(peers)
        ),
    )


def slice_item(address: str = "192.0.2.10", **fields: Any) -> resources.SliceAnnouncement:
    """What a slice says of one address."""
    defaults: dict[str, Any] = {"term": 1, "owner": "n1", "node_set": "selected-all"}
    return resources.SliceAnnouncement(address, **(defaults | fields))


def report_object(
    name: str = "n1", *claims: resources.ReportedClaim, boot: str = "1", **interfaces: list[str]
) -> resources.SpeakerReport:
    """What a speaker reports: its claims, and its interfaces with their subnets."""
    found = [resources.ReportedInterface(n, up=True, subnets=s) for n, s in interfaces.items()]
    return resources.SpeakerReport(
        metadata=metadata(f"metallb-system/{name}"),
        status=resources.SpeakerReportStatus(1, boot, claims=list(claims), interfaces=found),
    )
