"""What was decided: allocations and refusals, announcements and what was withheld.

May live here: frozen values and the reasons of a "no". May not: the deciding (`allocation.py`,
`planning.py`, `routing.py`), how intents look in a slice (`slices.py`).
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import Family, IPAddress, IPNetwork, family_of
from bellmetal.config import BFDProfile, Community
from bellmetal.config import Gateway as Gateway  # a word of the intents, too


@dataclass(frozen=True, slots=True)
class Allocation:
    """Addresses given to a Service, and the pool of each.

    ``orphaned``: those that it may not have any more, and the pool that is for others now, or
    nothing where no pool allows the address.
    """

    service: str
    addresses: tuple[IPAddress, ...]
    pools: tuple[str, ...]
    orphaned: tuple[tuple[IPAddress, str], ...] = ()

    @property
    def pool(self) -> str:
        """The name of the pool; more than one, with commas, where families come out of several."""
        return ",".join(dict.fromkeys(self.pools))


class RefusedReason(enum.Enum):
    """Why a Service got no address."""

    NO_POOL = "NoPool"  # there is none at all
    NO_POOL_OPEN = "NoPoolForService"  # each is for others, not automatic, invalid or draining
    NO_FAMILY = "FamilyNotInPools"
    NO_ADDRESS_LEFT = "NoAddressLeft"
    UNKNOWN_POOL = "UnknownPool"
    POOL_NOT_COMPATIBLE = "PoolNotCompatible"
    ADDRESS_NOT_IN_POOLS = "AddressNotInPools"
    ADDRESS_TAKEN = "AddressTaken"
    SHARING = "SharingConflict"  # taken by Services whose terms of sharing are others
    PORT_IN_USE = "PortInUse"
    RESERVED = "AddressReserved"
    QUOTA = "QuotaExceeded"
    BAD_REQUEST = "BadRequest"
    FAMILY_MISMATCH = "FamilyMismatch"
    NOT_ENOUGH_CLUSTER_IPS = "NotEnoughClusterIPs"
    POOL_INVALID = "PoolInvalid"
    POOL_DRAINING = "PoolDraining"


@dataclass(frozen=True, slots=True)
class Refused:
    """A Service that did not get what it asks for, and why, in a sentence.

    ``additional``: it has an address, and could have one more.
    """

    service: str
    reason: RefusedReason
    message: str
    additional: bool = False


class WithheldReason(enum.Enum):
    """Why an address is not announced; MetalLB's words where it has one."""

    NO_ADVERTISEMENT = "noMatchingAdvertisement"
    NO_ENDPOINTS = "noEndpoints"
    NO_LOCAL_ENDPOINTS = "noLocalEndpoints"
    NO_NODES = "noEligibleNodes"
    EXCLUDED = "nodesExcluded"  # by the label for it, all that are selected
    NO_NETWORK = "nodesWithoutNetwork"  # by their condition, all that are selected
    NO_INTERFACE = "noInterface"  # no node that may has one for the address
    CONFLICT = "conflictingAdvertisements"
    NO_PEERS = "noPeers"


LAYER2, BGP = "on layer 2", "by BGP"  # how an address is announced


@dataclass(frozen=True, slots=True)
class Withheld:
    """An allocated address that nobody announces, and why, in a sentence.

    ``how``: in what way, or from which nodes, it is not announced, while it is otherwise.
    """

    service: str
    address: IPAddress
    reason: WithheldReason
    message: str
    how: str = ""

    @property
    def sentence(self) -> str:
        """All of it, for people."""
        how = f" {self.how}" if self.how else ""
        return f"{self.address} is not announced{how}: {self.message}"


