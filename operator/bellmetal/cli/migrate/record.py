"""The ConfigMap `bellmetal-takeover`: how far it has come, and how MetalLB was before.

May live here: reading and writing that object. May not: what the controller makes of it
(`bellmetal.beside`), the steps (`takeover.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.beside import NAME, NODES, STAGE, Beside, Stage, read_beside

BEFORE = "metallb"  # the key that has how MetalLB was before, as JSON


@dataclass(frozen=True, slots=True)
class Record:
    """``replicas`` of MetalLB's controller, ``affinity`` and ``strategy`` of its speakers, as they
    were before the takeover."""

    stage: Stage = Stage.OBSERVE
    nodes: frozenset[str] = frozenset()
    replicas: int = 1
    affinity: Mapping[str, Any] | None = None
    strategy: Mapping[str, Any] | None = None

    @property
    def layer2(self) -> bool:
        """Whether Bellmetal announces on layer 2."""
        return Beside(self.stage).layer2


class Records:
    """Where the record is kept."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def read(self) -> Record | None:
        """None: no takeover is under way. Raises ApiError."""
        try:
            body = await self._client.get(resources.ConfigMap, f"{self._path}/{NAME}")
        except ApiError as error:
            if error.gone:
                return None
            raise
        data = body.data or {}
        beside = read_beside(data)
        before = msgspec.json.decode(data.get(BEFORE, "{}"), type=dict)
        return Record(
            beside.stage,
            beside.nodes,
            before.get("replicas", 1),
            before.get("affinity"),
            before.get("strategy"),
        )

    async def create(self, record: Record) -> Record:
        """Begins a takeover; raises ApiError."""
        before = {
            "replicas": record.replicas,
            "affinity": record.affinity,
            "strategy": record.strategy,
        }
        data = _data(record) | {BEFORE: msgspec.json.encode(before).decode()}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data}
        await self._client.create(resources.ConfigMap, self._path, body)
        return record

    async def write(self, record: Record, **changes: Any) -> Record:
        """Its stage and nodes, changed; raises ApiError."""
        record = replace(record, **changes)
        patch = {"data": _data(record)}
        await self._client.patch(resources.ConfigMap, f"{self._path}/{NAME}", patch)
        return record

    async def delete(self) -> None:
        """Ends it."""
        await self._client.delete(f"{self._path}/{NAME}")


def _data(record: Record) -> dict[str, str]:
    return {STAGE: record.stage.value, NODES: ",".join(sorted(record.nodes))}
