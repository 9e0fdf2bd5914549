"""A cluster as `preflight` has read it, in which all is well; a test changes one thing.

Objects of other systems have the shapes that those systems give them, as far as we look at them.
"""

from __future__ import annotations

import datetime
import functools
from dataclasses import replace
from typing import Any

import msgspec
import yaml

from bellmetal import resources
from bellmetal.config import Config
from bellmetal.preflight import CHECKS, discovery, objects
from bellmetal.preflight.crds import KINDS
from bellmetal.preflight.findings import Finding, examine
from bellmetal.preflight.seen import KubeProxy, Seen
from builders import advertisement, metadata, pool
from lab.paths import REPOSITORY

OWN = "metallb-system"
NOW = datetime.datetime(2026, 6, 1, 12, 0, tzinfo=datetime.UTC)
JUST_NOW = "2026-06-01T11:59:57.5Z"
RELEASE = {
    "meta.helm.sh/release-name": "bellmetal",
    "meta.helm.sh/release-namespace": OWN,
}
IMAGE = "registry.example/bellmetal:0.1.0"
SECRET = {"METALLB_ML_SECRET_NAME": "memberlist"}
SUBNET = "10.0.0.1/24"


@functools.cache
def crd(name: str) -> objects.Definition:
    """Ours, as the repository has it and an API server answers it."""
    body = yaml.safe_load((REPOSITORY / "crds" / f"{name}.yaml").read_text())
    body["metadata"]["annotations"] |= RELEASE
    body["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
    return msgspec.convert(body, objects.Definition)


def container(
    name: str, image: str = IMAGE, *args: str, env: dict[str, str] | None = None
) -> objects.Container:
    variables = [objects.EnvVar(key, value) for key, value in (env or {}).items()]
    return objects.Container(name, image, args=list(args), env=variables)


def workload(
    kind: str, key: str, *containers: objects.Container, replicas: int = 1, **fields: Any
) -> objects.Workload:
    labels, annotations = fields.pop("labels", {}), fields.pop("annotations", {})
    template = objects.Template(objects.PodSpec(containers=list(containers), **fields))
    return objects.Workload(
        kind=kind,
        metadata=metadata(key, labels=labels, annotations=annotations),
        spec=objects.WorkloadSpec(replicas, template),
    )


def controllers(*args: str, namespace: str = OWN) -> objects.Workload:
    return workload(
        "Deployment",
        f"{namespace}/bellmetal-controller",
        container("controller", IMAGE, "controller", *args, env=SECRET),
        replicas=2,
        service_account_name="bellmetal-controller",
        labels={"app.kubernetes.io/version": "0.1.0"},
        annotations=RELEASE,
    )


def speakers(**fields: Any) -> objects.Workload:
    defaults: dict[str, Any] = {
        "node_selector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            objects.Toleration("node-role.kubernetes.io/control-plane", "Exists", "", "NoSchedule")
        ],
        "service_account_name": "bellmetal-speaker",
        "annotations": RELEASE,
    }
    return workload(
        "DaemonSet",
        f"{OWN}/bellmetal-speaker",
        container("speaker", IMAGE, "speaker"),
        **(defaults | fields),
    )


def pod(
    name: str,
    program: str,
    node: str = "",
    *,
    image: str = IMAGE,
    ready: bool = True,
    waiting: tuple[str, str] = ("", ""),
) -> objects.Pod:
    state = objects.ContainerState(objects.Waiting(*waiting) if waiting[0] else None)
    conditions = [objects.StatusCondition("Ready", str(ready))]
    return objects.Pod(
        metadata=metadata(f"{OWN}/{name}"),
        spec=objects.PodSpec(node, containers=[container(program, image, program)]),
        status=objects.PodStatus(
            "Running", conditions, [objects.ContainerStatus(program, state=state)]
        ),
    )


def node(
    name: str = "n1",
    *taints: objects.Taint,
    ready: str = "True",
    pods: tuple[str, ...] = (),
    **labels: str,
) -> objects.Node:
    """``n7`` lives at 10.0.0.7; labels with ``__`` for a slash and ``_`` for a dash."""
    named = {key.replace("__", "/").replace("_", "-"): text for key, text in labels.items()}
    conditions = [objects.StatusCondition("Ready", ready, "KubeletReady", "it says so")]
    return objects.Node(
        metadata=metadata(name, labels={"kubernetes.io/os": "linux"} | named),
        spec=objects.NodeSpec(pod_cidrs=list(pods), taints=list(taints)),
        status=objects.NodeStatus(
            conditions, [objects.NodeAddress("InternalIP", f"10.0.0.{name[1:]}")]
        ),
    )


