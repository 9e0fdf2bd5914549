"""The chart as text: what an installation consists of, and with which rights."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from lab.paths import CHART, REPOSITORY
from rendering import (
    PROGRAMS,
    Right,
    at,
    container,
    environment,
    helm,
    pod,
    render,
    rights,
    workload,
)

# --- what there is --------------------------------------------------------------------------------

TEST = {
    ("Pod", "bellmetal-test"),
    ("ServiceAccount", "bellmetal-test"),
    ("ClusterRole", "bellmetal-test"),
    ("ClusterRoleBinding", "bellmetal-test"),
    ("Role", "bellmetal-test"),
    ("RoleBinding", "bellmetal-test"),
}
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
    ("CustomResourceDefinition", "bgpsessionstatuses.bellmetal.io"),
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
    assert set(render()) == OBJECTS | TEST


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
        "METALLB_BGP_PASSWORD_DIR": "/etc/bellmetal/bgp-passwords",
    },
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_environments(name: str) -> None:
    assert environment(name) == ENVIRONMENT[name]


def test_what_the_speaker_mounts() -> None:
    mounts = {item["name"]: item["mountPath"] for item in container("speaker")["volumeMounts"]}
    assert mounts == {
        "state": "/var/lib/bellmetal",
        "bgp-passwords": "/etc/bellmetal/bgp-passwords",
        "memberlist": "/etc/ml_secret_key",
        "metallb-excludel2": "/etc/metallb",
    }
    assert pod("speaker")["volumes"] == [
        {"name": "state", "hostPath": {"path": "/var/lib/bellmetal", "type": "DirectoryOrCreate"}},
        {
            "name": "bgp-passwords",
            "secret": {
                "secretName": "bellmetal-bgp-passwords",
                "optional": True,
                "defaultMode": 0o400,
            },
        },
        {"name": "memberlist", "secret": {"secretName": "memberlist", "defaultMode": 0o400}},
        {"name": "metallb-excludel2", "configMap": {"name": "metallb-excludel2"}},
    ]


def test_speakers_listen_for_routers_only_where_that_is_asked_for() -> None:
    listening = container("speaker", "speaker.bgp.listen=true")["securityContext"]
    assert listening["capabilities"]["add"] == ["NET_RAW", "NET_BIND_SERVICE"]


def test_without_gossip_there_is_no_key() -> None:
    off = "speaker.memberlist.enabled=false"
    assert not any(key.startswith("METALLB_ML") for key in environment("speaker", off))
    assert "METALLB_ML_SECRET_NAME" not in environment("controller", off)


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
    ("speaker", "speaker.excludeInterfaces.enabled=false", "volumes.3", None),
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


@pytest.mark.parametrize(("name", "value", "path", "expected"), VARIANTS)
def test_values_do_what_they_say(name: str, value: str, path: str, expected: object) -> None:
    assert at(pod(name, value), path) == expected


def test_scrape_annotations() -> None:
    on = workload("speaker", "prometheus.scrapeAnnotations=true")["spec"]["template"]["metadata"]
    expected = {"prometheus.io/scrape": "true", "prometheus.io/port": "9120"}
    assert on["annotations"] == expected
    assert "annotations" not in workload("speaker")["spec"]["template"]["metadata"]


# --- rights ---------------------------------------------------------------------------------------


def expand(rows: list[tuple[str, str, str, str]]) -> set[Right]:
    return {(group, kind, name, verb) for group, kind, name, all_ in rows for verb in all_.split()}


RIGHTS = [
    (
        "ClusterRole",
        "controller",
        [
            ("", "services", "", "get list watch"),
            ("", "namespaces", "", "list watch"),
            ("", "nodes", "", "list watch"),
            ("", "services/status", "", "patch"),
            ("", "events", "", "create"),
            ("discovery.k8s.io", "endpointslices", "", "list watch"),
        ],
    ),
    (
        "Role",
        "controller",
        [
            ("metallb.io", "ipaddresspools", "", "list watch"),
            ("metallb.io", "l2advertisements", "", "list watch"),
            ("metallb.io", "bgpadvertisements", "", "list watch"),
            ("metallb.io", "bgppeers", "", "list watch"),
            ("metallb.io", "bfdprofiles", "", "list watch"),
            ("metallb.io", "communities", "", "list watch"),
            ("metallb.io", "ipaddresspools/status", "", "patch"),
            ("metallb.io", "servicel2statuses", "", "list watch delete"),
            ("metallb.io", "servicebgpstatuses", "", "list delete"),
            ("metallb.io", "configurationstates", "", "list watch create patch"),
            ("metallb.io", "configurationstates/status", "", "patch"),
            ("bellmetal.io", "addressledgers", "", "get list create patch delete"),
            ("bellmetal.io", "announcementslices", "", "list watch create update delete"),
            ("bellmetal.io", "speakerreports", "", "list watch"),
            ("bellmetal.io", "bgpsessionstatuses", "", "list delete"),
            ("coordination.k8s.io", "leases", "", "create"),
            ("coordination.k8s.io", "leases", "bellmetal-controller", "get update"),
            ("", "secrets", "", "list watch create"),
            ("", "secrets", "bellmetal-bgp-passwords", "get patch"),
        ],
    ),
    ("ClusterRole", "speaker", [("", "events", "", "create")]),
    (
        "Role",
        "speaker",
        [
            ("bellmetal.io", "announcementslices", "", "list watch"),
            ("bellmetal.io", "speakerreports", "", "list watch create patch"),
            ("bellmetal.io", "bgpsessionstatuses", "", "list watch create patch delete"),
            ("metallb.io", "servicel2statuses", "", "list watch create patch delete"),
            ("metallb.io", "servicel2statuses/status", "", "patch"),
            ("metallb.io", "servicebgpstatuses", "", "list watch create patch delete"),
            ("metallb.io", "servicebgpstatuses/status", "", "patch"),
            ("metallb.io", "configurationstates", "", "list watch create patch"),
            ("metallb.io", "configurationstates/status", "", "patch"),
        ],
    ),
]


@pytest.mark.parametrize(("kind", "name", "rows"), RIGHTS)
def test_nobody_has_more_rights_than_these(kind: str, name: str, rows: list[Right]) -> None:
    assert rights(kind, name) == expand(rows)


def test_the_page_is_off_by_default_and_needs_two_rights_more() -> None:
    with_page = "controller.ui.enabled=true"
    assert not any("--ui-port" in word for word in container("controller")["args"])
    assert "--ui-port=8080" in container("controller", with_page)["args"]
    more = rights("Role", "controller", with_page) - rights("Role", "controller")
    assert more == {("", "pods", "", "list"), ("", "events", "", "list")}
    assert rights("ClusterRole", "controller", with_page) == rights("ClusterRole", "controller")
    ports = container("controller", with_page)["ports"]
    assert ports == container("controller")["ports"], "it is reached by port-forward alone"


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


EXAMPLES = REPOSITORY / "tests" / "charts"


def test_the_chart_with_its_defaults(golden: Any) -> None:
    golden.check("chart.yaml", helm().stdout)


@pytest.mark.parametrize("name", ["everything", "metallb-user"])
def test_the_chart_with_values(golden: Any, name: str) -> None:
    done = helm("--values", str(EXAMPLES / f"{name}.yaml"), "--set", "crds.enabled=false")
    assert done.returncode == 0, done.stderr
    golden.check(f"chart-{name}.yaml", done.stdout)
