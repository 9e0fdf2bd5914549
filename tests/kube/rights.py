"""Rights of our programs as values: what the chart grants, what the audit log says was used or
refused, and one right taken away and given back while everything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lab.bare import Bare
from lab.programs import NAMESPACE
from lab.rest import Json
from lab.waiting import until

PROGRAMS = ("controller", "speaker")
ACCOUNTS = {
    f"system:serviceaccount:{NAMESPACE}:bellmetal-{program}": program for program in PROGRAMS
}
RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Right(NamedTuple):
    """One verb on one resource; ``name``: of the one object that it is granted for."""

    program: str
    verb: str
    group: str
    resource: str
    name: str = ""

    @property
    def refusal(self) -> str:
        """How the API server says that it is missing."""
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}"'


def granted(objects: Iterable[Json]) -> set[Right]:
    """Every right in the Roles and ClusterRoles of rendered objects."""
    roles = [item for item in objects if item["kind"] in ("Role", "ClusterRole")]
    return {right for role in roles for right in _rights(_program(role), role["rules"])}


def _program(role: Json) -> str:
    return str(role["metadata"]["name"]).removeprefix("bellmetal-")


def _rights(program: str, rules: Iterable[Json]) -> Iterator[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield Right(program, verb, group, resource, name)


def asked(events: Iterable[Json], rights: Iterable[Right]) -> dict[Right, set[int]]:
    """By the audit log: what our programs asked for, and the codes of the answers. What was asked
    by the name that a right is granted for counts for that right."""
    named = {right for right in rights if right.name}
    found: dict[Right, set[int]] = {}
    for event in events:
        program = ACCOUNTS.get(event["user"].get("username", ""))
        where = event.get("objectRef")
        if program is None or where is None:
            continue
        resource = "/".join(filter(None, (where["resource"], where.get("subresource"))))
        right = Right(program, event["verb"], where.get("apiGroup", ""), resource)
        exact = right._replace(name=where.get("name", ""))
        right = exact if exact in named else right
        found.setdefault(right, set()).add(event.get("responseStatus", {}).get("code", 0))
    return found


@contextmanager
def without(lab: Bare, *rights: Right) -> Iterator[None]:
    """While this lasts the roles lack these rights, and the API server knows."""
    with lacking(lab, rights):
        yield


@contextmanager
def lacking(lab: Bare, rights: Iterable[Right]) -> Iterator[Callable[[Iterable[Right]], None]]:
    """The same; by what this gives the roles lack others from then on."""
    before = {path: lab.rest.get(path) for path in _paths(rights)}

    def lack(missing: Iterable[Right]) -> None:
        for path, role in before.items():
            program, rules = _program(role), role["rules"]
            kept = [right for right in _rights(program, rules) if right not in missing]
            _write(lab, path, [_rule(right) for right in kept])
        for right in rights:
            wanted = right not in missing
            until(lambda r=right, w=wanted: allowed(lab, r) is w, f"{right}: {wanted}", 10)

    try:
        lack(rights)
        yield lack
    finally:
        for path, role in before.items():
            _write(lab, path, role["rules"])
    for right in rights:
        until(lambda right=right: allowed(lab, right), f"{right} is back", 10)


def _paths(rights: Iterable[Right]) -> list[str]:
    names = sorted({f"bellmetal-{right.program}" for right in rights})
    places = ("clusterroles", f"namespaces/{NAMESPACE}/roles")
    return [f"{RBAC}/{place}/{name}" for name in names for place in places]


def _rule(right: Right) -> Json:
    rule: dict[str, Any] = {
        "apiGroups": [right.group],
        "resources": [right.resource],
        "verbs": [right.verb],
    }
    return rule | ({"resourceNames": [right.name]} if right.name else {})


def _write(lab: Bare, path: str, rules: list[Json]) -> None:
    lab.rest.request("PATCH", path, {"rules": rules}, "application/merge-patch+json")


def allowed(lab: Bare, right: Right) -> bool:
    """What the API server would say to our program in our namespace."""
    resource, _, subresource = right.resource.partition("/")
    spec = {
        "user": f"system:serviceaccount:{NAMESPACE}:bellmetal-{right.program}",
        "resourceAttributes": {
            "namespace": NAMESPACE,
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": subresource,
            "name": right.name,
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(lab.rest.post(path, {"spec": spec})["status"]["allowed"])
