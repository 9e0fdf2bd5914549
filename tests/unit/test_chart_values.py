"""Values of the chart: which are refused, and that each is in the schema and on its page."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

import values_page
from lab.paths import CHART
from rendering import Json, refusal

REFUSED = [
    ("controller.admission.port=0", "at '/controller/admission/port': minimum: got 0, want 1"),
    ('controller.admission.failurePolicy="Fail"', "additional properties 'failurePolicy' not"),
    ("controler={}", "additional properties 'controler' not allowed"),
    ("controller.replica=2", "at '/controller': additional properties 'replica' not allowed"),
    ("controller.replicas=3", "at '/controller/replicas': maximum: got 3, want 2"),
    ('controller.logLevel="loud"', "at '/controller/logLevel': value must be one of"),
    ('prometheus.metricsPort="9120"', "at '/prometheus/metricsPort': got string, want integer"),
    ("speaker.frrr={}", "at '/speaker': additional properties 'frrr' not allowed"),
    ('controller.extraContainers=[{"name": "a"}]', "missing property 'image'"),
    ("controller.readinessProbe.port=0", "/readinessProbe/port': minimum: got 0, want 1"),
    ("networkpolicies.apiport=1", "at '/networkpolicies': additional properties 'apiport' not"),
    ('image.pullPolicy="Sometimes"', "at '/image/pullPolicy': value must be one of"),
    ("speaker.podAnnotations={\"a\": true}", "at '/speaker/podAnnotations/a': got boolean, want"),
    ("controller.livenessProbe.successThreshold=2", "/successThreshold': maximum: got 2, want 1"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "sentence"), REFUSED)
def test_a_typo_in_the_values_is_refused(value: str, sentence: str) -> None:
    assert sentence in refusal(value)


SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())


def properties(schema: Json) -> Json:
    """The properties of a schema, also where it refers to a definition."""
    while "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    found: Json = {}
    for part in schema.get("allOf", []):
        found |= properties(part)
    return found | schema.get("properties", {})


def unknown(values: Json, schema: Json, path: str = "") -> list[str]:
    """Paths of values that the schema says nothing of."""
    known = properties(schema)
    found = []
    for key, value in values.items():
        if key not in known:
            found.append(f"{path}{key}")
        elif isinstance(value, dict) and properties(known[key]):
            found += unknown(value, known[key], f"{path}{key}.")
    return found


def test_every_value_is_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert unknown(values, SCHEMA) == []
    assert unknown({"controller": {"replica": 1}}, SCHEMA) == ["controller.replica"]


def test_the_schema_says_of_values_what_their_comments_say() -> None:
    comments = {item.key: item.comment for item in values_page.values()}
    told = dict(descriptions(SCHEMA))
    assert told, "some are described"
    assert {key: comments.get(key) for key in told} == told


def descriptions(schema: Json, path: str = "") -> list[tuple[str, str]]:
    found = []
    for key, inner in schema.get("properties", {}).items():
        if "description" in inner and "$comment" not in inner:
            found.append((f"{path}{key}", inner["description"]))
        found += descriptions(inner, f"{path}{key}.")
    return found


def test_every_value_says_what_it_is() -> None:
    silent = [item.key for item in values_page.values() if item.default and not item.comment]
    assert silent == []


def test_the_page_of_values_is_that_of_the_chart(golden: Any) -> None:
    golden.check("../../docs/values.md", values_page.page())
