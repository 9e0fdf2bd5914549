"""A controller that ends and starts again, and one that starts where MetalLB was before."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from bellmetal.addresses import block_of, parse_address
from bellmetal.ledger import shard_name
from kube.scene import (
    ANNOUNCED,
    POOL_ANNOTATION,
    Scene,
    never_given_twice,
    one_address_each,
    stage,
)
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.kube

CLASS = "example.com/before"  # a class that nobody serves


@pytest.fixture(scope="module")
def module_scene() -> Iterator[Scene]:
    with stage(audit=True) as scene:
        yield scene


@pytest.fixture
def scene(module_scene: Scene) -> Iterator[Scene]:
    """No controller runs yet; the test starts controller-1 itself."""
    yield module_scene
    start(module_scene)
    module_scene.clear()
    end(module_scene)


def start(scene: Scene) -> None:
    """Starts controller-1 where it does not run, and waits until it has decided once."""
    running = scene.running.get("controller-1")
    if running is None or not running.alive:
        leading = scene.said("leading")
        scene.start()
        until(lambda: scene.said("leading") > leading, "controller-1 leads")


def end(scene: Scene) -> None:
    scene.running["controller-1"].terminate()
    assert scene.running["controller-1"].wait() == 0


def versions(scene: Scene) -> dict[str, str]:
    items = scene.rest.get("/api/v1/namespaces/shop/services?limit=1000")["items"]
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


def as_metallb_left_it(scene: Scene, name: str, address: str, pool: str | None = "lan") -> None:
    """A Service with its address in the status, without ipMode, and MetalLB's annotation."""
    scene.service(name, {POOL_ANNOTATION: pool} if pool else {})
    scene.write_status(name, loadBalancer={"ingress": [{"ip": address}]})


# --- restarts ------------------------------------------------------------------------------------


def test_a_restart_with_a_hundred_services_writes_nothing(scene: Scene) -> None:
    scene.pool("lan", f"{scene.lab.address(254, 0)}/24")
    scene.advertise()
    names = [f"s{number:03}" for number in range(100)]
    scene.services(names)
    for name in names[:10]:
        scene.endpoints(name, "n1", "n2")
    start(scene)
    before = one_address_each(scene, 100)
    until(lambda: len(scene.slices()) == 2, "ten are announced")
    last = names[-1]
    until(lambda: ANNOUNCED in scene.conditions(last), "who has no endpoints is told")
    end(scene)
    was, began = versions(scene), scene.mark()
    start(scene)
    scene.service("next")  # it has certainly looked at all the others when this one is served
    until(lambda: scene.shown("next"), "the next is served")
    time.sleep(1.0)
    now = versions(scene)
    del now["next"]
    assert now == was
    assert {name: found for name, found in scene.all_shown().items() if name != "next"} == before
    about = {(w["objectRef"]["resource"], _subject(w)) for w in scene.writes(began)}
    [address] = scene.shown("next")
    shard = shard_name(block_of(parse_address(address)))
    assert about == {
        ("services", "next"),
        ("events", "next"),
        ("addressledgers", shard),
        ("ipaddresspools", "lan"),
    }


def _subject(write: Json) -> str:
    reference = write["requestObject"].get("involvedObject") or write["objectRef"]
    return str(reference["name"])


