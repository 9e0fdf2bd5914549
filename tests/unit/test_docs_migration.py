"""docs/migration.md says what the program says: commands that parse, codes that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bellmetal.cli.migrate import obstacles
from bellmetal.moving import STEPS
from bellmetal.settings import parse

PAGE = (Path(__file__).parents[2] / "docs" / "migration.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = sorted(
    {
        part.split("#")[0].split(">")[0].strip().removeprefix("bellmetal ")
        for block in BLOCKS
        for line in block.splitlines()
        for part in line.split("|")
        if part.strip().startswith("bellmetal ")
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command: str) -> None:
    parse(command.split(), {}, "0")


def test_it_shows_every_step() -> None:
    shown = {command.split()[2] for command in COMMANDS if command.startswith("migrate takeover")}
    assert shown == set(STEPS) - {"status"}
    assert "`bellmetal migrate takeover status`" in PAGE


def test_what_stops_a_change_over_is_explained() -> None:
    source = Path(obstacles.__file__).read_text()
    stops = set(re.findall(r'stop\(\s*"([a-zA-Z]+)"', source))
    assert stops
    assert {code for code in stops if f"`{code}`" not in PAGE} == set()
    table = PAGE.partition("| code |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[a-zA-Z`, ]+`) \|", table, re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`([a-zA-Z]+)`", row)}
    assert told == stops
