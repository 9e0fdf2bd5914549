"""A cgroup for the lab and one for each node, in every hierarchy: v1, hybrid, or v2 alone."""

from __future__ import annotations

import os
from pathlib import Path

from lab.waiting import until

ROOT = Path("/sys/fs/cgroup")


def unified() -> bool:
    """Whether this machine has cgroup v2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mount points of all hierarchies."""
    if unified():
        return [ROOT]
    if not ROOT.is_dir():
        return []
    return sorted({path.parent for path in ROOT.glob("*/cgroup.procs")})


def create(*parts: str) -> list[Path]:
    """Make a cgroup (its parents too) in every hierarchy; its directories."""
    made = []
    for top in hierarchies():
        path = top
        for part in parts:
            if unified():
                _delegate(path)
            path = path / part
            path.mkdir(exist_ok=True)
            _fill_cpuset(path)
        made.append(path)
    return made


def _delegate(path: Path) -> None:
    """v2: children of this cgroup may use all its controllers."""
    for controller in (path / "cgroup.controllers").read_text().split():
        try:
            (path / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:  # not every controller can be delegated everywhere; the kubelet will say
            continue


def _fill_cpuset(path: Path) -> None:
    """v1: a new cpuset is empty, and nothing can join an empty one."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = path / name
        if not unified() and file.exists() and not file.read_text().strip():
            file.write_text((path.parent / name).read_text())


def join(groups: list[Path], pid: int) -> None:
    """Move a process into a cgroup of every hierarchy."""
    for path in groups:
        (path / "cgroup.procs").write_text(str(pid))


def members(*parts: str) -> set[int]:
    """The pids anywhere under a cgroup."""
    pids: set[int] = set()
    for top in hierarchies():
        for folder, _, files in os.walk(top.joinpath(*parts)):
            if "cgroup.procs" in files:
                pids.update(_pids(Path(folder)))
    return pids


def _pids(group: Path) -> list[int]:
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:  # it was removed meanwhile
        return []


def remove(*parts: str, timeout: float = 10) -> None:
    """Wait until a cgroup is empty and remove it, with all below it, from every hierarchy."""
    if any(top.joinpath(*parts).exists() for top in hierarchies()):
        until(lambda: not members(*parts), f"cgroup {'/'.join(parts)} to be empty", timeout)
        until(lambda: _removed(*parts), f"cgroup {'/'.join(parts)} to be removed", timeout)


def _removed(*parts: str) -> bool:
    left = False
    for top in hierarchies():
        for folder, _, _ in os.walk(top.joinpath(*parts), topdown=False):
            try:
                os.rmdir(folder)
            except OSError:  # still busy: a process of it is being reaped
                left = True
    return not left
