"""A node of the cluster floor: its init in namespaces of its own, and its end by a power cut.

One process of the host (`unshare`) holds it all: when it is killed, the kernel ends PID 1 of the
node, and with it kubelet, containerd, containers and mounts, as a power cut does.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab import cgroups, netns, node_files, processes
from lab.controlplane import ControlPlane
from lab.errors import LabError
from lab.guard import TESTS
from lab.host import Argument, Host
from lab.processes import Process
from lab.rest import ApiError, Rest
from lab.run import Run
from lab.sockets import NETNS
from lab.waiting import until

INIT = "init"
# joins the cgroups that come before `--`, then becomes what comes after it
JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


class Node(Host):
    """A host with a kubelet, containerd and kube-proxy."""

    def __init__(
        self, run: Run, name: str, address: str, address6: str, plane: ControlPlane
    ) -> None:
        super().__init__(run, name, address, address6)
        self._plane = plane
        self.index = int(name[1:])

    def command(self, argv: Sequence[Argument]) -> list[str]:
        """The command line that runs `argv` in all namespaces of the node, if it lives."""
        if not self.alive:
            return super().command(argv)
        target = f"--target={self._first_pid()}"
        kinds = ["--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup"]
        return ["nsenter", target, *kinds, "--", *map(str, argv)]

    def _init(self) -> Process | None:
        inits = [found for found in self.started if found.name == f"{self.name}/{INIT}"]
        return inits[-1] if inits else None

    @property
    def alive(self) -> bool:
        """Whether it has power."""
        init = self._init()
        return init is not None and init.alive

    def _first_pid(self) -> int:
        """The host's pid of the node's PID 1."""
        init = self._init()
        assert init is not None
        children = Path(f"/proc/{init.pid}/task/{init.pid}/children")
        return int(until(lambda: children.read_text().split(), f"{self.name}'s PID 1", 5)[0])

    def log(self) -> str:
        """What its init has said."""
        init = self._init()
        return init.log() if init else ""

    # --- on and off ---------------------------------------------------------------------------

    def boot(self, kube_proxy: bool) -> None:
        """Start it, on the disk that it had; does not wait for its kubelet."""
        config = self.dir / "init.json"
        self.dir.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(self._config(kube_proxy), indent=1))
        groups = cgroups.create(self._run.cgroup, self.name)
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc"]
        unshare += ["--cgroup", "--mount-proc"]
        self.started.append(
            processes.start(
                [
                    "sh", "-c", JOIN, self.name, *groups, "--",
                    # not `ip netns exec`, which mounts a new /sys: the cgroups would be hidden
                    "nsenter", f"--net={NETNS / self.namespace}", *unshare,
                    sys.executable, "-m", "lab.node_init", config,
                ],
                f"{self.name}/{INIT}",
                self._run.path / "logs" / f"{self.name}-init.log",
                self._run.records,
                {"PYTHONPATH": str(TESTS), "PATH": self._path(), "TMPDIR": "/var/tmp"},
            )
        )  # fmt: skip
        if cgroups.unified():
            self._leave_room(groups[0])

    def _path(self) -> str:
        return (
            f"{self._plane.binaries}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        )

    def _leave_room(self, group: Path) -> None:
        """v2: a cgroup with children that use controllers may hold no process itself."""
        init = self._init()
        assert init is not None
        until((group / INIT).exists, f"{self.name}'s own cgroup", 5)
        cgroups.join([group / INIT], init.pid)

    def _config(self, kube_proxy: bool) -> dict[str, Any]:
        files = node_files.Files(self.dir, self.name, self.address, self.address6, self.index)
        files.write(self._plane.pki.ca)
        logs = self._run.path / "logs"
        kubelet = [
            str(self._plane.binaries / "kubelet"),
            f"--config={files.kubelet}",
            f"--kubeconfig={self._plane.kubeconfig(f'system:node:{self.name}')}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}{',' + self.address6 if netns.has_ipv6() else ''}",
            "--cert-dir=/var/lib/kubelet/pki",
        ]
        programs = {"kubelet": kubelet}
        if kube_proxy:
            programs["kube-proxy"] = self._plane.kube_proxy(self.name)
        return {
            "name": self.name,
            "dir": str(self.dir),
            "hosts": files.hosts(),
            "containerd": [str(self._plane.binaries / "containerd"), "-c", str(files.containerd)],
            "images": str(self._run.path / "images"),
            "programs": programs,
            "ready": str(self._run.path / "api-ready"),
            "logs": str(logs / self.name),
        }

    def kill(self, cut: Callable[[], float]) -> float:
        """Cut its power; `cut` pulls its cable and says when that was."""
        init = self._init()
        if init is None or not init.alive:
            raise LabError(f"{self.name} is dead already")
        first = processes.Record.of(self._first_pid(), self.name)
        others = self.pids()
        when = cut()
        # PID 1 of the node directly: all of its pid namespace goes with it, and then unshare
        first.signal(signal.SIGKILL)
        init.signal(signal.SIGKILL)
        processes.kill_all([init.record], others)
        until(
            lambda: not cgroups.members(self._run.cgroup, self.name), f"{self.name} to be empty", 10
        )
        return when

    def forget(self) -> None:
        """What the kernel held for it dies with the power: pods' links, filters, neighbours."""
        self.run(["ip", "link", "del", "cni0"], check=False)
        self.run(["nft", "flush", "ruleset"])
        self.run(["ip", "neigh", "flush", "all"])

    def boot_id(self, rest: Rest) -> str:
        """What changes in the API when its kubelet has started anew: the lease it holds."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.name}"
        try:
            return str(rest.get(path)["spec"]["renewTime"])
        except (ApiError, OSError):
            return ""

    # --- images --------------------------------------------------------------------------------

    def import_image(self, tar: Path) -> None:
        """Import an image archive into its containerd."""
        ctr = self._plane.binaries / "ctr"
        self.run([ctr, "-n", "k8s.io", "images", "import", "--local", tar])
        with (self.dir / "imported").open("a") as noted:
            noted.write(f"{tar.name}\n")
