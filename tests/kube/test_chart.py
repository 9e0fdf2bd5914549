"""The chart's life on a real API server by real helm: whose the CRDs are, and what is let in."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.installed import GROUPS, NAMESPACE, install, manifest, place
from lab import manifests
from lab.bare import Bare
from lab.fixtures import require
from lab.paths import CHART, REPOSITORY
from lab.rest import ApiError
from lab.waiting import until

pytestmark = pytest.mark.kube

Json = dict[str, Any]
POOL = manifest("IPAddressPool", "{addresses: [10.0.0.0/8]}", "kept")
PEER = manifest("BGPPeer", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}", "kept")
OPTIONS: Json = {"nodes": 1, "clients": 0, "kube_proxy": False, "controller_manager": False}


@pytest.fixture
def api() -> Iterator[Bare]:
    """A control plane where nothing is installed."""
    require()
    with Bare(**OPTIONS) as lab:
        yield lab


def helm(api: Bare, *arguments: str | Path) -> str:
    """What helm says, whether it does it or not."""
    done = api.helm(*arguments, "--namespace", NAMESPACE, check=False)
    return " ".join((done.stdout + done.stderr).split())


def uids(api: Bare) -> list[str]:
    """Of the pool and the peer."""
    found = [place("IPAddressPool", "kept"), place("BGPPeer", "kept")]
    return [api.rest.get(path)["metadata"]["uid"] for path in found]


# --- nothing takes the CRDs away ------------------------------------------------------------------


def test_pools_and_peers_outlive_a_changed_value_and_an_uninstall(api: Bare) -> None:
    install(api)
    api.kubectl("apply", "-f", "-", input=f"{POOL}---\n{PEER}")
    before = uids(api)
    assert "STATUS: deployed" in helm(
        api, "upgrade", "bellmetal", CHART, "--set", "crds.enabled=false"
    )
    assert uids(api) == before
    assert "STATUS: deployed" in helm(api, "upgrade", "bellmetal", CHART)
    assert "uninstalled" in helm(api, "uninstall", "bellmetal")
    assert uids(api) == before
    install(api)
    assert uids(api) == before


# --- CRDs that are another release's --------------------------------------------------------------


CONVERSION: Json = {
    "strategy": "Webhook",
    "webhook": {
        "conversionReviewVersions": ["v1beta1"],
        "clientConfig": {
            "service": {"namespace": NAMESPACE, "name": "webhook", "path": "/convert"}
        },
    },
}


@pytest.fixture
def other(api: Bare, tmp_path: Path) -> Path:
    """A chart that owns CRDs as MetalLB's does: without a word that they shall be kept."""
    folder = tmp_path / "metallb"
    (folder / "templates").mkdir(parents=True)
    about = {"apiVersion": "v2", "name": "metallb", "version": "0.0.1"}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    (folder / "values.yaml").write_text("crds: {enabled: true}\n")
    for kind in ("ipaddresspools", "bgppeers"):
        body = yaml.safe_load((REPOSITORY / "crds" / f"{kind}.metallb.io.yaml").read_text())
        del body["metadata"]["annotations"]
        if kind == "bgppeers":
            body["spec"]["conversion"] = CONVERSION
        text = yaml.safe_dump(body, width=10_000)
        guarded = "{{- if .Values.crds.enabled }}\n" + text + "{{- end }}\n"
        (folder / "templates" / f"{kind}.yaml").write_text(guarded)
    api.kubectl("create", "namespace", NAMESPACE)
    assert "STATUS: deployed" in helm(api, "install", "metallb", folder)
    names = [f"crd/{kind}.metallb.io" for kind in ("ipaddresspools", "bgppeers")]
    api.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    until(lambda: _applied(api), "the pool and the peer are taken", 20)
    authority = base64.b64encode(Path(api.rest.ca).read_bytes()).decode()
    bundle = {"webhook": {"clientConfig": {"caBundle": authority}}}
    patch = ("--type=merge", "--patch", json.dumps({"spec": {"conversion": bundle}}))
    api.kubectl("patch", "crd", "bgppeers.metallb.io", "--field-manager=MetalLB", *patch)
    return folder


def _applied(api: Bare) -> bool:
    done = api.kubectl("apply", "-f", "-", input=f"{POOL}---\n{PEER}", check=False)
    return done.returncode == 0


