"""Files of Kubernetes objects, as people write them → documents, or a sentence and its place.

May live here: YAML, JSON, folders, Lists. May not: what is in force (`proposal.py`).
No sentence here quotes a value: it may be a password.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml

Json: TypeAlias = dict[str, Any]

ENDINGS = (".yaml", ".yml", ".json")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
READ_OTHERWISE = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0o?[0-7_]+)$")
FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)


class FileError(Exception):
    """What cannot be read: file, document, kind and field are in the sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One object of a file. ``place`` is file, document and item, for sentences."""

    place: str
    body: Json

    @property
    def api_version(self) -> str:
        """Group and version, as written."""
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        """Its kind, as written."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Its name, or nothing."""
        return str(self.body["metadata"].get("name", ""))

    @property
    def namespace(self) -> str:
        """Its namespace, or nothing."""
        return str(self.body["metadata"].get("namespace") or "")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as kubectl reads it: ``64512:10`` is a text, and so is a date."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in READ_OTHERWISE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))


def read_files(names: Iterable[str]) -> list[Document]:
    """All documents in the order of the files; raises FileError."""
    return [document for name in names for place in places(name) for document in _read(*place)]


def places(name: str) -> Iterator[tuple[str, bytes]]:
    """What to call a source, and its bytes."""
    try:
        if name == "-":
            yield "standard input", sys.stdin.buffer.read()
            return
        path = Path(name)
        if not path.is_dir():
            yield name, path.read_bytes()
            return
        found = [file for file in sorted(path.iterdir()) if file.suffix in ENDINGS]
        if not found:
            raise FileError(f"{name}: no file in it ends with {', '.join(ENDINGS)}")
        for file in found:
            yield str(file), file.read_bytes()
    except OSError as error:
        raise FileError(f"{error.filename or name}: {error.strerror}") from error


def _read(name: str, data: bytes) -> Iterator[Document]:
    for place, body in load(name, data, _Loader):
        yield from _objects(place, body)


def load(name: str, data: bytes, loader: Any) -> Iterator[tuple[str, Any]]:
    """The YAML documents of a source that say something, each with its place; raises FileError."""
    number = 0
    documents = yaml.load_all(data, loader)
    while True:
        place = f"{name}, document {number + 1}"
        try:
            body = next(documents)
        except StopIteration:
            return
        except yaml.YAMLError as error:
            raise FileError(f"{place}: {_yaml_fault(error)}") from error
        except (ValueError, RecursionError) as error:
            raise FileError(f"{place}: cannot be read as YAML") from error
        number += 1
        if body is not None:
            yield place, body


def _yaml_fault(error: yaml.YAMLError) -> str:
    """Where it is and what, without the words of the file."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    said = f": {QUOTED.sub(_token, str(problem))}" if problem else ""
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}cannot be read as YAML{said}"


def _token(quoted: re.Match[str]) -> str:
    """What YAML quotes: its own tokens stay, words of the file do not."""
    text = quoted[0][1:-1]
    return quoted[0] if len(text) == 1 or text.startswith("<") else "…"


def _objects(place: str, body: Any) -> Iterator[Document]:
    if not isinstance(body, dict):
        raise FileError(f"{place}: is {form(body)}, not an object")
    for key in ("apiVersion", "kind"):
        if key not in body:
            raise FileError(f"{place}: {key} is missing")
        _check_text(place, body, key)
    kind = body["kind"]
    if kind.endswith("List") and "items" in body:
        items = body["items"] or []
        if not isinstance(items, list):
            raise FileError(f"{place}: {kind} items: is {form(items)}, not a list")
        for number, item in enumerate(items, 1):
            yield from _objects(f"{place}, item {number}", item)
        return
    yield Document(place, _plain(f"{place}: {kind}", body))


def _plain(what: str, body: Json) -> Json:
    """The object as JSON would have it, with metadata that are sound; raises FileError."""
    try:
        found: Json = msgspec.json.decode(msgspec.json.encode(body))
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{what}: has something in it that JSON cannot say") from error
    metadata = found.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise FileError(f"{what} metadata: is {form(metadata)}, not an object")
    for key in ("name", "namespace"):
        if metadata.get(key) is not None:
            _check_text(f"{what} metadata", metadata, key, ".")
    for key in ("labels", "annotations"):
        texts = metadata.get(key) or {}
        if not isinstance(texts, dict):
            raise FileError(f"{what} metadata.{key}: is {form(texts)}, not an object")
        for name, text in texts.items():
            if text is not None and not isinstance(text, str):
                hint = "put it in quotes"
                raise FileError(
                    f"{what} metadata.{key}[{name}]: is {form(text)}, not a text; {hint}"
                )
    return found


def _check_text(what: str, body: Json, key: str, join: str = ": ") -> None:
    if not isinstance(body[key], str):
        raise FileError(f"{what}{join}{key}: is {form(body[key])}, not a text")


def form(value: Any) -> str:
    """The form of a value, never the value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    names: dict[type[Any], str] = {str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")
