"""One running lab's directory: its name, number and prefix, who owns it, what was started.

The number (slot) makes the lab's subnet and its link on the host; making that link claims it,
machine-wide, whichever cache is used. A lab whose owner died is found by its lock and removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from lab import cgroups, netns, paths, processes
from lab.errors import LabError
from lab.waiting import until

SLOTS = 12  # 172.20.0.0/16 … 172.31.0.0/16


class Run:
    """The directory of one lab."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = path / "processes"
        self.state: dict[str, Any] = {}
        self._lock: TextIO | None = None
        state = path / "state.json"
        if state.exists():
            self.state = json.loads(state.read_text())

    @property
    def name(self) -> str:
        """The lab's name: that of its directory."""
        return self.path.name

    @property
    def slot(self) -> int:
        """The lab's number."""
        return int(self.state["slot"])

    @property
    def prefix(self) -> str:
        """What the names of its namespaces begin with."""
        return str(self.state["prefix"])

    @property
    def host_link(self) -> str:
        """The link from the host to the control plane."""
        return host_link(self.slot)

    @property
    def cgroup(self) -> str:
        """The name of its cgroup, in every hierarchy."""
        return f"bellmetal-lab-{self.slot}"

    @property
    def detached(self) -> bool:
        """Whether it shall outlive the process that started it."""
        return bool(self.state.get("detached"))

    def save(self, **values: Any) -> None:
        """Remember values, for this process and any other that looks at the lab."""
        self.state.update(values)
        new = self.path / "state.json.new"
        new.write_text(json.dumps(self.state, indent=1))
        new.replace(self.path / "state.json")

    def lock(self) -> bool:
        """Become the lab's owner; False if somebody alive is."""
        handle = (self.path / "lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return False
        self._lock = handle
        return True

    def unlock(self) -> None:
        """Be its owner no more."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def destroy(self) -> None:
        """End everything of this lab and remove every trace. Safe to repeat."""
        if "slot" in self.state:
            listed = processes.read_records(self.records)
            first = [record for record in listed if record.name == "cp/kube-apiserver"]
            processes.kill_all(first)  # before etcd, or it waits for it for minutes
            namespaces = netns.existing(self.prefix)
            processes.kill_all(listed, netns.processes_in(namespaces))
            # what was being started while we looked
            processes.kill_all([], netns.processes_in(namespaces))
            cgroups.remove(self.cgroup)
            netns.ip([f"link del {self.host_link}"], check=False)
            netns.ip([f"netns del {name}" for name in namespaces], check=False)
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():  # a file may have been written while its directory was read
            until(lambda: _removed(self.path), f"{self.path} to be removed", timeout=5)
        self.unlock()


def _removed(path: Path) -> bool:
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def host_link(slot: int) -> str:
    """The link of a lab on the host."""
    return f"bm{slot}-api"


def _claim_slot() -> int:
    for slot in range(SLOTS):
        link = host_link(slot)
        if Path("/sys/class/net", link).exists():
            continue
        try:
            netns.ip([f"link add {link} type veth peer name bm{slot}-peer"])
        except LabError as problem:
            if Path("/sys/class/net", link).exists():  # another process was faster
                continue
            raise LabError(f"the lab needs root and veth links: {problem}") from problem
        return slot
    raise LabError(f"{SLOTS} labs are running already: `python -m lab.cli down --all` ends them")


@contextlib.contextmanager
def _registry() -> Iterator[Path]:
    """The directory of all runs, for us alone, for the moment."""
    folder = paths.runs()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder


def claim(name: str | None, prefix: str | None, **state: Any) -> Run:
    """A new run directory with a number of its own; stale labs are removed first."""
    with _registry() as folder:
        _sweep(folder)
        if name and (folder / name).exists():
            raise LabError(
                f"there is a lab called {name!r}: `python -m lab.cli down --name {name}`"
            )
        slot = _claim_slot()
        run = Run(folder / (name or f"bm{slot}"))
        run.path.mkdir()
        run.lock()
        run.save(slot=slot, prefix=prefix or f"bm{slot}-", owner=os.getpid(), **state)
    return run


def sweep() -> list[str]:
    """Remove labs whose owner has died; their names."""
    with _registry() as folder:
        return _sweep(folder)


def _sweep(folder: Path) -> list[str]:
    swept = []
    for run in _all(folder):
        if not run.detached and run.lock():
            swept.append(run.name)
            run.destroy()
    return swept


def _all(folder: Path) -> list[Run]:
    return [Run(path) for path in sorted(folder.iterdir()) if path.is_dir()]


def all_runs() -> list[Run]:
    """Every lab there is, running or left over."""
    folder = paths.runs()
    return _all(folder) if folder.is_dir() else []


def attach(name: str | None = None) -> Run:
    """The run directory of a lab that is up; the only one if no name is given."""
    found = [run for run in all_runs() if name in (None, run.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise LabError(f"no lab {name!r} is up" if name else "no lab is up: `lab.cli up`")
    raise LabError("several labs are up: say which of " + ", ".join(run.name for run in found))
