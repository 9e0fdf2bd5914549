"""The chart's dashboards: what they ask for is exported, and Prometheus understands it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.paths import REPOSITORY
from metric_names import ALL
from prometheus_rules import (
    ADDED,
    DASHBOARDS,
    LEGEND,
    chosen,
    judged,
    panels,
    queries,
    unknown,
    write,
)
from rendering import render

each = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
BGP = {name for name in ALL if "_bgp_" in name or "_bfd_" in name}


def test_there_are_two() -> None:
    assert [path.name for path in DASHBOARDS] == ["bgp.json", "overview.json"]


def test_they_are_as_they_are_written_down(tmp_path: Path) -> None:
    """``python helm/dashboards/write.py`` writes them anew."""
    subprocess.run([sys.executable, REPOSITORY / "helm/dashboards/write.py", tmp_path], check=True)
    for path in DASHBOARDS:
        assert (tmp_path / path.name).read_text() == path.read_text(), path.name


@each
def test_what_is_asked_for_is_exported(path: Path) -> None:
    asked = {
        title: target["expr"] for title, targets in queries(path).items() for target in targets
    }
    asked |= {
        item["name"]: item["query"]["query"].removeprefix("label_values(").removesuffix(")")
        for item in json.loads(path.read_text())["templating"]["list"]
        if item["type"] == "query"
    }
    assert {title: unknown(expr) for title, expr in asked.items() if unknown(expr)} == {}


@each
def test_legends_name_labels_that_there_are(path: Path) -> None:
    for title, targets in queries(path).items():
        for target in targets:
            known = {
                label
                for name, item in ALL.items()
                if name in target["expr"]
                for label in item.labels
            }
            assert set(LEGEND.findall(target["legendFormat"])) <= known | ADDED, title


@each
def test_prometheus_understands_the_questions(path: Path, tmp_path: Path) -> None:
    exprs = [chosen(target["expr"]) for targets in queries(path).values() for target in targets]
    found = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    assert judged("check", "rules", write(tmp_path / "rules.yaml", found)) == ""


def test_between_them_they_show_all_that_is_exported() -> None:
    shown = " ".join(
        target["expr"]
        for path in DASHBOARDS
        for targets in queries(path).values()
        for target in targets
    )
    left_out = {name for name in ALL if name not in shown}
    assert left_out == {
        "bellmetal_layer2_last_proof_timestamp_seconds",  # no figure that a person waits for
        "metallb_bfd_echo_packet_input",
        "metallb_bfd_echo_packet_output",
        "metallb_bfd_zebra_notifications",
        "process_max_fds",
        "process_open_fds",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }


@each
def test_panels_do_not_overlap_and_have_numbers_of_their_own(path: Path) -> None:
    body = json.loads(path.read_text())
    numbers = [panel["id"] for panel in body["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in body["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    assert all(panel["title"] for panel in panels(path))


# --- values ---------------------------------------------------------------------------------------


def test_they_are_config_maps_for_the_sidecar() -> None:
    assert not [name for kind, name in render() if "bgp" in name and kind == "ConfigMap"]
    found = render(
        "prometheus.grafanaDashboards.enabled=true",
        'prometheus.grafanaDashboards.namespace="monitoring"',
        'prometheus.grafanaDashboards.annotations={"grafana_folder": "Network"}',
    )
    for path in DASHBOARDS:
        body = found["ConfigMap", f"bellmetal-{path.stem}"]
        assert body["metadata"]["namespace"] == "monitoring"
        assert body["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert body["metadata"]["annotations"] == {"grafana_folder": "Network"}
        assert json.loads(body["data"][path.name]) == json.loads(path.read_text())
