"""Network namespaces and what joins them: bridges, links, addresses, routes, by batches of `ip`.

One batch is one process, so that a whole network stands after a few milliseconds.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.sockets import NETNS


def ip(lines: Iterable[str], namespace: str | None = None, check: bool = True) -> None:
    """Run lines of `ip` in one batch, in a namespace or in the host's."""
    command = ["ip", *(["-n", namespace] if namespace else []), *([] if check else ["-force"])]
    text = "\n".join(lines)
    done = subprocess.run([*command, "-batch", "-"], input=text, capture_output=True, text=True)
    if check and done.returncode:
        raise LabError(f"ip in {namespace or 'the host'}: {done.stderr.strip()}\n{text}")


def claim(namespace: str) -> bool:
    """Make a namespace; False if there is one of that name already (so it is also a lock)."""
    done = subprocess.run(["ip", "netns", "add", namespace], capture_output=True, text=True)
    if done.returncode and not (NETNS / namespace).exists():
        raise LabError(f"no network namespace can be made: {done.stderr.strip()}")
    return done.returncode == 0


def existing(prefix: str) -> list[str]:
    """The namespaces of a lab: all whose name begins with its prefix."""
    if not NETNS.is_dir():
        return []
    return sorted(name for name in os.listdir(NETNS) if name.startswith(prefix))


def processes_in(namespaces: Iterable[str]) -> list[int]:
    """Pids of all processes in these network namespaces."""
    ours = set()
    for name in namespaces:
        try:
            ours.add((NETNS / name).stat().st_ino)
        except FileNotFoundError:
            continue
    return [pid for pid in _pids() if _namespace_of(pid) in ours] if ours else []


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _namespace_of(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:  # it ended meanwhile
        return None


def has_ipv6() -> bool:
    """Whether this kernel has IPv6 at all."""
    return Path("/proc/sys/net/ipv6").is_dir()
