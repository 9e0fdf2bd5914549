"""Planning: one owner for each address, and nothing moves because something else changed."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Link, Node
from bellmetal.config import L2Advertisement
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.holdings import Holdings
from bellmetal.intents import Announcement, Intents
from bellmetal.planning import plan
from bellmetal.standing import Standing, standings
from builders import (
    advertisement,
    allocation,
    cluster,
    held,
    holding,
    labelled,
    node,
    preferring,
    service,
)

NODES = [f"n{number}" for number in range(1, 7)]
ZONES = ["a", "b"]
LABELS = st.sampled_from([{}, *({"zone": zone} for zone in ZONES), {Node.EXCLUDED: ""}])


@st.composite
def living(draw: st.DrawFn) -> list[Node]:
    names = draw(st.lists(st.sampled_from(NODES), unique=True, min_size=1))
    return [
        node(
            name,
            labels=draw(LABELS),
            ready=draw(st.booleans()),
            network_unavailable=draw(st.sampled_from([False, False, False, True])),
        )
        for name in names
    ]


@st.composite
def advertisements(draw: st.DrawFn, preferences: bool = True) -> list[L2Advertisement]:
    count = draw(st.integers(0, 3))
    return [
        advertisement(
            f"ad{number}",
            pools=draw(st.sampled_from([(), (), "main", "other"])),
            node_selectors=draw(st.sampled_from([(), (), (labelled(zone="a"),)])),
            service_selectors=draw(st.sampled_from([(), (), (labelled(tier="web"),)])),
            preferred=(preferring(draw(st.integers(1, 9)), zone="b"),)
            if preferences and draw(st.booleans())
            else (),
            interfaces=draw(st.sampled_from([frozenset(), frozenset(["eth0"])])),
        )
        for number in range(count)
    ]


@st.composite
def worlds(draw: st.DrawFn, preferences: bool = True) -> Cluster:
    nodes = draw(living())
    names = st.frozensets(st.sampled_from(NODES), max_size=4)
    keys = [f"shop/s{number}" for number in range(draw(st.integers(0, 6)))]
    found = draw(advertisements(preferences))
    services = [
        service(
            key,
            local_only=draw(st.booleans()),
            labels=draw(st.sampled_from([{}, {"tier": "web"}])),
        )
        for key in keys
    ]
    endpoints = {
        key: Endpoints(draw(st.sampled_from([True, True, False])), draw(names)) for key in keys
    }
    return cluster(
        *services,
        nodes=nodes,
        advertisements=found,
        endpoints=endpoints,
        speakers=draw(names),
        ignore_exclude_label=draw(st.booleans()),
    )


LINKS = st.sampled_from(
    [
        None,  # its speaker has never reported
        (),
        (Link("eth0", (ipaddress.ip_network("192.0.2.0/24"),)),),
        (Link("eth0", (ipaddress.ip_network("10.0.0.0/8"),)),),
        (Link("eth1", (ipaddress.ip_network("192.0.0.0/16"),)),),
    ]
)


@st.composite
def restless(draw: st.DrawFn) -> Cluster:
    """With drains, orders, interfaces, endpoints that end, and nodes that come and go."""
    world = draw(worlds())
    names = st.frozensets(st.sampled_from(NODES), max_size=3)
    draining = draw(names)
    links = {name: draw(LINKS) for name in world.nodes}
    return replace(
        world,
        nodes={
            name: replace(item, draining="it is" if name in draining else "")
            for name, item in world.nodes.items()
        },
        services={
            key: replace(item, move_to=draw(st.sampled_from(["", "", *NODES])))
            for key, item in world.services.items()
        },
        endpoints={
            key: replace(item, staying=item.nodes & draw(names))
            for key, item in world.endpoints.items()
        },
        links={name: found for name, found in links.items() if found is not None},
        unsteady=draw(names),
    )


def granted(world: Cluster) -> Allocations:
    return Allocations(
        {
            key: allocation(key, f"192.0.2.{number}")
            for number, key in enumerate(sorted(world.services))
        }
    )


def ledger_of(world: Cluster, term: int = 1) -> Holdings:
    return held(
        *[
            holding(str(item.addresses[0]), key, term=term)
            for key, item in granted(world).granted.items()
        ]
    )


def planned(world: Cluster, before: Intents | None = None) -> Intents:
    found = before.announcements if before else ()
    sets = {item.name: item for item in before.node_sets} if before else {}
    standing = standings(found, [], world.nodes, sets)
    return plan(world, granted(world), ledger_of(world), standing)


def by_address(intents: Intents) -> dict[IPAddress, Announcement]:
    return {item.address: item for item in intents.announcements}


@given(worlds())
def test_every_address_has_one_owner_or_a_reason(world: Cluster) -> None:
    intents = planned(world)
    told = [item.address for item in intents.announcements]
    told += [item.address for item in intents.withheld]
    assert sorted(told) == sorted(
        a for item in granted(world).granted.values() for a in item.addresses
    )
    assert all(item.owner for item in intents.announcements)


@given(restless(), restless())
def test_no_plan_gives_two_owners_and_what_has_none_has_a_reason(
    world: Cluster, then: Cluster
) -> None:
    before = planned(world)
    intents = planned(then, before)
    told = [item.address for item in intents.announcements]
    assert len(told) == len(set(told))
    wanted = {a for item in granted(then).granted.values() for a in item.addresses}
    assert wanted - set(told) == {item.address for item in intents.withheld} - set(told)
    kept = {item.address for item in intents.withheld} & set(told)
    assert kept <= {item.address for item in before.announcements}


@given(restless(), restless())
def test_the_set_contains_the_owner_and_its_successors(world: Cluster, then: Cluster) -> None:
    intents = planned(then, planned(world))
    sets = {item.name: set(item.nodes) for item in intents.node_sets}
    assert len(sets) == len(intents.node_sets)
    for item in intents.announcements:
        assert {item.owner, *item.successors} <= sets[item.node_set]
        assert len({item.owner, *item.successors}) == 1 + len(item.successors)


@given(restless(), restless())
def test_whatever_happened_planning_again_gives_the_same(world: Cluster, then: Cluster) -> None:
    first = planned(then, planned(world))
    assert planned(then, first) == first


@given(restless(), restless())
def test_a_present_owner_stays_unless_a_rule_says_otherwise(world: Cluster, then: Cluster) -> None:
    then = replace(then, services={**then.services, **world.services})
    before = by_address(planned(world))
    intents = planned(then, planned(world))
    sets = {item.name: set(item.nodes) for item in intents.node_sets}
    withheld = {item.address for item in intents.withheld}
    for item in intents.announcements:
        if item.address not in before or before[item.address].owner == item.owner:
            continue
        former, services = before[item.address].owner, [then.services[s.key] for s in item.services]
        moved = [
            former not in sets[item.node_set],
            any(service.move_to == item.owner for service in services),
            any(
                service.local_only and former not in then.endpoints[service.key].staying
                for service in services
            ),
            then.living(item.owner) and item.owner not in then.unsteady and prefers(then),
        ]
        assert any(moved)
        assert item.address not in withheld or former not in then.nodes or moved[0]


def prefers(world: Cluster) -> bool:
    return any(item.preferred for item in world.config.l2_advertisements)


@given(worlds())
def test_owner_and_successors_are_of_the_set_and_there_are_enough_of_them(world: Cluster) -> None:
    intents = planned(world)
    sets = {item.name: set(item.nodes) for item in intents.node_sets}
    for item in intents.announcements:
        assert {item.owner, *item.successors} <= sets[item.node_set]
        assert len({item.owner, *item.successors}) == min(3, len(sets[item.node_set]))


@given(worlds())
def test_every_set_that_is_named_is_there_and_once(world: Cluster) -> None:
    intents = planned(world)
    names = [item.name for item in intents.node_sets]
    assert len(names) == len(set(names))
    assert {item.node_set for item in intents.announcements} <= set(names)


@given(worlds())
def test_where_traffic_stays_local_the_owner_has_an_endpoint(world: Cluster) -> None:
    for item in planned(world).announcements:
        for of in item.services:
            if world.services[of.key].local_only:
                assert item.owner in world.endpoints[of.key].nodes


@given(worlds())
def test_planning_again_gives_the_same(world: Cluster) -> None:
    first = planned(world)
    assert planned(world, first) == first


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(world: Cluster, dice: object) -> None:
    nodes = list(world.nodes.items())
    dice.shuffle(nodes)  # type: ignore[attr-defined]
    services = list(world.services.items())
    dice.shuffle(services)  # type: ignore[attr-defined]
    mixed = replace(world, nodes=dict(nodes), services=dict(services))
    assert planned(mixed) == planned(world)


@given(worlds(), st.sampled_from(NODES))
def test_removing_a_node_moves_only_what_it_owned(world: Cluster, name: str) -> None:
    before = planned(world)
    rest = replace(world, nodes={n: item for n, item in world.nodes.items() if n != name})
    now = by_address(planned(rest, before))
    for address, item in by_address(before).items():
        if item.owner != name:
            assert (now[address].owner, now[address].term) == (item.owner, item.term)
        elif address in now:
            assert now[address].term == item.term + 1


@given(worlds(preferences=False), st.sampled_from(NODES), LABELS)
def test_adding_a_node_moves_nothing(world: Cluster, name: str, labels: dict[str, str]) -> None:
    assume(name not in world.nodes)
    before = planned(world)
    more = replace(world, nodes={**world.nodes, name: node(name, labels=labels)})
    now = by_address(planned(more, before))
    for address, item in by_address(before).items():
        assert (now[address].owner, now[address].term) == (item.owner, item.term)


@given(worlds(preferences=False), st.sampled_from(NODES))
def test_a_node_that_is_not_ready_any_more_loses_nothing_by_plan(world: Cluster, name: str) -> None:
    assume(name in world.nodes)
    before = planned(world)
    changed = {**world.nodes, name: replace(world.nodes[name], ready=not world.nodes[name].ready)}
    now = by_address(planned(replace(world, nodes=changed), before))
    for address, item in by_address(before).items():
        assert (now[address].owner, now[address].term) == (item.owner, item.term)


CLAIMS = st.lists(
    st.builds(
        lambda number, name, term, firm, epoch: (number, name, ClaimOrder(term, firm, epoch)),
        st.integers(0, 5),
        st.sampled_from(NODES),
        st.integers(1, 4),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=8,
)


@given(worlds(), CLAIMS, st.integers(1, 3))
def test_terms_are_never_below_what_stands_and_above_it_where_the_owner_changes(
    world: Cluster, raw: list[tuple[int, str, ClaimOrder]], term: int
) -> None:
    before = planned(world)
    addresses = [item.address for item in before.announcements]
    claims = [
        Claim(addresses[number], name, order)
        for number, name, order in raw
        if number < len(addresses)
    ]
    standing = standings(before.announcements, claims, world.nodes)
    now = by_address(plan(world, granted(world), ledger_of(world, term), standing))
    for address, present in standing.items():
        item = now[address]
        moved = item.owner != present.owner or not present.confirmed
        assert item.term >= max(term, present.term + moved)
        if not moved and present.term >= term:
            assert item.term == present.term


@given(worlds(), CLAIMS)
def test_who_stands_is_the_slices_owner_or_a_claimant(
    world: Cluster, raw: list[tuple[int, str, ClaimOrder]]
) -> None:
    before = by_address(planned(world))
    addresses = list(before)
    claims = [
        Claim(addresses[number], name, order)
        for number, name, order in raw
        if number < len(addresses)
    ]
    standing = standings(before.values(), claims, world.nodes)
    assert standing.keys() == before.keys()
    for address, present in standing.items():
        claimants = {item.node for item in claims if item.address == address}
        assert present.owner in {before[address].owner} | claimants
        assert present.term >= before[address].term
        assert present.confirmed == (
            present == Standing(before[address].owner, before[address].term)
        )
