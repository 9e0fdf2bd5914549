"""What was decided: allocations and refusals, announcements and what was withheld.

May live here: frozen values, the reasons of a "no", and how intents look in a slice.
May not: the deciding (`allocation.py`, `planning.py`).
"""

from __future__ import annotations

import enum
import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import AddressError, IPAddress, IPNetwork, parse_address
from bellmetal.resources import (
    AnnouncementSlice,
    ServiceRef,
    SliceAnnouncement,
    SliceNode,
    SliceNodeSet,
)

SLICE_VERSION = 1


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

    NO_ADDRESS_LEFT = "NoAddressLeft"
    UNKNOWN_POOL = "UnknownPool"
    POOL_NOT_COMPATIBLE = "PoolNotCompatible"
    ADDRESS_NOT_IN_POOLS = "AddressNotInPools"
    ADDRESS_TAKEN = "AddressTaken"
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
    """Why an address is not announced on layer 2; MetalLB's words where it has one."""

    NO_ADVERTISEMENT = "noMatchingAdvertisement"
    NO_ENDPOINTS = "noEndpoints"
    NO_LOCAL_ENDPOINTS = "noLocalEndpoints"
    NO_NODES = "noEligibleNodes"


@dataclass(frozen=True, slots=True)
class Withheld:
    """An allocated address that nobody announces, and why, in a sentence."""

    service: str
    address: IPAddress
    reason: WithheldReason
    message: str


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
    """

    name: str
    nodes: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[IPNetwork, ...] = ()


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
class Intents:
    """All of the plan."""

    announcements: tuple[Announcement, ...] = ()
    node_sets: tuple[NodeSet, ...] = ()
    withheld: tuple[Withheld, ...] = ()


def rank(address: IPAddress, node: str) -> int:
    """Rendezvous hash (higher goes first): of address and node alone, never of the set of nodes.

    So speakers that know different sets of nodes agree on the order of two of them.
    """
    digest = hashlib.blake2b(address.packed + node.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


# --- how intents look in a slice -----------------------------------------------------------------


def announcement_to_slice(announcement: Announcement) -> SliceAnnouncement:
    """The JSON struct of an announcement."""
    return SliceAnnouncement(
        address=str(announcement.address),
        term=announcement.term,
        owner=announcement.owner,
        node_set=announcement.node_set,
        successors=list(announcement.successors),
        interfaces=sorted(announcement.interfaces),
        services=[ServiceRef(s.namespace, s.name, s.uid) for s in announcement.services],
        refresh=announcement.refresh,
    )


def node_set_to_slice(node_set: NodeSet) -> SliceNodeSet:
    """The JSON struct of a node set."""
    nodes = [SliceNode(name, address) for name, address in sorted(node_set.nodes.items())]
    return SliceNodeSet(node_set.name, nodes, [str(item) for item in node_set.networks])


@dataclass(frozen=True, slots=True)
class SliceContents:
    """What slices say: the highest term wins where an address stands in two; and what was off."""

    announcements: Mapping[IPAddress, Announcement] = field(default_factory=dict)
    node_sets: Mapping[str, NodeSet] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def read_slices(slices: Iterable[AnnouncementSlice]) -> SliceContents:
    """Announcements and node sets out of slices; a bad item is a fault and hides no other."""
    return SliceReader().read(slices)


class SliceReader:
    """Reads slices again and again; what is the very same object as before is not read anew."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[AnnouncementSlice, SliceContents]] = {}

    def read(self, slices: Iterable[AnnouncementSlice]) -> SliceContents:
        """What all of them say together."""
        before, self._known = self._known, {}
        announcements: dict[IPAddress, Announcement] = {}
        node_sets: dict[str, NodeSet] = {}
        faults: list[str] = []
        for piece in slices:
            known = before.get(piece.key)
            contents = known[1] if known and known[0] is piece else _read(piece)
            self._known[piece.key] = piece, contents
            node_sets |= contents.node_sets
            faults += contents.faults
            for address, item in contents.announcements.items():
                standing = announcements.get(address)
                if standing is None or standing.term < item.term:
                    announcements[address] = item
        return SliceContents(announcements, node_sets, tuple(faults))


def _read(piece: AnnouncementSlice) -> SliceContents:
    name = piece.metadata.name
    if piece.spec.version != SLICE_VERSION:
        fault = f"AnnouncementSlice/{name} spec.version: {piece.spec.version} is not understood"
        return SliceContents(faults=(f"{fault} (this release reads {SLICE_VERSION})",))
    announcements: dict[IPAddress, Announcement] = {}
    node_sets: dict[str, NodeSet] = {}
    faults: list[str] = []
    for node_set in piece.spec.node_sets:
        try:
            node_sets[node_set.name] = _node_set(node_set)
        except ValueError as error:
            faults.append(f"AnnouncementSlice/{name} spec.nodeSets[{node_set.name}]: {error}")
    for index, item in enumerate(piece.spec.announcements):
        try:
            announcement = _announcement(item)
        except AddressError as error:
            faults.append(f"AnnouncementSlice/{name} spec.announcements[{index}]: {error}")
            continue
        standing = announcements.get(announcement.address)
        if standing is None or standing.term < announcement.term:
            announcements[announcement.address] = announcement
    return SliceContents(announcements, node_sets, tuple(faults))


def _node_set(item: SliceNodeSet) -> NodeSet:
    nodes = {node.name: node.address for node in item.nodes}
    return NodeSet(item.name, nodes, tuple(ipaddress.ip_network(text) for text in item.networks))


def _announcement(item: SliceAnnouncement) -> Announcement:
    if item.term < 1:
        raise AddressError(f"term {item.term} is not positive")
    if not item.node_set:
        raise AddressError("nodeSet is missing")
    return Announcement(
        address=parse_address(item.address),
        term=item.term,
        owner=item.owner,
        node_set=item.node_set,
        successors=tuple(item.successors),
        interfaces=frozenset(item.interfaces),
        services=tuple(ServiceId(s.namespace, s.name, s.uid) for s in item.services),
        refresh=item.refresh,
    )
