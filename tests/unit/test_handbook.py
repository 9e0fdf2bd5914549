"""docs/troubleshooting.md is made of the catalogue: every cause, in the program's words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bellmetal.diagnosis.catalogue import CATALOGUE

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- the catalogue begins -->\n", "<!-- the catalogue ends -->\n"
BLANKS = ("namespace", "name", "pool", "node", "address", "port", "object")


def catalogue() -> Iterator[str]:
    """A table of all causes, then a section for each."""
    yield "| code | what is wrong |"
    yield "|---|---|"
    for code, advice in CATALOGUE.items():
        yield f"| [`{code}`](#{code.lower()}) | {advice.title} |"
    for code, advice in CATALOGUE.items():
        yield f"\n### {code}\n"
        yield f"**{advice.title}.** {advice.meaning}\n"
        if advice.edit:
            yield f"- Change: {filled(advice.edit)}"
        yield f"- Type: `{filled(advice.command)}`"


def filled(text: str) -> str:
    """With blanks as people read them; braces of JSON and JSONPath stay."""
    for name in BLANKS:
        text = text.replace("{" + name + "}", name.upper())
    return text.replace("{system}", "metallb-system")


def test_the_page_says_what_the_program_says(request: pytest.FixtureRequest) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    said, _, after = rest.partition(END)
    wanted = "\n" + "\n".join(catalogue()) + "\n\n"
    if request.config.getoption("--golden"):
        PAGE.write_text(before + BEGIN + wanted + END + after)
        return
    assert said == wanted, "make golden, and look at the diff"
