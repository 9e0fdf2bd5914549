"""Debian packages that the lab needs, in one list, and the installation of what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.progress import Progress

# a program, or a file by its pattern → the package that brings it
NEEDED = {
    "ip": "iproute2",
    "nft": "nftables",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "mount": "mount",
    "tcpdump": "tcpdump",
    "arping": "arping",
    "ndisc6": "ndisc6",
    "conntrack": "conntrack",
    "curl": "curl",
    "ping": "iputils-ping",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "gcc": "gcc",
    "/usr/lib/*/libc.a": "libc6-dev",
    "/usr/lib/frr/bgpd": "frr",
    "bird": "bird2",
    "gobgpd": "gobgpd",
    "exabgp": "exabgp",
    "prometheus": "prometheus",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> list[str]:
    """The packages that are not installed yet."""
    return sorted({package for sign, package in NEEDED.items() if not _present(sign)})


def _present(sign: str) -> bool:
    if sign.startswith("/"):
        return any(Path("/").glob(sign.removeprefix("/")))
    return shutil.which(sign, path=PATH) is not None


def install(progress: Progress) -> None:
    """Install what is missing, quietly."""
    wanted = missing()
    if not wanted:
        return
    progress.stage(f"packages: {' '.join(wanted)}", 0)
    add(*wanted)


def add(*names: str) -> None:
    """Install these packages."""
    if os.geteuid() != 0 or shutil.which("apt-get", path=PATH) is None:
        raise LabError("missing on this machine, please install: " + ", ".join(names))
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    if apt(command).returncode:  # the package lists may be missing or old
        apt(["apt-get", "update", "-qq"])
        done = apt(command)
        if done.returncode:
            raise LabError(f"apt-get could not install {' '.join(names)}:\n{done.stdout}")


def apt(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of apt's programs without questions."""
    return subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
    )
