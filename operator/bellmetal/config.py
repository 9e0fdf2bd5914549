"""The user's configuration as nouns: Pool, advertisements, Peer, …, and all as one Config.

May live here: frozen values and predicates on them. May not: parsing (`validation`).
"""

from __future__ import annotations

import bisect
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bellmetal.addresses import Family, IPAddress, Range, count_buggy, family_of, is_buggy
from bellmetal.selectors import Selector, any_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one object: kind, name, path of the field, and a sentence about it."""

    kind: str
    name: str
    path: str
    message: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name} {self.path}: {self.message}"


PREFIX = "bellmetal.io/"  # of annotations that ask for what MetalLB has no field for
EXCLUDE = f"{PREFIX}exclude"
RESERVE = f"{PREFIX}reserve"
COOL_DOWN = f"{PREFIX}cool-down"
DRAIN = f"{PREFIX}drain"
ON_ORPHAN = f"{PREFIX}on-orphan"
QUOTA = f"{PREFIX}address-quota"
PER_FAMILY = f"{PREFIX}addresses-per-family"
MOVE_TO = f"{PREFIX}move-to"
ANY_SUBNET = f"{PREFIX}any-subnet"
ANNOUNCE_EVERY = f"{PREFIX}announce-every"
MED = f"{PREFIX}med"
PREPEND = f"{PREFIX}as-path-prepend"
NEXT_HOP = f"{PREFIX}next-hop"
COMMUNITIES = f"{PREFIX}communities"
PASSIVE = f"{PREFIX}passive"
TTL_SECURITY = f"{PREFIX}ttl-security"
TCP_AO = f"{PREFIX}tcp-ao"
ADDRESS_FROM = f"{PREFIX}peer-address-from"
ASN_FROM = f"{PREFIX}peer-asn-from"
DRAIN_TIME = f"{PREFIX}drain-time"
MAX_PREFIXES = f"{PREFIX}max-prefixes"
ADD_PATH = f"{PREFIX}add-path"


class OnOrphan(enum.Enum):
    """What becomes of an address in use that its pool allows no more."""

    KEEP = "keep"  # it stays and is reported
    RENUMBER = "renumber"  # the Service gets another at once, as with MetalLB


@dataclass(frozen=True, slots=True)
class Pool:
    """An IPAddressPool. ``priority``: lower is preferred, 0 is last.

    ``broken`` says that its object is invalid: no new address comes out of it, and what was given
    out of it stays. What stands last here is asked for by ``bellmetal.io/`` annotations:
    ``excluded`` ranges are as if they were not in the pool; a ``reserved`` address is for the
    Service of that key (``namespace/name``) alone, or, if that is empty, for whoever asks for it;
    ``cool_down`` is in seconds; out of a ``draining`` pool comes no new address; ``on_orphan``
    None leaves it to the controller's setting.
    """

    name: str
    ranges: tuple[Range, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    auto_assign: bool = True
    avoid_buggy: bool = False
    priority: int = 0
    namespaces: frozenset[str] | None = None
    service_selectors: tuple[Selector, ...] = ()
    broken: bool = False
    excluded: tuple[Range, ...] = ()
    reserved: Mapping[IPAddress, str] = field(default_factory=dict)
    cool_down: float = 0.0
    draining: bool = False
    on_orphan: OnOrphan | None = None

    def allows(self, address: IPAddress) -> bool:
        """Whether an address may be given out of this pool."""
        if self.avoid_buggy and is_buggy(address):
            return False
        if any(address in entry for entry in self.excluded):
            return False
        return any(address in entry for entry in self.ranges)

    @property
    def pinned(self) -> bool:
        """Whether spec.serviceAllocation reserves it for some Services."""
        return self.namespaces is not None or bool(self.service_selectors)

    def admits(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a Service of that namespace and those labels may have an address of it."""
        if self.namespaces is not None and namespace not in self.namespaces:
            return False
        return not self.service_selectors or any_matches(self.service_selectors, labels)

    def pieces(self, family: Family) -> tuple[Range, ...]:
        """Its ranges of a family, in their order, without what is excluded."""
        ranges = [entry for entry in self.ranges if entry.family is family]
        return tuple(piece for entry in ranges for piece in entry.without(self.excluded))

    def capacity(self, family: Family) -> int:
        """How many addresses of a family it allows."""
        pieces = self.pieces(family)
        total = sum(piece.size for piece in pieces)
        return total - sum(count_buggy(piece) for piece in pieces) * self.avoid_buggy


