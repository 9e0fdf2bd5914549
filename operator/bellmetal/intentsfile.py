"""Intents out of a file that a person wrote: YAML with the fields of an AnnouncementSlice's spec.

May live here: reading it, and what is wrong with it, by path. May not: what becomes of it
(`standalone.py`). Nothing that stands in the file is quoted but names: it may be anybody's secret.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from bellmetal.addresses import family_of
from bellmetal.resources import AnnouncementSlice, AnnouncementSliceSpec, Metadata
from bellmetal.settings import SettingsError
from bellmetal.slices import SLICE_VERSION, SliceContents, read_slices
from bellmetal.validation.bgp_annotations import WELL_KNOWN

THIS_NODE = "this node"  # the set of nodes that is meant where none is named
MOST_BYTES = 16 << 20
DEEPEST = 32
PASSWORD = "unknown field; a password stands in a file of --bgp-password-dir, named like the peer"


class IntentsError(SettingsError):
    """A file of intents that cannot be used: everything that is wrong with it, with its path."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


def read_intents(path: Path, node: str) -> SliceContents:
    """What a file says; raises IntentsError."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise IntentsError(path, [f"{error.strerror}"]) from error
    return intents_of(text, path, node)


def intents_of(text: bytes, path: Path, node: str) -> SliceContents:
    """What the text of a file says; raises IntentsError with all that is wrong."""
    if len(text) > MOST_BYTES:
        raise IntentsError(path, [f"longer than {MOST_BYTES >> 20} MiB"])
    body = _body(text, path)
    problems = list(_unknown(body, inspect.type_info(AnnouncementSliceSpec), ""))
    if problems:
        raise IntentsError(path, problems)
    _fill(body, node)
    try:
        # not strict: every scalar came as text, as YAML would make a number of "64512:10"
        spec = msgspec.convert(body, AnnouncementSliceSpec, strict=False)
    except msgspec.ValidationError as error:
        message, _, where = str(error).replace("`", "").partition(" - at $")
        said = f"{where.lstrip('.')}: " if where else ""
        raise IntentsError(path, [f"{said}{message[:1].lower()}{message[1:]}"]) from error
    contents = read_slices([AnnouncementSlice(metadata=Metadata(name="-"), spec=spec)])
    problems = [fault.removeprefix("AnnouncementSlice/- spec.") for fault in contents.faults]
    problems += _dangling(contents)
    if problems:
        raise IntentsError(path, problems)
    return contents


def _body(text: bytes, path: Path) -> dict[str, Any]:
    import yaml  # only where there is such a file

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # safe: it makes but text of scalars
    try:
        if _depth(yaml.parse(text, loader)) > DEEPEST:
            raise IntentsError(path, [f"nested deeper than {DEEPEST} levels"])
        body = yaml.load(text, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = getattr(error, "problem", None) or "it cannot be read"
        raise IntentsError(path, [f"{where}not YAML: {said}"]) from error
    except UnicodeDecodeError as error:
        raise IntentsError(path, ["not YAML"]) from error
    if isinstance(body, dict) and body.get("kind") == "AnnouncementSlice":
        body = body.get("spec")  # as `kubectl get -o yaml` prints it
    if body in (None, ""):
        return {}
    if not isinstance(body, dict):
        raise IntentsError(path, ["wants fields: peers, routes, announcements, nodeSets"])
    return body


def _depth(events: Iterable[object]) -> int:
    """How deeply a text is nested; what is read after it is read by recursion."""
    depth = deepest = 0
    for event in events:
        name = type(event).__name__
        depth += name.endswith("StartEvent") - name.endswith("EndEvent")
        deepest = max(deepest, depth)
        if deepest > DEEPEST:
            break
    return deepest


def _unknown(value: Any, kind: inspect.Type, path: str) -> Iterator[str]:
    """Fields that the format does not have, at any depth: a typo would be silence."""
    if isinstance(kind, inspect.UnionType):
        kind = next((one for one in kind.types if isinstance(one, inspect.StructType)), kind)
    if isinstance(kind, inspect.ListType) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, kind.item_type, f"{path}[{index}]")
    elif isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field for field in kind.fields}
        for name, item in value.items():
            place = f"{path}.{name}" if path else str(name)
            if name in fields:
                yield from _unknown(item, fields[name].type, place)
            elif str(name).startswith("password"):
                yield f"{place}: {PASSWORD}"
            else:
                yield f"{place}: {_nearest(str(name), fields)}"


def _nearest(name: str, fields: dict[str, Any]) -> str:
    lower = {field.lower(): field for field in fields}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    if near:
        return f"unknown field; is {lower[near[0]]} meant?"
    return f"unknown field; there are {', '.join(sorted(fields))}"


def _fill(body: dict[str, Any], node: str) -> None:
    """What a person may leave out: the format's version, and that this node is meant."""
    body.setdefault("version", str(SLICE_VERSION))
    items = [
        item
        for part in ("announcements", "routes", "peers")
        for item in _dicts(body.get(part))
        if not item.get("nodeSet")
    ]
    for item in items:
        item["nodeSet"] = THIS_NODE
    for item in _dicts(body.get("routes")):
        named = item.get("communities")
        if isinstance(named, list):
            item["communities"] = [_literal(text) for text in named]
    for item in _dicts(body.get("announcements")):
        item.setdefault("term", "1")
        item.setdefault("owner", node)
    sets = body.setdefault("nodeSets", [])
    if isinstance(sets, list) and items:
        sets.append({"name": THIS_NODE, "nodes": [{"name": node}]})


def _literal(text: Any) -> Any:
    """A well-known community by its numbers, as the format wants it; anything else as it is."""
    known = WELL_KNOWN.get(text) if isinstance(text, str) else None
    return text if known is None else str(known)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _dangling(contents: SliceContents) -> Iterator[str]:
    """Names that stand for nothing, and names that stand twice."""
    names = Counter(peer.name for peer in contents.peers)
    for name, number in names.items():
        if number > 1:
            yield f"peers: {number} are named {name}"
    for peer in contents.peers:
        if peer.node_set not in contents.node_sets:
            yield f"peers, {peer.name}: there is no node set {peer.node_set}"
    for route in contents.routes:
        if route.node_set not in contents.node_sets:
            yield f"routes, {route.prefix}: there is no node set {route.node_set}"
        for name in sorted(route.peers - names.keys()):
            yield f"routes, {route.prefix}: there is no peer {name}"
    for item in contents.announcements.values():
        if item.node_set not in contents.node_sets:
            yield f"announcements, {item.address}: there is no node set {item.node_set}"


def doubts(contents: SliceContents) -> Iterator[str]:
    """What can be used and yet does nothing: routes of a family that no peer of theirs is sent."""
    for index, route in enumerate(contents.routes):
        peers = [peer for peer in contents.peers if not route.peers or peer.name in route.peers]
        family = family_of(route.prefix.network_address)
        if peers and not any(family in peer.families for peer in peers):
            whose = "peer of it" if route.peers else "peer"
            yield (
                f"routes[{index}] {route.prefix}: no {whose} takes {family.value} routes:"
                " dualStack: true of a peer"
            )
