"""poke() → one coalesced, retried pass.

The first poke after a quiet moment is served at once; what comes while a pass runs, or shortly
after it, is served together by the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

COALESCE = 0.01  # seconds between two passes
RETRY_FIRST, RETRY_LAST = 0.2, 10.0  # seconds; doubles in between


class AgainError(Exception):
    """Raised by a pass that wants to be run again at once (somebody else wrote first)."""


class Reconciler:
    """Runs ``step`` when poked, never twice at once, with ``pause`` seconds between; a failed
    step is run again by itself."""

    def __init__(self, step: Callable[[], Awaitable[None]], pause: float = COALESCE) -> None:
        self._step, self._pause = step, pause
        self._poked = asyncio.Event()
        self.failures = 0  # in a row

    def poke(self) -> None:
        """Something changed."""
        self._poked.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._poked.wait()
            self._poked.clear()
            await asyncio.sleep(await self._once())

    async def _once(self) -> float:
        """One pass; seconds to wait before the next."""
        try:
            await self._step()
        except AgainError as reason:
            log.info("deciding again: %s", reason)
            self._poked.set()
            return self._pause
        except Exception as error:
            self.failures += 1
            pause = min(RETRY_LAST, RETRY_FIRST * 2.0 ** min(self.failures - 1, 10))
            log.warning(
                "a pass failed, the next in %.1f s: %s",
                pause,
                error,
                exc_info=not isinstance(error, OSError) and log.isEnabledFor(logging.DEBUG),
            )
            self._poked.set()
            return pause
        if self.failures:
            log.info("a pass succeeded after %d failures", self.failures)
        self.failures = 0
        return self._pause
