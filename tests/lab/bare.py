"""The bare floor: a real control plane and kube-proxies; nodes are namespaces and Node objects.

No kubelet, no containers: programs run as plain processes on the nodes. For protocols, faults and
timings. What stands in for pods are addresses of the node's pod network, all of them local to it.
"""

from __future__ import annotations

import time
from ipaddress import IPv6Address
from typing import Any

from lab import netns, network
from lab.controlplane import BARE_CONTROLLERS
from lab.floor import Floor
from lab.host import Host


class Bare(Floor):
    """Real etcd, API server, controller-manager and kube-proxy; nodes without kubelets."""

    kind = "bare"

    def __init__(
        self, nodes: int = 3, *positional: Any, controller_manager: bool = True, **options: Any
    ) -> None:
        super().__init__(nodes, *positional, **options)
        self.controller_manager = controller_manager

    def _start(self, began: float) -> None:
        self._note("network", began)
        plane = self.control_plane
        plane.create_keys([])
        # nothing here would take away the taint that it puts on every new node
        flags = ["--disable-admission-plugins=TaintNodesByCondition", *self.api_flags]
        plane.start(flags, self.audit)
        for name in self.node_names:
            self._pod_network(self.hosts[name])
        plane.wait_ready()
        self._note("api", began)
        for name in self.node_names:
            self._register(self.hosts[name])
        if self.kube_proxy:
            for name in self.node_names:
                self._start_kube_proxy(self.hosts[name])
        if self.controller_manager:
            plane.start_controller_manager(BARE_CONTROLLERS)
        self._note("up", began)

    def _pod_network(self, node: Host) -> None:
        """All addresses of the node's pod network are its own: a program may listen on any."""
        index = int(node.name[1:])
        local = [f"route add local {network.pods(index)}.0/24 dev lo"]
        if netns.has_ipv6():
            local.append(f"route add local {network.pods6(index)}/64 dev lo")
        netns.ip(local, node.namespace)

    def pod_address(self, node: str, last: int = 1) -> str:
        """An address of a node's pod network, for an endpoint that a program there stands for."""
        return f"{network.pods(int(node[1:]))}.{last}"

    def pod_address6(self, node: str, last: int = 1) -> str:
        """The same in IPv6 (a program that binds to it needs IPV6_FREEBIND)."""
        return str(IPv6Address(f"{network.pods6(int(node[1:]))}{last:x}"))

    def _register(self, node: Host) -> None:
        addresses = [{"type": "InternalIP", "address": node.address}]
        if netns.has_ipv6():
            addresses.append({"type": "InternalIP", "address": node.address6})
        addresses.append({"type": "Hostname", "address": node.name})
        labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"}
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node.name, "labels": labels},
            "status": {"addresses": addresses, "conditions": [_ready("True")]},
        }
        self.rest.post("/api/v1/nodes", body)

    def set_node_ready(self, name: str, ready: bool) -> None:
        """Say of a node that it is ready or not, as the node controller would after its wait."""
        status = {"conditions": [_ready("True" if ready else "Unknown")]}
        self.rest.patch(f"/api/v1/nodes/{name}/status", {"status": status})

    def _start_kube_proxy(self, node: Host) -> None:
        node.spawn(self.control_plane.kube_proxy(node.name), log="kube-proxy")

    def kill_node(self, name: str) -> float:
        """Cut a node's power: its processes and its link end at once; the moment (monotonic)."""
        node = self.node(name)
        pids = node.pids()
        now = time.monotonic()
        self.faults.link(name, up=False)
        node.kill_processes(pids)
        node.kill_processes(node.pids())  # what was being started while we looked
        self._forget_rules(node)
        return now

    def boot_node(self, name: str) -> None:
        """Switch a node on again: link and kube-proxy; other programs are the caller's."""
        node = self.node(name)
        self.faults.link(name, up=True)
        if self.kube_proxy:
            self._start_kube_proxy(node)

    def _forget_rules(self, node: Host) -> None:
        """What the kernel held dies with the power: packet filters, neighbours."""
        node.run(["nft", "flush", "ruleset"])
        node.run(["ip", "neigh", "flush", "all"])


def _ready(status: str) -> dict[str, str]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "type": "Ready",
        "status": status,
        "reason": "LabSaysSo",
        "message": "",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
