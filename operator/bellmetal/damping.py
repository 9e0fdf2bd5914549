"""Nodes that come and go too often: a penalty that each absence adds to and time takes from.

The manner is that of RFC 2439 (section 4.2): above one limit a node is *unsteady*, until its
penalty has decayed below another. Sans-IO. It gets no new addresses meanwhile; it keeps its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bellmetal.cluster import Node

FLAP = 1000.0  # the penalty for one absence
SUPPRESS = 2000.0  # above it a node is unsteady: three absences within four minutes
REUSE = 1000.0  # below it, it is steady again
MOST = 8000.0  # so that it takes a quarter of an hour at most
HALF_LIFE = 300.0  # seconds
SAME_ABSENCE = (
    300.0  # seconds after a node was not ready, in which its speaker's start is part of it
)


@dataclass(slots=True)
class _History:
    """What is known of one node."""

    ready: bool
    boot: str
    penalty: float = 0.0
    at: float = 0.0  # when the penalty was that
    flaps: int = 0  # since it was steady last
    first: float = 0.0  # when the first of them was
    not_ready_at: float = -math.inf  # an absence whose restart of the speaker has not been seen
    unsteady: bool = False


@dataclass(frozen=True, slots=True)
class Unsteady:
    """How often a node went away in how many seconds, and when it will be steady again."""

    flaps: int
    within: float
    until: float


class Damping:
    """The penalties of all nodes. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._nodes: dict[str, _History] = {}

    def observe(self, nodes: Mapping[str, Node], boots: Mapping[str, str], now: float) -> None:
        """The nodes and their speakers' boot ids at this moment."""
        for name in self._nodes.keys() - nodes.keys():
            del self._nodes[name]
        for name, node in nodes.items():
            boot = boots.get(name, "")
            known = self._nodes.get(name)
            if known is None:
                self._nodes[name] = _History(node.ready, boot)
                continue
            if known.ready and not node.ready:
                self._flap(known, now)
                known.not_ready_at = now
            if boot and known.boot and boot != known.boot:
                if now - known.not_ready_at > SAME_ABSENCE:
                    self._flap(known, now)
                known.not_ready_at = -math.inf
            known.ready, known.boot = node.ready, boot or known.boot
            self._settle(known, now)

    def _flap(self, known: _History, now: float) -> None:
        penalty = _decayed(known, now)
        if penalty < REUSE / 2:  # what was long ago is forgotten
            known.flaps, known.first = 0, now
        known.penalty, known.at = min(MOST, penalty + FLAP), now
        known.flaps += 1

    def _settle(self, known: _History, now: float) -> None:
        penalty = _decayed(known, now)
        if known.unsteady and penalty <= REUSE:
            known.unsteady = False
        elif penalty > SUPPRESS:
            known.unsteady = True

    @property
    def unsteady(self) -> dict[str, Unsteady]:
        """Those that are."""
        return {
            name: Unsteady(known.flaps, known.at - known.first, _release(known))
            for name, known in self._nodes.items()
            if known.unsteady
        }

    def deadline(self) -> float | None:
        """When the next one is steady again."""
        return min((item.until for item in self.unsteady.values()), default=None)


def _decayed(known: _History, now: float) -> float:
    return float(known.penalty * 0.5 ** ((now - known.at) / HALF_LIFE))


def _release(known: _History) -> float:
    return known.at + HALF_LIFE * math.log2(known.penalty / REUSE)
