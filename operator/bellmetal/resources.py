"""The Kubernetes objects that we read and write, as typed structs; the only file that knows keys.

May live here: structs that mirror JSON. May not: decisions, conversions (`kube.py` has those).
Every field has a default, so that an object of an older or newer server decodes.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Raw, Struct, field


class Json(Struct, rename="camel", omit_defaults=True, frozen=True):
    """Base of all structs: camelCase in JSON, defaults left out when written."""


class OwnerReference(Json, frozen=True):
    """metav1.OwnerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""


class Metadata(Json, frozen=True):
    """metav1.ObjectMeta, as far as we look at it."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    generate_name: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class Object(Json, frozen=True):
    """Any object, by its metadata alone."""

    api_version: str = ""
    kind: str = ""
    metadata: Metadata = Metadata()

    @property
    def key(self) -> str:
        """``namespace/name``, or the name alone where there is no namespace."""
        meta = self.metadata
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name


class ManagedFields(Json, frozen=True):
    """metav1.ManagedFieldsEntry; which fields it is stays as it came."""

    manager: str = ""
    subresource: str = ""
    time: str | None = None
    fields: Raw = field(name="fieldsV1", default=Raw(b""))


class ManagedMetadata(Json, frozen=True):
    """metav1.ObjectMeta, as far as it says who wrote."""

    managed_fields: list[ManagedFields] = field(default_factory=list)


class Managed(Json, frozen=True):
    """Any object, by who wrote it."""

    metadata: ManagedMetadata = ManagedMetadata()


class ListMeta(Json, frozen=True):
    """metav1.ListMeta."""

    resource_version: str = ""
    continue_: str = field(name="continue", default="")


T = TypeVar("T")


class Page(Json, Generic[T], frozen=True):
    """One page of a list."""

    metadata: ListMeta = ListMeta()
    items: list[T] = field(default_factory=list)


class WatchEvent(Json, Generic[T], frozen=True):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    object: T
    type: str = ""


class StatusError(Json, frozen=True):
    """metav1.Status: what the API server says when it says no (also inside a watch)."""

    code: int = 0
    reason: str = ""
    message: str = ""


# --- core ----------------------------------------------------------------------------------------


class ServicePort(Json, frozen=True):
    """v1.ServicePort."""

    protocol: str = "TCP"
    port: int = 0


class ServiceSpec(Json, frozen=True):
    """v1.ServiceSpec."""

    type: str = ""
    cluster_ip: str = field(name="clusterIP", default="")
    cluster_ips: list[str] | None = field(name="clusterIPs", default=None)
    ip_families: list[str] | None = None
    ip_family_policy: str = ""
    load_balancer_ip: str = field(name="loadBalancerIP", default="")
    load_balancer_class: str | None = None
    load_balancer_source_ranges: list[str] | None = None
    external_traffic_policy: str = ""
    selector: dict[str, str] | None = None
    ports: list[ServicePort] | None = None


class Ingress(Json, frozen=True):
    """v1.LoadBalancerIngress."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None


class LoadBalancerStatus(Json, frozen=True):
    """v1.LoadBalancerStatus."""

    ingress: list[Ingress] | None = None


class Condition(Json, frozen=True):
    """metav1.Condition."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class ServiceStatus(Json, frozen=True):
    """v1.ServiceStatus."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: list[Condition] | None = None


class Service(Object, frozen=True):
    """v1.Service."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class Namespace(Object, frozen=True):
    """v1.Namespace; its labels and annotations are all we look at."""


class NodeCondition(Json, frozen=True):
    """v1.NodeCondition."""

    type: str = ""
    status: str = ""


class NodeAddress(Json, frozen=True):
    """v1.NodeAddress."""

    type: str = ""
    address: str = ""


class Taint(Json, frozen=True):
    """v1.Taint."""

    key: str = ""


class NodeSpec(Json, frozen=True):
    """v1.NodeSpec."""

    unschedulable: bool = False
    taints: list[Taint] | None = None


class NodeStatus(Json, frozen=True):
    """v1.NodeStatus."""

    conditions: list[NodeCondition] | None = None
    addresses: list[NodeAddress] | None = None


class Node(Object, frozen=True):
    """v1.Node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Container(Json, frozen=True):
    """Pod spec.containers[]; ``args`` are what its program is told."""

    name: str = ""
    image: str = ""
    args: list[str] = field(default_factory=list)


