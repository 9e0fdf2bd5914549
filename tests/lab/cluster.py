"""The cluster floor: real kubelets and containerd too, so that a chart really runs.

Every node is a set of namespaces with its own /var, /run, /etc, /sys and cgroups.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import cgroups, images
from lab.errors import LabError
from lab.floor import Floor
from lab.host import Host
from lab.node import Node
from lab.rest import ApiError
from lab.waiting import until

HIDDEN = ("/etc", "/run", "/sys", "/var")  # where a node has file systems of its own


class Cluster(Floor):
    """A whole Kubernetes cluster; `helm install` works, and so do power cuts."""

    kind = "cluster"

    def __init__(
        self, nodes: int = 3, *positional: Any, images: Sequence[Path] = (), **options: Any
    ) -> None:
        super().__init__(nodes, *positional, **options)
        self.extra_images = tuple(images)

    def _assemble(self, hosts: dict[str, Host]) -> None:
        super()._assemble(hosts)
        for name in self.node_names:
            plain = hosts[name]
            hosts[name] = Node(self.run, name, plain.address, plain.address6, self.control_plane)

    def _start(self, began: float) -> None:
        self._note("network", began)
        if any(self.run.path.is_relative_to(hidden) for hidden in HIDDEN):
            raise LabError(f"nodes cannot see {self.run.path}: set BELLMETAL_LAB_CACHE elsewhere")
        plane = self.control_plane
        plane.create_keys(self.node_names)
        kept = self.run.path / "images"
        kept.mkdir()
        for image in [*images.standard(), *self.extra_images]:
            (kept / image.name).symlink_to(image.resolve())
        for name in self.node_names:  # containerd and the images need no API server
            self.node(name).boot(self.kube_proxy)
        plane.start(self.api_flags, self.audit)
        plane.wait_ready()
        (self.run.path / "api-ready").touch()
        self._note("api", began)
        plane.start_controller_manager()
        plane.start_scheduler()
        self._create_account()
        self.wait_nodes_ready()
        self._note("up", began)

    def node(self, name: str = "n1") -> Node:
        """A node."""
        found = self.host(name)
        assert isinstance(found, Node)
        return found

    def _create_account(self) -> None:
        """The default ServiceAccount, without which no pod is accepted: its controller is slow."""
        path = "/api/v1/namespaces/default/serviceaccounts"
        try:
            self.rest.post(path, {"metadata": {"name": "default"}})
        except ApiError as problem:
            if problem.status != 409:  # it was not that slow
                raise

    def _readiness(self) -> dict[str, bool]:
        items = self.rest.get("/api/v1/nodes")["items"]
        return {
            item["metadata"]["name"]: any(
                c["type"] == "Ready" and c["status"] == "True" for c in item["status"]["conditions"]
            )
            for item in items
            if "conditions" in item.get("status", {})
        }

    def wait_nodes_ready(self, *names: str, timeout: float = 60) -> None:
        """Wait until these nodes (or all) are Ready in the API's eyes."""
        wanted = names or self.node_names

        def ready() -> bool:
            for name in wanted:
                if not self.node(name).alive:
                    raise LabError(f"{name} has ended:\n{self.node(name).log()[-3000:]}")
            seen = self._readiness()
            return all(seen.get(name) for name in wanted)

        until(ready, f"nodes {' '.join(wanted)} to be Ready", timeout, every=0.05)

    def wait_node_not_ready(self, name: str, timeout: float = 60) -> None:
        """Wait until the node controller has noticed that a node is dead."""
        until(lambda: not self._readiness().get(name), f"{name} to be NotReady", timeout)

    def load_image(self, tar: Path) -> None:
        """Import an image (an OCI or Docker archive) into every node's containerd."""
        kept = self.run.path / "images" / tar.name
        kept.unlink(missing_ok=True)
        shutil.copyfile(tar, kept)
        living = [self.node(name) for name in self.node_names if self.node(name).alive]
        self._parallel(*[lambda node=node: node.import_image(kept) for node in living])

    def kill_node(self, name: str) -> float:
        """Cut a node's power: its processes and its link end at once; the moment (monotonic)."""
        return self.node(name).kill(lambda: self.cut(name))

    def boot_node(self, name: str, wait: bool = True) -> None:
        """Switch a node on again; returns when it is Ready (its lease renewed), unless told not."""
        node = self.node(name)
        before = node.boot_id(self.rest)
        cgroups.remove(self.run.cgroup, name)
        node.forget()
        self.faults.link(name, up=True)
        node.boot(self.kube_proxy)
        if wait:
            until(lambda: node.boot_id(self.rest) != before, f"{name}'s kubelet", 60, every=0.05)
            self.wait_nodes_ready(name)
