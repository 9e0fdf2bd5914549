"""Programs of the lab: started in a namespace, known by pid and start time, ended by that alone.

A pid without its start time may be somebody else's by now; a name may be anybody's.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import Timeout
from lab.waiting import until

_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without proxies: nothing in the lab is reached through one."""
    kept = {key: value for key, value in os.environ.items() if key.lower() not in _PROXIES}
    return {**kept, **(extra or {})}


@dataclass(frozen=True)
class Record:
    """One process: its pid, when it started (ticks since boot), and what we call it."""

    pid: int
    start: int
    name: str

    @classmethod
    def of(cls, pid: int, name: str) -> Record:
        """The record of a process that runs now; start 0 if it has ended already."""
        return cls(pid, start_time(pid) or 0, name)

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.start != 0 and start_time(self.pid) == self.start

    def signal(self, number: int) -> None:
        """Signal the process's group, which it leads, if it is still this process."""
        if not self.alive():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # not (yet) a group's leader, or gone
            _kill(self.pid, number)

    def line(self) -> str:
        """How it stands in the run directory's list."""
        return f"{self.pid} {self.start} {self.name}\n"


def start_time(pid: int, zombies: bool = False) -> int | None:
    """When a process started, in ticks since boot; None if it is gone (or a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" and not zombies else int(fields[19])


def _stopped(pid: int) -> bool:
    """Whether every thread of a process is stopped, or it is gone."""
    states = set()
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            states.add(path.read_text().rpartition(")")[2].split()[0])
        except OSError:  # that thread has ended
            continue
    return states <= {"T", "Z", "X"}


def read_records(path: Path) -> list[Record]:
    """The processes that were written to a list, whether they live or not."""
    if not path.exists():
        return []
    rows = [line.split(" ", 2) for line in path.read_text().splitlines()]
    return [Record(int(pid), int(start), name) for pid, start, name in rows]


def kill_all(records: Iterable[Record], pids: Iterable[int] = (), timeout: float = 10) -> None:
    """SIGKILL these groups and pids at one instant and wait until they are gone."""
    victims = [record for record in records if record.alive()]
    loose = [Record.of(pid, "?") for pid in pids]
    for record in victims:
        record.signal(signal.SIGKILL)
    for record in loose:
        if record.alive():
            _kill(record.pid, signal.SIGKILL)
    for record in [*victims, *loose]:
        _gone(record, timeout)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _gone(record: Record, timeout: float | None) -> None:
    """Wait until a process has ended, whosever child it is."""
    try:
        handle = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        # a zombie counts: its threads may still be ending, and only then can it be waited for
        if start_time(record.pid, zombies=True) == record.start:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise Timeout(f"{record.name} (pid {record.pid}) has not ended in {timeout} s")
    finally:
        os.close(handle)


class Process:
    """A program of the lab that was started and may be stopped, resumed and ended."""

    def __init__(
        self, record: Record, log_path: Path, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.record = record
        self.log_path = log_path
        self._child = child

    def __repr__(self) -> str:
        return f"<{self.record.name} pid {self.pid} {'runs' if self.alive else 'ended'}>"

    @property
    def pid(self) -> int:
        """Its pid on the host."""
        return self.record.pid

    @property
    def name(self) -> str:
        """What we call it; also its log's name."""
        return self.record.name

    @property
    def alive(self) -> bool:
        """Whether it still runs (stopped counts)."""
        return self.record.alive()

    @property
    def returncode(self) -> int | None:
        """Its exit status, or minus the signal; None while it runs."""
        return self._child.poll() if self._child else None

    def signal(self, number: int) -> None:
        """Send a signal to it and its children."""
        self.record.signal(number)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now (SIGKILL), with its children, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """Stop it (SIGSTOP), as a machine that hangs; returns when none of its threads runs."""
        self.signal(signal.SIGSTOP)
        until(lambda: _stopped(self.pid), f"{self.name} to stop", 5, every=0.001)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def wait(self, timeout: float | None = 30) -> int | None:
        """Wait until it has ended; its exit status if it was started by this process."""
        _gone(self.record, timeout)
        if self._child is None:
            return None
        return self._child.wait(timeout)

    def reap(self) -> None:
        """Take note of its end, if it has ended and is a child of this process."""
        if self._child is not None:
            self._child.poll()

    def log(self) -> str:
        """All that it has written so far."""
        return self.log_path.read_text(errors="replace")


def start(
    argv: Sequence[str | os.PathLike[str]],
    name: str,
    log: Path,
    records: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start a program in a session of its own, note it in `records`, append its output to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [os.fspath(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(env),
            cwd=cwd,
            start_new_session=True,  # Ctrl-C is ours to handle, and its pid names its group
        )
    record = Record.of(child.pid, name)
    with records.open("a") as listed:
        listed.write(record.line())
    return Process(record, log, child)
