"""Packing: complete, idempotent, with as little churn as possible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bellmetal.addresses import IPAddress
from bellmetal.intents import (
    Announcement,
    Intents,
    announcement_to_slice,
    node_set_to_slice,
    read_slices,
)
from bellmetal.packing import CAPACITY, SliceChanges, pack
from bellmetal.resources import AnnouncementSlice
from builders import announcement, node_set, slice_item, slice_object

Slices = dict[str, AnnouncementSlice]


@st.composite
def plans(draw: st.DrawFn) -> Intents:
    """A few hundred announcements at most, of which draws choose runs rather than single ones."""
    runs = draw(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 150)), max_size=3))
    numbers = sorted({n for first, count in runs for n in range(first, first + count)})
    moved = draw(st.integers(0, 5))
    announcements = tuple(
        announcement(f"10.0.{n // 256}.{n % 256}", f"n{(n + moved) % 3}", term=1 + moved)
        for n in numbers
    )
    sets = draw(st.lists(st.sampled_from(["all", "selected-all", "local-1"]), unique=True))
    return Intents(announcements, tuple(node_set(name) for name in sets))


def applied(slices: Slices, changes: SliceChanges) -> Slices:
    """The slices after the changes, as the API server would store them."""
    gone = {item.metadata.name for item in changes.delete}
    written = {item.metadata.name: item for item in changes.write}
    return {name: item for name, item in (slices | written).items() if name not in gone}


def told(slices: Slices) -> dict[IPAddress, Announcement]:
    contents = read_slices(slices.values())
    assert contents.faults == ()
    return dict(contents.announcements)


@given(plans(), plans())
def test_slices_say_what_intents_say_and_a_second_time_nothing_is_written(
    first: Intents, second: Intents
) -> None:
    slices: Slices = {}
    for intents in (first, second):
        slices = applied(slices, pack(intents, slices))
        assert told(slices) == {item.address: item for item in intents.announcements}
        contents = read_slices(slices.values())
        assert contents.node_sets == {item.name: item for item in intents.node_sets}
        assert all(len(item.spec.announcements) <= CAPACITY for item in slices.values())
        assert pack(intents, slices) == SliceChanges()


@given(plans(), plans())
def test_an_announcement_stays_in_its_slice(first: Intents, second: Intents) -> None:
    before = applied({}, pack(first, {}))
    after = applied(before, pack(second, before))
    homes = [
        {item.address: name for name, piece in slices.items() for item in piece.spec.announcements}
        for slices in (before, after)
    ]
    for address in homes[0].keys() & homes[1].keys():
        assert homes[0][address] == homes[1][address]


@given(plans(), st.data())
def test_one_change_writes_one_slice(intents: Intents, data: st.DataObject) -> None:
    slices = applied({}, pack(intents, {}))
    if not intents.announcements:
        return
    index = data.draw(st.integers(0, len(intents.announcements) - 1))
    changed = list(intents.announcements)
    changed[index] = announcement(str(changed[index].address), "n9", term=99)
    more = pack(Intents(tuple(changed), intents.node_sets), slices)
    assert (len(more.write), len(more.delete)) == (1, 0)
    fewer = changed[:index] + changed[index + 1 :]
    less = pack(Intents(tuple(fewer), intents.node_sets), applied(slices, more))
    assert len(less.write) + len(less.delete) == 1


@given(plans(), plans())
def test_only_slices_that_differ_are_written_and_only_empty_ones_deleted(
    first: Intents, second: Intents
) -> None:
    before = applied({}, pack(first, {}))
    changes = pack(second, before)
    assert all(item != before.get(item.metadata.name) for item in changes.write)
    wanted = {item.address for item in second.announcements}
    for item in changes.delete:
        assert not told({"one": item}).keys() & wanted


RUBBISH = st.lists(
    st.builds(
        lambda name, items, sets, version: slice_object(
            name, *items, node_sets=[node_set_to_slice(node_set(n)) for n in sets], version=version
        ),
        st.sampled_from(["nodes", "layer2-0", "layer2-1", "layer2-x", "layer2-10"]),
        st.lists(
            st.builds(
                slice_item,
                st.sampled_from(["", "web", "10.0.0.1", "10.0.0.2", "10.0.1.1"]),
                term=st.integers(-1, 3),
                node_set=st.sampled_from(["", "all"]),
            ),
            max_size=4,
        ),
        st.lists(st.sampled_from(["all", "old"]), max_size=1),
        st.integers(0, 2),
    ),
    max_size=4,
)


@given(plans(), RUBBISH)
def test_whatever_stood_in_the_slices_they_say_what_intents_say(
    intents: Intents, rubbish: list[AnnouncementSlice]
) -> None:
    slices = {item.metadata.name: item for item in rubbish}
    slices = applied(slices, pack(intents, slices))
    assert told(slices) == {item.address: item for item in intents.announcements}
    assert pack(intents, slices) == SliceChanges()


@given(plans())
def test_a_slice_written_is_read_as_it_was_meant(intents: Intents) -> None:
    for item in intents.announcements[:20]:
        piece = slice_object("layer2-0", announcement_to_slice(item))
        assert read_slices([piece]).announcements == {item.address: item}
