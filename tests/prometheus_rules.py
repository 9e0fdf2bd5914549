"""The chart's alerts and dashboards, and Prometheus' own tool that judges them."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.packages import PATH
from lab.paths import CHART
from metric_names import ALL
from rendering import render

Json = dict[str, Any]
ON = "prometheus.prometheusRule.enabled=true"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
# What the Prometheus Operator and Prometheus add.
ADDED = frozenset(
    {"job", "instance", "namespace", "pod", "endpoint", "container", "service", "node"}
)
WORD = re.compile(r"\b(?:metallb|bellmetal|process)_\w+")
SELECTION = re.compile(r"\b([a-z_][a-z0-9_]*)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|on|without) \(([^)]*)\)")
LEGEND = re.compile(r"{{\s*(\w+)\s*}}")


@functools.cache
def promtool() -> str:
    """Prometheus' own tool."""
    found = shutil.which("promtool", path=PATH)
    if not found:
        pytest.skip("no promtool: Debian's package prometheus brings it")
    return found


def rules(*sets: str) -> list[Json]:
    """The rules of the chart as it renders them."""
    body = render(ON, *sets)["PrometheusRule", "bellmetal"]
    (group,) = body["spec"]["groups"]
    found: list[Json] = group["rules"]
    return found


def write(path: Path, found: list[Json]) -> Path:
    """Rules as a file of Prometheus."""
    path.write_text(yaml.safe_dump({"groups": [{"name": "rules", "rules": found}]}))
    return path


def judged(*arguments: str | Path) -> str:
    """What promtool says; empty if it has nothing against it."""
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def panels(path: Path) -> list[Json]:
    """The panels of a dashboard that show something."""
    found: list[Json] = json.loads(path.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries(path: Path) -> dict[str, list[Json]]:
    """The queries of a dashboard by panel."""
    return {panel["title"]: panel["targets"] for panel in panels(path)}


def chosen(expr: str, window: str = "5m") -> str:
    """A query as Grafana sends it, once everything is chosen."""
    return re.sub(r"\$(job|pool|peer|instance)\b", ".*", expr).replace("$__rate_interval", window)


def unknown(expr: str) -> list[str]:
    """Metrics, and labels of metrics, that a query names and nobody exports."""
    found = sorted(set(WORD.findall(expr)) - ALL.keys())
    known = {name: ALL[name].labels for name in WORD.findall(expr) if name in ALL}
    for name, selection in SELECTION.findall(expr):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selection))
        found += sorted(f"{name}.{label}" for label in labels - known.get(name, set()) - ADDED)
    everywhere = frozenset().union(*known.values()) | ADDED | {"family"}
    for labels in GROUPED.findall(expr):
        found += sorted(set(re.findall(r"\w+", labels)) - everywhere)
    return found
