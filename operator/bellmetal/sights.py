"""What a speaker sees of its node, and looks that are asked of it. Frozen values, no reading."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bellmetal.addresses import IPAddress

MOST_LOOKS = 16  # that are asked at a time, and answers that are kept
MOST_UNHEARD = 100  # nodes that are named
SECONDS, MOST_SECONDS = 2, 5  # that a look takes at most: if nothing is said, and in any case


@dataclass(frozen=True, slots=True)
class NodeLink:
    """A network interface of the node.

    ``kind``: bridge, bond, vlan, veth, wireless, macvlan, ipvlan, tunnel, tap, vrf, dummy, ipvs,
    virtio; empty: any other, for example a network card. ``up``: with a carrier. ``rp_filter``: as
    it works, the greater of the interface's and ``all``; so is ``arp_ignore``, and ``arp_filter``
    is on if either is.
    """

    name: str
    kind: str = ""
    up: bool = False
    promiscuous: bool = False
    rp_filter: int = 0
    arp_ignore: int = 0
    arp_filter: bool = False


@dataclass(frozen=True, slots=True)
class KubeProxy:
    """kube-proxy, as it answers on the node. ``mode``: iptables, nftables, ipvs, or empty.

    ``healthy`` None: it does not answer; ``message`` says why, or what it says itself.
    """

    mode: str = ""
    healthy: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class NodeSights:
    """What a speaker sees of its node; nothing that changes by itself is in it.

    ``ipvs_addresses``: on kube-ipvs0; None: there is no such interface. ``unheard``: nodes that
    this speaker should hear, by beacon or gossip, and does not; MOST_UNHEARD at most.
    """

    kernel: str = ""
    links: tuple[NodeLink, ...] = ()
    kube_proxy: KubeProxy = KubeProxy()
    ipvs_addresses: int | None = None
    ip_forward: bool = False
    unheard: tuple[str, ...] = ()


class LookKind(enum.Enum):
    """What may be asked of a speaker."""

    CONNECT = "connect"  # TCP from this node to an address and port; nothing is sent
    RESOLVE = "resolve"  # ask the LAN for the address, as any host would: who answers?
    ROUTE = "route"  # which way the kernel would send to the address
    LISTEN = "listen"  # how many questions for the address reach this node, and are answered


class Outcome(enum.StrEnum):
    """What became of a look."""

    CONNECTED = "connected"
    REFUSED = "refused"  # by the other side: nobody listens there
    TIMEOUT = "timeout"
    ANSWERED = "answered"  # RESOLVE: by somebody; LISTEN: every question
    SILENT = "silent"  # RESOLVE: nobody answers; LISTEN: nobody asks
    UNANSWERED = "unanswered"  # LISTEN: questions came, and some or all of them got no answer
    NO_INTERFACE = "noInterface"  # this node has none in the address's subnet
    ROUTED = "routed"
    LOCAL = "local"  # the address is one of the node's own
    DROPPED = "dropped"  # the route says so: blackhole, prohibit or unreachable
    UNREACHABLE = "unreachable"  # no route, or nobody answers there for the address
    DENIED = "denied"  # the speaker does not do it
    FAILED = "failed"  # it could not; the message says why


@dataclass(frozen=True, slots=True)
class Look:
    """Something that a speaker is asked to look at, once. ``port``: of CONNECT."""

    id: str
    kind: LookKind
    address: IPAddress
    port: int = 0
    seconds: int = SECONDS


@dataclass(frozen=True, slots=True)
class Sight:
    """The answer to the look of this id; ``kind`` as it was asked, known or not.

    ``ok``: what one would wish to see was seen. ``macs``: who answered, one after the other;
    ``interface``: where, with commas if in several places; of a route: the one that it takes.
    ``at``: when, in RFC 3339.
    """

    id: str
    kind: str
    ok: bool
    outcome: str
    message: str
    macs: tuple[str, ...] = ()
    interface: str = ""
    at: str = ""


_WELL = frozenset([Outcome.CONNECTED, Outcome.ANSWERED, Outcome.ROUTED])


def seen(
    look: Look, outcome: Outcome, message: str, macs: tuple[str, ...] = (), interface: str = ""
) -> Sight:
    """The answer to a look; whether it is well follows from the outcome."""
    well = outcome in _WELL
    return Sight(look.id, look.kind.value, well, outcome.value, message, macs, interface)