@dataclass(frozen=True, slots=True)
class ServiceId:
    """A Service as events name it."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class NodeSet:
    """Nodes that may own addresses: name → gossip address. Announcements refer to it by name.

    ``networks``: a node needs an interface in one of them to answer; empty: any will do.
    ``draining``: nodes of it that should stop announcing, as others can.
    """

    name: str
    nodes: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[IPNetwork, ...] = ()
    draining: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Announcement:
    """A layer-2 intent: who should answer for an address, and who may.

    ``interfaces`` empty means all. ``successors``: the first two to take over. ``refresh``: seconds
    between two announcements to the LAN while nothing changes; 0: none.
    """

    address: IPAddress
    term: int
    owner: str
    node_set: str
    successors: tuple[str, ...] = ()
    interfaces: frozenset[str] = frozenset()
    services: tuple[ServiceId, ...] = ()
    refresh: int = 0


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a route says of its prefix; what is empty, 0 or None is not said.

    ``prepend``: how many times our AS number is added to the path. ``next_hop`` None: the speaker's
    own address towards the peer.
    """

    local_pref: int = 0
    communities: tuple[Community, ...] = ()
    med: int | None = None
    prepend: int = 0
    next_hop: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A BGP intent: the nodes of a set announce a prefix to peers. No ``peers``: to all.

    A prefix may be in several routes; what a peer is told of it is the speaker's to unite.
    """

    prefix: IPNetwork
    node_set: str
    attributes: Attributes = Attributes()
    peers: frozenset[str] = frozenset()
    services: tuple[ServiceId, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """A BGP intent: the nodes of a set have a session with a peer; all but the password.

    ``name`` and ``uid`` are the BGPPeer's. Exactly one of ``address``, ``interface`` and
    ``gateway`` is given. ``peer_asn`` 0: ``dynamic_asn`` says ``internal`` or ``external``.
    ``local_asn`` 0: ``my_asn`` is shown. Times are in seconds, None is our default; a ``hold_time``
    of 0 is for ever. ``signed``: with a password, which reaches speakers by a Secret, under the
    peer's name. ``ttl_security``: hops that the peer is away at most (RFC 5082); 0: not checked.
    ``drain_time``: between the GRACEFUL_SHUTDOWN community and the withdrawal (RFC 8326).
    ``max_prefixes``: sent at most; 0: any number. ``add_path``: several paths of a prefix are sent.
    """

    name: str
    node_set: str
    my_asn: int
    peer_asn: int = 0
    uid: str = ""
    local_asn: int = 0
    dynamic_asn: str = ""
    address: IPAddress | None = None
    interface: str = ""
    gateway: Gateway | None = None
    source_address: IPAddress | None = None
    port: int = 179
    hold_time: int | None = None
    keepalive_time: int | None = None
    connect_time: int | None = None
    router_id: IPAddress | None = None
    signed: bool = False
    ao: bool = False
    bfd: BFDProfile | None = None
    graceful_restart: bool = False
    multi_hop: bool = False
    vrf: str = ""
    dual_stack: bool = False
    passive: bool = False
    ttl_security: int = 0
    drain_time: float = 10.0
    max_prefixes: int = 0
    add_path: bool = False

    @property
    def families(self) -> frozenset[Family]:
        """The families of the routes that it is sent: its own, or both."""
        if self.dual_stack or self.interface:
            return frozenset(Family)
        if self.gateway is not None:
            return frozenset([Family.IPV6 if self.gateway is Gateway.IPV6 else Family.IPV4])
        return frozenset() if self.address is None else frozenset([family_of(self.address)])


@dataclass(frozen=True, slots=True)
class Intents:
    """All of the plan."""

    announcements: tuple[Announcement, ...] = ()
    node_sets: tuple[NodeSet, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    routes: tuple[Route, ...] = ()
    peers: tuple[PeerPlan, ...] = ()
    unnamed: Mapping[IPNetwork, int] = field(default_factory=dict)  # more Services than are named


def rank(address: IPAddress, node: str) -> int:
    """Rendezvous hash (higher goes first): of address and node alone, never of the set of nodes.

    So speakers that know different sets of nodes agree on the order of two of them.
    """
    digest = hashlib.blake2b(address.packed + node.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
