"""What several rooms say alike."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 5  # things that a sentence names, one by one


def few(items: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    names = list(items)
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")


def nodes_named(names: Iterable[str]) -> str:
    """``node n1``, ``nodes n1, n2``."""
    found = list(names)
    return f"node{'' if len(found) == 1 else 's'} {few(found)}"
