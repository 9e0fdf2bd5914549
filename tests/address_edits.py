"""The little world in which addresses are fought for: Services, pools, and how people edit them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable
from typing import Any

from small_api import Json

# --- what there is -------------------------------------------------------------------------------

KEYS = ["shop/a", "shop/b", "bank/a", "bank/b"]
CHUNKS = [
    *("192.0.2.0-192.0.2.1", "192.0.2.2-192.0.2.3", "198.51.100.254-198.51.100.255"),
    *("2001:db8::/127", "2001:db8::1:0/127"),
]
ADDRESSES = [
    str(ipaddress.ip_address(text) + more)
    for text in ("192.0.2.0", "192.0.2.2", "198.51.100.254", "2001:db8::", "2001:db8::1:0")
    for more in (0, 1)
]
OUTSIDE = "203.0.113.1"
POOL_NAMES = ["p0", "p1", "p2", "p3"]

ANY = "metallb.io/"
OURS = "bellmetal.io/"
REQUEST, POOL, KEY = f"{ANY}loadBalancerIPs", f"{ANY}address-pool", f"{ANY}allow-shared-ip"
PER_FAMILY = f"{OURS}addresses-per-family"


def annotate(body: Json, name: str, value: str | None) -> None:
    annotations = body["metadata"].setdefault("annotations", {})
    annotations.pop(name, None)
    if value is not None:
        annotations[name] = value


FAMILIES = [["10.96.0.1"], ["fd00::1"], ["10.96.0.1", "fd00::1"], ["fd00::1", "10.96.0.1"]]
POLICIES = ["SingleStack", "PreferDualStack", "RequireDualStack"]
REQUESTS = [None, None, *ADDRESSES, OUTSIDE, "what?"]
REQUESTS += [f"{ADDRESSES[0]},{ADDRESSES[6]}", f"{ADDRESSES[4]}, {ADDRESSES[9]}"]
PORTS = [[80], [443], [80, 443], [53]]

SERVICE_EDITS: dict[str, tuple[list[Any], Callable[[Json, Any], None]]] = {}


def _edit(name: str, values: list[Any]) -> Callable[[Any], Any]:
    def keep(function: Callable[[Json, Any], None]) -> Callable[[Json, Any], None]:
        SERVICE_EDITS[name] = values, function
        return function

    return keep


@_edit("type", ["ClusterIP", "LoadBalancer", "LoadBalancer"])
def _set_type(body: Json, value: str) -> None:
    if value != "LoadBalancer" and body["spec"]["type"] == "LoadBalancer":
        body["status"].pop("loadBalancer", None)  # as the API server does
    body["spec"]["type"] = value


@_edit("class", [None, None, "other"])
def _set_class(body: Json, value: str | None) -> None:
    body["spec"]["loadBalancerClass"] = value


@_edit("families", list(itertools.product(FAMILIES, POLICIES)))
def _set_families(body: Json, value: tuple[list[str], str]) -> None:
    body["spec"]["clusterIPs"], body["spec"]["ipFamilyPolicy"] = value


@_edit("request", REQUESTS)
def _set_request(body: Json, value: str | None) -> None:
    annotate(body, REQUEST, value)


@_edit("from", [None, *POOL_NAMES, "lost"])
def _set_pool(body: Json, value: str | None) -> None:
    annotate(body, POOL, value)


@_edit("key", [None, "k", "k", "other"])
def _set_key(body: Json, value: str | None) -> None:
    annotate(body, KEY, value)


@_edit("ports", PORTS)
def _set_ports(body: Json, value: list[int]) -> None:
    body["spec"]["ports"] = [{"protocol": "TCP", "port": port} for port in value]


@_edit("traffic", ["Cluster", "Cluster", "Local"])
def _set_traffic(body: Json, value: str) -> None:
    body["spec"]["externalTrafficPolicy"] = value


@_edit("labels", [{}, {"tier": "web"}])
def _set_labels(body: Json, value: Json) -> None:
    body["metadata"]["labels"] = dict(value)


@_edit("count", [None, "2", "none"])
def _set_count(body: Json, value: str | None) -> None:
    annotate(body, PER_FAMILY, value)


BIRTHS: list[list[tuple[str, Any]]] = [  # as what a Service begins
    [],
    [],
    [("key", "k")],
    [("key", "k"), ("ports", [443])],
    [("families", (FAMILIES[2], POLICIES[1]))],
    [("families", (FAMILIES[3], POLICIES[2]))],
    [("families", (FAMILIES[1], POLICIES[0]))],
    [("request", ADDRESSES[0])],
    [("request", ADDRESSES[2])],
    [("from", "p1")],
    [("labels", {"tier": "web"})],
    [("count", "2"), ("families", (FAMILIES[2], POLICIES[1]))],
    [("key", "k"), ("ports", [53]), ("traffic", "Local")],
]

POOL_EDITS: list[Callable[[Json], object]] = [
    lambda body: body["spec"]["addresses"].reverse(),
    lambda body: body["spec"].update(autoAssign=False),
    lambda body: body["spec"].update(autoAssign=True),
    lambda body: body["spec"].update(avoidBuggyIPs=True),
    lambda body: body["spec"].update(avoidBuggyIPs=False),
    lambda body: body["spec"].update(serviceAllocation={"namespaces": ["shop"], "priority": 5}),
    lambda body: body["spec"].update(
        serviceAllocation={"serviceSelectors": [{"matchLabels": {"tier": "web"}}]}
    ),
    lambda body: body["spec"].pop("serviceAllocation", None),
    lambda body: body["spec"]["addresses"].append("rubbish"),
    lambda body: body["spec"].update(addresses=[t for t in body["spec"]["addresses"] if "-" in t]),
    lambda body: body["spec"].update(
        addresses=[t for t in body["spec"]["addresses"] if t[0] < "a"]
    ),
    lambda body: body["spec"].update(autoAssign="perhaps"),  # of another type
    lambda body: annotate(body, f"{OURS}reserve", f"{ADDRESSES[0]}=shop/a"),
    lambda body: annotate(body, f"{OURS}reserve", f"{ADDRESSES[6]}=bank/a,{ADDRESSES[7]}"),
    lambda body: annotate(body, f"{OURS}reserve", None),
    lambda body: annotate(body, f"{OURS}exclude", ADDRESSES[1]),
    lambda body: annotate(body, f"{OURS}exclude", None),
    lambda body: annotate(body, f"{OURS}cool-down", "60s"),
    lambda body: annotate(body, f"{OURS}cool-down", None),
    lambda body: annotate(body, f"{OURS}drain", "true"),
    lambda body: annotate(body, f"{OURS}drain", None),
    lambda body: annotate(body, f"{OURS}on-orphan", "renumber"),
    lambda body: annotate(body, f"{OURS}on-orphan", None),
]
