"""Controllers and speakers: there, ready, led, where they should be, and of one version."""

from __future__ import annotations

from collections.abc import Iterator

from bellmetal import __version__
from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import INSTALLED, Check, Finding, Given
from bellmetal.preflight.objects import Node, Pod, Taint, Template, Toleration, Workload
from bellmetal.preflight.seen import PROGRAMS, Seen, program_of

ENFORCE = "pod-security.kubernetes.io/enforce"
VERSION_LABEL = "app.kubernetes.io/version"
STALE = 30.0  # seconds since a Lease was renewed; clocks may differ by some
# What the DaemonSet controller lets its pods tolerate by itself, on the nodes' network.
TOLERATED = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/network-unavailable",
)


def pod_security(seen: Seen) -> Iterator[Finding]:
    """The label that decides whether speakers may have the nodes' network."""
    name = seen.namespace
    labels = seen.own_namespace.metadata.labels if seen.own_namespace else None
    level = (labels or {}).get(ENFORCE)
    todo = f"kubectl label --overwrite namespace {name} {ENFORCE}=privileged"
    if level is None:
        yield Finding(
            Code.NO_POD_SECURITY,
            f"Namespace/{name}",
            f"it has no label {ENFORCE}: where the cluster enforces more by default, speakers are"
            " refused",
            todo,
        )
    elif level != "privileged":
        yield Finding(
            Code.POD_SECURITY,
            f"Namespace/{name}",
            f"{ENFORCE} is {level}, and speakers use the nodes' network and NET_RAW: their pods are"
            " refused",
            todo,
        )


def controllers(seen: Seen) -> Iterator[Finding]:
    """Deployments of controllers, and how many of their pods are ready."""
    found = seen.ours("controller")
    if not found:
        yield Finding(
            Code.NO_CONTROLLER,
            f"Namespace/{seen.namespace}",
            "there is no Deployment of controllers: nobody gives Services addresses",
            "helm upgrade",
        )
    for one in found:
        about = f"Deployment/{seen.namespace}/{one.metadata.name}"
        wanted = one.spec.replicas
        ready = sum(pod.ready for pod in _pods(seen, "controller"))
        why = _why_few(seen, "controller", one)
        todo = f"kubectl -n {seen.namespace} describe deployment {one.metadata.name}"
        if not ready:
            sentence = f"none of {wanted} controllers is ready{why}"
            yield Finding(Code.NO_CONTROLLER, about, sentence, todo)
        elif ready < wanted:
            sentence = f"{ready} of {wanted} controllers are ready{why}"
            yield Finding(Code.FEWER_CONTROLLERS, about, sentence, todo)


def leader(seen: Seen) -> Iterator[Finding]:
    """The Lease: renewed, and by a pod of ours."""
    if not seen.ours("controller"):
        return
    about = f"Lease/{seen.namespace}/bellmetal-controller"
    logs = f"kubectl -n {seen.namespace} logs -l component=controller"
    if seen.lease is None or not seen.lease.spec.holder_identity:
        yield Finding(Code.NO_LEADER, about, "no controller leads: nothing is decided", logs)
        return
    holder, age = seen.lease.spec.holder_identity, seen.age(seen.lease.spec.renew_time)
    if age is not None and age > STALE:
        sentence = f"{holder} led it and has not renewed it for {age:.0f} s: nothing is decided"
        yield Finding(Code.NO_LEADER, about, sentence, logs)
        return
    names = {pod.metadata.name for pod in _pods(seen, "controller")}
    if "pods" not in seen.unread and holder not in names:
        yield Finding(
            Code.STRANGE_LEADER,
            about,
            f"{holder} leads, which is no controller pod of this namespace",
            "look for a controller that somebody has started by hand",
        )


def speakers(seen: Seen) -> Iterator[Finding]:
    """A speaker on every node that should have one, or why not."""
    found = seen.ours("speaker")
    pods = {pod.spec.node_name: pod for pod in _pods(seen, "speaker") if pod.spec.node_name}
    if not found or not pods:
        lacks = "there is no DaemonSet of speakers" if not found else "no speaker's pod is there"
        yield Finding(
            Code.NO_SPEAKERS,
            f"Namespace/{seen.namespace}",
            f"{lacks}: nobody announces an address" + _refusals(found),
            f"kubectl -n {seen.namespace} describe daemonset -l component=speaker",
        )
        return
    for node in seen.nodes:
        if pod := pods.get(node.name):
            yield from _judged(seen, node, pod)
        else:
            yield why_no_speaker(node, found[0])


def why_no_speaker(node: Node, workload: Workload) -> Finding:
    """Why the DaemonSet has no pod on a node."""
    about, template = f"Node/{node.name}", workload.spec.template
    labels = node.metadata.labels or {}
    selector = template.spec.node_selector
    wrong = sorted(f"{key}={value}" for key, value in selector.items() if labels.get(key) != value)
    if wrong:
        sentence = f"it has no speaker: the DaemonSet's nodeSelector wants {', '.join(wrong)}"
        todo = f"kubectl label node {node.name} {' '.join(wrong)}, if it should have one"
        return Finding(Code.NODE_NOT_SELECTED, about, sentence, todo)
    if taint := next((one for one in node.spec.taints if not _tolerates(template, one)), None):
        return Finding(
            Code.NODE_TAINTED,
            about,
            f"it has no speaker: nothing tolerates its taint {taint}",
            f"add to the chart's speaker.tolerations: {_toleration(taint)}",
        )
    limits = "its affinity may leave it out" if template.spec.affinity else "nothing forbids it"
    return Finding(
        Code.NO_SPEAKER,
        about,
        f"it has no speaker, and {limits}",
        f"kubectl -n {workload.metadata.namespace} describe daemonset {workload.metadata.name}",
    )


