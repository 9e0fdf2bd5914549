"""``--watch``: prints something again whenever it changes; an API that is away is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TextIO, TypeVar

from bellmetal.api import ApiError
from bellmetal.cli.voice import complain

CLEAR = "\x1b[H\x1b[2J\x1b[3J"  # of a terminal

T = TypeVar("T")


async def follow(
    command: str,
    look: Callable[[], Awaitable[T]],
    show: Callable[[T], None],
    out: TextIO,
    every: float,
) -> None:
    """For ever, a look ``every`` so many seconds; raises ApiError if the first look fails, or the
    right to look is gone."""
    shown: T | None = None
    said = ""
    while True:
        try:
            found, said = await look(), ""
        except ApiError as error:
            if shown is None or error.code in (401, 403):
                raise
            if str(error) != said:
                complain(command, error)
            said = str(error)
        else:
            if found != shown:
                out.write(CLEAR if out.isatty() else "\n" if shown is not None else "")
                show(found)
                out.flush()
            shown = found
        await asyncio.sleep(every)
