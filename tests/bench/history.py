"""What earlier runs of the suite measured: a line of JSON for each, and what has changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAME = ("services", "started")  # of the machine's description


@dataclass(frozen=True)
class Run:
    """One run. ``figures``: by name, the median of what was measured."""

    when: str
    machine: Mapping[str, Any]
    figures: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, line: str) -> Run:
        body = json.loads(line)
        return cls(body["when"], body["machine"], body["figures"])

    def like(self, other: Run) -> bool:
        """Whether both measured the same program with as many Services."""
        return all(self.machine.get(key) == other.machine.get(key) for key in SAME)

    @property
    def line(self) -> str:
        """As it is kept."""
        return json.dumps(
            {"when": self.when, "machine": self.machine, "figures": self.figures},
            ensure_ascii=False,
        )


def read(path: Path) -> list[Run]:
    """All runs, the oldest first; none if there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Run.read(line) for line in lines if line]


def append(path: Path, run: Run) -> None:
    """Keeps a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{run.line}\n")


def since(before: Run | None, now: Run) -> dict[str, float]:
    """Of each figure that both have: how many times what it was."""
    if before is None:
        return {}
    return {
        name: value / before.figures[name]
        for name, value in now.figures.items()
        if before.figures.get(name)
    }
