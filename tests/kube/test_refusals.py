"""Services that get no address: what they are told, and that they get one in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kube.scene import CONDITION, FOREIGN, SHOP, Scene
from lab.waiting import until

pytestmark = pytest.mark.kube

IPS, POOL = "metallb.io/loadBalancerIPs", "metallb.io/address-pool"


@dataclass
class Row:
    """A Service that asks in vain, why, and what cures it. ``other`` has LAN.200 all the time."""

    sentence: str
    reason: str
    address: str  # what it gets in the end
    cure: Callable[[Scene], object]
    annotations: dict[str, str | None] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "by annotation and in the spec": Row(
        "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP:"
        " keep the annotation, the field is deprecated in Kubernetes",
        "BadRequest",
        "LAN.203",
        lambda scene: scene.change("web", {IPS: None}),
        annotations={IPS: "LAN.202"},
        spec={"loadBalancerIP": "LAN.203"},
    ),
    "an annotation that is no address": Row(
        'invalid metallb.io/loadBalancerIPs: "LAN.2x2": write addresses with commas between them,'
        ' as in "192.0.2.1,2001:db8::1"',
        "BadRequest",
        "LAN.202",
        lambda scene: scene.change("web", {IPS: "LAN.202"}),
        annotations={IPS: "LAN.2x2"},
    ),
    "two addresses of one family": Row(
        'IPFamilyForAddresses: same address family ["LAN.201" "LAN.202"]:'
        " for several see bellmetal.io/addresses-per-family",
        "BadRequest",
        "LAN.202",
        lambda scene: scene.change("web", {IPS: "LAN.202"}),
        annotations={IPS: "LAN.201, LAN.202"},
    ),
    "an address outside every pool": Row(
        '["LAN.230"] is not allowed in config: no IPAddressPool contains it',
        "AddressNotInPools",
        "LAN.230",
        lambda scene: scene.pool("more", "LAN.230-LAN.239"),
        spec={"loadBalancerIP": "LAN.230"},
    ),
    "an address that another has": Row(
        'can\'t change sharing key for "shop/web", address also in use by shop/other '
        "(LAN.200: neither has the annotation metallb.io/allow-shared-ip)",
        "AddressTaken",
        "LAN.200",
        lambda scene: scene.delete("other"),
        annotations={IPS: "LAN.200"},
    ),
    "a pool that is not there": Row(
        'unknown pool "dmz"; there are closed, lan, one',
        "UnknownPool",
        "LAN.230",
        lambda scene: scene.pool("dmz", "LAN.230-LAN.239"),
        annotations={POOL: "dmz"},
    ),
    "a pool that is full": Row(
        "no available IPs in pool one",
        "NoAddressLeft",
        "LAN.200",
        lambda scene: scene.delete("other"),
        annotations={POOL: "one"},
    ),
    "an address of another pool": Row(
        'requested loadBalancer IP(s) ["LAN.203"] is not compatible with requested '
        "address pool one: it is in lan",
        "BadRequest",
        "LAN.203",
        lambda scene: scene.change("web", {POOL: "lan"}),
        annotations={IPS: "LAN.203", POOL: "one"},
    ),
    "a pool for other namespaces": Row(
        "pool closed not compatible for ip assignment",
        "PoolNotCompatible",
        "LAN.220",
        lambda scene: scene.pool("closed", "LAN.220/32", serviceAllocation={"namespaces": [SHOP]}),
        annotations={POOL: "closed"},
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_it_is_told_why_and_served_when_the_cause_is_gone(scene: Scene, row: Row) -> None:
    scene.pool("lan", "LAN.201-LAN.209", autoAssign=False)
    scene.pool("one", "LAN.200/32")
    scene.pool("closed", "LAN.220/32", serviceAllocation={"namespaces": ["elsewhere"]})
    scene.service("other")
    scene.wait_shown("other", "LAN.200")
    scene.service("web", type="ClusterIP")
    scene.write_status("web", conditions=[FOREIGN])
    scene.change("web", row.annotations, type="LoadBalancer", **row.spec)
    until(lambda: CONDITION in scene.conditions("web"), "it is refused")
    conditions = scene.conditions("web")
    condition = conditions[CONDITION]
    assert (condition["status"], condition["reason"]) == ("False", row.reason)
    assert condition["message"] == scene.text(row.sentence)
    assert conditions[FOREIGN["type"]] == FOREIGN
    sentence = f'Failed to allocate IP for "shop/web": {row.sentence}'
    told = scene.wait_event("Service", "web", "AllocationFailed", sentence)
    assert (told["type"], told["source"]["component"]) == ("Warning", "metallb-controller")
    assert scene.shown("web") == []
    row.cure(scene)
    scene.wait_shown("web", row.address)
    assert scene.conditions("web") == {FOREIGN["type"]: FOREIGN}
    failures = [e for e in scene.events("Service", "web") if e["reason"] == "AllocationFailed"]
    assert len(failures) == 1


def test_without_any_pool_it_is_told_so_and_served_when_there_is_one(scene: Scene) -> None:
    scene.service("web")
    until(lambda: CONDITION in scene.conditions("web"), "it is refused")
    message = "no available IPs: there is no IPAddressPool"
    assert scene.conditions("web")[CONDITION]["message"] == message
    scene.pool("lan", "LAN.200-LAN.209")
    scene.wait_shown("web", "LAN.200")


def test_when_all_pools_are_full_and_one_grows(scene: Scene) -> None:
    scene.pool("lan", "LAN.200/32")
    scene.service("first")
    scene.wait_shown("first", "LAN.200")
    scene.service("second")
    sentence = 'Failed to allocate IP for "shop/second": no available IPs (ipv4): lan: all in use'
    scene.wait_event("Service", "second", "AllocationFailed", sentence)
    scene.pool("lan", "LAN.200/31")
    scene.wait_shown("second", "LAN.201")
    assert scene.conditions("second") == {}


def test_one_that_asks_for_more_keeps_what_it_has(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    scene.change("web", {POOL: "dmz"})
    until(lambda: CONDITION in scene.conditions("web"), "it is refused")
    assert scene.shown("web") == [scene.text("LAN.200")]
    scene.change("web", {POOL: None})
    until(lambda: scene.conditions("web") == {}, "the condition is gone")
    assert scene.shown("web") == [scene.text("LAN.200")]
