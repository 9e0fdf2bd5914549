"""The chart as helm renders it, for tests that need no cluster."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from lab import build
from lab.paths import CHART, cache

Json = dict[str, Any]

Right = tuple[str, str, str, str]

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


def at(value: Any, path: str) -> Any:
    """What stands at ``a.0.b``; None if nothing does."""
    for step in path.split("."):
        try:
            value = value[int(step) if isinstance(value, list) else step]
        except (LookupError, TypeError):
            return None
    return value


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


def notes(*sets: str) -> str:
    """What `helm install` prints with these values, in one line; nothing is asked of a cluster."""
    words = (word for value in sets for word in ("--set-json", value))
    command = [program(), "install", "bellmetal", str(CHART), "--dry-run=client", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.partition("\nNOTES:\n")[2].split())


def refusal(*sets: str) -> str:
    """What helm says against these values."""
    done = helm(*(word for value in sets for word in ("--set-json", value)))
    assert done.returncode, "helm took them"
    return done.stderr
