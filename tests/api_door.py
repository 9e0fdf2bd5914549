"""The API server of a simulated cluster, and each controller's way to it, on which all can happen.

`Server` is the small API server that tells of every change; `Door` is a client whose requests wait
until they are let through, refused, lost on the way there or back, or sent off late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from bellmetal.api import ApiError, Client
from small_api import Json, SmallApi

# --- the API server ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What a write did; ``before`` or ``after`` is None where there was or is no object."""

    number: int
    path: str
    before: Json | None
    after: Json | None
    by: Any  # the `Actor` whose request it was; None: somebody else

    @property
    def plural(self) -> str:
        return self.path.split("/")[-2]


class Server(SmallApi):
    """Tells ``watch`` of every change; a write that changes nothing is none, as in a real one."""

    def __init__(self, watch: Callable[[Change], None]) -> None:
        super().__init__()
        self._watch = watch
        self.by: Any = None  # whose request it is
        self.number = 0

    def _store(self, path: str, body: Json) -> Json:
        before = self.objects.get(path)
        if before is not None and _content(before) == _content(body):
            return before
        after = super()._store(path, body)
        self._tell(path, before, after, after)
        return after

    def _delete(self, path: str, _: Any) -> Json:
        gone = super()._delete(path, _)
        meta = gone["metadata"] | {"resourceVersion": str(next(self._numbers))}
        last = gone | {"metadata": meta}
        self._tell(path, gone, None, last)
        return last

    def _tell(self, path: str, before: Json | None, after: Json | None, last: Json) -> None:
        self.number = int(last["metadata"]["resourceVersion"])
        self._watch(Change(self.number, path, before, after if after is None else last, self.by))

    def remove(self, path: str) -> None:
        """Somebody else deletes an object, if it is there."""
        if path in self.objects:
            self._delete(path, None)


def _content(body: Json) -> Json:
    meta = {k: v for k, v in body.get("metadata", {}).items() if k not in ("resourceVersion",)}
    return body | {"metadata": {key: value for key, value in meta.items() if key != "uid"}}


# --- requests that wait --------------------------------------------------------------------------


@dataclass
class Knock:
    """One request before the door. ``served``: it took effect, its answer is on the way."""

    method: str
    path: str
    body: Any
    content_type: str
    answer: asyncio.Future[bytes]
    served: bytes | ApiError | None = None


class Door(Client):
    """One controller's way to the server: nothing passes by itself."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.by: Any = None
        self.waiting: list[Knock] = []
        self.late: list[Knock] = []  # given up by their sender, not yet at the server

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        params: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        data = None if body is None else msgspec.json.decode(msgspec.json.encode(body))
        answer = asyncio.get_running_loop().create_future()
        knock = Knock(method, path, data, content_type, answer)
        self.waiting.append(knock)
        try:
            return await answer
        finally:
            if knock in self.waiting:
                self.waiting.remove(knock)

    def let(self, knock: Knock, how: str) -> None:
        """Decides about one request: what becomes of it, and what its sender hears."""
        if knock.served is None:
            match how:
                case "error":
                    knock.served = ApiError(500, "InternalError", "etcd has no leader")
                case "conflict" if knock.method != "GET":
                    knock.served = ApiError(409, "Conflict", "the object has been modified")
                case "lost":
                    knock.served = ApiError(0, "", "the API server did not answer: timeout")
                case "done, unheard":
                    self._serve(knock)
                    knock.served = ApiError(0, "", "the API server did not answer: timeout")
                case "late" if knock.method != "GET":
                    self.late.append(knock)
                    knock.served = ApiError(0, "", "the API server did not answer: timeout")
                case "slow":
                    knock.served = self._serve(knock)
                    return
                case _:
                    knock.served = self._serve(knock)
        self.waiting.remove(knock)
        if isinstance(knock.served, ApiError):
            knock.answer.set_exception(knock.served)
        else:
            knock.answer.set_result(knock.served)

    def land(self) -> None:
        """What was given up arrives after all."""
        for knock in self.late:
            self._serve(knock)
        self.late.clear()

    def _serve(self, knock: Knock) -> bytes | ApiError:
        self.server.by = self.by
        try:
            return self.server.answer(knock.method, knock.path, knock.body, knock.content_type)
        except ApiError as error:
            return error
        finally:
            self.server.by = None