class PodSpec(Json, frozen=True):
    """v1.PodSpec, as far as we look at it."""

    node_name: str = ""
    containers: list[Container] = field(default_factory=list)


class PodStatus(Json, frozen=True):
    """v1.PodStatus, likewise."""

    conditions: list[NodeCondition] = field(default_factory=list)


class Pod(Object, frozen=True):
    """v1.Pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class EndpointConditions(Json, frozen=True):
    """discovery.k8s.io/v1 EndpointConditions; None means unknown, to be read as ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class SliceEndpoint(Json, frozen=True):
    """discovery.k8s.io/v1 Endpoint."""

    addresses: list[str] | None = None
    conditions: EndpointConditions = EndpointConditions()
    node_name: str | None = None


class EndpointSlice(Object, frozen=True):
    """discovery.k8s.io/v1 EndpointSlice."""

    endpoints: list[SliceEndpoint] | None = None


class LeaseSpec(Json, frozen=True):
    """coordination.k8s.io/v1 LeaseSpec."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int = 0


class Lease(Object, frozen=True):
    """coordination.k8s.io/v1 Lease."""

    spec: LeaseSpec = LeaseSpec()


# --- metallb.io ----------------------------------------------------------------------------------


class MatchExpression(Json, frozen=True):
    """metav1.LabelSelectorRequirement."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class LabelSelector(Json, frozen=True):
    """metav1.LabelSelector."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[MatchExpression] | None = None


class ServiceAllocation(Json, frozen=True):
    """IPAddressPool spec.serviceAllocation."""

    priority: int = 0
    namespaces: list[str] | None = None
    namespace_selectors: list[LabelSelector] | None = None
    service_selectors: list[LabelSelector] | None = None


class IPAddressPoolSpec(Json, frozen=True):
    """metallb.io/v1beta1 IPAddressPoolSpec."""

    addresses: list[str] | None = None
    auto_assign: bool = True
    avoid_buggy_ips: bool = field(name="avoidBuggyIPs", default=False)
    service_allocation: ServiceAllocation | None = None


class IPAddressPoolStatus(Json, frozen=True, omit_defaults=False):
    """metallb.io/v1beta1 IPAddressPool status: addresses; all four are required, zeros too."""

    assigned_ipv4: int = field(name="assignedIPv4", default=0)
    assigned_ipv6: int = field(name="assignedIPv6", default=0)
    available_ipv4: int = field(name="availableIPv4", default=0)
    available_ipv6: int = field(name="availableIPv6", default=0)


class IPAddressPool(Object, frozen=True):
    """metallb.io/v1beta1 IPAddressPool; without a status as long as nobody has written one."""

    spec: IPAddressPoolSpec = IPAddressPoolSpec()
    status: IPAddressPoolStatus | None = None


class PreferredNodeSelector(Json, frozen=True):
    """L2Advertisement spec.preferredNodeSelectors[]; weight 1 to 100."""

    weight: int = 0
    preference: LabelSelector = LabelSelector()


class L2AdvertisementSpec(Json, frozen=True):
    """metallb.io/v1beta1 L2AdvertisementSpec."""

    ip_address_pools: list[str] | None = field(name="ipAddressPools", default=None)
    ip_address_pool_selectors: list[LabelSelector] | None = field(
        name="ipAddressPoolSelectors", default=None
    )
    node_selectors: list[LabelSelector] | None = None
    service_selectors: list[LabelSelector] | None = None
    preferred_node_selectors: list[PreferredNodeSelector] | None = None
    interfaces: list[str] | None = None


class L2Advertisement(Object, frozen=True):
    """metallb.io/v1beta1 L2Advertisement."""

    spec: L2AdvertisementSpec = L2AdvertisementSpec()


class BGPAdvertisementSpec(Json, frozen=True):
    """metallb.io/v1beta1 BGPAdvertisementSpec; ``local_pref`` 0 is none."""

    aggregation_length: int | None = None
    aggregation_length_v6: int | None = field(name="aggregationLengthV6", default=None)
    local_pref: int = 0
    communities: list[str] | None = None
    ip_address_pools: list[str] | None = field(name="ipAddressPools", default=None)
    ip_address_pool_selectors: list[LabelSelector] | None = field(
        name="ipAddressPoolSelectors", default=None
    )
    node_selectors: list[LabelSelector] | None = None
    peers: list[str] | None = None
    service_selectors: list[LabelSelector] | None = None


class BGPAdvertisement(Object, frozen=True):
    """metallb.io/v1beta1 BGPAdvertisement."""

    spec: BGPAdvertisementSpec = BGPAdvertisementSpec()


class SecretReference(Json, frozen=True):
    """v1.SecretReference."""

    name: str = ""
    namespace: str = ""


class BGPPeerSpec(Json, frozen=True):
    """metallb.io BGPPeerSpec: v1beta2, which has every field of v1beta1. Hides its password."""

    my_asn: int = field(name="myASN", default=0)
    peer_asn: int = field(name="peerASN", default=0)
    local_asn: int = field(name="localASN", default=0)
    dynamic_asn: str = field(name="dynamicASN", default="")
    peer_address: str = ""
    interface: str = ""
    source_address: str = ""
    peer_port: int = 0
    hold_time: str | None = None
    keepalive_time: str | None = None
    connect_time: str | None = None
    router_id: str = field(name="routerID", default="")
    node_selectors: list[LabelSelector] | None = None
    password: str = ""
    password_secret: SecretReference | None = None
    bfd_profile: str = ""
    enable_graceful_restart: bool = False
    ebgp_multi_hop: bool = False
    vrf: str = ""
    disable_mp: bool = field(name="disableMP", default=False)
    dual_stack_address_family: bool = False

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"BGPPeerSpec({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "…" if name == "password" and value else value) for name, value in shown]


class BGPPeer(Object, frozen=True):
    """metallb.io/v1beta2 BGPPeer."""

    spec: BGPPeerSpec = BGPPeerSpec()


class BFDProfileSpec(Json, frozen=True):
    """metallb.io/v1beta1 BFDProfileSpec; intervals in milliseconds."""

    receive_interval: int | None = None
    transmit_interval: int | None = None
    detect_multiplier: int | None = None
    echo_interval: int | None = None
    echo_mode: bool | None = None
    passive_mode: bool | None = None
    minimum_ttl: int | None = None


class BFDProfile(Object, frozen=True):
    """metallb.io/v1beta1 BFDProfile."""

    spec: BFDProfileSpec = BFDProfileSpec()


class CommunityAlias(Json, frozen=True):
    """Community spec.communities[]."""

    name: str = ""
    value: str = ""


class CommunitySpec(Json, frozen=True):
    """metallb.io/v1beta1 CommunitySpec."""

    communities: list[CommunityAlias] | None = None


class Community(Object, frozen=True):
    """metallb.io/v1beta1 Community."""

    spec: CommunitySpec = CommunitySpec()


class ServiceBGPStatusStatus(Json, frozen=True):
    """metallb.io/v1beta1 ServiceBGPStatus status; ``peers`` are names of BGPPeers."""

    node: str = ""
    service_name: str = ""
    service_namespace: str = ""
    peers: list[str] | None = None


class ServiceBGPStatus(Object, frozen=True):
    """metallb.io/v1beta1 ServiceBGPStatus."""

    status: ServiceBGPStatusStatus = ServiceBGPStatusStatus()


class ConfigurationStateStatus(Json, frozen=True):
    """metallb.io/v1beta1 ConfigurationState status; ``result``: Valid, Invalid or Unknown."""

    result: str = ""
    error_summary: str = ""
    conditions: list[Condition] | None = None


class ConfigurationState(Object, frozen=True):
    """metallb.io/v1beta1 ConfigurationState."""

    status: ConfigurationStateStatus = ConfigurationStateStatus()


class InterfaceName(Json, frozen=True):
    """ServiceL2Status status.interfaces[]."""

    name: str = ""


class ServiceL2StatusStatus(Json, frozen=True):
    """metallb.io/v1beta1 ServiceL2Status status."""

    node: str = ""
    service_name: str = ""
    service_namespace: str = ""
    interfaces: list[InterfaceName] | None = None


class ServiceL2Status(Object, frozen=True):
    """metallb.io/v1beta1 ServiceL2Status."""

    status: ServiceL2StatusStatus = ServiceL2StatusStatus()


# --- bellmetal.io --------------------------------------------------------------------------------


class ServiceRef(Json, frozen=True):
    """A Service by namespace, name and uid."""

    namespace: str = ""
    name: str = ""
    uid: str = ""


class SliceNode(Json, frozen=True):
    """AnnouncementSlice spec.nodeSets[].nodes[]."""

    name: str = ""
    address: str = ""


class SliceNodeSet(Json, frozen=True):
    """AnnouncementSlice spec.nodeSets[]."""

    name: str = ""
    nodes: list[SliceNode] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    draining: list[str] = field(default_factory=list)


class SliceAnnouncement(Json, frozen=True):
    """AnnouncementSlice spec.announcements[]."""

    address: str = ""
    term: int = 0
    owner: str = ""
    node_set: str = ""
    successors: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    services: list[ServiceRef] = field(default_factory=list)
    refresh: int = 0


class SliceRoute(Json, frozen=True):
    """AnnouncementSlice spec.routes[]; a community is text, as in a BGPAdvertisement."""

    prefix: str = ""
    node_set: str = ""
    local_pref: int = 0
    communities: list[str] = field(default_factory=list)
    med: int | None = None
    prepend: int = 0
    next_hop: str = ""
    peers: list[str] = field(default_factory=list)
    services: list[ServiceRef] = field(default_factory=list)


class SliceBFD(Json, frozen=True):
    """AnnouncementSlice spec.peers[].bfd: the values in effect; intervals in milliseconds."""

    name: str = ""
    receive_interval: int = 300
    transmit_interval: int = 300
    detect_multiplier: int = 3
    echo_interval: int = 50
    echo_mode: bool = False
    passive_mode: bool = False
    minimum_ttl: int = 254


class SlicePeer(Json, frozen=True):
    """AnnouncementSlice spec.peers[]: all but the password. Times in seconds."""

    name: str = ""
    uid: str = ""
    node_set: str = ""
    my_asn: int = field(name="myASN", default=0)
    peer_asn: int = field(name="peerASN", default=0)
    local_asn: int = field(name="localASN", default=0)
    dynamic_asn: str = field(name="dynamicASN", default="")
    address: str = ""
    interface: str = ""
    gateway: str = ""
    source_address: str = ""
    port: int = 179
    hold_time: int | None = None
    keepalive_time: int | None = None
    connect_time: int | None = None
    router_id: str = field(name="routerID", default="")
    signed: bool = False
    ao: bool = False
    bfd: SliceBFD | None = None
    graceful_restart: bool = False
    multi_hop: bool = False
    vrf: str = ""
    dual_stack: bool = False
    passive: bool = False
    ttl_security: int = 0
    drain_time: float = 10.0
    max_prefixes: int = 0
    add_path: bool = False


class AnnouncementSliceSpec(Json, frozen=True):
    """bellmetal.io/v1alpha1 AnnouncementSliceSpec."""

    version: int = 0
    node_sets: list[SliceNodeSet] = field(default_factory=list)
    announcements: list[SliceAnnouncement] = field(default_factory=list)
    routes: list[SliceRoute] = field(default_factory=list)
    peers: list[SlicePeer] = field(default_factory=list)


class AnnouncementSlice(Object, frozen=True):
    """bellmetal.io/v1alpha1 AnnouncementSlice."""

    spec: AnnouncementSliceSpec = AnnouncementSliceSpec()


class LedgerHolder(Json, frozen=True):
    """AddressLedger spec.entries[].holders[]."""

    uid: str = ""
    namespace: str = ""
    name: str = ""
    since: str | None = None
    sharing: str | None = None


class LedgerTenure(Json, frozen=True):
    """AddressLedger spec.entries[].owners[]."""

    node: str = ""
    since: str | None = None
    why: str | None = None


class LedgerEntry(Json, frozen=True):
    """AddressLedger spec.entries[]: who holds one address, or held it last."""

    term: int = 0
    pool: str = ""
    holders: list[LedgerHolder] = field(default_factory=list)
    freed_at: str | None = None
    last_holder: LedgerHolder | None = None
    owners: list[LedgerTenure] | None = None


class AddressLedgerSpec(Json, frozen=True):
    """bellmetal.io/v1alpha1 AddressLedgerSpec."""

    block: str = ""
    entries: dict[str, LedgerEntry] = field(default_factory=dict)
    floor: int = 0


class AddressLedger(Object, frozen=True):
    """bellmetal.io/v1alpha1 AddressLedger."""

    spec: AddressLedgerSpec = AddressLedgerSpec()


class ReportedClaim(Json, frozen=True):
    """SpeakerReport status.claims[]."""

    address: str = ""
    term: int = 0
    epoch: int = 0
    firm: bool = False


class ReportedInterface(Json, frozen=True):
    """SpeakerReport status.interfaces[]."""

    name: str = ""
    mac: str = ""
    up: bool = False
    subnets: list[str] = field(default_factory=list)
    gateways: list[str] = field(default_factory=list)


class ReportedFinding(Json, frozen=True):
    """SpeakerReport status.findings[]."""

    code: str = ""
    message: str = ""


class ReportedDoubt(Json, frozen=True):
    """SpeakerReport status.doubts[]."""

    address: str = ""
    kind: str = ""
    interface: str = ""
    owner: str = ""
    macs: list[str] = field(default_factory=list)
    since: str = ""


class ReportedProof(Json, frozen=True):
    """SpeakerReport status.proved."""

    asked: int = 0
    seen: int = 0


class ReportedLink(Json, frozen=True):
    """SpeakerReport status.node.links[]."""

    name: str = ""
    kind: str = ""
    up: bool = False
    promiscuous: bool = False
    rp_filter: int = 0
    arp_ignore: int = 0
    arp_filter: bool = False


class ReportedKubeProxy(Json, frozen=True):
    """SpeakerReport status.node.kubeProxy; ``healthy`` None: it does not answer."""

    mode: str = ""
    healthy: bool | None = None
    message: str = ""


class ReportedNode(Json, frozen=True):
    """SpeakerReport status.node; ``ipvs_addresses`` None: no such interface."""

    kernel: str = ""
    links: list[ReportedLink] = field(default_factory=list)
    kube_proxy: ReportedKubeProxy = ReportedKubeProxy()
    ipvs_addresses: int | None = None
    ip_forward: bool = False
    unheard: list[str] = field(default_factory=list)


class ReportedSight(Json, frozen=True):
    """SpeakerReport status.looks[]: the answer to the look of this id."""

    id: str = ""
    kind: str = ""
    ok: bool = False
    outcome: str = ""
    message: str = ""
    macs: list[str] = field(default_factory=list)
    interface: str = ""
    at: str = ""


class AskedLook(Json, frozen=True):
    """SpeakerReport spec.looks[]: what the speaker is asked to look at."""

    id: str = ""
    kind: str = ""
    address: str = ""
    port: int = 0
    seconds: int = 0


class SpeakerReportSpec(Json, frozen=True):
    """bellmetal.io/v1alpha1 SpeakerReport spec."""

    looks: list[AskedLook] = field(default_factory=list)


class SpeakerReportStatus(Json, frozen=True):
    """bellmetal.io/v1alpha1 SpeakerReport status."""

    version: int = 0
    boot_id: str = field(name="bootID", default="")
    address: str = ""
    claims: list[ReportedClaim] = field(default_factory=list)
    interfaces: list[ReportedInterface] = field(default_factory=list)
    findings: list[ReportedFinding] = field(default_factory=list)
    doubts: list[ReportedDoubt] = field(default_factory=list)
    proved: ReportedProof = ReportedProof()
    node: ReportedNode | None = None
    looks: list[ReportedSight] = field(default_factory=list)


class SpeakerReport(Object, frozen=True):
    """bellmetal.io/v1alpha1 SpeakerReport; its name is the node's."""

    spec: SpeakerReportSpec = SpeakerReportSpec()
    status: SpeakerReportStatus = SpeakerReportStatus()


