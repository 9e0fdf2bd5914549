"""The chart as one file for `kubectl apply`: the same objects and their namespace, without helm."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

from lab import manifests
from rendering import helm, program

Json = dict[str, Any]


@functools.cache
def text() -> str:
    return manifests.text(Path(program()), "registry.example/bellmetal")


def objects(written: str) -> list[Json]:
    return [item for item in yaml.safe_load_all(written) if item]


def without_marks(body: Json) -> Json:
    """An object without what helm says of itself in it, anywhere."""
    marks = ("helm.sh/chart", "app.kubernetes.io/managed-by")
    if isinstance(body, dict):
        return {key: without_marks(value) for key, value in body.items() if key not in marks}
    return [without_marks(item) for item in body] if isinstance(body, list) else body


def test_it_is_the_namespace_and_then_what_the_chart_has() -> None:
    namespace, *rest = objects(text())
    image = ("--set", "image.repository=registry.example/bellmetal")
    assert rest == without_marks(objects(helm("--no-hooks", *image).stdout))
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "metallb-system")
    level = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "privileged"


def test_it_says_nothing_of_helm_but_that_crds_are_kept() -> None:
    lines = [line.strip() for line in text().splitlines() if "helm" in line.lower()]
    assert {line.partition(" #")[0] for line in lines} == {"helm.sh/resource-policy: keep"}


def test_it_says_how_to_apply_it() -> None:
    assert "kubectl apply --server-side -f bellmetal-" in text().splitlines()[0]
