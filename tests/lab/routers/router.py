"""What all routers of the lab have in common: how one is described, and what it tells.

A description is the same for FRR, BIRD and GoBGP, and so is what is read back. What a router cannot
do, it says itself: `start` raises `Unsupported` with its words.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.host import Host
from lab.processes import Process
from lab.routers import kernel
from lab.waiting import until


class Family(enum.Enum):
    """IPv4 or IPv6 unicast; the value is FRR's and BIRD's word."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @classmethod
    def of(cls, text: str) -> Family:
        """The family of an address or a prefix."""
        return cls.IPV6 if ":" in text else cls.IPV4


BOTH = (Family.IPV4, Family.IPV6)
INTERNAL, EXTERNAL = "internal", "external"
ESTABLISHED = "Established"

# capabilities of a peer, by one name each (RFC 2918, 6793, 4724, 8654, 8950, 7911, 7313, 9494)
REFRESH, AS4, RESTART, EXTENDED = "refresh", "as4", "graceful-restart", "extended-message"
NEXT_HOP, ADD_PATH, ENHANCED, LONG_LIVED = "extended-next-hop", "add-path", "enhanced", "long-lived"


@dataclass(frozen=True)
class Bfd:
    """Asynchronous BFD: milliseconds for both directions, and how many may be missed."""

    interval: int = 50
    multiplier: int = 3
    passive: bool = False


@dataclass(frozen=True)
class Restart:
    """Graceful restart; ``helper``: only for the neighbor's. Times in seconds."""

    helper: bool = False
    restart_time: int = 120
    stale_time: int = 120


@dataclass(frozen=True)
class Exported:
    """A route that a router tells its neighbors, if they may have it; communities as ``1:2``."""

    prefix: str
    med: int | None = None
    communities: tuple[str, ...] = ()
    large: tuple[str, ...] = ()


@dataclass(frozen=True)
class Neighbor:
    """One neighbor: everything that it tells is taken; it is told the router's routes or nothing.

    ``asn``: a number, or `INTERNAL` or `EXTERNAL`. Exactly one of ``address`` and ``interface``.
    ``multi_hop`` and ``ttl_security`` are hops, 0 for neither. Times in seconds.
    """

    asn: int | str
    address: str = ""
    interface: str = ""
    local_address: str = ""
    families: tuple[Family, ...] = BOTH
    port: int = 179
    multi_hop: int = 0
    ttl_security: int = 0
    password: str = field(default="", repr=False)
    bfd: Bfd | None = None
    restart: Restart | None = None
    passive: bool = False
    exports: bool = False
    extended_next_hop: bool = False
    add_path: bool = False
    hold_time: int = 9
    connect_time: int = 1

    @property
    def peer(self) -> str:
        """By what the neighbor is known here: its address, or the interface."""
        return self.address or self.interface

    @property
    def keepalive_time(self) -> int:
        """A third of the hold time."""
        return self.hold_time // 3


@dataclass(frozen=True)
class Plan:
    """A whole router. ``kernel``: its routes go into the kernel, up to ``maximum_paths`` each."""

    asn: int
    router_id: str
    neighbors: tuple[Neighbor, ...] = ()
    routes: tuple[Exported, ...] = ()
    port: int = 179
    kernel: bool = False
    maximum_paths: int = 8


@dataclass(frozen=True)
class Session:
    """A session as the router sees it; ``since``: wall-clock seconds, when it came up.

    ``last_reset``: in the router's own words, with the message of RFC 9003 if there was one.
    ``capabilities``: what the peer has said that it can. ``received``: prefixes by family.
    """

    peer: str
    state: str
    since: float | None = None
    last_reset: str = ""
    capabilities: frozenset[str] = frozenset()
    received: Mapping[Family, int] = field(default_factory=dict)

    @property
    def up(self) -> bool:
        """Whether it is Established."""
        return self.state == ESTABLISHED


@dataclass(frozen=True)
class Way:
    """One way to a prefix. Communities as ``65000:1``; ``next_hop`` is the global one if any."""

    peer: str
    next_hop: str
    as_path: tuple[int, ...] = ()
    med: int | None = None
    local_pref: int | None = None
    communities: frozenset[str] = frozenset()
    large: frozenset[str] = frozenset()
    stale: bool = False
    best: bool = False


@dataclass(frozen=True)
class BfdSession:
    """A BFD session: its state in RFC 5880's words, in lower case; ``detect``: seconds."""

    peer: str
    state: str
    detect: float = 0.0

    @property
    def up(self) -> bool:
        """Whether it is up."""
        return self.state == "up"


Routes = Mapping[str, tuple[Way, ...]]


class Unsupported(LabError):
    """The router has no such thing; the message is its own where it says one."""


