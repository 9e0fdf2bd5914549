"""Routing: complete, the same for the same cluster, and nobody is drained to nowhere."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Node
from bellmetal.intents import BGP, LAYER2, Intents, WithheldReason
from bellmetal.planning import plan
from builders import (
    advertisement,
    allocation,
    bgp_advertisement,
    cluster,
    labelled,
    node,
    peer,
    service,
)

NODES = ("n1", "n2", "n3", "n4")
ZONES = (labelled(zone="a"), labelled(zone="b"))


@st.composite
def node_sets(draw: st.DrawFn) -> frozenset[str]:
    return frozenset(draw(st.lists(st.sampled_from(NODES), unique=True)))


@st.composite
def advertisements(draw: st.DrawFn) -> list[Any]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        chosen = draw(st.sampled_from([(), ZONES[:1], ZONES[1:]]))
        apps = draw(st.sampled_from([(), (), (labelled(app="x"),)]))
        length = draw(st.sampled_from([32, 32, 28])) if not apps else 32
        found.append(
            bgp_advertisement(
                f"a{number}",
                node_selectors=chosen,
                service_selectors=apps,
                aggregation_length=length,
                local_pref=draw(st.sampled_from([0, 0, 100])),
                peers=draw(st.sampled_from([(), ("tor",), ("core",)])),
            )
        )
    return found


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Cluster, Allocations]:
    nodes = [
        node(
            name,
            ready=draw(st.booleans()),
            labels={"zone": draw(st.sampled_from("ab"))}
            | ({Node.EXCLUDED: ""} if draw(st.integers(0, 4)) == 0 else {}),
            draining=draw(st.sampled_from(["", "", "it is cordoned"])),
        )
        for name in NODES
    ]
    services, endpoints, granted = [], {}, {}
    for number in range(draw(st.integers(0, 6))):
        labels = {"app": draw(st.sampled_from("xy"))}
        item = service(f"shop/s{number}", local_only=draw(st.booleans()), labels=labels)
        serving, staying = draw(node_sets()), draw(node_sets())
        services.append(item)
        endpoints[item.key] = Endpoints(bool(serving), serving, serving & staying)
        granted[item.key] = allocation(item.key, f"192.0.2.{number * 9}")
    world = cluster(
        *services,
        nodes=nodes,
        endpoints=endpoints,
        speakers=draw(node_sets()),
        advertisements=draw(st.sampled_from([[], [advertisement()]])),
        bgp=draw(advertisements()),
        peers=draw(st.sampled_from([[], [peer()], [peer(), peer("core", "10.0.9.2")]])),
    )
    return world, Allocations(granted)


def planned(world: tuple[Cluster, Allocations]) -> Intents:
    return plan(*world, {}, {})


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_objects_does_not_matter(
    world: tuple[Cluster, Allocations], dice: random.Random
) -> None:
    whole, allocations = world
    mixed = {}
    for name in ("services", "endpoints", "nodes"):
        items = list(getattr(whole, name).items())
        dice.shuffle(items)
        mixed[name] = dict(items)
    granted = list(allocations.granted.items())
    dice.shuffle(granted)
    other = replace(whole, **mixed), Allocations(dict(granted))
    assert planned(world) == planned(other)


@given(worlds())
def test_every_address_is_announced_or_it_is_said_why_not(
    world: tuple[Cluster, Allocations],
) -> None:
    intents = planned(world)
    layer2 = {s.key for item in intents.announcements for s in item.services}
    routed = {s.key for item in intents.routes for s in item.services}
    said = {item.service: item.how for item in intents.withheld}
    no_peers = WithheldReason.NO_PEERS
    unheard = {item.service for item in intents.withheld if item.reason is no_peers}
    assert len(said) == len(intents.withheld)
    for key in world[1].granted:
        assert key in layer2 or key in routed or said.get(key) == ""
        if key in routed and said.get(key) == "":
            assert key in unheard
        assert said.get(key) != LAYER2 or key not in layer2
        if said.get(key, "").startswith(BGP):
            assert key in layer2


@given(worlds())
def test_routes_name_sets_that_are_there_and_nodes_that_may(
    world: tuple[Cluster, Allocations],
) -> None:
    intents, nodes = planned(world), world[0].nodes
    sets = {item.name: item for item in intents.node_sets}
    assert len(sets) == len(intents.node_sets)
    for route in intents.routes:
        chosen = sets[route.node_set]
        assert chosen.nodes
        assert not any(nodes[name].excluded for name in chosen.nodes)
        assert route.services
    for item in intents.peers:
        assert item.node_set in sets


@given(worlds())
def test_nobody_gives_way_where_no_other_lives_that_stays(
    world: tuple[Cluster, Allocations],
) -> None:
    whole = world[0]
    for item in planned(world).node_sets:
        assert item.draining <= item.nodes.keys()
        if item.draining:
            staying = item.nodes.keys() - item.draining
            assert any(whole.living(name) for name in staying)
            assert not any(whole.nodes[name].draining for name in staying)


@given(worlds(), st.sampled_from(NODES))
def test_a_drain_changes_no_route(world: tuple[Cluster, Allocations], name: str) -> None:
    whole, allocations = world
    drained = replace(whole.nodes[name], draining="it is cordoned")
    after = replace(whole, nodes={**whole.nodes, name: drained}), allocations
    assert planned(after).routes == planned(world).routes
