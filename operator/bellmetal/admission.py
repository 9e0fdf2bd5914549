"""The optional admission webhook: what `validation` says of an object, when somebody applies it.

May live here: the protocol (admission.k8s.io/v1 AdmissionReview, JSON keys and all), and which
problems are a "no". May not: HTTPS (`webhook.py`); rules about objects (`validation`).

**It never is in the way.** What cannot be checked is allowed, with a warning: while the cluster is
not read yet, when the API is slow, when there is an error in here. That nobody answers is the API
server's matter (`failurePolicy: Ignore`). What was let in is judged after the fact as ever.

**What it goes by.** Nodes and namespaces are the World's. The configuration is read from the API
for each request: Kopf tells of an object a tenth of a second later, and of two pools in one file
the second comes sooner than that; so does the new pool of somebody who has just deleted an old one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.config import PREFIX, Labelled, Problem
from bellmetal.follow import Collection, Unreadable
from bellmetal.validation import Objects, Validated, validate
from bellmetal.world import World

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds for one request; the API server waits for 3
MOST_AT_ONCE = 2  # requests; whoever is in the pods' network may send some

LINE = 500  # characters of one sentence of a denial
MOST_LINES = 20
WARNING = 250  # characters of one warning; the API server cuts at 256, and all of them at 4096
MOST_WARNINGS = 15

GROUP = "metallb.io"
PARTS = {  # plural → what World, Objects and Config call them
    "ipaddresspools": "pools",
    "l2advertisements": "l2_advertisements",
    "bgpadvertisements": "bgp_advertisements",
    "bgppeers": "peers",
    "bfdprofiles": "bfd_profiles",
    "communities": "communities",
}
YOUNGEST = "9999-12-31T23:59:59Z"
DISABLE_MP = "disable mp is deprecated and has no effect since it's the default behavior now"

Body: TypeAlias = Any  # one of the six kinds, or Unreadable: both have metadata


# --- the protocol --------------------------------------------------------------------------------


class Resource(resources.Json, frozen=True):
    """metav1.GroupVersionResource."""

    group: str = ""
    version: str = ""
    resource: str = ""


class Request(resources.Json, frozen=True):
    """admission.k8s.io/v1 AdmissionRequest; objects stay as they came, null where there is none."""

    uid: str
    resource: Resource = Resource()
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    operation: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")
    old_object: msgspec.Raw = msgspec.Raw(b"null")


class Review(resources.Json, frozen=True):
    """admission.k8s.io/v1 AdmissionReview, as it comes in."""

    request: Request


class Denial(resources.Json, frozen=True):
    """metav1.Status."""

    code: int
    reason: str
    message: str


class Response(resources.Json, frozen=True):
    """admission.k8s.io/v1 AdmissionResponse."""

    uid: str
    allowed: bool
    status: Denial | None = None
    warnings: tuple[str, ...] = ()


class Answer(resources.Json, frozen=True):
    """admission.k8s.io/v1 AdmissionReview, as it goes out."""

    api_version: str
    kind: str
    response: Response


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences why an object is denied (none: it is allowed), and what is worth a warning."""

    denial: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def answer(self, uid: str) -> Answer:
        """As the API server wants it, bounded; one sentence a line."""
        denial = None
        if self.denial:
            message = "\n".join(_bounded(self.denial, LINE, MOST_LINES))
            denial = Denial(403, "Forbidden", message)
        warnings = _bounded(self.warnings, WARNING, MOST_WARNINGS)
        response = Response(uid, not self.denial, denial, tuple(warnings))
        return Answer("admission.k8s.io/v1", "AdmissionReview", response)


def _bounded(sentences: Iterable[str], length: int, most: int) -> list[str]:
    """So many, so long; nothing in them that a terminal or a header might obey."""
    clean = ["".join(c if c.isprintable() else "?" for c in text) for text in sentences]
    lines = [text if len(text) <= length else f"{text[: length - 1]}…" for text in clean]
    return (
        lines if len(lines) <= most else [*lines[: most - 1], f"… and {len(lines) - most + 1} more"]
    )


ALLOWED = Verdict()
NOT_CHECKED = "Bellmetal has not checked this:"