@dataclass(frozen=True, slots=True)
class Labelled:
    """A Namespace or a Node as configuration looks at it.

    ``annotations`` are those under ``bellmetal.io/`` alone: others are nobody's news.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""


@dataclass(frozen=True, slots=True)
class PreferredNodes:
    """Nodes that an advertisement prefers, by weight (1 to 100)."""

    weight: int
    selector: Selector


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What both kinds of advertisement select. No pool named and no pool selector: all pools."""

    name: str
    pools: frozenset[str] = frozenset()
    pool_selectors: tuple[Selector, ...] = ()
    node_selectors: tuple[Selector, ...] = ()
    service_selectors: tuple[Selector, ...] = ()

    def selects_pool(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it advertises the addresses of that pool."""
        if not self.pools and not self.pool_selectors:
            return True
        return name in self.pools or any_matches(self.pool_selectors, labels)

    def selects_service(self, labels: Mapping[str, str]) -> bool:
        """Whether it advertises Services with those labels."""
        return not self.service_selectors or any_matches(self.service_selectors, labels)

    def selects_node(self, labels: Mapping[str, str]) -> bool:
        """Whether nodes with those labels may announce for it."""
        return not self.node_selectors or any_matches(self.node_selectors, labels)


@dataclass(frozen=True, slots=True)
class L2Advertisement(Advertisement):
    """An L2Advertisement. No interface: all.

    By annotation: ``any_subnet``, nodes need no interface in the address's subnet; ``refresh``,
    seconds between announcements while nothing changes (0: none).
    """

    preferred: tuple[PreferredNodes, ...] = ()
    interfaces: frozenset[str] = frozenset()
    any_subnet: bool = False
    refresh: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Community:
    """A BGP community: two numbers (RFC 1997) or three (RFC 8092, large)."""

    parts: tuple[int, ...]

    @property
    def large(self) -> bool:
        """Whether it is a large one."""
        return len(self.parts) == 3

    def __str__(self) -> str:
        text = ":".join(map(str, self.parts))
        return f"large:{text}" if self.large else text


@dataclass(frozen=True, slots=True)
class BGPAdvertisement(Advertisement):
    """A BGPAdvertisement. No peer: all.

    ``local_pref`` 0 is none; ``communities`` are sorted, aliases resolved, those by annotation
    among them. By annotation alone: ``med`` (None is none), ``prepend``, how many times our AS
    number is added to the path, and ``next_hops``, at most one of each family.
    """

    peers: frozenset[str] = frozenset()
    aggregation_length: int = 32
    aggregation_length_v6: int = 128
    local_pref: int = 0
    communities: tuple[Community, ...] = ()
    med: int | None = None
    prepend: int = 0
    next_hops: tuple[IPAddress, ...] = ()

    def length(self, family: Family) -> int:
        """The prefix length that addresses of a family are advertised with."""
        return self.aggregation_length if family is Family.IPV4 else self.aggregation_length_v6

    def next_hop(self, family: Family) -> IPAddress | None:
        """The next hop that is asked for, for prefixes of a family; None: the node's own."""
        return next((item for item in self.next_hops if family_of(item) is family), None)

    def selects_peer(self, name: str) -> bool:
        """Whether it advertises to the BGPPeer of that name."""
        return not self.peers or name in self.peers


@dataclass(frozen=True, slots=True)
class BFDProfile:
    """A BFDProfile with the values in effect."""

    name: str
    receive_interval_ms: int = 300
    transmit_interval_ms: int = 300
    detect_multiplier: int = 3
    echo_interval_ms: int = 50
    echo_mode: bool = False
    passive_mode: bool = False
    minimum_ttl: int = 254


class Gateway(enum.Enum):
    """A peer that is found as the node's default gateway, of a family."""

    IPV4 = "default-gateway"
    IPV6 = "default-gateway-v6"


@dataclass(frozen=True, slots=True)
class Remote:
    """A peer as some nodes know it, by labels or annotations of theirs."""

    nodes: frozenset[str]
    asn: int = 0
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """A BGPPeer: all that a session with it needs.

    One of ``peer_address``, ``interface`` and ``gateway``, or else ``remotes``, which say it for
    each node; None if labels and annotations of nodes say nothing of this peer.

    ``peer_asn`` 0: ``dynamic_asn`` says ``internal`` or ``external``. ``local_asn`` 0: ``my_asn``
    is shown. Timers are in seconds, None is BGP's own default; ``hold_time`` 0 is for ever.
    ``password_secret`` is the name of a Secret in our own namespace. ``bfd_profile`` is empty or
    names a profile, which the Config may lack. What stands last here is asked for by annotations:
    ``ttl_security`` in hops, 0 is none; ``drain_time`` in seconds, between the GRACEFUL_SHUTDOWN
    community and the withdrawal; ``max_prefixes`` 0 is any number.
    """

    name: str
    my_asn: int
    peer_asn: int = 0
    local_asn: int = 0
    dynamic_asn: str = ""
    peer_address: IPAddress | None = None
    interface: str = ""
    source_address: IPAddress | None = None
    peer_port: int = 179
    hold_time: float | None = None
    keepalive_time: float | None = None
    connect_time: float | None = None
    router_id: IPAddress | None = None
    node_selectors: tuple[Selector, ...] = ()
    password: str = field(default="", repr=False)
    password_secret: str = ""
    bfd_profile: str = ""
    enable_graceful_restart: bool = False
    ebgp_multi_hop: bool = False
    vrf: str = ""
    dual_stack_address_family: bool = False
    uid: str = ""
    gateway: Gateway | None = None
    remotes: tuple[Remote, ...] | None = None
    passive: bool = False
    ttl_security: int = 0
    tcp_ao: bool = False
    drain_time: float = 10.0
    max_prefixes: int = 0
    add_path: bool = False

    @property
    def id(self) -> str:
        """Its address or interface, and its VRF: what a node tells its peers apart by."""
        remote = self.interface or str(self.peer_address or "")
        remote = remote or (self.gateway.value if self.gateway else "")
        return f"{remote}-{self.vrf}" if self.vrf and remote else remote

    def id_on(self, node: str) -> str:
        """The same, of a peer that the nodes know by labels or annotations of theirs."""
        for remote in self.remotes or ():
            if remote.address is not None and node in remote.nodes:
                return f"{remote.address}-{self.vrf}" if self.vrf else str(remote.address)
        return self.id

    @property
    def signed(self) -> bool:
        """Whether it has a password."""
        return bool(self.password or self.password_secret)

    def selects_node(self, labels: Mapping[str, str]) -> bool:
        """Whether nodes with those labels have a session with it."""
        return not self.node_selectors or any_matches(self.node_selectors, labels)


@dataclass(frozen=True)
class Config:
    """The configuration in force. Tuples are sorted by name."""

    pools: tuple[Pool, ...] = ()
    l2_advertisements: tuple[L2Advertisement, ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)  # namespace → addresses at most
    bgp_advertisements: tuple[BGPAdvertisement, ...] = ()
    peers: tuple[Peer, ...] = ()
    bfd_profiles: tuple[BFDProfile, ...] = ()
    communities: Mapping[str, Community] = field(default_factory=dict)  # alias → what it is

    def pool(self, name: str) -> Pool | None:
        """The pool of that name."""
        return self._by_name.get(name)

    def pool_of(self, address: IPAddress) -> Pool | None:
        """The pool that allows an address (sound pools never overlap)."""
        try:
            return self._found[address]
        except KeyError:
            starts, pools = self._by_start[address.version]
            at = bisect.bisect_right(starts, int(address)) - 1
            pool = pools[at] if at >= 0 and pools[at].allows(address) else None
            return self._found.setdefault(address, pool)

    @cached_property
    def automatic(self) -> tuple[list[Pool], list[Pool]]:
        """The pools that give new addresses to whoever asks for none: those that are pinned to
        some, by priority, and the others, by name. Not to be changed."""
        found = [p for p in self.pools if p.auto_assign and not p.broken and not p.draining]
        pinned = [pool for pool in found if pool.pinned]
        pinned.sort(key=lambda pool: (pool.priority <= 0, pool.priority, pool.name))
        return pinned, [pool for pool in found if not pool.pinned]

    @cached_property
    def _found(self) -> dict[IPAddress, Pool | None]:
        """What `pool_of` has found: it is asked for every address in use in each pass."""
        return {}

    @cached_property
    def _by_name(self) -> dict[str, Pool]:
        return {pool.name: pool for pool in self.pools}

    @cached_property
    def _by_start(self) -> dict[int, tuple[list[int], list[Pool]]]:
        """By IP version: where each range starts, ascending, and whose it is."""
        found = {}
        for version in (4, 6):
            entries = [
                (int(entry.first), pool)
                for pool in self.pools
                for entry in pool.ranges
                if entry.first.version == version
            ]
            entries.sort(key=lambda item: item[0])
            found[version] = [start for start, _ in entries], [pool for _, pool in entries]
        return found
