"""Addresses on a real API server: both families, sharing, changing pools, wishes, rivals."""

from __future__ import annotations

import threading
import time

import pytest

from bellmetal import pruning
from bellmetal.ledger import PRUNED
from kube.records import LEDGERS, plant
from kube.scene import CONDITION, MERGE, NAMESPACE, SHOP, Scene
from lab.waiting import until

pytestmark = pytest.mark.kube

IPS, POOL, SHARE = (
    f"metallb.io/{n}" for n in ("loadBalancerIPs", "address-pool", "allow-shared-ip")
)
WISH = "bellmetal.io/"
SIX = "fd00:bad::"
OLD = "fd00:dead::"  # of no other test: its records are planted


def reasons(scene: Scene, name: str) -> list[str]:
    about = scene.events("Service", name)
    return [e["reason"] for e in about if e["source"].get("component") == "metallb-controller"]


def restart(scene: Scene, *flags: str) -> None:
    scene.running["controller-1"].terminate()
    assert scene.running["controller-1"].wait() == 0
    scene.start("controller-1", *flags)


def dual(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209", f"{SIX}1-{SIX}9")


# --- both families -------------------------------------------------------------------------------


def test_single_prefer_and_require_dual_stack(scene: Scene) -> None:
    dual(scene)
    scene.service("four")
    scene.wait_shows("four", "LAN.200")
    scene.service("six", ipFamilies=["IPv6"])
    scene.wait_shows("six", f"{SIX}1")
    scene.service("prefer", ipFamilyPolicy="PreferDualStack")
    scene.wait_shows("prefer", "LAN.201", f"{SIX}2")
    scene.service("require", ipFamilyPolicy="RequireDualStack")
    scene.wait_shows("require", "LAN.202", f"{SIX}3")
    scene.wait_event("Service", "require", "IPAllocated", f'Assigned IP ["LAN.202" "{SIX}3"]')
    assert scene.annotation("require") == "lan"


def test_a_family_is_added_and_removed_and_the_other_stays(scene: Scene) -> None:
    dual(scene)
    scene.service("web")
    scene.wait_shows("web", "LAN.200")
    scene.change("web", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4", "IPv6"])
    scene.wait_shows("web", "LAN.200", f"{SIX}1")
    scene.wait_event("Service", "web", "IPAllocated", f'Assigned additional IP "{SIX}1"')
    scene.change("web", ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"], clusterIPs=None)
    scene.wait_shows("web", "LAN.200")
    scene.wait_event("Service", "web", "IPFreed", f'Freed IP ["{SIX}1"]')
    until(lambda: list(scene.ledger()) == [scene.text("LAN.200")], "the ledger follows")


def test_families_out_of_two_pools_and_the_one_that_is_missing_comes_later(scene: Scene) -> None:
    scene.pool("four", "LAN.200-LAN.209")
    scene.service("web", ipFamilyPolicy="PreferDualStack")
    scene.wait_shows("web", "LAN.200")
    lacking = (
        "cannot assign additional IP in PreferDualStack: no available IPs (ipv6): four: no IPv6"
    )
    scene.wait_event("Service", "web", "AdditionalAssignFailed", lacking)
    assert CONDITION not in scene.conditions("web")
    scene.pool("six", f"{SIX}1-{SIX}9")
    scene.wait_shows("web", "LAN.200", f"{SIX}1")
    assert scene.annotation("web") == "four,six"


# --- sharing -------------------------------------------------------------------------------------


def test_services_share_an_address_on_other_ports(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.201")
    tcp = [{"name": "dns", "port": 53, "protocol": "TCP"}]
    udp = [{"name": "dns", "port": 53, "protocol": "UDP"}]
    scene.service("tcp", {SHARE: "dns"}, ports=tcp)
    scene.wait_shows("tcp", "LAN.200")
    scene.service("udp", {SHARE: "dns"}, ports=udp)
    scene.wait_shows("udp", "LAN.200")
    scene.service("other", {SHARE: "dns", IPS: "LAN.200"}, ports=udp)
    sentence = 'port UDP/53 is already in use on "LAN.200" (by shop/udp, sharing key "dns")'
    scene.wait_condition("other", CONDITION, "PortInUse", sentence)
    scene.delete("udp")
    scene.wait_shows("other", "LAN.200")


def test_who_changes_its_terms_moves_and_is_told(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.201")
    for name, port in (("a", 80), ("b", 81)):
        scene.service(name, {SHARE: "key"}, ports=[{"port": port}])
        scene.wait_shows(name, "LAN.200")
    scene.replace_ports("a", [{"port": 81}])
    scene.wait_shows("a", "LAN.201")
    assert scene.shown("b") == [scene.text("LAN.200")]
    assert "ClearAssignment" in reasons(scene, "a")
    assert reasons(scene, "b") == ["IPAllocated"]


# --- pools that change ---------------------------------------------------------------------------


def test_an_address_stays_through_split_rename_and_merge(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.services(("a", "b"))
    scene.wait_all_shown(2)
    before = scene.all_shown()
    scene.pool("lan", "LAN.205-LAN.209", "LAN.200-LAN.204")
    scene.pool("lan", "LAN.205-LAN.209")
    scene.pool("low", "LAN.200-LAN.204")
    until(lambda: scene.annotation("a") == "low", "the annotation follows")
    scene.drop_pool("low")
    scene.drop_pool("lan")
    scene.pool("all", "LAN.192-LAN.220")
    until(lambda: scene.annotation("b") == "all", "the annotation follows")
    assert scene.all_shown() == before


def test_what_no_pool_allows_is_kept_with_a_condition_or_renumbered_on_request(
    scene: Scene,
) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web", {IPS: "LAN.209"})
    scene.wait_shows("web", "LAN.209")
    scene.change("web", {IPS: None})
    scene.pool("lan", "LAN.200-LAN.205")
    kept = 'no IPAddressPool allows ["LAN.209"] any more; the Service keeps it'
    condition = scene.wait_condition("web", CONDITION, "AddressOrphaned", kept)
    assert condition["status"] == "True"
    assert scene.shown("web") == [scene.text("LAN.209")]
    scene.pool("lan", "LAN.200-LAN.205", annotations={f"{WISH}on-orphan": "renumber"})
    scene.wait_shows("web", "LAN.200")
    scene.wait_event(
        "Service",
        "web",
        "ClearAssignment",
        'current IP for "shop/web" not allowed by config, will attempt for new IP assignment: '
        '["LAN.209"] is not allowed in config',
    )
    until(lambda: CONDITION not in scene.conditions("web"), "the condition is gone")


def test_the_controllers_setting_renumbers_as_metallb_does(scene: Scene) -> None:
    restart(scene, "--on-orphan=renumber")
    try:
        scene.pool("lan", "LAN.200-LAN.209")
        scene.service("web")
        scene.wait_shows("web", "LAN.200")
        scene.drop_pool("lan")
        scene.wait_shows("web")
        scene.pool("new", "LAN.220-LAN.229")
        scene.wait_shows("web", "LAN.220")
    finally:
        restart(scene)


# --- wishes --------------------------------------------------------------------------------------


def test_reservations_exclusions_and_draining(scene: Scene) -> None:
    wishes = {f"{WISH}exclude": "LAN.200-LAN.201", f"{WISH}reserve": "LAN.202=shop/db, LAN.203"}
    scene.pool("lan", "LAN.200-LAN.205", annotations=wishes)
    scene.service("web")
    scene.wait_shows("web", "LAN.204")
    scene.service("db")
    scene.wait_shows("db", "LAN.202")
    scene.service("asks", {IPS: "LAN.203"})
    scene.wait_shows("asks", "LAN.203")
    scene.pool("lan", "LAN.200-LAN.205", annotations={f"{WISH}drain": "true"})
    scene.service("late")
    no = "no available IPs (ipv4): lan: draining"
    scene.wait_condition("late", CONDITION, "NoPoolForService", no)
    scene.pool("lan", "LAN.200-LAN.205", annotations={f"{WISH}drain": None})
    scene.wait_shows("late", "LAN.205")


def test_a_service_made_anew_gets_its_old_address_while_it_cools_down(scene: Scene) -> None:
    # of addresses that no other test has given back just now
    scene.pool("lan", "LAN.150-LAN.152", annotations={f"{WISH}cool-down": "1h"})
    scene.services(("a", "b"))
    scene.wait_all_shown(2)
    old = scene.shown("a")
    scene.delete("a")
    until(lambda: len(scene.ledger()) == 1, "the address is free")
    scene.service("other")
    scene.wait_shows("other", "LAN.152")
    scene.service("a")
    until(lambda: scene.shown("a") == old, "a has its address again")


def test_of_very_many_free_addresses_the_longest_free_are_forgotten_but_not_their_terms(
    scene: Scene,
) -> None:
    old, new = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    kept = plant(scene.rest, "2001:db8:1::", pruning.KEPT, new)
    gone = plant(scene.rest, OLD, pruning.AT_ONCE, old, term=7)
    scene.pool("lan", f"{OLD}1-{OLD}9")
    restart(scene)

    def names() -> set[str]:
        return {item["metadata"]["name"] for item in scene.rest.get(LEDGERS)["items"]}

    until(lambda: names().isdisjoint(gone), "what is free for longest is deleted")
    assert names() >= {*kept, PRUNED}
    scene.service("six", ipFamilies=["IPv6"])
    scene.wait_shows("six", f"{OLD}1")
    shard = scene.rest.get(f"{LEDGERS}/{gone[0]}")
    assert shard["spec"]["entries"][f"{OLD}1"]["term"] == 8
    for name in kept:
        scene.rest.request("DELETE", f"{LEDGERS}/{name}")


def test_who_waits_is_served_when_an_address_has_cooled_down(scene: Scene) -> None:
    scene.pool("lan", "LAN.153/32", annotations={f"{WISH}cool-down": "4s"})
    scene.service("a")
    scene.wait_shows("a", "LAN.153")
    scene.delete("a")
    scene.service("b")
    no = "no available IPs (ipv4): lan: all in use or cooling down"
    scene.wait_condition("b", CONDITION, "NoAddressLeft", no)
    scene.wait_shows("b", "LAN.153", timeout=15)


def test_a_quota_of_a_namespace(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    path = f"/api/v1/namespaces/{SHOP}"
    scene.rest.patch(path, {"metadata": {"annotations": {f"{WISH}address-quota": "1"}}})
    try:
        scene.service("one")
        scene.wait_shows("one", "LAN.200")
        scene.service("two")
        no = "namespace shop has 1 addresses, and bellmetal.io/address-quota allows 1"
        scene.wait_condition("two", CONDITION, "QuotaExceeded", no)
    finally:
        scene.rest.patch(path, {"metadata": {"annotations": {f"{WISH}address-quota": None}}})
    scene.wait_shows("two", "LAN.201")


def test_several_addresses_for_one_service(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web", {f"{WISH}addresses-per-family": "2"})
    scene.wait_shows("web", "LAN.200", "LAN.201")
    scene.change("web", {f"{WISH}addresses-per-family": None})
    scene.wait_shows("web", "LAN.200")


def test_an_annotation_that_is_not_known_is_told_with_the_nearest(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209", annotations={f"{WISH}exclud": "LAN.200"})
    sentence = (
        f'metadata.annotations[{WISH}exclud]: unknown annotation; did you mean "{WISH}exclude"?'
    )
    scene.wait_event("IPAddressPool", "lan", "InvalidConfiguration", sentence)
    scene.pool("lan", "LAN.200-LAN.209", annotations={f"{WISH}exclud": None})
    scene.service("web")
    scene.wait_shows("web", "LAN.200")


# --- rivals --------------------------------------------------------------------------------------


class Rival:
    """Writes an address of its own into the status of a Service, whenever it has changed."""

    def __init__(self, scene: Scene, name: str, address: str) -> None:
        self._scene, self._name, self._address = scene, name, scene.text(address)
        self._stop, self.writes = threading.Event(), 0
        self._thread = threading.Thread(target=self._fight)

    def __enter__(self) -> Rival:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _fight(self) -> None:
        while not self._stop.wait(0.05):
            if self._scene.shown(self._name) != [self._address]:
                ingress = [{"ip": self._address}]
                self._scene.write_status(self._name, loadBalancer={"ingress": ingress})
                self.writes += 1


def test_a_rival_is_named_and_not_fought_for_ever(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shows("web", "LAN.200")
    with Rival(scene, "web", "LAN.77") as rival:
        until(lambda: "RivalController" in reasons(scene, "web"), "the rival is noticed")
        writes = rival.writes
        time.sleep(3.0)  # that nothing happens can only be seen by waiting
        assert rival.writes == writes
    condition = scene.conditions("web")["bellmetal.io/AddressShown"]
    assert (condition["status"], condition["reason"]) == ("False", "RivalController")
    assert f"writes {scene.text('LAN.77')} into status.loadBalancer" in condition["message"]
    assert scene.ledger() == {scene.text("LAN.200"): "web"}
    # what is asked for anew is written
    scene.change("web", {IPS: "LAN.205"})
    scene.wait_shows("web", "LAN.205")
    until(lambda: scene.conditions("web") == {}, "the condition is gone")


# --- status --------------------------------------------------------------------------------------


def test_pools_count_their_addresses(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209", "fd00:bad::/48", avoidBuggyIPs=True)
    path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools/lan"

    def counts() -> list[int]:
        status = scene.rest.get(path).get("status", {})
        names = ("assignedIPv4", "availableIPv4", "assignedIPv6", "availableIPv6")
        return [status.get(name, -1) for name in names]

    most = 2**63 - 1
    until(lambda: counts() == [0, 10, 0, most], "an empty pool is counted")
    scene.service("a", ipFamilyPolicy="PreferDualStack")
    scene.service("b")
    until(lambda: counts() == [2, 8, 1, most], "what is assigned is counted")
    scene.rest.request("PATCH", f"{path}/status", {"status": {"assignedIPv4": 77}}, MERGE)
    until(lambda: counts() == [2, 8, 1, most], "what somebody else writes is put right")
    scene.delete("b")
    until(lambda: counts() == [1, 9, 1, most], "what is freed is counted")
