"""Who may do what: the person who asks, and the ServiceAccounts of our programs.

What the programs need stands here as in the chart's roles (a test compares them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import INSTALLED, Check, Finding
from bellmetal.preflight.seen import PROGRAMS, Seen, Want

SYSTEM_ACCOUNT = "system:serviceaccount:"
_FOLLOW = ("list", "watch")
_ROWS = (*_FOLLOW, "create", "patch", "delete")


def _wants(
    who: str,
    group: str,
    resources: str,
    verbs: Iterable[str],
    namespaced: bool = True,
    name: str = "",
) -> list[Want]:
    return [
        Want(who, verb, group, resource, namespaced, name)
        for resource in resources.split()
        for verb in verbs
    ]


_CONFIGURATION = (
    "ipaddresspools l2advertisements bgpadvertisements bgppeers bfdprofiles communities"
)
_STATUSES = "servicel2statuses servicebgpstatuses"


def _states(who: str) -> list[Want]:
    return [
        *_wants(who, "metallb.io", "configurationstates", (*_FOLLOW, "create", "patch")),
        *_wants(who, "metallb.io", "configurationstates/status", ("patch",)),
    ]


_PASSWORDS, _LEASE = "bellmetal-bgp-passwords", "bellmetal-controller"
CONTROLLER = (
    *_wants("controller", "", "services namespaces nodes", _FOLLOW, False),
    *_wants("controller", "discovery.k8s.io", "endpointslices", _FOLLOW, False),
    *_wants("controller", "", "services", ("get",), False),
    *_wants("controller", "", "services/status", ("patch",), False),
    *_wants("controller", "", "events", ("create",), False),
    *_wants("controller", "metallb.io", _CONFIGURATION, _FOLLOW),
    *_wants("controller", "metallb.io", "ipaddresspools/status", ("patch",)),
    *_wants("controller", "metallb.io", "servicel2statuses", (*_FOLLOW, "delete")),
    *_wants("controller", "metallb.io", "servicebgpstatuses", ("list", "delete")),
    *_states("controller"),
    *_wants(
        "controller", "bellmetal.io", "addressledgers", ("get", "list", "create", "patch", "delete")
    ),
    *_wants(
        "controller",
        "bellmetal.io",
        "announcementslices",
        (*_FOLLOW, "create", "update", "delete"),
    ),
    *_wants("controller", "bellmetal.io", "speakerreports", _FOLLOW),
    *_wants("controller", "bellmetal.io", "bgpsessionstatuses", ("list", "delete")),
    *_wants("controller", "coordination.k8s.io", "leases", ("create",)),
    *_wants("controller", "coordination.k8s.io", "leases", ("get", "update"), name=_LEASE),
    *_wants("controller", "", "secrets", (*_FOLLOW, "create")),
    *_wants("controller", "", "secrets", ("get", "patch"), name=_PASSWORDS),
)
SPEAKER = (
    *_wants("speaker", "", "events", ("create",), False),
    *_wants("speaker", "bellmetal.io", "announcementslices", _FOLLOW),
    *_wants("speaker", "bellmetal.io", "speakerreports", (*_FOLLOW, "create", "patch")),
    *_wants("speaker", "bellmetal.io", "bgpsessionstatuses", _ROWS),
    *_wants("speaker", "metallb.io", _STATUSES, _ROWS),
    *_wants(
        "speaker", "metallb.io", "servicel2statuses/status servicebgpstatuses/status", ("patch",)
    ),
    *_states("speaker"),
)
PROGRAM_WANTS = (*CONTROLLER, *SPEAKER)
USER_WANTS = (
    *_wants("status", "bellmetal.io", "bgpsessionstatuses announcementslices", ("list",)),
    *_wants("status", "metallb.io", "bgppeers", ("list",)),
    *_wants("status", "", "pods", ("list",)),
    *_wants("status", "", "nodes", ("list",), False),
    *_wants("plan", "metallb.io", _CONFIGURATION, ("list",)),
    *_wants("plan", "bellmetal.io", "addressledgers", ("list",)),
    *_wants("plan", "", "services namespaces nodes", ("list",), False),
    *_wants("plan", "discovery.k8s.io", "endpointslices", ("list",), False),
    *_wants("move", "", "services", ("get", "patch"), False),
    *_wants("move", "metallb.io", "servicel2statuses", ("list",)),
    *_wants("drain", "", "nodes", ("list", "patch"), False),
)


def user_lacks(seen: Seen) -> Iterator[Finding]:
    """A finding for each command that would fail; before an installation there are none."""
    for command in dict.fromkeys(want.who for want in seen.refused_user):
        lacking = [want for want in seen.refused_user if want.who == command]
        grants = []
        for namespaced in (False, True):
            scope = seen.namespace if namespaced else ""
            pairs = [(one.verb, one.what) for one in lacking if one.namespaced is namespaced]
            if pairs:
                grants.append(granting(seen.user, command, scope, pairs))
        yield Finding(
            Code.USER_LACKS,
            f"User/{seen.user or '?'}",
            f"bellmetal {command} needs to {_said(lacking)}",
            " && ".join(grants),
        )


def programs_lack(seen: Seen) -> Iterator[Finding]:
    """A finding for each program whose roles do not fit."""
    for program in PROGRAMS:
        lacking = [want for want in seen.refused_programs if want.who == program]
        if lacking:
            yield Finding(
                Code.PROGRAM_LACKS,
                f"ServiceAccount/{seen.namespace}/{account(seen, program)}",
                f"the {program} may not {_said(lacking)}",
                "helm upgrade with the chart of the version that runs (rbac.create=true), or bring"
                " your own roles up to helm/bellmetal/templates/rbac.yaml",
            )


def account(seen: Seen, program: str) -> str:
    """The ServiceAccount that a program runs as; empty if it is not installed."""
    for workload in seen.ours(program):
        return workload.spec.template.spec.service_account_name
    return ""


CHECKS = (
    Check(
        "you may do what all commands need",
        user_lacks,
        ("refused_user", "deployments"),
        (INSTALLED,),
    ),
    Check(
        "the programs' ServiceAccounts have their rights",
        programs_lack,
        ("refused_programs", "deployments", "daemon_sets"),
        (INSTALLED,),
    ),
)


# --- words ---------------------------------------------------------------------------------------


def granting(user: str, what: str, namespace: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The commands that give a user these (verb, resource) pairs; a namespace: there alone."""
    pairs = list(pairs)
    verbs = ",".join(dict.fromkeys(verb for verb, _ in pairs))
    resources = ",".join(dict.fromkeys(resource for _, resource in pairs))
    kind, binding = ("role", "rolebinding") if namespace else ("clusterrole", "clusterrolebinding")
    inside = f" -n {namespace}" if namespace else ""
    name = f"bellmetal-{what}-{_tag(user)}"
    return (
        f"kubectl create {kind} {name}{inside} --verb={verbs} --resource={resources} &&"
        f" kubectl create {binding} {name}{inside} --{kind}={name} {_subject(user)}"
    )


def _subject(user: str) -> str:
    if user.startswith(SYSTEM_ACCOUNT):
        return f"--serviceaccount={user.removeprefix(SYSTEM_ACCOUNT)}"
    return f"--user={user or 'NAME'}"


def _tag(user: str) -> str:
    """Names of objects may not have what names of users have."""
    return hashlib.sha256(user.encode()).hexdigest()[:6]


def _said(wants: Iterable[Want]) -> str:
    """``get, list services; patch nodes``: what has the same verbs stands together."""
    verbs: dict[str, list[str]] = {}
    for want in wants:
        what = want.what + (f'/"{want.name}"' if want.name else "")
        verbs.setdefault(what, []).append(want.verb)
    resources: dict[str, list[str]] = {}
    for what, names in verbs.items():
        resources.setdefault(", ".join(names), []).append(what)
    return "; ".join(f"{said} {', '.join(names)}" for said, names in resources.items())
