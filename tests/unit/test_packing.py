"""Intents and the slices as they are → the few slices that change."""

from __future__ import annotations

import pytest

from bellmetal.intents import Announcement, Intents, announcement_to_slice, node_set_to_slice
from bellmetal.packing import CAPACITY, SliceChanges, pack
from bellmetal.resources import AnnouncementSlice
from builders import announcement, node_set, slice_item, slice_object

SETS = (node_set("all"),)
NODES = slice_object("nodes", node_sets=[node_set_to_slice(item) for item in SETS])


def many(first: int, count: int) -> tuple[Announcement, ...]:
    return tuple(announcement(f"192.0.{n // 256}.{n % 256}") for n in range(first, first + count))


def stored(name: str, announcements: tuple[Announcement, ...]) -> AnnouncementSlice:
    return slice_object(name, *map(announcement_to_slice, announcements))


def packed(announcements: tuple[Announcement, ...], *slices: AnnouncementSlice) -> SliceChanges:
    return pack(Intents(announcements, SETS), {item.metadata.name: item for item in slices})


def written(changes: SliceChanges) -> dict[str, list[str]]:
    return {
        item.metadata.name: [one.address for one in item.spec.announcements]
        for item in changes.write
    }


def deleted(changes: SliceChanges) -> list[str]:
    return [item.metadata.name for item in changes.delete]


def test_the_first_slices() -> None:
    changes = packed(many(1, 1))
    assert changes == SliceChanges(
        (
            slice_object("nodes", node_sets=[node_set_to_slice(SETS[0])], resource_version=""),
            slice_object("layer2-0", announcement_to_slice(many(1, 1)[0]), resource_version=""),
        )
    )


def test_nothing_to_say_needs_the_slice_of_nodes_alone() -> None:
    assert written(packed(())) == {"nodes": []}
    assert packed((), NODES) == SliceChanges()


def test_node_sets_come_first_so_that_no_announcement_names_an_unknown_one() -> None:
    outdated = slice_object("nodes")
    assert list(written(packed(many(1, 1), outdated))) == ["nodes", "layer2-0"]


def test_announcements_are_in_ascending_order_a_hundred_in_a_slice() -> None:
    changes = packed(tuple(reversed(many(0, CAPACITY + 1))), NODES)
    assert {name: len(items) for name, items in written(changes).items()} == {
        "layer2-0": CAPACITY,
        "layer2-1": 1,
    }
    assert written(changes)["layer2-0"][:2] == ["192.0.0.0", "192.0.0.1"]


def test_a_changed_announcement_stays_in_its_slice_and_writes_no_other() -> None:
    slices = [stored("layer2-0", many(0, 2)), stored("layer2-1", many(2, 2))]
    moved = announcement("192.0.0.3", owner="n2", term=2)
    changes = packed((*many(0, 3), moved), NODES, *slices)
    assert written(changes) == {"layer2-1": ["192.0.0.2", "192.0.0.3"]}
    [item] = changes.write
    assert item.spec.announcements[1] == announcement_to_slice(moved)
    assert item.metadata.resource_version == "1"


def test_a_new_announcement_goes_into_the_first_slice_with_room() -> None:
    slices = [stored("layer2-0", many(0, CAPACITY)), stored("layer2-1", many(100, 1))]
    changes = packed(many(0, CAPACITY + 2), NODES, *slices)
    assert written(changes) == {"layer2-1": ["192.0.0.100", "192.0.0.101"]}


def test_a_slice_that_becomes_empty_goes() -> None:
    slices = [stored("layer2-0", many(0, 1)), stored("layer2-1", many(1, 1))]
    changes = packed(many(1, 1), NODES, *slices)
    assert (written(changes), deleted(changes)) == ({}, ["layer2-0"])


def test_a_slice_that_becomes_empty_is_used_for_what_is_new() -> None:
    changes = packed(many(7, 1), NODES, stored("layer2-0", many(0, 1)))
    assert (written(changes), deleted(changes)) == ({"layer2-0": ["192.0.0.7"]}, [])


def test_of_an_address_in_two_slices_one_is_kept() -> None:
    slices = [stored("layer2-0", many(0, 1)), stored("layer2-1", many(0, 1))]
    changes = packed(many(0, 1), NODES, *slices)
    assert (written(changes), deleted(changes)) == ({}, ["layer2-1"])


def test_rubbish_in_a_slice_of_ours_is_dropped() -> None:
    [good] = many(0, 1)
    rubbish = slice_object("layer2-0", slice_item("web"), announcement_to_slice(good))
    assert written(packed((good,), NODES, rubbish)) == {"layer2-0": ["192.0.0.0"]}


def test_slices_of_others_are_left_alone() -> None:
    assert packed((), NODES, stored("bgp-0", many(0, 1))) == SliceChanges()


def test_a_slice_with_too_many_is_filled_no_further() -> None:
    crowded = stored("layer2-0", many(0, CAPACITY + 1))
    changes = packed(many(0, CAPACITY + 4), NODES, crowded)
    assert written(changes) == {"layer2-1": ["192.0.0.101", "192.0.0.102", "192.0.0.103"]}


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(
            slice_object("nodes", node_sets=NODES.spec.node_sets, version=0), id="the node sets"
        ),
        pytest.param(
            slice_object("layer2-0", announcement_to_slice(many(0, 1)[0]), version=0),
            id="announcements",
        ),
        pytest.param(
            slice_object(
                "nodes", announcement_to_slice(many(0, 1)[0]), node_sets=NODES.spec.node_sets
            ),
            id="node sets with announcements among them",
        ),
    ],
)
def test_a_slice_that_speakers_would_not_read_as_it_is_meant_is_written_again(
    old: AnnouncementSlice,
) -> None:
    slices = {"nodes": NODES, "layer2-0": stored("layer2-0", many(0, 1))}
    slices[old.metadata.name] = old
    assert list(written(packed(many(0, 1), *slices.values()))) == [old.metadata.name]
