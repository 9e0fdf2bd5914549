"""What both OPEN messages come to: ours out of the plan, theirs judged, and both agreed.

May live here: pure functions of plan and OPEN. May not: timers, connections.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from bellmetal.addresses import Family as Version
from bellmetal.facts import Negotiated
from bellmetal.intents import PeerPlan
from bellmetal_bgp.capabilities import RECEIVE, SEND, Capabilities, GracefulRestart
from bellmetal_bgp.decoding import Decoding
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import Open
from bellmetal_bgp.notifications import Code, Notification, OpenError

HOLD_TIME = 90  # seconds, RFC 4271, section 10
RESTART_TIME = 120  # seconds that a peer keeps our routes while we restart
CROSSING = IPV4_UNICAST, IPV6_UNICAST.afi  # IPv4 prefixes with IPv6 next hops, RFC 8950


@dataclass(frozen=True, slots=True)
class Agreement:
    """What holds on a session. Times are in seconds; ``hold_time`` 0: no timers (RFC 4271, 4.2).

    ``keeps_routes``: the peer keeps ours while we restart (RFC 4724); ``soft``: and after a
    NOTIFICATION that is no hard reset (RFC 8538).
    """

    ibgp: bool
    asn4: bool
    local_asn: int
    peer_asn: int
    hold_time: int
    keepalive_time: float
    families: tuple[Family, ...]
    add_path: frozenset[Family] = frozenset()  # several paths of a prefix are sent, RFC 7911
    ipv6_next_hop: bool = False  # for IPv4 prefixes, RFC 8950
    extended: bool = False  # messages of more than 4,096 octets, RFC 8654
    enhanced_refresh: bool = False  # RFC 7313
    keeps_routes: bool = False
    soft: bool = False

    def decoding(self) -> Decoding:
        """How the peer's messages are to be read."""
        return Decoding(self.asn4, self.extended, self.ibgp, frozenset(self.families))


def local_asn(plan: PeerPlan) -> int:
    """The AS number that we show to this peer."""
    return plan.local_asn or plan.my_asn


def families(plan: PeerPlan) -> tuple[Family, ...]:
    """The families that its sessions carry, IPv4 first."""
    both = (Version.IPV4, IPV4_UNICAST), (Version.IPV6, IPV6_UNICAST)
    return tuple(family for version, family in both if version in plan.families)


def our_open(plan: PeerPlan, router_id: ipaddress.IPv4Address, restarting: bool) -> Open:
    """The OPEN that we send. ``restarting``: this process has not been running for long."""
    mine = families(plan)
    restart = None
    if plan.graceful_restart:
        # Forwarding is kube-proxy's: it goes on while the speaker restarts.
        kept = dict.fromkeys(mine, True)
        restart = GracefulRestart(restarting, True, RESTART_TIME, kept)
    both = IPV4_UNICAST in mine and IPV6_UNICAST in mine
    told = Capabilities(
        families=frozenset(mine),
        route_refresh=True,
        enhanced_refresh=True,
        asn4=local_asn(plan),
        extended_messages=True,
        graceful_restart=restart,
        extended_next_hop=frozenset({CROSSING}) if both else frozenset(),
        add_path=dict.fromkeys(mine, SEND) if plan.add_path else {},
    )
    hold = HOLD_TIME if plan.hold_time is None else plan.hold_time
    return Open(local_asn(plan), hold, router_id, told)


def objection(plan: PeerPlan, ours: Open, theirs: Open) -> tuple[Notification, str] | None:
    """What the peer's OPEN is refused with, and why in words; None: nothing is wrong with it.

    RFC 4271, section 6.2, RFC 6286, section 2.2, RFC 5492, section 5.
    """
    said = theirs.asn
    wanted, mine = plan.peer_asn, local_asn(plan)
    wrong = ""
    if wanted and said != wanted:
        wrong = f"the peer is in AS {said}, spec.peerASN is {wanted}"
    elif plan.dynamic_asn == "internal" and said != mine:
        wrong = f"the peer is in AS {said}, dynamicASN internal wants {mine}"
    elif plan.dynamic_asn == "external" and said == mine:
        wrong = f"the peer is in our AS {said}, dynamicASN external wants another one"
    if wrong:
        return Notification(Code.OPEN, OpenError.BAD_PEER_AS, _asn(said)), wrong
    if said == mine and theirs.router_id == ours.router_id:
        text = f"the peer has our router ID {theirs.router_id}"
        return Notification(Code.OPEN, OpenError.BAD_BGP_IDENTIFIER), text
    if mine > 0xFFFF and theirs.capabilities.asn4 is None:
        text = f"the peer cannot understand our AS number {mine}, which has four octets"
        data = Capabilities(asn4=mine).encode()
        return Notification(Code.OPEN, OpenError.UNSUPPORTED_CAPABILITY, data), text
    if not _common(ours, theirs):
        text = f"the peer does not take {', '.join(map(str, families(plan)))}"
        data = Capabilities(families=ours.capabilities.families).encode()
        return Notification(Code.OPEN, OpenError.UNSUPPORTED_CAPABILITY, data), text
    return None


