"""Somebody who may only edit the Services of one namespace, and means no good: nothing is taken
that is not allowed to them, and what is said about them stays small.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
import yaml

from bellmetal.events import FEW
from bench.figures import rss
from kube.scene import CONDITION, MERGE, SHOP, Scene, stage
from lab.rest import ApiError, Json, Rest
from lab.waiting import until

pytestmark = pytest.mark.kube

EVIL = "evil"
IPS, POOL, KEY = (
    f"metallb.io/{name}" for name in ("loadBalancerIPs", "address-pool", "allow-shared-ip")
)
MOST_MESSAGE, MOST_EVENTS = 1100, 12
FAT = 150  # Services that say a great deal
ROLE = {
    "kind": "Role",
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "metadata": {"name": "tenant", "namespace": EVIL},
    "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["*"]}],
}
BINDING = {
    "kind": "RoleBinding",
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "metadata": {"name": "tenant", "namespace": EVIL},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"},
    "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": EVIL}],
}


class Tenant:
    """The hands of that somebody."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        scene.namespace(EVIL)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant"}}
        account["metadata"]["namespace"] = EVIL  # type: ignore[index]
        scene.lab.apply([account, ROLE, BINDING])
        config = scene.lab.service_account_kubeconfig(EVIL, "tenant")
        token = yaml.safe_load(config.read_text())["users"][0]["user"]["token"]
        admin = scene.rest
        self.rest = Rest(admin.host, admin.port, admin.ca, token)
        self.path = f"/api/v1/namespaces/{EVIL}/services"

    def service(self, name: str, annotations: dict[str, str] | None = None, **spec: object) -> None:
        ports = [{"port": 80}]
        base = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": ports}
        meta = {"name": name, "annotations": self.scene.texts(annotations or {})}
        self.rest.post(self.path, {"metadata": meta, "spec": base | self.scene.texts(spec)})

    def patch(self, name: str, body: Json, sub: str = "") -> None:
        self.rest.request("PATCH", f"{self.path}/{name}{sub}", self.scene.texts(body), MERGE)

    def shown(self, name: str) -> list[str]:
        return self.scene.shown(name, EVIL)

    def refused(self, name: str) -> str:
        """The sentence that says why it has no address."""

        def found() -> str:
            status = self.scene.get(name, EVIL)["status"]
            items = {item["type"]: item for item in status.get("conditions", [])}
            return str(items.get(CONDITION, {}).get("message", ""))

        return until(found, f"{name} is refused")

    def events(self) -> list[Json]:
        items: list[Json] = self.scene.rest.get(f"/api/v1/namespaces/{EVIL}/events")["items"]
        return items


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A pool for all, a pool for `shop` alone."""
    with stage("controller-1") as scene:
        reserved = {"bellmetal.io/reserve": "LAN.210=shop/payments"}
        scene.pool("open", "LAN.200-LAN.219", annotations=reserved)
        scene.pool("shops", "LAN.230-LAN.239", serviceAllocation={"namespaces": [SHOP]})
        scene.service("honest", {IPS: "LAN.200", KEY: "ours"})
        scene.service("private", {POOL: "shops"})
        scene.wait_shown("honest", "LAN.200")
        scene.wait_shown("private", "LAN.230")
        yield scene


@pytest.fixture(scope="module")
def tenant(scene: Scene) -> Tenant:
    return Tenant(scene)


@pytest.fixture(autouse=True)
def nothing_is_lost(scene: Scene, tenant: Tenant) -> Iterator[None]:
    """After every attack others have what they had, and a new one is served."""
    yield
    assert scene.shown("honest") == [scene.text("LAN.200")]
    assert scene.shown("private") == [scene.text("LAN.230")]
    tenant.rest.request("DELETE", tenant.path, timeout=60)
    until(lambda: EVIL not in str(holders(scene)), "what the tenant had is free")
    scene.service("later")
    until(lambda: scene.shown("later"), "another namespace is served")
    scene.delete("later")
    assert scene.running["controller-1"].alive
    assert "Traceback" not in scene.running["controller-1"].log()
    for event in tenant.events():
        assert len(event["message"]) <= MOST_MESSAGE
        assert event["message"].isprintable(), event["message"]


def holders(scene: Scene) -> list[Json]:
    path = "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/addressledgers"
    shards = scene.rest.get(path)["items"]
    return [
        e["holders"]
        for s in shards
        for e in s["spec"].get("entries", {}).values()
        if "holders" in e
    ]


TAKING = [
    ({IPS: "LAN.200"}, "another's address"),
    ({IPS: "LAN.200", KEY: "guessed"}, "another's address by a wrong key"),
    ({IPS: "LAN.210"}, "an address reserved for another"),
    ({IPS: "LAN.235"}, "an address of a pool for others"),
    ({POOL: "shops"}, "a pool for others"),
    ({IPS: "192.0.2.1"}, "an address of no pool"),
    ({IPS: ",".join(f"LAN.{n}" for n in range(201, 210))}, "nine addresses at once"),
    ({IPS: "LAN.201,\x01\x02é\nLAN.202"}, "nonsense"),
    ({IPS: "x" * 200_000}, "a giant word"),
    ({POOL: "y" * 200_000}, "a giant name"),
    ({KEY: "k" * 200_000, IPS: "LAN.200"}, "a giant key"),
]


@pytest.mark.parametrize("annotations", [row[0] for row in TAKING], ids=[row[1] for row in TAKING])
def test_what_is_not_theirs_is_refused_in_a_short_sentence(
    tenant: Tenant, annotations: dict[str, str]
) -> None:
    tenant.service("thief", annotations)
    said = tenant.refused("thief")
    assert tenant.shown("thief") == []
    assert len(said) <= MOST_MESSAGE
    assert said.isprintable(), said


def test_the_status_is_not_theirs_to_write(tenant: Tenant) -> None:
    tenant.service("forger", {POOL: "shops"})
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "LAN.200"}]}}}
    with pytest.raises(ApiError, match="cannot patch resource"):
        tenant.patch("forger", status, "/status")
    tenant.patch("forger", status)
    assert tenant.shown("forger") == []


def test_an_annotation_of_ours_that_is_forged_gives_nothing(scene: Scene, tenant: Tenant) -> None:
    tenant.service("claims", {"metallb.io/ip-allocated-from-pool": "shops", POOL: "shops"})
    assert "shops" in tenant.refused("claims")
    assert tenant.shown("claims") == []


def test_as_many_annotations_as_the_api_takes(tenant: Tenant) -> None:
    many = {f"bellmetal.io/a{number}": "" for number in range(10_000)}
    assert len(json.dumps(many)) < 262_144
    tenant.service("many", many)
    until(lambda: tenant.shown("many"), "it is served all the same", 60)
    until(lambda: about(tenant, "many"), "it is told")
    assert len(about(tenant, "many")) <= MOST_EVENTS


def about(tenant: Tenant, name: str) -> list[Json]:
    return [item for item in tenant.events() if item["involvedObject"]["name"] == name]


def test_a_quota_is_not_gone_round(scene: Scene, tenant: Tenant) -> None:
    quota = {"metadata": {"annotations": {"bellmetal.io/address-quota": "3"}}}
    scene.rest.request("PATCH", f"/api/v1/namespaces/{EVIL}", quota, MERGE)
    names = [f"q{number}" for number in range(8)]
    for name in names:
        tenant.service(name)
    for number in range(30):  # away, back, deleted, made again, with other wishes
        name = names[number % len(names)]
        match number % 3:
            case 0:
                tenant.patch(name, {"spec": {"type": "ClusterIP"}})
                tenant.patch(name, {"spec": {"type": "LoadBalancer"}})
            case 1:
                tenant.rest.request("DELETE", f"{tenant.path}/{name}")
                tenant.service(name, {"bellmetal.io/addresses-per-family": "4"})
            case _:
                tenant.patch(name, {"metadata": {"annotations": {IPS: f"LAN.{201 + number % 9}"}}})
        held = {ip for other in names for ip in shown(tenant, other)}
        assert len(held) <= 3, held
    reset = {"metadata": {"annotations": {"bellmetal.io/address-quota": None}}}
    scene.rest.request("PATCH", f"/api/v1/namespaces/{EVIL}", reset, MERGE)


def shown(tenant: Tenant, name: str) -> list[str]:
    try:
        return tenant.shown(name)
    except ApiError as error:
        if error.status != 404:
            raise
        return []


def test_not_every_edit_makes_an_event(scene: Scene, tenant: Tenant) -> None:
    tenant.service("flips", {IPS: "LAN.200"})
    tenant.refused("flips")
    for number in range(200):
        wish = f"LAN.200,{number}" if number % 2 else "LAN.210"
        tenant.patch("flips", {"metadata": {"annotations": {IPS: wish}}})
    scene.service("between")
    until(lambda: scene.shown("between"), "another one is served")
    scene.delete("between")
    print(f"events about a Service that was edited 200 times: {len(about(tenant, 'flips'))}")
    assert len(about(tenant, "flips")) <= FEW + 5, "and one in ten seconds"


def test_services_that_say_a_great_deal_are_taken_in(scene: Scene, tenant: Tenant) -> None:
    """Annotations of 200 kB each, which nobody reads, or which are refused: 30 MB in all."""
    pid = scene.running["controller-1"].pid
    before = rss(pid)
    for number in range(FAT):
        name = "example.com/notes" if number % 2 else IPS
        tenant.service(f"fat{number}", {name: "x" * 200_000})
    scene.service("between")
    until(lambda: scene.shown("between"), "another namespace is served")
    tenant.refused(f"fat{FAT - 2}")
    scene.delete("between")
    grown = rss(pid) - before
    print(f"{FAT} Services with 200 kB of annotations: the controller has {grown:.1f} MB more")
    assert grown < 100, "what is on its way takes room, what was read does not stay"


def test_others_are_served_while_somebody_edits_all_the_time(scene: Scene, tenant: Tenant) -> None:
    names = [f"busy{number}" for number in range(10)]
    for name in names:
        tenant.service(name)
    calm = [served(scene, f"calm{number}") for number in range(5)]
    ends = time.monotonic() + 10.0
    with ThreadPoolExecutor(4) as pool:
        edits = [pool.submit(edited, tenant, name, ends) for name in names[:4]]
        pressed = [served(scene, f"pressed{number}") for number in range(5)]
        done = sum(edit.result() for edit in edits)
    print(
        f"{done / 10:.0f} edits a second by one namespace: another one's new Service is served"
        f" after {median(pressed) * 1000:.0f} ms (before: {median(calm) * 1000:.0f} ms)"
    )
    assert done > 100


def edited(tenant: Tenant, name: str, ends: float) -> int:
    """Its address changes, again and again; how often."""
    count = 0
    while time.monotonic() < ends:
        tenant.patch(name, {"metadata": {"annotations": {IPS: f"LAN.{201 + count % 9}"}}})
        count += 1
    return count


def served(scene: Scene, name: str) -> float:
    """A Service of another namespace has an address after so many seconds."""
    began = time.monotonic()
    scene.service(name)
    until(lambda: scene.shown(name), f"{name} is served", every=0.01)
    took = time.monotonic() - began
    scene.delete(name)
    return took
