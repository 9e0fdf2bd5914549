"""Configuration that is wrong: it is said where people look, and the sound rest stays in force."""

from __future__ import annotations

import time

import pytest

from kube.scene import CONDITION, Scene
from lab.waiting import until

pytestmark = pytest.mark.kube

IPS, POOL = "metallb.io/loadBalancerIPs", "metallb.io/address-pool"
INVALID = "InvalidConfiguration"


def wait_invalid(scene: Scene, kind: str, name: str, sentence: str) -> None:
    """It is told on the object and in the log, and only once."""
    told = scene.wait_event(kind, name, INVALID, sentence)
    assert (told["type"], told["source"]["component"]) == ("Warning", "metallb-controller")
    assert scene.said(f"{kind}/{name} {sentence}") >= 1


def wait_refused(scene: Scene, name: str, sentence: str) -> None:
    until(lambda: CONDITION in scene.conditions(name), f"{name} is refused")
    assert scene.conditions(name)[CONDITION]["message"] == scene.text(sentence)


def announced(scene: Scene) -> set[str]:
    """The Services that slices announce."""
    items = [a for s in scene.slices().values() for a in s["spec"].get("announcements", [])]
    return {service["name"] for item in items for service in item["services"]}


def test_of_two_pools_that_overlap_the_younger_counts_for_nothing(scene: Scene) -> None:
    scene.pool("z-older", "LAN.200-LAN.209")
    scene.service("held")
    scene.wait_shown("held", "LAN.200")
    time.sleep(1.1)  # pools are as old as their second
    scene.pool("a-younger", "LAN.208-LAN.219")
    sentence = (
        'spec.addresses[0]: "LAN.208-LAN.219" overlaps with IPAddressPool/z-older, which is older'
    )
    wait_invalid(scene, "IPAddressPool", "a-younger", sentence)
    assert scene.events("IPAddressPool", "z-older") == []
    scene.service("new")
    scene.wait_shown("new", "LAN.201")
    scene.service("wants-younger", {POOL: "a-younger"})
    wait_refused(
        scene,
        "wants-younger",
        "pool a-younger is invalid: see the events of IPAddressPool/a-younger",
    )
    assert [e["reason"] for e in scene.events("Service", "held")] == ["IPAllocated"]
    scene.drop_pool("z-older")
    scene.wait_shown("wants-younger", "LAN.208")
    assert scene.said(f"solved: IPAddressPool/a-younger {sentence}") == 1
    assert scene.shown("held") == [scene.text("LAN.200")]


def test_an_advertisement_of_a_missing_pool_is_told_the_nearest_name(scene: Scene) -> None:
    scene.pool("production", "LAN.200-LAN.209")
    scene.advertise("front", ipAddressPools=["production", "prodution"])
    sentence = (
        'spec.ipAddressPools[1]: there is no IPAddressPool "prodution"; did you mean "production"?'
    )
    wait_invalid(scene, "L2Advertisement", "front", sentence)
    scene.service("web")
    scene.endpoints("web", "n1", "n2")
    until(lambda: announced(scene) == {"web"}, "what is sound is announced")
    scene.advertise("front", ipAddressPools=["production"])
    said = f"solved: L2Advertisement/front {sentence}"
    until(lambda: scene.said(said) == 1, "it says that it is solved")
    assert announced(scene) == {"web"}


def test_an_advertisement_before_its_pool_is_solved_when_the_pool_comes(scene: Scene) -> None:
    scene.advertise("front", ipAddressPools=["lan"])
    sentence = 'spec.ipAddressPools[0]: there is no IPAddressPool "lan"; there is no pool at all'
    wait_invalid(scene, "L2Advertisement", "front", sentence)
    before = scene.said(f"solved: L2Advertisement/front {sentence}")
    scene.pool("lan", "LAN.200-LAN.209")
    said = f"solved: L2Advertisement/front {sentence}"
    until(lambda: scene.said(said) == before + 1, "it says that it is solved")


def test_a_pool_that_becomes_invalid_keeps_its_holders(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.advertise()
    scene.service("held")
    scene.endpoints("held", "n1")
    until(lambda: announced(scene) == {"held"}, "it is announced")
    before = scene.get("held")
    scene.pool("lan", "LAN.200-LAN.209", "LAN.209/32")
    sentence = 'spec.addresses[1]: "LAN.209/32" overlaps with "LAN.200-LAN.209" of the same pool'
    wait_invalid(scene, "IPAddressPool", "lan", sentence)
    scene.service("new")
    wait_refused(scene, "new", "no available IPs (ipv4): lan: invalid")
    assert scene.get("held") == before
    assert announced(scene) == {"held"}
    assert "AddressOrphaned" not in [e["reason"] for e in scene.events("Service", "held")]
    scene.pool("lan", "LAN.200-LAN.209")
    scene.wait_shown("new", "LAN.201")
    assert scene.said(f"solved: IPAddressPool/lan {sentence}") == 1
    assert scene.get("held") == before


def test_an_invalid_pools_addresses_are_free_when_their_services_go(scene: Scene) -> None:
    scene.pool("lan", "LAN.200/32")
    scene.service("held")
    scene.wait_shown("held", "LAN.200")
    scene.pool("lan", "LAN.200/32", "LAN.200/32")
    scene.service("waits", {IPS: "LAN.200"})
    until(lambda: CONDITION in scene.conditions("waits"), "it waits")
    scene.delete("held")
    until(lambda: scene.ledger() == {}, "the address is free")
    scene.pool("lan", "LAN.200/32")
    scene.wait_shown("waits", "LAN.200")


def test_all_problems_are_told_at_once(scene: Scene) -> None:
    began = scene.mark()
    scene.pool("good", "LAN.200-LAN.209")
    scene.pool("twice", "LAN.220-LAN.229", "LAN.229-LAN.239", "LAN.239/32")
    scene.advertise("lost", ipAddressPools=["nowhere", "god"])
    itself = 'spec.addresses[1]: "LAN.229-LAN.239" overlaps with "LAN.220-LAN.229" of the same pool'
    again = 'spec.addresses[2]: "LAN.239/32" overlaps with "LAN.229-LAN.239" of the same pool'
    known = 'there are "good", "twice"'
    nowhere = f'spec.ipAddressPools[0]: there is no IPAddressPool "nowhere"; {known}'
    near = 'spec.ipAddressPools[1]: there is no IPAddressPool "god"; did you mean "good"?'
    for kind, name, sentence in (
        ("IPAddressPool", "twice", itself),
        ("IPAddressPool", "twice", again),
        ("L2Advertisement", "lost", nowhere),
        ("L2Advertisement", "lost", near),
    ):
        wait_invalid(scene, kind, name, sentence)
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    assert scene.events("IPAddressPool", "good") == []
    told = [w for w in scene.writes(began) if w["objectRef"]["resource"] == "events"]
    again = [w for w in told if w["responseStatus"]["code"] == 409]
    assert again == []
