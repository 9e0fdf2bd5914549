"""The pages: links that lead somewhere, commands that exist, nothing that no test looks at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bellmetal.intentsfile import intents_of
from bellmetal.settings import parse
from documents import (
    CANNOT_RUN,
    ELSEWHERE,
    Block,
    anchors,
    blocks,
    cannot_run,
    inline,
    links,
    pages,
    prose,
    resolved,
    text_of,
    words_of,
)
from lab.paths import REPOSITORY

PAGES = pages()
SHELL = [block for page in PAGES for block in blocks(page, "sh")]
COMMANDS = [(block, command) for block in SHELL for command in block.commands()]
# what a test has at hand; everything else stands in CANNOT_RUN
RUNNABLE = re.compile(r"(\w+=\$\(.*\)|(kubectl|helm|bellmetal|arping|ip neigh) .*)$")
KNOWN = {"", "sh", "yaml", "json", "toml", "python", "dockerfile", "frr", "bird", "eos"}


def titled(block: Block, command: str) -> str:
    return f"{block.page}:{block.line}: {command}"


# --- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    broken = []
    for target in links(page):
        path, anchor = resolved(page, target)
        if not path.exists():
            broken.append(f"{target}: there is no such file")
        elif anchor and anchor not in anchors(str(path.relative_to(REPOSITORY))):
            broken.append(f"{target}: there is no such heading")
    assert broken == []


def test_every_page_of_the_documentation_stands_in_its_index() -> None:
    here = {resolved("docs/README.md", target)[0].name for target in links("docs/README.md")}
    written = {Path(page).name for page in PAGES if page.startswith("docs/")} - {"README.md"}
    assert written - here == set()


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## What it does *not* do (yet)", "what-it-does-not-do-yet"),
        ("### `bellmetal plan`, and why", "bellmetal-plan-and-why"),
        ("# BGP & BFD", "bgp--bfd"),
        ("## A [link](to.md) in it", "a-link-in-it"),
    ],
)
def test_anchors_are_those_of_code_hosts(
    monkeypatch: pytest.MonkeyPatch, heading: str, anchor: str
) -> None:
    monkeypatch.setattr("documents.text_of", lambda _: f"{heading}\n\ntext\n")
    assert anchors("any.md") == {anchor}


def test_headings_of_the_same_words_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "documents.text_of", lambda _: "# A\n## Tests\n```sh\n# no heading\n```\n## Tests\n"
    )
    assert anchors("any.md") == {"a", "tests", "tests-1"}


# --- commands ------------------------------------------------------------------------------------


def test_a_block_says_what_it_is() -> None:
    odd = [(b.page, b.line, b.language) for page in PAGES for b in blocks(page)]
    assert [item for item in odd if item[2] not in KNOWN] == []


@pytest.mark.parametrize("page", sorted({block.page for block in SHELL}))
def test_every_command_of_a_page_is_run_or_said_not_to_be(page: str) -> None:
    """tests/lab/test_docs.py runs what is left, and shows what it does not run."""
    ours = [(b, c) for b, c in COMMANDS if b.page == page and page not in ELSEWHERE]
    unknown = [titled(*one) for one in ours if not cannot_run(one[1])]
    assert [line for line in unknown if not RUNNABLE.match(line.split(": ", 1)[1])] == []


@pytest.mark.parametrize("begin", CANNOT_RUN)
def test_what_cannot_be_run_is_still_written_somewhere(begin: str) -> None:
    assert any(command.startswith(begin) for _, command in COMMANDS), "a stale entry: take it out"


def test_what_is_run_elsewhere_is() -> None:
    for page, test in ELSEWHERE.items():
        assert page in {block.page for block in SHELL}
        assert Path(page).name in (REPOSITORY / test).read_text()


OURS = sorted({c for _, command in COMMANDS for c in [command] if command.startswith("bellmetal ")})


@pytest.mark.parametrize("command", OURS)
def test_every_command_of_ours_is_one(command: str) -> None:
    parse(words_of(command)[1:], {"METALLB_NODE_NAME": "n1"}, "0")


NAMED = sorted({command for page in PAGES for command in inline(page, "bellmetal")})


@pytest.mark.parametrize("command", NAMED)
def test_every_command_of_ours_in_running_text_is_one_or_the_name_of_one(
    command: str, capsys: pytest.MonkeyPatch
) -> None:
    words = words_of(command)[1:]
    try:
        parse(words, {"METALLB_NODE_NAME": "n1"}, "0")
    except SystemExit:
        with pytest.raises(SystemExit) as ended:
            parse([*words, "--help"], {}, "0")
        assert ended.value.code == 0


@pytest.mark.parametrize(
    "target", sorted({w for p in PAGES for w in re.findall(r"`make (\w[\w-]*)", prose(p))})
)
def test_every_target_of_make_is_one(target: str) -> None:
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.M)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("bellmetal plan -f new.yaml  # reads", ["bellmetal", "plan", "-f", "new.yaml"]),
        ("bellmetal plan -f - > out || [ $? -eq 3 ]", ["bellmetal", "plan", "-f", "-"]),
        ("kubectl get x -o yaml | bellmetal plan -f -", ["kubectl", "get", "x", "-o", "yaml"]),
        ("bellmetal plan …", ["bellmetal", "plan"]),
        ("bellmetal move 'a b' n1", ["bellmetal", "move", "a b", "n1"]),
        ("bellmetal plan --on-orphan=keep;", ["bellmetal", "plan", "--on-orphan=keep"]),
    ],
)
def test_words_are_those_of_the_first_program(command: str, words: list[str]) -> None:
    assert words_of(command) == words


# --- manifests -----------------------------------------------------------------------------------


YAML = [block for page in PAGES for block in blocks(page, "yaml")]


@pytest.mark.parametrize("block", YAML, ids=str)
def test_what_is_shown_as_yaml_is_a_manifest_or_values_or_names_its_file(block: Block) -> None:
    values = yaml.safe_load((REPOSITORY / "helm" / "bellmetal" / "values.yaml").read_text())
    for body in yaml.safe_load_all(block.text):
        if block.is_values:
            assert set(body) <= set(values), "name the file in a comment of the first line"
        elif not block.file:
            assert {"apiVersion", "kind", "metadata"} <= set(body)


def test_the_file_of_intents_is_one() -> None:
    (block,) = blocks("docs/standalone.md", "yaml")
    assert block.file == "intents.yaml"
    contents = intents_of(block.text.encode(), Path(block.file), "n1")
    assert [peer.name for peer in contents.peers] == ["router"]


def test_pages_name_nothing_of_the_machine_that_they_were_written_on() -> None:
    for page in PAGES:
        assert "/root/" not in text_of(page)
        assert "/tmp/" not in text_of(page), page
