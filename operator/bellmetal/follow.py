"""Objects of the API kept up to date: one kind, listed and watched. No decisions, no writes.

`Collection` takes in what somebody else watches (Kopf, in the controller); `Follower` lists and
watches by itself (the speaker, which must stay small).
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from bellmetal import metrics, resources
from bellmetal.api import UNREADABLE, ApiError, Client
from bellmetal.config import Problem

log = logging.getLogger(__name__)

RETRY = 0.5  # seconds between two tries to watch
# Objects that are gone and still remembered, so that older news of them is not believed: such news
# is seconds old, and objects come and go for months.
MOST_GONE = 4096

S = TypeVar("S", bound=resources.Object)
N = TypeVar("N")


@dataclass(frozen=True)
class Kind(Generic[S]):
    """A kind of object that we watch; ``{ns}`` in the path is our own namespace."""

    group: str
    version: str
    plural: str
    struct: type[S]
    namespaced: bool = False  # watched in our own namespace only

    def path(self, namespace: str = "") -> str:
        """The collection's path."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{inside}/{self.plural}"


L2_STATUSES = Kind("metallb.io", "v1beta1", "servicel2statuses", resources.ServiceL2Status, True)
REPORTS = Kind("bellmetal.io", "v1alpha1", "speakerreports", resources.SpeakerReport, True)
LOOKS = Kind("bellmetal.io", "v1alpha1", "speakerreports", resources.AskedReport, True)
SLICES = Kind("bellmetal.io", "v1alpha1", "announcementslices", resources.AnnouncementSlice, True)


@dataclass(frozen=True)
class Unreadable:
    """An object whose fields are of other types than its kind's, and where the first one is."""

    body: resources.Object
    problem: Problem

    @property
    def key(self) -> str:
        """As any object's."""
        return self.body.key

    @property
    def metadata(self) -> resources.Metadata:
        """As any object's."""
        return self.body.metadata


class Collection(Generic[S, N]):
    """The objects of one kind, as nouns by key; older news never replaces newer.

    An object that cannot be read is among the ``unreadable``; the noun of before stays too.
    ``gist``: what of a noun is news; all of it, if nothing else is said.
    """

    def __init__(
        self, kind: Kind[S], convert: Callable[[S], N], gist: Callable[[N], object] | None = None
    ) -> None:
        self.kind, self._convert, self._gist = kind, convert, gist
        self.nouns: dict[str, N] = {}
        self.unreadable: dict[str, Problem] = {}
        self.changes = 0  # how often a noun came, went or changed
        self._versions: dict[str, int] = {}  # of what there is
        self._gone: dict[str, int] = {}  # at which others were deleted, the last at the end

    def still(self) -> Collection[S, N]:
        """A copy that changes no more."""
        copied = copy.copy(self)
        copied.nouns, copied.unreadable = dict(self.nouns), dict(self.unreadable)
        copied._versions, copied._gone = dict(self._versions), dict(self._gone)
        return copied

    def apply(self, event: str | None, raw: Mapping[str, Any]) -> bool:
        """Takes in a watch event as Kopf hands it over; whether it is news."""
        if event != "DELETED" and self._knows(raw.get("metadata", {})):
            return False
        body = self._read(lambda struct: msgspec.convert(raw, struct))
        if event == "DELETED":
            return self.remove(body.key, _version(body.metadata.resource_version))
        return self.take(body)

    def _knows(self, meta: Mapping[str, Any]) -> bool:
        """Whether this very version was taken in already: most news is of our own writes."""
        name, namespace = meta.get("name", ""), meta.get("namespace", "")
        version = _version(str(meta.get("resourceVersion", "")))
        key = f"{namespace}/{name}" if namespace else name
        return 0 < version == self._versions.get(key, 0)

    def decode(self, raw: msgspec.Raw) -> S | Unreadable:
        """An object out of its JSON; raises ApiError for what is no object at all."""
        return self._read(lambda struct: msgspec.json.decode(raw, type=struct))

    def _read(self, read: Callable[[type[Any]], Any]) -> S | Unreadable:
        kind = self.kind.struct
        try:
            found: S = read(kind)
            return found
        except UNREADABLE as error:
            try:
                body: resources.Object = read(resources.Object)
            except UNREADABLE:
                raise ApiError(0, "", f"an object of {self.kind.plural}: {error}") from error
            meta = body.metadata
            path, message = _where(str(error))
            return Unreadable(body, Problem(kind.__name__, meta.name, path, message, meta.uid))

    def take(self, body: S | Unreadable) -> bool:
        """Takes in one object; whether it is news."""
        key, version = body.key, _version(body.metadata.resource_version)
        if version and version < self._version_of(key):
            return False
        self._versions[key] = version
        self._gone.pop(key, None)
        if isinstance(body, Unreadable):
            changed = self.unreadable.get(key) != body.problem
            self.unreadable[key] = body.problem
            return changed
        noun, before = self._convert(body), self.nouns.get(key)
        readable = self.unreadable.pop(key, None) is not None
        if before is not None and before == noun:  # what says the same stays the same object
            return readable
        self.nouns[key] = noun
        self.changes += 1
        return readable or before is None or self._differ(before, noun)

    def _differ(self, before: N, now: N) -> bool:
        return self._gist is None or self._gist(before) != self._gist(now)

    def remove(self, key: str, version: int = 0) -> bool:
        """Forgets one object; whether it was known. Its ``version`` keeps older news out."""
        if version and version < self._version_of(key):
            return False
        self._versions.pop(key, None)
        self._gone.pop(key, None)
        if version:
            self._gone[key] = version
            if len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]
        known = key in self.nouns or key in self.unreadable
        self.changes += self.nouns.pop(key, None) is not None
        self.unreadable.pop(key, None)
        return known

    def _version_of(self, key: str) -> int:
        return self._versions.get(key) or self._gone.get(key, 0)

    def take_all(self, bodies: Iterable[S | Unreadable], version: str = "") -> bool:
        """Takes in a complete list: what is not in it is gone; whether anything changed.

        What happened after the list's ``version``, while it was read, stands.
        """
        found = {body.key: body for body in bodies}
        until = _version(version) or math.inf
        known = self.nouns.keys() | self.unreadable.keys()
        missing = [key for key in known - found.keys() if self._versions.get(key, 0) <= until]
        changes = [self.remove(key) for key in missing]
        changes += [self.take(body) for body in found.values()]
        self._gone = {key: number for key, number in self._gone.items() if number > until}
        return any(changes)


