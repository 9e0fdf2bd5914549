"""The Helm chart: its objects without its workloads for the bare floor; and as a package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab import build
from lab.errors import LabError
from lab.paths import CHART, REPOSITORY
from lab.rest import Json

if TYPE_CHECKING:
    from lab.floor import Floor

WORKLOADS = {"Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod"}
# needs a kind of its own to be installed in the cluster, and nothing on the bare floor reads it
OPTIONAL = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


def render(
    lab: Floor, path: Path, values: Mapping[str, Any], namespace: str, release: str = "bellmetal"
) -> list[Json]:
    """All objects of a chart, CRDs too, in the chart's order."""
    if not (path / "Chart.yaml").exists():
        raise LabError(f"no chart in {path}")
    done = lab.helm(
        "template", release, path, "--include-crds", "--no-hooks", "--namespace", namespace,
        "--values", "-", input=json.dumps(values),
    )  # fmt: skip
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def install(
    lab: Floor, objects: Iterable[Json], namespace: str, only: Iterable[str] | None
) -> list[Json]:
    """Apply the namespace, then CRDs, wait for these, then the rest; what was applied."""
    wanted = None if only is None else set(only)
    chosen = [
        found
        for found in objects
        if (found["kind"] in wanted if wanted is not None else _by_default(found["kind"]))
    ]
    for found in chosen:
        if found["kind"] != "CustomResourceDefinition":
            found["metadata"].setdefault("namespace", namespace)  # dropped where it has none
    crds = [found for found in chosen if found["kind"] == "CustomResourceDefinition"]
    lab.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, *crds])
    if crds:
        names = [f"crd/{found['metadata']['name']}" for found in crds]
        lab.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    rest = [found for found in chosen if found["kind"] != "CustomResourceDefinition"]
    if rest:
        lab.apply(rest)
    return chosen


def take_crds() -> None:
    """Copy the CRDs into the chart: helm packages no file from outside, and no link to one."""
    copies = CHART / "files" / "crds"
    copies.mkdir(parents=True, exist_ok=True)
    for stale in copies.glob("*.yaml"):
        stale.unlink()
    for crd in (REPOSITORY / "crds").glob("*.yaml"):
        shutil.copy(crd, copies)


def package(folder: Path) -> None:
    """Write the chart as ``bellmetal-VERSION.tgz`` into a folder."""
    take_crds()
    folder.mkdir(parents=True, exist_ok=True)
    command = [build.binaries() / "helm", "package", CHART, "--destination", folder]
    subprocess.run(command, check=True)


def _by_default(kind: str) -> bool:
    return kind not in WORKLOADS and kind not in OPTIONAL


if __name__ == "__main__":
    package(Path(sys.argv[1]))
