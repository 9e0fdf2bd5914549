"""Orders to move: the annotation is taken away when its order has fired, and people are told.

That an address has moved is said once the new owner itself says that it answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.api import ApiError
from bellmetal.config import MOVE_TO
from bellmetal.notices import Notices
from bellmetal.orders import Verdict
from bellmetal.world import World
from bellmetal.writer import Writer

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds that a new owner may take before that is said


@dataclass(slots=True)
class Fulfilment:
    """``later(seconds)`` asks for another pass. Times are of one monotonic clock."""

    world: World
    writer: Writer
    notices: Notices
    later: Callable[[float], None]
    # (Service key, new owner) → the addresses with their former owners, and when it was ordered
    _moving: dict[tuple[str, str], tuple[tuple[tuple[IPAddress, str], ...], float]] = field(
        default_factory=dict
    )

    @property
    def waits(self) -> bool:
        """Whether a new owner has still to say that it answers."""
        return bool(self._moving)

    async def settle(self, verdicts: Iterable[Verdict], now: float) -> None:
        """Takes fired orders away and tells what became of them; raises ApiError."""
        fired, failed = list(verdicts), []
        taken = await self.writer.take_away(MOVE_TO, ((item.service, item.node) for item in fired))
        for verdict, gone in zip(fired, taken, strict=True):
            if isinstance(gone, ApiError):
                failed.append(gone)
            elif gone is not None:  # else somebody changed or withdrew it: news will come
                self.world.services.take(gone)
                self._begin(verdict, now)
        self._confirm(now)
        if failed:
            raise failed[0]

    def _begin(self, verdict: Verdict, now: float) -> None:
        key, node = verdict.service.key, verdict.node
        for why in verdict.refused:
            sentence = f"not moved to {node}: {why}; the order ({MOVE_TO}) is withdrawn"
            self.notices.order(key, "MoveRefused", sentence, warning=True)
        if verdict.moved:
            self._moving[key, node] = verdict.moved, now
            self.later(PATIENCE)
        elif not verdict.refused:
            log.info("it is on %s already", node, extra={"op": "plan", "service": key})

    def _confirm(self, now: float) -> None:
        if not self._moving:
            return
        statuses = [body.status for body in self.world.l2_statuses.nouns.values()]
        owning = {(f"{s.service_namespace}/{s.service_name}", s.node) for s in statuses}
        for (key, node), (moved, since) in [*self._moving.items()]:
            answers = (key, node) in owning
            if not answers and now - since < PATIENCE * 0.99:
                continue
            del self._moving[key, node]
            for address, former in moved:
                self._tell(key, address, former, node, answers)

    def _tell(self, key: str, address: IPAddress, former: str, node: str, answers: bool) -> None:
        if answers:
            sentence = f"{address} moved from {former} to {node}: asked for by {MOVE_TO}"
            self.notices.order(key, "AddressMoved", sentence)
            return
        sentence = f"{address} should have moved from {former} to {node} (asked for by {MOVE_TO}),"
        sentence = f"{sentence} but {node} does not answer for it {PATIENCE:g} s later"
        self.notices.order(key, "MoveRefused", sentence, warning=True)
