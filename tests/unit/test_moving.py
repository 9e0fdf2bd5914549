"""The command line of `bellmetal migrate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from bellmetal.moving import (
    MigrateCheckSettings,
    MigrateConfigSettings,
    MigrateProtectSettings,
    TakeoverSettings,
)
from bellmetal.settings import ControllerSettings, parse, parser

CHART = "metallb/metallb"
NS = "metallb-system"


class Golden(Protocol):
    check: Callable[[str, str], None]


UNDERSTOOD = [
    ("config old.yaml", MigrateConfigSettings(NS, "old.yaml", False, "config", "yaml")),
    ("config - --output=json", MigrateConfigSettings(NS, "-", False, "config", "json")),
    (
        "config --from-cluster --config-map=mine",
        MigrateConfigSettings(NS, "", True, "mine", "yaml"),
    ),
    ("check --lb-class=a", MigrateCheckSettings(NS, "a", "text")),
    ("protect --metallb-chart=./m", MigrateProtectSettings(NS, "./m", "text")),
    ("takeover start", TakeoverSettings(NS, "", "start", "", 60.0, CHART, "text")),
    ("takeover node n1", TakeoverSettings(NS, "", "node", "n1", 60.0, CHART, "text")),
    ("takeover node --all", TakeoverSettings(NS, "", "node", "", 60.0, CHART, "text")),
    ("takeover status --output=json", TakeoverSettings(NS, "", "status", "", 60.0, CHART, "json")),
    ("takeover rollback --timeout=5", TakeoverSettings(NS, "", "rollback", "", 5.0, CHART, "text")),
]


@pytest.mark.parametrize(("line", "expected"), UNDERSTOOD)
def test_what_is_understood(line: str, expected: object) -> None:
    assert parse(["migrate", *line.split()], {}, "0") == expected


WRONG = [
    ("config", "give a FILE (or -), or --from-cluster"),
    ("config old.yaml --from-cluster", "give a FILE (or -), or --from-cluster"),
    ("takeover node", "give the NAME of a node, or --all"),
    ("takeover node n1 --all", "give the NAME of a node, or --all"),
    ("takeover start n1", "migrate takeover start: takes no node"),
    ("takeover start --timeout=0", "--timeout is above 0 and at most 3600 seconds"),
    ("takeover begin", "invalid choice"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG)
def test_what_is_not(line: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["migrate", *line.split()], {}, "0")
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("subject", ["config", "check", "protect", "takeover"])
def test_the_help(
    subject: str,
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parser("0").parse_args(["migrate", subject, "--help"])
    golden.check(f"migrate-{subject}-help.txt", capsys.readouterr().out)


def test_a_controller_observes_if_it_is_told() -> None:
    plain, beside = (parse(["controller", *flags], {}, "0") for flags in ([], ["--takeover"]))
    assert isinstance(plain, ControllerSettings)
    assert isinstance(beside, ControllerSettings)
    assert (plain.takeover, beside.takeover) == (False, True)
