"""What the tests of the controller share: a lab, the controller's rights, users' hands and eyes.

Users' Services live in the namespace `shop`; LAN.200 in a text stands for an address of the LAN.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lab.bare import Bare
from lab.fixtures import require
from lab.processes import Process
from lab.programs import NAMESPACE, Programs
from lab.rest import ApiError, Json
from lab.waiting import until

SHOP = "shop"
CONDITION = "bellmetal.io/AddressAllocated"
ANNOUNCED = "bellmetal.io/Announced"
POOL_ANNOTATION = "metallb.io/ip-allocated-from-pool"
FOREIGN = {
    "type": "example.com/Seen",
    "status": "True",
    "reason": "Looked",
    "message": "not ours",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
CONFIGURATION = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}"
INTERNAL = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}"
ENDPOINTS = f"/apis/discovery.k8s.io/v1/namespaces/{SHOP}/endpointslices"
MERGE = "application/merge-patch+json"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:bellmetal-controller"


@contextmanager
def stage(
    *controllers: str,
    nodes: int = 2,
    audit: bool = False,
    values: Mapping[str, Any] | None = None,
) -> Iterator[Scene]:
    """A control plane with these controllers at work, with the rights that the chart gives with
    these values; the first of them leads."""
    require()
    options = {"clients": 0, "kube_proxy": False, "controller_manager": False, "audit": audit}
    with Bare(nodes=nodes, **options) as lab:
        scene = Scene(lab, values)
        for name in controllers:
            scene.start(name)
            scene.programs.wait_leading(controllers[0])
        yield scene


class Scene:
    """One lab. Methods without an answer are what users do, the others what they see."""

    def __init__(self, lab: Bare, values: Mapping[str, Any] | None = None) -> None:
        self.lab, self.programs, self.rest = lab, Programs(lab, values), lab.rest
        self.running: dict[str, Process] = {}
        self.namespace(SHOP)

    def text(self, text: str) -> str:
        return text.replace("LAN.", self.lab.address(255, 0)[:-1])

    def texts(self, value: Any) -> Any:
        """The same in everything that JSON can hold."""
        return json.loads(self.text(json.dumps(value)))

    # --- controllers ------------------------------------------------------------------------------

    def start(self, name: str = "controller-1", *flags: str) -> Process:
        self.running[name] = self.programs.controller(name, *flags)
        return self.running[name]

    def log(self) -> list[Json]:
        """What all controllers have logged, by line; a crash has lines that are no JSON."""
        lines = "".join(process.log() for process in {*self.running.values()}).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, sentence: str) -> int:
        """How many lines of log say this, wholly."""
        return sum(line["msg"] == self.text(sentence) for line in self.log())

    # --- Services ---------------------------------------------------------------------------------

    def namespace(self, name: str, **labels: str) -> None:
        self.rest.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})

    def service(
        self,
        name: str,
        annotations: Mapping[str, str] | None = None,
        *,
        namespace: str = SHOP,
        labels: Mapping[str, str] | None = None,
        finalizers: Iterable[str] = (),
        **spec: Any,
    ) -> None:
        """Creates a Service of type LoadBalancer."""
        body = {
            "metadata": {
                "name": name,
                "annotations": self.texts(annotations or {}),
                "labels": dict(labels or {}),
                "finalizers": list(finalizers),
            },
            "spec": {
                "type": "LoadBalancer",
                "ports": [{"port": 80}],
                "allocateLoadBalancerNodePorts": False,
                **self.texts(spec),
            },
        }
        if body["spec"]["type"] != "LoadBalancer":
            del body["spec"]["allocateLoadBalancerNodePorts"]
        self.rest.post(f"/api/v1/namespaces/{namespace}/services", body)

    def services(self, names: Iterable[str], **spec: Any) -> None:
        """Many of them, some at a time."""
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: self.service(name, **spec), names))

    def change(
        self, name: str, annotations: Mapping[str, str | None] | None = None, **spec: Any
    ) -> None:
        body: Json = {"metadata": {"annotations": self.texts(annotations or {})}}
        self.rest.patch(_path(name), body | {"spec": self.texts(spec)})

    def replace_ports(self, name: str, ports: list[Json]) -> None:
        """All its ports at once: a strategic merge would add to them."""
        self.rest.request("PATCH", _path(name), {"spec": {"ports": ports}}, MERGE)

    def write_status(self, name: str, **status: Any) -> None:
        """What somebody else writes into a Service's status."""
        self.rest.patch(f"{_path(name)}/status", {"status": self.texts(status)})

    def delete(self, name: str) -> None:
        self.rest.request("DELETE", _path(name))

    def delete_without_the_api(self, name: str) -> None:
        """Takes a Service out of etcd: no watch can tell of it."""
        key = base64.b64encode(f"/registry/services/specs/{SHOP}/{name}".encode()).decode()
        url = "http://127.0.0.1:2379/v3/kv/deleterange"
        host = self.lab.control_plane_host
        answer = host.run(["curl", "-sS", url, "-d", json.dumps({"key": key})]).stdout
        assert json.loads(answer)["deleted"] == "1"

    def get(self, name: str, namespace: str = SHOP) -> Json:
        return self.rest.get(_path(name, namespace))

    def shown(self, name: str, namespace: str = SHOP) -> list[str]:
        """The addresses in its status."""
        return _addresses(self.get(name, namespace))

    def all_shown(self) -> dict[str, list[str]]:
        """The addresses of every Service in `shop`."""
        items = self.rest.get(f"/api/v1/namespaces/{SHOP}/services")["items"]
        return {item["metadata"]["name"]: _addresses(item) for item in items}

    def annotation(self, name: str) -> str | None:
        """The pool that it is said to have its address from."""
        value: str | None = self.get(name)["metadata"].get("annotations", {}).get(POOL_ANNOTATION)
        return value

    def conditions(self, name: str) -> dict[str, Json]:
        found = self.get(name)["status"].get("conditions", [])
        return {item["type"]: item for item in found}

    def wait_shown(self, name: str, address: str, timeout: float = 20) -> None:
        """Until it shows this address alone; with an empty text: none."""
        wanted = [self.text(address)] if address else []
        until(lambda: self.shown(name) == wanted, f"{name} shows {wanted}", timeout)

    def wait_shows(self, name: str, *addresses: str, timeout: float = 20) -> None:
        """Until it shows these addresses, in this order."""
        wanted = [self.text(address) for address in addresses]
        until(lambda: self.shown(name) == wanted, f"{name} shows {wanted}", timeout)

    def wait_condition(self, name: str, type_: str, reason: str, sentence: str) -> Json:
        """The condition of that type, once it says this."""
        wanted = (reason, self.text(sentence))

        def found() -> Json | None:
            item = self.conditions(name).get(type_)
            return item if item and (item["reason"], item["message"]) == wanted else None

        return until(found, f"{name} has the condition {wanted}") or {}

    def wait_all_shown(
        self, count: int, timeout: float = 30, every: float = 0.1
    ) -> dict[str, list[str]]:
        """Until so many Services of `shop` show an address."""

        def ready() -> bool:
            return sum(map(bool, self.all_shown().values())) >= count

        until(ready, f"{count} Services show an address", timeout, every)
        return self.all_shown()

    # --- pools, advertisements, endpoints ---------------------------------------------------------

    def pool(
        self,
        name: str,
        *addresses: str,
        annotations: Mapping[str, str | None] | None = None,
        **spec: Any,
    ) -> None:
        """Creates an IPAddressPool, or changes the one of that name."""
        spec = {"addresses": addresses, **spec}
        self.configure("ipaddresspools", "IPAddressPool", name, spec, annotations)

    def advertise(self, name: str = "everywhere", **spec: Any) -> None:
        self.configure("l2advertisements", "L2Advertisement", name, spec)

    def configure(
        self,
        plural: str,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        annotations: Mapping[str, str | None] | None = None,
    ) -> None:
        """Creates an object of metallb.io, or changes the one of that name."""
        metadata = {"name": name, "annotations": self.texts(annotations or {})}
        body = {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata}
        body |= {"spec": self.texts(spec)}
        try:
            self.rest.post(f"{CONFIGURATION}/{plural}", body)
        except ApiError as error:
            if error.status != 409:
                raise
            path = f"{CONFIGURATION}/{plural}/{name}"
            changes = {"metadata": {"annotations": metadata["annotations"]}, "spec": body["spec"]}
            self.rest.request("PATCH", path, changes, MERGE)

    def drop_pool(self, name: str) -> None:
        self.rest.request("DELETE", f"{CONFIGURATION}/ipaddresspools/{name}")

    def drop_advertisement(self, name: str) -> None:
        self.rest.request("DELETE", f"{CONFIGURATION}/l2advertisements/{name}")

    def endpoints(self, name: str, *nodes: str) -> None:
        """Says that these nodes serve a Service."""
        ready = {"conditions": {"ready": True}}
        items = [{"addresses": ["10.244.1.5"], "nodeName": node, **ready} for node in nodes]
        metadata = {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
        ports = [{"name": "", "port": 80}]
        body = {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": items}
        self.rest.post(ENDPOINTS, body)

    # --- nodes and speakers -----------------------------------------------------------------------

    def node(
        self, name: str, annotations: Mapping[str, str | None] | None = None, **spec: Any
    ) -> None:
        """Changes a Node."""
        body = {"metadata": {"annotations": dict(annotations or {})}, "spec": spec}
        self.rest.request("PATCH", f"/api/v1/nodes/{name}", body, MERGE)

    def report(self, node: str, boot: str = "1", **interfaces: Iterable[str]) -> None:
        """What the speaker of a node would report: its interfaces with their subnets."""
        found = [
            {"name": name, "up": True, "subnets": self.texts(list(subnets))}
            for name, subnets in interfaces.items()
        ]
        status = {"version": 1, "bootID": boot, "interfaces": found}
        path = f"{INTERNAL}/speakerreports"
        try:
            self.rest.request("PATCH", f"{path}/{node}", {"status": status}, MERGE)
        except ApiError as error:
            if error.status != 404:
                raise
            body = {"apiVersion": "bellmetal.io/v1alpha1", "kind": "SpeakerReport"}
            self.rest.post(path, body | {"metadata": {"name": node}, "status": status})

    # --- what came of it --------------------------------------------------------------------------

    def events(self, kind: str, name: str) -> list[Json]:
        """The events about an object, oldest first."""
        namespace = SHOP if kind == "Service" else NAMESPACE
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        path = f"/api/v1/namespaces/{namespace}/events?fieldSelector={selector}"
        items: list[Json] = self.rest.get(path)["items"]
        return sorted(items, key=lambda item: int(item["metadata"]["resourceVersion"]))

    def wait_event(self, kind: str, name: str, reason: str, sentence: str) -> Json:
        """The event of that reason that says this, wholly."""
        wanted = (reason, self.text(sentence))

        def found() -> list[Json]:
            about = self.events(kind, name)
            return [item for item in about if (item["reason"], item["message"]) == wanted]

        return until(found, f"{kind}/{name} has the event {wanted}", 15, every=0.1)[0]

    def ledger(self) -> dict[str, str]:
        """Every address that is held, and the name of the Service that holds it."""
        shards = self.rest.get(f"{INTERNAL}/addressledgers")["items"]
        entries = [pair for shard in shards for pair in shard["spec"].get("entries", {}).items()]
        return {
            address: ",".join(holder["name"] for holder in entry["holders"])
            for address, entry in entries
            if entry.get("holders")
        }

    def slices(self) -> dict[str, Json]:
        """The AnnouncementSlices by name."""
        items = self.rest.get(f"{INTERNAL}/announcementslices")["items"]
        return {item["metadata"]["name"]: item for item in items}

    def writes(self, since: int = 0) -> list[Json]:
        """What controllers wrote (with audit), besides the Lease, from a place in the audit log."""
        return [
            item
            for item in self.lab.control_plane.audit_events()[since:]
            if item["user"].get("username") == ACCOUNT
            and item["verb"] not in ("get", "list", "watch")
            and item["objectRef"]["resource"] != "leases"
        ]

    def mark(self) -> int:
        """This place in the audit log."""
        return len(self.lab.control_plane.audit_events())

    def announced(self, name: str) -> Json | None:
        """What the slices say of a Service's first address, with the nodes of its set."""
        slices = self.slices().values()
        sets = {one["name"]: one for item in slices for one in item["spec"].get("nodeSets", [])}
        for item in slices:
            for found in item["spec"].get("announcements", []):
                if any(service["name"] == name for service in found["services"]):
                    node_set = sets[found["nodeSet"]]
                    nodes = sorted(node["name"] for node in node_set.get("nodes", []))
                    return {**found, "nodes": nodes, "networks": node_set.get("networks", [])}
        return None

    # --- between tests ----------------------------------------------------------------------------

    def clear(self) -> None:
        """Removes what users made, and waits until the controller has freed every address."""
        for path in (
            ENDPOINTS,
            f"/api/v1/namespaces/{SHOP}/services",
            f"{CONFIGURATION}/l2advertisements",
            f"{CONFIGURATION}/ipaddresspools",
        ):
            self.rest.request("DELETE", path, timeout=60)
        until(lambda: not self.ledger(), "all addresses are free")
        for namespace in (SHOP, NAMESPACE):
            self.rest.request("DELETE", f"/api/v1/namespaces/{namespace}/events")


def one_address_each(scene: Scene, count: int) -> dict[str, list[str]]:
    """All Services have one address, none has another's, and the ledger says the same."""
    shown = scene.wait_all_shown(count)
    assert len(shown) == count
    assert {len(addresses) for addresses in shown.values()} == {1}

    def agree() -> bool:
        now = scene.all_shown().items()
        return scene.ledger() == {address: name for name, found in now for address in found}

    until(agree, "statuses and ledger say the same", 10, every=0.1)
    assert len(scene.ledger()) == count
    return shown


def never_given_twice(scene: Scene, since: int) -> None:
    """By the audit log, whatever was shown and taken back: no address had two Services."""
    given: dict[str, set[str]] = {}
    for item in scene.writes(since):
        if item["objectRef"]["resource"] == "services" and item["responseStatus"]["code"] < 300:
            balancer = item["requestObject"].get("status", {}).get("loadBalancer", {})
            for entry in balancer.get("ingress") or []:
                given.setdefault(entry["ip"], set()).add(item["objectRef"]["name"])
    assert {address: names for address, names in given.items() if len(names) > 1} == {}


def _path(name: str, namespace: str = SHOP) -> str:
    return f"/api/v1/namespaces/{namespace}/services/{name}"


def _addresses(body: Json) -> list[str]:
    ingress = body["status"].get("loadBalancer", {}).get("ingress", [])
    return [entry["ip"] for entry in ingress]
