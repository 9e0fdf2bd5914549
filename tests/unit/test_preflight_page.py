"""`bellmetal preflight` as it is printed: for people, for scripts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Protocol

import pytest

from bellmetal import resources
from bellmetal.cli.finding_table import as_json, print_report, summary
from bellmetal.cli.inspection import inspect
from bellmetal.cli.preflight import judge
from bellmetal.preflight import objects
from bellmetal.preflight.seen import Seen
from builders import metadata
from preflight_scene import (
    OWN,
    pool_body,
)
from preflight_stage import FORBIDDEN, KUBEADM, POOLS, Stage, fresh


class Golden(Protocol):
    check: Callable[[str, str], None]


@pytest.fixture
def stage() -> Stage:
    return fresh()


# --- what is printed -----------------------------------------------------------------------------


async def odd_cluster(stage: Stage) -> Seen:
    stage.install()
    stage.config_map("kube-proxy", **{"config.conf": "mode: ipvs"})
    stage.config_map("kubeadm-config", ClusterConfiguration=KUBEADM)
    stage.refuse[f"/api/v1/namespaces/{OWN}/pods"] = FORBIDDEN
    stage.put(f"{POOLS}/main", pool_body(f"{OWN}/main", "10.0.0.210/28"))
    return await inspect(stage, OWN)


async def test_the_whole_page(stage: Stage, golden: Golden) -> None:
    out = io.StringIO()
    print_report(judge(await odd_cluster(stage)), out)
    golden.check("preflight.txt", out.getvalue())


async def test_json_has_all_of_it(stage: Stage) -> None:
    report = judge(await odd_cluster(stage))
    body = json.loads(as_json(report))
    assert body["version"] == 1
    assert [item["code"] for item in body["findings"]] == [
        item.code.text for item in report.findings
    ]
    assert body["summary"]["failures"] == len(
        [item for item in body["findings"] if item["level"] == "failure"]
    )
    assert body["summary"]["ok"] == len(body["ok"])
    assert body["summary"]["skipped"] == len(body["skipped"])
    assert set(body["findings"][0]) == {"level", "code", "topic", "object", "message", "todo"}


def test_one_of_each_is_counted_as_one() -> None:
    report = judge(Seen(OWN, nodes=(objects.Node(metadata=metadata("n1")),)))
    assert summary(report).startswith("1 warning, ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_terminal_gets_colours_and_commands_are_not_broken(stage: Stage) -> None:
    out = Terminal()
    report = judge(await odd_cluster(stage))
    print_report(report, out)
    assert "\x1b[1;31mNoStrictARP\x1b[0m" in out.getvalue()
    for item in report.findings:
        assert item.todo in out.getvalue()


def test_names_of_objects_cannot_steer_a_terminal() -> None:
    bad = resources.ConfigurationState(
        metadata=metadata("speaker-n1"),
        status=resources.ConfigurationStateStatus("Invalid", "\x1b[2J"),
    )
    out = io.StringIO()
    print_report(judge(Seen(OWN, states=(bad,))), out)
    assert "\x1b" not in out.getvalue()
