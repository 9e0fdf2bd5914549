"""How evenly addresses and their successors are spread, and how little changes afterwards."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints
from bellmetal.holdings import Holdings
from bellmetal.intents import Announcement, Intents, rank
from bellmetal.packing import pack
from bellmetal.planning import plan
from bellmetal.resources import AnnouncementSlice
from bellmetal.standing import standings
from builders import allocation, cluster, held, holding, node, service

NODES = [f"n{number}" for number in range(200)]
COUNT = 5000


def granted(count: int) -> Allocations:
    keys = [f"shop/s{number:04}" for number in range(count)]
    return Allocations(
        {key: allocation(key, f"10.64.{n // 256}.{n % 256}") for n, key in enumerate(keys)}
    )


def big(count: int = COUNT) -> Cluster:
    return cluster(*(service(key) for key in granted(count).granted), nodes=NODES)


def ledger(count: int = COUNT) -> Holdings:
    given = granted(count).granted.items()
    return held(*(holding(str(item.addresses[0]), key) for key, item in given))


@cache
def fresh() -> Intents:
    return plan(big(), granted(COUNT), ledger(), {})


def again(world: Cluster, count: int = COUNT) -> Intents:
    sets = {item.name: item for item in fresh().node_sets}
    standing = standings(fresh().announcements, [], world.nodes, sets)
    return plan(world, granted(count), ledger(count), standing)


def heir(item: Announcement, dead: set[str]) -> str:
    """Who answers once these are dead: the first living successor, else the first by rank."""
    order = (item.owner, *item.successors)
    left = [name for name in order if name not in dead]
    if left:
        return left[0]
    living = (name for name in NODES if name not in dead)
    return max(living, key=lambda name: rank(item.address, name))


def unevenness(owners: Counter[str], nodes: int) -> float:
    """The most that a node has, as a multiple of the mean."""
    return max(owners.values()) / (owners.total() / nodes)


def test_new_addresses_are_spread_evenly() -> None:
    owners = Counter(item.owner for item in fresh().announcements)
    assert unevenness(owners, 200) <= 1.05


@pytest.mark.parametrize("place", [0, 1])
def test_successors_are_spread_evenly_in_all_and_for_each_owner(place: int) -> None:
    items = fresh().announcements
    assert unevenness(Counter(item.successors[place] for item in items), 200) <= 1.05
    pairs = Counter((item.owner, item.successors[place]) for item in items)
    assert max(pairs.values()) == 1


@pytest.mark.parametrize("seed", range(10))
def test_when_thirty_of_two_hundred_nodes_die_at_once_the_rest_share_evenly(seed: int) -> None:
    dead = set(random.Random(seed).sample(NODES, 30))
    owners = Counter(heir(item, dead) for item in fresh().announcements)
    assert unevenness(owners, 170) <= 1.25


def slices(intents: Intents) -> dict[str, AnnouncementSlice]:
    return {item.metadata.name: item for item in pack(intents, {}).write}


def test_one_more_service_changes_one_slice() -> None:
    changes = pack(again(big(COUNT + 1), COUNT + 1), slices(fresh()))
    assert [item.metadata.name for item in changes.write] == ["layer2-50"]
    assert changes.delete == ()


def changed(intents: Intents) -> list[Announcement]:
    before = {item.address: item for item in fresh().announcements}
    return [item for item in intents.announcements if before[item.address] != item]


def test_a_node_that_is_not_ready_changes_nothing() -> None:
    world = big()
    nodes = {**world.nodes, "n7": node("n7", ready=False)}
    assert changed(again(replace(world, nodes=nodes))) == []


def test_a_node_that_goes_for_good_changes_only_what_named_it() -> None:
    world = big()
    nodes = {name: item for name, item in world.nodes.items() if name != "n7"}
    found = changed(again(replace(world, nodes=nodes)))
    named = [i for i in fresh().announcements if "n7" in (i.owner, *i.successors)]
    assert [item.address for item in found] == [item.address for item in named]
    assert len(found) == 75  # 25 that it owned, and twice 25 that it could have followed in


def test_its_addresses_go_to_their_first_successors() -> None:
    world = big()
    nodes = {name: item for name, item in world.nodes.items() if name != "n7"}
    now = {item.address: item for item in again(replace(world, nodes=nodes)).announcements}
    for item in fresh().announcements:
        if item.owner == "n7":
            assert now[item.address].owner == item.successors[0]
            assert now[item.address].successors[0] == item.successors[1]


def planned_after(world: Cluster, before: Intents | None, count: int = 30) -> Intents:
    """The next plan, after one that all speakers carry out."""
    items, sets = (before.announcements, before.node_sets) if before else ((), ())
    terms = {item.address: item.term for item in items}
    standing = standings(items, [], world.nodes, {item.name: item for item in sets})
    kept = {a: replace(one, term=terms.get(a, one.term)) for a, one in ledger(count).items()}
    return plan(world, granted(count), kept, standing)


def test_nodes_that_are_drained_in_turn_leave_all_evenly_loaded() -> None:
    """Rolling maintenance of three nodes: nothing piles up on the one that nobody drained yet."""
    services = [big().services[item] for item in granted(30).granted]
    plans = planned_after(cluster(*services), None)
    for name in ("n1", "n2", "n3"):
        nodes = [node(n, draining="maintenance" if n == name else "") for n in ("n1", "n2", "n3")]
        plans = planned_after(cluster(*services, nodes=nodes), plans)
        plans = planned_after(cluster(*services), plans)
        heirs: dict[str, set[str]] = {}
        for item in plans.announcements:
            heirs.setdefault(item.owner, set()).add(item.successors[0])
        assert all(len(names) == 2 for names in heirs.values()), heirs
    load = Counter(item.owner for item in plans.announcements)
    assert max(load.values()) <= 15, load


def test_a_node_that_joins_changes_nothing() -> None:
    world = big()
    nodes = {**world.nodes, "n200": node("n200")}
    more = replace(world, nodes=nodes, speakers=world.speakers | {"n200"})
    assert changed(again(more)) == []


def test_endpoints_that_come_and_go_change_nothing() -> None:
    world = big()
    endpoints = {key: Endpoints(True, frozenset(["n1"])) for key in world.endpoints}
    assert changed(again(replace(world, endpoints=endpoints))) == []
