"""Who qualifies as owner: interfaces and subnets, drains, endpoints that end, orders, unrest."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest

from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Link, Node
from bellmetal.intents import Announcement, Intents, NodeSet, WithheldReason
from bellmetal.planning import plan, why_not
from bellmetal.standing import Standing, standings
from builders import advertisement, allocation, cluster, node, preferring, service

WEB, LOCAL = service("shop/web"), service("shop/web", local_only=True)
V4, V6 = "192.0.2.10", "2001:db8::10"


def link(name: str, *networks: str, ipv6: bool = True) -> Link:
    return Link(name, tuple(ipaddress.ip_network(item) for item in networks), ipv6)


LAN = link("eth0", "192.0.2.0/24", "2001:db8::/64")
ELSEWHERE = link("eth0", "10.0.0.0/8")


def planned(
    world: Cluster, *addresses: str, before: Intents | None = None, **given: str
) -> Intents:
    """What is planned; ``given`` Services beside shop/web have addresses of their own."""
    granted = {"shop/web": allocation("shop/web", *(addresses or (V4,)))}
    granted |= {f"shop/{name}": allocation(f"shop/{name}", text) for name, text in given.items()}
    standing = {}
    if before is not None:
        sets = {item.name: item for item in before.node_sets}
        standing = standings(before.announcements, [], world.nodes, sets)
    return plan(world, Allocations(granted), {}, standing)


def one(intents: Intents) -> tuple[Announcement, NodeSet]:
    [item] = intents.announcements
    return item, next(found for found in intents.node_sets if found.name == item.node_set)


def owned_by(owner: str, world: Cluster, **fields: Any) -> Announcement:
    """The plan where that node stands as owner."""
    address = ipaddress.ip_address(V4)
    granted = Allocations({"shop/web": allocation("shop/web", V4)})
    [item] = plan(world, granted, {}, {address: Standing(owner, 1, **fields)}).announcements
    return item


# --- interfaces ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "ads", "address", "nodes", "networks"),
    [
        pytest.param({}, {}, V4, "n1 n2 n3", "", id="nobody has reported: all"),
        pytest.param({"n1": [LAN]}, {}, V4, "n1 n2 n3", "192.0.2.0/24", id="unknown ones too"),
        pytest.param(
            {"n1": [LAN], "n2": [ELSEWHERE], "n3": []}, {}, V4, "n1", "192.0.2.0/24", id="subnet"
        ),
        pytest.param(
            {"n1": [LAN], "n2": [ELSEWHERE], "n3": []},
            {"any_subnet": True},
            V4,
            "n1 n2",
            "",
            id="any subnet, where that is asked for",
        ),
        pytest.param(
            {"n1": [ELSEWHERE], "n2": [ELSEWHERE], "n3": []},
            {},
            V4,
            "n1 n2",
            "",
            id="no node is in its subnet: any interface",
        ),
        pytest.param(
            {"n1": [LAN, link("eth1")], "n2": [link("eth1")], "n3": [LAN]},
            {"interfaces": frozenset(["eth1"])},
            V4,
            "n1 n2",
            "",
            id="only the interfaces that are named count, for the subnet too",
        ),
        pytest.param(
            {"n1": [link("eth0", "192.0.0.0/16")], "n2": [LAN], "n3": [ELSEWHERE]},
            {},
            V4,
            "n1 n2",
            "192.0.0.0/16",
            id="of two networks the wider is named",
        ),
        pytest.param(
            {"n1": [LAN], "n2": [link("eth0", "2001:db8::/64", ipv6=False)], "n3": [ELSEWHERE]},
            {},
            V6,
            "n1",
            "2001:db8::/64",
            id="IPv6 needs a link-local address",
        ),
        pytest.param(
            {"n1": [ELSEWHERE], "n2": [link("eth0", ipv6=False)], "n3": []},
            {},
            V6,
            "n1",
            "",
            id="also outside of all subnets",
        ),
    ],
)
def test_which_interfaces_do(
    links: dict[str, list[Link]], ads: dict[str, Any], address: str, nodes: str, networks: str
) -> None:
    told = {name: tuple(found) for name, found in links.items()}
    world = cluster(WEB, advertisements=[advertisement(**ads)], links=told, speakers=list(links))
    item, node_set = one(planned(world, address))
    assert sorted(node_set.nodes) == nodes.split()
    assert " ".join(map(str, node_set.networks)) == networks
    assert {item.owner, *item.successors} <= set(nodes.split())
    assert not links or item.owner in links


def test_the_sentence_says_which_node_lacks_what() -> None:
    links = {"n1": (LAN,), "n2": (), "n3": (link("eth9", ipv6=False),)}
    ads = [advertisement(interfaces=frozenset(["eth9"]))]
    [no] = planned(cluster(WEB, advertisements=ads, links=links), V6).withheld
    assert no.reason is WithheldReason.NO_INTERFACE
    assert no.message == (
        "no node has an interface for it: n1: no interface eth9; n2: no interface eth9;"
        " n3: no interface with an IPv6 link-local address"
    )


def test_the_sentence_names_five_nodes_at_most() -> None:
    names = [f"n{number}" for number in range(1, 9)]
    [no] = planned(cluster(WEB, nodes=names, links=dict.fromkeys(names, ()))).withheld
    assert no.message.endswith("n5: no usable interface; 3 more")


def test_where_traffic_stays_local_the_sentence_says_what_the_node_with_the_endpoint_lacks() -> (
    None
):
    links = {"n1": (LAN,), "n2": (ELSEWHERE,), "n3": (LAN,)}
    world = cluster(LOCAL, links=links, endpoints={"shop/web": serving("n2")})
    [no] = planned(world).withheld
    assert no.reason is WithheldReason.NO_LOCAL_ENDPOINTS
    assert no.message.endswith(f"(n2: no address in a subnet with {V4})")


def test_a_set_keeps_its_name_while_carriers_come_and_go() -> None:
    all_there = cluster(WEB, links=dict.fromkeys(["n1", "n2", "n3"], (LAN,)))
    one_out = cluster(WEB, links={"n1": (LAN,), "n2": (LAN,), "n3": ()})
    (_, before), (_, after) = one(planned(all_there)), one(planned(one_out))
    assert (before.name, len(before.nodes), len(after.nodes)) == (after.name, 3, 2)


def test_the_families_have_sets_of_their_own() -> None:
    links = {"n1": (ELSEWHERE,), "n2": (link("eth0", ipv6=False),), "n3": (ELSEWHERE,)}
    intents = planned(cluster(WEB, links=links), V4, V6)
    sets = {item.name: sorted(item.nodes) for item in intents.node_sets}
    assert [sets[item.node_set] for item in intents.announcements] == [
        ["n1", "n2", "n3"],
        ["n1", "n3"],
    ]


def test_an_owner_that_lost_its_interface_is_followed_by_its_first_successor() -> None:
    there = cluster(WEB, links=dict.fromkeys(["n1", "n2", "n3"], (LAN,)))
    before = planned(there)
    [item] = before.announcements
    out = replace(there, links={**there.links, item.owner: ()})
    [now] = planned(out, before=before).announcements
    assert (now.owner, now.term) == (item.successors[0], item.term + 1)


ALL_OUT = dict.fromkeys(["n1", "n2", "n3"], ())


def test_while_all_are_out_owner_term_and_set_stay_and_it_is_said() -> None:
    there = cluster(WEB, links=dict.fromkeys(["n1", "n2", "n3"], (LAN,)))
    before = planned(there)
    now = planned(replace(there, links=ALL_OUT), before=before)
    assert (now.announcements, now.node_sets) == (before.announcements, before.node_sets)
    [no] = now.withheld
    assert no.message.endswith(
        f"; {before.announcements[0].owner} keeps it for when its interface is back"
    )
    assert planned(there, before=now) == before


def test_an_interface_that_no_node_has_takes_nothing_from_what_is_announced() -> None:
    there = cluster(WEB, links=dict.fromkeys(["n1", "n2", "n3"], (LAN,)))
    before = planned(there)
    typo = [advertisement(interfaces=frozenset(["eth9"]))]
    now = planned(cluster(WEB, advertisements=typo, links=there.links), before=before)
    assert now.announcements == before.announcements
    [no] = now.withheld
    assert "no interface eth9" in no.message


def test_no_order_and_no_drain_moves_what_is_kept() -> None:
    there = cluster(LOCAL, links=dict.fromkeys(["n1", "n2", "n3"], (LAN,)))
    before = planned(there)
    owner = before.announcements[0].owner
    heir = before.announcements[0].successors[0]
    out = replace(
        there,
        links=ALL_OUT,
        nodes={**there.nodes, owner: node(owner, draining=DRAINING)},
        services={"shop/web": service("shop/web", local_only=True, move_to=heir)},
    )
    assert planned(out, before=before).announcements == before.announcements


def test_a_new_address_is_withheld_while_all_are_out() -> None:
    found = planned(cluster(WEB, links=ALL_OUT))
    assert (found.announcements, len(found.withheld)) == ((), 1)


def test_a_set_that_is_kept_says_what_it_said_although_its_name_is_in_use() -> None:
    services = (WEB, service("shop/new"))
    there = cluster(*services, links=dict.fromkeys(["n1", "n2", "n3"], (LAN,)))
    before = planned(there, V6)
    links = dict.fromkeys(["n1", "n2"], (link("eth0", "192.0.2.0/24", ipv6=False),))
    now = planned(replace(there, links=links | {"n3": ()}), V6, before=before, new="192.0.2.11")
    sets = {item.name: sorted(item.nodes) for item in now.node_sets}
    assert [sets[item.node_set] for item in now.announcements] == [["n1", "n2"], ["n1", "n2", "n3"]]


# --- externalTrafficPolicy: Local ----------------------------------------------------------------


def serving(*nodes: str, ending: tuple[str, ...] = ()) -> Endpoints:
    return Endpoints(True, frozenset(nodes), frozenset(nodes) - frozenset(ending))


@pytest.mark.parametrize(
    ("endpoints", "nodes", "owner"),
    [
        pytest.param(serving("n1", "n2"), ["n1", "n2"], "n1", id="it stays where it is"),
        pytest.param(
            serving("n1", "n2", ending=("n1",)), ["n1", "n2"], "n2", id="its endpoints end: it goes"
        ),
        pytest.param(
            serving("n1", "n2", ending=("n1", "n2")), ["n1", "n2"], "n1", id="all end: it stays"
        ),
        pytest.param(serving("n1", ending=("n1",)), ["n1"], "n1", id="nowhere else to go"),
        pytest.param(
            serving("n1", "n3", ending=("n1",)), ["n1", "n3"], "n1", id="the other one is dead"
        ),
        pytest.param(serving("n2"), ["n2"], "n2", id="it has none any more"),
    ],
)
def test_local_endpoints_that_end(endpoints: Endpoints, nodes: list[str], owner: str) -> None:
    living = ["n1", "n2", node("n3", ready=False)]
    world = cluster(LOCAL, nodes=living, endpoints={"shop/web": endpoints})
    assert owned_by("n1", world).owner == owner
    assert sorted(one(planned(world))[1].nodes) == nodes


# --- drain ---------------------------------------------------------------------------------------

DRAINING = "it has the annotation bellmetal.io/drain"


@pytest.mark.parametrize(
    ("nodes", "owners"),
    [
        pytest.param([node("n1", draining=DRAINING), "n2", "n3"], "n2 n3", id="it goes"),
        pytest.param([node("n1", draining=DRAINING)], "n1", id="nowhere to go"),
        pytest.param(
            [node("n1", draining=DRAINING), node("n2", ready=False)], "n1", id="nobody lives"
        ),
        pytest.param(
            [node("n1", draining=DRAINING), node("n2", draining=DRAINING)], "n1", id="all drain"
        ),
    ],
)
def test_a_draining_node_owns_nothing_if_another_can(nodes: list[Node | str], owners: str) -> None:
    item = owned_by("n1", cluster(WEB, nodes=nodes))
    assert item.owner in owners.split()
    assert item.term == (1 if item.owner == "n1" else 2)
    assert "n1" not in item.successors


def test_a_draining_node_is_in_no_set_and_nobodys_successor() -> None:
    item, node_set = one(planned(cluster(WEB, nodes=["n1", "n2", node("n3", draining=DRAINING)])))
    assert sorted(node_set.nodes) == ["n1", "n2"]
    assert "n3" not in (item.owner, *item.successors)


def test_a_draining_node_keeps_what_only_it_can_serve() -> None:
    world = cluster(
        LOCAL,
        nodes=[node("n1", draining=DRAINING), "n2", "n3"],
        endpoints={"shop/web": serving("n1")},
    )
    assert owned_by("n1", world).owner == "n1"


# --- unsteady nodes ------------------------------------------------------------------------------


def test_an_unsteady_node_gets_nothing_new() -> None:
    for name in ("n1", "n2", "n3"):
        item, _ = one(planned(cluster(WEB, unsteady=frozenset([name]))))
        assert name not in (item.owner, item.successors[0])


def test_it_keeps_what_it_has() -> None:
    assert owned_by("n1", cluster(WEB, unsteady=frozenset(["n1"]))).owner == "n1"


def test_it_is_taken_where_there_is_no_other() -> None:
    item, _ = one(planned(cluster(WEB, nodes=["n1"], unsteady=frozenset(["n1"]))))
    assert item.owner == "n1"


ZONED = [node("n1", labels={"zone": "a"}), "n2", "n3"]
TO_A = [advertisement(preferred=(preferring(10, zone="a"),))]


@pytest.mark.parametrize(
    ("fields", "owner"),
    [
        pytest.param({}, "n1", id="it is pulled to a preferred node"),
        pytest.param({"unsteady": frozenset(["n1"])}, "n2", id="not while that is unsteady"),
        pytest.param({"speakers": ["n2", "n3"]}, "n2", id="not while its speaker is not there"),
        pytest.param(
            {"nodes": [node("n1", labels={"zone": "a"}, ready=False), "n2", "n3"]},
            "n2",
            id="not while it is not ready",
        ),
    ],
)
def test_preferred_nodes_pull(fields: dict[str, Any], owner: str) -> None:
    world = cluster(WEB, **({"nodes": ZONED, "advertisements": TO_A} | fields))
    assert owned_by("n2", world).owner == owner


def test_a_preferred_owner_that_is_not_ready_is_not_moved_by_plan() -> None:
    living = [node("n1", labels={"zone": "a"}, ready=False), "n2", "n3"]
    assert owned_by("n1", cluster(WEB, nodes=living, advertisements=TO_A)).owner == "n1"


# --- successors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "standing", "successors"),
    [
        pytest.param("n1 n2 n3 n4 n5", "n5 n4", "n5 n4", id="they stay"),
        pytest.param("n1 n2 n3 n4 n5", "n1 n4", "n4", id="one is the owner now"),
        pytest.param("n1 n2 n3 n4", "n5 n4", "n4", id="one is gone"),
        pytest.param("n1 n2 n3 n4 !n5", "n5 n4", "n5 n4", id="one is not ready, which may pass"),
        pytest.param("n1 n2 n3 !n4 !n5", "n5 n4", "", id="both are not: others are chosen"),
        pytest.param("n1 !n2 !n3 !n4 !n5", "n5 n4", "n5 n4", id="unless there is none better"),
        pytest.param("n1 n2 n3 n4 -n5", "n5 n4", "n4", id="one drains"),
        pytest.param("n1 n2 n3 n4 ~n5", "n5 n4", "n4", id="the first is unsteady"),
    ],
)
def test_successors_that_stand(nodes: str, standing: str, successors: str) -> None:
    living = [
        node(text.lstrip("!-~"), ready=text[0] != "!", draining=DRAINING if text[0] == "-" else "")
        for text in nodes.split()
    ]
    unsteady = frozenset(text[1:] for text in nodes.split() if text[0] == "~")
    world = cluster(WEB, nodes=living, unsteady=unsteady)
    item = owned_by("n1", world, successors=tuple(standing.split()))
    kept = tuple(successors.split())
    assert item.owner == "n1"
    assert item.successors[: len(kept)] == kept
    assert len({"n1", *item.successors}) == 3
    if not kept:
        assert set(item.successors) == {"n2", "n3"}


# --- orders --------------------------------------------------------------------------------------


def ordered(to: str, **fields: Any) -> Cluster:
    return cluster(service("shop/web", move_to=to), **fields)


def test_an_order_moves_it_once() -> None:
    world = ordered("n3")
    assert (owned_by("n1", world).owner, owned_by("n1", world).term) == ("n3", 2)
    assert (owned_by("n3", world).owner, owned_by("n3", world).term) == ("n3", 1)


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (ordered("n9"), "the cluster has no node n9"),
        (ordered("n3", nodes=["n1", node("n3", ready=False)]), "n3 is not ready"),
        (ordered("n3", speakers=["n1", "n2"]), "the speaker of n3 has not reported"),
        (ordered("n3", nodes=["n1", node("n3", network_unavailable=True)]), "n3 has no network"),
        (
            ordered("n3", nodes=["n1", node("n3", labels={Node.EXCLUDED: ""})]),
            f"n3 has the label {Node.EXCLUDED}",
        ),
        (
            ordered("n3", nodes=["n1", node("n3", draining=DRAINING)]),
            f"n3 is draining: {DRAINING}",
        ),
        (
            ordered("n3", nodes=ZONED, advertisements=TO_A),
            "preferredNodeSelectors of all prefer n1",
        ),
        (
            ordered("n3", links={"n1": (LAN,), "n3": (ELSEWHERE,)}),
            f"n3 has no address in a subnet with {V4}",
        ),
    ],
)
def test_an_order_that_cannot_be_is_ignored_and_the_reason_can_be_had(
    world: Cluster, why: str
) -> None:
    item = owned_by("n1", world)
    assert item.owner == "n1"
    assert why_not(world, item, world.services["shop/web"].move_to) == why


def test_an_order_to_a_node_without_a_local_endpoint() -> None:
    world = cluster(
        service("shop/web", local_only=True, move_to="n3"),
        endpoints={"shop/web": serving("n1", "n2")},
    )
    item = owned_by("n1", world)
    told = "externalTrafficPolicy is Local and n3 has no serving endpoint"
    assert (item.owner, why_not(world, item, "n3")) == ("n1", told)
    assert why_not(world, item, "n2") == ""


@pytest.mark.parametrize(
    ("orders", "owner"), [(("n3", ""), "n3"), (("n3", "n3"), "n3"), (("n3", "n2"), "n1")]
)
def test_orders_of_services_that_share(orders: tuple[str, str], owner: str) -> None:
    keys = ("shop/a", "shop/b")
    services = [service(key, move_to=to) for key, to in zip(keys, orders, strict=True)]
    granted = Allocations({key: allocation(key, V4) for key in keys})
    standing = {ipaddress.ip_address(V4): Standing("n1", 1)}
    [item] = plan(cluster(*services), granted, {}, standing).announcements
    assert item.owner == owner


# --- announcements at rest -----------------------------------------------------------------------


@pytest.mark.parametrize(("every", "refresh"), [((0, 0), 0), ((30, 0), 30), ((60, 20), 20)])
def test_the_shortest_time_between_announcements_counts(
    every: tuple[int, int], refresh: int
) -> None:
    ads = [advertisement(f"ad{at}", refresh=seconds) for at, seconds in enumerate(every)]
    item, _ = one(planned(cluster(WEB, advertisements=ads)))
    assert item.refresh == refresh
