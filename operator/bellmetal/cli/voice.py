"""What every command says alike: its progress to people, and why it has failed."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from bellmetal.addresses import printable
from bellmetal.cli.owners import Say


def voice(output: str) -> Say:
    """How progress is told; ``output`` is that of the flag."""
    return _silent if output == "json" else _print


def _print(text: str) -> None:
    print(printable(text), flush=True)


def _silent(_: str) -> None:
    """For JSON there is one answer, at the end."""


def complain(command: str, error: Exception) -> None:
    """Says on stderr what went wrong."""
    print(f"bellmetal {command}: {printable(str(error))}", file=sys.stderr)


def failed(command: str, error: Exception, status: int) -> int:
    """Says why the command ends; the exit status that it ends with."""
    complain(command, error)
    return status


def admit(command: str, unread: Iterable[str]) -> None:
    """Says on stderr what could not be read: what is said is said on the rest."""
    for text in unread:
        print(
            f"bellmetal {command}: not everything could be read: {printable(text)}",
            file=sys.stderr,
        )
