"""Which node should answer for each address, and who may."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import IPAddress, parse_address
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Node
from bellmetal.facts import MOST_AHEAD, Claim, ClaimOrder
from bellmetal.holdings import Holdings
from bellmetal.intents import Announcement, Intents, ServiceId, Withheld, WithheldReason, rank
from bellmetal.planning import ALL_NODES, plan
from bellmetal.standing import Standing, owners_of, standings
from builders import (
    addresses,
    advertisement,
    allocation,
    announcement,
    claim,
    cluster,
    held,
    holding,
    labelled,
    node,
    pool,
    preferring,
    service,
)

ADDRESS = parse_address("192.0.2.10")
WEB = service("shop/web")
LOCAL = service("shop/web", local_only=True)
ON_N2 = {"shop/web": Endpoints(True, frozenset(["n2"]))}
BY_RANK = sorted(["n1", "n2", "n3"], key=lambda name: -rank(ADDRESS, name))


def planned(
    world: Cluster,
    *,
    ledger: Holdings | None = None,
    standing: dict[IPAddress, Standing] | None = None,
) -> Intents:
    granted = {key: allocation(key, str(ADDRESS)) for key in world.services}
    return plan(world, Allocations(granted), ledger or {}, standing or {})


def the_announcement(world: Cluster, **fields: Any) -> Announcement:
    [found] = planned(world, **fields).announcements
    return found


# --- 1 to 4: may it be announced, and by whom? ---------------------------------------------------


@pytest.mark.parametrize(
    ("world", "reason", "message"),
    [
        pytest.param(
            cluster(WEB, advertisements=[]),
            WithheldReason.NO_ADVERTISEMENT,
            'no L2Advertisement or BGPAdvertisement selects pool "main" and this Service',
            id="no advertisement at all",
        ),
        pytest.param(
            cluster(WEB, advertisements=[advertisement(pools="other")]),
            WithheldReason.NO_ADVERTISEMENT,
            'no L2Advertisement or BGPAdvertisement selects pool "main" and this Service',
            id="none for its pool",
        ),
        pytest.param(
            cluster(WEB, advertisements=[advertisement(service_selectors=(labelled(a="b"),))]),
            WithheldReason.NO_ADVERTISEMENT,
            'no L2Advertisement or BGPAdvertisement selects pool "main" and this Service',
            id="none for its labels",
        ),
        pytest.param(
            cluster(WEB, nodes=[]),
            WithheldReason.NO_NODES,
            "no usable node is selected by L2Advertisement all",
            id="no node",
        ),
        pytest.param(
            cluster(
                WEB,
                advertisements=[
                    advertisement("a", node_selectors=(labelled(zone="x"),)),
                    advertisement("b", node_selectors=(labelled(zone="y"),)),
                ],
            ),
            WithheldReason.NO_NODES,
            "no usable node is selected by L2Advertisement a, b",
            id="no node with the labels",
        ),
        pytest.param(
            cluster(WEB, nodes=[node("n1", network_unavailable=True)]),
            WithheldReason.NO_NETWORK,
            "every node that L2Advertisement all selects has the condition NetworkUnavailable",
            id="no node with network",
        ),
        pytest.param(
            cluster(WEB, nodes=[node("n1", labels={Node.EXCLUDED: ""})]),
            WithheldReason.EXCLUDED,
            "every node that L2Advertisement all selects has the label"
            " node.kubernetes.io/exclude-from-external-load-balancers",
            id="no node that is not excluded",
        ),
        pytest.param(
            cluster(
                WEB,
                nodes=[
                    node("n1", labels={Node.EXCLUDED: ""}),
                    node("n2", network_unavailable=True),
                ],
            ),
            WithheldReason.NO_NODES,
            "no usable node is selected by L2Advertisement all",
            id="one node excluded, the other without network",
        ),
        pytest.param(
            cluster(WEB, endpoints={}),
            WithheldReason.NO_ENDPOINTS,
            "the Service has no endpoint that serves",
            id="no endpoint",
        ),
        pytest.param(
            cluster(LOCAL, endpoints={"shop/web": Endpoints(True, frozenset(["n9"]))}),
            WithheldReason.NO_LOCAL_ENDPOINTS,
            "externalTrafficPolicy is Local and no eligible node has a serving endpoint",
            id="no endpoint on such a node",
        ),
    ],
)
def test_what_is_withheld(world: Cluster, reason: WithheldReason, message: str) -> None:
    intents = planned(world)
    assert intents.withheld == (Withheld("shop/web", ADDRESS, reason, message),)
    assert intents.announcements == ()


def test_one_that_is_withheld_stops_no_other() -> None:
    world = cluster(service("shop/a"), service("shop/b"), endpoints={"shop/b": ON_N2["shop/web"]})
    granted = {
        "shop/a": allocation("shop/a", "192.0.2.1"),
        "shop/b": allocation("shop/b", "192.0.2.2"),
    }
    intents = plan(world, Allocations(granted), {}, {})
    assert [item.address for item in intents.announcements] == [parse_address("192.0.2.2")]
    assert [item.address for item in intents.withheld] == [parse_address("192.0.2.1")]


@pytest.mark.parametrize(
    ("world", "nodes"),
    [
        pytest.param(cluster(WEB), ["n1", "n2", "n3"], id="all"),
        pytest.param(cluster(WEB, endpoints=ON_N2), ["n1", "n2", "n3"], id="endpoints on one"),
        pytest.param(cluster(LOCAL, endpoints=ON_N2), ["n2"], id="Local: those with endpoints"),
        pytest.param(
            cluster(WEB, nodes=["n1", node("n2", ready=False)]),
            ["n1", "n2"],
            id="one that is not ready may take over later",
        ),
        pytest.param(cluster(WEB, speakers=[]), ["n1", "n2", "n3"], id="without any report yet"),
        pytest.param(
            cluster(
                WEB, nodes=["n1", node("n2", labels={Node.EXCLUDED: ""})], ignore_exclude_label=True
            ),
            ["n1", "n2"],
            id="excluded ones where that label is ignored",
        ),
        pytest.param(
            cluster(
                WEB,
                nodes=[node("n1", labels={"zone": "a"}), node("n2", labels={"zone": "b"}), "n3"],
                advertisements=[
                    advertisement("a", node_selectors=(labelled(zone="a"),)),
                    advertisement("b", node_selectors=(labelled(zone="b"),)),
                ],
            ),
            ["n1", "n2"],
            id="those that any advertisement selects",
        ),
    ],
)
def test_who_may_own_it(world: Cluster, nodes: list[str]) -> None:
    intents = planned(world)
    [found] = intents.announcements
    sets = {item.name: item for item in intents.node_sets}
    assert sorted(sets[found.node_set].nodes) == nodes
    assert {found.owner, *found.successors} <= set(nodes)


def test_speakers_are_told_of_every_node_with_an_address() -> None:
    world = cluster(nodes=["n1", node("n2", ready=False), node("n3", address="")])
    [everyone] = planned(world).node_sets
    assert (everyone.name, everyone.nodes) == (ALL_NODES, {"n1": "10.0.0.1", "n2": "10.0.0.2"})


def test_a_node_set_keeps_its_name_while_nodes_come_and_go() -> None:
    few, many = cluster(WEB), cluster(WEB, nodes=["n1", "n2", "n3", "n4"])
    assert the_announcement(few).node_set == the_announcement(many).node_set


def test_services_of_the_same_advertisements_share_a_node_set() -> None:
    services = [service(f"shop/s{number}") for number in range(5)]
    granted = {
        item.key: allocation(item.key, f"192.0.2.{number}") for number, item in enumerate(services)
    }
    intents = plan(cluster(*services), Allocations(granted), {}, {})
    assert len(intents.node_sets) == 2


@pytest.mark.parametrize(
    ("advertisements", "interfaces"),
    [
        pytest.param([advertisement()], set(), id="none named: all"),
        pytest.param(
            [
                advertisement("a", interfaces=frozenset(["eth0"])),
                advertisement("b", interfaces=frozenset(["eth1"])),
            ],
            {"eth0", "eth1"},
            id="those of all advertisements",
        ),
        pytest.param(
            [advertisement("a", interfaces=frozenset(["eth0"])), advertisement("b")],
            set(),
            id="one advertisement names none: all",
        ),
        pytest.param(
            [
                advertisement("a", interfaces=frozenset(["eth0"])),
                advertisement("b", pools="other", interfaces=frozenset(["eth1"])),
            ],
            {"eth0"},
            id="those of advertisements of its pool",
        ),
    ],
)
def test_interfaces(advertisements: list[Any], interfaces: set[str]) -> None:
    world = cluster(WEB, advertisements=advertisements)
    assert the_announcement(world).interfaces == interfaces


def test_pools_can_be_selected_by_their_labels() -> None:
    chosen = advertisement(pool_selectors=(labelled(net="front"),))
    world = cluster(WEB, pools=[pool(labels={"net": "front"})], advertisements=[chosen])
    assert the_announcement(world).address == ADDRESS


def sharing_on(*nodes: str) -> Intents:
    """Two Services share 192.0.2.1; the endpoints of the first are on n1 and n2."""
    names = ("shop/a", "shop/b")
    services = [service(name, local_only=True) for name in names]
    endpoints = {
        "shop/a": Endpoints(True, frozenset(["n1", "n2"])),
        "shop/b": Endpoints(True, frozenset(nodes)),
    }
    granted = {name: allocation(name, "192.0.2.1") for name in names}
    return plan(cluster(*services, endpoints=endpoints), Allocations(granted), {}, {})


def test_who_shares_an_address_is_announced_from_a_node_that_does_for_both() -> None:
    intents = sharing_on("n2", "n3")
    [item] = intents.announcements
    assert (item.owner, len(item.services)) == ("n2", 2)
    assert intents.withheld == ()


def test_where_no_node_does_for_both_the_second_is_withheld() -> None:
    intents = sharing_on("n3")
    [item] = intents.announcements
    assert [found.key for found in item.services] == ["shop/a"]
    [no] = intents.withheld
    assert (no.service, no.reason) == ("shop/b", WithheldReason.NO_NODES)
    assert no.message == "no node may announce it for shop/a as well, which shares the address"


def test_services_that_share_an_address_are_one_announcement() -> None:
    world = cluster(service("shop/a"), service("shop/b"))
    assert the_announcement(world).services == (
        ServiceId("shop", "a", "uid-shop-a"),
        ServiceId("shop", "b", "uid-shop-b"),
    )


# --- 5: the owner --------------------------------------------------------------------------------

ZONES = [node("n1", labels={"zone": "a"}), node("n2", labels={"zone": "b"}), node("n3")]


@pytest.mark.parametrize(
    ("world", "present", "owner"),
    [
        pytest.param(cluster(WEB), "", BY_RANK[0], id="the first by rank"),
        pytest.param(cluster(WEB), BY_RANK[2], BY_RANK[2], id="the present owner stays"),
        pytest.param(cluster(WEB), "n9", BY_RANK[0], id="a present owner that is gone does not"),
        pytest.param(
            cluster(WEB, nodes=[node("n1", ready=False), node("n2", ready=False), "n3"]),
            "",
            "n3",
            id="one that is ready",
        ),
        pytest.param(
            cluster(WEB, nodes=[node("n1", ready=False), "n2", "n3"]),
            "n1",
            "n1",
            id="the present owner stays although it is not ready: speakers take over themselves",
        ),
        pytest.param(
            cluster(WEB, speakers=[BY_RANK[1]]), "", BY_RANK[1], id="one whose speaker runs"
        ),
        pytest.param(
            cluster(
                WEB,
                nodes=ZONES,
                advertisements=[advertisement(preferred=(preferring(1, zone="b"),))],
            ),
            "",
            "n2",
            id="one that the user prefers",
        ),
        pytest.param(
            cluster(
                WEB,
                nodes=ZONES,
                advertisements=[advertisement(preferred=(preferring(1, zone="b"),))],
            ),
            "n1",
            "n2",
            id="one that the user prefers to the present owner",
        ),
        pytest.param(
            cluster(
                WEB,
                nodes=ZONES,
                advertisements=[
                    advertisement("x", preferred=(preferring(60, zone="a"),)),
                    advertisement(
                        "y", preferred=(preferring(40, zone="b"), preferring(30, zone="b"))
                    ),
                ],
            ),
            "",
            "n2",
            id="weights add up",
        ),
        pytest.param(
            cluster(
                WEB,
                nodes=[node("n1", labels={"zone": "a"}, ready=False), "n2", "n3"],
                advertisements=[advertisement(preferred=(preferring(1, zone="a"),))],
            ),
            "",
            next(name for name in BY_RANK if name != "n1"),
            id="one that is ready before a preferred one that is not",
        ),
    ],
)
def test_who_owns_it(world: Cluster, present: str, owner: str) -> None:
    standing = {ADDRESS: Standing(present, 1)} if present else {}
    assert the_announcement(world, standing=standing).owner == owner


def test_successors_are_the_next_two_by_rank() -> None:
    found = the_announcement(cluster(WEB, nodes=["n1", "n2", "n3", "n4"]))
    order = sorted(["n1", "n2", "n3", "n4"], key=lambda name: -rank(ADDRESS, name))
    assert (found.owner, *found.successors) == tuple(order[:3])


def test_a_single_node_has_no_successor() -> None:
    assert the_announcement(cluster(WEB, nodes=["n1"])).successors == ()


def test_new_addresses_are_spread_so_that_no_node_has_more_than_its_share() -> None:
    services = [service(f"shop/s{number:02}") for number in range(40)]
    granted = {
        item.key: allocation(item.key, f"192.0.2.{number}") for number, item in enumerate(services)
    }
    intents = plan(cluster(*services, nodes=["n1", "n2", "n3", "n4"]), Allocations(granted), {}, {})
    owners = [item.owner for item in intents.announcements]
    assert max(owners.count(name) for name in owners) <= 13  # 1.25 times the mean of 10, rounded up


# --- both families -------------------------------------------------------------------------------

V6 = "2001:db8::10"


def dual(
    *names: str, nodes: list[Any], standing: dict[str, str] | None = None, **fields: Any
) -> dict[str, Announcement]:
    """Dual-stack Services, announced: address → announcement; ``standing``: address → owner."""
    keys = names or ("shop/web",)
    granted = {
        key: allocation(key, f"192.0.2.{10 + at}", f"2001:db8::{10 + at}")
        for at, key in enumerate(keys)
    }
    world = cluster(*(service(key) for key in keys), nodes=nodes, **fields)
    present = {parse_address(text): Standing(name, 1) for text, name in (standing or {}).items()}
    found = plan(world, Allocations(granted), {}, present)
    assert found.withheld == ()
    return {str(item.address): item for item in found.announcements}


FIVE = ["n1", "n2", "n3", "n4", "n5"]


@pytest.mark.parametrize("standing", [{}, {str(ADDRESS): "n3"}, {V6: "n3"}])
def test_both_families_of_a_service_have_one_owner(standing: dict[str, str]) -> None:
    found = dual(nodes=FIVE, standing=standing)
    assert found[str(ADDRESS)].owner == found[V6].owner
    assert not standing or found[V6].owner == "n3"


def test_and_the_same_successors_so_that_they_move_together() -> None:
    found = dual(nodes=FIVE)
    assert found[str(ADDRESS)].successors == found[V6].successors


APART = [
    pytest.param(FIVE, "n2", id="what stands on another node stays there"),
    pytest.param([node("n1", ready=False), "n2", "n3"], None, id="a node that is not ready"),
]


@pytest.mark.parametrize(("nodes", "stands"), APART)
def test_the_second_family_does_not_follow(nodes: list[Any], stands: str | None) -> None:
    standing = {str(ADDRESS): "n1"} | ({V6: stands} if stands else {})
    found = dual(nodes=nodes, standing=standing)
    assert found[str(ADDRESS)].owner == "n1"
    assert found[V6].owner != "n1"


def test_pairs_are_spread_as_evenly_as_single_addresses() -> None:
    found = dual(*(f"shop/s{number:02}" for number in range(40)), nodes=FIVE[:4])
    owners = [item.owner for item in found.values()]
    assert max(owners.count(name) for name in owners) <= 26  # 1.25 times the mean of 20, and one
    pairs = [
        found[f"192.0.2.{10 + at}"].owner == found[f"2001:db8::{10 + at}"].owner for at in range(40)
    ]
    assert all(pairs)


# --- terms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_ledger", "present", "term"),
    [
        pytest.param(None, None, 1, id="nobody knows of it"),
        pytest.param(7, None, 7, id="the ledger's"),
        pytest.param(7, Standing("n1", 7), 7, id="the owner stays"),
        pytest.param(8, Standing("n1", 7), 8, id="the ledger is ahead: another Service has it"),
        pytest.param(7, Standing("n9", 7), 8, id="another owner raises it"),
        pytest.param(3, Standing("n9", 9), 10, id="above everything that stands"),
        pytest.param(7, Standing("n1", 7, False), 8, id="a claimant is confirmed by a higher one"),
        pytest.param(7, Standing("n1", 9), 9, id="slices that are ahead of the ledger"),
    ],
)
def test_terms(in_ledger: int | None, present: Standing | None, term: int) -> None:
    ledger = {} if in_ledger is None else held(holding(str(ADDRESS), WEB, term=in_ledger))
    world = cluster(WEB, nodes=["n1"])
    standing = {} if present is None else {ADDRESS: present}
    assert the_announcement(world, ledger=ledger, standing=standing).term == term


# --- standings: who owns what --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "owner", "term", "confirmed"),
    [
        pytest.param([], "n1", 5, True, id="no claims: the owner in the slices"),
        pytest.param([claim(node="n1", term=5, epoch=3)], "n1", 5, True, id="the owner's claim"),
        pytest.param([claim(node="n2", term=5, epoch=1)], "n2", 5, False, id="one that took over"),
        pytest.param(
            [claim(node="n2", term=5, epoch=1), claim(node="n3", term=5, epoch=2)],
            "n3",
            5,
            False,
            id="the highest of two",
        ),
        pytest.param(
            [claim(node="n2", term=4, epoch=9)], "n1", 5, True, id="a claim of an older term"
        ),
        pytest.param(
            [claim(node="n2", term=5, epoch=0)], "n1", 5, True, id="one that merely repeats"
        ),
        pytest.param(
            [claim(node="n2", term=5, epoch=1, firm=False)], "n1", 5, True, id="a provisional one"
        ),
        pytest.param(
            [claim("192.0.2.99", node="n2", term=9, epoch=1)], "n1", 5, True, id="of another one"
        ),
    ],
)
def test_who_stands_as_owner(claims: list[Claim], owner: str, term: int, confirmed: bool) -> None:
    nodes = {name: node(name) for name in ("n1", "n2", "n3")}
    found = standings([announcement(owner="n1", term=5)], claims, nodes)
    assert found == {ADDRESS: Standing(owner, term, confirmed)}


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param({"n1": node("n1", ready=False)}, id="is not ready"),
        pytest.param({}, id="is gone"),
    ],
)
def test_a_provisional_claim_counts_once_the_owner(nodes: dict[str, Node]) -> None:
    taken = claim(node="n2", term=5, epoch=1, firm=False)
    found = standings([announcement(owner="n1", term=5)], [taken], nodes)
    assert found == {ADDRESS: Standing("n2", 5, confirmed=False)}


def test_who_took_over_is_confirmed_and_keeps_it_when_the_former_owner_is_back() -> None:
    """The story of a failure: n1 dies, n2 takes over, n1 comes back and takes nothing."""
    world = cluster(WEB)
    ledger = held(holding(str(ADDRESS), WEB, term=5))
    before = announcement(owner="n1", term=5, services=())
    took = standings([before], [claim(node="n2", term=5, epoch=1)], world.nodes)
    confirmed = the_announcement(world, ledger=ledger, standing=took)
    assert (confirmed.owner, confirmed.term) == ("n2", 6)
    later = standings([confirmed], [], world.nodes)
    assert the_announcement(world, ledger=ledger, standing=later) == confirmed


def test_every_address_of_a_service_is_announced() -> None:
    granted = {"shop/web": allocation("shop/web", "192.0.2.1", "192.0.2.2")}
    intents = plan(cluster(WEB), Allocations(granted), {}, {})
    assert tuple(item.address for item in intents.announcements) == addresses(
        "192.0.2.1", "192.0.2.2"
    )


def test_a_claim_of_a_term_that_cannot_be_is_not_believed() -> None:
    lie, truth = claim(node="n3", term=5 + MOST_AHEAD + 1), claim(node="n2", term=5, epoch=1)
    found = standings([announcement(owner="n1", term=5)], [lie, truth], {})
    assert [item.owner for item in found.values()] == ["n2"]


def test_owners_are_those_named_those_standing_and_those_that_claim() -> None:
    item = announcement("192.0.2.1", owner="n1")
    standing = {item.address: Standing("n2", 2, confirmed=False)}
    claims = [Claim(item.address, "n3", ClaimOrder(1, False, 1))]
    assert owners_of([item], standing, claims) == {"shop/web": frozenset({"n1", "n2", "n3"})}
