"""AnnouncementSlices on a real API server: few objects, few writes, whole again after damage."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kube.scene import INTERNAL, MERGE, Scene, stage
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.kube

COUNT = 250
NAMES = [f"s{number:03}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """250 Services, all of them announced."""
    with stage("controller-1") as scene:
        scene.pool("lan", f"{scene.lab.address(254, 0)}/23")
        scene.advertise()
        scene.services(NAMES)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: scene.endpoints(name, "n1", "n2"), NAMES))
        until(lambda: len(announced(scene)) == COUNT, "all are announced", every=0.2)
        yield scene


def announced(scene: Scene) -> set[str]:
    return {name for item in scene.slices().values() for name in names(item)}


def names(item: Json) -> list[str]:
    """The Services that one slice announces."""
    found = item["spec"].get("announcements", [])
    return [service["name"] for entry in found for service in entry["services"]]


def versions(scene: Scene) -> dict[str, str]:
    return {name: item["metadata"]["resourceVersion"] for name, item in scene.slices().items()}


def whole(scene: Scene) -> dict[str, Json]:
    return {name: item["spec"] for name, item in scene.slices().items()}


def test_a_hundred_announcements_are_in_a_slice_and_each_address_in_one(scene: Scene) -> None:
    slices = scene.slices()
    assert sorted(slices) == ["layer2-0", "layer2-1", "layer2-2", "nodes"]
    assert sorted(len(names(item)) for item in slices.values()) == [0, 50, 100, 100]
    items = [entry for item in slices.values() for entry in item["spec"].get("announcements", [])]
    assert len({entry["address"] for entry in items}) == COUNT
    ledger = scene.ledger()
    assert all(ledger[entry["address"]] == entry["services"][0]["name"] for entry in items)
    owners = [entry["owner"] for entry in items]
    assert min(owners.count("n1"), owners.count("n2")) > 0.35 * COUNT


def test_every_set_that_an_announcement_names_is_there(scene: Scene) -> None:
    slices = scene.slices()
    sets = {item["name"]: item for item in slices["nodes"]["spec"]["nodeSets"]}
    used = {e["nodeSet"] for s in slices.values() for e in s["spec"].get("announcements", [])}
    assert used <= sets.keys()
    assert all({n["name"] for n in sets[name]["nodes"]} == {"n1", "n2"} for name in used)


def test_a_deleted_service_touches_one_slice_and_a_new_one_fills_the_gap(scene: Scene) -> None:
    before = versions(scene)
    home = next(name for name, item in scene.slices().items() if "s007" in names(item))
    scene.delete("s007")
    until(lambda: "s007" not in announced(scene), "it is withdrawn")
    after = versions(scene)
    assert {name for name in after if after[name] != before[name]} == {home}
    scene.service("s007")  # its endpoints are still there
    until(lambda: "s007" in announced(scene), "the new one is announced")


def test_endpoints_that_change_no_decision_touch_no_slice(scene: Scene) -> None:
    before = versions(scene)
    scene.endpoints("s008-2", "n1")
    scene.service("unrelated", type="ClusterIP")
    scene.service("later")  # a pass has certainly run when it has its address
    until(lambda: scene.shown("later"), "it is served")
    assert versions(scene) == before
    scene.delete("later")


def damage(scene: Scene) -> None:
    """Somebody deletes one slice and edits two."""
    path = f"{INTERNAL}/announcementslices"
    scene.rest.request("DELETE", f"{path}/layer2-1")
    less = {"announcements": scene.slices()["layer2-0"]["spec"]["announcements"][10:]}
    scene.rest.request("PATCH", f"{path}/layer2-0", {"spec": less}, MERGE)
    scene.rest.request("PATCH", f"{path}/nodes", {"spec": {"nodeSets": []}}, MERGE)


def test_slices_that_somebody_damaged_are_whole_again_by_themselves(scene: Scene) -> None:
    before = whole(scene)
    damage(scene)
    until(lambda: announced(scene) == set(NAMES), "all are announced", 10, every=0.1)
    until(lambda: whole(scene)["nodes"] == before["nodes"], "the nodes are back", 10)


def test_slices_that_somebody_damaged_are_whole_when_a_controller_starts(scene: Scene) -> None:
    before = whole(scene)
    damage(scene)
    scene.running["controller-1"].terminate()
    scene.running["controller-1"].wait()
    scene.start()
    until(lambda: announced(scene) == set(NAMES), "all are announced", every=0.1)
    until(lambda: whole(scene)["nodes"] == before["nodes"], "the nodes are back", 10)
