"""One look at a stage: what the API, the LAN, the router and the clients say now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from ipaddress import ip_network

from chaos.agreement import Seen
from chaos.churn import ENDPOINTS, SERVICES
from chaos.stage import CONTROLLERS, ROUTED, Stage
from lab.prober import PATIENCE, Prober
from lab.programs import NAMESPACE
from lab.rest import Json
from lab.routers.router import Family

LATELY = 1.0  # seconds back, for whom answers and who is served
_INTERNAL = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}"


def look(stage: Stage, answering: Mapping[str, Set[str]], probers: Sequence[Prober]) -> Seen:
    """``answering``: the hardware addresses that answered lately, by address."""
    rest = stage.lab.rest
    macs = {stage.lab.node(name).mac: name for name in stage.lab.node_names}
    services = rest.get(SERVICES)["items"]
    balanced = [item for item in services if item["spec"]["type"] == "LoadBalancer"]
    statuses = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/servicel2statuses"
    slices = rest.get(f"{_INTERNAL}/announcementslices")["items"]
    since = time.monotonic() - LATELY - PATIENCE
    return Seen(
        nodes=frozenset(stage.lab.node_names),
        asked={_name(item): len(item["spec"]["ipFamilies"]) for item in balanced},
        shown={_name(item): addresses(item["status"]) for item in balanced},
        held=_held(rest.get(f"{_INTERNAL}/addressledgers")["items"]),
        on_lan=_served_by_nodes(rest.get(ENDPOINTS)["items"]) & {*map(_name, balanced)} - {ROUTED},
        owners={
            item["address"]: item.get("owner", "")
            for body in slices
            for item in body["spec"].get("announcements", [])
        },
        told=_told(rest.get(statuses)["items"]),
        answering={a: {macs.get(m, m) for m in found} for a, found in answering.items()},
        by_bgp=frozenset({ROUTED}),
        sessions=_sessions(stage),
        reported=_reported(rest.get(f"{_INTERNAL}/bgpsessionstatuses")["items"]),
        hops=_hops(stage),
        leader=rest.get(stage.lease())["spec"].get("holderIdentity", ""),
        leaders=frozenset(CONTROLLERS),
        broken=tuple(p.name for p in probers if not _served(p, since)),
    )


def addresses(status: Json) -> tuple[str, ...]:
    """Those in a Service's status."""
    return tuple(item["ip"] for item in status.get("loadBalancer", {}).get("ingress") or [])


def _name(body: Json) -> str:
    return str(body["metadata"]["name"])


def _served_by_nodes(slices: Sequence[Json]) -> frozenset[str]:
    """The Services that have endpoints: the others are announced by nobody."""
    labels = [item["metadata"]["labels"] for item in slices if item["endpoints"]]
    return frozenset(found["kubernetes.io/service-name"] for found in labels)


def _held(shards: Sequence[Json]) -> dict[str, str]:
    return {
        address: ",".join(holder["name"] for holder in entry["holders"])
        for shard in shards
        for address, entry in shard["spec"].get("entries", {}).items()
        if entry.get("holders")
    }


def _told(items: Sequence[Json]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for status in (item.get("status", {}) for item in items):
        if "serviceName" in status:
            found.setdefault(status["serviceName"], set()).add(status["node"])
    return found


def _sessions(stage: Stage) -> frozenset[str]:
    names = {stage.lab.node(name).address: name for name in stage.lab.node_names}
    up = [peer for peer, session in stage.router.sessions().items() if session.up]
    return frozenset(names[peer] for peer in up)


def _reported(items: Sequence[Json]) -> frozenset[str]:
    statuses = [item.get("status", {}) for item in items]
    return frozenset(s["node"] for s in statuses if s.get("state") == "Established")


def _hops(stage: Stage) -> dict[str, set[str]]:
    names = {stage.lab.node(name).address: name for name in stage.lab.node_names}
    routes = stage.router.kernel_routes(Family.IPV4)
    found = routes.get(str(ip_network(stage.routed)), frozenset())
    return {stage.routed: {names.get(hop, hop) for hop in found}}


def _served(prober: Prober, since: float) -> bool:
    lately = prober.attempts(since)
    return bool(lately) and all(item.ok for item in lately)