def _where(error: str) -> tuple[str, str]:
    """Path and sentence out of msgspec's, which is ``Expected `str`, … - at `$.spec.vrf` ``."""
    message, _, path = error.replace("`", "").partition(" - at $")
    return path.lstrip(".") or "spec", f"cannot be read: {message[:1].lower()}{message[1:]}"


def _version(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _whole(body: S) -> S:
    return body


class Follower(Generic[S]):
    """Lists and watches a kind for ever; ``changed`` is called after the first list and changes.

    ``convert``: what is kept of each object, where it is not the whole.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind[S],
        namespace: str,
        changed: Callable[[], None],
        selector: str = "",
        fields: str = "",
        convert: Callable[[S], Any] | None = None,
    ) -> None:
        self._client, self._changed, self._selector = client, changed, selector
        self._fields = fields
        self.path = kind.path(namespace)
        self.collection: Collection[S, Any] = Collection(kind, convert or _whole)
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Never ends; what goes wrong is tried again, and logged once while it is the same."""
        said = ""
        while True:
            try:
                version = await self._list()
                said = ""
                await self._watch(version)
            except ApiError as error:
                if not error.expired:
                    if str(error) != said:
                        log.warning("%s: %s", self.path, error, extra={"op": "watch"})
                    said = str(error)
                    await asyncio.sleep(RETRY)

    async def _list(self) -> str:
        kind = self.collection.kind
        found, version = await self._client.list(
            kind.struct, self.path, self._selector, self._fields
        )
        if self.collection.take_all(found, version) or not self.listed.is_set():
            self.listed.set()
            self._changed()
        return version

    async def _watch(self, version: str) -> None:
        kind = self.collection.kind
        while True:
            stream = self._client.watch(
                kind.struct, self.path, version, self._selector, self._fields
            )
            async for event in stream:
                version = event.object.metadata.resource_version
                if event.type != "BOOKMARK":
                    metrics.UPDATES.inc()
                    if self._take(event):
                        self._changed()
            await asyncio.sleep(RETRY)  # the server ends a watch after a while; a proxy may at once

    def _take(self, event: resources.WatchEvent[S]) -> bool:
        if event.type == "DELETED":
            meta = event.object.metadata
            return self.collection.remove(event.object.key, _version(meta.resource_version))
        return self.collection.take(event.object)
