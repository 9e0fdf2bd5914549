"""Intents and the slices as they are → the few slices that change."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import pytest

from bellmetal.intents import (
    Announcement,
    Attributes,
    Intents,
    NodeSet,
    PeerPlan,
    Route,
    ServiceId,
)
from bellmetal.packing import CAPACITY, SliceChanges, led_anew, pack
from bellmetal.resources import AnnouncementSlice
from bellmetal.slices import (
    announcement_to_slice,
    node_set_to_slice,
    peer_to_slice,
    route_to_slice,
)
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
    assert packed((), NODES, stored("theirs-0", many(0, 1))) == SliceChanges()


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


# --- routes, peers, many node sets ---------------------------------------------------------------


def route(prefix: str, med: int = 0, services: int = 0) -> Route:
    named = tuple(ServiceId("shop", f"s{number}", "u") for number in range(services))
    return Route(ipaddress.ip_network(prefix), "bgp-all", Attributes(med=med), frozenset(), named)


def routes(first: int, count: int, **fields: int) -> tuple[Route, ...]:
    return tuple(
        route(f"10.0.{n // 256}.{n % 256}/32", **fields) for n in range(first, first + count)
    )


def routed(name: str, *items: Route) -> AnnouncementSlice:
    return slice_object(name, routes=map(route_to_slice, items))


def pack_routes(items: Iterable[Route], *slices: AnnouncementSlice) -> SliceChanges:
    present = {item.metadata.name: item for item in (NODES, *slices)}
    return pack(Intents((), SETS, routes=tuple(items)), present)


def spread(changes: Iterable[AnnouncementSlice]) -> dict[str, list[str]]:
    return {item.metadata.name: [one.prefix for one in item.spec.routes] for item in changes}


def test_routes_have_slices_of_their_own() -> None:
    changes = pack_routes(routes(0, CAPACITY + 1))
    assert {name: len(items) for name, items in spread(changes.write).items()} == {
        "bgp-0": CAPACITY,
        "bgp-1": 1,
    }


def test_all_routes_of_a_prefix_stand_in_the_slice_that_has_one() -> None:
    slices = [routed("bgp-0", *routes(0, 60)), routed("bgp-1", *routes(60, 60))]
    more = (*routes(0, 120), *routes(70, 1, med=5))
    assert [
        (name, items.count("10.0.0.70/32")) for name, items in written_routes(more, slices)
    ] == [("bgp-1", 2)]


def written_routes(
    items: Iterable[Route], slices: Iterable[AnnouncementSlice]
) -> list[tuple[str, list[str]]]:
    changes = pack_routes(items, *slices)
    assert (changes.vacate, changes.delete) == ((), ())
    return list(spread(changes.write).items())


def test_a_full_slice_grows_with_the_prefixes_that_it_has() -> None:
    full = routed("bgp-0", *routes(0, CAPACITY))
    twice = (*routes(0, CAPACITY), *routes(0, CAPACITY, med=5))
    [(name, items)] = written_routes(twice, [full])
    assert (name, len(items)) == ("bgp-0", 2 * CAPACITY)


def test_what_a_slice_can_hold_no_more_is_written_where_it_comes_before_where_it_leaves() -> None:
    full = routed("bgp-0", *routes(0, CAPACITY))
    five = [item for med in range(5) for item in routes(0, CAPACITY, med=med)]
    changes = pack_routes(five, full)
    assert {name: len(items) for name, items in spread(changes.vacate).items()} == {"bgp-0": 400}
    came = spread(changes.write)
    assert {name: len(items) for name, items in came.items()} == {"bgp-1": 100}
    assert not set(came["bgp-1"]) & set(spread(changes.vacate)["bgp-0"])


def test_a_slice_takes_no_more_than_a_thousand_services() -> None:
    changes = pack_routes(routes(0, 3, services=600))
    assert {name: len(items) for name, items in spread(changes.write).items()} == {
        "bgp-0": 1,
        "bgp-1": 1,
        "bgp-2": 1,
    }


def test_one_prefix_may_have_more_routes_than_fit_otherwise() -> None:
    changes = pack_routes(route("10.0.0.0/24", med=med) for med in range(CAPACITY + 1))
    assert [len(item.spec.routes) for item in changes.write] == [CAPACITY + 1]


def test_a_withdrawn_prefix_leaves_its_slice_and_an_empty_slice_goes() -> None:
    slices = [routed("bgp-0", *routes(0, 1)), routed("bgp-1", *routes(1, 2))]
    changes = pack_routes(routes(1, 1), *slices)
    assert spread(changes.write) == {"bgp-1": ["10.0.0.1/32"]}
    assert deleted(changes) == ["bgp-0"]


def test_peers_have_slices_of_their_own_and_stay_in_them() -> None:
    tor, core = (PeerPlan(name, "sessions-all", 1, 2, interface=name) for name in ("tor", "core"))
    first = pack(Intents((), SETS, peers=(tor,)), {"nodes": NODES})
    [piece] = first.write
    assert (piece.metadata.name, piece.spec.peers) == ("peers-0", [peer_to_slice(tor)])
    second = pack(Intents((), SETS, peers=(core, tor)), {"nodes": NODES, "peers-0": piece})
    [piece] = second.write
    assert [item.name for item in piece.spec.peers] == ["tor", "core"]


def test_more_node_sets_than_a_slice_holds_get_another_slice() -> None:
    sets = tuple(node_set(f"set-{number:03}") for number in range(CAPACITY + 1))
    changes = pack(Intents((), sets), {})
    assert {item.metadata.name: len(item.spec.node_sets) for item in changes.write} == {
        "nodes": CAPACITY,
        "nodes-1": 1,
    }
    fewer = pack(Intents((), sets[:2]), {item.metadata.name: item for item in changes.write})
    assert ([item.metadata.name for item in fewer.write], deleted(fewer)) == (
        ["nodes"],
        ["nodes-1"],
    )


def test_large_node_sets_are_spread_over_slices() -> None:
    names = [f"n{number}" for number in range(5000)]
    sets = tuple(node_set(f"set-{number}", *names) for number in range(3))
    changes = pack(Intents((), sets), {})
    assert [item.metadata.name for item in changes.write] == ["nodes", "nodes-1", "nodes-2"]


def test_a_drain_writes_the_slice_of_the_sets_alone() -> None:
    before, after = (
        NodeSet("bgp-all", {"n1": "", "n2": ""}, (), frozenset(names)) for names in ((), ("n1",))
    )
    intents = Intents((), (before,), routes=routes(0, 300))
    slices = {item.metadata.name: item for item in pack(intents, {}).write}
    changes = pack(Intents((), (after,), routes=intents.routes), slices)
    assert [item.metadata.name for item in changes.write] == ["nodes"]
    assert changes.delete == ()


def test_the_services_of_routes_that_changes_bring() -> None:
    before = routed("bgp-0", route("10.0.0.1/32", services=1), route("10.0.0.2/32", services=2))
    wanted = [route("10.0.0.1/32", services=1), route("10.0.0.2/32", services=3)]
    wanted.append(route("10.0.0.3/32", services=4))
    changes = pack_routes(wanted, before)
    assert led_anew(changes, {"bgp-0": before}) == {f"shop/s{n}" for n in range(4)}
    assert led_anew(pack_routes(wanted[:1], before), {"bgp-0": before}) == set()
