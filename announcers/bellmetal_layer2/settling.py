"""Rule 6: after a start or a gap, when claims are exchanged well enough to answer again."""

from __future__ import annotations

from bellmetal_layer2.roster import Roster

LISTEN = 0.15  # seconds in which every node that lives is heard
ALONE = 2.0  # seconds to wait for somebody to exchange claims with


class Settling:
    """One wait for the others' claims, begun at ``now``."""

    def __init__(self, roster: Roster, now: float, least_wait: float = LISTEN) -> None:
        self._roster, self._since, self._least_wait = roster, now, least_wait

    @property
    def due(self) -> float:
        """When it may be over, at the earliest."""
        return self._since + self._least_wait

    def deaf(self, seconds: float) -> None:
        """The loop had no turn: being deaf was no listening."""
        self._since += seconds

    def partners(self, now: float, alone: bool) -> list[str] | None:
        """With whom claims are exchanged; None: not yet. ``alone``: there may be nobody else."""
        waited = now - self._since
        found = self._roster.exchanged_since(self._since, patient=waited < LISTEN)
        enough = found or waited >= (LISTEN if alone else ALONE)
        return found if waited >= self._least_wait and enough else None
