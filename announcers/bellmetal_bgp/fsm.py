"""The state machine of one BGP connection as a table: RFC 4271, section 8, and RFC 9687.

May live here: states, events, actions, what follows what. May not: what an action does
(`connection.py`), who is connected with whom (`session.py`).

The optional parts that are taken: AllowAutomaticStart, PassiveTcpEstablishment,
DampPeerOscillations (a START comes only after the IdleHoldTimer), SendNOTIFICATIONwithoutOPEN is
not. There is no DelayOpenTimer, but where the RFC goes on listening after a connection failed while
it ran, so do we: a peer that cannot be reached is Active, not Idle, between two attempts.
What a table's cell leaves out is in `REST`: the RFC's "any other event" of a state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bellmetal.facts import SessionState


class Event(enum.Enum):
    """RFC 4271, section 8.1, by number; two numbers where we make no difference."""

    START = "1, 3, 6: start"
    START_PASSIVE = "4, 5, 7: start, passively"
    STOP = "2, 8: stop"
    CONNECT_RETRY_EXPIRES = "9: ConnectRetryTimer_Expires"
    HOLD_EXPIRES = "10: HoldTimer_Expires"
    KEEPALIVE_EXPIRES = "11: KeepaliveTimer_Expires"
    CONNECTED = "16, 17: Tcp_CR_Acked, TcpConnectionConfirmed"
    TCP_FAILS = "18: TcpConnectionFails"
    OPEN = "19: BGPOpen"
    HEADER_ERROR = "21: BGPHeaderErr"
    OPEN_ERROR = "22: BGPOpenMsgErr"
    COLLISION = "23: OpenCollisionDump"
    NOTIFICATION = "24, 25: NotifMsgVerErr, NotifMsg"
    KEEPALIVE = "26: KeepAliveMsg"
    UPDATE = "27: UpdateMsg"
    UPDATE_ERROR = "28: UpdateMsgErr"
    SEND_HOLD_EXPIRES = "29: SendHoldTimer_Expires (RFC 9687)"
    ROUTE_REFRESH = "ROUTE-REFRESH (RFC 2918)"


class Action(enum.Enum):
    """What is done on the way into the next state, in order."""

    CONNECT = "initiate the TCP connection"
    RETRY = "start the ConnectRetryTimer"
    STOP_RETRY = "stop the ConnectRetryTimer"
    SEND_OPEN = "send an OPEN"
    WAIT_LONG = "start the HoldTimer with a large value"
    AGREE = "take the peer's OPEN: hold time, KeepaliveTimer"
    SEND_KEEPALIVE = "send a KEEPALIVE, start the KeepaliveTimer"
    HEARD = "restart the HoldTimer"
    UP = "the session is established"
    TAKE = "take the UPDATE"
    REFRESH = "send all routes again"
    NOTIFY = "send the NOTIFICATION of the cause"
    DISORDER = "send a NOTIFICATION: finite state machine error (RFC 6608)"
    CLOSE = "drop the TCP connection, stop all timers"
    FAILED = "count it: the next start waits longer"


@dataclass(frozen=True, slots=True)
class Transition:
    """Into which state, and what is done."""

    state: SessionState
    actions: tuple[Action, ...] = ()


IDLE, CONNECT, ACTIVE, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED = SessionState
A, E = Action, Event
Row: TypeAlias = Mapping[Event, Transition]

_END = Transition(IDLE, (A.STOP_RETRY, A.CLOSE))
_SAY = Transition(IDLE, (A.NOTIFY, A.CLOSE))
_FAIL = Transition(IDLE, (A.STOP_RETRY, A.CLOSE, A.FAILED))
_ERROR = Transition(IDLE, (A.NOTIFY, A.CLOSE, A.FAILED))
_DISORDER = Transition(IDLE, (A.DISORDER, A.CLOSE, A.FAILED))
_OPENED = Transition(OPEN_SENT, (A.STOP_RETRY, A.SEND_OPEN, A.WAIT_LONG))
_AGAIN = Transition(CONNECT, (A.CLOSE, A.RETRY, A.CONNECT))


def _stay(state: SessionState, *actions: Action) -> Transition:
    return Transition(state, actions)


TABLE: Mapping[SessionState, Row] = {
    IDLE: {
        E.START: Transition(CONNECT, (A.RETRY, A.CONNECT)),
        E.START_PASSIVE: Transition(ACTIVE),
    },
    CONNECT: {
        E.START: _stay(CONNECT),
        E.START_PASSIVE: _stay(CONNECT),
        E.STOP: _END,
        E.CONNECT_RETRY_EXPIRES: _AGAIN,
        E.CONNECTED: _OPENED,
        E.TCP_FAILS: Transition(ACTIVE, (A.CLOSE, A.FAILED, A.RETRY)),
    },
    ACTIVE: {
        E.START: _stay(ACTIVE),
        E.START_PASSIVE: _stay(ACTIVE),
        E.STOP: _END,
        E.CONNECT_RETRY_EXPIRES: _AGAIN,
        E.CONNECTED: _OPENED,
    },
    OPEN_SENT: {
        E.START: _stay(OPEN_SENT),
        E.START_PASSIVE: _stay(OPEN_SENT),
        E.STOP: _SAY,
        E.HOLD_EXPIRES: _ERROR,
        E.TCP_FAILS: Transition(ACTIVE, (A.CLOSE, A.FAILED, A.RETRY)),
        E.OPEN: Transition(OPEN_CONFIRM, (A.AGREE, A.SEND_KEEPALIVE)),
        E.HEADER_ERROR: _ERROR,
        E.OPEN_ERROR: _ERROR,
        E.COLLISION: _SAY,
        E.NOTIFICATION: _FAIL,
        E.SEND_HOLD_EXPIRES: _ERROR,
    },
    OPEN_CONFIRM: {
        E.START: _stay(OPEN_CONFIRM),
        E.START_PASSIVE: _stay(OPEN_CONFIRM),
        E.STOP: _SAY,
        E.HOLD_EXPIRES: _ERROR,
        E.KEEPALIVE_EXPIRES: _stay(OPEN_CONFIRM, A.SEND_KEEPALIVE),
        E.TCP_FAILS: _FAIL,
        E.HEADER_ERROR: _ERROR,
        E.OPEN_ERROR: _ERROR,
        E.COLLISION: _SAY,
        E.NOTIFICATION: _FAIL,
        E.KEEPALIVE: Transition(ESTABLISHED, (A.HEARD, A.UP)),
        E.SEND_HOLD_EXPIRES: _ERROR,
    },
    ESTABLISHED: {
        E.START: _stay(ESTABLISHED),
        E.START_PASSIVE: _stay(ESTABLISHED),
        E.STOP: _SAY,
        E.HOLD_EXPIRES: _ERROR,
        E.KEEPALIVE_EXPIRES: _stay(ESTABLISHED, A.SEND_KEEPALIVE),
        E.TCP_FAILS: _FAIL,
        E.HEADER_ERROR: _ERROR,
        E.COLLISION: _SAY,
        E.NOTIFICATION: _FAIL,
        E.KEEPALIVE: _stay(ESTABLISHED, A.HEARD),
        E.UPDATE: _stay(ESTABLISHED, A.HEARD, A.TAKE),
        E.UPDATE_ERROR: _ERROR,
        E.SEND_HOLD_EXPIRES: _ERROR,
        E.ROUTE_REFRESH: _stay(ESTABLISHED, A.HEARD, A.REFRESH),
    },
}

REST: Mapping[SessionState, Transition] = {
    IDLE: _stay(IDLE),  # section 8.2.2: an Idle machine refuses and ignores
    CONNECT: _FAIL,
    ACTIVE: _FAIL,
    OPEN_SENT: _DISORDER,
    OPEN_CONFIRM: _DISORDER,
    ESTABLISHED: _DISORDER,
}


def follow(state: SessionState, event: Event) -> Transition:
    """What follows an event in a state; every pair has an answer."""
    return TABLE[state].get(event, REST[state])
