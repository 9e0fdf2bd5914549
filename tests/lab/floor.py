"""What both floors have in common: coming up, going down, and the one-call methods of a lab."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import accounts, build, chart, guard, network, paths, run
from lab.capture import ANSWERS, ARP, Capture
from lab.controlplane import ControlPlane
from lab.errors import LabError
from lab.faults import Faults
from lab.host import Argument, Host
from lab.host import run as run_program
from lab.rest import Json, Rest
from lab.run import Run

Objects = str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]


class Floor(ABC):
    """A lab, as a context manager; `up` and `down` by hand for those who need it."""

    kind: str
    run: Run
    hosts: dict[str, Host]
    faults: Faults
    control_plane: ControlPlane

    def __init__(
        self,
        nodes: int = 3,
        clients: int = 1,
        routers: int = 0,
        *,
        outsiders: int | None = None,
        name: str | None = None,
        prefix: str | None = None,
        kube_proxy: bool = True,
        audit: bool = False,
        api_flags: Sequence[str] = (),
    ) -> None:
        self.options = {
            "nodes": nodes,
            "clients": clients,
            "routers": routers,
            "outsiders": int(bool(routers)) if outsiders is None else outsiders,
        }
        self.kube_proxy = kube_proxy
        self.audit = audit
        self.api_flags = tuple(api_flags)
        self.times: dict[str, float] = {}  # seconds from `up` to each stage
        self._name = name
        self._prefix = prefix
        self._warden: guard.Warden | None = None
        self._captures = 0

    # --- up and down -----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down(failed=problem is not None)

    def up(self) -> None:
        """Bring it up; leave nothing behind if that fails or is interrupted."""
        guard.watch_signals()
        began = time.monotonic()
        self.binaries = build.binaries()
        claimed = False
        try:
            with guard.uninterrupted():
                self._claim()
                claimed = True
            self._assemble(network.create(self.run, network.Plan(self.run.slot, **self.options)))
            self._start(began)
        except BaseException:
            if claimed:
                self.down(failed=True)
            raise

    def _claim(self) -> None:
        kept = {"floor": self.kind, "options": self.options, "kube_proxy": self.kube_proxy}
        self.run = run.claim(self._name, self._prefix, **kept)
        self._warden = guard.Warden(self.run)
        guard.at_exit(id(self), self.down)

    def _assemble(self, hosts: dict[str, Host]) -> None:
        self.hosts = hosts
        self.faults = Faults(self.run, hosts)
        self.control_plane = ControlPlane(self.run, hosts["cp"], self.binaries)

    @classmethod
    def attach(cls, name: str | None = None) -> Self:
        """A lab that another process has brought up and left running."""
        found = run.attach(name)
        options = {**found.state["options"], "kube_proxy": found.state["kube_proxy"]}
        lab = cls(**options, name=found.name)
        lab.binaries = build.binaries()
        lab.run = found
        lab._assemble(network.hosts(found, network.Plan(found.slot, **lab.options)))
        for host in lab.hosts.values():
            host.adopt()
        return lab

    def detach(self) -> None:
        """Let it outlive this process."""
        self.run.save(detached=True)
        guard.at_exit(id(self), None)
        self._dismiss_warden()
        self._close()
        self.run.unlock()

    def down(self, failed: bool = False) -> None:
        """Remove every trace of it. After a failure its logs are kept: cache/last-failure."""
        with guard.uninterrupted():
            if failed:
                self._keep_logs()
            self.run.destroy()
            self._close()
            guard.at_exit(id(self), None)
            self._dismiss_warden()

    def _keep_logs(self) -> None:
        kept = paths.cache() / "last-failure"
        with contextlib.suppress(OSError, shutil.Error):
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.run.path / "logs", kept)

    def _close(self) -> None:
        for host in getattr(self, "hosts", {}).values():
            host.close()
        if hasattr(self, "faults"):
            self.faults.close()

    def _dismiss_warden(self) -> None:
        if self._warden is not None:
            self._warden.dismiss()
            self._warden = None

    @abstractmethod
    def _start(self, began: float) -> None:
        """Start all programs, on a network that stands."""

    def _note(self, stage: str, began: float) -> None:
        self.times[stage] = time.monotonic() - began

    def _parallel(self, *works: Any) -> None:
        """Do independent things at once; the first problem is raised when all have ended."""
        with ThreadPoolExecutor(len(works)) as pool:
            for future in [pool.submit(work) for work in works]:
                future.result()

    # --- who is there ----------------------------------------------------------------------

    @property
    def node_names(self) -> list[str]:
        """`n1` and so on."""
        return [name for name in self.hosts if name[0] == "n"]

    def host(self, name: str) -> Host:
        """Any host: `cp`, a node, a client `c1`, a router `r1`, one outside `o1`."""
        if name not in self.hosts:
            raise LabError(f"no host {name!r}: {', '.join(self.hosts)}")
        return self.hosts[name]

    def node(self, name: str = "n1") -> Host:
        """A node."""
        return self.host(name)

    def client(self, name: str = "c1") -> Host:
        """A client on the LAN; it knows no pod network."""
        return self.host(name)

    def router(self, name: str = "r1") -> Host:
        """A router between the LAN and the outside."""
        return self.host(name)

    def outsider(self, name: str = "o1") -> Host:
        """A host behind the routers."""
        return self.host(name)

    @property
    def control_plane_host(self) -> Host:
        """Where the control plane runs, and on the bare floor our controller."""
        return self.host("cp")

    def address(self, third: int, last: int) -> str:
        """An address of the LAN's /16: for pools, out of the hosts' way (theirs begin with 0)."""
        return f"172.{20 + self.run.slot}.{third}.{last}"

    def address6(self, last: int) -> str:
        """An address of the LAN's IPv6 /64; hosts have those below 0x100."""
        return str(IPv6Address(f"fd00:be11:0:{self.run.slot:x}::{last:x}"))

    def name_of(self, mac: str) -> str:
        """The host whose `eth0` has this hardware address."""
        return {host.mac: name for name, host in self.hosts.items()}[mac]

    # --- the API ---------------------------------------------------------------------------

    @property
    def rest(self) -> Rest:
        """A small synchronous hand on the API, as the admin."""
        return self.control_plane.rest()

    def kubeconfig(self) -> Path:
        """The admin's kubeconfig; its server answers in all LAN namespaces and on the host."""
        return self.control_plane.kubeconfig()

    def kubectl(
        self, *arguments: Argument, check: bool = True, input: str | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the admin, from the host."""
        return self._program("kubectl", arguments, check, input, **options)

    def helm(
        self, *arguments: Argument, check: bool = True, input: str | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run helm as the admin, from the host."""
        return self._program("helm", arguments, check, input, **options)

    def _program(
        self,
        name: str,
        arguments: Sequence[Argument],
        check: bool,
        input: str | None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        return run_program(
            [self.binaries / name, *arguments], check, input, timeout, self.environment()
        )

    def environment(self) -> dict[str, str]:
        """What kubectl and helm need to find this lab, and to write nothing elsewhere."""
        return {"KUBECONFIG": str(self.kubeconfig()), "HOME": str(self.run.path)}

    def apply(self, objects: Objects) -> None:
        """Apply YAML text, a file, an object or several."""
        self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", input=_as_text(objects)
        )

    def service_account_kubeconfig(
        self, namespace: str, name: str, node: str | None = None, hours: float = 168
    ) -> Path:
        """A kubeconfig with a ServiceAccount's token, bound to a Node if one is given."""
        return accounts.kubeconfig(self.control_plane, namespace, name, node, hours)

    def install_chart_objects(
        self,
        values: Mapping[str, Any] | None = None,
        only: Iterable[str] | None = None,
        path: Path = paths.CHART,
        namespace: str = "metallb-system",
    ) -> list[Json]:
        """Apply what the chart has besides workloads (these kinds only); what was applied."""
        rendered = chart.render(self, path, values or {}, namespace)
        return chart.install(self, rendered, namespace, only)

    # --- faults ----------------------------------------------------------------------------

    @abstractmethod
    def kill_node(self, name: str) -> float:
        """Cut a node's power: its processes and its link end at once; the moment (monotonic)."""

    @abstractmethod
    def boot_node(self, name: str) -> None:
        """Switch a node on again."""

    def cut(self, name: str) -> float:
        """Pull a host's cable; the moment (monotonic)."""
        now = time.monotonic()
        self.faults.link(name, up=False)
        return now

    def join(self, name: str) -> float:
        """Put a host's cable back; the moment (monotonic)."""
        now = time.monotonic()
        self.faults.link(name, up=True)
        return now

    def partition(
        self, these: Iterable[str], those: Iterable[str], oneway: bool = False, only: str = ""
    ) -> None:
        """Let no frame pass from these to those hosts, nor back unless `oneway`.

        `only` confines it to `gossip`, or to what `neighbours` (and beacons) need.
        """
        self.faults.partition(these, those, oneway, only)

    def mend(
        self, these: Iterable[str], those: Iterable[str], oneway: bool = False, only: str = ""
    ) -> None:
        """End a partition that was made with the same words; others stay."""
        self.faults.mend(these, those, oneway, only)

    def loss(self, name: str, fraction: float, direction: str = "both") -> None:
        """Lose a fraction of a host's frames: `in` to it, `out` of it, or `both`; 0 ends it."""
        self.faults.loss(name, fraction, direction)

    def heal(self) -> None:
        """End all partitions and losses."""
        self.faults.heal()

    def api_down(self, hang: bool = False) -> None:
        """Take the API away: connections refused, or (`hang`) accepted and never answered."""
        self.control_plane.api_down(hang)

    def api_up(self) -> None:
        """Bring the API back; returns when it is ready."""
        self.control_plane.api_up()

    # --- looking ---------------------------------------------------------------------------

    def capture(self, where: str = "lan", filter: str = "") -> Capture:
        """Capture a host's link, or the whole LAN (each frame once); a context manager."""
        link = "br0" if where == "lan" else self.host(where).link
        self._captures += 1
        path = self.run.path / "captures" / f"{self._captures}-{where}.pcap"
        path.parent.mkdir(exist_ok=True)
        command = ["ip", "netns", "exec", f"{self.run.prefix}lan"]
        return Capture(command, link, filter, path, self.run.records)

    def sniff_arp(self) -> Capture:
        """Capture all ARP on the LAN: who answers for an address?"""
        return self.capture("lan", ARP)

    def sniff_answers(self) -> Capture:
        """The same for both families: ARP, and IPv6 neighbour advertisements."""
        return self.capture("lan", ANSWERS)


def _as_text(objects: Objects) -> str:
    if isinstance(objects, str):
        return objects
    if isinstance(objects, Path):
        return objects.read_text()
    items = [objects] if isinstance(objects, Mapping) else list(objects)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
