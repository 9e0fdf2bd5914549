"""Intents and the slices as they are → the few slices that change.

An announcement stays in the slice that has it; a new one goes into the first slice with room; an
empty slice goes. Node sets live in a slice of their own, which is written first: an announcement
never names a set that speakers cannot know. Deletions come last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from bellmetal.addresses import AddressError, IPAddress, parse_address
from bellmetal.intents import (
    SLICE_VERSION,
    Announcement,
    Intents,
    announcement_to_slice,
    node_set_to_slice,
)
from bellmetal.resources import (
    AnnouncementSlice,
    AnnouncementSliceSpec,
    Metadata,
    SliceAnnouncement,
    SliceNodeSet,
)

CAPACITY = 100  # announcements in a slice
NODES_SLICE = "nodes"
ANNOUNCEMENTS_PREFIX = "layer2-"


@dataclass(frozen=True, slots=True)
class SliceChanges:
    """What to write, in this order; created slices have no resourceVersion, updated ones do."""

    write: tuple[AnnouncementSlice, ...] = ()
    delete: tuple[AnnouncementSlice, ...] = ()


def pack(intents: Intents, slices: Mapping[str, AnnouncementSlice]) -> SliceChanges:
    """The changes that make ``slices`` (by name) say what ``intents`` say."""
    sets = sorted((node_set_to_slice(s) for s in intents.node_sets), key=lambda item: item.name)
    write = _nodes_slice(sets, slices.get(NODES_SLICE))
    delete: list[AnnouncementSlice] = []
    todo = {announcement.address: announcement for announcement in intents.announcements}
    full = {name: item for name, item in slices.items() if name.startswith(ANNOUNCEMENTS_PREFIX)}
    kept = {name: _keep(item, todo) for name, item in sorted(full.items())}
    _fill(kept, [announcement_to_slice(item) for item in _in_order(todo.values())])
    for name, announcements in kept.items():
        before = full.get(name)
        if not announcements and before is not None:
            delete.append(before)
        elif (wanted := _slice(name, before, announcements=announcements)) != before:
            write.append(wanted)
    return SliceChanges(tuple(write), tuple(delete))


def _nodes_slice(
    sets: list[SliceNodeSet], before: AnnouncementSlice | None
) -> list[AnnouncementSlice]:
    wanted = _slice(NODES_SLICE, before, node_sets=sets)
    return [] if wanted == before else [wanted]


def _keep(item: AnnouncementSlice, todo: dict[IPAddress, Announcement]) -> list[SliceAnnouncement]:
    """The slice's announcements that are still wanted, as they should be; taken out of todo."""
    kept = []
    for before in item.spec.announcements:
        with contextlib.suppress(AddressError):  # rubbish in a slice of ours is dropped
            announcement = todo.pop(parse_address(before.address), None)
            if announcement is not None:
                kept.append(announcement_to_slice(announcement))
    return kept


def _fill(kept: dict[str, list[SliceAnnouncement]], new: list[SliceAnnouncement]) -> None:
    numbers = (f"{ANNOUNCEMENTS_PREFIX}{number}" for number in range(len(kept) + len(new) + 1))
    for name in numbers:
        if not new:
            return
        room = kept.setdefault(name, [])
        space = max(0, CAPACITY - len(room))
        room += new[:space]
        del new[:space]


def _in_order(announcements: Iterable[Announcement]) -> list[Announcement]:
    return sorted(announcements, key=lambda item: (item.address.version, int(item.address)))


def _slice(
    name: str,
    before: AnnouncementSlice | None,
    announcements: list[SliceAnnouncement] | None = None,
    node_sets: list[SliceNodeSet] | None = None,
) -> AnnouncementSlice:
    spec = AnnouncementSliceSpec(SLICE_VERSION, node_sets or [], announcements or [])
    if before is not None:
        return replace(before, spec=spec)
    return AnnouncementSlice(
        api_version="bellmetal.io/v1alpha1",
        kind="AnnouncementSlice",
        metadata=Metadata(name=name, labels={"app": "metallb"}),
        spec=spec,
    )