FOREIGN = (
    'crds.enabled: CustomResourceDefinitions belong to the Helm release "metallb" of the namespace'
    ' "metallb-system": bgppeers.metallb.io, ipaddresspools.metallb.io. To take them over, with'
    " every object of them as it is, add --take-ownership --force-conflicts"
    " --set crds.takeOwnership=true to helm's command (helm 3 knows no --force-conflicts, and needs"
    " none). Before that release is uninstalled, upgrade it with crds.enabled=false, or its CRDs go"
    " with every pool and peer."
)
CONVERTED = (
    "crds.enabled: objects of the CustomResourceDefinition bgppeers.metallb.io are converted by a"
    " webhook, without which none can be read. Take it out before: "
)
TAKE = ("--take-ownership", "--force-conflicts", "--set", "crds.takeOwnership=true")


def test_crds_of_another_release_are_taken_over_when_that_is_said(api: Bare, other: Path) -> None:
    before = uids(api)
    said = helm(api, "install", "bellmetal", CHART)
    assert FOREIGN in said
    assert CONVERTED in helm(api, "install", "bellmetal", CHART, *TAKE)
    command = said.partition(CONVERTED)[2].partition(" - crds")[0]
    api.kubectl(*shlex.split(command)[1:])
    assert "STATUS: deployed" in helm(api, "install", "bellmetal", CHART, *TAKE)
    assert uids(api) == before
    # MetalLB's webhook need not be there to read a BGPPeer in its other version
    older = place("BGPPeer", "kept", version="metallb.io/v1beta1")
    assert api.rest.get(older)["spec"]["peerASN"] == 64513
    assert "STATUS: deployed" in helm(api, "upgrade", "bellmetal", CHART)
    # as the sentence says: then the other release may go
    assert "STATUS: deployed" in helm(
        api, "upgrade", "metallb", other, "--set", "crds.enabled=false"
    )
    assert "uninstalled" in helm(api, "uninstall", "metallb")
    assert uids(api) == before


def test_crds_that_kubectl_applied_are_taken_over_likewise(api: Bare) -> None:
    api.kubectl("apply", "--server-side", "-f", REPOSITORY / "crds")
    said = helm(api, "install", "bellmetal", CHART, "--create-namespace")
    assert "CustomResourceDefinitions belong to no Helm release: addressledgers" in said
    assert "STATUS: deployed" in helm(
        api, "install", "bellmetal", CHART, "--create-namespace", *TAKE
    )


# --- without helm ---------------------------------------------------------------------------------


def test_the_manifests_are_all_that_kubectl_needs(api: Bare, tmp_path: Path) -> None:
    file = manifests.write(tmp_path)
    for _ in range(2):  # a second time it changes nothing
        api.kubectl("apply", "--server-side", "-f", file)
    names = [f"crd/{path.stem}" for path in (REPOSITORY / "crds").glob("*.yaml")]
    api.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    assert len(names) == len(GROUPS)
    api.apply(POOL)
    flags = ("-n", NAMESPACE, "-o", "name")
    found = api.kubectl("get", "deployments,daemonsets", *flags).stdout.split()
    assert found == ["deployment.apps/bellmetal-controller", "daemonset.apps/bellmetal-speaker"]


# --- Pod Security ---------------------------------------------------------------------------------

LEVELS = [
    ("Deployment", "bellmetal-controller", "restricted", ""),
    ("Pod", "bellmetal-test", "restricted", ""),
    ("DaemonSet", "bellmetal-speaker", "privileged", ""),
    ("DaemonSet", "bellmetal-speaker", "baseline", "host namespaces (hostNetwork=true)"),
    ("DaemonSet", "bellmetal-speaker", "baseline", "hostPath volumes (volume"),
    ("DaemonSet", "bellmetal-speaker", "baseline", "non-default capabilities"),
]  # fmt: skip


def test_only_the_speaker_needs_a_privileged_namespace(api: Bare) -> None:
    values = json.dumps({"controller": {"admission": {"enabled": True}}})
    done = api.helm("template", "bellmetal", CHART, "--values", "-", input=values)
    rendered = [item for item in yaml.safe_load_all(done.stdout) if item]
    bodies = {(item["kind"], item["metadata"]["name"]): item for item in rendered}
    for level in ("restricted", "baseline", "privileged"):
        labels = {"pod-security.kubernetes.io/enforce": level}
        api.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": level, "labels": labels}}
        )
        for name in ("bellmetal-controller", "bellmetal-speaker", "bellmetal-test"):
            path = f"/api/v1/namespaces/{level}/serviceaccounts"
            api.rest.post(path, {"metadata": {"name": name}})
    for kind, name, level, sentence in LEVELS:
        body = bodies[kind, name]
        spec = body["spec"] if kind == "Pod" else body["spec"]["template"]["spec"]
        said = tried(api, level, spec)
        assert sentence in said if sentence else said == "", (kind, level, said)


def tried(api: Bare, namespace: str, spec: Json) -> str:
    """What the API server says against a pod in a namespace; nothing is made."""
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    try:
        api.rest.post(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)
    except ApiError as error:
        return str(error)
    return ""
