"""PID 1 of a node: makes its file systems, starts its programs, reaps what is left to it.

It runs in namespaces of its own and sees the host's `/`, with its own /var, /run, /etc and /sys.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab.node_files import SYSCTLS
from lab.waiting import until

CGROUPS = Path("/sys/fs/cgroup")


def mount(*arguments: str | Path) -> None:
    """The `mount` command."""
    subprocess.run(["mount", *arguments], check=True)


def file_systems(folder: Path, hosts: str) -> None:
    """The node's own file systems, over the host's."""
    layers = f"lowerdir=/etc,upperdir={folder / 'etc.upper'},workdir={folder / 'etc.work'}"
    mount("-t", "overlay", "overlay", "-o", layers, "/etc")
    mount("--bind", folder / "var", "/var")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    v1 = _v1_hierarchies()
    mount("-t", "sysfs", "sysfs", "/sys")  # this network namespace's /sys/class/net
    if v1:
        _mount_v1(v1)
    else:
        _mount_v2()
    # These sysctls are the whole machine's: show files instead that have the wanted values.
    for key in SYSCTLS:
        if Path("/proc/sys", key).exists():
            mount("--bind", folder / "sysctl" / key.replace("/", "."), Path("/proc/sys", key))
    mount("--make-rshared", "/")  # so that containers can have mountPropagation
    Path("/etc/hosts").write_text(hosts)


def _v1_hierarchies() -> list[str]:
    """The controllers of each v1 hierarchy (`cpu,cpuacct`), or its name (`name=systemd`)."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return [line.split(":")[1] for line in lines if not line.startswith("0:")]


def _mount_v1(hierarchies: Sequence[str]) -> None:
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", CGROUPS)
    for name in hierarchies:
        folder = CGROUPS / name.removeprefix("name=")
        folder.mkdir()
        options = f"none,{name}" if name.startswith("name=") else name
        mount("-t", "cgroup", "-o", options, "cgroup", folder)
    for name in hierarchies:  # `cpu,cpuacct` is looked for as `cpu` and as `cpuacct` too
        for part in name.split(",") if "," in name else []:
            (CGROUPS / part).symlink_to(name)


def _mount_v2() -> None:
    mount("-t", "cgroup2", "cgroup2", CGROUPS)
    own = CGROUPS / "init"
    own.mkdir(exist_ok=True)
    (own / "cgroup.procs").write_text("1")
    for controller in (CGROUPS / "cgroup.controllers").read_text().split():
        # refused while the host has not yet moved our parent out of the way
        until(partial(_delegated, controller), f"cgroup controller {controller}", 5)


def _delegated(controller: str) -> bool:
    try:
        (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return False
    return True


def start(name: str, argv: Sequence[str], logs: str) -> None:
    """Start a program and leave it running."""
    with open(f"{logs}-{name}.log", "ab") as log:
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        return asked.connect_ex(path) == 0


def import_images(folder: Path, noted: Path) -> None:
    """Import those images that this disk does not have yet."""
    known = noted.read_text().split() if noted.exists() else []
    for tar in sorted(folder.iterdir()):
        if tar.name not in known:
            # its services come up after its socket
            until(partial(_imported, tar), f"{tar.name} to be imported", 10, every=0.2)
            with noted.open("a") as list_:
                list_.write(f"{tar.name}\n")


def _imported(tar: Path) -> bool:
    ctr = ["ctr", "-n", "k8s.io", "images", "import", "--local", str(tar)]
    return subprocess.run(ctr).returncode == 0


def main(config: dict[str, Any]) -> None:
    """Boot, then reap for ever."""
    socket.sethostname(config["name"])
    folder = Path(config["dir"])
    file_systems(folder, config["hosts"])
    start("containerd", config["containerd"], config["logs"])
    until(lambda: _answers("/run/containerd/containerd.sock"), "containerd")
    import_images(Path(config["images"]), folder / "imported")
    until(Path(config["ready"]).exists, "the API server", timeout=120)
    for name, argv in config["programs"].items():
        start(name, argv, config["logs"])
    while True:
        os.wait()  # our programs, and the orphans of containerd's shims


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
