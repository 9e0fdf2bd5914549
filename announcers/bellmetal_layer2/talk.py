"""What ownership has to say, in the log: of thousands of things at once only the first.

A line of the log costs more than a decision.
"""

from __future__ import annotations

import asyncio
import logging

from bellmetal_layer2.messages import Said

log = logging.getLogger(__name__)

MOST_LINES = 100  # for what happens within a moment
MOMENT = 1.0  # seconds


class Talk:
    """Counts lines by moments; what is too much is told as a number, and in full to debuggers."""

    def __init__(self) -> None:
        self._said = self._more = 0
        self._end: asyncio.TimerHandle | None = None

    def say(self, item: Said, level: int = logging.INFO) -> None:
        """On the event loop only."""
        if self._end is None:
            self._end = asyncio.get_running_loop().call_later(MOMENT, self.finish)
        self._said += 1
        if self._said > MOST_LINES:
            self._more += 1
        level = level if self._said <= MOST_LINES else logging.DEBUG
        log.log(level, item.message, extra={"op": "ownership", "event": item.event})

    def finish(self) -> None:
        """The moment is over."""
        if self._end is not None:
            self._end.cancel()
        if self._more:
            text = "… and %d more like these"
            log.info(text, self._more, extra={"op": "ownership", "event": "more"})
        self._said, self._more, self._end = 0, 0, None
