"""`explain service`: every cause is named rightly, and nothing is wrong where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from bellmetal.addresses import Family, parse_address
from bellmetal.cluster import Cluster, Condition, Endpoints, Link, Node
from bellmetal.config import Problem
from bellmetal.diagnosis.chain import State, Step
from bellmetal.diagnosis.situation import EndpointCounts, Leader, NodeSession, Situation
from bellmetal.facts import DoubtKind, Finding, SessionState, SessionTrouble
from bellmetal.holdings import Tenure
from bellmetal.resources import ReportedInterface
from bellmetal.sights import KubeProxy, LookKind, NodeLink
from builders import (
    NOW,
    addresses,
    advertisement,
    bgp_advertisement,
    cluster,
    labelled,
    node,
    peer,
    pool,
    preferring,
    service,
    sharing,
)
from situations import WELL, doubt, explained, interface, session, settled, sight

WEB = service("shop/web")
OTHER = service("shop/other")
FULL = pool("small", "192.0.2.1/32")
ADDRESS = parse_address("192.0.2.1")
BY_BGP = cluster(WEB, advertisements=[], bgp=[bgp_advertisement()], peers=[peer()])


def of(*found: object, **fields: object) -> Cluster:
    return cluster(*found, **fields)  # type: ignore[arg-type]


# --- what is decided -----------------------------------------------------------------------------

TWO = service("shop/web", family_policy="RequireDualStack", families=(Family.IPV4, Family.IPV6))
DECIDED: dict[str, tuple[Cluster, Step, str]] = {
    "no pool": (of(WEB, pools=[]), Step.POOL, "NoPool"),
    "pool exhausted": (of(OTHER, WEB, pools=[FULL]), Step.POOL, "NoAddressLeft"),
    "pool not automatic": (of(WEB, pools=[pool(auto_assign=False)]), Step.POOL, "NoPoolForService"),
    "pool for other namespaces": (
        of(WEB, pools=[pool(namespaces=frozenset(["bank"]))]),
        Step.POOL,
        "NoPoolForService",
    ),
    "every pool invalid": (of(WEB, pools=[pool(broken=True)]), Step.POOL, "NoPoolForService"),
    "pool unknown": (of(service("shop/web", pool="mian")), Step.POOL, "UnknownPool"),
    "pool for others asked for": (
        of(service("shop/web", pool="main"), pools=[pool(namespaces=frozenset(["bank"]))]),
        Step.POOL,
        "PoolNotCompatible",
    ),
    "asked for an address of no pool": (
        of(service("shop/web", ip="198.51.100.1")),
        Step.POOL,
        "AddressNotInPools",
    ),
    "asked for another's address": (
        of(OTHER, service("shop/web", ip="192.0.2.0"), pools=[pool("main", "192.0.2.0/24")]),
        Step.POOL,
        "AddressTaken",
    ),
    "malformed request": (of(service("shop/web", fault="invalid x")), Step.POOL, "BadRequest"),
    "wrong family asked for": (
        of(service("shop/web", ip="2001:db8::1")),
        Step.POOL,
        "FamilyMismatch",
    ),
    "sharing key differs": (
        of(
            service("shop/other", sharing=sharing("a")),
            service("shop/web", ip="192.0.2.1", sharing=sharing("b", "TCP/81")),
            pools=[FULL],
        ),
        Step.POOL,
        "SharingConflict",
    ),
    "shared port taken": (
        of(
            service("shop/other", sharing=sharing("a")),
            service("shop/web", ip="192.0.2.1", sharing=sharing("a")),
            pools=[FULL],
        ),
        Step.POOL,
        "PortInUse",
    ),
    "dual stack required, one family in the pools": (of(TWO), Step.POOL, "FamilyNotInPools"),
    "dual stack required, one cluster IP": (
        of(replace(TWO, families=(Family.IPV4,))),
        Step.POOL,
        "NotEnoughClusterIPs",
    ),
    "no advertisement": (of(WEB, advertisements=[]), Step.ADVERTISEMENT, "noMatchingAdvertisement"),
    "advertisement names another pool": (
        of(WEB, advertisements=[advertisement(pools="mian")]),
        Step.ADVERTISEMENT,
        "noMatchingAdvertisement",
    ),
    "advertisement for other labels": (
        of(WEB, advertisements=[advertisement(service_selectors=(labelled(a="b"),))]),
        Step.ADVERTISEMENT,
        "noMatchingAdvertisement",
    ),
    "advertisements contradict each other": (
        of(
            WEB,
            advertisements=[],
            bgp=[bgp_advertisement("a", local_pref=1), bgp_advertisement("b", local_pref=2)],
            peers=[peer()],
        ),
        Step.ADVERTISEMENT,
        "conflictingAdvertisements",
    ),
    "nodes excluded": (
        of(WEB, nodes=[node(labels={Node.EXCLUDED: ""})]),
        Step.NODES,
        "nodesExcluded",
    ),
    "nodes without network": (
        of(WEB, nodes=[node(network_unavailable=True)]),
        Step.NODES,
        "nodesWithoutNetwork",
    ),
    "no node selected": (
        of(WEB, advertisements=[advertisement(node_selectors=(labelled(zone="x"),))]),
        Step.NODES,
        "noEligibleNodes",
    ),
    "no interface of that name": (
        of(
            WEB,
            advertisements=[advertisement(interfaces=frozenset(["eth9"]))],
            links={name: (Link("eth0"),) for name in ("n1", "n2", "n3")},
        ),
        Step.NODES,
        "noInterface",
    ),
    "no endpoint": (of(WEB, endpoints={}), Step.ENDPOINTS, "noEndpoints"),
    "no local endpoint": (
        of(
            service("shop/web", local_only=True),
            endpoints={"shop/web": Endpoints(True, frozenset(["n9"]))},
        ),
        Step.ENDPOINTS,
        "noLocalEndpoints",
    ),
    "no BGP peer": (
        of(WEB, advertisements=[], bgp=[bgp_advertisement()]),
        Step.NODES,
        "noPeers",
    ),
}


@pytest.mark.parametrize("name", DECIDED)
def test_what_is_decided_has_its_cause(name: str) -> None:
    cluster_, step, code = DECIDED[name]
    found = explained(cluster_)
    assert found.broken is not None, found
    assert (found.broken.step, found.cause and found.cause.code) == (step, code)
    assert found.links[-1] is found.broken
    assert found.hints == ()


def test_holders_are_named_where_a_pool_is_used_up() -> None:
    cause = explained(DECIDED["pool exhausted"][0]).cause
    assert cause is not None
    assert cause.evidence == (
        "IPAddressPool/small: 1 of 1 in use: all in use",
        f"192.0.2.1: shop/other since {NOW}",
    )
    assert cause.command == "bellmetal status addresses --pool small"


def test_a_name_that_is_nearly_right_is_asked_about() -> None:
    cause = explained(DECIDED["advertisement names another pool"][0]).cause
    assert cause is not None
    assert cause.evidence == ('L2Advertisement/all selects pool "mian": is "main" meant?',)


def test_objects_in_other_namespaces_are_named() -> None:
    strays = ("IPAddressPool/lan in default",)
    cause = explained(replace(settled(DECIDED["no pool"][0]), strays=strays)).cause
    assert cause is not None
    assert cause.evidence == ("not in the namespace metallb-system: IPAddressPool/lan in default",)


def test_every_node_says_what_it_lacks() -> None:
    nodes = [node("n1", labels={Node.EXCLUDED: ""}), node("n2", network_unavailable=True)]
    cause = explained(cluster(WEB, nodes=nodes)).cause
    assert cause is not None
    assert cause.evidence == (
        "n1 has the label node.kubernetes.io/exclude-from-external-load-balancers",
        "n2 has no network",
    )


def test_a_problem_of_the_pool_is_among_the_evidence() -> None:
    problem = Problem("IPAddressPool", "main", "spec.addresses[0]", "overlaps other")
    found = replace(settled(DECIDED["every pool invalid"][0]), problems=(problem,))
    cause = explained(found).cause
    assert cause is not None
    assert str(problem) in cause.evidence


def replace_mac(item: ReportedInterface, mac: str) -> ReportedInterface:
    return msgspec.structs.replace(item, mac=mac)


# --- what is seen --------------------------------------------------------------------------------

Change = Callable[[Situation], Situation]


def service_of(found: Situation, **fields: object) -> Situation:
    """The Service is otherwise."""
    web = replace(found.cluster.services["shop/web"], **fields)  # type: ignore[arg-type]
    return replace(found, cluster=replace(found.cluster, services={"shop/web": web}))


def showing(*texts: str, conditions: tuple[Condition, ...] = ()) -> Change:
    def change(found: Situation) -> Situation:
        shown = replace(
            found.cluster.services["shop/web"].shown,
            addresses=addresses(*texts),
            conditions=conditions,
        )
        return service_of(found, shown=shown)

    return change


def doubting(kind: DoubtKind, by: str = "n2") -> Change:
    return lambda found: replace(found, doubts=((by, doubt(kind, "192.0.2.0")),))


def nodes_are(**fields: object) -> Change:
    return lambda found: replace(
        found,
        cluster=replace(
            found.cluster,
            nodes={k: replace(n, **fields) for k, n in found.cluster.nodes.items()},  # type: ignore[arg-type]
        ),
    )


def seeing(**fields: object) -> Change:
    return lambda found: replace(
        found,
        sights=dict.fromkeys(found.sights, replace(WELL, **fields)),  # type: ignore[arg-type]
    )


IPVS = NodeLink("kube-ipvs0", "ipvs")
SEEN: dict[str, tuple[Change, Step, str]] = {
    "another class": (
        lambda found: service_of(found, ours=False),
        Step.CLAIM,
        "OtherClass",
    ),
    "no controller": (
        lambda found: showing()(replace(found, leader=Leader())),
        Step.CLAIM,
        "NoLeader",
    ),
    "nothing shown yet": (showing(), Step.ADDRESS, "ControllerBehind"),
    "a rival that is known": (
        showing(
            "203.0.113.9",
            conditions=(Condition("bellmetal.io/AddressShown", "False", "RivalController", "who"),),
        ),
        Step.ADDRESS,
        "RivalController",
    ),
    "no slice": (
        lambda found: replace(found, told=replace(found.told, announcements={})),
        Step.OWNER,
        "ControllerBehind",
    ),
    "owner not ready": (nodes_are(ready=False), Step.OWNER, "NodeNotReady"),
    "no speaker pod": (
        lambda found: replace(found, speakers={}),
        Step.OWNER,
        "SpeakerMissing",
    ),
    "owner does not answer": (
        lambda found: replace(found, answering={}),
        Step.OWNER,
        "NotAnswering",
    ),
    "owner without an interface": (
        lambda found: replace(
            found,
            findings=dict.fromkeys(
                found.cluster.nodes, (Finding("noInterface", "no usable interface: 192.0.2.0"),)
            ),
        ),
        Step.OWNER,
        "OwnerWithoutInterface",
    ),
    "a foreign device holds it": (doubting(DoubtKind.HELD), Step.LAN, "AddressConflict"),
    "a foreign device answers": (doubting(DoubtKind.FOREIGN), Step.LAN, "AddressConflict"),
    "another node answers": (doubting(DoubtKind.OTHER_NODE), Step.LAN, "AnsweredByOtherNode"),
    "nobody answers": (doubting(DoubtKind.UNSEEN), Step.LAN, "AddressNotSeen"),
    "IPVS without strict ARP": (
        seeing(ipvs_addresses=4, links=(*WELL.links, IPVS)),
        Step.LAN,
        "StrictARPOff",
    ),
    "kube-proxy is ill": (
        seeing(kube_proxy=KubeProxy("iptables", False, "503")),
        Step.DATAPATH,
        "KubeProxyUnhealthy",
    ),
    "no forwarding": (seeing(ip_forward=False), Step.DATAPATH, "ForwardingOff"),
    "the node does not serve it": (
        lambda found: replace(
            found,
            looks=tuple(
                (name, parse_address("192.0.2.0"), sight(LookKind.CONNECT, False, "refused"))
                for name in found.cluster.nodes
            ),
        ),
        Step.DATAPATH,
        "NotServedOnNode",
    ),
    "nobody answered who was asked": (
        lambda found: replace(
            found,
            looks=(
                ("n2", parse_address("192.0.2.0"), sight(LookKind.RESOLVE, False, "no answer")),
            ),
        ),
        Step.LAN,
        "AddressNotSeen",
    ),
    "the way back is another": (
        lambda found: replace(
            found,
            client=parse_address("203.0.113.5"),
            interfaces=dict.fromkeys(
                found.cluster.nodes, (interface(), interface("eth1", "10.9.0.2/24"))
            ),
            sights=dict.fromkeys(
                found.sights, replace(WELL, links=(NodeLink("eth0", up=True, rp_filter=1),))
            ),
            looks=tuple(
                (
                    name,
                    parse_address("203.0.113.5"),
                    sight(LookKind.ROUTE, True, interface="eth1"),
                )
                for name in found.cluster.nodes
            ),
        ),
        Step.DATAPATH,
        "ReversePathFilter",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen_has_its_cause(name: str) -> None:
    change, step, code = SEEN[name]
    found = explained(change(settled(cluster(WEB))))
    assert found.broken is not None, found
    assert (found.broken.step, found.cause and found.cause.code) == (step, code)


OWNERS, STRANGERS = "02:00:00:00:00:03", "02:00:00:00:00:99"
ANSWERS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "the owner": ((OWNERS,), None),
    "a stranger too": ((OWNERS, STRANGERS), "AddressConflict"),
    "a stranger alone": ((STRANGERS,), "AddressConflict"),
    "another node too": ((OWNERS, "02:00:00:00:00:01"), "AnsweredByOtherNode"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_who_answers_is_compared_with_who_should(name: str) -> None:
    macs, code = ANSWERS[name]
    found = settled(cluster(WEB))
    interfaces = {
        node_: (replace_mac(interface(), f"02:00:00:00:00:0{node_[1]}"),)
        for node_ in found.cluster.nodes
    }
    look = sight(LookKind.RESOLVE, True, macs=macs)
    looks = (("n1", parse_address("192.0.2.0"), look),)
    told = explained(replace(found, interfaces=interfaces, looks=looks))
    assert (told.cause.code if told.cause else None) == code


def test_a_client_is_always_told_of() -> None:
    client = parse_address("203.0.113.5")
    look = sight(LookKind.ROUTE, True, "by eth0", interface="eth0")
    found = replace(settled(cluster(WEB)), client=client, looks=(("n3", client, look),))
    said = [link.saw for link in explained(found).links]
    assert "n3 and the client 203.0.113.5: by eth0" in said


def test_a_typo_is_mended_by_the_command() -> None:
    cause = explained(DECIDED["advertisement names another pool"][0]).cause
    assert cause is not None
    assert cause.command == "kubectl edit l2advertisement -n metallb-system all"


def test_an_advertisement_for_peers_that_are_not_there_is_no_fault_of_the_lan() -> None:
    of_nobody = bgp_advertisement(peers="rakc")
    alone = cluster(WEB, advertisements=[], bgp=[of_nobody], peers=[peer()])
    cause = explained(alone).cause
    assert cause is not None
    assert cause.code == "noPeers"
    assert notes_of(settled(cluster(WEB, bgp=[of_nobody], peers=[peer()]))) == ["noPeers"]


@pytest.mark.parametrize("name", ["pool unknown", "asked for another's address"])
def test_a_pool_that_was_not_asked_is_not_called_full(name: str) -> None:
    cause = explained(DECIDED[name][0]).cause
    assert cause is not None
    assert not any("all in use" in text for text in cause.evidence)


def test_the_family_that_is_missing_is_named() -> None:
    cause = explained(DECIDED["dual stack required, one family in the pools"][0]).cause
    assert cause is not None
    assert cause.evidence[0].endswith(": no IPv6")


def test_endpoints_are_not_the_nodes_fault() -> None:
    found = explained(DECIDED["no local endpoint"][0])
    assert "n1, n2, n3 may announce 192.0.2.0" in [link.saw for link in found.links]


@pytest.mark.parametrize("kind", [LookKind.RESOLVE, LookKind.CONNECT])
def test_a_look_that_could_not_be_taken_proves_nothing(kind: LookKind) -> None:
    look = sight(kind, False, "not now", outcome="failed")
    looks = tuple((name, parse_address("192.0.2.0"), look) for name in ("n1", "n2", "n3"))
    found = explained(replace(settled(cluster(WEB)), looks=looks))
    assert found.broken is None
    assert State.UNKNOWN in {link.state for link in found.links}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "ClusterIP"}, "NotLoadBalancer"),
        ({"ending": True}, "ServiceEnding"),
    ],
)
def test_what_only_the_object_says_has_its_cause(fields: dict[str, object], code: str) -> None:
    cause = explained(cluster(WEB), **fields).cause
    assert cause is not None
    assert cause.code == code


def test_who_wrote_another_address_is_named() -> None:
    found = showing("203.0.113.9")(settled(cluster(WEB)))
    cause = explained(found, writer="k3s-ccm").cause
    assert cause is not None
    assert cause.code == "RivalController"
    assert cause.sentence.endswith('shows 203.0.113.9, which field manager "k3s-ccm" has written')


# --- BGP -----------------------------------------------------------------------------------------


def sessions_are(**fields: object) -> Change:
    return lambda found: replace(
        found,
        sent={},
        sessions=tuple(NodeSession(n, session(**fields)) for n in sorted(found.cluster.nodes)),
    )


BGP: dict[str, tuple[Change, str]] = {
    "no session is up": (
        sessions_are(state=SessionState.ACTIVE, trouble=SessionTrouble.REFUSED),
        "ConnectionRefused",
    ),
    "the passwords differ": (
        sessions_are(state=SessionState.CONNECT, trouble=SessionTrouble.WRONG_PASSWORD),
        "WrongPassword",
    ),
    "nothing is sent": (sessions_are(prefixes_sent=0), "NothingSent"),
    "others are sent": (sessions_are(), "RouteNotSent"),
    "no speaker reports": (lambda found: replace(found, sent={}, sessions=()), "NoSession"),
}


@pytest.mark.parametrize("name", BGP)
def test_a_route_that_is_not_sent_has_its_cause(name: str) -> None:
    change, code = BGP[name]
    found = explained(change(settled(BY_BGP)))
    assert found.broken is not None
    assert (found.broken.step, found.cause and found.cause.code) == (Step.SESSIONS, code)


def test_one_session_of_three_that_is_down_is_a_note() -> None:
    found = settled(BY_BGP)
    down = session(state=SessionState.ACTIVE, trouble=SessionTrouble.REFUSED)
    told = explained(
        replace(
            found,
            sent={"shop/web": {"n2": frozenset(["tor"]), "n3": frozenset(["tor"])}},
            sessions=tuple(
                NodeSession(n, down if n == "n1" else session()) for n in ("n1", "n2", "n3")
            ),
        )
    )
    assert told.broken is None
    notes = [link.cause.code for link in told.links if link.state is State.NOTE and link.cause]
    assert notes == ["ConnectionRefused"]


# --- notes ---------------------------------------------------------------------------------------


def notes_of(found: Situation, **fields: object) -> list[str]:
    told = explained(found, **fields)
    assert told.broken is None, told.cause
    return [link.cause.code for link in told.links if link.state is State.NOTE and link.cause]


def test_an_advertisement_that_is_invalid_is_a_note() -> None:
    problem = Problem("L2Advertisement", "other", "spec.interfaces[0]", "is empty")
    assert notes_of(replace(settled(cluster(WEB)), problems=(problem,))) == ["InvalidConfiguration"]


def test_what_a_silent_node_has_sent_is_a_note() -> None:
    found = replace(settled(BY_BGP), speakers={"n1": True, "n2": True})
    assert notes_of(found) == ["SpeakerSilent"]


def test_nodes_that_do_not_hear_each_other_are_a_note() -> None:
    sights = {**settled(cluster(WEB)).sights, "n2": replace(WELL, unheard=("n3",))}
    assert notes_of(replace(settled(cluster(WEB)), sights=sights)) == ["MembersUnheard"]


def test_a_node_whose_speaker_does_not_run_is_not_missed_by_others() -> None:
    found = settled(cluster(WEB))
    sights = {**found.sights, "n1": replace(WELL, unheard=("n2",))}
    speakers = {"n1": True, "n3": True}  # n3 owns it
    assert notes_of(replace(found, sights=sights, speakers=speakers)) == []


def test_a_kube_proxy_that_does_not_answer_on_one_node_is_a_note() -> None:
    found = settled(cluster(WEB))
    silent = replace(WELL, kube_proxy=KubeProxy("", None, "refused"))
    assert notes_of(replace(found, sights={**found.sights, "n3": silent})) == ["KubeProxyUnhealthy"]
    assert notes_of(replace(found, sights=dict.fromkeys(found.sights, silent))) == []


def test_an_owner_that_changes_often_is_a_note_with_the_reasons() -> None:
    found = settled(cluster(WEB))
    moves = tuple(
        Tenure(name, f"2026-06-01T11:{minute}:00Z", "took over")
        for name, minute in (("n1", 59), ("n2", 58), ("n1", 57), ("n2", 56))
    )
    holding = next(iter(found.held.values()))
    ledger = {holding.address: replace(holding, owners=moves)}
    assert notes_of(replace(found, held=ledger)) == ["OwnerMovesOften"]
    long_ago = tuple(replace(item, since="2026-05-01T11:00:00Z") for item in moves)
    ledger = {holding.address: replace(holding, owners=long_ago)}
    assert notes_of(replace(found, held=ledger)) == []


def test_a_silent_controller_is_a_note_while_nothing_waits_for_it() -> None:
    found = replace(settled(cluster(WEB)), leader=Leader("c-1", 60.0, 4))
    assert notes_of(found) == ["NoLeader"]


def test_strict_filters_with_two_ways_are_a_note_until_a_client_is_named() -> None:
    found = settled(cluster(WEB))
    two = (interface(), interface("eth1", "10.9.0.2/24"))
    strict = replace(WELL, links=(NodeLink("eth0", up=True, rp_filter=1),))
    found = replace(
        found,
        interfaces=dict.fromkeys(found.cluster.nodes, two),
        sights=dict.fromkeys(found.sights, strict),
    )
    assert notes_of(found) == ["ReversePathFilter"]


# --- nothing is wrong ----------------------------------------------------------------------------

V6 = pool("v6", "2001:db8::/120")
HEALTHY: dict[str, Situation] = {
    "one Service": settled(cluster(WEB)),
    "one node": settled(cluster(WEB, nodes=["n1"])),
    "an address that it asked for": settled(cluster(service("shop/web", ip="192.0.2.77"))),
    "a pool that it asked for": settled(
        cluster(service("shop/web", pool="main"), pools=[pool(auto_assign=False)])
    ),
    "two that share": settled(
        cluster(
            service("shop/other", sharing=sharing("a", "TCP/81")),
            service("shop/web", ip="192.0.2.1", sharing=sharing("a")),
            pools=[FULL],
        )
    ),
    "dual stack": settled(
        cluster(
            service(
                "shop/web", families=(Family.IPV4, Family.IPV6), family_policy="PreferDualStack"
            ),
            pools=[pool(), V6],
        )
    ),
    "IPv6 alone": settled(cluster(service("shop/web", families=(Family.IPV6,)), pools=[V6])),
    "Local with an endpoint": settled(
        cluster(
            service("shop/web", local_only=True),
            endpoints={"shop/web": Endpoints(True, frozenset(["n2"]), frozenset(["n2"]))},
        )
    ),
    "an endpoint without a node": settled(cluster(WEB, endpoints={"shop/web": Endpoints(True)})),
    "one node excluded": settled(
        cluster(WEB, nodes=[node("n1", labels={Node.EXCLUDED: ""}), "n2"])
    ),
    "excluded nodes that count": settled(
        cluster(WEB, nodes=[node(labels={Node.EXCLUDED: ""})], ignore_exclude_label=True)
    ),
    "one node not ready": settled(cluster(WEB, nodes=[node("n1", ready=False), "n2"])),
    "a node that drains": settled(cluster(WEB, nodes=[node("n1", draining="said so"), "n2"])),
    "preferred nodes": settled(
        cluster(
            WEB,
            advertisements=[advertisement(preferred=(preferring(50, zone="a"),))],
            nodes=["n1", node("n2", labels={"zone": "a"})],
        )
    ),
    "an interface of one node": settled(
        cluster(
            WEB,
            advertisements=[advertisement(interfaces=frozenset(["eth1"]))],
            links={"n1": (Link("eth1"),), "n2": (Link("eth0"),), "n3": (Link("eth0"),)},
        )
    ),
    "by BGP": settled(BY_BGP),
    "by BGP and on layer 2": settled(cluster(WEB, bgp=[bgp_advertisement()], peers=[peer()])),
    "by BGP from one node": settled(
        cluster(
            WEB,
            advertisements=[],
            bgp=[bgp_advertisement(node_selectors=(labelled(zone="a"),))],
            peers=[peer()],
            nodes=["n1", node("n2", labels={"zone": "a"})],
        )
    ),
    "an advertisement that is for others beside its own": settled(
        cluster(WEB, advertisements=[advertisement("a", pools="other"), advertisement("b")])
    ),
    "IPVS with strict ARP": replace(
        settled(cluster(WEB)),
        sights=dict.fromkeys(
            ("n1", "n2", "n3"),
            replace(
                WELL,
                ipvs_addresses=4,
                links=(NodeLink("eth0", up=True, arp_ignore=1), NodeLink("kube-ipvs0", "ipvs")),
            ),
        ),
    ),
    "nobody may be asked about pods": replace(settled(cluster(WEB)), speakers=None),
    "nobody may read the Lease": replace(settled(cluster(WEB)), leader=None),
    "nodes that say nothing of themselves": replace(settled(cluster(WEB)), sights={}),
    "a doubt of a node that is gone": replace(
        settled(cluster(WEB)), doubts=(("n9", doubt(DoubtKind.UNSEEN, "192.0.2.0")),)
    ),
    "a doubt about another address": replace(
        settled(cluster(WEB)), doubts=(("n2", doubt(DoubtKind.HELD, "192.0.2.99")),)
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_wrong_where_nothing_is(name: str) -> None:
    found = explained(HEALTHY[name])
    assert found.broken is None, found.cause
    wrong = [link for link in found.links if link.state is State.NOTE]
    assert wrong == []
    steps = {link.step for link in found.links}
    assert {Step.CLAIM, Step.POOL, Step.ADDRESS, Step.ADVERTISEMENT} <= steps
    assert found.hints[1].startswith("ping gets no answer")


def test_what_makes_people_believe_that_it_does_not_work_is_said() -> None:
    found = explained(
        cluster(WEB),
        endpoints=EndpointCounts({"n1": 1}),
        source_ranges=("10.0.0.0/8",),
    )
    assert found.hints[0] == (
        "try it from a client on the network, not from a node or a pod: curl http://192.0.2.0:80"
    )
    assert "another pod (about 5 minutes by default)" in found.hints[2]
    assert "lets in only 10.0.0.0/8" in found.hints[3]
