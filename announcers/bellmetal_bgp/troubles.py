"""What a NOTIFICATION or a silence means for a person: which of `facts.SessionTrouble` it is."""

from __future__ import annotations

from collections.abc import Mapping

from bellmetal.facts import SessionState, SessionTrouble
from bellmetal_bgp.connection import WAIT_FOR_OPEN
from bellmetal_bgp.effects import Failure
from bellmetal_bgp.notifications import Cease, Code, Notification, OpenError

_SAME: Mapping[tuple[int, int], SessionTrouble] = {  # whoever sent it
    (Code.OPEN, OpenError.BAD_PEER_AS): SessionTrouble.WRONG_ASN,
    (Code.OPEN, OpenError.BAD_BGP_IDENTIFIER): SessionTrouble.WRONG_ROUTER_ID,
    (Code.OPEN, OpenError.AUTHENTICATION_FAILURE): SessionTrouble.WRONG_PASSWORD,
    (Code.CEASE, Cease.BFD_DOWN): SessionTrouble.BFD_DOWN,
}
_HEARD: Mapping[tuple[int, int], SessionTrouble] = {
    (Code.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN): SessionTrouble.SHUTDOWN_BY_PEER,
    (Code.CEASE, Cease.ADMINISTRATIVE_RESET): SessionTrouble.SHUTDOWN_BY_PEER,
    (Code.CEASE, Cease.PEER_DECONFIGURED): SessionTrouble.SHUTDOWN_BY_PEER,
}


def trouble_of(notification: Notification, sent: bool) -> SessionTrouble:
    """What it means, if we have ``sent`` it, or else heard it."""
    if notification.code == Code.HOLD_TIMER_EXPIRED:
        return SessionTrouble.HOLD_TIMER
    both = notification.code, notification.subcode
    if both == (Code.CEASE, Cease.HARD_RESET) and len(notification.data) > 1:  # RFC 8538
        inner = Notification(notification.data[0], notification.data[1], notification.data[2:])
        return trouble_of(inner, sent)
    if found := _SAME.get(both):
        return found
    if sent:
        return SessionTrouble.PROTOCOL_ERROR
    return _HEARD.get(both, SessionTrouble.REJECTED)


NO_OPEN = (
    f"the peer takes the TCP connection, and sent no OPEN in {WAIT_FOR_OPEN:.0f} s: it may know"
    " nothing of this node, or drop what does not have the TTL or password that it wants"
)
SILENT = (
    "hold timer expired: the peer fell silent as soon as OPEN messages were exchanged: it, or"
    " something on the way, may drop what does not have the TTL that it wants (annotation"
    " bellmetal.io/ttl-security), or packets that are too large"
)


NOT_FAR = (
    "the peer takes the TCP connection, and nothing that it sends arrives: this BGPPeer has"
    " bellmetal.io/ttl-security, so the router must send with TTL 255 (ttl-security hops)"
)


def silence_of(was: SessionState, at_once: bool, hops: int = 0) -> Failure | None:
    """What an expired hold timer says of a peer that fell silent ``at_once``: it does not hear us,
    or we do not hear it. None: it has spoken for a while. ``hops``: away at most; 0: any."""
    if was is SessionState.OPEN_SENT and hops:
        return Failure(SessionTrouble.WRONG_TTL, NOT_FAR)
    if was is SessionState.OPEN_SENT:
        return Failure(SessionTrouble.NO_ANSWER, NO_OPEN)
    if was is SessionState.OPEN_CONFIRM or at_once:
        return Failure(SessionTrouble.HOLD_TIMER, SILENT)
    return None
