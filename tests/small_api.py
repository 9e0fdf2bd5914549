"""A small API server in memory: objects, resourceVersions, merge patches, its "no"s.

It is a `Client` whose requests end here, so that what is under test decodes real answers.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from bellmetal.api import JSON_PATCH, MERGE, STRATEGIC_MERGE, ApiError, Client

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    body: Json | None
    content_type: str
    accept: str = ""


class SmallApi(Client):
    """``down`` answers nobody; ``refuse`` says no to writes of a path; ``slow`` is in seconds."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}  # path → object
        self.requests: list[Request] = []
        self.down = False
        self.slow = 0.0
        self.refuse: dict[str, ApiError] = {}
        self.busy = 0
        self.most_busy = 0
        self._numbers = itertools.count(1)

    def put(self, path: str, body: object) -> Json:
        """Somebody else writes an object."""
        stored: Json = msgspec.json.decode(msgspec.json.encode(body))
        return self._store(path, stored)

    def writes(self) -> list[Request]:
        return [item for item in self.requests if item.method != "GET"]

    def counted(self) -> dict[str, int]:
        return dict(Counter(item.method for item in self.requests))

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        params: dict[str, str] | None = None,
        timeout: float | None = None,
        accept: str = "",
    ) -> bytes:
        data = None if body is None else msgspec.json.decode(msgspec.json.encode(body))
        self.requests.append(Request(method, path, data, content_type, accept))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(self.slow)
        finally:
            self.busy -= 1
        if self.down:
            raise ApiError(0, "", "the API server did not answer: Connection refused")
        if path in self.refuse:
            raise self.refuse[path]
        return self.answer(method, path, data, content_type)

    def answer(self, method: str, path: str, data: Any, content_type: str) -> bytes:
        """What a request does, and its answer; raises ApiError."""
        answers = {
            "GET": self._get,
            "POST": self._post,
            "PUT": self._replace,
            "DELETE": self._delete,
        }
        if method == "PATCH":
            return msgspec.json.encode(self._patch(path, data, content_type))
        return msgspec.json.encode(answers[method](path, data))

    def _find(self, path: str) -> Json:
        try:
            return self.objects[path]
        except KeyError:
            raise ApiError(404, "NotFound", f"{path} not found") from None

    def _get(self, path: str, _: Any) -> Json:
        if path in self.objects:
            return self.objects[path]
        if _is_collection(path):
            items = [body for key, body in self.objects.items() if _is_in(key, path)]
            return {"metadata": {"resourceVersion": str(next(self._numbers))}, "items": items}
        return self._find(path)

    def _post(self, path: str, body: Json) -> Json:
        key = f"{path}/{body['metadata']['name']}"
        if key in self.objects:
            raise ApiError(409, "AlreadyExists", f"{key} already exists")
        return self._store(key, body)

    def _replace(self, path: str, body: Json) -> Json:
        before = self._find(path)
        _compare("resourceVersion", before, body)
        return self._store(path, body)

    def _patch(self, path: str, patch: Json, kind: str) -> Json:
        key = path.removesuffix("/status")
        before = self._find(key)
        if kind == JSON_PATCH:
            return self._store(key, amended(before, patch))
        for name in ("resourceVersion", "uid"):
            _compare(name, before, patch)
        strategic = {STRATEGIC_MERGE: True, MERGE: False}[kind]
        return self._store(key, merge(before, patch, strategic))

    def _delete(self, path: str, options: Json | None) -> Json:
        _compare(
            "resourceVersion",
            self._find(path),
            {"metadata": (options or {}).get("preconditions", {})},
        )
        return self.objects.pop(path)

    def _store(self, path: str, body: Json) -> Json:
        number = str(next(self._numbers))
        meta = {"uid": f"uid-{path}"} | body.get("metadata", {}) | {"resourceVersion": number}
        self.objects[path] = body | {"metadata": meta}
        return self.objects[path]


def _is_collection(path: str) -> bool:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    return len(parts) == 1


def _is_in(key: str, collection: str) -> bool:
    root, _, plural = collection.rpartition("/")
    parent = key.rpartition("/")[0]
    return parent == collection or (parent.startswith(root) and parent.endswith(f"/{plural}"))


def _compare(name: str, before: Json, body: Json) -> None:
    wanted = body.get("metadata", {}).get(name)
    if wanted and wanted != before["metadata"][name]:
        raise ApiError(409, "Conflict", f"the object has been modified ({name})")


def amended(before: Any, patch: Any) -> Any:
    """RFC 6902, as far as it is used: test and remove, and add to an object."""
    result = copy.deepcopy(before)
    for item in patch:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in item["path"].split("/")[1:]
        ]
        place = result
        for part in parents:
            place = place.get(part) or {}
        if item["op"] == "add":
            place[last] = item["value"]
            continue
        if last not in place or (item["op"] == "test" and place[last] != item["value"]):
            raise ApiError(422, "Invalid", f"testing path {item['path']} failed")
        if item["op"] == "remove":
            del place[last]
    return result


def merge(before: Any, patch: Any, strategic: bool = False) -> Any:
    """RFC 7396; strategic: conditions are told apart by their type."""
    if not isinstance(patch, dict):
        return patch
    result = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif strategic and key == "conditions":
            found = {item["type"]: item for item in result.get(key, [])}
            for item in value:
                if item.get("$patch") == "delete":
                    found.pop(item["type"], None)
                else:
                    found[item["type"]] = found.get(item["type"], {}) | item
            result[key] = list(found.values())
        else:
            result[key] = merge(result.get(key), value, strategic)
    return result
