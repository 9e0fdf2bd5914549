"""Since when this node gives up the routes of which node sets, and how far it is. No timers."""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal_bgp.views import Phase


class Drains:
    """Told on each apply; asked with the drain time of each peer, in seconds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def take(self, draining: Iterable[str], now: float) -> None:
        """The node sets in which this node is draining."""
        self._since = {name: self._since.get(name, now) for name in draining}

    @property
    def active(self) -> bool:
        """Whether this node gives up any routes."""
        return bool(self._since)

    def phase(self, node_set: str, drain_time: float, now: float) -> Phase:
        """How far the end of a node set's routes is."""
        since = self._since.get(node_set)
        if since is None:
            return Phase.NONE
        return Phase.SHUTTING_DOWN if now < since + drain_time else Phase.GONE

    def next_change(self, drain_times: Iterable[float], now: float) -> float | None:
        """When the next phase begins, for any of these drain times."""
        times = set(drain_times)
        ends = [since + time for since in self._since.values() for time in times]
        return min((end for end in ends if end > now), default=None)
