"""The chart's NetworkPolicies."""

from __future__ import annotations

from rendering import Json, render, workload

ON = "networkpolicies.enabled=true"
CONTROLLER = "NetworkPolicy", "bellmetal-controller"
DENY = "NetworkPolicy", "bellmetal-default-deny"


def ports(rules: list[Json]) -> list[object]:
    return [item["port"] for rule in rules for item in rule["ports"]]


def test_there_is_none_by_default() -> None:
    assert not any(kind == "NetworkPolicy" for kind, _ in render())
    assert not any(
        kind == "NetworkPolicy" for kind, _ in render("networkpolicies.defaultDeny=true")
    )


def test_controllers_reach_the_api_server_and_are_scraped() -> None:
    policy = render(ON)[CONTROLLER]["spec"]
    assert policy["podSelector"] == workload("controller")["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert ports(policy["egress"]) == [6443]
    assert ports(policy["ingress"]) == ["monitoring"]
    assert ports(render(ON, "networkpolicies.apiPort=443")[CONTROLLER]["spec"]["egress"]) == [443]


def test_the_webhook_is_reached_where_there_is_one() -> None:
    policy = render(ON, "controller.admission.enabled=true")[CONTROLLER]["spec"]
    assert ports(policy["ingress"]) == ["monitoring", "webhook"]
    quiet = render(ON, "prometheus.metricsPort=0")[CONTROLLER]["spec"]
    assert quiet["ingress"] == []


def test_everything_else_is_denied_on_request() -> None:
    assert DENY not in render(ON)
    assert render(ON, "networkpolicies.defaultDeny=true")[DENY]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
