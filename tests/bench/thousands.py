"""A cluster of 200 node objects with three real speakers, for what is measured with thousands of
objects; and what the API server and the speakers' connections say of it.

Another implementation can stand in our place: see docs/measurements.md. What is measured is what
any client of the API sees.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

from lab.bare import Bare
from lab.errors import LabError
from lab.processes import Process
from lab.programs import Programs
from lab.waiting import until

NODES = 200  # node objects; three of them have speakers
START = os.environ.get("BELLMETAL_BENCH_START", "")
USUAL = 10_000  # Services, for which figures are wished
MOST = int(os.environ.get("BELLMETAL_BENCH_SERVICES", USUAL))
CHANGED = ("PATCH", "PUT", "APPLY")  # verbs that change what is there
Requests: TypeAlias = dict[tuple[str, str], int]  # verb and resource → how often


class Programmed(Programs):
    """Ours, or another implementation's."""

    def controller(self, name: str = "controller-1", *flags: str, **more: Any) -> Process:
        if not START:
            return super().controller(name, *flags, **more)
        own = {"KUBECONFIG": str(self.lab.kubeconfig())}
        return self.lab.control_plane_host.spawn([START, "controller"], own, name)

    def speaker(self, node: str, *flags: str, **more: Any) -> Process:
        if not START:
            return super().speaker(node, *flags, **more)
        own = {"KUBECONFIG": str(self.lab.kubeconfig())}
        return self.lab.node(node).spawn([START, "speaker", node], own, "speaker")


class Thousands:
    """A cluster of 200 node objects, three speakers, and a controller that comes and goes."""

    title: ClassVar[str] = f"a control plane with {NODES} nodes, three of them with speakers"

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Thousands]:
        if START and not os.access(START, os.X_OK):
            raise LabError(f"BELLMETAL_BENCH_START={START}: there is no program of that name")
        with Bare(nodes=3, clients=1, kube_proxy=False, controller_manager=False) as lab:
            yield cls(lab)

    def __init__(self, lab: Bare) -> None:
        self.lab, self.programs = lab, Programmed(lab)
        for number in range(4, NODES + 1):
            lab.rest.post("/api/v1/nodes", node_object(number))
        self.programs.pool("bench", f"{lab.address(128, 0)}/17")
        self.programs.advertise()
        self.speakers = {node: self.programs.speaker(node) for node in lab.node_names}
        self.controller: Process | None = None
        self.serving = {node: lab.pod_address(node, 5) for node in lab.node_names}
        self.made = 0

    def start(self) -> Process:
        self.controller = self.programs.controller("controller-1")
        return self.controller

    def stop(self) -> None:
        if self.controller is not None and self.controller.alive:
            self.controller.signal(15)
            until(lambda: not (self.controller and self.controller.alive), "it ends", 30)
        self.controller = None

    def names(self, count: int) -> list[str]:
        """Names that no Service has had."""
        first, self.made = self.made, self.made + count
        return [f"s{number:06}" for number in range(first, self.made)]

    def requests(self) -> Requests:
        """What the API server has been asked for: verb and resource → how often."""
        return counted(self.lab.rest.get("/metrics")["text"])


def node_object(number: int) -> dict[str, Any]:
    """The object of a node that is not there."""
    name = f"n{number}"
    addresses = [{"type": "InternalIP", "address": f"10.200.{number // 250}.{number % 250 + 1}"}]
    ready = {"type": "Ready", "status": "True", "reason": "BenchSaysSo"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"addresses": addresses, "conditions": [ready]},
    }


def counted(text: str) -> Requests:
    """Out of the API server's metrics: verb and resource of all that it was asked, how often."""
    found: Requests = {}
    for line in text.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels, _, value = line[len("apiserver_request_total{") :].rpartition("} ")
        pairs = dict(item.split("=", 1) for item in labels.split(",") if "=" in item)
        key = pairs["verb"].strip('"'), pairs["resource"].strip('"')
        found[key] = found.get(key, 0) + int(float(value))
    return found


def written(
    resource: str, before: Requests, after: Requests, verbs: tuple[str, ...] = CHANGED
) -> int:
    """How often a resource was written between two counts."""
    return sum(after.get((verb, resource), 0) - before.get((verb, resource), 0) for verb in verbs)


def received(at: Thousands, node: str) -> Counter[str]:
    """Bytes that each connection of a node's programs has received from the API server."""
    found: Counter[str] = Counter()
    for line in at.lab.node(node).run(["ss", "-OtinH", "dport", "=", ":6443"]).stdout.splitlines():
        words = line.split()
        for word in words:
            if word.startswith("bytes_received:"):
                found[words[3]] = int(word.partition(":")[2])  # 3: its own address and port
    return found


def since(before: Counter[str], after: Counter[str]) -> int:
    """Bytes that came between two such counts; connections that ended meanwhile say nothing."""
    return sum((after - before).values())
