"""Moving in from MetalLB on a real API server, with a real Helm: what it says, and what is kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.scene import CONFIGURATION, SHOP, Scene, stage
from lab.programs import BELLMETAL, NAMESPACE
from lab.rest import Json
from lab.waiting import until
from metallb_stand_in import write_chart

pytestmark = pytest.mark.kube

POOL = {"addresses": ["198.51.100.0/24"]}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A cluster without a kind of metallb.io: a fresh one each time, as CRDs come and go here."""
    with stage(nodes=1, audit=True, values={"takeover": True}) as scene:
        yield scene


def migrate(scene: Scene, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"KUBECONFIG": str(scene.lab.kubeconfig())}
    argv = [*BELLMETAL, "migrate", *words, f"--namespace={NAMESPACE}"]
    return scene.lab.control_plane_host.run(argv, check=False, env=environment, input=given)


def pools(scene: Scene) -> list[str]:
    items = scene.rest.get(f"{CONFIGURATION}/ipaddresspools")["items"]
    return [item["metadata"]["name"] for item in items]


@pytest.fixture
def chart(scene: Scene, tmp_path: Path) -> Path:
    """MetalLB, installed by Helm, with a pool and a peer."""
    chart = write_chart(tmp_path)
    scene.lab.helm("install", "metallb", chart, "--namespace", NAMESPACE)
    scene.lab.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    configure(scene, "v1beta1", "IPAddressPool", "lan", **POOL)
    configure(scene, "v1beta1", "L2Advertisement", "lan")
    configure(
        scene, "v1beta2", "BGPPeer", "tor", myASN=64512, peerASN=64513, peerAddress="192.0.2.1"
    )
    return chart


