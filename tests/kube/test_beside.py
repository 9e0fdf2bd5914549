"""A controller beside MetalLB, with the chart's rights: it observes, then does what it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kube.scene import CONFIGURATION, POOL_ANNOTATION, SHOP, Scene, stage
from lab.programs import NAMESPACE
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.kube

MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with stage(audit=True) as scene:
        scene.lab.install_chart_objects({"takeover": True}, only=["Role"])
        scene.start("controller-1", "--takeover")
        scene.programs.wait_leading("controller-1")
        yield scene


def told(scene: Scene, **data: str) -> None:
    """What the steps of a takeover write."""
    metadata = {"name": "bellmetal-takeover", "namespace": NAMESPACE}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    scene.lab.apply(body)


def given_by_metallb(scene: Scene, name: str, address: str) -> None:
    scene.service(name)
    path = f"/api/v1/namespaces/{SHOP}/services/{name}/status"
    body = {
        "metadata": {"annotations": {POOL_ANNOTATION: "lan"}},
        "status": {"loadBalancer": {"ingress": [{"ip": scene.text(address)}]}},
    }
    scene.rest.patch(path, body)


def announced_by_metallb(scene: Scene, name: str, node: str) -> None:
    labels = {
        "metallb.io/node": node,
        "metallb.io/service-name": name,
        "metallb.io/service-namespace": SHOP,
    }
    body = {"metadata": {"name": f"l2-{name}", "labels": labels}}
    body |= {"apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status"}
    scene.rest.post(f"{CONFIGURATION}/servicel2statuses", body)
    status = {"node": node, "serviceName": name, "serviceNamespace": SHOP}
    path = f"{CONFIGURATION}/servicel2statuses/l2-{name}/status"
    scene.rest.request("PATCH", path, {"status": status}, MERGE)


def owners(scene: Scene) -> dict[str, str]:
    """The address of each announcement, and its owner."""
    return {
        item["address"]: item["owner"]
        for body in scene.slices().values()
        for item in body["spec"].get("announcements", [])
    }


def sessions(scene: Scene) -> set[str]:
    """The nodes that have BGP sessions."""
    sets = [one for body in scene.slices().values() for one in body["spec"].get("nodeSets", [])]
    found = [one for one in sets if one["name"].startswith("sessions")]
    return {node["name"] for one in found for node in one.get("nodes", [])}


def users_writes(scene: Scene, mark: int) -> list[Json]:
    kinds = ("services", "ipaddresspools", "events", "configurationstates", "servicel2statuses")
    return [item for item in scene.writes(mark) if item["objectRef"]["resource"] in kinds]


def test_it_is_taken_over_and_given_back(scene: Scene) -> None:
    mark = scene.mark()
    scene.pool("lan", "LAN.200-LAN.209")
    scene.advertise()
    peer = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1"}
    body = {"metadata": {"name": "tor", "namespace": NAMESPACE}, "spec": peer}
    scene.lab.apply({"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer"} | body)
    for name, address, node in (("a", "LAN.205", "n2"), ("b", "LAN.203", "n1")):
        given_by_metallb(scene, name, address)
        announced_by_metallb(scene, name, node)
        scene.endpoints(name, "n1", "n2")
    for node in ("n1", "n2"):
        scene.report(node, eth0=["LAN.0/16"])
    scene.service("waits")

    # --- it observes: the ledger follows what Services show, and nothing else is written ---
    address = scene.text("LAN.205")
    until(lambda: scene.ledger().get(address) == "a", "a's address is in the ledger", 20)
    scene.write_status("a", loadBalancer={"ingress": [{"ip": "LAN.207"}]})  # MetalLB moves it
    wanted = {scene.text("LAN.207"): "a", scene.text("LAN.203"): "b"}
    until(lambda: scene.ledger() == wanted, "the ledger follows", 20)
    assert scene.shown("waits") == []
    assert owners(scene) == {}
    assert users_writes(scene, mark) == []

    # --- it decides, and has sessions where MetalLB has left ---
    told(scene, stage="decide", nodes="n1")
    scene.wait_shown("waits", "LAN.200")
    until(lambda: sessions(scene) == {"n1"}, "n1 has sessions", 20)
    assert owners(scene) == {}

    # --- it announces, each address from where MetalLB announces it ---
    told(scene, stage="announce", nodes="n1")
    until(
        lambda: (
            owners(scene).items()
            >= {scene.text("LAN.207"): "n2", scene.text("LAN.203"): "n1"}.items()
        ),
        "it begins where MetalLB answers",
        20,
    )
    assert sessions(scene) == {"n1"}
    kept = scene.rest.get(f"{CONFIGURATION}/servicel2statuses")["items"]
    assert {item["metadata"]["name"] for item in kept} == {"l2-a", "l2-b"}  # MetalLB's own rows

    told(scene, stage="complete", nodes="n1,n2")
    until(lambda: sessions(scene) == {"n1", "n2"}, "both have sessions", 20)

    # --- and it lets go of everything ---
    scene.rest.request("DELETE", f"{MAPS}/bellmetal-takeover")
    until(lambda: owners(scene) == {} and sessions(scene) == set(), "nothing is announced", 20)
    assert scene.slices()["nodes"]["spec"]["nodeSets"][0]["name"] == "all"
    mark = scene.mark()
    scene.service("late")
    given_by_metallb(scene, "other", "LAN.209")
    until(lambda: scene.ledger().get(scene.text("LAN.209")) == "other", "it observes again", 20)
    assert scene.shown("late") == []
    # its own verdict on the configuration may still be on its way from before
    written = {item["objectRef"]["resource"] for item in users_writes(scene, mark)}
    assert written <= {"configurationstates"}
    assert scene.shown("a") == [scene.text("LAN.207")]
