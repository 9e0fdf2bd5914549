"""What people see or install, as a whole: a change of it is a change of a golden file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from bellmetal.settings import parser


class Golden(Protocol):
    check: Callable[[str, str], None]


@pytest.mark.parametrize("program", ["controller", "speaker", "ui"])
def test_the_help_of_a_program(
    program: str,
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parser("0").parse_args([program, "--help"])
    golden.check(f"{program}-help.txt", capsys.readouterr().out)
