"""Sees to it that a lab is torn down whatever happens to the process that started it.

Ctrl-C and SIGTERM become exceptions, so that context managers end; an exit ends what is left; and
if the process is killed outright, a warden that waits on a pipe does it in its place.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from lab.run import Run

ENDINGS = (signal.SIGTERM, signal.SIGHUP)
TESTS = Path(__file__).resolve().parents[1]


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. As Ctrl-C is: pytest would take a SystemExit for a failed test."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


def watch_signals() -> None:
    """Let SIGTERM and SIGHUP end this process through its context managers."""
    if threading.current_thread() is threading.main_thread():
        for number in ENDINGS:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _raise)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM to the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDINGS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_open: dict[int, Callable[[], None]] = {}


def at_exit(key: int, end: Callable[[], None] | None) -> None:
    """Call `end` when the process exits; with None, do not any more."""
    if end is None:
        _open.pop(key, None)
    else:
        _open[key] = end


@atexit.register
def _end_all() -> None:
    for end in list(_open.values()):
        end()


class Warden:
    """A process of its own that removes a lab if we end without a word."""

    def __init__(self, run: Run) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-S", "-m", "lab.guard", str(run.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Tell it that there is nothing to remove."""
        with contextlib.suppress(BrokenPipeError):
            self._child.communicate(b"done", timeout=10)


def main(path: Path) -> None:
    """The warden: wait for a word or for the end of who started us."""
    for number in (signal.SIGINT, *ENDINGS):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == b"done" or not path.exists():
        return
    run = Run(path)
    if not run.detached and _lock(run):
        run.destroy()


def _lock(run: Run) -> bool:
    """The owner's lock is let go a moment after its end is heard of; False if it lives on."""
    for _ in range(100):
        if run.lock():
            return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
