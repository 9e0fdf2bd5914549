"""`explain pool`, `node` and `peer`: what is said of each, and what is broken."""

from __future__ import annotations

from dataclasses import replace

from bellmetal.cluster import Node
from bellmetal.config import Problem
from bellmetal.diagnosis.chain import Explanation, State
from bellmetal.diagnosis.node import explain_node
from bellmetal.diagnosis.peer import explain_peer
from bellmetal.diagnosis.pool import explain_pool
from bellmetal.diagnosis.situation import NodeSession, Situation
from bellmetal.facts import DoubtKind, Finding, SessionState, SessionTrouble
from bellmetal.sights import NodeLink
from builders import (
    NOW,
    addresses,
    bgp_advertisement,
    cluster,
    held,
    holding,
    node,
    peer,
    pool,
    service,
)
from situations import WELL, doubt, interface, session, settled

WEB, DB = service("shop/web"), service("shop/db")
SMALL = pool("small", "192.0.2.0/30")


def said(found: Explanation) -> list[str]:
    return [f"{link.state.value} {link.step.value}: {link.saw}" for link in found.links]


def codes(found: Explanation, state: State) -> list[str]:
    return [link.cause.code for link in found.links if link.state is state and link.cause]


# --- pools ---------------------------------------------------------------------------------------


def test_a_pool_that_is_well() -> None:
    found = explain_pool(settled(cluster(WEB, DB, pools=[SMALL])), "small")
    assert said(found) == [
        "ok configuration: 192.0.2.0-192.0.2.3; for any Service",
        "ok pool: IPv4: 4 addresses, 2 in use, 2 free",
        "ok advertisement: selected by L2Advertisement/all",
    ]
    assert found.hints == (
        f"192.0.2.0: shop/db since {NOW}",
        f"192.0.2.1: shop/web since {NOW}",
    )


def test_what_is_reserved_and_what_cools_down_is_not_free() -> None:
    wish = {addresses("192.0.2.1")[0]: "shop/db"}
    pools = [pool("small", "192.0.2.0/30", reserved=wish, cool_down=3600.0)]
    freed = holding("192.0.2.2", freed_at="2026-06-01T11:30:00Z", last_holder=None)
    found = explain_pool(settled(cluster(WEB, pools=pools), held(freed)), "small")
    line = "ok pool: IPv4: 4 addresses, 1 in use, 1 reserved, 1 cooling down, 1 free"
    assert line in said(found)


def test_a_pool_that_is_used_up_names_who_waits() -> None:
    found = explain_pool(settled(cluster(WEB, DB, pools=[pool("one", "192.0.2.1/32")])), "one")
    assert codes(found, State.NOTE) == ["NoAddressLeft"]
    assert said(found)[-1] == (
        "broken claim: 1 Service got nothing out of it: shop/web: no available IPs (ipv4): one: all"
        " in use"
    )


def test_a_pool_that_is_invalid_says_why() -> None:
    problem = Problem("IPAddressPool", "main", "spec.addresses[0]", "overlaps other")
    broken = settled(cluster(pools=[pool(broken=True)]))
    found = explain_pool(replace(broken, problems=(problem,)), "main")
    assert found.cause is not None
    assert found.cause.code == "InvalidConfiguration"
    assert found.cause.sentence == "spec.addresses[0]: overlaps other"
    assert found.cause.edit == "IPAddressPool/main"


def test_a_pool_that_nobody_announces_is_broken() -> None:
    found = explain_pool(settled(cluster(WEB, advertisements=[])), "main")
    assert codes(found, State.BROKEN) == ["noMatchingAdvertisement"]


def test_a_large_pool_says_how_many_more_there_are() -> None:
    services = [service(f"shop/s{number:02}") for number in range(12)]
    found = explain_pool(settled(cluster(*services)), "main")
    assert len(found.hints) == 11
    assert found.hints[-1] == "… and 2 more: bellmetal status addresses --pool main"


# --- nodes ---------------------------------------------------------------------------------------


