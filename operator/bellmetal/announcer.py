"""The plugin interface: what an announcer is given, what it must do, and how it is found.

An announcer carries out this node's share of the intents by one mechanism. It is made once per
process with a `Context`, started, handed the whole share again and again, asked what it observes,
and closed. The built-in ones are found the same way as a stranger's: by the entry-point group
``bellmetal.announcers``.
"""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from bellmetal.addresses import IPAddress
from bellmetal.facts import Claim, Facts, Owned
from bellmetal.intents import Announcement, NodeSet, PeerPlan, Route
from bellmetal.keyring import Keys
from bellmetal.settings import SettingsError
from bellmetal.sights import Look, Sight

GROUP = "bellmetal.announcers"


class Liveness(enum.Enum):
    """What gossip says of a member; SUSPECT counts as alive."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    DEAD = "dead"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Password:
    """A secret of TCP's; nothing that is printed shows it."""

    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Desired:
    """This node's whole share: what it owns or may own, and the sets that it names.

    ``routes`` and ``peers`` are those of this node alone; ``passwords``: by name of the peer.
    ``owned``: what the node answers for at this moment, for announcers that follow; else empty.
    """

    announcements: tuple[Announcement, ...] = ()
    node_sets: Mapping[str, NodeSet] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    peers: tuple[PeerPlan, ...] = ()
    passwords: Mapping[str, Password] = field(default_factory=dict)
    owned: Mapping[IPAddress, Owned] = field(default_factory=dict)


class Members(Protocol):
    """Who lives, as gossip says, and messages to members; names are node names."""

    def liveness(self, node: str) -> Liveness:
        """What gossip says of a node now."""
        ...

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        """Be told of every change and of every message to this announcer, on the event loop."""
        ...

    def send(self, node: str, data: bytes) -> None:
        """Sends a message to one member, best effort."""
        ...


class Count(Protocol):
    """Counts what happened on the wire for an address, by MetalLB's metric names."""

    def __call__(self, name: str, address: IPAddress, by: int = 1) -> None:
        """``name``: requests_received, responses_sent, gratuitous_sent."""
        ...


@dataclass(frozen=True)
class Context:
    """All that an announcer gets from the outside. ``clock`` is monotonic, in seconds."""

    node: str
    boot: int  # rises with every start of the process: wall-clock milliseconds, mostly
    keys: Callable[[], Keys]  # shared by all members; they change while the process runs
    members: Members
    clock: Callable[[], float]
    random: random.Random
    count: Count
    changed: Callable[[], None]  # tells the speaker that status() has news
    exclude: re.Pattern[str] | None = None  # interfaces to leave alone
    remembered: tuple[Claim, ...] = ()  # this node's claims before a restart
    refresh: int = 0  # seconds between announcements of what says nothing of it; 0: none
    tally: Callable[[str, str], None] = lambda *_: None  # what happened, and which kind of it


class Announcer(Protocol):
    """What every announcer does; tests/unit/test_announcer_contract.py puts it to the test.

    It may have a class attribute ``follows = True`` besides: see `follows`.
    """

    name: str
    protocol: str  # layer2, bgp or its own

    def __init__(self, context: Context) -> None: ...

    async def start(self) -> None:
        """Opens what it needs."""
        ...

    async def apply(self, desired: Desired) -> None:
        """Takes the whole truth for this node; idempotent; returns when handed to the wire.

        One bad item never stops the others; on one node it withdraws before it announces.
        """
        ...

    def status(self) -> Facts:
        """What was observed, never what was intended."""
        ...

    async def close(self, gracefully: bool) -> None:
        """Ends; gracefully: hands over first."""
        ...


@runtime_checkable
class Lookout(Protocol):
    """What an announcer may do besides: look at its network when somebody asks."""

    async def look(self, look: Look) -> Sight | None:
        """The answer (`sights.seen` makes one), within the look's seconds or one; None: that kind
        of look is not its own. It is asked for one at a time, and must not keep the loop."""
        ...


def follows(announcer: Announcer | type[Announcer]) -> bool:
    """Whether it acts on what others announce: its class says ``follows = True``.

    It is then given `Desired.owned`, `apply` comes again whenever that changes, and it is closed
    after the others. What it says to own is not believed: whom it follows would be contradicted.
    """
    return bool(getattr(announcer, "follows", False))


class UnknownAnnouncerError(SettingsError):
    """An entry point of the group that cannot be loaded, by name."""


def find(names: Iterable[str] | None = None) -> dict[str, type[Announcer]]:
    """The announcers that are installed, by name; raises UnknownAnnouncerError."""
    found: dict[str, type[Announcer]] = {}
    for entry in entry_points(group=GROUP):
        if names is not None and entry.name not in names:
            continue
        try:
            found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:
            raise UnknownAnnouncerError(
                f"announcer {entry.name} ({entry.value}): {error}"
            ) from error
    return found
