"""A small API server that can be watched: what is written, by whomever, is told to watchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from bellmetal import resources
from small_api import Json, SmallApi


class WatchedApi(SmallApi):
    """Watchers of a collection are told what has one of their labels, as the real one does it."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[tuple[str, str, asyncio.Queue[tuple[str, Json]]]] = []

    async def list(
        self, type_: Any, path: str, labels: str = "", fields: str = ""
    ) -> tuple[list[Any], str]:
        found, version = await super().list(type_, path, labels, fields)
        return [item for item in found if _has(item.metadata.labels, labels)], version

    async def watch(
        self, type_: Any, path: str, version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Any]:
        queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()
        self._watchers.append((path, labels, queue))
        while True:
            event, body = await queue.get()
            yield resources.WatchEvent(msgspec.convert(body, type_), event)

    def _store(self, path: str, body: Json) -> Json:
        kind = "MODIFIED" if path in self.objects else "ADDED"
        stored = super()._store(path, body)
        self._tell(kind, path, stored)
        return stored

    def _delete(self, path: str, data: Any) -> Json:
        gone = super()._delete(path, data)
        version = str(next(self._numbers))
        self._tell(
            "DELETED", path, gone | {"metadata": gone["metadata"] | {"resourceVersion": version}}
        )
        return gone

    def remove(self, path: str) -> None:
        """Somebody else deletes an object."""
        self._delete(path, None)

    def edit(self, path: str, **status: Any) -> None:
        """Somebody else changes a status."""
        body = self.objects[path]
        self._store(path, body | {"status": body["status"] | status})

    def _tell(self, kind: str, path: str, body: Json) -> None:
        collection = path.rpartition("/")[0]
        for watched, labels, queue in self._watchers:
            if watched == collection and _has(body["metadata"].get("labels"), labels):
                queue.put_nowait((kind, body))


def _has(labels: Any, selector: str) -> bool:
    name, _, value = selector.partition("=")
    return not name or (labels or {}).get(name) == value
