"""The sans-IO contract that every protocol keeps: Machine and Effect, nothing else.

======================================  ==========================================================
verb                                    meaning
======================================  ==========================================================
``receive(data, now) → list[Effect]``   bytes or a message came in
``tick(now) → list[Effect]``            the deadline has passed
``deadline() → float | None``           when to call tick, seconds of the same monotonic clock
commands (``want``, ``stop`` …)         the owner wants something; they return effects too
======================================  ==========================================================

A machine has no clock, no socket, no log and no dice of its own: ``now`` is an argument.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

E = TypeVar("E")


class Machine(Protocol[E]):
    """What `pump.Pump` drives; E is the machine's own union of effects."""

    def receive(self, data: Any, now: float) -> list[E]:
        """A message came in."""
        ...

    def tick(self, now: float) -> list[E]:
        """The deadline has passed."""
        ...

    def deadline(self) -> float | None:
        """When to call tick next, or None for never."""
        ...
