"""Intents and the slices as they are → the few slices that change.

What is in a slice stays in it; what is new goes into the first slice with room; an empty slice
goes. All routes of one prefix stand in one slice, so that a prefix changes in one write. Node sets
have slices of their own, which are written first: nothing names a set that speakers cannot know.
Where a slice has grown too large, some of it moves, and is written where it comes before it is
written where it leaves. Deletions come last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from bellmetal.addresses import AddressError, IPAddress, parse_address
from bellmetal.intents import Announcement, Intents
from bellmetal.resources import (
    AnnouncementSlice,
    AnnouncementSliceSpec,
    Json,
    Metadata,
    SliceAnnouncement,
    SliceNodeSet,
    SlicePeer,
    SliceRoute,
)
from bellmetal.shelving import Limits, Size, add, shelve
from bellmetal.slices import (
    SLICE_VERSION,
    announcement_to_slice,
    node_set_to_slice,
    peer_to_slice,
    route_to_slice,
)

CAPACITY = 100  # items of a slice, until it takes nothing new
NODES_SLICE = "nodes"


@dataclass(frozen=True, slots=True)
class SliceChanges:
    """What to write, in this order; created slices have no resourceVersion, updated ones do.

    ``vacate``: slices that something has left for one of those in ``write``.
    """

    write: tuple[AnnouncementSlice, ...] = ()
    vacate: tuple[AnnouncementSlice, ...] = ()
    delete: tuple[AnnouncementSlice, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.write or self.vacate or self.delete)


@dataclass(frozen=True)
class Kind:
    """A kind of slices: which they are, what they hold, how much of it.

    ``keys``: what items of a slice are known by, without rubbish; items with one key stay together.
    """

    field: str  # of the spec
    prefix: str
    keys: Callable[[list[Any]], Iterator[Hashable]]
    limits: Limits
    weight: Callable[[Any], int] = lambda _: 0

    def name(self, number: int) -> str:
        """The name of a slice; the first one of node sets has no number."""
        return self.prefix + str(number) if number or self.prefix != "nodes-" else NODES_SLICE

    def size(self, items: Collection[Any]) -> Size:
        """How much room items take."""
        return Size(len(items), sum(map(self.weight, items)))

    def holds(self, name: str) -> bool:
        """Whether a slice of that name is of this kind."""
        return name.startswith(self.prefix) or name == self.name(0)


def _addresses(items: list[SliceAnnouncement]) -> Iterator[Hashable]:
    for item in items:
        with contextlib.suppress(AddressError):
            yield parse_address(item.address)


def _prefixes(items: list[SliceRoute]) -> Iterator[Hashable]:
    return iter(dict.fromkeys(item.prefix for item in items))


def _places(items: list[SlicePeer]) -> Iterator[Hashable]:
    return (_place(item) for item in items)


def _place(item: SlicePeer) -> Hashable:
    return item.name, item.address, item.interface, item.gateway, item.peer_asn


def _names(items: list[SliceNodeSet]) -> Iterator[Hashable]:
    return (item.name for item in items)


# A slice must stay well below the 1.5 MB that etcd takes: 60 bytes a node, 100 to 400 a Service.
NODE_SETS = Kind(
    "node_sets",
    "nodes-",
    _names,
    Limits(Size(CAPACITY, 8_000), Size(CAPACITY, 16_000)),
    lambda item: len(item.nodes),
)
ANNOUNCEMENTS = Kind("announcements", "layer2-", _addresses, Limits(Size(CAPACITY)))
PEERS = Kind("peers", "peers-", _places, Limits(Size(CAPACITY)))
ROUTES = Kind(
    "routes",
    "bgp-",
    _prefixes,
    Limits(Size(CAPACITY, 1_000), Size(4 * CAPACITY, 3_000)),
    lambda item: len(item.services),
)


def pack(intents: Intents, slices: Mapping[str, AnnouncementSlice]) -> SliceChanges:
    """The changes that make ``slices`` (by name) say what ``intents`` say."""
    sets = sorted(intents.node_sets, key=lambda item: item.name)
    changes = [
        _pack(NODE_SETS, {item.name: [node_set_to_slice(item)] for item in sets}, slices),
        _pack(ANNOUNCEMENTS, _announcements(intents), slices),
        _pack(PEERS, _grouped(_place, map(peer_to_slice, intents.peers)), slices),
        _pack(ROUTES, _routes(intents), slices),
    ]
    sets_last = [*changes[1:], changes[0]]
    return SliceChanges(
        tuple(item for one in changes for item in one.write),
        tuple(item for one in changes for item in one.vacate),
        tuple(item for one in sets_last for item in one.delete),
    )


def extend(intents: Intents, slices: Mapping[str, AnnouncementSlice]) -> SliceChanges:
    """The changes that add announcements and routes of which nothing is in ``slices``, to where
    `pack` would leave them; their node sets are there."""
    announcements = _extend(ANNOUNCEMENTS, _announcements(intents), slices)
    return SliceChanges((*announcements, *_extend(ROUTES, _routes(intents), slices)))


def _announcements(intents: Intents) -> dict[IPAddress, list[SliceAnnouncement]]:
    return {
        item.address: [announcement_to_slice(item)] for item in _in_order(intents.announcements)
    }


def _routes(intents: Intents) -> dict[Hashable, list[SliceRoute]]:
    return _grouped(lambda item: item.prefix, map(route_to_slice, intents.routes))


def _extend(
    kind: Kind, new: Mapping[Any, list[Any]], slices: Mapping[str, AnnouncementSlice]
) -> Iterator[AnnouncementSlice]:
    present = {n: getattr(item.spec, kind.field) for n, item in slices.items() if kind.holds(n)}
    places = add(
        {name: kind.size(items) for name, items in present.items()},
        {key: kind.size(items) for key, items in new.items()},
        kind.name,
        kind.limits,
    )
    for name, keys in places.items():
        items = [*present.get(name, ()), *(item for key in keys for item in new[key])]
        yield _slice(name, slices.get(name), kind.field, items)


def led_anew(changes: SliceChanges, slices: Mapping[str, AnnouncementSlice]) -> set[str]:
    """The Services (by key) of all routes that changes bring; ``slices`` as they are before."""
    found: set[str] = set()
    for item in (*changes.write, *changes.vacate):
        before = slices.get(item.metadata.name)
        known = _grouped(lambda one: one.prefix, before.spec.routes) if before else {}
        for route in item.spec.routes:
            if route not in known.get(route.prefix, ()):
                found.update(f"{service.namespace}/{service.name}" for service in route.services)
    return found


def _grouped(key: Callable[[Any], Hashable], items: Iterable[Any]) -> dict[Hashable, list[Any]]:
    found: dict[Hashable, list[Any]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _in_order(announcements: Iterable[Announcement]) -> list[Announcement]:
    return sorted(announcements, key=lambda item: (item.address.version, int(item.address)))


def _pack(
    kind: Kind,
    wanted: Mapping[Any, list[Any]],
    slices: Mapping[str, AnnouncementSlice],
) -> SliceChanges:
    present = {name: item for name, item in slices.items() if kind.holds(name)}
    shelves = shelve(
        {name: kind.keys(getattr(item.spec, kind.field)) for name, item in present.items()},
        {key: kind.size(items) for key, items in wanted.items()},
        kind.name,
        kind.limits,
    )
    things = dict(shelves.things)
    if kind is NODE_SETS:
        things.setdefault(NODES_SLICE, [])
    write: list[AnnouncementSlice] = []
    vacate: list[AnnouncementSlice] = []
    delete: list[AnnouncementSlice] = []
    for name, keys in things.items():
        before = present.get(name)
        if not keys and name != NODES_SLICE:
            if before is not None:
                delete.append(before)
            continue
        after = _slice(name, before, kind.field, [item for key in keys for item in wanted[key]])
        if after != before:
            (vacate if name in shelves.left else write).append(after)
    return SliceChanges(tuple(write), tuple(vacate), tuple(delete))


def _slice(
    name: str, before: AnnouncementSlice | None, field: str, items: list[Json]
) -> AnnouncementSlice:
    spec = replace(AnnouncementSliceSpec(SLICE_VERSION), **{field: items})
    if before is not None:
        return replace(before, spec=spec)
    return AnnouncementSlice(
        api_version="bellmetal.io/v1alpha1",
        kind="AnnouncementSlice",
        metadata=Metadata(name=name, labels={"app": "metallb"}),
        spec=spec,
    )
