"""How intents look in a slice, and what slices say: both ways between nouns and JSON structs.

May live here: the format and its version. May not: which slice holds what (`packing.py`).
"""

from __future__ import annotations

import ipaddress
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, TypeVar

import msgspec

from bellmetal.addresses import AddressError, IPAddress, IPNetwork, parse_address
from bellmetal.config import BFDProfile, Community
from bellmetal.intents import (
    Announcement,
    Attributes,
    Gateway,
    NodeSet,
    PeerPlan,
    Route,
    ServiceId,
)
from bellmetal.resources import (
    AnnouncementSlice,
    ServiceRef,
    SliceAnnouncement,
    SliceBFD,
    SliceNode,
    SliceNodeSet,
    SlicePeer,
    SliceRoute,
)

SLICE_VERSION = 1
MOST_ASN = 2**32 - 1

I = TypeVar("I")  # noqa: E741 - an item of a slice
N = TypeVar("N")


# --- nouns → structs -----------------------------------------------------------------------------


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
    networks = [str(item) for item in node_set.networks]
    return SliceNodeSet(node_set.name, nodes, networks, sorted(node_set.draining))


def route_to_slice(route: Route) -> SliceRoute:
    """The JSON struct of a route."""
    said = route.attributes
    return SliceRoute(
        prefix=_text(route.prefix),
        node_set=route.node_set,
        local_pref=said.local_pref,
        communities=[str(item) for item in said.communities],
        med=said.med,
        prepend=said.prepend,
        next_hop=str(said.next_hop or ""),
        peers=sorted(route.peers),
        services=[ServiceRef(s.namespace, s.name, s.uid) for s in route.services],
    )


@lru_cache(maxsize=65536)
def _text(prefix: IPNetwork) -> str:
    return str(prefix)  # which takes longer than to look it up, in each pass for thousands


def peer_to_slice(peer: PeerPlan) -> SlicePeer:
    """The JSON struct of a peer."""
    return SlicePeer(
        name=peer.name,
        uid=peer.uid,
        node_set=peer.node_set,
        my_asn=peer.my_asn,
        peer_asn=peer.peer_asn,
        local_asn=peer.local_asn,
        dynamic_asn=peer.dynamic_asn,
        address=str(peer.address or ""),
        interface=peer.interface,
        gateway=peer.gateway.value if peer.gateway else "",
        source_address=str(peer.source_address or ""),
        port=peer.port,
        hold_time=peer.hold_time,
        keepalive_time=peer.keepalive_time,
        connect_time=peer.connect_time,
        router_id=str(peer.router_id or ""),
        signed=peer.signed,
        ao=peer.ao,
        bfd=_bfd_to_slice(peer.bfd) if peer.bfd else None,
        graceful_restart=peer.graceful_restart,
        multi_hop=peer.multi_hop,
        vrf=peer.vrf,
        dual_stack=peer.dual_stack,
        passive=peer.passive,
        ttl_security=peer.ttl_security,
        drain_time=peer.drain_time,
        max_prefixes=peer.max_prefixes,
        add_path=peer.add_path,
    )


def _bfd_to_slice(profile: BFDProfile) -> SliceBFD:
    return SliceBFD(
        name=profile.name,
        receive_interval=profile.receive_interval_ms,
        transmit_interval=profile.transmit_interval_ms,
        detect_multiplier=profile.detect_multiplier,
        echo_interval=profile.echo_interval_ms,
        echo_mode=profile.echo_mode,
        passive_mode=profile.passive_mode,
        minimum_ttl=profile.minimum_ttl,
    )


# --- structs → nouns -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SliceContents:
    """What slices say, and what was off: the highest term wins where an address stands in two.

    A route that moves from one slice to another may stand twice meanwhile.
    """

    announcements: Mapping[IPAddress, Announcement] = field(default_factory=dict)
    node_sets: Mapping[str, NodeSet] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    peers: tuple[PeerPlan, ...] = ()


def read_slices(slices: Iterable[AnnouncementSlice]) -> SliceContents:
    """All that slices say; a bad item is a fault and hides no other."""
    return SliceReader().read(slices)


@dataclass(frozen=True, slots=True)
class PackedSlice:
    """A slice as compressed JSON: speakers keep all of them, and open they take a hundred times
    as much."""

    key: str
    data: bytes

    @classmethod
    def of(cls, body: AnnouncementSlice) -> PackedSlice:
        """Packed."""
        return cls(body.key, zlib.compress(msgspec.json.encode(body), level=1))

    def json(self) -> bytes:
        """As it was sent."""
        return zlib.decompress(self.data)

    def open(self) -> AnnouncementSlice:
        """The struct again."""
        return msgspec.json.decode(self.json(), type=AnnouncementSlice)


AnySlice: TypeAlias = AnnouncementSlice | PackedSlice


