"""What the build promises: a Go that will do, pins that change the key, a time left in words."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lab import build, golang, oci, paths, progress
from lab.errors import LabError
from lab.progress import Lines


def go(folder: Path, version: str) -> str:
    """A program that says that it is that Go."""
    folder.mkdir(parents=True)
    path = folder / "go"
    path.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def quiet() -> Lines:
    """Progress that nobody reads."""
    return Lines(io.StringIO())


def test_the_machines_go_is_used_if_it_is_new_enough(tmp_path: Path, quiet: Lines) -> None:
    own = go(tmp_path / "new", "1.99.1")
    assert golang.find(quiet, machine=own) == own


@pytest.mark.parametrize("own", ["1.26.5", ""])
def test_a_go_that_is_too_old_or_missing_is_fetched_and_found_again(
    own: str, tmp_path: Path, quiet: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(folder: Path) -> None:
        fetched.append(go(folder / "go" / "bin", "1.99.1"))

    monkeypatch.setenv("BELLMETAL_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(golang, "_fetch", fetch)
    machine = go(tmp_path / "old", own) if own else ""
    assert golang.find(quiet, machine) == golang.find(quiet, machine) == fetched[0]
    assert len(fetched) == 1


def test_a_pin_that_is_too_old_is_named(
    tmp_path: Path, quiet: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLMETAL_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(golang, "_fetch", lambda folder: go(folder / "go" / "bin", "1.20"))
    with pytest.raises(LabError, match=r"too old: raise the pin in go-requirements.txt"):
        golang.find(quiet, machine="")


def test_a_changed_pin_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.key()
    for module in golang.MODULES:
        (tmp_path / module).mkdir()
        for name in ("go.mod", "go.sum"):
            (tmp_path / module / name).write_bytes((paths.HERE / module / name).read_bytes())
    monkeypatch.setattr(paths, "HERE", tmp_path)
    assert build.key() == before
    sums = tmp_path / "runtime" / "go.sum"
    sums.write_text(sums.read_text() + "\n")
    assert build.key() != before


def test_every_program_has_one_name() -> None:
    outputs = [name for module in build.MODULES for name in module.outputs()]
    assert {"server", "helm", "kubelet", "containerd-shim-runc-v2"} <= set(outputs)
    assert len(outputs) == len(set(outputs)) == 11


@pytest.mark.parametrize(
    ("spent", "share", "words"),
    [
        (1, 0.01, "time left unknown yet"),
        (60, 0.5, "60 s left"),
        (60, 0.2, "4 min left"),
        (10, 1, "0 s left"),
    ],
)
def test_time_left_in_words(spent: float, share: float, words: str) -> None:
    assert progress.time_left(spent, share) == words


def test_a_failed_build_says_what_go_said(tmp_path: Path) -> None:
    seen: list[str] = []
    script = "echo one; echo go: downloading x >&2; echo no such module >&2; exit 1"
    with pytest.raises(LabError, match="no such module"):
        build.run_noting(["sh", "-c", script], tmp_path, seen.append)
    assert "go: downloading x" in seen


def test_the_same_tree_gives_the_same_image(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "srv").mkdir(parents=True)
    (tree / "srv/word").write_text("same")
    (tree / "link").symlink_to("srv")
    archives = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for archive in archives:
        oci.write(archive, "lab.local/t:1", [tree], {"Cmd": ["x"]})
        (tree / "srv/word").touch()
    assert archives[0].read_bytes() == archives[1].read_bytes()