class AskedReport(Object, frozen=True):
    """A SpeakerReport as its own speaker follows it: it knows what it wrote itself."""

    spec: SpeakerReportSpec = SpeakerReportSpec()


class SessionNegotiated(Json, frozen=True):
    """BGPSessionStatus status.negotiated; times in seconds."""

    hold_time: int = 0
    keepalive_time: float = 0.0
    local_asn: int = field(name="localASN", default=0)
    peer_asn: int = field(name="peerASN", default=0)
    local_address: str = ""
    peer_address: str = ""
    local_router_id: str = field(name="localRouterID", default="")
    peer_router_id: str = field(name="peerRouterID", default="")
    capabilities: list[str] = field(default_factory=list)


class SessionNotification(Json, frozen=True):
    """BGPSessionStatus status.lastNotification; ``direction``: sent or received."""

    direction: str = ""
    message: str = ""


class SessionPrefixes(Json, frozen=True, omit_defaults=False):
    """BGPSessionStatus status.prefixes; zeros are said too."""

    sent: int = 0
    pending: int = 0
    received: int = 0


class SessionBFD(Json, frozen=True):
    """BGPSessionStatus status.bfd; intervals in microseconds, as negotiated."""

    state: str = ""
    since: str | None = None
    diagnostic: str = ""
    remote_diagnostic: str = ""
    transmit: int = field(name="transmitMicroseconds", default=0)
    detect: int = field(name="detectMicroseconds", default=0)
    multiplier: int = 0
    multi_hop: bool = False
    message: str = ""


