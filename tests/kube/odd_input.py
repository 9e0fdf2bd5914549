"""Odd values for every field of a CRD, and by which rule each is taken or refused.

What a value is like follows from the field's schema; where a rule is narrower, the field is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MANY = 10_000
HUGE = "x" * 200_000
WRONG: dict[str, list[Any]] = {
    "string": [7, True, [], {}],
    "integer": ["7", 1.5, True, [], {}],
    "boolean": ["true", 1, [], {}],
    "array": ["x", 7, {}],
    "object": ["x", 7, []],
}
# Where "" is refused. Elsewhere it is taken, as if nothing were there.
NEVER_EMPTY = {
    "spec.addresses[0]",
    "spec.peerAddress",
    "spec.holdTime",
    "spec.keepaliveTime",
    "spec.connectTime",
    "spec.communities[0]",
    "spec.communities[0].name",
    "spec.communities[0].value",
    "status.conditions[0].type",
    "status.conditions[0].reason",
}
# Where not every word is taken, in whichever script. What names something may be any word.
NOT_ANY_WORD = NEVER_EMPTY - {"spec.communities[0]", "spec.communities[0].name"} | {
    "spec.interface",  # beside an address
    "spec.sourceAddress",
    "spec.routerID",
}
# Where nothing may stand twice.
DISTINCT = {
    "spec.ipAddressPools",
    "spec.peers",
    "spec.communities",
    "spec.serviceAllocation.namespaces",
    "status.conditions",
}
NEEDED: dict[str | int, str] = {"addresses": "is empty", "values": "needs at least one value"}
# Numbers that may be negative: an order, and what only the controller writes.
SIGNED = {"priority", "assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"}
TAKEN = "taken"

Path = tuple[str | int, ...]


def fields(schema: Json, path: Path, seen: set[int]) -> Iterator[tuple[Path, Json]]:
    """All fields of a schema: the path to each, and its own schema; of each list the first item.

    What stands there twice by an alias of YAML is visited once.
    """
    yield path, schema
    inner = list(schema.get("properties", {}).items())
    inner += [(step, schema[key]) for key, step in INSIDE.items() if key in schema]
    for step, item in inner:
        if id(item) not in seen:
            seen.add(id(item))
            yield from fields(item, (*path, step), seen)


INSIDE: dict[str, str | int] = {"items": 0, "additionalProperties": "key"}


def written(path: Path) -> str:
    """A path as the API server writes it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def around(schema: Json, path: Path, value: Any) -> Any:
    """The value at the path, with what its neighbourhood requires."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [around(schema["items"], rest, value)]
    inner = schema.get("properties", {}).get(step) or schema["additionalProperties"]
    return sound(schema) | {step: around(inner, rest, value)}


# What is sound where a rule is narrower than a type. Where an operator is required, so are values.
SOUND: dict[str, Any] = {
    "addresses": ["192.0.2.0/24"],
    "value": "1:1",
    "reason": "Because",
    "operator": "In",
    "values": ["a"],
    "lastTransitionTime": "2026-01-02T03:04:05Z",
    "status": "True",
}


def sound(schema: Json) -> Any:
    """The least that a field takes."""
    if schema["type"] == "object":
        inner = schema.get("properties", {})
        required = schema.get("required", []) + ["values"] * ("operator" in inner)
        return {key: SOUND.get(key) or sound(inner[key]) for key in required}
    return {"integer": 1, "string": "a"}[schema["type"]]


def odd(path: Path, schema: Json) -> Iterator[tuple[Any, str]]:
    """Values for a field, and of each a part of what is said against it, or that it is taken."""
    kind, where = schema["type"], written(path)
    for value in WRONG[kind]:
        if (value, schema.get("format")) != ([], "date-time"):  # which the API server lets pass
            yield value, "must be of type"
    if kind == "string" and ("enum" in schema or "format" in schema):
        for text in ("", " ", "é☃😀", HUGE):
            yield text, "Unsupported value" if "enum" in schema else "must be of type"
    elif kind == "string":
        yield HUGE, "Too long"
        yield "", where if where in NEVER_EMPTY else TAKEN
        yield from ((text, where if where in NOT_ANY_WORD else TAKEN) for text in ODD_WORDS)
    elif kind == "integer":
        yield -1, TAKEN if path[-1] in SIGNED else "should be greater than or equal to"
        yield 10**30, "must be of type"
        if "maximum" in schema:
            yield schema["maximum"] + 1, "should be less than or equal to"
    elif kind == "array":
        (item,) = SOUND.get(str(path[-1])) or [sound(schema["items"])]
        yield [], NEEDED.get(path[-1], TAKEN)
        yield [item, item], where if where in DISTINCT else TAKEN
        yield [None], "must be of type"
        yield [item] * MANY, "Too many"
    elif "additionalProperties" in schema:
        yield {f"k{number}": "v" for number in range(MANY)}, "Too many"
        yield {"é☃😀": "", "": "v"}, TAKEN


ODD_WORDS = (" ", "é☃😀", "\0", "../..", "{{x}}")