class SliceReader:
    """Reads slices again and again; what is the very same object as before is not read anew."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[AnySlice, SliceContents]] = {}

    def read(self, slices: Iterable[AnySlice]) -> SliceContents:
        """What all of them say together."""
        pieces = [*slices]
        known = [self.know(piece) for piece in pieces]
        announcements: dict[IPAddress, Announcement] = {}
        node_sets: dict[str, NodeSet] = {}
        faults: list[str] = []
        routes: list[Route] = []
        peers: list[PeerPlan] = []
        for contents in known:
            node_sets |= contents.node_sets
            faults += contents.faults
            routes += contents.routes
            peers += contents.peers
            announcements.update(contents.announcements)
        if len(announcements) < sum(len(contents.announcements) for contents in known):
            announcements = _highest(known)  # an address stands in two
        self._known = {piece.key: self._known[piece.key] for piece in pieces}
        return SliceContents(announcements, node_sets, tuple(faults), tuple(routes), tuple(peers))

    def knows(self, piece: AnySlice) -> bool:
        """Whether it was read."""
        known = self._known.get(piece.key)
        return known is not None and known[0] is piece

    def know(self, piece: AnySlice) -> SliceContents:
        """What one says: those who have no time to read all at once begin with each alone."""
        if not self.knows(piece):
            self._known[piece.key] = piece, _read(piece)
        return self._known[piece.key][1]


def _highest(pieces: Iterable[SliceContents]) -> dict[IPAddress, Announcement]:
    found: dict[IPAddress, Announcement] = {}
    for contents in pieces:
        for item in contents.announcements.values():
            _take(found, item)
    return found


def _take(announcements: dict[IPAddress, Announcement], item: Announcement) -> None:
    standing = announcements.get(item.address)
    if standing is None or standing.term < item.term:
        announcements[item.address] = item


def _read(piece: AnySlice) -> SliceContents:
    if isinstance(piece, PackedSlice):
        piece = piece.open()
    name, spec = piece.metadata.name, piece.spec
    if spec.version != SLICE_VERSION:
        fault = f"AnnouncementSlice/{name} spec.version: {spec.version} is not understood"
        return SliceContents(faults=(f"{fault} (this release reads {SLICE_VERSION})",))
    faults: list[str] = []

    def each(path: str, items: Sequence[I], read: Callable[[I], N]) -> list[N]:
        found = []
        for index, item in enumerate(items):
            try:
                found.append(read(item))
            except ValueError as error:  # AddressError is one
                key = item.name if isinstance(item, SliceNodeSet) else index
                faults.append(f"AnnouncementSlice/{name} spec.{path}[{key}]: {error}")
        return found

    node_sets = {item.name: item for item in each("nodeSets", spec.node_sets, _node_set)}
    announcements: dict[IPAddress, Announcement] = {}
    for item in each("announcements", spec.announcements, _announcement):
        _take(announcements, item)
    routes = tuple(each("routes", spec.routes, route_of_slice))
    peers = tuple(each("peers", spec.peers, peer_of_slice))
    return SliceContents(announcements, node_sets, tuple(faults), routes, peers)


def _node_set(item: SliceNodeSet) -> NodeSet:
    nodes = {node.name: node.address for node in item.nodes}
    networks = tuple(ipaddress.ip_network(text) for text in item.networks)
    return NodeSet(item.name, nodes, networks, frozenset(item.draining))


def _announcement(item: SliceAnnouncement) -> Announcement:
    if item.term < 1:
        raise AddressError(f"term {item.term} is not positive")
    if not item.node_set:
        raise AddressError("nodeSet is missing")
    return Announcement(
        address=parse_address(item.address),
        term=item.term,
        owner=sys.intern(item.owner),
        node_set=sys.intern(item.node_set),
        successors=_successors(tuple(item.successors)),
        interfaces=_interfaces(tuple(item.interfaces)),
        services=tuple([_service(one) for one in item.services]),
        refresh=item.refresh,
    )


# thousands say the same, and are kept by each speaker


@lru_cache(maxsize=4096)
def _successors(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(sys.intern, names))


@lru_cache(maxsize=1024)
def _interfaces(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


# --- routes --------------------------------------------------------------------------------------


def route_of_slice(item: SliceRoute) -> Route:
    """The route of a JSON struct; raises ValueError with a sentence."""
    if not item.node_set:
        raise ValueError("nodeSet is missing")
    attributes = _attributes(
        item.local_pref, tuple(item.communities), item.med, item.prepend, item.next_hop
    )
    return Route(
        prefix=_prefix(item.prefix),
        node_set=sys.intern(item.node_set),  # thousands say the same
        attributes=attributes,
        peers=frozenset(item.peers),
        services=tuple([_service(one) for one in item.services]),
    )


def _service(item: ServiceRef) -> ServiceId:
    return ServiceId(sys.intern(item.namespace), item.name, item.uid)


@lru_cache(maxsize=4096)
def _attributes(
    local_pref: int, communities: tuple[str, ...], med: int | None, prepend: int, next_hop: str
) -> Attributes:
    """One value for the many routes that say the same."""
    _check("localPref", local_pref, 0, MOST_ASN)
    _check("med", med or 0, 0, MOST_ASN)
    _check("prepend", prepend, 0, 10)
    return Attributes(
        local_pref,
        tuple(_community(text) for text in communities),
        med,
        prepend,
        parse_address(next_hop) if next_hop else None,
    )


def _prefix(text: str) -> IPNetwork:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a prefix') from None


_COMMUNITY = re.compile(r"[0-9]{1,5}:[0-9]{1,5}|large(?::[0-9]{1,10}){3}")


def _community(text: str) -> Community:
    large = text.startswith("large:")
    if _COMMUNITY.fullmatch(text):
        parts = tuple(map(int, text.removeprefix("large:").split(":")))
        if max(parts) < 2 ** (32 if large else 16):
            return Community(parts)
    raise ValueError(f'"{text}" is not a community')


# --- peers ---------------------------------------------------------------------------------------


def peer_of_slice(item: SlicePeer) -> PeerPlan:
    """The peer of a JSON struct; raises ValueError with a sentence."""
    _check_peer(item)
    return PeerPlan(
        name=item.name,
        uid=item.uid,
        node_set=item.node_set,
        my_asn=item.my_asn,
        peer_asn=item.peer_asn,
        local_asn=item.local_asn,
        dynamic_asn=item.dynamic_asn,
        address=parse_address(item.address) if item.address else None,
        interface=item.interface,
        gateway=_gateway(item.gateway) if item.gateway else None,
        source_address=parse_address(item.source_address) if item.source_address else None,
        port=item.port,
        hold_time=item.hold_time,
        keepalive_time=item.keepalive_time,
        connect_time=item.connect_time,
        router_id=parse_address(item.router_id) if item.router_id else None,
        signed=item.signed,
        ao=item.ao,
        bfd=_bfd(item.bfd) if item.bfd else None,
        graceful_restart=item.graceful_restart,
        multi_hop=item.multi_hop,
        vrf=item.vrf,
        dual_stack=item.dual_stack,
        passive=item.passive,
        ttl_security=item.ttl_security,
        drain_time=item.drain_time,
        max_prefixes=item.max_prefixes,
        add_path=item.add_path,
    )


def _check_peer(item: SlicePeer) -> None:
    if not item.name:
        raise ValueError("name is missing")
    if not item.node_set:
        raise ValueError("nodeSet is missing")
    if sum(map(bool, (item.address, item.interface, item.gateway))) != 1:
        raise ValueError("not exactly one of address, interface and gateway is given")
    if bool(item.peer_asn) == bool(item.dynamic_asn):
        raise ValueError("not exactly one of peerASN and dynamicASN is given")
    if item.dynamic_asn not in ("", "internal", "external"):
        raise ValueError(f'dynamicASN "{item.dynamic_asn}" is neither internal nor external')
    _check("myASN", item.my_asn, 1, MOST_ASN)
    _check("peerASN", item.peer_asn, 0, MOST_ASN)
    _check("localASN", item.local_asn, 0, MOST_ASN)
    _check("port", item.port, 1, 65535)
    _check("holdTime", item.hold_time or 0, 0, 65535)
    if item.hold_time in (1, 2):
        raise ValueError(f"holdTime {item.hold_time} is neither 0 nor at least 3")
    _check("keepaliveTime", item.keepalive_time or 0, 0, 65535)
    _check("connectTime", item.connect_time if item.connect_time is not None else 1, 1, 65535)
    _check("ttlSecurity", item.ttl_security, 0, 254)
    _check("drainTime", item.drain_time, 0, 600)
    _check("maxPrefixes", item.max_prefixes, 0, MOST_ASN)


def _check(name: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} {value} is not from {least} to {most}")


def _gateway(text: str) -> Gateway:
    try:
        return Gateway(text)
    except ValueError:
        raise ValueError(f'gateway "{text}" is not understood') from None


def _bfd(item: SliceBFD) -> BFDProfile:
    for name in ("receive_interval", "transmit_interval", "echo_interval"):
        _check(f"bfd {name.replace('_', ' ')}", getattr(item, name), 10, 60000)
    _check("bfd detect multiplier", item.detect_multiplier, 2, 255)
    _check("bfd minimum ttl", item.minimum_ttl, 1, 254)
    return BFDProfile(
        name=item.name,
        receive_interval_ms=item.receive_interval,
        transmit_interval_ms=item.transmit_interval,
        detect_multiplier=item.detect_multiplier,
        echo_interval_ms=item.echo_interval,
        echo_mode=item.echo_mode,
        passive_mode=item.passive_mode,
        minimum_ttl=item.minimum_ttl,
    )