class Router(ABC):
    """A router in a namespace, as a context manager. All its files are in ``dir``."""

    name: str  # of the program, for people

    def __init__(self, host: Host, plan: Plan, name: str = "") -> None:
        self.host, self.plan = host, plan
        self.dir: Path = host.dir / (name or type(self).name.lower())
        self.processes: list[Process] = []

    def __enter__(self) -> Router:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.kill()

    # --- its life ---------------------------------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Starts it; returns once it can be asked. Raises Unsupported with the router's words."""

    @abstractmethod
    def apply(self, plan: Plan) -> None:
        """Takes another description while it runs, as a person would load a configuration."""

    def stop(self) -> None:
        """Asks it to end, and waits for that: sessions end with a word."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(10)
        self.processes.clear()

    def kill(self) -> None:
        """Ends it now (SIGKILL): sessions end by the kernel's word alone."""
        for process in reversed(self.processes):
            process.kill()
        self.processes.clear()

    def log(self) -> str:
        """All that it has written."""
        return "\n".join(process.log() for process in self.processes)

    # --- what it tells ----------------------------------------------------------------------------

    @abstractmethod
    def sessions(self) -> Mapping[str, Session]:
        """Its sessions, by the peer's address or interface."""

    @abstractmethod
    def routes(self, family: Family) -> Routes:
        """Its table: for each prefix all ways that it knows."""

    @abstractmethod
    def bfd(self) -> Mapping[str, BfdSession]:
        """Its BFD sessions, by the peer's address; raises Unsupported."""

    def kernel_routes(self, family: Family) -> Mapping[str, frozenset[str]]:
        """What stands in the kernel of its namespace by a routing protocol: prefix → next hops."""
        return kernel.routes(self.host.namespace, family is Family.IPV6)

    # --- what is done to it -----------------------------------------------------------------------

    @abstractmethod
    def set_password(self, peer: str, password: str) -> None:
        """Another password for a neighbor; empty: none."""

    @abstractmethod
    def shut(self, peer: str, message: str = "") -> None:
        """Shuts a neighbor down, with a message (RFC 9003)."""

    @abstractmethod
    def open(self, peer: str) -> None:
        """Lets a neighbor come back that was shut down."""

    @abstractmethod
    def reset(self, peer: str) -> None:
        """Ends a session and lets it come up again."""

    @abstractmethod
    def refresh(self, peer: str) -> None:
        """Asks a neighbor for all its routes again (RFC 2918)."""

    # --- waiting ----------------------------------------------------------------------------------

    def neighbor(self, peer: str) -> Neighbor:
        """The description of a neighbor."""
        return next(one for one in self.plan.neighbors if one.peer == peer)

    def wait(self, what: str, true: Callable[[], bool], timeout: float = 15) -> None:
        """Until that is so of this router."""
        until(true, f"{self.name} on {self.host.name}: {what}", timeout, every=0.03)

    def wait_established(self, *peers: str, timeout: float = 15) -> None:
        """Until these sessions are up; all of the description's, if none is named."""
        wanted = peers or tuple(one.peer for one in self.plan.neighbors)
        seen: dict[str, str] = {}

        def up() -> bool:
            found = self.sessions()
            seen.update({peer: found[peer].state if peer in found else "?" for peer in wanted})
            return all(state == ESTABLISHED for state in seen.values())

        try:
            self.wait("sessions established", up, timeout)
        except LabError as problem:
            late = {peer: state for peer, state in seen.items() if state != ESTABLISHED}
            raise LabError(f"{problem}: {late}") from None

    def wait_routes(self, prefixes: Collection[str], timeout: float = 15) -> Routes:
        """Until all these prefixes are in its table; the tables of their families."""
        families = {Family.of(prefix) for prefix in prefixes}
        found: dict[str, tuple[Way, ...]] = {}

        def there() -> bool:
            found.clear()
            for family in families:
                found.update(self.routes(family))
            return set(prefixes) <= set(found)

        self.wait(f"{len(prefixes)} routes ({', '.join(sorted(prefixes)[:3])} …)", there, timeout)
        return found

    def wait_route(self, prefix: str, timeout: float = 15) -> tuple[Way, ...]:
        """Until a prefix is in its table; the ways to it."""
        return self.wait_routes([prefix], timeout)[prefix]

    def wait_gone(self, prefixes: Collection[str], timeout: float = 15) -> None:
        """Until none of these prefixes is in its table."""
        families = {Family.of(prefix) for prefix in prefixes}

        def gone() -> bool:
            return not any(set(prefixes) & set(self.routes(family)) for family in families)

        self.wait(f"{len(prefixes)} routes gone", gone, timeout)

    def watch_kernel(self) -> kernel.Watch:
        """Notes every change of the namespace's kernel routes, with its time; to be closed."""
        return kernel.Watch(self.host.namespace)
