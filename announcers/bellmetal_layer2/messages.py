"""What ownership is told, and what it wants done: frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import Interface
from bellmetal_layer2.beacon import Beacon

# --- effects -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emit:
    """Send a beacon on every interface."""

    beacon: Beacon


@dataclass(frozen=True, slots=True)
class Whisper:
    """Send a beacon to one node by gossip: it does not hear us on the LAN."""

    node: str
    beacon: Beacon


@dataclass(frozen=True, slots=True)
class Own:
    """Answer for an address from now on; ``fresh``: nobody of the cluster did before."""

    address: IPAddress
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Yield:
    """Answer for an address no more."""

    address: IPAddress
    to: str


@dataclass(frozen=True, slots=True)
class Reassert:
    """Tell the LAN again that an address is here: somebody else has just answered for it."""

    address: IPAddress
    against: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Throw away what the sockets have queued: it is too old to be answered or believed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """Something for the log, once per change of mind."""

    event: str
    message: str


Effect = Emit | Whisper | Own | Yield | Reassert | Flush | Said


# --- messages ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A beacon, and the interface that it came in on; empty: it came by gossip."""

    beacon: Beacon
    on: str = ""


@dataclass(frozen=True, slots=True)
class GossipSays:
    """Gossip changed its mind about a node."""

    node: str
    liveness: Liveness


@dataclass(frozen=True, slots=True)
class Usable:
    """The interfaces that can be used now."""

    interfaces: tuple[Interface, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A beacon that is signed with no key of ours, of a node that it names."""

    node: str


Message = Heard | GossipSays | Usable | Unreadable
