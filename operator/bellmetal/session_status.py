"""BGP sessions as BGPSessionStatus says them: both ways between facts and JSON structs.

May live here: what is said, and what is left out as it always moves. May not: writing.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from typing import TypeVar

from bellmetal.addresses import printable
from bellmetal.facts import (
    BFDFacts,
    BFDState,
    Negotiated,
    SessionFacts,
    SessionState,
    SessionTrouble,
)
from bellmetal.resources import (
    BGPSessionStatusStatus,
    SessionBFD,
    SessionNegotiated,
    SessionNotification,
    SessionPrefixes,
)

LONGEST = 4096  # characters of a sentence, as the CRD has it
MOST = 32  # warnings, and capabilities

Clock = Callable[[float], str]
E = TypeVar("E", bound=enum.Enum)


def session_name(node: str, facts: SessionFacts) -> str:
    """The object's name: always the same for a node, a peer and its VRF."""
    digest = hashlib.blake2b(f"{node}/{facts.peer}/{facts.vrf}".encode(), digest_size=4).hexdigest()
    return f"{_label(node)}-{_label(facts.peer)}-{digest}"


def _label(text: str) -> str:
    return text[:100].rstrip("-.")


def status_of(node: str, facts: SessionFacts, wall: Clock) -> BGPSessionStatusStatus:
    """The status of a session's object; ``wall`` turns a time of the facts into RFC 3339."""
    return BGPSessionStatusStatus(
        node=node,
        peer=facts.peer,
        remote=_said(facts.remote),
        port=facts.port,
        vrf=facts.vrf,
        state=facts.state.value,
        since=wall(facts.since),
        reason=facts.trouble.value if facts.trouble else "",
        message=_said(facts.message),
        negotiated=_negotiated(facts.negotiated),
        last_notification=_notification(facts),
        last_error=_said(facts.error),
        prefixes=SessionPrefixes(
            facts.prefixes_sent, facts.prefixes_pending, facts.prefixes_received
        ),
        flaps=facts.flaps,
        warnings=[_said(text) for text in facts.warnings[:MOST]],
        bfd=_bfd(facts.bfd, wall),
    )


def _said(text: str) -> str:
    """What a router says may have anything in it, and be long."""
    return printable(text)[:LONGEST]


def _negotiated(found: Negotiated | None) -> SessionNegotiated | None:
    if found is None:
        return None
    return SessionNegotiated(
        found.hold_time,
        round(found.keepalive_time, 3),
        found.local_asn,
        found.peer_asn,
        found.local_address,
        found.peer_address,
        found.local_router_id,
        found.peer_router_id,
        [_said(text) for text in found.capabilities[:MOST]],
    )


def _notification(facts: SessionFacts) -> SessionNotification | None:
    if not facts.notification:
        return None
    direction = "sent" if facts.notification_sent else "received"
    return SessionNotification(direction, _said(facts.notification))


def _bfd(found: BFDFacts | None, wall: Clock) -> SessionBFD | None:
    if found is None:
        return None
    return SessionBFD(
        found.state.value,
        wall(found.since),
        found.diagnostic,
        found.remote_diagnostic,
        found.transmit_us,
        found.detect_us,
        found.multiplier,
        found.multi_hop,
        _said(found.message or _switched_off(found)),
    )


def _switched_off(found: BFDFacts) -> str:
    """What is no failure (RFC 5882, section 3.2) must not look like one."""
    off = found.remote_state is BFDState.ADMIN_DOWN and found.state is not BFDState.UP
    return "the router has switched BFD off" if off else ""


# --- and back ------------------------------------------------------------------------------------


def facts_of(status: BGPSessionStatusStatus) -> SessionFacts:
    """The facts that a status was made of, as far as it says them; times are 0.

    What another release has written and this one does not know counts as not said.
    """
    prefixes, said = status.prefixes or SessionPrefixes(), status.last_notification
    return SessionFacts(
        peer=status.peer,
        uid="",
        remote=status.remote,
        state=_member(SessionState, status.state) or SessionState.IDLE,
        since=0.0,
        port=status.port,
        vrf=status.vrf,
        trouble=_member(SessionTrouble, status.reason),
        message=status.message,
        negotiated=_negotiated_back(status.negotiated),
        notification=said.message if said else "",
        notification_sent=said is not None and said.direction == "sent",
        error=status.last_error,
        prefixes_sent=prefixes.sent,
        prefixes_pending=prefixes.pending,
        prefixes_received=prefixes.received,
        flaps=status.flaps,
        warnings=tuple(status.warnings),
        bfd=_bfd_back(status.bfd),
    )


def _negotiated_back(found: SessionNegotiated | None) -> Negotiated | None:
    if found is None:
        return None
    return Negotiated(
        found.hold_time,
        found.keepalive_time,
        found.local_asn,
        found.peer_asn,
        found.local_address,
        found.peer_address,
        found.local_router_id,
        found.peer_router_id,
        tuple(found.capabilities),
    )


def _bfd_back(found: SessionBFD | None) -> BFDFacts | None:
    if found is None:
        return None
    return BFDFacts(
        _member(BFDState, found.state) or BFDState.DOWN,
        0.0,
        found.diagnostic,
        found.remote_diagnostic,
        found.transmit,
        found.detect,
        found.multiplier,
        found.multi_hop,
        found.message,
    )


def _member(kind: type[E], value: str) -> E | None:
    return next((item for item in kind if item.value == value), None)
