"""What was observed, never what was intended: claims, interfaces, doubts, findings."""

from __future__ import annotations

import enum
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


class DoubtKind(enum.Enum):
    """What is wrong with how the LAN sees an address; the worst first."""

    HELD = "foreignHolder"  # a foreign device has it: we do not announce it
    CONTESTED = "contested"  # a foreign device claims it, too: we go on
    FOREIGN = "foreignAnswer"  # another node's address is answered for by a foreign device
    OTHER_NODE = "otherNode"  # … or by a node that does not own it
    UNSEEN = "unseen"  # … or by nobody

    @property
    def reason(self) -> str:
        """The reason in events and conditions."""
        return _REASONS.get(self, "AddressConflict")


_REASONS = {DoubtKind.UNSEEN: "AddressNotSeen", DoubtKind.OTHER_NODE: "AnsweredByOtherNode"}


@dataclass(frozen=True, slots=True)
class Doubt:
    """An address that the LAN does not see as it should.

    ``macs``: who answers, as text; ``owner``: the node that should; ``interface``: of the node
    that noticed it.
    """

    address: IPAddress
    kind: DoubtKind
    interface: str
    owner: str
    macs: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """What to tell a person."""
        who, where = " and ".join(self.macs), self.interface
        match self.kind:
            case DoubtKind.HELD:
                said = f"is held by {who} on {where}, which is no node of this cluster: "
                said += "not announcing it"
            case DoubtKind.CONTESTED:
                said = f"is claimed by {who} on {where}, which is no node of this cluster: "
                said += f"{self.owner} goes on announcing it"
            case DoubtKind.FOREIGN:
                said = f"is answered for by {who} on {where}, which is no node of this cluster; "
                said += f"its owner is {self.owner}"
            case DoubtKind.OTHER_NODE:
                said = f"is answered for by {who} on {where}, a node that does not own it; "
                said += f"its owner is {self.owner}"
            case DoubtKind.UNSEEN:
                said = f"is announced by {self.owner}, but asked for on {where} nobody answers"
        return f"{self.address} {said}"


@dataclass(frozen=True, slots=True)
class Proved:
    """How many addresses of other nodes this node asks the LAN for, and how many it sees."""

    asked: int = 0
    seen: int = 0


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
    doubts: tuple[Doubt, ...] = ()
    proved: Proved = Proved()
