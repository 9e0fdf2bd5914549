"""What `bellmetal plan` prints, and its exit status and command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from bellmetal.api import ApiError
from bellmetal.cli import plan as program
from bellmetal.cli.report import Report, as_json, print_table, summary
from bellmetal.config import OnOrphan
from bellmetal.settings import PlanSettings, SettingsError, parse, parser
from plan_stage import Json, Stage, given, pool_file, service_file, table


class Golden(Protocol):
    check: Callable[[str, str], None]


@pytest.fixture
def stage() -> Stage:
    return Stage()


# --- what is printed -----------------------------------------------------------------------------


@pytest.fixture
async def report(stage: Stage) -> Report:
    """A bit of everything."""
    stage.pool("keep", "192.0.2.0/28")
    stage.pool("main", "198.51.100.0/24", "2001:db8::/120")
    stage.pool("small", "192.0.2.32/28")
    stage.pool("typo", "203.0.113.0/24", meta={"annotations": {"bellmetal.io/drian": "true"}})
    stage.service("calm", "192.0.2.1", pool="keep")
    stage.service("moved", "198.51.100.7")
    stage.service("dual", "198.51.100.9", "2001:db8::9", cluster_ips=["10.96.0.1", "fd00::1"])
    stage.service("invalid", "192.0.2.9", pool="keep")
    stage.service("orphan", "192.0.2.40", pool="small")
    stage.service("picky", load_balancer_ip="192.0.2.200")
    stage.service("gone", "192.0.2.3", pool="keep")
    move = {"bellmetal.io/on-orphan": "renumber"}
    return await stage.plan(
        pool_file("keep", "192.0.2.0-192.0.2.3", "192.0.2.300/32"),
        pool_file("low", "192.0.2.4-192.0.2.5"),
        pool_file("small", "192.0.2.32/29"),
        pool_file("main", "198.51.100.128/25", annotations=move),
        given("Secret", "bgp", "v1", meta={"namespace": "shop"}, data={"password": "czNjcmV0"}),
        service_file("new"),
        service_file("greedy", loadBalancerIP="192.0.2.1"),
        delete=("service/shop/gone",),
    )


def test_the_table(report: Report, golden: Golden) -> None:
    golden.check("plan.txt", table(report))
    golden.check("plan-all.txt", table(report, everything=True))


def test_the_json(report: Report, golden: Golden) -> None:
    golden.check("plan.json", as_json(report, False) + "\n")
    assert len(json.loads(as_json(report, True))["services"]) == len(report.rows)


async def test_addresses_that_nobody_would_announce_any_more_are_told(stage: Stage) -> None:
    stage.pool("main", "192.0.2.0/28")
    stage.service("web", "192.0.2.1")
    stage.serves("web", "n1")
    stage.advertise("lan")
    said = (
        "shop/web: 192.0.2.1 is not announced: no L2Advertisement or BGPAdvertisement selects pool"
    )
    report = await stage.plan(delete=("l2advertisement/lan",))
    assert report.exit_status == 3
    assert f'Nobody would announce any more:\n  {said} "main" and this Service' in table(report)
    assert "1 keeps; 1 announced by nobody any more" in table(report)
    (silent,) = json.loads(as_json(report, False))["silenced"]
    assert (silent["address"], silent["services"]) == ("192.0.2.1", ["shop/web"])
    report = await stage.plan(pool_file("main", "192.0.2.0/27"))
    assert (report.silenced, report.exit_status) == ((), 0)


def test_the_help(
    golden: Golden, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parser("0").parse_args(["plan", "--help"])
    golden.check("plan-help.txt", capsys.readouterr().out)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_alone(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    print_table(report, False, terminal)
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in table(report)


async def test_names_of_a_file_cannot_write_to_the_terminal(stage: Stage) -> None:
    report = await stage.plan(given("\x1b[31mKind", "a\nb", "v1"))
    assert "\x1b" not in table(report)
    assert "\ufffd[31mKind/a\ufffdb" in table(report)


async def test_an_empty_cluster(stage: Stage) -> None:
    assert table(await stage.plan(pool_file("main", "192.0.2.0/24"))) == "0 Services\n"


async def test_problems_that_are_there_already_are_said_so(stage: Stage) -> None:
    stage.pool("bad", "192.0.2.300/32")
    report = await stage.plan(pool_file("main", "192.0.3.0/24"))
    assert [report.is_new(problem) for problem in report.problems] == [False]
    assert "(there already)" in table(report)
    assert summary(report) == "0 Services; 1 problem"


# --- the exit status -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bodies", "fields", "status"),
    [
        pytest.param([pool_file("main", "192.0.2.0/25")], {}, 0, id="all is kept"),
        pytest.param([pool_file("main", "192.0.3.0/24")], {}, 0, id="orphaned"),
        pytest.param([service_file("new")], {}, 0, id="one gets an address"),
        pytest.param([service_file("new", loadBalancerIP="203.0.113.1")], {}, 3, id="refused"),
        pytest.param([], {"delete": ("service/shop/web",)}, 3, id="lost"),
        pytest.param(
            [pool_file("main", "192.0.3.0/24")], {"on_orphan": OnOrphan.RENUMBER}, 3, id="changed"
        ),
        pytest.param([pool_file("main", "x")], {}, 4, id="a problem"),
        pytest.param(
            [pool_file("main", "x")], {"delete": ("service/shop/web",)}, 4, id="a problem, and lost"
        ),
    ],
)
async def test_the_exit_status(stage: Stage, bodies: list[Json], fields: Json, status: int) -> None:
    stage.pool("main")
    stage.service("web", "192.0.2.1")
    assert (await stage.plan(*bodies, **fields)).exit_status == status


async def test_what_hides_behind_a_wrong_namespace_is_said(stage: Stage) -> None:
    with pytest.raises(SettingsError, match="the cluster has no namespace nowhere: --namespace"):
        await stage.plan(namespace="nowhere", delete=("service/shop/web",))


async def test_without_the_api(stage: Stage) -> None:
    stage.api.down = True
    with pytest.raises(ApiError):
        await stage.plan(pool_file("main"))


@pytest.mark.parametrize(
    ("kubeconfig", "file", "status", "sentence"),
    [
        pytest.param(
            "missing", "ok.yaml", 1, "kubeconfig {0}/missing: No such file or directory", id="1"
        ),
        pytest.param("missing", "no.yaml", 2, "{0}/no.yaml: No such file or directory", id="2"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path,
    kubeconfig: str,
    file: str,
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ok.yaml").write_text(yaml.safe_dump(pool_file("main", "192.0.2.0/24")))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / kubeconfig))
    settings = parse(["plan", "-f", str(tmp_path / file)], {}, "0")
    assert isinstance(settings, PlanSettings)
    assert program.main(settings) == status
    out, err = capsys.readouterr()
    assert (out, err.startswith(f"bellmetal plan: {sentence.format(tmp_path)}")) == ("", True)


# --- the command line ----------------------------------------------------------------------------


def test_settings_of_a_plan() -> None:
    line = "plan -f a -f - --delete pool/x --replace --all --output json --namespace ns"
    line += " --lb-class c --on-orphan renumber"
    assert parse(line.split(), {}, "0") == PlanSettings(
        "ns", "c", OnOrphan.RENUMBER, ("a", "-"), ("pool/x",), True, True, "json"
    )
    environment = {"METALLB_NAMESPACE": "from-env"}
    settings = parse(["plan", "-f", "a"], environment, "0")
    assert isinstance(settings, PlanSettings)
    assert settings.namespace == "from-env"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        pytest.param(
            "plan",
            "bellmetal: error: plan: nothing to plan: -f FILE, --delete KIND/NAME, --lose NODE"
            " or --drain NODE",
            id="nothing",
        ),
        pytest.param(
            "plan --replace --delete a/b",
            "bellmetal: error: plan: --replace needs -f FILE",
            id="replace by nothing",
        ),
    ],
)
def test_a_line_that_is_wrong(line: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line.split(), {}, "0")
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == sentence


def test_programs_that_run_in_the_cluster_do_not_load_the_command_line() -> None:
    code = "import sys, bellmetal.__main__, bellmetal.controller, bellmetal.speaker;"
    code += " print([m for m in sys.modules if m.startswith(('rich', 'bellmetal.cli'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
