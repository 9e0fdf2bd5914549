"""Owners and what moves them, on a real API server; speakers are played by their reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kube.scene import Scene, stage
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.kube

DRAIN = "bellmetal.io/drain"
LAN = ["LAN.1/24"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Scene]:
    with stage(nodes=3) as scene:
        for name in ("n1", "n2", "n3"):
            ready = {"type": "Ready", "status": "True", "reason": "x", "message": "x"}
            scene.rest.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [ready]}})
            scene.report(name, eth0=LAN)
        scene.start("controller-1")
        scene.programs.wait_leading("controller-1")
        yield scene


@pytest.fixture
def scene(shared: Scene) -> Iterator[Scene]:
    """One Service, announced by one of three nodes."""
    shared.pool("lan", "LAN.200-LAN.210")
    shared.advertise()
    shared.service("web")
    shared.endpoints("web", "n1", "n2", "n3")
    whole = ["n1", "n2", "n3"]
    until(lambda: now(shared).get("nodes") == whole, "it is announced", 15)
    yield shared
    for name in ("n1", "n2", "n3"):
        shared.node(name, {DRAIN: None}, taints=None, unschedulable=None)
        shared.report(name, eth0=LAN)
    shared.clear()


def now(scene: Scene) -> Json:
    return scene.announced("web") or {}


def test_it_is_announced_by_nodes_in_its_subnet(scene: Scene) -> None:
    assert now(scene)["networks"] == [scene.text("LAN.0/24")]
    assert now(scene)["nodes"] == ["n1", "n2", "n3"]


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"annotations": {DRAIN: "true"}}, id="by annotation"),
        *(
            pytest.param({"taints": [{"key": key, "effect": "NoSchedule"}]}, id=key)
            for key in (
                DRAIN,
                "ToBeDeletedByClusterAutoscaler",
                "node.kubernetes.io/out-of-service",
            )
        ),
    ],
)
def test_a_drained_node_loses_its_addresses_by_a_planned_move(
    scene: Scene, how: dict[str, Any]
) -> None:
    before = now(scene)
    scene.node(before["owner"], **how)
    until(lambda: now(scene)["owner"] != before["owner"], "it moves")
    after = now(scene)
    assert after["owner"] == before["successors"][0]
    assert after["term"] == before["term"] + 1
    assert before["owner"] not in (*after["nodes"], *after["successors"])


def test_an_annotation_that_says_something_else_drains_nothing_and_is_told(scene: Scene) -> None:
    before = now(scene)
    scene.node(before["owner"], {DRAIN: "yes"})
    sentence = f'Node/{before["owner"]} metadata.annotations[{DRAIN}]: "yes" is neither'
    until(lambda: any(sentence in line["msg"] for line in scene.log()), "it is said")
    assert now(scene) == before


def settled(scene: Scene, name: str) -> None:
    """A pass has certainly run when a later Service is served."""
    scene.service(name)
    until(lambda: scene.shown(name), "it is served")


def test_a_cordon_alone_does_nothing(scene: Scene) -> None:
    before = now(scene)
    scene.node(before["owner"], unschedulable=True)
    settled(scene, "later")
    assert now(scene) == before


def test_a_cordon_drains_where_the_controller_is_told_so(scene: Scene) -> None:
    before = now(scene)
    scene.running["controller-1"].terminate()
    scene.running["controller-1"].wait()
    scene.start("controller-1", "--drain-on-cordon")
    scene.programs.wait_leading("controller-1")
    try:
        scene.node(before["owner"], unschedulable=True)
        until(lambda: now(scene)["owner"] != before["owner"], "it moves")
    finally:
        scene.running["controller-1"].terminate()
        scene.running["controller-1"].wait()
        scene.start("controller-1")
        scene.programs.wait_leading("controller-1")


def test_a_node_whose_interface_is_gone_leaves_the_set_after_a_while(scene: Scene) -> None:
    before = now(scene)
    scene.report(before["owner"])
    settled(scene, "later")
    assert now(scene) == before  # it may be back soon
    until(lambda: now(scene)["owner"] != before["owner"], "it moves")
    after = now(scene)
    assert after["owner"] == before["successors"][0]
    assert (after["nodeSet"], len(after["nodes"])) == (before["nodeSet"], 2)


def test_while_no_node_has_an_interface_nothing_is_renamed_and_it_is_said(scene: Scene) -> None:
    before = now(scene)
    for name in ("n1", "n2", "n3"):
        scene.report(name)
    keeps = f"{before['owner']} keeps it for when its interface is back"
    until(lambda: keeps in str(scene.conditions("web")), "it is said", 30)
    assert now(scene) == before
    for name in ("n3", "n2", "n1"):
        scene.report(name, eth0=LAN)
    until(lambda: not scene.conditions("web"), "it is well again", 30)
    assert now(scene) == before


def test_a_node_that_starts_again_and_again_gets_nothing_new_and_it_is_told(scene: Scene) -> None:
    for boot in ("2", "3", "4"):
        scene.report("n3", boot, eth0=LAN)
        settled(scene, f"boot-{boot}")
    path = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=n3"

    def told() -> list[str]:
        items = scene.rest.get(path)["items"]
        return [item["message"] for item in items if item["reason"] == "NodeUnsteady"]

    until(lambda: told(), "it is told")
    assert told()[0].startswith("went away 3 times in 1 min: gets no new addresses until about ")
    for number in range(6):
        scene.service(f"new-{number}")
        scene.endpoints(f"new-{number}", "n1", "n2", "n3")
        until(lambda n=number: scene.announced(f"new-{n}"), "it is announced")
        found = scene.announced(f"new-{number}") or {}
        assert "n3" not in (found["owner"], found["successors"][0])
