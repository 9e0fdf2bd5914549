"""A chart like MetalLB's, as far as a change-over sees it: its CRDs, its workloads, their names.

Written from what an installation looks like; the programs in it do nothing here. What stands for
MetalLB on the wire is `lab/metallb_speaker.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lab.paths import REPOSITORY

Json = dict[str, Any]

VERSION = "0.16.1"
NAMESPACE = "metallb-system"


def crds() -> list[Json]:
    """The kinds of metallb.io, with no policy that would keep them."""
    found = []
    for file in sorted((REPOSITORY / "crds").glob("*.metallb.io.yaml")):
        body = yaml.safe_load(file.read_text())
        body["metadata"].pop("annotations", None)
        found.append(body)
    return found


def labels(component: str, release: str = "metallb") -> Json:
    return {
        "app.kubernetes.io/name": "metallb",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
    }


def workload(kind: str, component: str, container: Json, **pod: Any) -> Json:
    """Its Deployment or DaemonSet, as the chart names them."""
    marks = labels(component)
    template = {"metadata": {"labels": marks}, "spec": {"containers": [container], **pod}}
    spec: Json = {"selector": {"matchLabels": marks}, "template": template}
    if kind == "Deployment":
        spec["replicas"] = 1
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": f"metallb-{component}",
            "namespace": NAMESPACE,
            "labels": marks | {"app.kubernetes.io/managed-by": "Helm"},
        },
        "spec": spec,
    }


def controller(**more: Any) -> Json:
    container = {
        "name": "controller",
        "image": "bellmetal:stand-in",
        "args": ["--port=9120", "--log-level=info"],
        "env": [{"name": "METALLB_BGP_TYPE", "value": "frr-k8s"}],
    }
    return workload("Deployment", "controller", container | more)


def speaker(**more: Any) -> Json:
    container = {
        "name": "speaker",
        "image": "bellmetal:stand-in",
        "args": ["--port=9120", "--log-level=info"],
        "env": [
            {"name": "METALLB_BGP_TYPE", "value": "frr-k8s"},
            {"name": "METALLB_ML_BIND_PORT", "value": "7946"},
        ],
    }
    return workload("DaemonSet", "speaker", container | more, hostNetwork=True)


def write_chart(folder: Path, objects: list[Json] | None = None) -> Path:
    """The chart, its CRDs in a chart of their own that crds.enabled leaves out."""
    chart = folder / "metallb"
    inner = chart / "charts" / "crds"
    for place in (chart / "templates", inner / "templates"):
        place.mkdir(parents=True)
    condition = {"name": "crds", "version": VERSION, "condition": "crds.enabled"}
    about = {"apiVersion": "v2", "name": "metallb", "version": VERSION}
    _write(chart / "Chart.yaml", about | {"dependencies": [condition]})
    _write(chart / "values.yaml", {"crds": {"enabled": True}})
    _write(inner / "Chart.yaml", {"apiVersion": "v2", "name": "crds", "version": VERSION})
    # braces of CEL and of descriptions are no templates
    text = yaml.safe_dump_all(crds()).replace("{{", '{{ "{{" }}')
    (inner / "templates" / "crds.yaml").write_text(text)
    found = [controller(), speaker()] if objects is None else objects
    (chart / "templates" / "all.yaml").write_text(yaml.safe_dump_all(found))
    return chart


def _write(file: Path, body: Json) -> None:
    file.write_text(yaml.safe_dump(body))
