"""An explanation as a value: links in their order, and the first that is broken."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bellmetal.explanation import Cause


class Step(enum.Enum):
    """A link of the chain from a Service to its client, or of what else is explained."""

    CLAIM = "claim"
    POOL = "pool"
    ADDRESS = "address"
    ADVERTISEMENT = "advertisement"
    NODES = "nodes"
    ENDPOINTS = "endpoints"
    OWNER = "owner"
    SESSIONS = "sessions"
    LAN = "LAN"
    DATAPATH = "data path"
    CONFIGURATION = "configuration"
    SPEAKER = "speaker"
    INTERFACES = "interfaces"


class State(enum.Enum):
    """How a link was found."""

    OK = "ok"
    NOTE = "note"  # it holds, and somebody should know something
    BROKEN = "broken"
    UNKNOWN = "unknown"  # it could not be looked at


@dataclass(frozen=True, slots=True)
class Link:
    """One link, and what was seen at it. ``cause``: why it is broken, or what a note is about."""

    step: Step
    state: State
    saw: str
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """``kind`` and ``name`` of what is explained. ``hints``: what else to bear in mind."""

    kind: str
    name: str
    links: tuple[Link, ...]
    hints: tuple[str, ...] = ()

    @property
    def broken(self) -> Link | None:
        """The first link that is broken."""
        return next((link for link in self.links if link.state is State.BROKEN), None)

    @property
    def cause(self) -> Cause | None:
        """Why it does not work; None: it does, as far as could be seen."""
        return self.broken.cause if self.broken else None


def ok(step: Step, saw: str) -> Link:
    """A link that holds."""
    return Link(step, State.OK, saw)


def note(step: Step, saw: str, cause: Cause | None = None) -> Link:
    """A link that holds, but."""
    return Link(step, State.NOTE, saw, cause)


def unknown(step: Step, saw: str) -> Link:
    """A link that could not be looked at, and why."""
    return Link(step, State.UNKNOWN, saw)


def broken(step: Step, cause: Cause) -> Link:
    """A link that is broken."""
    return Link(step, State.BROKEN, cause.sentence, cause)


def until_broken(links: list[Link]) -> tuple[Link, ...]:
    """All up to the first that is broken: what comes after it follows from it."""
    for at, link in enumerate(links):
        if link.state is State.BROKEN:
            return tuple(links[: at + 1])
    return tuple(links)
