"""Dashboards and panels, and the JSON that Grafana takes them as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
Json = dict[str, Any]

OK_IF_NONE = ({"color": "green", "value": None}, {"color": "red", "value": 1})
OK_IF_ANY = ({"color": "red", "value": None}, {"color": "green", "value": 1})
USAGE = (
    {"color": "green", "value": None},
    {"color": "orange", "value": 75},
    {"color": "red", "value": 95},
)
# Columns of no interest: what the Prometheus Operator adds.
HIDDEN = ("__name__", "container", "endpoint", "job", "namespace", "pod")
NEUTRAL = ({"color": "blue", "value": None},)


@dataclass(frozen=True)
class Panel:
    """``queries``: what is shown under which legend. ``kind`` is Grafana's name of the panel."""

    title: str
    queries: dict[str, str]
    help: str = ""
    kind: str = "timeseries"
    unit: str = "short"
    steps: tuple[Json, ...] = NEUTRAL
    width: int = 8
    height: int = 7
    hidden: tuple[str, ...] = ()  # columns that a table leaves out
    words: tuple[str, ...] = ()  # what 0, 1, … mean

    def json(self, number: int, x: int, y: int) -> Json:
        """The panel at a place."""
        return {
            "id": number,
            "title": self.title,
            "description": self.help,
            "type": self.kind,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [self._target(item) for item in enumerate(self.queries.items())],
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": 0,
                    "decimals": 0 if self.unit == "short" else None,
                    "mappings": self._mappings(),
                    "thresholds": {"mode": "absolute", "steps": list(self.steps)},
                },
                "overrides": [],
            },
            "options": OPTIONS.get(self.kind, {}),
            "transformations": self._columns() if self.kind == "table" else [],
        }

    def _target(self, numbered: tuple[int, tuple[str, str]]) -> Json:
        number, (legend, expr) = numbered
        instant = self.kind in ("stat", "table", "bargauge")
        return {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expr,
            "legendFormat": legend,
            "instant": instant,
            "range": not instant,
            "format": "table" if self.kind == "table" else "time_series",
        }

    def _mappings(self) -> list[Json]:
        options = {str(value): {"text": word} for value, word in enumerate(self.words)}
        return [{"type": "value", "options": options}] if options else []

    def _columns(self) -> list[Json]:
        hidden = dict.fromkeys(("Time", "Value", *self.hidden), True)
        return [{"id": "organize", "options": {"excludeByName": hidden}}]


LAST = {"calcs": ["lastNotNull"]}
OPTIONS: dict[str, Json] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    },
    "bargauge": {"orientation": "horizontal", "reduceOptions": {"calcs": ["lastNotNull"]}},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "state-timeline": {"showValue": "never", "legend": {"displayMode": "list"}},
}


@dataclass(frozen=True)
class Dashboard:
    """``rows``: the heading of each and its panels."""

    uid: str
    title: str
    rows: dict[str, list[Panel]]
    variables: tuple[tuple[str, str], ...] = field(default=())

    def json(self) -> Json:
        """As Grafana imports it."""
        chosen = [_variable(name, query) for name, query in self.variables]
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["bellmetal", "metallb"],
            "schemaVersion": 39,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [DATASOURCE, *chosen]},
            "panels": list(self._panels()),
        }

    def _panels(self) -> Iterator[Json]:
        number, y = 0, 0
        for heading, panels in self.rows.items():
            number += 1
            place = {"x": 0, "y": y, "w": 24, "h": 1}
            yield {"id": number, "type": "row", "title": heading, "gridPos": place, "panels": []}
            x, y, height = 0, y + 1, 0
            for panel in panels:
                if x + panel.width > 24:
                    x, y, height = 0, y + height, 0
                number += 1
                yield panel.json(number, x, y)
                x, height = x + panel.width, max(height, panel.height)
            y += height


DATASOURCE = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
}


def _variable(name: str, query: str) -> Json:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def stat(title: str, query: str, steps: tuple[Json, ...], about: str, width: int = 4) -> Panel:
    """One number."""
    return Panel(title, {"": query}, about, "stat", steps=steps, width=width, height=4)


JOB = 'job=~"$job"'
RATE = "[$__rate_interval]"
PROGRAMS_JOB = ("job", "label_values(bellmetal_build_info, job)")


def written(dashboard: Dashboard) -> str:
    """The file's text: a panel a line, so that a change of one is a change of one line."""
    body = dashboard.json()
    panels = ",\n".join(json.dumps(panel, ensure_ascii=False) for panel in body.pop("panels"))
    head = json.dumps(body, ensure_ascii=False, indent=1).removesuffix("\n}")
    return f'{head},\n "panels": [\n{panels}\n ]\n}}\n'
