"""Objects of one kind that are this node's, for people to read: they become what is wanted.

Slowly, and only what differs; those that somebody changes or deletes come back. Another load
balancer that is being replaced labels its objects alike: they are left alone until ours says the
same. May not live here: what they say (`reports`, `bgp_reports`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from bellmetal import resources
from bellmetal.api import JSON_PATCH, ApiError, Client
from bellmetal.follow import Follower, Kind
from bellmetal.intents import ServiceId
from bellmetal.reconciler import Reconciler

PAUSE = 0.02  # seconds between two writes
BETWEEN = 0.25  # seconds between two passes: whoever else writes them cannot make us race
LABEL_NODE = "metallb.io/node"
LABEL_NAME = "metallb.io/service-name"
LABEL_NAMESPACE = "metallb.io/service-namespace"

S = TypeVar("S", bound=resources.Object)


class Wanted(Protocol):
    """What one object should say; ``status`` is the struct of its kind's status."""

    @property
    def status(self) -> Any:
        """The whole of it."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Besides the node's."""
        ...

    @property
    def digest(self) -> int:
        """`digest_of` its status."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One that is kept as it is."""

    status: Any
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> int:
        """Of its status."""
        return digest_of(self.status)


def digest_of(status: Any) -> int:
    """Tells statuses apart: of what the API server has, no more is kept."""
    return hash(msgspec.json.encode(status))


@dataclass(frozen=True, slots=True)
class _Others:
    """An object that another program has made: the API server named it, ours have names."""

    service: tuple[str, str]  # the labels of its name and namespace


class Rows(Generic[S]):
    """The objects of a kind with the label of one node. ``subresource``: whether the kind's status
    is one."""

    def __init__(
        self, client: Client, kind: Kind[S], namespace: str, node: str, subresource: bool = True
    ) -> None:
        self._client, self._kind, self._namespace, self._node = client, kind, namespace, node
        self._subresource = subresource
        self._reconciler = Reconciler(self.write, BETWEEN)
        ours = f"{LABEL_NODE}={node}"
        self._follower = Follower(
            client, kind, namespace, self._reconciler.poke, ours, convert=_shown
        )
        self._wanted: dict[str, Wanted] | None = None

    @property
    def ready(self) -> bool:
        """Whether it is known which objects there are."""
        return self._follower.listed.is_set()

    def want(self, wanted: Mapping[str, Wanted]) -> None:
        """What there should be from now on, by name; `run` writes it."""
        if wanted != self._wanted:
            self._wanted = dict(wanted)
            self._reconciler.poke()

    async def run(self) -> None:
        """Follows and writes for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follower.run())
            group.create_task(self._reconciler.run())

    async def write(self) -> None:
        """One pass over all that differs; raises the first ApiError, after the others' turn."""
        if self._wanted is None or not self.ready:
            return
        refused: ApiError | None = None
        for name in [*self._present(), *self._wanted]:
            try:
                if await self._settle(name):
                    await asyncio.sleep(PAUSE)
            except ApiError as error:
                if not error.code:
                    raise  # nobody answers: the others would wait for the same
                refused = refused or error
        if refused is not None:
            raise refused

    def _present(self) -> list[str]:
        """The names of those that are ours to keep or delete."""
        nouns = self._follower.collection.nouns
        wanted: set[tuple[str, str]] = set()
        if any(isinstance(noun, _Others) for noun in nouns.values()):
            wanted = {_service(row.labels) for row in (self._wanted or {}).values()}
        return [
            key.partition("/")[2]
            for key, noun in nouns.items()
            if not isinstance(noun, _Others) or noun.service in wanted
        ]

    async def _settle(self, name: str) -> bool:
        """One object becomes what is wanted at this moment; whether that took a write."""
        wanted, key = (self._wanted or {}).get(name), self._key(name)
        shown = self._follower.collection.nouns.get(key)
        if wanted is None:
            if shown is None:
                return False
            await self._client.delete(f"{self._follower.path}/{name}")
            self._follower.collection.remove(key)
        elif shown is None:
            await self._create(name, wanted)
        elif shown != wanted.digest:
            await self._patch(name, wanted)
        else:
            return False
        return True

    def _key(self, name: str) -> str:
        return f"{self._namespace}/{name}"

    async def _create(self, name: str, row: Wanted) -> None:
        labels = {LABEL_NODE: self._node, **row.labels}
        body: dict[str, Any] = {
            "apiVersion": f"{self._kind.group}/{self._kind.version}",
            "kind": self._kind.struct.__name__,
            "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
        }
        if not self._subresource:
            body["status"] = row.status
        try:
            made = await self._client.create(self._kind.struct, self._follower.path, body)
        except ApiError as error:
            if not error.conflict:
                raise
            # it is there, and was not among ours: somebody took its label away
            path = f"{self._follower.path}/{name}"
            await self._client.patch(self._kind.struct, path, {"metadata": {"labels": labels}})
        else:
            if not self._subresource:
                self._follower.collection.take(made)
                return
        await self._patch(name, row)

    async def _patch(self, name: str, row: Wanted) -> None:
        """The whole status at once: a merge would leave what is not said any more."""
        path = f"{self._follower.path}/{name}" + "/status" * self._subresource
        body = [{"op": "add", "path": "/status", "value": row.status}]
        try:
            made = await self._client.patch(self._kind.struct, path, body, JSON_PATCH)
        except ApiError as error:
            if not error.gone:
                raise
            self._follower.collection.remove(self._key(name))  # and the next pass makes it anew
            raise
        self._follower.collection.take(made)


def _shown(body: Any) -> int | _Others:
    """What is kept of an object: the digest of its status, if it is ours."""
    if body.metadata.generate_name:
        return _Others(_service(body.metadata.labels or {}))
    return digest_of(body.status)


def _service(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get(LABEL_NAME, ""), labels.get(LABEL_NAMESPACE, "")


def row_name(prefix: str, service: ServiceId, node: str) -> str:
    """The name of a Service's row of a node."""
    text = f"{service.key}/{node}"
    return f"{prefix}-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def service_labels(service: ServiceId) -> dict[str, str]:
    """The labels that a Service's rows are found by."""
    return {LABEL_NAME: service.name, LABEL_NAMESPACE: service.namespace}


def about(service: ServiceId) -> resources.ObjectReference:
    """A Service as events refer to it."""
    return resources.ObjectReference("v1", "Service", service.namespace, service.name, service.uid)
