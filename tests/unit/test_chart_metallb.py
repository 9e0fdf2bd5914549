"""Values of MetalLB's chart: what is rendered of them, what is noted, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.paths import CHART
from rendering import at, container, environment, notes, pod, refusal, render, workload

TABLE = yaml.safe_load((CHART / "files" / "metallb-values.yaml").read_text())
NOTED: dict[str, str] = TABLE["noted"]
REFUSED: dict[str, str] = TABLE["refused"]

# --- rendered -------------------------------------------------------------------------------------

MEMBERS = 'speaker.secretName="metallb-memberlist"'
SPREAD = 'controller.topologySpreadConstraints=[{"topologyKey": "zone"}]'
AGENT = '[{"name": "agent", "image": "agent:1"}]'
HEALTH = ("controller.livenessProbe.port=8080", "controller.readinessProbe.port=8080")

PODS: list[tuple[str, str, str, Any]] = [
    ("controller", "controller.securityContext.fsGroup=7", "securityContext.fsGroup", 7),
    ("controller", "controller.securityContext.fsGroup=7", "securityContext.runAsNonRoot", True),
    ("controller", "controller.securityContext.runAsUser=7", "securityContext.runAsUser", 7),
    ("speaker", "speaker.securityContext.fsGroup=7", "securityContext.fsGroup", 7),
    ("controller", 'controller.runtimeClassName="r"', "runtimeClassName", "r"),
    ("speaker", 'speaker.runtimeClassName="r"', "runtimeClassName", "r"),
    ("controller", f"controller.extraContainers={AGENT}", "containers.1.name", "agent"),
    ("speaker", f"speaker.extraContainers={AGENT}", "containers.1.image", "agent:1"),
    ("speaker", MEMBERS, "volumes.2.secret.secretName", "metallb-memberlist"),
    ("controller", SPREAD, "topologySpreadConstraints.0.topologyKey", "zone"),
    ("controller", "controller.image=null", "containers.0.image", "bellmetal:0.1.0"),
    ("controller", "controller.image.tag=null", "containers.0.image", "bellmetal:0.1.0"),
    ("controller", "controller.image.pullPolicy=null", "containers.0.imagePullPolicy", "Always"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "path", "expected"), PODS)
def test_values_of_the_same_meaning(name: str, value: str, path: str, expected: object) -> None:
    assert at(pod(name, value, 'image.pullPolicy="Always"'), path) == expected


def test_controllers_are_spread_by_their_own_labels() -> None:
    (spread,) = pod("controller", SPREAD)["topologySpreadConstraints"]
    selector = workload("controller", SPREAD)["spec"]["selector"]
    assert spread["labelSelector"] == selector


def test_the_members_secret_has_one_name() -> None:
    assert environment("controller", MEMBERS)["METALLB_ML_SECRET_NAME"] == "metallb-memberlist"


def test_the_port_of_the_probes_is_the_programs() -> None:
    assert "--health-probe-port=8080" in container("controller", *HEALTH)["args"]
    for kind in ("livenessProbe", "readinessProbe"):
        assert container("controller", *HEALTH)[kind]["httpGet"]["port"] == 8080
    assert "8080" not in str(workload("speaker", *HEALTH))


@pytest.mark.parametrize("name", ["controller", "speaker"])
def test_a_program_that_is_switched_off_leaves_nothing(name: str) -> None:
    objects = render(f"{name}.enabled=false")
    assert not any(item.startswith(f"bellmetal-{name}") for _, item in objects)
    assert ("ConfigMap", "metallb-excludel2") in objects or name == "speaker"
    other = {"controller": "DaemonSet", "speaker": "Deployment"}[name]
    assert [kind for kind, _ in objects if kind in ("DaemonSet", "Deployment")] == [other]


# --- noted ----------------------------------------------------------------------------------------

# A value as people have it for each key of the table.
SET: dict[str, str] = {
    "configInline": 'configInline={"address-pools": []}',
    "controller.command": 'controller.command="/controller"',
    "controller.webhookMode": 'controller.webhookMode="disabled"',
    "controller.webhookMode=onlywebhook": 'controller.webhookMode="onlywebhook"',
    "crds.validationFailurePolicy": 'crds.validationFailurePolicy="Fail"',
    "existingConfigMap": 'existingConfigMap="config"',
    "frr-k8s": 'frr-k8s={"prometheus": {}}',
    "frrk8s.enabled": "frrk8s.enabled=true",
    "frrk8s.external": "frrk8s.external=true",
    "frrk8s.namespace": 'frrk8s.namespace="frr"',
    "frrk8s.secretPassthrough": "frrk8s.secretPassthrough=true",
    "speaker.bgpDebounceTimeout": "speaker.bgpDebounceTimeout=500",
    "speaker.command": 'speaker.command="/speaker"',
    "speaker.frr.enabled": "speaker.frr.enabled=true",
    "speaker.frrMetrics": 'speaker.frrMetrics={"resources": {}}',
    "speaker.initContainers": 'speaker.initContainers={"cpFrrFiles": {}}',
    "speaker.memberlist.enabled=false": "speaker.memberlist.enabled=false",
    "speaker.memberlist.mlBindAddrOverride": 'speaker.memberlist.mlBindAddrOverride="0.0.0.0"',
    "speaker.reloader": 'speaker.reloader={"resources": {}}',
    "speaker.startupProbe": "speaker.startupProbe.enabled=true",
    "speaker.wanConfig": "speaker.wanConfig=true",
    "tls.cipherSuites": 'tls.cipherSuites="TLS_AES_128_GCM_SHA256"',
    "tls.controllerMetricsTLSSecret": 'tls.controllerMetricsTLSSecret="metrics"',
    "tls.curvePreferences": 'tls.curvePreferences="X25519"',
    "tls.minVersion": 'tls.minVersion="VersionTLS13"',
    "tls.speakerMetricsTLSSecret": 'tls.speakerMetricsTLSSecret="metrics"',
}
TITLE = "Values of MetalLB's chart that mean something else here, or nothing:"


def test_every_key_is_tried() -> None:
    assert set(SET) == {*NOTED, *REFUSED}


@pytest.mark.parametrize("key", NOTED)
def test_a_value_without_counterpart_is_taken_and_told(key: str) -> None:
    assert f"{TITLE} {key}: {NOTED[key]}" in notes(SET[key])


def test_nothing_is_told_of_values_that_say_nothing() -> None:
    quiet = ("frrk8s.enabled=false", 'tls.minVersion=""', "speaker.frr={}", "speaker.command=null")
    assert "MetalLB" not in notes(*quiet)


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", REFUSED)
def test_a_value_that_would_mislead_is_refused(key: str) -> None:
    assert f"  - {key}: {REFUSED[key]}" in refusal(SET[key])


IMAGES = [
    "quay.io/metallb/controller",
    "harbor.local/quay.io/metallb/speaker",
    "docker.io/bitnami/metallb-controller",
    "rancher/mirrored-metallb-speaker",
]


@pytest.mark.parametrize("repository", IMAGES)
@pytest.mark.parametrize("key", ["image", "controller.image", "speaker.image"])
def test_an_image_of_metallb_is_never_pulled(key: str, repository: str) -> None:
    assert (
        f'{key}.repository: "{repository}" is an image of MetalLB\'s. Leave {key} out, and say in'
        " image.repository where Bellmetal's image is."
    ) in refusal(f'{key}.repository="{repository}"')


@pytest.mark.parametrize("repository", ["metallb/bellmetal", "a.b/metallb-system/bellmetal", "m"])
def test_images_of_ours_may_be_anywhere(repository: str) -> None:
    found = container("controller", f'image.repository="{repository}"')["image"]
    assert found == f"{repository}:0.1.0"


def test_all_that_is_refused_is_said_at_once() -> None:
    said = refusal("frrk8s.external=true", SET["controller.command"])
    assert said.count("\n  - ") == 2


CLASHES = [
    (
        "speaker.livenessProbe.port=8080",
        "speaker.livenessProbe.port is 8080 and speaker.readinessProbe.port is 17472."
        " A program has one port for both: write the same twice.",
    ),
    (
        "speaker.memberlist.mlBindPort=9120",
        "prometheus.metricsPort and speaker.memberlist.mlBindPort are both 9120."
        " A speaker has one address for all: give each a port of its own.",
    ),
    (
        "prometheus.metricsPort=17472",
        "speaker.readinessProbe.port and prometheus.metricsPort are both 17472."
        " A speaker has one address for all: give each a port of its own.",
    ),
]


@pytest.mark.parametrize(("value", "sentence"), CLASHES)
def test_ports_that_clash_are_refused(value: str, sentence: str) -> None:
    assert f"  - {sentence}" in refusal(value)