def test_a_node_that_is_well() -> None:
    found = explain_node(settled(cluster(WEB)), "n3")
    assert said(found) == [
        "ok nodes: ready, with network, address 10.0.0.3",
        "ok speaker: its speaker has reported",
        "ok interfaces: eth0: up, 192.0.2.7/24",
        "ok owner: it owns 1 address: 192.0.2.0 (shop/web)",
        "ok data path: n3 forwards, and its kube-proxy (iptables) is well",
    ]


def otherwise(**fields: object) -> Situation:
    other = node("n1", **fields)
    found = settled(cluster(WEB))
    return replace(
        found, cluster=replace(found.cluster, nodes={**found.cluster.nodes, "n1": other})
    )


def test_what_keeps_a_node_from_announcing() -> None:
    assert codes(explain_node(otherwise(ready=False), "n1"), State.BROKEN) == ["NodeNotReady"]
    found = explain_node(otherwise(network_unavailable=True), "n1")
    assert codes(found, State.BROKEN) == ["nodesWithoutNetwork"]
    found = explain_node(otherwise(labels={Node.EXCLUDED: ""}), "n1")
    assert codes(found, State.NOTE) == ["NodeExcluded"]
    found = explain_node(otherwise(draining="it is cordoned"), "n1")
    assert "note nodes: it is draining: it is cordoned" in said(found)


def test_a_node_without_a_speaker() -> None:
    found = explain_node(replace(settled(cluster(WEB)), speakers={"n2": True}), "n1")
    assert codes(found, State.BROKEN) == ["SpeakerMissing"]


def test_what_a_speaker_says_of_its_node() -> None:
    found = settled(cluster(WEB))
    found = replace(
        found,
        findings={"n1": (Finding("proxyArp", "something answers for everything"),)},
        interfaces={"n1": (interface("wlan0", up=False),)},
        sights={"n1": replace(WELL, links=(NodeLink("wlan0", "wireless"),))},
        doubts=(("n1", doubt(DoubtKind.UNSEEN, "192.0.2.0")),),
    )
    lines = said(explain_node(found, "n1"))
    assert "note speaker: proxyArp: something answers for everything" in lines
    assert "note interfaces: wlan0, wireless: down, 192.0.2.7/24" in lines
    assert codes(explain_node(found, "n1"), State.NOTE) == ["AddressNotSeen"]


# --- peers ---------------------------------------------------------------------------------------

BY_BGP = cluster(WEB, advertisements=[], bgp=[bgp_advertisement()], peers=[peer()], nodes=["n1"])


def test_a_peer_that_is_well() -> None:
    found = explain_peer(settled(BY_BGP), "tor")
    assert [line.split(";")[0] for line in said(found)] == [
        "ok configuration: it is valid",
        "ok nodes: sessions from n1",
        "ok sessions: n1: Established",
        "ok advertisement: 1 prefix is for it",
    ]


def test_a_session_that_is_down_has_its_cause() -> None:
    down = session(state=SessionState.ACTIVE, trouble=SessionTrouble.WRONG_ASN)
    found = replace(settled(BY_BGP), sessions=(NodeSession("n1", down),))
    assert codes(explain_peer(found, "tor"), State.BROKEN) == ["WrongASN"]
    silent = replace(settled(BY_BGP), sessions=(NodeSession("n1", session(), "n1 is gone"),))
    assert codes(explain_peer(silent, "tor"), State.BROKEN) == ["SpeakerSilent"]
    missing = replace(settled(BY_BGP), sessions=())
    assert codes(explain_peer(missing, "tor"), State.BROKEN) == ["NoSession"]


def test_a_peer_that_is_invalid_or_of_no_node() -> None:
    problem = Problem("BGPPeer", "other", "spec.peerASN", "is missing")
    found = explain_peer(replace(settled(BY_BGP), problems=(problem,)), "other")
    assert codes(found, State.BROKEN) == ["InvalidConfiguration", "NoSession"]


def test_a_peer_that_nothing_is_for() -> None:
    found = explain_peer(settled(cluster(peers=[peer()], nodes=["n1"])), "tor")
    line = "note advertisement: no route is for it: no BGPAdvertisement selects a Service"
    assert said(found)[-1] == line
