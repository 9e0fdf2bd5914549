"""The chart, the CRDs in it and the Dockerfile, as text: what an installation consists of."""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bellmetal.webhook import PATH
from lab import build
from lab.paths import CHART, REPOSITORY, cache

Json = dict[str, Any]

CRDS = sorted((REPOSITORY / "crds").glob("*.yaml"))
PROGRAMS = ("controller", "speaker")


@functools.cache
def program() -> str:
    """The lab's helm, or the one in PATH."""
    built = cache() / "bin" / build.key()
    found = shutil.which("helm", path=f"{built}:{os.environ['PATH']}")
    if not found:
        pytest.skip("no helm: neither in the lab's cache nor in PATH")
    return found


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``helm template`` on the chart."""
    command = [program(), "template", "bellmetal", str(CHART), "--namespace", "metallb-system"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@functools.cache
def render(*sets: str, release: str = "bellmetal") -> dict[tuple[str, str], Json]:
    """All objects of the chart with these values, by kind and name."""
    done = helm(*(word for value in sets for word in ("--set-json", value)))
    assert done.returncode == 0, done.stderr
    found = [item for item in yaml.safe_load_all(done.stdout) if item]
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def workload(name: str, *sets: str) -> Json:
    kind = {"controller": "Deployment", "speaker": "DaemonSet"}[name]
    return render(*sets)[kind, f"bellmetal-{name}"]


def pod(name: str, *sets: str) -> Json:
    spec: Json = workload(name, *sets)["spec"]["template"]["spec"]
    return spec


def container(name: str, *sets: str) -> Json:
    only: Json
    (only,) = pod(name, *sets)["containers"]
    return only


def environment(name: str, *sets: str) -> dict[str, str]:
    return {
        item["name"]: item.get("value") or item["valueFrom"]["fieldRef"]["fieldPath"]
        for item in container(name, *sets)["env"]
    }


# --- what there is --------------------------------------------------------------------------------

OBJECTS = {
    ("PodDisruptionBudget", "bellmetal-controller"),
    ("ServiceAccount", "bellmetal-controller"),
    ("ServiceAccount", "bellmetal-speaker"),
    ("ConfigMap", "metallb-excludel2"),
    ("CustomResourceDefinition", "addressledgers.bellmetal.io"),
    ("CustomResourceDefinition", "announcementslices.bellmetal.io"),
    ("CustomResourceDefinition", "bfdprofiles.metallb.io"),
    ("CustomResourceDefinition", "bgpadvertisements.metallb.io"),
    ("CustomResourceDefinition", "bgppeers.metallb.io"),
    ("CustomResourceDefinition", "communities.metallb.io"),
    ("CustomResourceDefinition", "configurationstates.metallb.io"),
    ("CustomResourceDefinition", "ipaddresspools.metallb.io"),
    ("CustomResourceDefinition", "l2advertisements.metallb.io"),
    ("CustomResourceDefinition", "servicebgpstatuses.metallb.io"),
    ("CustomResourceDefinition", "servicel2statuses.metallb.io"),
    ("CustomResourceDefinition", "speakerreports.bellmetal.io"),
    ("ClusterRole", "bellmetal-controller"),
    ("ClusterRole", "bellmetal-speaker"),
    ("ClusterRoleBinding", "bellmetal-controller"),
    ("ClusterRoleBinding", "bellmetal-speaker"),
    ("Role", "bellmetal-controller"),
    ("Role", "bellmetal-speaker"),
    ("RoleBinding", "bellmetal-controller"),
    ("RoleBinding", "bellmetal-speaker"),
    ("DaemonSet", "bellmetal-speaker"),
    ("Deployment", "bellmetal-controller"),
    ("ValidatingAdmissionPolicy", "bellmetal-speaker-metallb-system"),
    ("ValidatingAdmissionPolicyBinding", "bellmetal-speaker-metallb-system"),
}


def test_what_an_installation_consists_of() -> None:
    assert set(render()) == OBJECTS


def test_the_chart_has_the_versions_of_the_project() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert (about["version"], about["appVersion"]) == (version, version)


def test_namespaced_objects_are_in_the_releases_namespace() -> None:
    wide = ("CustomResourceDefinition", "Cluster", "Validating")
    for (kind, name), item in render().items():
        expected = None if kind.startswith(wide) else "metallb-system"
        assert item["metadata"].get("namespace") == expected, (kind, name)


# --- workloads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROGRAMS)
def test_labels_that_scripts_rely_on(name: str) -> None:
    whole = workload(name)
    labels = whole["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= {"app": "metallb", "component": name}.items()
    assert labels["app.kubernetes.io/component"] == name
    assert whole["metadata"]["labels"].items() >= {"app": "metallb", "component": name}.items()
    assert labels.items() >= whole["spec"]["selector"]["matchLabels"].items()


SECURITY = {
    "controller": (
        {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    ),
    "speaker": (
        {"seccompProfile": {"type": "RuntimeDefault"}},
        {
            "runAsUser": 0,
            "runAsGroup": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
        },
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_security_contexts(name: str) -> None:
    assert (pod(name)["securityContext"], container(name)["securityContext"]) == SECURITY[name]


def test_only_the_speaker_uses_the_nodes_network() -> None:
    assert "hostNetwork" not in pod("controller")
    assert (pod("speaker")["hostNetwork"], pod("speaker")["dnsPolicy"]) == (True, "Default")


ARGUMENTS = [
    ("controller", (), ["controller", "--port=9120", "--log-level=info", "--on-orphan=keep"]),
    (
        "controller",
        (
            'loadBalancerClass="a.b/c"',
            "controller.admission.enabled=true",
            "controller.admission.port=9000",
            'controller.logLevel="debug"',
            'controller.onOrphan="renumber"',
            "controller.drainOnCordon=true",
            "speaker.ignoreExcludeLB=true",
            "prometheus.metricsPort=0",
        ),
        [
            "controller",
            "--port=0",
            "--log-level=debug",
            "--lb-class=a.b/c",
            "--on-orphan=renumber",
            "--drain-on-cordon",
            "--ignore-exclude-lb",
            "--webhook-port=9000",
            "--webhook-cert-dir=/etc/bellmetal/webhook",
        ],
    ),
    (
        "speaker",
        (),
        ["speaker", "--port=9120", "--log-level=info", "--state-dir=/var/lib/bellmetal"],
    ),
    (
        "speaker",
        ("speaker.gratuitousARPInterval=60",),
        [
            "speaker",
            "--port=9120",
            "--log-level=info",
            "--state-dir=/var/lib/bellmetal",
            "--gratuitous-arp-interval=60",
        ],
    ),
]


@pytest.mark.parametrize(("name", "sets", "arguments"), ARGUMENTS)
def test_command_lines(name: str, sets: tuple[str, ...], arguments: list[str]) -> None:
    assert container(name, *sets)["args"] == arguments


ENVIRONMENT = {
    "controller": {
        "METALLB_NAMESPACE": "metadata.namespace",
        "METALLB_POD_NAME": "metadata.name",
        "METALLB_POD_UID": "metadata.uid",
        "METALLB_ML_SECRET_NAME": "memberlist",
    },
    "speaker": {
        "METALLB_NODE_NAME": "spec.nodeName",
        "METALLB_POD_NAME": "metadata.name",
        "METALLB_POD_UID": "metadata.uid",
        "METALLB_NAMESPACE": "metadata.namespace",
        "METALLB_ML_BIND_ADDR": "status.podIP",
        "METALLB_ML_BIND_PORT": "7946",
        "METALLB_ML_SECRET_KEY_PATH": "/etc/ml_secret_key",
    },
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_environments(name: str) -> None:
    assert environment(name) == ENVIRONMENT[name]


def test_what_the_speaker_mounts() -> None:
    mounts = {item["name"]: item["mountPath"] for item in container("speaker")["volumeMounts"]}
    assert mounts == {
        "state": "/var/lib/bellmetal",
        "memberlist": "/etc/ml_secret_key",
        "metallb-excludel2": "/etc/metallb",
    }
    assert pod("speaker")["volumes"] == [
        {"name": "state", "hostPath": {"path": "/var/lib/bellmetal", "type": "DirectoryOrCreate"}},
        {"name": "memberlist", "secret": {"secretName": "memberlist", "defaultMode": 0o400}},
        {"name": "metallb-excludel2", "configMap": {"name": "metallb-excludel2"}},
    ]


def test_without_gossip_there_is_no_key_and_no_right_to_one() -> None:
    off = "speaker.memberlist.enabled=false"
    assert not any(key.startswith("METALLB_ML") for key in environment("speaker", off))
    assert "METALLB_ML_SECRET_NAME" not in environment("controller", off)
    assert not any(resource == "secrets" for _, resource, _, _ in rights("Role", "controller", off))


def test_the_excluded_interfaces_are_a_list_of_expressions() -> None:
    text = render()["ConfigMap", "metallb-excludel2"]["data"]["excludel2.yaml"]
    patterns = yaml.safe_load(text)["announcedInterfacesToExclude"]
    chosen = [name for name in INTERFACES if any(re.search(item, name) for item in patterns)]
    assert chosen == ["lo", "docker0", "veth12ab", "cni0", "cali12", "nodelocaldns"]


INTERFACES = [
    "lo", "eth0", "docker0", "bond0", "veth12ab", "cni0", "cali12", "br-lan", "nodelocaldns",
    "loop1",
]  # fmt: skip

PROBES = [("controller", None), ("speaker", "127.0.0.1")]


@pytest.mark.parametrize(("name", "host"), PROBES)
def test_probes(name: str, host: str | None) -> None:
    for kind, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = container(name)[kind]["httpGet"]
        assert (asked["path"], asked["port"], asked.get("host")) == (path, 17472, host)
        assert kind not in container(name, f"{name}.{kind}.enabled=false")


def test_how_pods_end_and_are_replaced() -> None:
    assert [pod(name)["terminationGracePeriodSeconds"] for name in PROGRAMS] == [10, 10]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert workload("controller")["spec"]["strategy"] == rolling
    assert workload("controller", 'controller.strategy.type="Recreate"')["spec"]["strategy"] == {
        "type": "Recreate"
    }
    by_one = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
    assert workload("speaker")["spec"]["updateStrategy"] == by_one


def test_two_controllers_are_kept_apart_and_never_both_evicted() -> None:
    two = "controller.replicas=2"
    budget = render(two)["PodDisruptionBudget", "bellmetal-controller"]["spec"]
    whole = workload("controller", two)["spec"]
    assert (whole["replicas"], budget["minAvailable"]) == (2, 1)
    assert budget["selector"] == whole["selector"]
    assert "podAntiAffinity" in whole["template"]["spec"]["affinity"]


VARIANTS: list[tuple[str, str, str, Any]] = [
    ("speaker", "speaker.tolerateMaster=false", "tolerations", None),
    ("speaker", 'speaker.tolerations=[{"operator": "Exists"}]', "tolerations.2.operator", "Exists"),
    ("speaker", "speaker.excludeInterfaces.enabled=false", "volumes.2", None),
    ("speaker", 'speaker.nodeSelector={"a": "b"}', "nodeSelector.a", "b"),
    ("speaker", 'speaker.priorityClassName=""', "priorityClassName", None),
    ("controller", 'imagePullSecrets=[{"name": "key"}]', "imagePullSecrets.0.name", "key"),
    ("controller", 'image.repository="host/b"', "containers.0.image", "host/b:0.1.0"),
    ("controller", 'controller.image.tag="2"', "containers.0.image", "bellmetal:2"),
    ("speaker", 'controller.image.tag="2"', "containers.0.image", "bellmetal:0.1.0"),
    ("speaker", 'image.pullPolicy="Always"', "containers.0.imagePullPolicy", "Always"),
    ("speaker", "speaker.memberlist.mlBindPort=7000", "containers.0.env.5.value", "7000"),
    ("speaker", "prometheus.metricsPort=0", "containers.0.ports", None),
    ("speaker", "prometheus.metricsPort=9", "containers.0.ports.0.containerPort", 9),
    ("controller", 'controller.serviceAccount.name="me"', "serviceAccountName", "me"),
    ("controller", 'controller.affinity={"nodeAffinity": {}}', "affinity.nodeAffinity", {}),
]


def at(value: Any, path: str) -> Any:
    """What stands at ``a.0.b``; None if nothing does."""
    for step in path.split("."):
        try:
            value = value[int(step) if isinstance(value, list) else step]
        except (LookupError, TypeError):
            return None
    return value


@pytest.mark.parametrize(("name", "value", "path", "expected"), VARIANTS)
def test_values_do_what_they_say(name: str, value: str, path: str, expected: object) -> None:
    assert at(pod(name, value), path) == expected


def test_scrape_annotations() -> None:
    on = workload("speaker", "prometheus.scrapeAnnotations=true")["spec"]["template"]["metadata"]
    expected = {"prometheus.io/scrape": "true", "prometheus.io/port": "9120"}
    assert on["annotations"] == expected
    assert "annotations" not in workload("speaker")["spec"]["template"]["metadata"]


# --- rights ---------------------------------------------------------------------------------------

Right = tuple[str, str, str, str]


def rights(kind: str, name: str, *sets: str) -> set[Right]:
    """A role's rights as (group, resource, name of the object or "", verb)."""
    return {
        (group, resource, named, verb)
        for rule in render(*sets)[kind, f"bellmetal-{name}"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for named in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def expand(rows: list[tuple[str, str, str, str]]) -> set[Right]:
    return {(group, kind, name, verb) for group, kind, name, all_ in rows for verb in all_.split()}


RIGHTS = [
    (
        "ClusterRole",
        "controller",
        [
            ("", "services", "", "get list watch"),
            ("", "namespaces", "", "get list watch"),
            ("", "nodes", "", "get list watch"),
            ("", "services/status", "", "patch"),
            ("", "events", "", "create patch"),
            ("discovery.k8s.io", "endpointslices", "", "get list watch"),
        ],
    ),
    (
        "Role",
        "controller",
        [
            ("metallb.io", "ipaddresspools", "", "get list watch"),
            ("metallb.io", "l2advertisements", "", "get list watch"),
            ("metallb.io", "bgpadvertisements", "", "get list watch"),
            ("metallb.io", "bgppeers", "", "get list watch"),
            ("metallb.io", "bfdprofiles", "", "get list watch"),
            ("metallb.io", "communities", "", "get list watch"),
            ("metallb.io", "ipaddresspools/status", "", "patch"),
            ("metallb.io", "servicel2statuses", "", "get list watch delete"),
            ("metallb.io", "servicebgpstatuses", "", "get list watch delete"),
            ("metallb.io", "configurationstates", "", "get list watch create patch"),
            ("metallb.io", "configurationstates/status", "", "get patch"),
            ("bellmetal.io", "addressledgers", "", "get list watch create update patch delete"),
            ("bellmetal.io", "announcementslices", "", "get list watch create update patch delete"),
            ("bellmetal.io", "speakerreports", "", "get list watch delete"),
            ("coordination.k8s.io", "leases", "", "create"),
            ("coordination.k8s.io", "leases", "bellmetal-controller", "get update"),
            ("", "secrets", "", "create"),
            ("", "secrets", "memberlist", "get"),
        ],
    ),
    ("ClusterRole", "speaker", [("", "events", "", "create")]),
    (
        "Role",
        "speaker",
        [
            ("bellmetal.io", "announcementslices", "", "get list watch"),
            ("bellmetal.io", "speakerreports", "", "get create update patch"),
            ("metallb.io", "servicel2statuses", "", "get list watch create update patch delete"),
            ("metallb.io", "servicel2statuses/status", "", "update patch"),
            ("metallb.io", "servicebgpstatuses", "", "get list watch create update patch delete"),
            ("metallb.io", "servicebgpstatuses/status", "", "update patch"),
            ("metallb.io", "configurationstates", "", "get list watch create patch"),
            ("metallb.io", "configurationstates/status", "", "get patch"),
        ],
    ),
]


@pytest.mark.parametrize(("kind", "name", "rows"), RIGHTS)
def test_nobody_has_more_rights_than_these(kind: str, name: str, rows: list[Right]) -> None:
    assert rights(kind, name) == expand(rows)


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_roles_are_bound_to_the_account_that_the_pods_have(kind: str, name: str) -> None:
    binding = render()[f"{kind}Binding", f"bellmetal-{name}"]
    assert binding["roleRef"]["kind"] == kind
    assert [item["name"] for item in binding["subjects"]] == [pod(name)["serviceAccountName"]]


def test_the_policy_watches_the_account_that_the_speakers_have() -> None:
    policy = render('speaker.serviceAccount.name="s"')[
        "ValidatingAdmissionPolicy", "bellmetal-speaker-metallb-system"
    ]["spec"]
    (condition,) = policy["matchConditions"]
    expected = "request.userInfo.username == 'system:serviceaccount:metallb-system:s'"
    assert (condition["expression"], policy["failurePolicy"]) == (expected, "Fail")


def test_rights_can_be_left_to_others() -> None:
    assert not any("Role" in kind for kind, _ in render("rbac.create=false"))


# --- the admission webhook ------------------------------------------------------------------------

ADMISSION = "controller.admission.enabled=true"
WEBHOOK = "ValidatingWebhookConfiguration", "bellmetal-controller-metallb-system"


def test_admission_is_three_more_objects_and_no_more_rights() -> None:
    assert set(render(ADMISSION)) - set(render()) == {
        ("Secret", "bellmetal-admission"),
        ("Service", "bellmetal-admission"),
        WEBHOOK,
    }
    for kind, name, rows in RIGHTS:
        assert rights(kind, name, ADMISSION) == expand(rows)


def test_the_webhook_lets_everything_in_when_nobody_answers() -> None:
    (webhook,) = render(ADMISSION)[WEBHOOK]["webhooks"]
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"]) == ("Ignore", 3)
    assert (webhook["sideEffects"], webhook["admissionReviewVersions"]) == ("None", ["v1"])


def test_the_webhook_is_asked_about_configuration_alone() -> None:
    (webhook,) = render(ADMISSION)[WEBHOOK]["webhooks"]
    asked = {
        (group, resource, operation)
        for rule in webhook["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for operation in rule["operations"]
    }
    kinds = [
        "ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers", "bfdprofiles",
        "communities",
    ]  # fmt: skip
    writes = {("metallb.io", kind, verb) for kind in kinds for verb in ("CREATE", "UPDATE")}
    assert asked == writes | {("metallb.io", "bfdprofiles", "DELETE")}


def test_the_webhooks_way_leads_to_the_controllers() -> None:
    objects = render(ADMISSION)
    (webhook,) = objects[WEBHOOK]["webhooks"]
    assert webhook["clientConfig"]["service"] == {
        "name": "bellmetal-admission",
        "namespace": "metallb-system",
        "path": PATH,
        "port": 443,
    }
    service = objects["Service", "bellmetal-admission"]["spec"]
    labels = workload("controller", ADMISSION)["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= service["selector"].items()
    (port,) = service["ports"]
    ports = {
        item["name"]: item["containerPort"] for item in container("controller", ADMISSION)["ports"]
    }
    assert (port["port"], ports[port["targetPort"]]) == (443, 9443)


def test_the_webhook_shows_a_certificate_that_the_api_server_believes(tmp_path: Path) -> None:
    objects = render(ADMISSION)
    secret = objects["Secret", "bellmetal-admission"]
    (webhook,) = objects[WEBHOOK]["webhooks"]
    assert secret["type"] == "kubernetes.io/tls"
    assert webhook["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]
    for name, text in secret["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(text))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    assert shake_hands(server, client, "bellmetal-admission.metallb-system.svc")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Whether they agree, in memory; raises SSLError if the client does not believe."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(3):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return bool(ends[0].getpeercert())


def test_the_controller_mounts_the_certificate_and_can_do_without() -> None:
    (volume,) = pod("controller", ADMISSION)["volumes"]
    assert volume["secret"] == {"secretName": "bellmetal-admission", "optional": True}
    (mount,) = container("controller", ADMISSION)["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/bellmetal/webhook", True)
    assert "volumes" not in pod("controller")


def test_the_certificate_can_be_somebody_elses() -> None:
    given = (
        ADMISSION,
        'controller.admission.existingSecret="theirs"',
        'controller.admission.annotations={"cert-manager.io/inject-ca-from": "a/b"}',
    )
    objects = render(*given)
    assert ("Secret", "bellmetal-admission") not in objects
    assert pod("controller", *given)["volumes"][0]["secret"]["secretName"] == "theirs"
    annotations = objects[WEBHOOK]["metadata"]["annotations"]
    assert annotations == {"cert-manager.io/inject-ca-from": "a/b"}
    assert "caBundle" not in objects[WEBHOOK]["webhooks"][0]["clientConfig"]
    (webhook,) = render(*given, 'controller.admission.caBundle="PEM"')[WEBHOOK]["webhooks"]
    assert base64.b64decode(webhook["clientConfig"]["caBundle"]) == b"PEM"


# --- values that are refused ----------------------------------------------------------------------

REFUSED = [
    ("controller.admission.port=0", "at '/controller/admission/port': minimum: got 0, want 1"),
    ('controller.admission.failurePolicy="Fail"', "additional properties 'failurePolicy' not"),
    ("controler={}", "additional properties 'controler' not allowed"),
    ("controller.replica=2", "at '/controller': additional properties 'replica' not allowed"),
    ("controller.replicas=3", "at '/controller/replicas': maximum: got 3, want 2"),
    ('controller.logLevel="loud"', "at '/controller/logLevel': value must be one of"),
    ('prometheus.metricsPort="9120"', "at '/prometheus/metricsPort': got string, want integer"),
    ("speaker.frr.enabled=false", "at '/speaker': additional properties 'frr' not allowed"),
    ('image.pullPolicy="Sometimes"', "at '/image/pullPolicy': value must be one of"),
    ("speaker.podAnnotations={\"a\": true}", "at '/speaker/podAnnotations/a': got boolean, want"),
    ("controller.livenessProbe.successThreshold=2", "/successThreshold': maximum: got 2, want 1"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "sentence"), REFUSED)
def test_a_typo_in_the_values_is_refused(value: str, sentence: str) -> None:
    done = helm("--set-json", value)
    assert done.returncode
    assert sentence in done.stderr


def test_every_value_is_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) == {*values, "global"}
    for name in PROGRAMS:
        assert set(schema["properties"][name]["properties"]) == set(values[name])


# --- CRDs -----------------------------------------------------------------------------------------


def test_the_chart_ships_the_crds_of_the_repository() -> None:
    ours = {path.name: path.read_bytes() for path in CRDS}
    assert {path.name: path.read_bytes() for path in (CHART / "files/crds").iterdir()} == ours


def test_crds_can_be_left_out() -> None:
    assert not any(kind == "CustomResourceDefinition" for kind, _ in render("crds.enabled=false"))


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_a_crd_says_what_it_is_and_survives_an_uninstall(path: Path) -> None:
    body = yaml.safe_load(path.read_text())
    assert body["metadata"]["name"] == path.stem
    assert body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def parts(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema within a schema, by path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from parts(schema["additionalProperties"], f"{path}{{}}")


BOUNDS = {"array": ["maxItems"], "string": ["maxLength", "enum", "format"]}
TOP = (".apiVersion", ".kind", ".metadata")


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_every_field_is_described_and_bounded(path: Path) -> None:
    versions = yaml.safe_load(path.read_text())["spec"]["versions"]
    schemas = [parts(version["schema"]["openAPIV3Schema"]) for version in versions]
    for name, schema in itertools.chain(*schemas):
        if name in TOP:
            continue
        plain = name.endswith(("[]", "{}")) and schema["type"] == "string"
        assert plain or schema["description"].endswith("."), name
        bounds = BOUNDS.get(schema["type"], [])
        assert not bounds or any(bound in schema for bound in bounds), name
        assert "additionalProperties" not in schema or "maxProperties" in schema, name


# --- the image ------------------------------------------------------------------------------------


def dockerfile() -> list[str]:
    """The Dockerfile's instructions, one a line."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", "").splitlines()


def test_the_image_runs_as_nobody_and_is_the_program() -> None:
    assert dockerfile()[-2:] == ["USER 65534:65534", 'ENTRYPOINT ["bellmetal"]']


def test_the_build_context_has_what_the_dockerfile_copies() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source.replace("[s]", "s")
        for line in dockerfile()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == kept


def test_everything_from_outside_is_pinned_by_hash() -> None:
    text = "\n".join(dockerfile())
    installs = re.findall(r"pip --python \S+ install\s+(\S+)", text)
    assert sorted(installs) == ["--no-deps", "--require-hashes", "--require-hashes"]


def test_the_chart_with_its_defaults(golden: Any) -> None:
    golden.check("chart.yaml", helm().stdout)
