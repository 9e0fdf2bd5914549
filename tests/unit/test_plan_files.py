"""Files of objects → documents, or a sentence that names file, document, kind and field."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from bellmetal.cli.files import FileError, read_files

POOL = """\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.0/24]}
"""


def names(*files: object) -> list[tuple[str, str]]:
    return [(item.kind, item.name) for item in read_files(map(str, files))]


def fault(tmp_path: Path, text: str | bytes) -> str:
    file = tmp_path / "new.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError) as error:
        read_files([str(file)])
    return str(error.value).replace(f"{tmp_path}/", "")


def test_many_documents_of_which_some_are_empty(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(f"# first\n---\n{POOL}---\n---\n{POOL.replace('lan', 'wan')}")
    assert names(file) == [("IPAddressPool", "lan"), ("IPAddressPool", "wan")]
    assert [item.place for item in read_files([str(file)])][1] == f"{file}, document 3"


def test_a_list_and_a_list_of_a_kind(tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    item = '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}'
    file.write_text(f'{{"apiVersion": "v1", "kind": "List", "items": [{item}, {item}]}}')
    assert [item.place for item in read_files([str(file)])] == [
        f"{file}, document 1, item 1",
        f"{file}, document 1, item 2",
    ]
    file.write_text(f'{{"apiVersion": "v1", "kind": "ServiceList", "items": [{item}]}}')
    assert names(file) == [("Service", "a")]


def test_a_folder_is_its_files_by_name(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", "readme.md"):
        (tmp_path / name).write_text(POOL.replace("lan", name[0]) if name != "c.json" else "{}")
    (tmp_path / "c.json").unlink()
    assert names(tmp_path) == [("IPAddressPool", "a"), ("IPAddressPool", "b")]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(POOL.encode())))
    [document] = read_files(["-"])
    assert (document.place, document.name) == ("standard input, document 1", "lan")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("65000:10", "65000:10", id="a community is no number of base 60"),
        pytest.param("2026-01-01", "2026-01-01", id="nor a day a date"),
        pytest.param("0x10", 16, id="hexadecimal"),
        pytest.param("1_000", 1000, id="with a line between"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("192.0.2.1", "192.0.2.1", id="an address"),
        pytest.param("1e3", 1000.0, id="an exponent"),
        pytest.param("-7", -7, id="negative"),
        pytest.param("~", None, id="nothing"),
    ],
)
def test_values_as_kubectl_reads_them(tmp_path: Path, text: str, value: object) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(f"apiVersion: v1\nkind: X\nspec: {text}\n")
    [document] = read_files([str(file)])
    assert document.body["spec"] == value


HEAD = "apiVersion: v1\nkind: Service\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("- a\n", "new.yaml, document 1: is a list, not an object", id="a list"),
        pytest.param(
            f"{POOL}---\nx\n", "new.yaml, document 2: is a text, not an object", id="text"
        ),
        pytest.param("kind: Service", "new.yaml, document 1: apiVersion is missing", id="no group"),
        pytest.param("apiVersion: v1", "new.yaml, document 1: kind is missing", id="no kind"),
        pytest.param(
            "apiVersion: v1\nkind: 7",
            "new.yaml, document 1: kind: is a number, not a text",
            id="kind",
        ),
        pytest.param(
            HEAD + "metadata: [a]",
            "new.yaml, document 1: Service metadata: is a list, not an object",
            id="metadata",
        ),
        pytest.param(
            HEAD + "metadata: {name: 7}",
            "new.yaml, document 1: Service metadata.name: is a number, not a text",
            id="name",
        ),
        pytest.param(
            HEAD + "metadata: {name: a, annotations: {bellmetal.io/drain: true}}",
            "new.yaml, document 1: Service metadata.annotations[bellmetal.io/drain]: is true or"
            " false, not a text; put it in quotes",
            id="an annotation without quotes",
        ),
        pytest.param(
            HEAD + "metadata: {labels: 7}",
            "new.yaml, document 1: Service metadata.labels: is a number, not an object",
            id="labels",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems: {a: b}",
            "new.yaml, document 1: List items: is an object, not a list",
            id="items",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems: [7]",
            "new.yaml, document 1, item 1: is a number, not an object",
            id="item",
        ),
        pytest.param(
            f"{POOL}---\na: [b",
            "new.yaml, document 2: line 7, column 1: cannot be read as YAML:"
            " did not find expected ',' or ']'",
            id="no end",
        ),
        pytest.param(
            "a: *secret",
            "new.yaml, document 1: line 1, column 4: cannot be read as YAML: found undefined alias",
            id="an alias that is none",
        ),
        pytest.param(
            "password: !s3cret x",
            "new.yaml, document 1: line 1, column 11: cannot be read as YAML:"
            " could not determine a constructor for the tag …",
            id="a tag",
        ),
        pytest.param(
            "a: &x [*x]\napiVersion: v1\nkind: X\n",
            "new.yaml, document 1: X: has something in it that JSON cannot say",
            id="without end",
        ),
        pytest.param(
            "? [a]\n: b\n",
            "new.yaml, document 1: line 1, column 3: cannot be read as YAML: found unhashable key",
            id="a list as key",
        ),
        pytest.param("a: " + "[" * 3000, None, id="too deep"),
        pytest.param(b"\xff\xfe\x00", None, id="no text"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str | bytes, sentence: str | None) -> None:
    said = fault(tmp_path, text)
    assert said.startswith("new.yaml, document 1: ") if sentence is None else said == sentence
    assert "s3cret" not in said


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"missing\.yaml: No such file or directory"):
        read_files([str(tmp_path / "missing.yaml")])
    with pytest.raises(FileError, match=r": no file in it ends with \.yaml, \.yml, \.json"):
        read_files([str(tmp_path)])
