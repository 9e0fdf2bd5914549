"""Why a BFD session is not up, in a sentence. Pure; what was seen comes in as values.

Imported by the small process that keeps time, so it imports next to nothing.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from bellmetal_bgp.bfd.packets import Diagnostic, State, Wrong, in_words
from bellmetal_bgp.bfd.session import Session
from bellmetal_bgp.bfd.wishes import Reach

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.ENETDOWN)


class Evidence(NamedTuple):
    """What was seen beside the session itself; errnos are 0 where there is no error.

    ``wrong``: why the last packet of the peer was discarded, if none was believed since; with
    ``detail`` of it. ``least_ttl``: what packets must come with at least. ``unanswered``: many Echo
    packets were sent and none has returned.
    """

    listening: int = 0
    opening: int = 0
    sending: int = 0
    wrong: Wrong | None = None
    detail: str = ""
    least_ttl: int = 255
    echoing: int = 0
    unanswered: bool = False


def explain(reach: Reach, port: int, session: Session, seen: Evidence) -> str:
    """One sentence; empty when the session is up and nothing is to be said of its echo."""
    if session.state is State.UP:
        return _no_echo(reach, session, seen) if session.timers.echo_us else ""
    if seen.listening:
        return _not_listening(reach, port, seen.listening)
    if seen.opening:
        return _not_sending(reach, seen.opening)
    if session.state is State.ADMIN_DOWN:
        return "administratively down here"
    if session.heard and session.remote_state is State.ADMIN_DOWN:
        return f"{reach.remote} has it administratively down"
    if seen.wrong is not None:
        return _discarded(reach, seen)
    if session.heard_at is None:
        return _never_heard(reach, port, session, seen)
    if not session.heard:
        refused = ", and refuses packets now" if seen.sending == errno.ECONNREFUSED else ""
        return f"{reach.remote} fell silent: no packet within the Detection Time{refused}"
    if session.diagnostic is Diagnostic.NEIGHBOR_SIGNALED_DOWN:
        said = in_words(session.remote_diagnostic)
        return f"{reach.remote} says that it is down: {said}"
    return f"{reach.remote} is heard; the session is coming up"


def _no_echo(reach: Reach, session: Session, seen: Evidence) -> str:
    if not session.reflected:
        why = f"{reach.remote} loops no packets back, by its own word"
    elif seen.echoing:
        why = f"packets cannot be sent or received: {os.strerror(seen.echoing)}"
    elif seen.unanswered:
        why = f"{reach.remote} says that it loops packets back, but none returns"
    else:
        return ""
    return f"echo mode: {why}; the session goes on without"


def _never_heard(reach: Reach, port: int, session: Session, seen: Evidence) -> str:
    if seen.sending == errno.ECONNREFUSED:
        return f"{reach.remote} refuses packets to UDP port {port}: no BFD runs there"
    if seen.sending:
        return _not_sending(reach, seen.sending)
    if session.timers.passive:
        return f"waiting for {reach.remote}, as passive mode says; no packet has come yet"
    return f"{reach.remote} has never answered on UDP port {port}"


def _discarded(reach: Reach, seen: Evidence) -> str:
    if seen.wrong is Wrong.TTL:
        away = "hops away than allowed" if reach.multi_hop else "than one hop away"
        need = f"{seen.detail}, at least {seen.least_ttl} is needed"
        return f"packets of {reach.remote} are discarded: {need}: it is more {away}"
    return f"packets of {reach.remote} are discarded: {seen.detail}"


def _not_listening(reach: Reach, port: int, error: int) -> str:
    if error == errno.EADDRINUSE:
        return f"UDP port {port} is taken: another program on this node speaks BFD"
    if error == errno.ENODEV:
        return f"VRF {reach.vrf} is not there"
    return f"UDP port {port} cannot be listened on: {os.strerror(error)}"


def _not_sending(reach: Reach, error: int) -> str:
    if error == errno.ENODEV:
        missing = f"interface {reach.interface}" if reach.interface else f"VRF {reach.vrf}"
        return f"{missing} is not there"
    if error == errno.EADDRNOTAVAIL and reach.local:
        return f"this node has no address {reach.local}"
    if error in _NO_ROUTE:
        return f"there is no way to {reach.remote}: {os.strerror(error)}"
    return f"no packet can be sent to {reach.remote}: {os.strerror(error)}"
