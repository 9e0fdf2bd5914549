"""What was observed, never what was intended: claims, interfaces, doubts, findings."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress, IPNetwork

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


class SessionState(enum.Enum):
    """RFC 4271, section 8.2.2."""

    IDLE = "Idle"
    CONNECT = "Connect"
    ACTIVE = "Active"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"


class BFDState(enum.Enum):
    """RFC 5880, section 4.1."""

    ADMIN_DOWN = "AdminDown"
    DOWN = "Down"
    INIT = "Init"
    UP = "Up"


class SessionTrouble(enum.Enum):
    """Why a session is not established; the reason in events and conditions."""

    CONNECTING = "Connecting"  # nothing wrong yet
    REFUSED = "ConnectionRefused"  # nobody listens there
    NO_ANSWER = "NoAnswer"  # SYNs get no reply: filtered, or a password that is not the peer's
    NO_ROUTE = "NoRouteToPeer"
    RESET = "ConnectionReset"  # closed by the peer without a word
    WRONG_ASN = "WrongASN"
    WRONG_ROUTER_ID = "WrongRouterID"
    WRONG_PASSWORD = "WrongPassword"
    WRONG_TTL = "WrongTTL"
    NO_PASSWORD = "PasswordMissing"
    NO_SOURCE = "SourceAddressMissing"
    NO_INTERFACE = "InterfaceMissing"
    NO_NEIGHBOR = "NeighborNotFound"  # nobody has introduced itself on the interface
    NO_GATEWAY = "GatewayMissing"
    NO_VRF = "VRFMissing"
    UNSUPPORTED = "Unsupported"  # the kernel cannot
    CANNOT_LISTEN = "CannotListen"
    WAITING = "WaitingForPeer"  # passive: it has not called
    DUPLICATE = "DuplicatePeer"
    HOLD_TIMER = "HoldTimerExpired"
    BFD_DOWN = "BFDDown"
    SHUTDOWN_BY_PEER = "ShutdownByPeer"
    REJECTED = "RejectedByPeer"  # any other NOTIFICATION of the peer's
    PROTOCOL_ERROR = "ProtocolError"  # any other NOTIFICATION of ours
    STOPPED = "Stopped"


@dataclass(frozen=True, slots=True)
class BFDFacts:
    """A BFD session as it is. Intervals are in microseconds, as negotiated; since is the clock's.

    ``diagnostic`` and ``remote_diagnostic`` are the words of RFC 5880, section 4.1. A
    ``remote_state`` of AdminDown, the last that was heard, is no failure (RFC 5882, section 3.2).
    ``counters``: control_packet_input, control_packet_output, echo_packet_input,
    echo_packet_output, session_up_events, session_down_events.
    """

    state: BFDState
    since: float
    diagnostic: str = ""
    remote_diagnostic: str = ""
    transmit_us: int = 0
    detect_us: int = 0
    multiplier: int = 0
    multi_hop: bool = False
    message: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)
    remote_state: BFDState = BFDState.DOWN


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on in their OPEN messages. Times are in seconds."""

    hold_time: int = 0
    keepalive_time: float = 0.0
    local_asn: int = 0
    peer_asn: int = 0
    local_address: str = ""
    peer_address: str = ""
    local_router_id: str = ""
    peer_router_id: str = ""
    capabilities: tuple[str, ...] = ()  # of both sides, in words: "IPv4 unicast", "route refresh"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A BGP session as it is, or why there is none. ``since`` is the clock's, in seconds.

    ``peer`` is the BGPPeer's name, ``remote`` its address or interface. ``notification`` is the
    last NOTIFICATION in words, and ``notification_sent`` who sent it; ``error`` the last error of
    TCP. ``counters``: opens_sent, opens_received, notifications_sent, notifications_received,
    updates_sent, updates_received, keepalives_sent, keepalives_received, route_refresh_sent,
    route_refresh_received, total_sent, total_received.
    """

    peer: str
    uid: str
    remote: str
    state: SessionState
    since: float
    port: int = 179
    vrf: str = ""
    trouble: SessionTrouble | None = None
    message: str = ""
    negotiated: Negotiated | None = None
    notification: str = ""
    notification_sent: bool = False
    error: str = ""
    prefixes_sent: int = 0
    prefixes_pending: int = 0
    prefixes_received: int = 0
    flaps: int = 0
    warnings: tuple[str, ...] = ()  # what does not end the session: too many prefixes, …
    counters: Mapping[str, int] = field(default_factory=dict)
    bfd: BFDFacts | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What an announcer saw: ``owned`` now, own ``claims`` that differ from the intents.

    ``sent``: prefix → the peers that it was sent to on a session that is established.
    ``unheard``: nodes that it should hear and does not.
    """

    owned: Mapping[IPAddress, Owned] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    findings: tuple[Finding, ...] = ()
    settled: bool = False
    doubts: tuple[Doubt, ...] = ()
    proved: Proved = Proved()
    sessions: tuple[SessionFacts, ...] = ()
    sent: Mapping[IPNetwork, frozenset[str]] = field(default_factory=dict)
    unheard: tuple[str, ...] = ()
