"""`bellmetal preflight`: each check with a case that it finds, and none where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import preflight_cases
import preflight_network_cases
from bellmetal.preflight import CHECKS, objects
from bellmetal.preflight.cluster import server_version
from bellmetal.preflight.codes import Code, Level
from bellmetal.preflight.crds import KINDS
from bellmetal.preflight.findings import Finding, examine
from bellmetal.preflight.seen import KubeProxy, Seen, Unread, Want
from lab.paths import REPOSITORY
from preflight_faults import metallb, no_pod_on_n3, seen_on_n1
from preflight_scene import (
    OWN,
    bare,
    controllers,
    found,
    lease,
    node,
    pool_body,
    pools,
    well,
)
from preflight_sound import SOUND

CASES = preflight_cases.CASES + preflight_network_cases.CASES


@pytest.mark.parametrize(
    ("changes", "code", "about", "sentence"), CASES, ids=[f"{c[1].text}" for c in CASES]
)
def test_it_is_found(changes: dict[str, Any], code: Code, about: str, sentence: str) -> None:
    """Of that code there is one finding, and it says what to do or has nothing to say."""
    hits = [item for item in found(well(**changes)) if item.code is code]
    assert [(item.about, item.sentence) for item in hits] == [(about, sentence)]


@pytest.mark.parametrize("changes", [case[1] for case in SOUND], ids=[case[0] for case in SOUND])
def test_nothing_is_found(changes: dict[str, Any]) -> None:
    assert found(well(**changes)) == []


def test_what_a_node_said_before_it_was_silent_counts_for_nothing() -> None:
    nodes = (node("n1", ready="Unknown"), *well().nodes[1:])
    seen = well(nodes=nodes, **seen_on_n1(ip_forward=False, unheard=["n2"]))
    assert {item.code for item in found(seen)} == {Code.NOT_READY}


def test_every_kind_of_ours_is_looked_for() -> None:
    assert set(KINDS) == {path.stem for path in (REPOSITORY / "crds").glob("*.yaml")}


def test_every_code_can_be_found() -> None:
    elsewhere = {Code.NOT_INSTALLED, Code.ELSEWHERE, Code.METALLB_HERE, Code.DHCP}
    assert set(Code) - {case[1] for case in CASES} - elsewhere == set()


# --- before an installation ----------------------------------------------------------------------


def test_a_cluster_without_bellmetal_is_told_what_can_be_known_beforehand() -> None:
    answer = examine(bare(), CHECKS, {})
    assert [item.code for item in answer.findings] == [Code.NOT_INSTALLED]
    assert answer.exit_status == 0
    assert answer.skipped["every node has a ready speaker that reports"] == (
        "Bellmetal is not installed yet"
    )
    assert answer.skipped["pools for layer 2 are in the nodes' subnets"] == (
        "there is no IPAddressPool yet"
    )
    assert "kube-proxy has strict ARP, or does not need it" in answer.passed


def test_metallb_is_what_is_to_be_replaced() -> None:
    assert [item.code for item in found(bare(**metallb(here=False)))] == [
        Code.NOT_INSTALLED,
        Code.METALLB_HERE,
    ]


def test_metallb_beside_us_is_no_failure_while_it_is_being_replaced() -> None:
    both = metallb()
    both["deployments"] = (controllers("--takeover"),)
    (finding,) = found(well(**both))
    assert finding.code is Code.METALLB_HERE
    assert finding.todo == "bellmetal migrate takeover status says how far that is"


def test_it_is_in_another_namespace() -> None:
    (finding,) = found(bare(deployments=(controllers(namespace="lb"),)))
    assert (finding.code, finding.sentence, finding.todo) == (
        Code.ELSEWHERE,
        "Bellmetal does not run here; it runs in lb",
        "bellmetal preflight --namespace lb",
    )


def test_where_no_speaker_has_reported_the_lan_is_not_judged() -> None:
    answer = examine(well(reports=(), config=pools("192.168.7.1-192.168.7.9")), CHECKS, {})
    why = "no speaker has reported yet what its node looks like"
    assert answer.skipped["pools for layer 2 are in the nodes' subnets"] == why
    assert Code.OUTSIDE not in {item.code for item in answer.findings}


# --- what to do, and in which order --------------------------------------------------------------


def todo(**changes: Any) -> str:
    (finding,) = found(well(**changes))
    return finding.todo


def test_a_toleration_is_said_as_it_is_to_be_written() -> None:
    said = todo(**no_pod_on_n3(objects.Taint("gpu", "yes", "NoSchedule")))
    assert said == (
        "add to the chart's speaker.tolerations:"
        " {key: gpu, operator: Equal, value: yes, effect: NoSchedule}"
    )


def test_a_right_is_said_with_the_commands_that_grant_it() -> None:
    said = todo(
        refused_user=(
            Want("status", "list", "metallb.io", "bgppeers"),
            Want("status", "list", "", "nodes", False),
        )
    )
    assert said == (
        "kubectl create clusterrole bellmetal-status-2bd806 --verb=list --resource=nodes &&"
        " kubectl create clusterrolebinding bellmetal-status-2bd806"
        " --clusterrole=bellmetal-status-2bd806 --user=alice &&"
        f" kubectl create role bellmetal-status-2bd806 -n {OWN} --verb=list"
        " --resource=bgppeers.metallb.io &&"
        f" kubectl create rolebinding bellmetal-status-2bd806 -n {OWN}"
        " --role=bellmetal-status-2bd806 --user=alice"
    )


def test_an_aligned_cidr_is_offered() -> None:
    said = todo(pools=(pool_body(f"{OWN}/main", "10.0.0.210/28"),))
    assert said == "write 10.0.0.208/28, or 10.0.0.210-10.0.0.223"


def test_the_worst_comes_first() -> None:
    seen = well(has_secret=False, lease=None, nodes=well().nodes[:1], kube_proxy=KubeProxy("ipvs"))
    levels = [item.level for item in found(seen)]
    assert levels == sorted(levels, key=tuple(Level).index)
    assert levels[0] is Level.FAILURE


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0),
        ({"nodes": well().nodes[:1], "pods": well().pods[:3], "reports": well().reports[:1]}, 0),
        ({"lease": lease("l", "laptop")}, 3),
        ({"lease": lease("l", "laptop"), "has_secret": False}, 4),
    ],
)
def test_the_exit_status_is_that_of_the_worst(changes: dict[str, Any], status: int) -> None:
    assert examine(well(**changes), CHECKS, {}).exit_status == status


def test_what_could_not_be_read_is_not_judged() -> None:
    unread = {"pods": Unread("alice may not list pods", "pods", "list", OWN)}
    seen = replace(well(), pods=(), unread=unread)
    answer = examine(seen, CHECKS, {})
    assert [item.code for item in answer.findings if item.level is not Level.NOTE] == [
        Code.NOT_READ
    ]
    assert answer.skipped["the controllers are ready"] == "alice may not list pods"
    assert "--verb=list --resource=pods && kubectl create rolebinding" in answer.findings[0].todo


@pytest.mark.parametrize(
    ("major", "minor", "version"),
    [("1", "31", (1, 31)), ("1", "33+", (1, 33)), ("", "", None), ("1", "x", None)],
)
def test_a_servers_version(major: str, minor: str, version: tuple[int, int] | None) -> None:
    assert server_version(major, minor) == version


def test_a_finding_has_a_level_by_its_code() -> None:
    assert Finding(Code.SINGLE, "x", "y").level is Level.NOTE


def test_seconds_since_a_time() -> None:
    assert well().age("2026-06-01T11:59:00Z") == 60
    assert Seen(OWN).age("2026-06-01T11:59:00Z") is None