def images(seen: Seen) -> Iterator[Finding]:
    """What runs is of one version, and so is this program."""
    found: dict[str, list[str]] = {}
    for program in PROGRAMS:
        for pod in _pods(seen, program):
            for container in pod.spec.containers:
                if program_of(container):
                    found.setdefault(container.image, []).append(program)
    if len(found) > 1:
        said = "; ".join(f"{image}: {_counted(names)}" for image, names in sorted(found.items()))
        todo = f"kubectl -n {seen.namespace} rollout status daemonset -l component=speaker"
        about = f"Namespace/{seen.namespace}"
        yield Finding(Code.IMAGES_DIFFER, about, f"different images run: {said}", todo)


def version(seen: Seen) -> Iterator[Finding]:
    """Whether the chart's version is this program's."""
    labels = {
        (one.metadata.labels or {}).get(VERSION_LABEL, "")
        for program in PROGRAMS
        for one in seen.ours(program)
    }
    for label in sorted(labels - {"", __version__}):
        yield Finding(
            Code.OTHER_VERSION,
            f"Namespace/{seen.namespace}",
            f"{label} is installed, and this program is {__version__}: it may expect other things",
            f"use bellmetal {label}",
        )


def secret(seen: Seen) -> Iterator[Finding]:
    """The Secret without which speakers do not start; the controller makes it."""
    if seen.member_secret and not seen.has_secret:
        yield Finding(
            Code.NO_SECRET,
            f"Secret/{seen.namespace}/{seen.member_secret}",
            "it is missing: speakers cannot start; the controller makes it as soon as it leads",
            f"kubectl -n {seen.namespace} logs -l component=controller",
        )


NAMESPACE = Given(lambda seen: seen.own_namespace, "the namespace is not there yet")
CHECKS = (
    Check("Pod Security lets speakers in", pod_security, ("own_namespace",), (NAMESPACE,)),
    Check("the controllers are ready", controllers, ("deployments", "pods"), (INSTALLED,)),
    Check("one controller leads", leader, ("deployments", "lease"), (INSTALLED,)),
    Check(
        "every node has a ready speaker that reports",
        speakers,
        ("daemon_sets", "pods", "nodes", "reports"),
        (INSTALLED,),
    ),
    Check("controllers and speakers run one image", images, ("pods",), (INSTALLED,)),
    Check(
        "this program is of the installed version",
        version,
        ("deployments", "daemon_sets"),
        (INSTALLED,),
    ),
    Check("the members' secret is there", secret, ("has_secret", "daemon_sets"), (INSTALLED,)),
)


# --- pods ----------------------------------------------------------------------------------------


def _pods(seen: Seen, program: str) -> list[Pod]:
    return [
        pod
        for pod in seen.pods
        if program in map(program_of, pod.spec.containers)
        and pod.status.phase not in ("Succeeded", "Failed")
    ]


def _judged(seen: Seen, node: Node, pod: Pod) -> Iterator[Finding]:
    about = f"Pod/{seen.namespace}/{pod.metadata.name}"
    if not pod.ready:
        yield Finding(
            Code.SPEAKER_NOT_READY,
            about,
            f"the speaker of node {node.name} is not ready{_why(pod)}",
            f"kubectl -n {seen.namespace} describe pod {pod.metadata.name}",
        )
    elif node.name not in {report.metadata.name for report in seen.reports}:
        yield Finding(
            Code.NO_REPORT,
            about,
            f"the speaker of node {node.name} is ready, and there is no SpeakerReport/{node.name}",
            f"kubectl -n {seen.namespace} logs {pod.metadata.name}",
        )


def _why_few(seen: Seen, program: str, workload: Workload) -> str:
    for pod in _pods(seen, program):
        if not pod.ready:
            return _why(pod)
    return _refusals([workload])


def _refusals(workloads: list[Workload]) -> str:
    """What the workload says of pods that were not even made."""
    for one in workloads:
        for condition in one.status.conditions:
            if condition.type == "ReplicaFailure" and condition.status == "True":
                return f": {condition.message}"
    return ""


def _why(pod: Pod) -> str:
    for status in pod.status.container_statuses:
        waiting = status.state.waiting
        if waiting and waiting.reason:
            return f": {waiting.reason}" + (f" ({waiting.message})" if waiting.message else "")
        if status.restart_count:
            return f": restarted {status.restart_count} times"
    for condition in pod.status.conditions:
        if condition.status != "True" and condition.message:
            return f": {condition.message}"
    return ""


def _counted(names: list[str]) -> str:
    return " and ".join(
        f"{names.count(name)} {name}{'s' if names.count(name) > 1 else ''}"
        for name in dict.fromkeys(names)
    )


# --- nodes ---------------------------------------------------------------------------------------


def _tolerates(template: Template, taint: Taint) -> bool:
    if taint.effect not in ("NoSchedule", "NoExecute") or taint.key in TOLERATED:
        return True
    return any(_covers(item, taint) for item in template.spec.tolerations)


def _covers(item: Toleration, taint: Taint) -> bool:
    if item.effect not in ("", taint.effect):
        return False
    if item.operator == "Exists":
        return item.key in ("", taint.key)
    return item.key == taint.key and item.value == taint.value


def _toleration(taint: Taint) -> str:
    value = f", value: {taint.value}" if taint.value else ""
    operator = "Equal" if taint.value else "Exists"
    return f"{{key: {taint.key}, operator: {operator}{value}, effect: {taint.effect}}}"