# --- the judgement -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """The configuration in ``namespace`` as it is: bodies by the names of PARTS."""

    namespace: str
    bodies: Mapping[str, tuple[Body, ...]]
    nodes: Mapping[str, Labelled]
    namespaces: Mapping[str, Labelled]

    def having(self, part: str, body: Body) -> Known:
        """The same with this object in the place of the one of its name, or beside the others."""
        others = [item for item in self.bodies[part] if item.metadata.name != body.metadata.name]
        return replace(self, bodies={**self.bodies, part: (*others, body)})

    def validated(self) -> Validated:
        """What `validation` says to all of it."""
        every = [item for bodies in self.bodies.values() for item in bodies]
        readable: dict[str, Any] = {
            part: tuple(item for item in bodies if not isinstance(item, Unreadable))
            for part, bodies in self.bodies.items()
        }
        unreadable = tuple(item.problem for item in every if isinstance(item, Unreadable))
        objects = Objects(
            **readable, nodes=self.nodes, namespaces=self.namespaces, unreadable=unreadable
        )
        return validate(objects)


Decode: TypeAlias = Callable[[str, msgspec.Raw], Body]  # of a part


def judge(asked: Request, known: Known, decode: Decode) -> Verdict:
    """May this be? Raises ApiError for what is no object at all."""
    part = PARTS.get(asked.resource.resource, "")
    if asked.resource.group != GROUP or not part or asked.sub_resource:
        return ALLOWED
    if asked.operation == "DELETE":
        return _judge_deletion(part, asked, known, decode)
    if asked.operation not in ("CREATE", "UPDATE"):
        return ALLOWED
    body = decode(part, asked.object)
    if body.metadata.deletion_timestamp:
        return ALLOWED  # it goes, finalizer by finalizer
    if asked.namespace != known.namespace:
        return _judge_stranger(asked, known)
    if asked.operation == "CREATE":
        return _judge_change(part, _youngest(body), None, known)
    return _judge_change(part, body, decode(part, asked.old_object), known)


def _judge_deletion(part: str, asked: Request, known: Known, decode: Decode) -> Verdict:
    """As MetalLB: a BFDProfile that a peer names stays."""
    if part != "bfd_profiles" or asked.namespace != known.namespace:
        return ALLOWED
    name = decode(part, asked.old_object).metadata.name  # asked.name is empty if all are deleted
    for peer in sorted(known.bodies["peers"], key=lambda item: str(item.metadata.name)):
        if not isinstance(peer, Unreadable) and peer.spec.bfd_profile == name:
            used = f"used by BGPPeer {peer.metadata.name}"
            return Verdict((f"failed to delete BFDProfile {name}, {used}",))
    return ALLOWED


def _judge_stranger(asked: Request, known: Known) -> Verdict:
    """As MetalLB: what is elsewhere already may be changed there."""
    sentence = f"resource must be created in {known.namespace} namespace"
    if asked.operation == "CREATE":
        return Verdict((sentence,))
    return Verdict(warnings=(f"{sentence}: in {asked.namespace} it counts for nothing",))


def _judge_change(part: str, body: Body, old: Body | None, known: Known) -> Verdict:
    """Denied is what would not be in force, with all that is wrong with it and nothing else.

    What a change does to others is a warning (a new object is the youngest: it does nothing). So is
    what is wrong with an object whose configuration stays: who labels it is not at fault.
    """
    after = known.having(part, body)
    validated = after.validated()
    kind = _kind(body)
    mine = [item for item in validated.problems if _about(item) == (kind, body.metadata.name)]
    sentences = tuple(str(item) for item in mine)
    denied = bool(mine) and not _same(old, body) and not _in_force(part, body, validated, mine)
    if denied and not (part == "bgp_advertisements" and _later(body, after)):
        return Verdict(sentences)
    deprecated = (DISABLE_MP,) if part == "peers" and _disables_mp(body) else ()
    others = _new_elsewhere(known, validated, (kind, body.metadata.name)) if old else ()
    return Verdict(warnings=deprecated + sentences + others)


def _kind(body: Body) -> str:
    return str(body.problem.kind) if isinstance(body, Unreadable) else type(body).__name__


def _about(problem: Problem) -> tuple[str, str]:
    return problem.kind, problem.name


def _disables_mp(body: Body) -> bool:
    return not isinstance(body, Unreadable) and bool(body.spec.disable_mp)


def _youngest(body: Body) -> Body:
    """Of two that do not go together the one to be created is at fault, in the same second too."""
    if isinstance(body, Unreadable):
        return body
    meta = msgspec.structs.replace(body.metadata, creation_timestamp=YOUNGEST)
    return msgspec.structs.replace(body, metadata=meta)


def _same(old: Body | None, new: Body) -> bool:
    """Whether nothing differs that `validation` looks at in the object itself."""
    if old is None or isinstance(old, Unreadable) or isinstance(new, Unreadable):
        return False
    return bool(old.spec == new.spec and _ours(old) == _ours(new))


