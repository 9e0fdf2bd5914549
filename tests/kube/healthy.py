"""A cluster where all is well with Bellmetal, on an API server alone: what kubelets, controllers
and speakers would have written is written here.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kube.installed import MERGE, NAMESPACE, install
from lab.bare import Bare
from lab.fixtures import require
from lab.paths import REPOSITORY
from lab.programs import BELLMETAL
from lab.rest import ApiError, Json

CORE, APPS = "/api/v1", "/apis/apps/v1"
OWN = f"{CORE}/namespaces/{NAMESPACE}"
METALLB = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}"
REPORTS = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/speakerreports"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
PROXY_CONFIGURATION = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {mode}
ipvs: {{strictARP: {strict}}}
"""


@contextmanager
def healthy() -> Iterator[Place]:
    """Helm installed the chart on two nodes, and everything is as it should be."""
    require()
    with Bare(2, clients=0, kube_proxy=False, controller_manager=False, audit=True) as lab:
        install(lab)
        place = Place(lab)
        place.make_well()
        yield place


class Place:
    """One lab, and what is put into it."""

    def __init__(self, lab: Bare) -> None:
        self.lab, self.rest = lab, lab.rest
        (self.image,) = {
            item["spec"]["template"]["spec"]["containers"][0]["image"]
            for item in self.rest.get(f"{APPS}/namespaces/{NAMESPACE}/daemonsets")["items"]
        }

    def text(self, text: str) -> str:
        """LAN.200 stands for an address of the LAN."""
        return text.replace("LAN.", self.lab.address(255, 0)[:-1])

    # --- asking -----------------------------------------------------------------------------------

    def run(self, *flags: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`bellmetal preflight`, as a leader that lives would see to the Lease."""
        self.lead()
        environment = {"KUBECONFIG": str(kubeconfig or self.lab.kubeconfig())}
        argv = [*BELLMETAL, "preflight", f"--namespace={NAMESPACE}", *flags]
        return self.lab.control_plane_host.run(argv, check=False, env=environment)

    def asked(self, kubeconfig: Path | None = None) -> Json:
        """The same as JSON, with its exit status."""
        done = self.run("--output=json", kubeconfig=kubeconfig)
        assert done.stderr == ""
        answer: Json = json.loads(done.stdout)
        return answer | {"status": done.returncode}

    # --- writing ----------------------------------------------------------------------------------

    def merge(self, path: str, body: Json) -> None:
        self.rest.request("PATCH", path, body, MERGE)

    def delete(self, path: str) -> None:
        self.rest.request("DELETE", f"{path}?gracePeriodSeconds=0")

    @contextmanager
    def there(self, path: str, body: Json, status: Json | None = None) -> Iterator[None]:
        """An object that is there for a while."""
        name = self.create(path, body, status)
        try:
            yield
        finally:
            self.delete(f"{path}/{name}")

    @contextmanager
    def changed(self, path: str, body: Json, back: Json) -> Iterator[None]:
        """A merge patch, and another one that undoes it."""
        self.merge(path, body)
        try:
            yield
        finally:
            self.merge(path, back)

    def create(self, path: str, body: Json, status: Json | None = None) -> str:
        body = json.loads(self.text(json.dumps(body)))
        self.rest.post(path, body)
        name: str = body["metadata"]["name"]
        if status is not None:
            self.merge(f"{path}/{name}/status", {"status": status})
        return name

    def apply_crds(self) -> None:
        """As they should be."""
        self.lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", REPOSITORY / "crds")

    # --- what others would have written -----------------------------------------------------------

    def make_well(self) -> None:
        enforce = {"pod-security.kubernetes.io/enforce": "privileged"}
        self.merge(OWN, {"metadata": {"labels": enforce}})
        for index, node in enumerate(self.lab.node_names, 1):
            self.pod(f"controller-{index}", "controller", node)
            self.pod(f"speaker-{node}", "speaker", node)
            self.report(node)
        self.create(f"{OWN}/secrets", {"metadata": {"name": "memberlist"}})
        self.lead()
        self.kube_proxy("nftables", "false")
        self.configure("IPAddressPool", "lan", {"addresses": ["LAN.200-LAN.209"]})
        self.configure("L2Advertisement", "everywhere", {})

    def pod(self, name: str, program: str, node: str, image: str = "") -> None:
        container = {"name": program, "image": image or self.image, "args": [program]}
        spec = {
            "nodeName": node,
            "serviceAccountName": f"bellmetal-{program}",
            "automountServiceAccountToken": False,
            "containers": [container],
        }
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.create(f"{OWN}/pods", {"metadata": {"name": name}, "spec": spec}, status)

    def report(self, node: str) -> None:
        host = self.lab.node(node)
        link = {"name": "eth0", "up": True, "subnets": [f"{host.address}/16"], "mac": host.mac}
        view = {
            "kernel": "6.1.0",
            "links": [{"name": "eth0", "up": True}],
            "kubeProxy": {"mode": "nftables", "healthy": True},
            "ipForward": True,
        }
        body = {
            "apiVersion": "bellmetal.io/v1alpha1",
            "kind": "SpeakerReport",
            "metadata": {"name": node},
            "status": {"version": 1, "bootID": "1", "interfaces": [link], "node": view},
        }
        self.create(REPORTS, body)

    def lead(self, holder: str = "controller-1", ago: float = 0) -> None:
        """Somebody leads, and has renewed the Lease so many seconds ago."""
        when = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago)
        spec = {"holderIdentity": holder, "renewTime": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        try:
            self.merge(f"{LEASES}/bellmetal-controller", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            self.create(LEASES, {"metadata": {"name": "bellmetal-controller"}, "spec": spec})

    def kube_proxy(self, mode: str, strict: str) -> None:
        path = f"{CORE}/namespaces/kube-system/configmaps"
        data = {"config.conf": PROXY_CONFIGURATION.format(mode=mode, strict=strict)}
        try:
            self.merge(f"{path}/kube-proxy", {"data": data})
        except ApiError as error:
            if error.status != 404:
                raise
            self.create(path, {"metadata": {"name": "kube-proxy"}, "data": data})

    def configuration(self, kind: str, name: str, spec: Json) -> Json:
        version = "v1beta2" if kind == "BGPPeer" else "v1beta1"
        meta = {"name": name}
        return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": meta, "spec": spec}

    def configure(self, kind: str, name: str, spec: Json) -> None:
        self.create(f"{METALLB}/{kind.lower()}s", self.configuration(kind, name, spec))


def workload(kind: str, name: str, image: str, *, labels: Any = None, env: Any = ()) -> Json:
    """Another system's, by the facts that tell it."""
    selector = {"app": name}
    container = {"name": "main", "image": image, "env": list(env)}
    template = {"metadata": {"labels": selector}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"selector": {"matchLabels": selector}, "template": template},
    }


def foreign_kind(group: str, version: str, kind: str, plural: str) -> Json:
    """A cluster-wide kind of another system, without its rules."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural},
            "versions": [served | {"schema": {"openAPIV3Schema": schema}}],
        },
    }
