"""Events in memory: what tests are told instead of an API server."""

from __future__ import annotations

from bellmetal.api import Client
from bellmetal.events import Events
from bellmetal.resources import ObjectReference


class Noted(Events):
    """Events that are kept as lines."""

    def __init__(self, client: Client | None = None) -> None:
        self.lines: list[str] = []

    def record(
        self,
        about: ObjectReference,
        reason: str,
        message: str,
        *,
        warning: bool = False,
        once: str = "",
    ) -> None:
        kind = "Warning" if warning else "Normal"
        self.lines.append(f"{about.kind}/{about.name} {kind} {reason}: {message}")