def test_what_happened_while_it_was_away_is_made_good(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.202")
    scene.services(["gone", "changed"])
    scene.service("stays", loadBalancerIP="LAN.202")
    start(scene)
    scene.wait_all_shown(3)
    end(scene)
    scene.delete("gone")
    scene.change("changed", type="ClusterIP", allocateLoadBalancerNodePorts=None)
    scene.services(["new-1", "new-2"])
    start(scene)
    for name in ("new-1", "new-2"):
        until(lambda name=name: scene.shown(name), f"{name} is served")  # type: ignore[misc]
    assert scene.shown("stays") == [scene.text("LAN.202")]
    assert scene.annotation("changed") is None
    assert sorted(scene.ledger().values()) == ["new-1", "new-2", "stays"]
    assert "IPFreed" in [item["reason"] for item in scene.events("Service", "changed")]


def test_killed_at_any_moment_it_gives_no_address_twice(scene: Scene) -> None:
    dice = random.Random(5)
    began = scene.mark()
    scene.pool("lan", f"{scene.lab.address(254, 0)}/24")
    start(scene)
    names = [f"k{number:02}" for number in range(50)]

    def create() -> None:
        for name in names:
            scene.service(name)
            time.sleep(0.12)

    creating = threading.Thread(target=create)
    creating.start()
    for _ in range(3):
        time.sleep(dice.uniform(0.1, 0.6))
        scene.running["controller-1"].kill()
        start(scene)
    creating.join()
    one_address_each(scene, 50)
    never_given_twice(scene, began)


def test_killed_between_ledger_and_status_it_finishes_its_work(scene: Scene) -> None:
    scene.pool("lan", f"{scene.lab.address(254, 0)}/24")
    scene.services([f"b{number:03}" for number in range(60)])
    began = scene.mark()
    scene.start()

    def halfway() -> bool:
        written = [w for w in scene.writes(began) if w["objectRef"]["resource"] == "services"]
        return len(written) >= 5

    until(halfway, "the first statuses are written", every=0.002)
    scene.running["controller-1"].kill()
    assert len(scene.ledger()) == 60
    start(scene)
    one_address_each(scene, 60)
    never_given_twice(scene, began)


# --- adoption ------------------------------------------------------------------------------------


def test_addresses_that_metallb_gave_are_kept_without_a_write(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    for name, address in (("a", "LAN.207"), ("b", "LAN.201"), ("c", "LAN.250")):
        as_metallb_left_it(scene, name, address)
    before = versions(scene)
    start(scene)
    held = scene.texts({"LAN.207": "a", "LAN.201": "b", "LAN.250": "c"})
    until(lambda: scene.ledger() == held, "the ledger has adopted them")
    scene.service("new")
    scene.wait_shown("new", "LAN.200")
    scene.service("newer")
    scene.wait_shown("newer", "LAN.202")
    now = versions(scene)
    assert {name: now[name] for name in before} == before
    assert [item["reason"] for name in "abc" for item in scene.events("Service", name)] == []


def test_an_address_without_the_annotation_is_adopted_if_a_pool_has_it(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    as_metallb_left_it(scene, "ours", "LAN.240", pool=None)
    as_metallb_left_it(scene, "cloud", "LAN.100", pool=None)
    start(scene)
    until(lambda: scene.annotation("ours") == "lan", "the annotation says where it is from")
    assert scene.shown("ours") == [scene.text("LAN.240")]
    scene.wait_shown("cloud", "LAN.200")


def test_an_adopted_address_outside_every_pool_is_kept_and_said(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    as_metallb_left_it(scene, "old", "LAN.100", pool="gone")
    start(scene)
    sentence = 'no IPAddressPool allows ["LAN.100"] any more; the Service keeps it'
    scene.wait_event("Service", "old", "AddressOrphaned", sentence)
    assert scene.ledger() == scene.texts({"LAN.100": "old"})
    assert scene.shown("old") == [scene.text("LAN.100")]
    assert scene.annotation("old") == "gone"


def test_of_two_that_show_one_address_one_keeps_it(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.250")
    as_metallb_left_it(scene, "first", "LAN.210")
    as_metallb_left_it(scene, "second", "LAN.210")
    start(scene)
    until(lambda: len(scene.ledger()) == 2, "both have one")
    until(lambda: scene.shown("first") != scene.shown("second"), "they differ")
    assert sorted(scene.ledger()) == sorted(scene.texts(["LAN.200", "LAN.210"]))
    one_address_each(scene, 2)