def peers_call_stays(ours: Open, theirs: Open) -> bool:
    """Of two connections, whether the one stays that the peer has opened: who has the higher BGP
    Identifier keeps his own (RFC 4271, section 6.8); of equal ones, who has the higher AS number
    (RFC 6286, section 2.3)."""
    return (int(ours.router_id), ours.asn) < (int(theirs.router_id), theirs.asn)


def agree(plan: PeerPlan, ours: Open, theirs: Open) -> Agreement:
    """What holds from now on; the peer's OPEN has been found right."""
    hold = min(ours.hold_time, theirs.hold_time)
    common = _common(ours, theirs)
    mine, their = ours.capabilities, theirs.capabilities
    restart = their.graceful_restart if plan.graceful_restart else None
    kept = restart.families if restart else {}
    return Agreement(
        ibgp=ours.asn == theirs.asn,
        asn4=their.asn4 is not None,
        local_asn=ours.asn,
        peer_asn=theirs.asn,
        hold_time=hold,
        keepalive_time=keepalive_time(plan, hold),
        families=common,
        add_path=frozenset(f for f in common if mine.add_path and _takes_paths(their, f)),
        ipv6_next_hop=CROSSING in mine.extended_next_hop and CROSSING in their.extended_next_hop,
        extended=their.extended_messages,
        enhanced_refresh=their.enhanced_refresh,
        # A helper need not name families: it says that it is one by the capability alone.
        keeps_routes=restart is not None and (not kept or any(f in kept for f in common)),
        soft=restart is not None and restart.notification,
    )


def _takes_paths(their: Capabilities, family: Family) -> bool:
    return bool(their.add_path.get(family, 0) & RECEIVE)


def keepalive_time(plan: PeerPlan, hold_time: int) -> float:
    """Seconds between two KEEPALIVEs: a third of the hold time, or less if it is asked for."""
    third = hold_time / 3
    wanted = plan.keepalive_time
    return third if wanted is None or not hold_time else min(third, max(1.0, wanted))


def in_words(agreement: Agreement, ours: Open, theirs: Open, places: tuple[str, str]) -> Negotiated:
    """What people are told of it; ``places``: our address and the peer's."""
    theirs_too = set(theirs.capabilities.words())
    return Negotiated(
        hold_time=agreement.hold_time,
        keepalive_time=round(agreement.keepalive_time, 3),
        local_asn=agreement.local_asn,
        peer_asn=agreement.peer_asn,
        local_address=places[0],
        peer_address=places[1],
        local_router_id=str(ours.router_id),
        peer_router_id=str(theirs.router_id),
        capabilities=tuple(_shared(ours, theirs_too)),
    )


def _shared(ours: Open, theirs: set[str]) -> list[str]:
    """Words of ours that are the peer's too; what has a number or a direction counts as alike."""
    known = {word.partition(" (")[0].rstrip("0123456789 s") for word in theirs}
    return [
        word
        for word in ours.capabilities.words()
        if word.partition(" (")[0].rstrip("0123456789 s") in known
    ]


def _common(ours: Open, theirs: Open) -> tuple[Family, ...]:
    """The families of both; a peer that names none speaks IPv4 unicast (RFC 4760, section 8)."""
    their = theirs.capabilities.families or {IPV4_UNICAST}
    return tuple(f for f in (IPV4_UNICAST, IPV6_UNICAST) if f in ours.capabilities.families & their)


def _asn(number: int) -> bytes:
    """The AS number in a NOTIFICATION's data, RFC 6793 leaves its width open: four octets."""
    return number.to_bytes(4, "big")
