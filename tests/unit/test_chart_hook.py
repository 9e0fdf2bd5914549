"""`helm test`: the Pod, and that it can do no more than read."""

from __future__ import annotations

import pytest

from bellmetal.inquiries import StatusReadySettings
from bellmetal.settings import parse
from rendering import Json, helm, render, rights

NAME = "bellmetal-test"
KINDS = {"Pod", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


def hooks(*sets: str) -> dict[str, Json]:
    """The objects that are there for a test alone, by kind."""
    return {kind: body for (kind, name), body in render(*sets).items() if name == NAME}


def test_what_there_is_for_a_test_is_there_for_a_test_alone() -> None:
    assert hooks().keys() == KINDS
    for kind, body in hooks("networkpolicies.enabled=true").items():
        marks = body["metadata"]["annotations"]
        assert marks["helm.sh/hook"] == "test", kind
        gone = "hook-succeeded" in marks["helm.sh/hook-delete-policy"]
        assert gone is (kind != "Pod"), kind
    assert NAME not in helm("--no-hooks").stdout


def test_the_order_is_account_and_rights_then_bindings_then_the_pod() -> None:
    found = hooks("networkpolicies.enabled=true").items()
    weights = {
        kind: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for kind, one in found
    }
    assert weights == {
        "ServiceAccount": -2,
        "NetworkPolicy": -2,
        "ClusterRole": -2,
        "Role": -2,
        "ClusterRoleBinding": -1,
        "RoleBinding": -1,
        "Pod": 0,
    }


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_it_may_read_and_nothing_else(kind: str) -> None:
    found = rights(kind, "test")
    assert {verb for *_, verb in found} <= {"get", "list"}
    assert not any(resource == "secrets" for _, resource, _, _ in found)


def test_scripts_that_look_for_the_programs_do_not_find_it() -> None:
    labels = hooks()["Pod"]["metadata"]["labels"]
    assert not {"app", "component"} & labels.keys()


def test_its_command_line_is_one_of_ours() -> None:
    (container,) = hooks('loadBalancerClass="a/b"')["Pod"]["spec"]["containers"]
    assert parse(container["args"], {}, "0") == StatusReadySettings(
        "metallb-system", "a/b", 60, "text"
    )


def test_it_reaches_the_api_server_where_all_else_is_denied() -> None:
    policy = hooks("networkpolicies.enabled=true", "networkpolicies.apiPort=443")["NetworkPolicy"]
    labels = hooks()["Pod"]["metadata"]["labels"]
    assert labels.items() >= policy["spec"]["podSelector"]["matchLabels"].items()
    assert policy["spec"]["egress"] == [{"ports": [{"protocol": "TCP", "port": 443}]}]


def test_rights_can_be_left_to_others() -> None:
    assert hooks("rbac.create=false").keys() == {"Pod", "ServiceAccount"}
