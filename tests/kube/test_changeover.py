"""200 Services as MetalLB leaves them: Bellmetal adopts all, and writes to none of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from kube.scene import CONFIGURATION, POOL_ANNOTATION, SHOP, Scene, stage
from lab.rest import ApiError, Json
from lab.waiting import until

pytestmark = pytest.mark.kube

IPS, OLD_IPS = "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"
ASKED, SHARED = "metallb.io/address-pool", "metallb.io/allow-shared-ip"
KINDS = ("ipaddresspools", "l2advertisements", "bgpadvertisements", "communities", "bfdprofiles")
OTHER = "pinned-to"  # the namespace that a pool is for


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with stage(audit=True) as scene:
        yield scene


@dataclass
class Shape:
    """A Service as MetalLB leaves it: addresses in its status, and the pool as an annotation."""

    name: str
    addresses: tuple[str, ...]
    pool: str
    annotations: Json = field(default_factory=dict)
    spec: Json = field(default_factory=dict)
    namespace: str = SHOP


def shapes() -> Iterator[Shape]:
    """Two hundred, of every kind that there is; those of a pool with gaps between them."""
    for n in range(90):
        yield Shape(f"plain-{n}", (f"LAN.{n * 2 + 3}",), "lan", spec={"ports": [{"port": 80}]})
    for n in range(20):  # ten pairs, each on one address
        spec = {"ports": [{"port": 8000 + n}]}
        yield Shape(f"shared-{n}", (f"198.51.100.{n // 2}",), "shared", {SHARED: "key"}, spec)
    for n in range(20):
        spec = {"ipFamilyPolicy": "RequireDualStack"}
        both = (f"203.0.113.{n}", f"2001:db8::{n:x}" if n else "2001:db8::100")
        yield Shape(f"dual-{n}", both, "dual", spec=spec)
    for n in range(10):
        spec = {"ipFamilyPolicy": "PreferDualStack", "externalTrafficPolicy": "Local"}
        yield Shape(f"prefers-{n}", (f"203.0.113.{n + 50}", f"2001:db8::5{n:x}"), "dual", spec=spec)
    for n in range(15):
        address = f"198.51.100.{n + 100}"
        yield Shape(f"asks-{n}", (address,), "shared", {IPS: address})
        address = f"198.51.100.{n + 120}"
        yield Shape(f"asks-as-before-{n}", (address,), "shared", {OLD_IPS: address})
    for n in range(10):
        address = f"198.51.100.{n + 140}"
        yield Shape(f"asks-in-spec-{n}", (address,), "shared", spec={"loadBalancerIP": address})
    for n in range(10):
        yield Shape(f"picked-{n}", (f"198.18.0.{n}",), "by-name", {ASKED: "by-name"})
    for n in range(10):
        yield Shape(f"pinned-{n}", (f"198.19.0.{n + 7}",), "pinned", namespace=OTHER)


POOLS: dict[str, Json] = {
    "lan": {"addresses": ["LAN.0-LAN.255"]},
    "shared": {"addresses": ["198.51.100.0/24"]},
    "dual": {"addresses": ["203.0.113.0/24", "2001:db8::/112"]},
    "by-name": {"addresses": ["198.18.0.0/28"], "autoAssign": False},
    "pinned": {
        "addresses": ["198.19.0.0/24"],
        "serviceAllocation": {"priority": 5, "namespaces": [OTHER]},
    },
}
COUNTS = {  # what MetalLB has counted: assigned and available, IPv4 and IPv6
    "lan": (90, 166, 0, 0),
    "shared": (50, 206, 0, 0),
    "dual": (30, 226, 30, 65506),
    "by-name": (10, 6, 0, 0),
    "pinned": (10, 246, 0, 0),
}


def left_by_metallb(scene: Scene) -> None:
    """Pools with their counts, and Services with all that MetalLB writes into them."""
    scene.namespace(OTHER)
    for name, spec in POOLS.items():
        scene.configure("ipaddresspools", "IPAddressPool", name, spec)
        words = ("assignedIPv4", "availableIPv4", "assignedIPv6", "availableIPv6")
        status = dict(zip(words, COUNTS[name], strict=True))
        path = f"{CONFIGURATION}/ipaddresspools/{name}/status"
        scene.rest.request("PATCH", path, {"status": status}, "application/merge-patch+json")
    scene.advertise()
    with ThreadPoolExecutor(6) as workers:
        list(workers.map(lambda shape: leave(scene, shape), shapes()))


def leave(scene: Scene, shape: Shape) -> None:
    scene.service(shape.name, shape.annotations, namespace=shape.namespace, **shape.spec)
    path = f"/api/v1/namespaces/{shape.namespace}/services/{shape.name}/status"
    ingress = [{"ip": scene.text(address)} for address in shape.addresses]
    body = {
        "metadata": {"annotations": {POOL_ANNOTATION: shape.pool}},
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    scene.rest.patch(path, body)


def objects(scene: Scene) -> dict[str, Json]:
    """Every object of users, whole."""
    paths = [f"/api/v1/namespaces/{name}/services" for name in (SHOP, OTHER)]
    paths += [f"{CONFIGURATION}/{kind}" for kind in KINDS]
    return {
        f"{path}/{item['metadata']['name']}": item
        for path in paths
        for item in scene.rest.get(f"{path}?limit=1000")["items"]
    }


def ledger(scene: Scene) -> set[str]:
    """The addresses in it; a server whose CRDs are new may be busy with them (429)."""
    try:
        return set(scene.ledger())
    except ApiError as error:
        if error.status != 429:
            raise
        return set()


def test_200_services_are_adopted_and_none_is_written_to(scene: Scene) -> None:
    left_by_metallb(scene)
    before, mark = objects(scene), scene.mark()
    wanted = {scene.text(address) for shape in shapes() for address in shape.addresses}
    assert sum(path.startswith("/api/v1") for path in before) == 200
    scene.start("controller-1")
    until(lambda: ledger(scene) == wanted, "the ledger has every address", 60)
    scene.service("new", {ASKED: "lan"})  # once it has one, the pass of all others is over
    until(lambda: scene.shown("new"), "a new Service has an address", 30)
    scene.delete("new")
    after = objects(scene)
    after.pop(f"/api/v1/namespaces/{SHOP}/services/new", None)
    before_pool, after_pool = (
        found.pop(f"{CONFIGURATION}/ipaddresspools/lan") for found in (before, after)
    )
    assert after_pool["spec"] == before_pool["spec"]  # its counts followed the new Service
    assert after == before
    touched = {
        (item["objectRef"]["resource"], item["objectRef"].get("name"))
        for item in scene.writes(mark)
        if item["objectRef"]["resource"] in ("services", *KINDS)
    }
    assert touched <= {("services", "new"), ("ipaddresspools", "lan")}
