"""What is proposed: documents and deletions, laid into a World as `kubectl apply` would.

May live here: which object takes whose place. May not: reading files (`files.py`), decisions.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from bellmetal import resources
from bellmetal.addresses import Family
from bellmetal.api import ApiError, Client
from bellmetal.cli.files import Document, FileError, Json
from bellmetal.config import Problem
from bellmetal.follow import Collection
from bellmetal.validation.report import hint
from bellmetal.world import World

GROUP = "metallb.io"
STATUSES = ("ServiceL2Status", "ServiceBGPStatus", "ConfigurationState")  # for people to read
OLDER = {"BGPPeer": ("v1beta1",)}  # versions of a kind that have the fields of the one we read
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
FAMILIES = tuple(family.value for family in Family)
PLACEHOLDERS = {Family.IPV4: "0.0.0.0", Family.IPV6: "::"}
YOUNGEST = "9999-12-31T23:59:59Z"  # new objects, whatever clocks say
IN_FLIGHT = 16
ADDRESSED = ("IPAddressPool", "Namespace", "Service")  # the kinds that allocation looks at


@dataclass(frozen=True, slots=True)
class Ignored:
    """An object of a file that changes nothing here, and why that is so."""

    place: str
    kind: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """An object that takes its place in a collection, or (without a document) leaves it."""

    kind: str
    key: str
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """All changes in order, deletions last; what was ignored; fields that no kind has."""

    changes: tuple[Change, ...]
    ignored: tuple[Ignored, ...] = ()
    unknown: tuple[Problem, ...] = ()


class Desk:
    """Lays proposals into a World that was loaded."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world, self.namespace = world, namespace
        self.kinds: dict[str, Collection[Any, Any]] = {
            collection.kind.struct.__name__: collection
            for collection in (
                world.pools,
                world.l2_advertisements,
                world.bgp_advertisements,
                world.peers,
                world.bfd_profiles,
                world.communities,
                world.namespaces,
                world.services,
            )
        }

    # --- what is meant ----------------------------------------------------------------------------

    def propose(
        self, documents: Iterable[Document], deletions: Iterable[str], replace: bool
    ) -> Proposal:
        """Sorts out what is given; raises FileError."""
        changes: dict[tuple[str, str], Change] = {}
        ignored: list[Ignored] = []
        unknown: list[Problem] = []
        for document in documents:
            if reason := self._why_ignored(document):
                ignored.append(Ignored(document.place, document.kind, document.name, reason))
                continue
            change = Change(document.kind, self._key(document), document)
            if before := changes.get((change.kind, change.key)):
                where = before.document.place if before.document else ""
                message = f"{change.kind}/{document.name} stands already in {where}"
                raise FileError(f"{document.place}: {message}")
            self._check_types(document)
            unknown += _unknown_fields(document, self.kinds[document.kind].kind.struct)
            changes[change.kind, change.key] = change
        gone = [self._deletion(text) for text in deletions]
        if replace:
            gone += self._left_out(changes.values())
        for change in gone:
            if (change.kind, change.key) in changes:
                name = change.key.rpartition("/")[2]
                raise FileError(f"--delete: {change.kind}/{name} stands in the files too")
        return Proposal((*changes.values(), *dict.fromkeys(gone)), tuple(ignored), tuple(unknown))

    def _why_ignored(self, document: Document) -> str:
        group, _, version = document.api_version.rpartition("/")
        collection = self.kinds.get(document.kind)
        if collection is None and group == GROUP and document.kind not in STATUSES:
            names = [name for name, item in self.kinds.items() if item.kind.group == GROUP]
            near = difflib.get_close_matches(document.kind, names, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise FileError(f'{document.place}: {GROUP} has no kind "{document.kind}"{hint}')
        if collection is None or collection.kind.group != group:
            return "Bellmetal reads nothing of this kind"
        known = (collection.kind.version, *OLDER.get(document.kind, ()))
        if version not in known:
            message = f'apiVersion: {document.kind} has no version "{version}"'
            raise FileError(f"{document.place}: {message}; it has {', '.join(known)}")
        if not document.name:
            raise FileError(f"{document.place}: {document.kind} metadata.name: is missing")
        own = document.namespace in ("", self.namespace)
        if group == GROUP and not own:
            return f"it is in namespace {document.namespace}, and {self.namespace} alone counts"
        return ""

    def _key(self, document: Document) -> str:
        if document.kind == "Namespace":
            return document.name
        if document.kind != "Service":
            return f"{self.namespace}/{document.name}"
        if not document.namespace:
            raise FileError(f"{document.place}: Service metadata.namespace: is missing")
        return f"{document.namespace}/{document.name}"

    def _check_types(self, document: Document) -> None:
        try:
            msgspec.convert(_without_nulls(document.body), self.kinds[document.kind].kind.struct)
        except msgspec.ValidationError as error:
            message, _, path = str(error).replace("`", "").partition(" - at $")
            where = f"{document.place}: {document.kind}/{document.name} {path.lstrip('.')}"
            raise FileError(f"{where}: {message[:1].lower()}{message[1:]}") from error

    def _deletion(self, text: str) -> Change:
        word, _, name = text.partition("/")
        kind = self._kind_of(word)
        if kind is None or kind == "Namespace" or not name:
            hint = "KIND/NAME of metallb.io, or service/NAMESPACE/NAME, is asked for"
            raise FileError(f'--delete "{text}": {hint}')
        key = name if kind == "Service" else f"{self.namespace}/{name}"
        if not self._is_there(self.kinds[kind], key):
            raise FileError(f"--delete: there is no {kind} {name} in the cluster")
        return Change(kind, key)

    def _kind_of(self, word: str) -> str | None:
        """A kind by its name or its plural, with or without the group, in any case."""
        word = word.lower().removesuffix(f".{GROUP}")
        for kind, collection in self.kinds.items():
            if word in (kind.lower(), collection.kind.plural):
                return kind
        return None

    def _left_out(self, changes: Iterable[Change]) -> list[Change]:
        """What the cluster has, of the kinds of metallb.io that the files have, and they not."""
        there: dict[str, set[str]] = {}
        for change in changes:
            if self.kinds[change.kind].kind.group == GROUP:
                there.setdefault(change.kind, set()).add(change.key)
        return [
            Change(kind, key)
            for kind, keys in there.items()
            for key in sorted(_keys(self.kinds[kind]) - keys)
        ]

    def _is_there(self, collection: Collection[Any, Any], key: str) -> bool:
        return key in _keys(collection)

    # --- laying it into the World -----------------------------------------------------------------

    async def fetch(self, client: Client, changes: Iterable[Change]) -> dict[Change, Json]:
        """The objects of the cluster whose place is taken, whole."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        wanted = [
            change
            for change in changes
            if change.document and self._is_there(self.kinds[change.kind], change.key)
        ]

        async def get(change: Change) -> Json | None:
            namespace, _, name = change.key.rpartition("/")
            path = f"{self.kinds[change.kind].kind.path(namespace)}/{name}"
            async with gate:
                try:
                    found: Json = msgspec.json.decode(await client.request("GET", path))
                except ApiError as error:
                    if not error.gone:
                        raise
                    return None
                return found

        found = await asyncio.gather(*(get(change) for change in wanted))
        return {change: body for change, body in zip(wanted, found, strict=True) if body}

    def lay(self, change: Change, live: Json | None) -> None:
        """One change comes into force; ``live`` is what `fetch` found."""
        collection = self.kinds[change.kind]
        if change.document is None:
            collection.remove(change.key)
            return
        body = merged(live, change.document.body) if live else made(change.document.body)
        meta = body["metadata"]
        meta["namespace"], _, meta["name"] = change.key.rpartition("/")
        meta.pop("resourceVersion", None)
        if change.kind == "Namespace":
            meta["labels"] = {**(meta.get("labels") or {}), NAMESPACE_LABEL: meta["name"]}
        if change.kind == "Service":
            meta["uid"] = meta.get("uid") or f"new {change.key}"
            body["spec"] = self._with_cluster_ips(body.get("spec") or {})
        collection.take(collection.decode(msgspec.Raw(msgspec.json.encode(body))))

    def _with_cluster_ips(self, spec: Json) -> Json:
        """As the API server would fill it in: which families, as far as that can be seen here."""
        first = spec.get("clusterIP") or ""
        has = spec.get("clusterIPs") or ([first] if first else [])
        if "None" in has:
            return spec
        by_family = {Family.IPV6 if ":" in text else Family.IPV4: text for text in has}
        told = self.world.services.nouns
        dual = any(len(item.service.families) > 1 for item in told.values())
        own = told.get("default/kubernetes")
        wanted = [Family(text) for text in spec.get("ipFamilies") or () if text in FAMILIES]
        wanted = wanted or list(by_family)
        wanted = wanted or ([own.service.families[0]] if own else [Family.IPV4])
        policy = spec.get("ipFamilyPolicy") or "SingleStack"
        if policy == "SingleStack" or (policy == "PreferDualStack" and not dual):
            wanted = wanted[:1]
        elif len(wanted) == 1:
            wanted += [family for family in Family if family not in wanted]
        texts = [by_family.get(family, PLACEHOLDERS[family]) for family in wanted]
        return {**spec, "clusterIP": texts[0], "clusterIPs": texts}


def made(body: Json) -> Json:
    """An object that was not there: what a server writes is not taken from the file."""
    meta = _written(body["metadata"]) | {"creationTimestamp": YOUNGEST}
    found: Json = _without_nulls({**_without_status(body), "metadata": meta})
    return found


def merged(live: Json, body: Json) -> Json:
    """What `kubectl apply` makes of an object.

    Fields of the file hold, fields that the file had when it was applied last and has no more go,
    and what others added stays. Lists are taken whole.
    """
    annotations = live.get("metadata", {}).get("annotations") or {}
    try:
        last = msgspec.json.decode(annotations.get(LAST_APPLIED, "{}"), type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        last = {}
    new = {**_without_status(body), "metadata": _written(body["metadata"])}
    old = {**_without_status(last), "metadata": _written(last.get("metadata") or {})}
    return _merge(old, live, new)


def _merge(last: Any, live: Json, new: Json) -> Json:
    last = last if isinstance(last, dict) else {}
    found = {key: value for key, value in live.items() if key in new or key not in last}
    for key, value in new.items():
        before = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(before, dict):
            found[key] = _merge(last.get(key), before, value)
        else:
            found[key] = _without_nulls(value)
    return found


def _written(metadata: Json) -> Json:
    """What people write into metadata, and servers do not; kubectl always has annotations."""
    annotations = metadata.get("annotations") or {}
    found = {"annotations": {k: v for k, v in annotations.items() if k != LAST_APPLIED}}
    return found | ({"labels": metadata["labels"]} if metadata.get("labels") else {})


def _without_status(body: Json) -> Json:
    return {key: body[key] for key in ("apiVersion", "kind", "spec") if key in body}


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def _keys(collection: Collection[Any, Any]) -> set[str]:
    return set(collection.nouns) | set(collection.unreadable)


# --- fields that there are not -------------------------------------------------------------------


def _unknown_fields(document: Document, struct: type[resources.Object]) -> Iterator[Problem]:
    """The API server drops them, and kubectl refuses the object: a typo never just works."""
    if not document.api_version.startswith(f"{GROUP}/"):
        return
    info = inspect.type_info(struct)
    body = {key: value for key, value in document.body.items() if key not in ("metadata", "status")}
    for path, message in strangers(body, info, ""):
        yield Problem(document.kind, document.name, path, message)


def strangers(value: Any, info: inspect.Type, path: str) -> Iterator[tuple[str, str]]:
    """Paths of fields that a type does not have, each with a sentence."""
    if isinstance(info, inspect.UnionType):
        for option in info.types:
            yield from strangers(value, option, path)
    elif isinstance(info, inspect.ListType) and isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from strangers(item, info.item_type, f"{path}[{index}]")
    elif isinstance(info, inspect.StructType) and isinstance(value, Mapping):
        fields = {field.encode_name: field.type for field in info.fields}
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            if key in fields:
                yield from strangers(item, fields[key], here)
            else:
                yield here, f"unknown field{hint(key, sorted(fields), 'there is none')}"
