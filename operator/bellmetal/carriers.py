"""Which interfaces nodes have, once they have had them for a while. Sans-IO.

Nodes lose and regain interfaces together when a switch restarts, and tell of it one after the
other. What changes counts once nothing has changed for `QUIET` seconds, for all nodes at once: an
owner is then compared with others that have told, too. Speakers do not wait: they act by
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from bellmetal.cluster import Link

QUIET = 5.0  # seconds without another change
LONGEST = 30.0  # seconds that a change waits at most: some interface may never come to rest

Links: TypeAlias = Mapping[str, tuple[Link, ...]]


class Carriers:
    """The interfaces that count. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.links: Links = {}
        self._pending: Links = {}
        self._had: frozenset[str] = frozenset()  # nodes that have had an interface
        self._since = self._changed = 0.0

    def observe(self, reported: Links, now: float) -> None:
        """What all nodes report at this moment; a node that never had any has no reason to wait."""
        had = self._had & self.links.keys()
        links = {name: self.links[name] if name in had else reported[name] for name in reported}
        self._had = (had & reported.keys()) | {name for name, found in links.items() if found}
        pending = {name: found for name, found in reported.items() if found != links[name]}
        if pending and not self._pending:
            self._since = now
        if pending != self._pending:
            self._changed = now
        if pending and now >= self._due():
            links, pending = dict(reported), {}
        self.links, self._pending = links, pending

    def deadline(self) -> float | None:
        """When what has changed will count."""
        return self._due() if self._pending else None

    def _due(self) -> float:
        return min(self._changed + QUIET, self._since + LONGEST)