def _ours(body: resources.Object) -> dict[str, str]:
    annotations = body.metadata.annotations or {}
    return {name: text for name, text in annotations.items() if name.startswith(PREFIX)}


def _in_force(part: str, body: Body, validated: Validated, mine: Iterable[Problem]) -> bool:
    if part == "communities":  # each alias stands for itself: one that counts for nothing is wrong
        return not any(item.path.startswith("spec.communities") for item in mine)
    nouns = {noun.name: noun for noun in getattr(validated.config, part)}
    noun = nouns.get(body.metadata.name)
    return noun is not None and not getattr(noun, "broken", False)


def _later(body: Body, after: Known) -> bool:
    """Whether only aliases are missing that a Community may still define: as MetalLB, which does
    not look at them here. Else the order of the objects in a file would decide."""
    if isinstance(body, Unreadable):
        return False
    names = {text for text in body.spec.communities or [] if text and ":" not in text}
    aliases = [resources.CommunityAlias(name, "0:0") for name in sorted(names)]
    to_come = resources.Community(  # without an age it is the oldest: its word counts
        metadata=resources.Metadata(name="to-come"), spec=resources.CommunitySpec(aliases)
    )
    validated = after.having("communities", to_come).validated()
    return _in_force("bgp_advertisements", body, validated, ())


def _new_elsewhere(before: Known, after: Validated, changed: tuple[str, str]) -> tuple[str, ...]:
    """Problems of other objects that this brings about; not those whose words alone change."""
    known = {(*_about(item), item.path) for item in before.validated().problems}
    return tuple(
        f"this leads to {item}"
        for item in after.problems
        if _about(item) != changed and (*_about(item), item.path) not in known
    )


# --- asked and answered --------------------------------------------------------------------------


class Admission:
    """Answers requests out of the World and a fresh look at the configuration. Never fails."""

    def __init__(
        self, client: Client, world: World, namespace: str, loaded: Callable[[], bool]
    ) -> None:
        self._client, self._world, self._namespace = client, world, namespace
        self._loaded = loaded
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def decide(self, asked: Request) -> Verdict:
        """The verdict; what cannot be checked is allowed, with a warning."""
        if not self._loaded():
            return _unchecked("it has not read the cluster yet")
        try:
            async with asyncio.timeout(PATIENCE), self._room:
                known = await self._known()
                # a second for thousands of nodes and pools: not in the way of the loop
                verdict = await asyncio.to_thread(judge, asked, known, self._decode)
        except TimeoutError:
            return _unchecked(f"it could not read the configuration within {PATIENCE:g} s")
        except ApiError as error:
            return _unchecked(str(error))
        except Exception:  # whatever is wrong with us must not be in anybody's way: fail open
            log.exception("cannot judge %s", _called(asked), extra={"op": "admission"})
            return Verdict(warnings=(f"{NOT_CHECKED} an error of its own, see its log",))
        if verdict.denial:
            text = "; ".join(_bounded(verdict.denial, LINE, MOST_LINES))
            log.info("denied %s: %s", _called(asked), text, extra={"op": "admission"})
        return verdict

    async def _known(self) -> Known:
        lists = await asyncio.gather(*(self._list(part) for part in PARTS.values()))
        nodes = {name: labelled for name, (_, labelled) in self._world.nodes.nouns.items()}
        bodies = dict(zip(PARTS.values(), lists, strict=True))
        return Known(self._namespace, bodies, nodes, dict(self._world.namespaces.nouns))

    async def _list(self, part: str) -> tuple[Body, ...]:
        collection = self._collection(part)
        try:
            path = collection.kind.path(self._namespace)
            found, _ = await self._client.list(msgspec.Raw, path)
        except ApiError as error:
            if not error.gone:
                raise
            return ()  # a kind that this cluster does not have yet
        return tuple(collection.decode(item) for item in found)

    def _decode(self, part: str, raw: msgspec.Raw) -> Body:
        return self._collection(part).decode(raw)

    def _collection(self, part: str) -> Collection[Any, Any]:
        found: Collection[Any, Any] = getattr(self._world, part)
        return found


def _unchecked(reason: str) -> Verdict:
    log.warning("allowed unchecked: %s", reason, extra={"op": "admission"})
    return Verdict(warnings=(f"{NOT_CHECKED} {reason}",))


def _called(asked: Request) -> str:
    text = f"{asked.operation} {asked.resource.resource} {asked.namespace}/{asked.name}"
    return _bounded([text], LINE, 1)[0]
