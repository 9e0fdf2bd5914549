"""What the machines of a session want done, and what their owner tells them: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from bellmetal.facts import SessionTrouble


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a TCP connection to the peer; answered by ``connected`` or ``failed``."""

    connection: int


@dataclass(frozen=True, slots=True)
class Send:
    """Hand bytes to a connection."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection, or give up the attempt at it; what was handed over is still sent."""

    connection: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The facts have news."""


Effect: TypeAlias = Connect | Send | Close | Changed


@dataclass(frozen=True, slots=True)
class Place:
    """The ends of a TCP connection, and what may stand as router ID and next hop on this side.

    ``ipv6``: a global address, a link-local one, or both in this order (RFC 2545, section 3).
    ``unnumbered``: the two speak by link-local addresses. ``direct``: they share a subnet, on
    ``interface``.
    """

    local: str
    remote: str
    router_id: IPv4Address
    ipv4: IPv4Address | None = None
    ipv6: tuple[IPv6Address, ...] = ()
    unnumbered: bool = False
    direct: bool = False
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection: its kind, and a sentence."""

    trouble: SessionTrouble
    message: str
