"""A cluster with a stand-in of MetalLB at work, clients that connect, and eyes on what changes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import metallb_stand_in as stand_in
from lab import make_image
from lab.cluster import Cluster
from lab.paths import HERE, REPOSITORY
from lab.prober import Prober
from lab.rest import Json
from lab.screen import Screen
from lab.steps import SYSTEM, Steps
from lab.waiting import until

BELLMETAL = f"{sys.executable} -m bellmetal"
SERVICES = ("svc1", "svc2", "svc3")
METALLB = f"/apis/metallb.io/v1beta1/namespaces/{SYSTEM}"
USERS = (
    "/api/v1/namespaces/default/services",
    f"{METALLB}/ipaddresspools",
    f"{METALLB}/l2advertisements",
)
OBJECTS = """\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: lan, namespace: metallb-system}}
spec: {{addresses: [{first}-{last}]}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {{name: lan, namespace: metallb-system}}
"""
HOLD = """
import socket, sys
found = socket.create_connection((sys.argv[1], 80), 5)
print("connected", flush=True)
sys.stdin.readline()
found.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(found.recv(100).split(b"\\r\\n")[0].decode(), flush=True)
"""


def objects() -> list[Json]:
    """What the stand-in's chart has: programs that do what is seen of MetalLB."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "metallb", "namespace": SYSTEM},
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "metallb-stand-in"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "metallb", "namespace": SYSTEM}],
    }
    code = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "metallb-code", "namespace": SYSTEM},
        "data": {file.name: file.read_text() for file in (HERE / "metallb").glob("*.py")},
    }
    pod = {
        "serviceAccountName": "metallb",
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "code", "configMap": {"name": "metallb-code"}}],
    }
    return [account, binding, code, _controller(pod), _speaker(pod)]


def _program(name: str) -> Json:
    return {
        "image": "lab.local/py:1",
        "command": ["python3", "-u", f"/code/{name}.py"],
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
    }


def _controller(pod: Json) -> Json:
    body = stand_in.controller(**_program("controller"), env=[])
    body["spec"]["template"]["spec"] |= pod
    return body


def _speaker(pod: Json) -> Json:
    env = [
        {"name": "METALLB_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "METALLB_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "METALLB_ML_BIND_PORT", "value": "7946"},
    ]
    body = stand_in.speaker(**_program("speaker"), env=env)
    body["spec"]["template"]["spec"] |= copy.deepcopy(pod)
    return body


