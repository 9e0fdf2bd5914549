"""The cluster and the installation as a whole: versions, where it runs, what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import INSTALLED, Check, Finding
from bellmetal.preflight.rights import granting
from bellmetal.preflight.rivals import LB_CLASS
from bellmetal.preflight.seen import PROGRAMS, Seen

OLDEST = (1, 31)  # as the chart's kubeVersion
INSTALL = "helm install bellmetal helm/bellmetal --namespace {namespace} --create-namespace"


def too_old(seen: Seen) -> Iterator[Finding]:
    """An API server without what we rely on (ValidatingAdmissionPolicy, bound tokens)."""
    version = server_version(seen.server.major, seen.server.minor)
    if version is not None and version < OLDEST:
        yield Finding(
            Code.SERVER_TOO_OLD,
            "the API server",
            f"it is {seen.server.git_version}; Bellmetal needs {OLDEST[0]}.{OLDEST[1]} or newer",
            "upgrade the cluster",
        )


def server_version(major: str, minor: str) -> tuple[int, int] | None:
    """Two numbers; some distributions write ``31+``."""
    found = [re.match(r"\d+", text) for text in (major, minor)]
    if not (found[0] and found[1]):
        return None
    return int(found[0][0]), int(found[1][0])


def not_installed(seen: Seen) -> Iterator[Finding]:
    """Nothing of ours in the namespace: not yet, or it is elsewhere."""
    if seen.installed:
        return
    elsewhere = _elsewhere(seen)
    if elsewhere:
        yield Finding(
            Code.ELSEWHERE,
            f"Namespace/{seen.namespace}",
            f"Bellmetal does not run here; it runs in {', '.join(elsewhere)}",
            f"bellmetal preflight --namespace {elsewhere[0]}",
        )
    else:
        yield Finding(
            Code.NOT_INSTALLED,
            f"Namespace/{seen.namespace}",
            "Bellmetal does not run here (yet): what can be known beforehand stands here",
            INSTALL.format(namespace=seen.namespace),
        )


def twice(seen: Seen) -> Iterator[Finding]:
    """Another installation that serves the same class of Services."""
    ours = seen.argument("controller", LB_CLASS) or ""
    for one in seen.all_ours("controller"):
        namespace = one.metadata.namespace
        if namespace == seen.namespace:
            continue
        words = [word for container in one.containers for word in container.args]
        theirs = next((w.partition("=")[2] for w in words if w.startswith(f"{LB_CLASS}=")), "")
        if theirs == ours:
            what = f"those of the class {ours}" if ours else "those without a loadBalancerClass"
            yield Finding(
                Code.TWICE,
                f"Deployment/{namespace}/{one.metadata.name}",
                f"another Bellmetal serves {what}, as this one does",
                "uninstall one of the two, or give one of them a loadBalancerClass",
            )


def not_read(seen: Seen) -> Iterator[Finding]:
    """What nobody could look at, and the right that it needs."""
    for item in dict.fromkeys(seen.unread.values()):
        code = Code.NOT_KNOWN if item.unknowable else Code.NOT_READ
        todo = ""
        if item.verb:
            name = f"preflight-{item.verb}-{item.resource.partition('.')[0]}"
            todo = granting(seen.user, name, item.namespace, [(item.verb, item.resource)])
        yield Finding(code, item.resource, item.why, todo)


def _elsewhere(seen: Seen) -> list[str]:
    found = {one.metadata.namespace for name in PROGRAMS for one in seen.all_ours(name)}
    return sorted(found)


CHECKS = (
    Check("the API server is new enough", too_old, ("server",)),
    Check("Bellmetal is installed", not_installed, ("deployments", "daemon_sets")),
    Check("no second installation serves the same Services", twice, ("deployments",), (INSTALLED,)),
    Check("everything could be read", not_read),
)
