"""What is done to a running MetalLB, and undone: its controller stops, its speakers leave nodes.

May live here: changes of its Deployment and DaemonSet. May not: their order (`takeover.py`).
A DaemonSet's pods are not restarted for a new affinity (OnDelete), and leave where it forbids them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bellmetal import resources
from bellmetal.api import JSON_PATCH, Client
from bellmetal.cli.migrate.installation import FRR, Installation, Program
from bellmetal.cli.migrate.objects import Workload
from bellmetal.cli.migrate.record import Record

HOSTNAME = "kubernetes.io/hostname"
NOWHERE = {"key": "bellmetal.io/metallb-may-run", "operator": "Exists"}  # a label of no node
AFFINITY = "/spec/template/spec/affinity"


@dataclass(frozen=True, slots=True)
class Running:
    """A pod of MetalLB that is there; ``ready``: it does its work."""

    name: str
    node: str
    ready: bool


class MetalLB:
    """The one in a namespace, as it was found."""

    def __init__(self, client: Client, found: Installation) -> None:
        self._client, self._found = client, found
        self._pods = f"/api/v1/namespaces/{found.namespace}/pods"

    async def pods(self, program: Program | None) -> list[Running]:
        """The pods of one of its programs."""
        if program is None:
            return []
        selector = ",".join(f"{key}={value}" for key, value in sorted(program.labels.items()))
        found, _ = await self._client.list(resources.Pod, self._pods, selector)
        kind, name = _kind_and_name(program)
        ours = [item for item in found if _belongs(item, kind, name)]
        return [Running(item.metadata.name, item.spec.node_name, _ready(item)) for item in ours]

    async def speakers(self) -> dict[str, bool]:
        """The nodes that its speakers are on, and whether they are ready."""
        return {item.node: item.ready for item in await self.pods(self._found.speaker)}

    async def scale(self, replicas: int) -> None:
        """So many controllers."""
        if self._found.controller is not None:
            body = {"spec": {"replicas": replicas}}
            await self._client.patch(Workload, self._found.controller.path, body)

    async def keep_off(self, record: Record, hostnames: Collection[str] | None) -> None:
        """Its speakers stay away from these hosts; None: from all, those to come as well."""
        affinity = away_from(record.affinity, hostnames)
        await self._change({"type": "OnDelete"}, affinity)

    async def restore(self, record: Record) -> None:
        """Its speakers as they were."""
        await self._change(record.strategy, record.affinity)

    async def _change(
        self, strategy: Mapping[str, Any] | None, affinity: Mapping[str, Any] | None
    ) -> None:
        program = self._found.speaker
        if program is None:
            return
        live = await self._client.get(Workload, program.path)
        patch: list[dict[str, Any]] = []
        if strategy != live.spec.update_strategy:
            patch.append({"op": "add", "path": "/spec/updateStrategy", "value": strategy})
        if affinity != live.spec.template.spec.affinity:
            change = {"op": "remove"} if affinity is None else {"op": "add", "value": affinity}
            patch.append({"path": AFFINITY, **change})
        if patch:
            await self._client.patch(Workload, program.path, patch, kind=JSON_PATCH)

    async def forget_frr(self, nodes: Collection[str]) -> None:
        """What its speakers told frr-k8s outlives them, and is announced until this is gone."""
        for item in self._found.frr:
            meta = item.metadata
            if meta.name.removeprefix("metallb-") in nodes and item.spec.raw is None:
                path = FRR.replace("/frrconfig", f"/namespaces/{meta.namespace}/frrconfig")
                await self._client.delete(f"{path}/{meta.name}")


def away_from(
    affinity: Mapping[str, Any] | None, hostnames: Collection[str] | None
) -> dict[str, Any] | None:
    """An affinity that keeps pods off these hosts besides what it says; None: off every host."""
    if hostnames is not None and not hostnames:
        return copy.deepcopy(dict(affinity)) if affinity is not None else None
    no: dict[str, Any] = dict(NOWHERE)
    if hostnames is not None:
        no = {"key": HOSTNAME, "operator": "NotIn", "values": sorted(hostnames)}
    found: dict[str, Any] = copy.deepcopy(dict(affinity or {}))
    required = found.setdefault("nodeAffinity", {}).setdefault(
        "requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": [{}]}
    )
    for term in required["nodeSelectorTerms"]:
        term["matchExpressions"] = [*term.get("matchExpressions", ()), no]
    return found


def _kind_and_name(program: Program) -> tuple[str, str]:
    return program.path.split("/")[-2], program.name


def _belongs(pod: resources.Pod, kind: str, name: str) -> bool:
    """Bellmetal's pods may have the very labels of MetalLB's: their owners tell them apart."""
    owners = [item.name for item in pod.metadata.owner_references or ()]
    if kind == "daemonsets":
        return name in owners
    return any(owner.rpartition("-")[0] == name for owner in owners)  # a ReplicaSet's


def _ready(pod: resources.Pod) -> bool:
    return any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions)