def report(
    name: str,
    *findings: tuple[str, str],
    subnets: tuple[str, ...] = (SUBNET,),
    gateways: tuple[str, ...] = (),
    **view: Any,
) -> resources.SpeakerReport:
    """With what the speaker sees of its node, all of it well but for the ``view``."""
    interface = resources.ReportedInterface(
        "eth0", up=True, subnets=list(subnets), gateways=list(gateways)
    )
    found = [resources.ReportedFinding(*item) for item in findings]
    well_seen: dict[str, Any] = {
        "links": [link()],
        "kube_proxy": resources.ReportedKubeProxy("nftables", True),
        "ip_forward": True,
    }
    seen = resources.ReportedNode(**(well_seen | view))
    status = resources.SpeakerReportStatus(1, interfaces=[interface], findings=found, node=seen)
    return resources.SpeakerReport(metadata=metadata(f"{OWN}/{name}"), status=status)


def link(name: str = "eth0", **fields: Any) -> resources.ReportedLink:
    return resources.ReportedLink(name, **({"up": True, "arp_ignore": 0} | fields))


def lease(name: str, holder: str = "", renewed: str | None = JUST_NOW) -> resources.Lease:
    return resources.Lease(
        metadata=metadata(name), spec=resources.LeaseSpec(holder, renew_time=renewed)
    )


def namespace(**labels: str) -> resources.Namespace:
    named = {f"pod-security.kubernetes.io/{key}": text for key, text in labels.items()}
    return resources.Namespace(metadata=metadata(OWN, labels=named))


def config(**fields: Any) -> Config:
    defaults: dict[str, Any] = {
        "pools": (pool("main", "10.0.0.200-10.0.0.210"),),
        "l2_advertisements": (advertisement("all"),),
    }
    return Config(**(defaults | fields))


def pools(*entries: str, **fields: Any) -> Config:
    """A configuration with one pool of these entries."""
    return config(pools=(pool("main", *entries),), **fields)


def pool_body(key: str, *entries: str) -> resources.IPAddressPool:
    return resources.IPAddressPool(
        metadata=metadata(key), spec=resources.IPAddressPoolSpec(list(entries))
    )


def well(**changes: Any) -> Seen:
    """Everything as it should be on three nodes, but for the changes."""
    names = ("n1", "n2", "n3")
    found = Seen(
        OWN,
        now=NOW,
        server=discovery.Version("1", "36", "v1.36.3"),
        user="alice",
        crds={name: crd(name) for name in KINDS},
        own_namespace=namespace(enforce="privileged"),
        deployments=(controllers(),),
        daemon_sets=(speakers(),),
        pods=(
            pod("controller-1", "controller", "n1"),
            pod("controller-2", "controller", "n2"),
            *(pod(f"speaker-{name}", "speaker", name) for name in names),
        ),
        lease=lease(f"{OWN}/bellmetal-controller", "controller-1"),
        has_secret=True,
        nodes=tuple(node(name) for name in names),
        node_leases=tuple(lease(f"kube-node-lease/{name}") for name in names),
        reports=tuple(report(name) for name in names),
        kube_proxy=KubeProxy("nftables"),
        pod_cidrs=("10.244.0.0/16",),
        service_cidrs=("10.96.0.0/16",),
        pools=(pool_body(f"{OWN}/main", "10.0.0.200-10.0.0.210"),),
        config=config(),
    )
    return replace(found, **changes)


def bare(**changes: Any) -> Seen:
    """A cluster where nothing of ours is."""
    nothing: dict[str, Any] = {
        "crds": dict.fromkeys(KINDS),
        "own_namespace": None,
        "deployments": (),
        "daemon_sets": (),
        "pods": (),
        "lease": None,
        "has_secret": False,
        "reports": (),
        "pools": (),
        "config": Config(),
    }
    return well(**(nothing | changes))


def found(seen: Seen) -> list[Finding]:
    """All findings, but for the note that is there whenever a pool is where it should be."""
    findings = examine(seen, CHECKS, {}).findings
    return [item for item in findings if item.code.text != "PoolInSubnet"]
