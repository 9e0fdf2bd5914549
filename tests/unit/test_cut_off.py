"""What becomes of output that nobody reads any more, as with ``| head``."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from bellmetal.cli import drain, move, status_bgp
from bellmetal.errands import DrainSettings, MoveSettings
from bellmetal.inquiries import StatusBGPSettings
from bellmetal.logs import set_up
from bellmetal.settings import parse


def test_a_command_ends_quietly() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "bellmetal", "status", "bgp", "--help"],
        stdout=writes,
        stderr=subprocess.PIPE,
        check=False,
        # buffered, as usual: else it is argparse that meets the broken pipe, and says nothing
        env={name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("module", "inside", "typed"),
    [
        (drain, "_drain", ["drain", "n1"]),
        (move, "_move", ["move", "192.0.2.1", "n1"]),
        (status_bgp, "_run", ["status", "bgp"]),
    ],
    ids=["drain", "move", "status bgp"],
)
def test_it_is_no_error_that_a_command_would_tell(
    module: object, inside: str, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise BrokenPipeError

    settings = parse(typed, {}, "0")
    assert isinstance(settings, DrainSettings | MoveSettings | StatusBGPSettings)
    monkeypatch.setattr(module, inside, broken)
    with pytest.raises(BrokenPipeError):
        module.main(settings)  # type: ignore[attr-defined]


LIBRARIES = ("kopf", "asyncio", "aiohttp", "pyroute2")


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """What `set_up` changes is the whole process's."""
    root, numbers = logging.getLogger(), (10, 20, 30, 40, 50)
    handlers, level = root.handlers[:], root.level
    names = {number: logging.getLevelName(number) for number in numbers}
    libraries = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, name in names.items():
        logging.addLevelName(number, name)
    for name, before in libraries.items():
        logging.getLogger(name).setLevel(before)


class Broken(TextIO):
    """Whoever has read it is gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        """Nothing is left to be written."""


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize(("plain", "ends"), [(True, [signal.SIGTERM]), (False, [])])
def test_a_speaker_that_nobody_looks_at_any_more_ends_but_not_in_a_cluster(
    plain: bool, ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    root = logging.getLogger()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(sys, "stdout", Broken())
    monkeypatch.setattr("os.kill", lambda _, number: killed.append(number))
    set_up("info", plain=plain)
    (handler,) = root.handlers
    handler.handle(logging.LogRecord("x", logging.INFO, "", 0, "a line", None, None))
    assert killed == ends
