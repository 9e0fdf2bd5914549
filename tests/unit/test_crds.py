"""The CRDs as text: described, bounded, and the same in the chart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.paths import CHART, REPOSITORY
from rendering import Json, render

CRDS = sorted((REPOSITORY / "crds").glob("*.yaml"))


def test_the_chart_ships_the_crds_of_the_repository() -> None:
    ours = {path.name: path.read_bytes() for path in CRDS}
    assert {path.name: path.read_bytes() for path in (CHART / "files/crds").iterdir()} == ours


def test_crds_can_be_left_out() -> None:
    assert not any(kind == "CustomResourceDefinition" for kind, _ in render("crds.enabled=false"))


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_a_crd_says_what_it_is_and_survives_an_uninstall(path: Path) -> None:
    body = yaml.safe_load(path.read_text())
    assert body["metadata"]["name"] == path.stem
    assert body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def parts(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema within a schema, by path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from parts(schema["additionalProperties"], f"{path}{{}}")


BOUNDS = {"array": ["maxItems"], "string": ["maxLength", "enum", "format"]}
TOP = (".apiVersion", ".kind", ".metadata")


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_every_field_is_described_and_bounded(path: Path) -> None:
    versions = yaml.safe_load(path.read_text())["spec"]["versions"]
    schemas = [parts(version["schema"]["openAPIV3Schema"]) for version in versions]
    for name, schema in itertools.chain(*schemas):
        if name in TOP:
            continue
        plain = name.endswith(("[]", "{}")) and schema["type"] == "string"
        assert plain or schema["description"].endswith("."), name
        bounds = BOUNDS.get(schema["type"], [])
        assert not bounds or any(bound in schema for bound in bounds), name
        assert "additionalProperties" not in schema or "maxProperties" in schema, name
