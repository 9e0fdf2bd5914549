"""docs/preflight.md says what `preflight` may find, in the program's words."""

from __future__ import annotations

from pathlib import Path

from bellmetal.inquiries import PREFLIGHT_STATUS
from bellmetal.preflight.codes import Code, Topic

PAGE = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text()


def table() -> str:
    """What is to stand there."""
    lines = []
    for topic in Topic:
        lines += [f"### {topic.value}", "", "| code | level | meaning |", "|---|---|---|"]
        codes = (code for code in Code if code.topic is topic)
        lines += [f"| `{code.text}` | {code.level.value} | {code.meaning} |" for code in codes]
        lines.append("")
    return "\n".join(lines)


def test_every_code_stands_there_in_the_programs_words() -> None:
    assert table() in PAGE + "\n", f"put this into docs/preflight.md:\n{table()}"


def test_no_other_code_stands_there() -> None:
    assert PAGE.count("\n| `") == len(Code)


def test_the_exit_status_stands_there() -> None:
    for line in PREFLIGHT_STATUS.splitlines()[1:]:
        status, meaning = line.strip().split("  ", 1)
        assert f"| {status} | {meaning} |" in PAGE


def test_codes_are_names_that_are_told_apart() -> None:
    assert len({code.text for code in Code}) == len(Code)
    assert all(code.text.isalpha() for code in Code)
