"""Which nodes announce which prefix to which peers, and what is withheld, why."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Endpoints, Node
from bellmetal.config import BFDProfile, Community, Gateway, Remote
from bellmetal.intents import (
    BGP,
    LAYER2,
    Attributes,
    Intents,
    NodeSet,
    PeerPlan,
    Route,
    ServiceId,
    Withheld,
    WithheldReason,
)
from bellmetal.planning import plan
from bellmetal.routing import MOST_SERVICES
from builders import (
    addresses,
    advertisement,
    allocation,
    bgp_advertisement,
    labelled,
    node,
    peer,
    pool,
    service,
)
from builders import cluster as whole_cluster

WEB = service("shop/web")
LOCAL = service("shop/web", local_only=True)
[ADDRESS] = addresses("192.0.2.10")
NO_L2: list[Any] = []
ZONES = [node("n1", labels={"zone": "a"}), node("n2", labels={"zone": "b"}), node("n3")]


def cluster(*services: Any, **fields: Any) -> Cluster:
    """One that announces by BGP alone, to a router that every node has a session with."""
    defaults: dict[str, Any] = {
        "advertisements": NO_L2,
        "bgp": [bgp_advertisement()],
        "peers": [peer()],
    }
    return whole_cluster(*services, **(defaults | fields))


def planned(world: Cluster, *texts: str) -> Intents:
    granted = {key: allocation(key, *(texts or (str(ADDRESS),))) for key in world.services}
    return plan(world, Allocations(granted), {}, {})


def nodes_of(intents: Intents, route: Route | PeerPlan) -> list[str]:
    [found] = [item for item in intents.node_sets if item.name == route.node_set]
    return sorted(found.nodes)


def draining(intents: Intents, route: Route) -> list[str]:
    [found] = [item for item in intents.node_sets if item.name == route.node_set]
    return sorted(found.draining)


def prefixes(intents: Intents) -> list[str]:
    return [str(item.prefix) for item in intents.routes]


def on(*names: str, staying: tuple[str, ...] | None = None) -> Endpoints:
    return Endpoints(
        bool(names), frozenset(names), frozenset(names if staying is None else staying)
    )


# --- what is announced ---------------------------------------------------------------------------


def test_the_route_of_one_service() -> None:
    intents = planned(cluster(WEB))
    [route] = intents.routes
    assert route == Route(
        ipaddress.ip_network("192.0.2.10/32"),
        "bgp-all",
        Attributes(),
        frozenset(),
        (ServiceId("shop", "web", "uid-shop-web"),),
    )
    assert nodes_of(intents, route) == ["n1", "n2", "n3"]
    assert (intents.withheld, intents.announcements) == ((), ())


def test_what_an_advertisement_says_stands_in_the_route() -> None:
    said = bgp_advertisement(
        local_pref=200,
        communities=(Community((65000, 1)),),
        med=5,
        prepend=2,
        next_hops=addresses("192.0.2.1", "2001:db8::1"),
        peers=("tor", "core"),
        aggregation_length_v6=64,
    )
    world = cluster(WEB, bgp=[said], peers=[peer(dual_stack_address_family=True)])
    v4, v6 = planned(world, "192.0.2.10", "2001:db8:0:1::10").routes
    common = 200, (Community((65000, 1)),), 5, 2
    assert v4.attributes == Attributes(*common, *addresses("192.0.2.1"))
    assert v6.attributes == Attributes(*common, *addresses("2001:db8::1"))
    assert (str(v4.prefix), str(v6.prefix)) == ("192.0.2.10/32", "2001:db8:0:1::/64")
    assert v4.peers == v6.peers == {"tor", "core"}


def test_a_next_hop_of_the_other_family_is_not_said() -> None:
    world = cluster(WEB, bgp=[bgp_advertisement(next_hops=addresses("2001:db8::1"))])
    [route] = planned(world).routes
    assert route.attributes.next_hop is None


def test_services_of_one_aggregate_are_one_route() -> None:
    names = ("shop/a", "shop/b", "shop/c")
    world = cluster(*map(service, names), bgp=[bgp_advertisement(aggregation_length=24)])
    texts = zip(names, ("192.0.2.9", "192.0.2.10", "192.0.3.1"), strict=True)
    granted = {name: allocation(name, text) for name, text in texts}
    found = plan(world, Allocations(granted), {}, {}).routes
    assert {str(r.prefix): [s.name for s in r.services] for r in found} == {
        "192.0.2.0/24": ["a", "b"],
        "192.0.3.0/24": ["c"],
    }


def test_each_advertisement_gives_its_route_and_equal_ones_are_one() -> None:
    said = [
        bgp_advertisement("a"),
        bgp_advertisement("b", med=5),
        bgp_advertisement("c", peers="core"),
        bgp_advertisement("d", node_selectors=(labelled(zone="a"),)),
        bgp_advertisement("e", aggregation_length=24),
        bgp_advertisement("f"),
        bgp_advertisement("g", pools="other"),
    ]
    intents = planned(cluster(WEB, bgp=said, nodes=ZONES))
    found = [
        (str(r.prefix), r.attributes.med, sorted(r.peers), nodes_of(intents, r))
        for r in intents.routes
    ]
    every = ["n1", "n2", "n3"]
    assert found == [
        ("192.0.2.10/32", None, [], every),
        ("192.0.2.10/32", 5, [], every),
        ("192.0.2.10/32", None, ["core"], every),
        ("192.0.2.10/32", None, [], ["n1"]),
        ("192.0.2.0/24", None, [], every),
    ]


def test_a_service_with_two_addresses_in_an_aggregate_is_named_once() -> None:
    world = cluster(WEB, bgp=[bgp_advertisement(aggregation_length=24)])
    [route] = planned(world, "192.0.2.1", "192.0.2.2").routes
    assert len(route.services) == 1


def test_of_very_many_services_a_thousand_are_named_and_the_others_counted() -> None:
    services = [service(f"shop/s{number:04}") for number in range(MOST_SERVICES + 3)]
    world = cluster(*services, bgp=[bgp_advertisement(aggregation_length=24)])
    intents = planned(world)
    [route] = intents.routes
    assert [item.name for item in route.services[:2]] == ["s0000", "s0001"]
    assert len(route.services) == MOST_SERVICES
    assert intents.unnamed == {route.prefix: 3}


def test_a_service_is_announced_by_those_that_select_it_alone() -> None:
    said = [
        bgp_advertisement("a", med=1, service_selectors=(labelled(app="web"),)),
        bgp_advertisement("b", med=2, service_selectors=(labelled(app="db"),)),
    ]
    services = [
        service("shop/web", labels={"app": "web"}),
        service("shop/db", labels={"app": "db"}),
    ]
    granted = {"shop/web": allocation("shop/web", "192.0.2.1")}
    granted["shop/db"] = allocation("shop/db", "192.0.2.2")
    found = plan(cluster(*services, bgp=said), Allocations(granted), {}, {}).routes
    assert {r.services[0].name: r.attributes.med for r in found} == {"web": 1, "db": 2}


# --- by which nodes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "names"),
    [
        pytest.param(cluster(WEB), ["n1", "n2", "n3"], id="all"),
        pytest.param(cluster(WEB, endpoints={WEB.key: on("n2")}), ["n1", "n2", "n3"], id="Cluster"),
        pytest.param(cluster(LOCAL, endpoints={WEB.key: on("n2")}), ["n2"], id="Local"),
        pytest.param(
            cluster(LOCAL, endpoints={WEB.key: on("n2", staying=())}),
            ["n2"],
            id="Local: as long as the last endpoint serves",
        ),
        pytest.param(
            cluster(WEB, nodes=["n1", node("n2", network_unavailable=True)]), ["n1"], id="network"
        ),
        pytest.param(
            cluster(WEB, nodes=["n1", node("n2", labels={Node.EXCLUDED: ""})]), ["n1"], id="label"
        ),
        pytest.param(
            cluster(
                WEB, nodes=["n1", node("n2", labels={Node.EXCLUDED: ""})], ignore_exclude_label=True
            ),
            ["n1", "n2"],
            id="a label that is ignored",
        ),
        pytest.param(
            cluster(WEB, nodes=["n1", node("n2", ready=False)]), ["n1", "n2"], id="not ready"
        ),
        pytest.param(
            cluster(WEB, nodes=["n1", node("n2", draining="it is cordoned")]),
            ["n1", "n2"],
            id="draining",
        ),
    ],
)
def test_who_announces(world: Cluster, names: list[str]) -> None:
    intents = planned(world)
    [route] = intents.routes
    assert nodes_of(intents, route) == names
    assert intents.withheld == ()


def test_a_set_keeps_its_name_while_nodes_come_and_go() -> None:
    selecting = [bgp_advertisement(node_selectors=(labelled(zone="a"), labelled(zone="b")))]
    few, many = (
        planned(cluster(WEB, bgp=selecting, nodes=nodes)).routes[0].node_set
        for nodes in (ZONES[:1], ZONES)
    )
    assert few == many != "bgp-all"


def test_local_services_with_one_prefix_are_announced_together() -> None:
    names = ("shop/a", "shop/b")
    world = cluster(
        *(service(name, local_only=True) for name in names),
        bgp=[bgp_advertisement(aggregation_length=24)],
        endpoints={"shop/a": on("n1"), "shop/b": on("n2")},
    )
    intents = planned(world)
    [route] = intents.routes
    assert (nodes_of(intents, route), len(route.services)) == (["n1", "n2"], 2)


def test_local_services_with_the_same_endpoints_share_a_set() -> None:
    services = [service(f"shop/s{number}", local_only=True) for number in range(5)]
    granted = {
        item.key: allocation(item.key, f"192.0.2.{number}") for number, item in enumerate(services)
    }
    endpoints = {item.key: on("n1", "n2") for item in services}
    intents = plan(cluster(*services, endpoints=endpoints), Allocations(granted), {}, {})
    assert len({route.node_set for route in intents.routes}) == 1


DRAINING = node("n2", draining="it is cordoned")


@pytest.mark.parametrize(
    ("world", "names"),
    [
        pytest.param(cluster(WEB, nodes=["n1", DRAINING]), ["n2"], id="another announces"),
        pytest.param(cluster(WEB, nodes=[DRAINING]), [], id="no other"),
        pytest.param(cluster(WEB, nodes=[node("n1", ready=False), DRAINING]), [], id="none lives"),
        pytest.param(cluster(WEB, nodes=["n1", DRAINING], speakers=["n2"]), [], id="no speaker"),
        pytest.param(
            cluster(LOCAL, nodes=["n1", DRAINING], endpoints={WEB.key: on("n2")}),
            [],
            id="Local: no other has an endpoint",
        ),
        pytest.param(
            cluster(LOCAL, endpoints={WEB.key: on("n1", "n2", staying=("n1",))}),
            ["n2"],
            id="Local: the last endpoint there ends",
        ),
        pytest.param(
            cluster(LOCAL, endpoints={WEB.key: on("n1", "n2", staying=())}),
            [],
            id="Local: the last endpoints of all end",
        ),
        pytest.param(
            cluster(LOCAL, nodes=["n1", DRAINING], endpoints={WEB.key: on("n1", "n2", staying=())}),
            ["n2"],
            id="Local: they do, and one drains",
        ),
        pytest.param(
            cluster(
                LOCAL, nodes=["n1", DRAINING], endpoints={WEB.key: on("n1", "n2", staying=("n2",))}
            ),
            [],
            id="Local: the one that stays is on a node that drains",
        ),
    ],
)
def test_who_gives_way(world: Cluster, names: list[str]) -> None:
    intents = planned(world)
    [route] = intents.routes
    assert draining(intents, route) == names


def test_a_drain_changes_sets_and_no_route() -> None:
    before, after = (
        planned(cluster(WEB, service("shop/b", local_only=True), nodes=["n1", drained]))
        for drained in ("n2", DRAINING)
    )
    assert before.routes == after.routes
    assert before.node_sets != after.node_sets


# --- what is withheld ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "reason", "message"),
    [
        pytest.param(
            cluster(WEB, bgp=[]),
            WithheldReason.NO_ADVERTISEMENT,
            'no L2Advertisement or BGPAdvertisement selects pool "main" and this Service',
            id="no advertisement at all",
        ),
        pytest.param(
            cluster(WEB, bgp=[bgp_advertisement(service_selectors=(labelled(a="b"),))]),
            WithheldReason.NO_ADVERTISEMENT,
            'no L2Advertisement or BGPAdvertisement selects pool "main" and this Service',
            id="none for its labels",
        ),
        pytest.param(
            cluster(
                WEB,
                bgp=[
                    bgp_advertisement("a", node_selectors=(labelled(zone="x"),)),
                    bgp_advertisement("b", node_selectors=(labelled(zone="y"),)),
                ],
            ),
            WithheldReason.NO_NODES,
            "no usable node is selected by BGPAdvertisement a, b",
            id="no node with the labels",
        ),
        pytest.param(
            cluster(WEB, nodes=[node("n1", network_unavailable=True)]),
            WithheldReason.NO_NETWORK,
            "every node that BGPAdvertisement all selects has the condition NetworkUnavailable",
            id="no node with network",
        ),
        pytest.param(
            cluster(WEB, endpoints={}),
            WithheldReason.NO_ENDPOINTS,
            "the Service has no endpoint that serves",
            id="no endpoint",
        ),
        pytest.param(
            cluster(LOCAL, endpoints={WEB.key: on("n9")}),
            WithheldReason.NO_LOCAL_ENDPOINTS,
            "externalTrafficPolicy is Local and no eligible node has a serving endpoint",
            id="no endpoint on such a node",
        ),
        pytest.param(
            cluster(
                service("shop/web", labels={"app": "web"}),
                bgp=[
                    bgp_advertisement("a", local_pref=100),
                    bgp_advertisement(
                        "b", local_pref=200, service_selectors=(labelled(app="web"),)
                    ),
                ],
            ),
            WithheldReason.CONFLICT,
            "BGPAdvertisement a gives it the local preference 100, and BGPAdvertisement b 200, on"
            " n1, n2, n3",
            id="two local preferences",
        ),
    ],
)
def test_what_is_withheld(world: Cluster, reason: WithheldReason, message: str) -> None:
    intents = planned(world)
    assert intents.withheld == (Withheld("shop/web", ADDRESS, reason, message),)
    assert intents.routes == ()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"local_pref": 100}, id="the same preference"),
        pytest.param({"local_pref": 200, "aggregation_length": 24}, id="another prefix"),
        pytest.param({"local_pref": 200, "peers": "core"}, id="other peers"),
        pytest.param(
            {"local_pref": 200, "node_selectors": (labelled(zone="b"),)}, id="other nodes"
        ),
    ],
)
def test_two_preferences_that_nobody_hears_both(other: dict[str, Any]) -> None:
    first = bgp_advertisement(
        "a", local_pref=100, peers="tor", node_selectors=(labelled(zone="a"),)
    )
    if "node_selectors" not in other:
        other = other | {"node_selectors": first.node_selectors}
    world = cluster(WEB, bgp=[first, bgp_advertisement("b", **other)], nodes=ZONES)
    intents = planned(world)
    assert (len(intents.routes), intents.withheld) == (2, ())


def test_where_two_disagree_on_some_nodes_the_others_announce() -> None:
    said = [
        bgp_advertisement("a", local_pref=100),
        bgp_advertisement("b", local_pref=200, node_selectors=(labelled(zone="a"),)),
    ]
    intents = planned(cluster(WEB, bgp=said, nodes=ZONES))
    [route] = intents.routes
    assert (route.attributes.local_pref, nodes_of(intents, route)) == (100, ["n2", "n3"])
    [no] = intents.withheld
    assert no.reason is WithheldReason.CONFLICT
    assert no.sentence == (
        "192.0.2.10 is not announced from n1: BGPAdvertisement a gives it the local preference 100,"
        " and BGPAdvertisement b 200, on n1"
    )


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"peers": []}, id="none at all"),
        pytest.param({"peers": [peer("core")], "bgp": [bgp_advertisement(peers="tor")]}, id="name"),
        pytest.param({"peers": [peer(node_selectors=(labelled(a="b"),))]}, id="no session"),
        pytest.param({"peers": [peer(address="2001:db8::1")]}, id="another family"),
        pytest.param({"peers": [peer(address="", gateway=Gateway.IPV6)]}, id="such a gateway"),
    ],
)
def test_what_no_peer_hears_is_said_and_stays_a_route(fields: dict[str, Any]) -> None:
    intents = planned(cluster(WEB, **fields))
    [no] = intents.withheld
    assert (no.reason, len(intents.routes)) == (WithheldReason.NO_PEERS, 1)
    assert no.sentence == (
        "192.0.2.10 is not announced: no BGPPeer hears of it from a node that may announce it"
    )


@pytest.mark.parametrize(
    "heard",
    [
        peer(address="2001:db8::1", dual_stack_address_family=True),
        peer(address="", interface="eth0"),
        peer(address="", gateway=Gateway.IPV4),
        peer(address="", remotes=(Remote(frozenset(["n2"]), 0, *addresses("10.0.9.2")),)),
    ],
)
def test_who_hears(heard: Any) -> None:
    assert planned(cluster(WEB, peers=[heard])).withheld == ()


# --- beside layer 2 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "withheld"),
    [
        pytest.param({}, [], id="both announce"),
        pytest.param({"bgp": []}, [], id="layer 2 alone"),
        pytest.param({"advertisements": []}, [], id="BGP alone"),
        pytest.param({"peers": []}, [], id="nobody may have asked for peers"),
        pytest.param(
            {"bgp": [bgp_advertisement(node_selectors=(labelled(a="b"),))]},
            [(BGP, "no usable node is selected by BGPAdvertisement all")],
            id="BGP cannot",
        ),
        pytest.param(
            {"advertisements": [advertisement(node_selectors=(labelled(a="b"),))]},
            [(LAYER2, "no usable node is selected by L2Advertisement all")],
            id="layer 2 cannot",
        ),
        pytest.param(
            {"advertisements": [advertisement(node_selectors=(labelled(a="b"),))], "bgp": []},
            [("", "no usable node is selected by L2Advertisement all")],
            id="layer 2 cannot, and BGP was not asked for",
        ),
        pytest.param(
            {"endpoints": {}}, [("", "the Service has no endpoint that serves")], id="neither can"
        ),
        pytest.param(
            {
                "advertisements": [advertisement(node_selectors=(labelled(a="b"),))],
                "bgp": [bgp_advertisement("x", node_selectors=(labelled(a="b"),))],
            },
            [
                (
                    "",
                    "on layer 2, no usable node is selected by L2Advertisement all; by BGP, no"
                    " usable node is selected by BGPAdvertisement x",
                )
            ],
            id="neither can, each for a reason of its own",
        ),
    ],
)
def test_each_way_has_its_own_reasons(
    fields: dict[str, Any], withheld: list[tuple[str, str]]
) -> None:
    intents = planned(cluster(WEB, **({"advertisements": [advertisement()]} | fields)))
    assert [(item.how, item.message) for item in intents.withheld] == withheld


def test_a_way_is_named_in_the_sentence() -> None:
    no = Withheld("shop/web", ADDRESS, WithheldReason.NO_NODES, "no node", BGP)
    assert no.sentence == "192.0.2.10 is not announced by BGP: no node"


# --- peers ---------------------------------------------------------------------------------------


def test_a_profile_that_is_not_there_has_bfds_default_times() -> None:
    [found] = planned(cluster(peers=[peer(bfd_profile="fats")])).peers
    assert found.bfd == BFDProfile("fats")


def test_a_peer_with_all_that_it_has() -> None:
    profile = BFDProfile("fast", 50, 50)
    [router, source, ident] = addresses("10.0.9.1", "10.0.0.1", "192.0.2.1")
    full = peer(
        peer_address=router,
        local_asn=64600,
        source_address=source,
        peer_port=1179,
        hold_time=9.0,
        keepalive_time=0.5,
        connect_time=3.0,
        router_id=ident,
        password="sesame",
        bfd_profile="fast",
        enable_graceful_restart=True,
        ebgp_multi_hop=True,
        vrf="red",
        dual_stack_address_family=True,
        passive=True,
        ttl_security=2,
        tcp_ao=True,
        drain_time=0.0,
        max_prefixes=7,
        add_path=True,
    )
    [found] = planned(cluster(peers=[full], profiles=[profile])).peers
    assert found == PeerPlan(
        name="tor",
        uid="uid-tor",
        node_set="sessions-all",
        my_asn=64512,
        peer_asn=64513,
        local_asn=64600,
        address=router,
        source_address=source,
        port=1179,
        hold_time=9,
        keepalive_time=1,
        connect_time=3,
        router_id=ident,
        signed=True,
        ao=True,
        bfd=profile,
        graceful_restart=True,
        multi_hop=True,
        vrf="red",
        dual_stack=True,
        passive=True,
        ttl_security=2,
        drain_time=0.0,
        max_prefixes=7,
        add_path=True,
    )
    assert "sesame" not in repr(found)


@pytest.mark.parametrize(("seconds", "whole"), [(None, None), (0.0, 0), (0.2, 1), (3.9, 3)])
def test_times_are_whole_seconds(seconds: float | None, whole: int | None) -> None:
    [found] = planned(cluster(peers=[peer(keepalive_time=seconds)])).peers
    assert found.keepalive_time == whole


def test_sessions_are_on_nodes_that_the_peer_selects_whatever_they_announce() -> None:
    nodes = [
        node("n1", labels={"zone": "a"}),
        node("n2", labels={"zone": "b"}),
        node("n3", labels={"zone": "a", Node.EXCLUDED: ""}),
        node("n4", labels={"zone": "a"}, draining="it is cordoned"),
    ]
    intents = planned(cluster(nodes=nodes, peers=[peer(node_selectors=(labelled(zone="a"),))]))
    [found] = intents.peers
    assert nodes_of(intents, found) == ["n1", "n3", "n4"]


def test_a_peer_that_nodes_know_by_their_labels_is_a_plan_for_each_place() -> None:
    a, b = addresses("10.0.9.1", "10.0.9.2")
    remotes = (Remote(frozenset(["n1", "n2"]), 0, a), Remote(frozenset(["n3"]), 65010, b))
    intents = planned(cluster(peers=[peer(address="", remotes=remotes)]))
    found = [(p.name, p.address, p.peer_asn, nodes_of(intents, p)) for p in intents.peers]
    assert found == [("tor", a, 64513, ["n1", "n2"]), ("tor", b, 65010, ["n3"])]


def test_a_peer_that_no_node_knows_has_no_plan() -> None:
    assert planned(cluster(peers=[peer(address="", remotes=())])).peers == ()


def test_peers_that_select_alike_share_a_set() -> None:
    intents = planned(cluster(peers=[peer("a"), peer("b", address="10.0.9.2")]))
    assert [item.name for item in intents.node_sets] == ["all", "sessions-all"]
    assert NodeSet("sessions-all", {f"n{n}": f"10.0.0.{n}" for n in (1, 2, 3)}) in intents.node_sets


def test_pools_can_be_selected_by_their_labels() -> None:
    chosen = bgp_advertisement(pool_selectors=(labelled(net="front"),))
    world = cluster(WEB, pools=[pool(labels={"net": "front"})], bgp=[chosen])
    assert prefixes(planned(world)) == ["192.0.2.10/32"]