class BGPSessionStatusStatus(Json, frozen=True):
    """bellmetal.io/v1alpha1 BGPSessionStatus status; ``reason`` is a trouble's name."""

    node: str = ""
    peer: str = ""
    remote: str = ""
    port: int = 0
    vrf: str = ""
    state: str = ""
    since: str | None = None
    reason: str = ""
    message: str = ""
    negotiated: SessionNegotiated | None = None
    last_notification: SessionNotification | None = None
    last_error: str = ""
    prefixes: SessionPrefixes | None = None
    flaps: int = 0
    warnings: list[str] = field(default_factory=list)
    bfd: SessionBFD | None = None


class BGPSessionStatus(Object, frozen=True):
    """bellmetal.io/v1alpha1 BGPSessionStatus: a BGP session of one node."""

    status: BGPSessionStatusStatus = BGPSessionStatusStatus()


# --- what we only write --------------------------------------------------------------------------


class ObjectReference(Json, frozen=True):
    """v1.ObjectReference."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class ConfigMap(Object, frozen=True):
    """v1.ConfigMap."""

    data: dict[str, str] | None = None


class EventSource(Json, frozen=True):
    """v1.EventSource."""

    component: str = ""
    host: str = ""


class Event(Object, frozen=True):
    """v1.Event."""

    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = ""
    source: EventSource = EventSource()
    reporting_component: str = ""
    reporting_instance: str = ""
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    count: int = 0


class PasswordData(Json, frozen=True):
    """v1.Secret data of type kubernetes.io/basic-auth: what we look at. In base64; never shown."""

    password: str | None = None

    def __repr__(self) -> str:
        return "PasswordData(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class StoredSecret(Object, frozen=True):
    """v1.Secret of type kubernetes.io/basic-auth, as we read it."""

    data: PasswordData | None = None


class StoredPasswords(Object, frozen=True):
    """v1.Secret that speakers get the passwords of BGP peers by; in base64, never shown."""

    data: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"StoredPasswords({self.metadata.namespace}/{self.metadata.name})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.metadata.name)]


class Secret(Object, frozen=True):
    """v1.Secret; only ever written by us, so its data is not modelled for reading."""

    string_data: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"Secret({self.metadata.namespace}/{self.metadata.name})"
