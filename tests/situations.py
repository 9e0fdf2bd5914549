"""A situation in memory: a cluster in which everything that is decided is done, and what differs.

`settled(cluster)` is what a survey finds once controller and speakers have done what they should;
a test then says what is otherwise (`dataclasses.replace`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bellmetal.addresses import IPAddress, parse_address
from bellmetal.cluster import Cluster, Service
from bellmetal.comparison import decide
from bellmetal.diagnosis.chain import Explanation
from bellmetal.diagnosis.service import explain_service
from bellmetal.diagnosis.situation import (
    EndpointCounts,
    Leader,
    NodeSession,
    ServiceDetail,
    Situation,
)
from bellmetal.facts import Doubt, DoubtKind, SessionFacts, SessionState
from bellmetal.planning import plan
from bellmetal.resources import ReportedInterface
from bellmetal.sights import KubeProxy, LookKind, NodeLink, NodeSights, Sight
from bellmetal.slices import SliceContents
from bellmetal.standing import Standing, standings
from builders import NOW, held

SYSTEM = "metallb-system"
WELL = NodeSights(
    "6.1.0",
    (NodeLink("eth0", up=True, rp_filter=2),),
    KubeProxy("iptables", True),
    None,
    True,
)


def settled(of: Cluster, holdings: Any = None, sessions: bool = True) -> Situation:
    """All is done: Services show what they hold, owners answer, routes are sent."""
    ledger = holdings or held()
    moment = decide(of, ledger, NOW)
    services = {key: _showing(item, moment.allocations) for key, item in of.services.items()}
    of = replace(of, services=services)
    moment = decide(of, moment.held, NOW)
    intents = plan(of, moment.allocations, moment.held, {})
    contents = SliceContents(
        {item.address: item for item in intents.announcements},
        {item.name: item for item in intents.node_sets},
        routes=intents.routes,
        peers=intents.peers,
    )
    standing: dict[IPAddress, Standing] = standings(
        intents.announcements, (), of.nodes, contents.node_sets
    )
    answering: dict[str, set[str]] = {}
    for item in intents.announcements:
        for service in item.services:
            answering.setdefault(service.key, set()).add(item.owner)
    pairs = _pairs(contents) if sessions else []
    return Situation(
        namespace=SYSTEM,
        now=NOW,
        cluster=of,
        held=moment.held,
        allocations=moment.allocations,
        intents=plan(of, moment.allocations, moment.held, standing),
        told=contents,
        standing=standing,
        leader=Leader("bellmetal-controller-1", 0.5, 4),
        answering={key: frozenset(names) for key, names in answering.items()},
        sent=_sent(contents) if sessions else {},
        speakers=dict.fromkeys(of.nodes, True),
        sessions=tuple(NodeSession(node, session(peer)) for peer, node in pairs),
        interfaces={name: (interface(),) for name in of.nodes},
        sights=dict.fromkeys(of.nodes, WELL),
    )


def _showing(service: Service, allocations: Any) -> Service:
    granted = allocations.granted.get(service.key)
    if granted is None:
        return service
    shown = replace(service.shown, addresses=granted.addresses, pool=granted.pool)
    return replace(service, shown=shown)


def _pairs(contents: SliceContents) -> list[tuple[str, str]]:
    return [
        (item.name, node)
        for item in contents.peers
        for node in contents.node_sets[item.node_set].nodes
    ]


def _sent(contents: SliceContents) -> dict[str, dict[str, frozenset[str]]]:
    """Every node has sent every route to every peer of its."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for route in contents.routes:
        for service in route.services:
            nodes = found.setdefault(service.key, {})
            for node in contents.node_sets[route.node_set].nodes:
                names = {
                    name
                    for name, there in _pairs(contents)
                    if there == node and (not route.peers or name in route.peers)
                }
                nodes[node] = nodes.get(node, frozenset()) | names
    return found


def session(peer: str = "tor", **fields: Any) -> SessionFacts:
    """An established one that has sent three prefixes."""
    defaults: dict[str, Any] = {
        "uid": f"uid-{peer}",
        "remote": "10.0.9.1",
        "state": SessionState.ESTABLISHED,
        "since": 0.0,
        "prefixes_sent": 3,
    }
    return SessionFacts(peer, **(defaults | fields))


def interface(name: str = "eth0", *subnets: str, up: bool = True) -> ReportedInterface:
    return ReportedInterface(name, "02:00:00:00:00:01", up, list(subnets or ("192.0.2.7/24",)))


def doubt(kind: DoubtKind, address: str = "192.0.2.1", **fields: Any) -> Doubt:
    defaults: dict[str, Any] = {"interface": "eth0", "owner": "n1", "macs": ("02:00:00:00:00:99",)}
    return Doubt(parse_address(address), kind, **(defaults | fields))


def sight(kind: LookKind, ok: bool, message: str = "", **fields: Any) -> Sight:
    outcome = fields.pop("outcome", "answered" if ok else "timeout")
    return Sight("1", kind.value, ok, outcome, message, **fields)


def detail(**fields: Any) -> ServiceDetail:
    """Two endpoints serve, on n1 and n2."""
    defaults: dict[str, Any] = {
        "tcp_port": 80,
        "writer": "bellmetal",
        "endpoints": EndpointCounts({"n1": 1, "n2": 1}),
    }
    return ServiceDetail(**(defaults | fields))


def explained(situation: Situation | Cluster, key: str = "shop/web", **fields: Any) -> Explanation:
    """The explanation of a Service."""
    found = settled(situation) if isinstance(situation, Cluster) else situation
    return explain_service(found, key, detail(**fields))
