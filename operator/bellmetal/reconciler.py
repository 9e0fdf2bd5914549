"""poke() → one coalesced, retried pass.

The first poke after a quiet moment is served at once; what comes while a pass runs, or shortly
after it, is served together by the next one. Where there are things that cannot wait, they are
served in that pause, and before a pass that will take long; passes take half of the time at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

COALESCE = 0.01  # seconds between two passes
GAP = 0.05  # seconds between two servings of what cannot wait, at least
SHARE = 2.0  # times what the last one took: each costs the API server a shard of the ledger
LONG = 0.05  # seconds of the last pass, if the next one comes after what cannot wait
LONGEST_LEAD = 0.2  # seconds between the first poke and such a pass
LONGEST_REST = 1.0  # seconds between two passes that take long
RETRY_FIRST, RETRY_LAST = 0.2, 10.0  # seconds; doubles in between


class AgainError(Exception):
    """Raised by a pass that wants to be run again at once (somebody else wrote first)."""


class Reconciler:
    """Runs ``step`` when poked, never twice at once, with ``pause`` seconds between; a failed
    step is run again by itself.

    ``hasten``: serves, when poked in a pause, what cannot wait for the next step, and says whether
    there was anything; the pause is then as long as the step took. It never runs beside a step.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[None]],
        pause: float = COALESCE,
        hasten: Callable[[], Awaitable[bool]] | None = None,
        gap: float = GAP,
    ) -> None:
        self._step, self._pause, self._hasten, self._gap = step, pause, hasten, gap
        self._poked, self._news = asyncio.Event(), asyncio.Event()
        self._took = 0.0  # seconds, the last pass
        self.failures = 0  # in a row

    def poke(self) -> None:
        """Something changed."""
        self._poked.set()
        self._news.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            if not self._poked.is_set():
                await self._poked.wait()
                await self._lead()
            self._poked.clear()
            self._news.clear()
            await self._rest(await self._once())

    async def _lead(self) -> None:
        """Before a pass that will take long: what cannot wait is served, and what belongs to the
        same change comes in time for both."""
        if self._hasten is not None and self._took > LONG:
            await self._rest(min(self._took, LONGEST_LEAD))

    async def _rest(self, pause: float) -> None:
        """Waits so many seconds; meanwhile what cannot wait is served."""
        if self._hasten is None:
            await asyncio.sleep(pause)
            return
        clock = asyncio.get_running_loop().time
        end = clock() + pause
        while (left := end - clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return
            self._news.clear()
            began, served = clock(), True
            try:
                served = await self._hasten()
            except Exception as error:
                told = log.isEnabledFor(logging.DEBUG)
                log.info("left to the next pass: %s", error, exc_info=told)
                self._poked.set()
            took = min(clock() - began, LONGEST_REST / SHARE)
            await asyncio.sleep(max(self._gap, SHARE * took) if served else self._pause)

    async def _once(self) -> float:
        """One pass; seconds to wait before the next."""
        began = asyncio.get_running_loop().time()
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
        if self._hasten is not None:
            self._took = asyncio.get_running_loop().time() - began
        return min(max(self._pause, self._took), LONGEST_REST)