class Stage(Steps):
    """Methods that say what people do, and what they see."""

    chart: Path
    values: Path
    addresses: dict[str, str]
    asked: dict[str, Json]  # of MetalLB's workloads, before it begins
    probers: list[Prober]

    def begin(self, folder: Path) -> None:
        """MetalLB at work, with three Services."""
        self.values = folder / "takeover.yaml"
        self.chart = stand_in.write_chart(folder, objects())
        self.run(f"helm install metallb {self.chart} -n {SYSTEM} --create-namespace")
        self.run("kubectl wait --for=condition=Established crd --all --timeout=30s")
        ends = {"first": self.lab.address(255, 200), "last": self.lab.address(255, 209)}
        self.run(f"kubectl apply -f - <<'EOF'\n{OBJECTS.format(**ends)}EOF")
        self.run("kubectl apply -f tests/lab/walkthrough.yaml")
        self.run("kubectl rollout status deployment/web --timeout=120s")
        self.run(f"kubectl rollout status -n {SYSTEM} daemonset/metallb-speaker --timeout=120s")
        until(lambda: all(self.shown().values()), "MetalLB gives addresses", 60)
        self.addresses = self.shown()
        until(lambda: all(self.reached(a) for a in self.addresses.values()), "they answer", 60)
        self.probers = [
            Prober(self.lab.client(), self.addresses["svc1"]),
            Prober(self.lab.client(), self.addresses["svc2"], fresh=True),
        ]

    def migrate(self, words: str, status: int = 0) -> str:
        """One of our commands, as people type it."""
        line = f"{BELLMETAL} migrate {words}; echo status $?"
        said = self.run(line, lambda text: text.endswith(f"status {status}\n"), f"status {status}")
        return said.rpartition("status ")[0]

    def install(self) -> None:
        """Bellmetal beside MetalLB, with the values that are proposed."""
        self.migrate(f"takeover prepare > {self.values}")
        place = f"bellmetal helm/bellmetal -n {SYSTEM}"
        self.run(f"helm install {place} --values {self.values} --hide-notes")
        for what in ("deployment/bellmetal-controller", "daemonset/bellmetal-speaker"):
            self.run(f"kubectl rollout status -n {SYSTEM} {what} --timeout=120s")

    # --- what is seen -----------------------------------------------------------------------------

    def shown(self) -> dict[str, str]:
        """The address of each Service."""
        found = {}
        for name in SERVICES:
            body = self.lab.rest.get(f"/api/v1/namespaces/default/services/{name}")
            ingress = body["status"]["loadBalancer"].get("ingress") or [{}]
            found[name] = str(ingress[0].get("ip", ""))
        return found

    def reached(self, address: str) -> bool:
        command = ["curl", "-s", "-o", "/dev/null", "-m", "2", f"http://{address}"]
        return self.lab.client().run(command, check=False).returncode == 0

    def macs(self) -> dict[str, set[str]]:
        """Who answers for each address: names of nodes."""
        found = {}
        for name, address in self.addresses.items():
            command = ["arping", "-c", "3", "-w", "2", "-I", "eth0", address]
            said = self.lab.client().run(command, check=False).stdout
            words = {word.strip("[]()").lower() for word in said.split()}
            nodes = {self.lab.node(node).mac: node for node in self.lab.node_names}
            found[name] = {nodes[word] for word in words & nodes.keys()}
        return found

    def tenures(self) -> dict[str, list[str]]:
        """The nodes that owned each Service's address for Bellmetal, the first one first."""
        kinds = f"/apis/bellmetal.io/v1alpha1/namespaces/{SYSTEM}"
        named = {
            item["address"]: item["owner"]
            for body in self.lab.rest.get(f"{kinds}/announcementslices")["items"]
            for item in body["spec"].get("announcements", [])
        }
        entries: dict[str, Json] = {}
        for shard in self.lab.rest.get(f"{kinds}/addressledgers")["items"]:
            entries |= shard["spec"].get("entries", {})
        return {
            name: [one["node"] for one in reversed(entries[a].get("owners") or [])] or [named[a]]
            for name, a in self.addresses.items()
        }

    def ready_since(self) -> dict[str, tuple[str, str]]:
        """Whether each node is ready, and since when."""
        found = {}
        for body in self.lab.rest.get("/api/v1/nodes")["items"]:
            ready = next(c for c in body["status"]["conditions"] if c["type"] == "Ready")
            found[body["metadata"]["name"]] = ready["status"], ready["lastTransitionTime"]
        return found

    def said_of_owners(self) -> str:
        """What the controllers have logged of owners, and every ServiceL2Status: for people."""
        rows = self.lab.rest.get(f"{METALLB}/servicel2statuses")["items"]
        shown = [json.dumps(row.get("status")) for row in rows]
        log = self.quietly(f"kubectl logs -n {SYSTEM} -l component=controller --tail=-1")
        return "\n".join([*shown, *(line for line in log.splitlines() if "owned by" in line)])

    def users_objects(self) -> dict[str, str]:
        """Every object of users without what servers write: byte by byte."""
        return {
            f"{path}/{item['metadata']['name']}": _written_by_users(item)
            for path in USERS
            for item in self.lab.rest.get(path)["items"]
        }

    def metallb(self) -> dict[str, Json]:
        """What MetalLB's workloads are asked to be."""
        apps = f"/apis/apps/v1/namespaces/{SYSTEM}"
        paths = (f"{apps}/deployments/metallb-controller", f"{apps}/daemonsets/metallb-speaker")
        return {path: self.lab.rest.get(path)["spec"] for path in paths}

    @contextmanager
    def held(self, service: str) -> Iterator[subprocess.Popen[str]]:
        """A connection that stands, idle."""
        argv = [sys.executable, "-u", "-c", HOLD, self.addresses[service]]
        process = subprocess.Popen(
            self.lab.client().command(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            yield process
        finally:
            process.kill()
            process.wait()

    def failures(self, since: float) -> dict[str, list[str]]:
        found = {prober.name: prober.broken(since) for prober in self.probers}
        return {name: _shortened(lines) for name, lines in found.items()}


def _shortened(lines: list[str]) -> list[str]:
    """The first, the last, and how many."""
    return lines if len(lines) < 3 else [lines[0], f"… {len(lines)} in all …", lines[-1]]


def _written_by_users(body: Json) -> str:
    found = copy.deepcopy(body)
    found.pop("status", None)
    for key in ("managedFields", "resourceVersion", "generation"):
        found["metadata"].pop(key, None)
    return json.dumps(found, sort_keys=True)


@contextmanager
def stage(folder: Path, **layout: int) -> Iterator[Stage]:
    """``layout``: numbers of nodes and routers, where they matter."""
    image = REPOSITORY / "build" / f"bellmetal-{make_image.version()}.tar"
    make_image.build_image(image)
    with Cluster(**{"nodes": 3, "clients": 1} | layout, images=[image]) as lab:
        found = Stage(lab, Screen())
        found.begin(folder)
        yield found
