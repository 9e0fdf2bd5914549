"""Packing: complete, idempotent, with as little churn as possible."""

from __future__ import annotations

import ipaddress
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bellmetal.addresses import IPAddress
from bellmetal.intents import Announcement, Attributes, Intents, NodeSet, PeerPlan, Route, ServiceId
from bellmetal.packing import CAPACITY, SliceChanges, extend, pack
from bellmetal.resources import AnnouncementSlice
from bellmetal.slices import announcement_to_slice, node_set_to_slice, read_slices, route_to_slice
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
    written = {item.metadata.name: item for item in (*changes.write, *changes.vacate)}
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


# --- routes, peers, node sets --------------------------------------------------------------------


@st.composite
def bgp_plans(draw: st.DrawFn) -> Intents:
    """Some hundred prefixes, each with some routes; a few peers; more sets than a slice holds."""
    runs = draw(st.lists(st.tuples(st.integers(0, 250), st.integers(1, 150)), max_size=3))
    numbers = sorted({n for first, count in runs for n in range(first, first + count)})
    most, services = draw(st.integers(1, 6)), draw(st.sampled_from([1, 1, 30]))
    routes = tuple(
        Route(
            ipaddress.ip_network(f"10.0.{n // 256}.{n % 256}/32"),
            "bgp-all",
            Attributes(med=med),
            services=tuple(ServiceId("shop", f"s{i}", "u") for i in range(services)),
        )
        for n in numbers
        for med in range(1 + n % most)
    )
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
    peers = tuple(PeerPlan(name, "bgp-all", 1, 2, interface="eth0") for name in names)
    sets = draw(st.integers(0, 250))
    drained = frozenset(draw(st.lists(st.just("n1"), max_size=1)))
    node_sets = tuple(NodeSet(f"set-{n:03}", {"n1": ""}, (), drained) for n in range(sets))
    return Intents((), node_sets, routes=routes, peers=peers)


def homes(slices: Slices) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, piece in slices.items():
        for item in piece.spec.routes:
            found.setdefault(item.prefix, set()).add(name)
    return found


def said(slices: Slices) -> Counter[Route]:
    return Counter(read_slices(slices.values()).routes)


@given(bgp_plans(), bgp_plans())
def test_slices_say_all_routes_peers_and_sets_each_once(first: Intents, second: Intents) -> None:
    slices: Slices = {}
    for intents in (first, second):
        slices = applied(slices, pack(intents, slices))
        contents = read_slices(slices.values())
        assert contents.faults == ()
        assert Counter(contents.routes) == Counter(intents.routes)
        assert Counter(contents.peers) == Counter(intents.peers)
        assert contents.node_sets == {item.name: item for item in intents.node_sets}
        assert all(len(names) == 1 for names in homes(slices).values())
        assert all(len(item.spec.routes) <= 4 * CAPACITY for item in slices.values())
        assert all(len(item.spec.node_sets) <= CAPACITY for item in slices.values())
        assert not pack(intents, slices)


@given(bgp_plans(), bgp_plans())
def test_a_prefix_stays_in_its_slice_but_where_that_has_grown_too_large(
    first: Intents, second: Intents
) -> None:
    before = applied({}, pack(first, {}))
    changes = pack(second, before)
    were, are = homes(before), homes(applied(before, changes))
    vacated = {item.metadata.name for item in changes.vacate}
    for prefix in were.keys() & are.keys():
        assert were[prefix] == are[prefix] or were[prefix] <= vacated


@given(bgp_plans(), bgp_plans())
def test_what_is_wanted_before_and_after_stands_in_a_slice_after_every_single_write(
    first: Intents, second: Intents
) -> None:
    slices = applied({}, pack(first, {}))
    changes = pack(second, slices)
    both = {item.prefix for item in first.routes} & {item.prefix for item in second.routes}
    for item in (*changes.write, *changes.vacate):
        slices = {**slices, item.metadata.name: item}
        assert both <= {route.prefix for route in said(slices)}
    for item in changes.delete:
        slices = {name: one for name, one in slices.items() if name != item.metadata.name}
        assert both <= {route.prefix for route in said(slices)}


@given(bgp_plans(), st.data())
def test_a_change_of_one_route_writes_one_slice(intents: Intents, data: st.DataObject) -> None:
    if not intents.routes:
        return
    slices = applied({}, pack(intents, {}))
    index = data.draw(st.integers(0, len(intents.routes) - 1))
    changed = list(intents.routes)
    changed[index] = Route(changed[index].prefix, "bgp-all", Attributes(local_pref=7))
    changes = pack(Intents((), intents.node_sets, (), tuple(changed), intents.peers), slices)
    assert (len(changes.write), changes.vacate, changes.delete) == (1, (), ())


@given(bgp_plans(), st.lists(st.sampled_from(["web", "10.0.0.1/32", "10.0.0.1/24"]), max_size=4))
def test_whatever_stood_in_slices_of_routes_they_say_what_intents_say(
    intents: Intents, rubbish: list[str]
) -> None:
    odd = [replace(route_to_slice(ODD), prefix=text) for text in rubbish]
    slices = {"bgp-0": slice_object("bgp-0", routes=odd)}
    slices = applied(slices, pack(intents, slices))
    assert said(slices) == Counter(intents.routes)


ODD = Route(ipaddress.ip_network("10.0.0.1/32"), "odd")


@given(plans(), st.integers(1, 250))
def test_what_is_added_comes_to_where_the_whole_would_have_put_it(old: Intents, many: int) -> None:
    slices = applied({}, pack(old, {}))
    new = tuple(announcement(f"10.9.{n // 256}.{n % 256}") for n in range(many))
    whole = Intents((*old.announcements, *new), old.node_sets)
    assert applied(slices, extend(Intents(new), slices)) == applied(slices, pack(whole, slices))
