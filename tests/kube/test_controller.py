"""The controller against a real API server: who gets which address, and what people are told."""

from __future__ import annotations

import pytest

from kube.scene import (
    CONDITION,
    SHOP,
    Scene,
)
from lab.waiting import until

pytestmark = pytest.mark.kube

PREFIXES = ("metallb.io", "metallb.universe.tf")


def reasons(scene: Scene, name: str) -> list[str]:
    """What we told; the API server's own repairs may tell of a Service as well."""
    about = scene.events("Service", name)
    return [e["reason"] for e in about if e["source"].get("component") == "metallb-controller"]


# --- given ---------------------------------------------------------------------------------------


def test_services_get_addresses_in_order_and_one_write_each(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    for name, address in (("a", "LAN.200"), ("b", "LAN.201"), ("c", "LAN.202")):
        scene.service(name)
        scene.wait_shown(name, address)
    for name, address in (("a", "LAN.200"), ("b", "LAN.201"), ("c", "LAN.202")):
        ingress = scene.get(name)["status"]["loadBalancer"]["ingress"]
        assert ingress == [{"ip": scene.text(address), "ipMode": "VIP"}]
        assert scene.annotation(name) == "lan"
        told = scene.wait_event("Service", name, "IPAllocated", f'Assigned IP ["{address}"]')
        assert (told["type"], told["source"]["component"]) == ("Normal", "metallb-controller")
        assert reasons(scene, name) == ["IPAllocated"]
        assert service_writes(scene, name) == [("patch", "status")]
        assert scene.conditions(name) == {}
    assert scene.ledger() == {scene.text(f"LAN.20{n}"): name for n, name in enumerate("abc")}


def service_writes(scene: Scene, name: str) -> list[tuple[str, str]]:
    uid = scene.get(name)["metadata"]["uid"]
    return [
        (item["verb"], item["objectRef"]["subresource"])
        for item in scene.writes()
        if item["objectRef"]["resource"] == "services"
        and item["objectRef"]["name"] == name
        and item["requestObject"]["metadata"]["uid"] == uid
    ]


def test_services_that_wait_are_served_in_the_order_of_their_creation(scene: Scene) -> None:
    scene.services([f"early-{number}" for number in range(12)])
    until(lambda: len(scene.conditions("early-11")) == 1, "they wait")
    scene.pool("lan", "LAN.200-LAN.250")
    shown = scene.wait_all_shown(12)
    born = {name: scene.get(name)["metadata"]["creationTimestamp"] for name in shown}
    order = sorted(shown, key=lambda name: (born[name], f"{SHOP}/{name}"))
    assert [shown[name] for name in order] == [[scene.text(f"LAN.{200 + n}")] for n in range(12)]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_address_is_asked_for_by_annotation(scene: Scene, prefix: str) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    scene.service("web", {f"{prefix}/loadBalancerIPs": "LAN.222"})
    scene.wait_shown("web", "LAN.222")


def test_an_address_is_asked_for_in_the_spec(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    scene.service("web", loadBalancerIP="LAN.223")
    scene.wait_shown("web", "LAN.223")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_pool_is_asked_for_by_annotation(scene: Scene, prefix: str) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.pool("vip", "LAN.210-LAN.219", autoAssign=False)
    scene.service("web", {f"{prefix}/address-pool": "vip"})
    scene.wait_shown("web", "LAN.210")
    assert scene.annotation("web") == "vip"


def test_a_new_request_moves_the_service_and_frees_what_it_had(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    scene.change("web", {"metallb.io/loadBalancerIPs": "LAN.240"})
    scene.wait_shown("web", "LAN.240")
    scene.service("next")
    scene.wait_shown("next", "LAN.200")
    assert scene.ledger() == scene.texts({"LAN.240": "web", "LAN.200": "next"})


# --- freed ---------------------------------------------------------------------------------------


def test_a_deleted_services_address_goes_to_the_one_that_waits(scene: Scene) -> None:
    scene.pool("one", "LAN.200/32")
    scene.service("first")
    scene.wait_shown("first", "LAN.200")
    scene.service("second")
    until(lambda: CONDITION in scene.conditions("second"), "the second is refused")
    scene.delete("first")
    scene.wait_shown("second", "LAN.200", timeout=5)
    assert scene.conditions("second") == {}
    assert scene.ledger() == scene.texts({"LAN.200": "second"})


def test_a_service_that_becomes_clusterip_gives_its_address_back(scene: Scene) -> None:
    scene.pool("one", "LAN.200/32")
    scene.service("first")
    scene.wait_shown("first", "LAN.200")
    scene.service("second")
    until(lambda: CONDITION in scene.conditions("second"), "the second is refused")
    scene.change("first", type="ClusterIP", allocateLoadBalancerNodePorts=None)
    scene.wait_shown("second", "LAN.200", timeout=5)
    scene.wait_shown("first", "")
    until(lambda: scene.annotation("first") is None, "its annotation is gone")
    scene.wait_event("Service", "first", "IPFreed", 'Freed IP ["LAN.200"]')


def test_a_service_that_is_refused_and_becomes_clusterip_loses_its_condition(scene: Scene) -> None:
    scene.service("web")
    until(lambda: CONDITION in scene.conditions("web"), "it is refused")
    scene.change("web", type="ClusterIP", allocateLoadBalancerNodePorts=None)
    until(lambda: scene.conditions("web") == {}, "its condition is gone")
    assert reasons(scene, "web") == ["AllocationFailed"]


def test_a_service_that_a_finalizer_holds_gives_its_address_back(scene: Scene) -> None:
    scene.pool("one", "LAN.200/32")
    scene.service("first", finalizers=["example.com/slow"])
    scene.wait_shown("first", "LAN.200")
    scene.service("second")
    scene.delete("first")
    scene.wait_shown("second", "LAN.200", timeout=5)
    scene.wait_shown("first", "")
    assert scene.get("first")["metadata"]["finalizers"] == ["example.com/slow"]
    scene.rest.patch(
        f"/api/v1/namespaces/{SHOP}/services/first", {"metadata": {"finalizers": None}}
    )


def test_a_service_made_anew_under_its_old_name_is_another_one(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    for _ in range(5):
        scene.service("web")
        scene.wait_shown("web", "LAN.200", timeout=5)
        uid = scene.get("web")["metadata"]["uid"]
        scene.delete("web")
        scene.service("web")
        until(lambda: scene.shown("web"), "the new one has an address", 5)
        assert scene.get("web")["metadata"]["uid"] != uid
        scene.delete("web")
        until(lambda: not scene.ledger(), "the address is free", 5)


# --- not ours ------------------------------------------------------------------------------------


def test_what_is_somebody_elses_is_left_alone(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    scene.service("theirs", loadBalancerClass="example.com/cloud")
    scene.write_status("theirs", loadBalancer={"ingress": [{"ip": "LAN.200"}]})
    scene.service("plain", type="ClusterIP", externalIPs=["LAN.201"])
    before = {name: scene.get(name) for name in ("theirs", "plain")}
    scene.service("mine", externalIPs=["LAN.230"])
    until(lambda: scene.shown("mine"), "ours is served")
    assert {name: scene.get(name) for name in ("theirs", "plain")} == before
    assert scene.get("mine")["spec"]["externalIPs"] == [scene.text("LAN.230")]
    assert reasons(scene, "theirs") == reasons(scene, "plain") == []


def test_a_hostname_that_somebody_wrote_counts_for_nothing(scene: Scene) -> None:
    scene.service("web", loadBalancerClass="example.com/cloud")
    scene.write_status("web", loadBalancer={"ingress": [{"hostname": "lb.example.com"}]})
    scene.pool("lan", "LAN.200-LAN.250")
    scene.service("mine")
    scene.wait_shown("mine", "LAN.200")
    assert scene.get("web")["status"]["loadBalancer"]["ingress"] == [{"hostname": "lb.example.com"}]


# --- several pools -------------------------------------------------------------------------------


def test_a_pool_without_autoassign_is_used_only_when_asked_for(scene: Scene) -> None:
    scene.pool("a-quiet", "LAN.200-LAN.209", autoAssign=False)
    scene.pool("b-open", "LAN.210-LAN.210")
    scene.service("one")
    scene.wait_shown("one", "LAN.210")
    scene.service("two")
    scene.wait_event(
        "Service",
        "two",
        "AllocationFailed",
        'Failed to allocate IP for "shop/two": no available IPs (ipv4): '
        "a-quiet: autoAssign is false; b-open: all in use",
    )
    scene.change("two", {"metallb.io/loadBalancerIPs": "LAN.205"})
    scene.wait_shown("two", "LAN.205")


def test_pools_for_a_namespace_come_first_and_by_priority(scene: Scene) -> None:
    scene.pool("a-open", "LAN.200-LAN.209")
    late = {"priority": 20, "namespaces": [SHOP]}
    soon = {"priority": 10, "namespaceSelectors": [{"matchLabels": {"team": "blue"}}]}
    never = {"priority": 1, "namespaces": ["elsewhere"]}
    labelled = {"serviceSelectors": [{"matchLabels": {"tier": "gold"}}]}
    scene.pool("b-late", "LAN.210/32", serviceAllocation=late)
    scene.pool("c-soon", "LAN.211/32", serviceAllocation=soon)
    scene.pool("d-never", "LAN.212/32", serviceAllocation=never)
    scene.pool("e-gold", "LAN.213/32", serviceAllocation=labelled)
    scene.rest.patch(f"/api/v1/namespaces/{SHOP}", {"metadata": {"labels": {"team": "blue"}}})
    wanted = ["LAN.211", "LAN.210", "LAN.200"]
    try:
        for number, address in enumerate(wanted):
            scene.service(f"s{number}")
            scene.wait_shown(f"s{number}", address)
        scene.service("gold", labels={"tier": "gold"})
        scene.wait_shown("gold", "LAN.213")
    finally:
        scene.rest.patch(f"/api/v1/namespaces/{SHOP}", {"metadata": {"labels": {"team": None}}})


def test_buggy_addresses_are_avoided_where_the_pool_says_so(scene: Scene) -> None:
    first = scene.lab.address(254, 255)
    scene.pool("wary", f"{first}-LAN.1", avoidBuggyIPs=True)
    scene.service("web")
    scene.wait_shown("web", "LAN.1")
    scene.service("odd", loadBalancerIP="LAN.0")
    scene.wait_event(
        "Service",
        "odd",
        "AllocationFailed",
        'Failed to allocate IP for "shop/odd": ["LAN.0"] is not allowed in config: '
        "IPAddressPool/wary contains it, but avoidBuggyIPs takes it out",
    )


def test_a_pool_that_is_deleted_leaves_its_services_their_addresses(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    scene.drop_pool("lan")
    sentence = 'no IPAddressPool allows ["LAN.200"] any more; the Service keeps it'
    scene.wait_event("Service", "web", "AddressOrphaned", sentence)
    assert scene.shown("web") == [scene.text("LAN.200")]
    scene.pool("renamed", "LAN.200-LAN.250")
    until(lambda: scene.annotation("web") == "renamed", "the annotation follows")
    assert scene.shown("web") == [scene.text("LAN.200")]
    assert reasons(scene, "web") == ["IPAllocated", "AddressOrphaned"]
    scene.service("next")
    scene.wait_shown("next", "LAN.201")


def test_only_its_class_is_served(scene: Scene) -> None:
    scene.running["controller-1"].terminate()
    assert scene.running["controller-1"].wait() == 0
    try:
        special = scene.start("controller-2", "--lb-class=example.com/mine")
        scene.programs.wait_leading("controller-2")
        scene.pool("lan", "LAN.200-LAN.250")
        scene.service("plain")
        scene.service("theirs", loadBalancerClass="example.com/theirs")
        scene.service("mine", loadBalancerClass="example.com/mine")
        scene.wait_shown("mine", "LAN.200")
        assert scene.shown("plain") == scene.shown("theirs") == []
        assert scene.conditions("plain") == scene.conditions("theirs") == {}
        scene.delete("mine")
        special.terminate()
        special.wait()
    finally:
        scene.start("controller-1")
        scene.programs.wait_leading("controller-1")
    scene.wait_shown("plain", "LAN.200")
