"""Where commands print: coloured on a terminal; elsewhere plain, and no line is cut or padded."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console

AS_LONG_AS_NEEDED = 100_000  # columns of what is no terminal


@contextlib.contextmanager
def sheet(out: TextIO) -> Iterator[Console]:
    """A console that prints to ``out`` when it is left."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        yield console
        return
    buffer = io.StringIO()
    yield Console(
        file=buffer,
        width=AS_LONG_AS_NEEDED,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    out.writelines(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())
