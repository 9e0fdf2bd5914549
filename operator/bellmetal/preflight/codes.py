"""What `preflight` may find, by name; each finding's level, and what it means in general.

A name stays the same over releases. `docs/preflight.md` has this table too (a test compares them).
"""

from __future__ import annotations

import enum


class Level(enum.Enum):
    """How bad it is; the worst first."""

    FAILURE = "failure"  # it does not work, or will not
    WARNING = "warning"  # it works for now, or for some; or nobody can say
    NOTE = "note"  # good to know


class Topic(enum.Enum):
    """What a finding is about, in the order in which people should look at it."""

    CLUSTER = "Cluster"
    CRDS = "CRDs"
    RIGHTS = "Rights"
    PROGRAMS = "Controllers and speakers"
    RIVALS = "Others who do the same"
    PROXY = "kube-proxy"
    POOLS = "Pools"
    NODES = "Nodes"
    CONFIGURATION = "Configuration"


_F, _W, _N = Level.FAILURE, Level.WARNING, Level.NOTE


class Code(enum.Enum):
    """Its name in JSON is the value's first part; the rest is what stands in the docs."""

    # --- the cluster
    SERVER_TOO_OLD = "ServerTooOld", _F, Topic.CLUSTER, "the API server is older than we support"
    NOT_INSTALLED = "NotInstalled", _N, Topic.CLUSTER, "Bellmetal does not run in the namespace"
    ELSEWHERE = "InAnotherNamespace", _W, Topic.CLUSTER, "it runs in another namespace instead"
    TWICE = "InstalledTwice", _F, Topic.CLUSTER, "two installations serve the same Services"
    NOT_READ = "NotRead", _W, Topic.CLUSTER, "something could not be read, so it was not judged"
    NOT_KNOWN = (
        "NotKnown",
        _N,
        Topic.CLUSTER,
        "nothing in the cluster tells it, so it was not judged",
    )
    # --- CRDs
    CRD_MISSING = "CRDMissing", _F, Topic.CRDS, "a kind of ours is not defined"
    CRD_INCOMPLETE = (
        "CRDIncomplete",
        _F,
        Topic.CRDS,
        "a CRD lacks fields that we use: it is an older one, or MetalLB's; the API server drops"
        " what is written there",
    )
    CRD_NOT_SERVED = "CRDNotServed", _F, Topic.CRDS, "the version that we use is not served"
    CRD_NOT_READY = "CRDNotReady", _F, Topic.CRDS, "a CRD is not established, or being deleted"
    CRD_NEWER = "CRDNewer", _N, Topic.CRDS, "a CRD has fields that this program does not know"
    CRD_OF_OTHER = "CRDOfOtherRelease", _W, Topic.CRDS, "another Helm release owns a CRD"
    CRD_CONVERSION = (
        "CRDConversion",
        _F,
        Topic.CRDS,
        "a CRD is converted by a webhook of MetalLB's: no object can be read without it",
    )
    WEBHOOK_LEFT = (
        "WebhookLeftBehind",
        _F,
        Topic.CRDS,
        "MetalLB's webhook must agree to all configuration, and MetalLB is gone",
    )
    # --- rights
    USER_LACKS = "UserLacksRight", _N, Topic.RIGHTS, "you may not do what a command needs"
    PROGRAM_LACKS = (
        "ProgramLacksRight",
        _F,
        Topic.RIGHTS,
        "a ServiceAccount may not do what its program needs: roles and image do not fit",
    )
    # --- programs
    POD_SECURITY = (
        "PodSecurity",
        _F,
        Topic.PROGRAMS,
        "the namespace's Pod Security level does not let speakers have the nodes' network",
    )
    NO_POD_SECURITY = (
        "PodSecurityUnlabelled",
        _N,
        Topic.PROGRAMS,
        "the namespace says nothing of Pod Security: the cluster's default counts",
    )
    NO_CONTROLLER = "NoController", _F, Topic.PROGRAMS, "no controller is there, or none is ready"
    FEWER_CONTROLLERS = "FewerControllers", _W, Topic.PROGRAMS, "fewer are ready than there should"
    NO_LEADER = "NoLeader", _F, Topic.PROGRAMS, "no controller has renewed the Lease of late"
    STRANGE_LEADER = (
        "StrangeLeader",
        _W,
        Topic.PROGRAMS,
        "who leads is no pod of ours: a controller runs elsewhere",
    )
    NO_SPEAKERS = "NoSpeakers", _F, Topic.PROGRAMS, "there is no DaemonSet of speakers, or no pod"
    NODE_TAINTED = (
        "NodeTainted",
        _W,
        Topic.PROGRAMS,
        "a node has no speaker as its taint is not tolerated",
    )
    NODE_NOT_SELECTED = (
        "NodeNotSelected",
        _N,
        Topic.PROGRAMS,
        "a node has no speaker as the DaemonSet does not select it",
    )
    NO_SPEAKER = "NoSpeaker", _W, Topic.PROGRAMS, "a node should have a speaker and has none"
    SPEAKER_NOT_READY = "SpeakerNotReady", _W, Topic.PROGRAMS, "a speaker's pod is not ready"
    NO_REPORT = "NoReport", _W, Topic.PROGRAMS, "a speaker is ready and has never reported"
    IMAGES_DIFFER = "ImagesDiffer", _W, Topic.PROGRAMS, "controllers and speakers differ in version"
    OTHER_VERSION = "OtherVersion", _N, Topic.PROGRAMS, "this program is of another version"
    NO_SECRET = "NoMemberlistSecret", _F, Topic.PROGRAMS, "the members' shared secret is missing"
    # --- rivals
    METALLB = "MetalLB", _F, Topic.RIVALS, "MetalLB runs beside us"
    METALLB_HERE = "MetalLBRuns", _N, Topic.RIVALS, "MetalLB runs, and we do not yet"
    SERVICE_LB = "ServiceLB", _F, Topic.RIVALS, "k3s' own load balancer serves the same Services"
    OTHER_BALANCER = (
        "OtherLoadBalancer",
        _F,
        Topic.RIVALS,
        "PureLB, OpenELB, LoxiLB or kube-vip does",
    )
    CLOUD_CONTROLLER = (
        "CloudController",
        _W,
        Topic.RIVALS,
        "a cloud controller manager may serve the same Services",
    )
    CILIUM_POOLS = "CiliumPools", _W, Topic.RIVALS, "Cilium gives out addresses to Services too"
    CILIUM_ANNOUNCES = (
        "CiliumAnnounces",
        _W,
        Topic.RIVALS,
        "Cilium announces addresses of Services on layer 2 too",
    )
    CALICO_ANNOUNCES = (
        "CalicoAnnounces",
        _W,
        Topic.RIVALS,
        "Calico announces addresses of a pool by BGP too",
    )
    PORT_TAKEN = (
        "BGPPortTaken",
        _F,
        Topic.RIVALS,
        "Calico's BIRD listens on port 179, where a passive peer is awaited",
    )
    # --- kube-proxy
    STRICT_ARP = (
        "NoStrictARP",
        _F,
        Topic.PROXY,
        "kube-proxy in IPVS mode without strict ARP: every node answers for every address",
    )
    PROXY_UNKNOWN = "ProxyUnknown", _N, Topic.PROXY, "how kube-proxy works could not be seen"
    PROXY_UNREADABLE = "ProxyUnreadable", _W, Topic.PROXY, "kube-proxy's configuration is no YAML"
    NODE_PORTS = (
        "NodePortsNarrowed",
        _N,
        Topic.PROXY,
        "node ports are open on some addresses of nodes only",
    )
    ANSWERS_ARP = (
        "NodeAnswersARP",
        _F,
        Topic.PROXY,
        "speakers see that kube-proxy uses IPVS and the kernel answers for every address",
    )
    PROXY_SICK = "ProxyNotHealthy", _W, Topic.PROXY, "kube-proxy says that it is not healthy"
    PROXY_SILENT = "ProxySilent", _N, Topic.PROXY, "no kube-proxy answers on a node"
    PROXY_MODES = "ProxyModesDiffer", _W, Topic.PROXY, "kube-proxy works differently on some nodes"
    # --- pools
    NO_POOL = "NoPool", _N, Topic.POOLS, "there is no IPAddressPool yet"
    STRAY = (
        "StrayConfiguration",
        _W,
        Topic.POOLS,
        "an object of ours is in a namespace where it does not count",
    )
    NOT_ADVERTISED = "PoolNotAdvertised", _F, Topic.POOLS, "no advertisement selects a pool"
    SELECTS_NO_NODE = (
        "AdvertisementWithoutNode",
        _F,
        Topic.POOLS,
        "an advertisement's nodeSelectors match no node",
    )
    OVERLAPS_NODE = "PoolOverlapsNode", _W, Topic.POOLS, "a node's own address is in a pool"
    OVERLAPS_PODS = "PoolOverlapsPods", _F, Topic.POOLS, "a pool overlaps with pods' addresses"
    OVERLAPS_SERVICES = (
        "PoolOverlapsServices",
        _F,
        Topic.POOLS,
        "a pool overlaps with Services' cluster IPs",
    )
    UNALIGNED = (
        "PoolUnaligned",
        _W,
        Topic.POOLS,
        "a CIDR begins before the address that it was written with",
    )
    HAS_GATEWAY = "PoolHasGateway", _W, Topic.POOLS, "a router's address is in a pool"
    HAS_ENDS = (
        "PoolHasEnds",
        _N,
        Topic.POOLS,
        "the first or last address of a node's subnet is in a pool",
    )
    DHCP = "PoolInSubnet", _N, Topic.POOLS, "a pool is in the nodes' subnet, as DHCP's range may be"
    OUTSIDE = (
        "PoolOutsideSubnets",
        _W,
        Topic.POOLS,
        "a pool for layer 2 is in no subnet of any node: no router asks for it on the LAN",
    )
    # --- nodes
    ALL_EXCLUDED = (
        "AllNodesExcluded",
        _F,
        Topic.NODES,
        "a label takes every node out of load balancing",
    )
    EXCLUDED = "NodesExcluded", _N, Topic.NODES, "a label takes some nodes out of load balancing"
    NOT_READY = "NodeNotReady", _W, Topic.NODES, "a node is not ready"
    SINGLE = "SingleNode", _N, Topic.NODES, "there is one node: nobody can take over"
    DOUBTS = "SpeakerFinding", _W, Topic.NODES, "a speaker reports that something is wrong"
    CLOCK = "ClockDiffers", _W, Topic.NODES, "a node's clock and the API server's differ"
    WIRELESS = "Wireless", _W, Topic.NODES, "a node would announce on Wi-Fi"
    LAYERED = "LayeredInterface", _N, Topic.NODES, "a node announces on a bridge or the like"
    VIRTUAL = "VirtualMachine", _N, Topic.NODES, "a node is a virtual machine: see to spoof guards"
    REVERSE_PATH = (
        "StrictReversePath",
        _W,
        Topic.NODES,
        "rp_filter is strict on a node with several interfaces",
    )
    NO_FORWARDING = "NoForwarding", _W, Topic.NODES, "a node does not forward IPv4"
    UNHEARD = "MembersUnheard", _W, Topic.NODES, "speakers do not hear each other"
    # --- configuration
    INVALID = "InvalidConfiguration", _F, Topic.CONFIGURATION, "an object of ours has a problem"
    STATE = "ConfigurationState", _W, Topic.CONFIGURATION, "a program has not taken it all in"

    def __init__(self, text: str, level: Level, topic: Topic, meaning: str) -> None:
        self.text, self.level, self.topic, self.meaning = text, level, topic, meaning