def configure(scene: Scene, version: str, kind: str, name: str, **spec: Any) -> None:
    body = {
        "apiVersion": f"metallb.io/{version}",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    scene.lab.apply(body)


# --- CRDs ----------------------------------------------------------------------------------------


def test_an_uninstall_without_protection_takes_every_pool(scene: Scene, chart: Path) -> None:
    """The control: this chart owns the CRDs as MetalLB's does."""
    assert pools(scene) == ["lan"]
    scene.lab.helm("uninstall", "metallb", "--namespace", NAMESPACE)

    def gone() -> bool:
        names = {item["metadata"]["name"] for item in scene.rest.get(CRDS)["items"]}
        return "ipaddresspools.metallb.io" not in names

    until(gone, "the CRD is gone, and every pool with it")


def test_the_annotation_in_the_cluster_alone_does_not_help(scene: Scene, chart: Path) -> None:
    """Why `protect` looks into the release: Helm reads its own manifest at an uninstall."""
    assert migrate(scene, "protect").returncode == 3
    scene.lab.helm("uninstall", "metallb", "--namespace", NAMESPACE)

    def gone() -> bool:
        names = {item["metadata"]["name"] for item in scene.rest.get(CRDS)["items"]}
        return "ipaddresspools.metallb.io" not in names

    until(gone, "the CRD is gone, and every pool with it")


def test_protected_crds_outlive_the_release(scene: Scene, chart: Path) -> None:
    done = migrate(scene, "protect", f"--metallb-chart={chart}")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith(
        "9 CRDs of metallb.io have helm.sh/resource-policy: keep (9 of them since now)\n"
        f"release {NAMESPACE}/metallb still has 9 of them in its manifest:\n"
    )
    command = next(line.strip() for line in done.stdout.splitlines() if "helm upgrade" in line)
    assert command == (
        f"helm upgrade metallb {chart} --namespace {NAMESPACE} --version 0.16.1 --reuse-values"
        " --set crds.enabled=false"
    )
    scene.lab.helm(*command.split()[1:])
    assert pools(scene) == ["lan"]
    done = migrate(scene, "protect")
    assert (done.returncode, done.stdout) == (
        0,
        "9 CRDs of metallb.io have helm.sh/resource-policy: keep\n"
        "PROTECTED: no uninstall deletes a pool or a peer\n",
    )
    scene.lab.helm("uninstall", "metallb", "--namespace", NAMESPACE)
    assert pools(scene) == ["lan"]
    peers = f"/apis/metallb.io/v1beta2/namespaces/{NAMESPACE}/bgppeers"
    assert [item["metadata"]["name"] for item in scene.rest.get(peers)["items"]] == ["tor"]


# --- check ---------------------------------------------------------------------------------------


def codes(done: subprocess.CompletedProcess[str], weight: str) -> list[str]:
    found = json.loads(done.stdout)["findings"]
    return [item["code"] for item in found if item["weight"] == weight]


def test_a_check_says_what_to_do_first_and_then_ready(scene: Scene, chart: Path) -> None:
    scene.service("web")
    address = {"ingress": [{"ip": "198.51.100.7"}]}
    scene.rest.patch(
        f"/api/v1/namespaces/{SHOP}/services/web/status", {"status": {"loadBalancer": address}}
    )
    mark = scene.mark()
    done = migrate(scene, "check", "--output=json")
    assert (done.returncode, done.stderr) == (3, "")
    assert codes(done, "stop") == ["unprotectedCRDs"]
    assert codes(done, "know") == ["written", "port", "port", "port"]
    report = json.loads(done.stdout)
    assert (report["ready"], report["mode"]) == (False, "frr-k8s")
    assert report["services"] == [
        {
            "service": f"{SHOP}/web",
            "outcome": "keeps",
            "now": ["198.51.100.7"],
            "then": ["198.51.100.7"],
        }
    ]
    text = migrate(scene, "check").stdout
    assert "NOT READY: 1 thing to do first" in text
    migrate(scene, "protect")
    scene.lab.helm(
        "upgrade", "metallb", chart, "--namespace", NAMESPACE, "--set", "crds.enabled=false"
    )
    done = migrate(scene, "check")
    assert done.returncode == 0, done.stdout
    assert "READY: `bellmetal migrate takeover prepare` is next" in done.stdout
    asked = [
        item["verb"]
        for item in scene.lab.control_plane.audit_events()[mark:]
        if item.get("userAgent", "").startswith("bellmetal/")
    ]
    assert set(asked) == {"get", "list", "patch"}  # the patches are protect's


def test_a_cluster_without_metallb(scene: Scene) -> None:
    done = migrate(scene, "check")
    assert (done.returncode, done.stderr) == (
        2,
        f"bellmetal migrate check: there is no MetalLB in the namespace {NAMESPACE}:"
        " --namespace says where it is\n",
    )


# --- config --------------------------------------------------------------------------------------

OLD = """
peers:
- my-asn: 64500
  peer-asn: 64501
  peer-address: 10.0.0.1
  peer-port: 179
  hold-time: 120s
  router-id: 10.10.10.10
  password: 01234
  bfd-profile: fast
  ebgp-multihop: true
  node-selectors:
  - match-labels: {rack: front}
  - match-expressions:
    - {key: speed, operator: NotIn, values: [slow]}
bgp-communities: {vpn-only: "64500:1"}
bfd-profiles:
- {name: fast, receive-interval: 179, transmit-interval: 180, detect-multiplier: 37}
address-pools:
- name: routed
  protocol: bgp
  addresses: [198.51.100.0/24]
  avoid-buggy-ips: true
  bgp-advertisements:
  - {aggregation-length: 32, localpref: 100, communities: [vpn-only, "65535:65282"]}
  - {aggregation-length: 24}
- name: lan
  protocol: layer2
  addresses: [192.168.1.240-192.168.1.250]
  auto-assign: false
"""


def test_the_old_config_map_of_the_cluster_becomes_objects_that_the_server_takes(
    scene: Scene,
) -> None:
    scene.lab.install_chart_objects(only=["CustomResourceDefinition"])
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    scene.rest.post(path, {"metadata": {"name": "config"}, "data": {"config": OLD}})
    done = migrate(scene, "config", "--from-cluster")
    assert done.returncode == 0, done.stderr
    scene.lab.kubectl("apply", "-f", "-", input=done.stdout)
    objects: list[Json] = list(yaml.safe_load_all(done.stdout))
    counted = {kind: sum(item["kind"] == kind for item in objects) for kind in KINDS}
    assert counted == KINDS
    for item in objects:
        group = item["apiVersion"].rpartition("/")[0]
        kind = ".".join(filter(None, (item["kind"].lower(), group)))
        name = f"{kind}/{item['metadata']['name']}"
        live = json.loads(scene.lab.kubectl("get", "-n", NAMESPACE, name, "-o", "json").stdout)
        if item["kind"] != "Secret":
            assert live["spec"].items() >= item["spec"].items()


KINDS = {
    "BFDProfile": 1,
    "Community": 1,
    "Secret": 1,
    "BGPPeer": 1,
    "IPAddressPool": 2,
    "BGPAdvertisement": 2,
    "L2Advertisement": 1,
}
