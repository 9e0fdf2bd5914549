"""What was observed, never what was intended: claims, interfaces, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress

# Terms that a claim may be ahead of what the slices say: whoever lies cannot count so far that
# nobody can follow.
MOST_AHEAD = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class ClaimOrder:
    """What orders claims of one address: term, firm before provisional, epoch (design, rule 1)."""

    term: int
    firm: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A node's word that it owns an address."""

    address: IPAddress
    node: str
    order: ClaimOrder


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as the kernel describes it; ``mac`` is six bytes.

    ``gateways``: where default routes over it lead.
    """

    name: str
    index: int
    mac: bytes
    up: bool
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know, with a code that stays the same."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Owned:
    """An address that this node answers for, and on which interfaces (empty: on all)."""

    address: IPAddress
    order: ClaimOrder
    interfaces: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What an announcer saw: ``owned`` now, own ``claims`` that differ from the intents."""

    owned: Mapping[IPAddress, Owned] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    findings: tuple[Finding, ...] = ()
    settled: bool = False
