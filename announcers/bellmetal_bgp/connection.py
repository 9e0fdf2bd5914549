"""One connection with a peer, or the attempt at one: the table of `fsm.py` carried out.

May live here: timers, the stream of messages, what an action does. May not: which of two
connections stays, when it is tried again (`session.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from bellmetal.facts import Negotiated, SessionState
from bellmetal_bgp import messages
from bellmetal_bgp.agreement import Agreement, in_words
from bellmetal_bgp.decoding import Decoding
from bellmetal_bgp.effects import Close, Connect, Effect, Place, Send
from bellmetal_bgp.families import Family
from bellmetal_bgp.framing import Stream
from bellmetal_bgp.fsm import Action, Event, follow
from bellmetal_bgp.messages import Keepalive, Open, RouteRefresh
from bellmetal_bgp.notifications import Code, DecodeError, FsmError, Notification
from bellmetal_bgp.update import Update

WAIT_FOR_OPEN = 20.0  # seconds; RFC 4271, section 8.2.2, wants "a large value", people an answer
SEND_HOLD = 480.0  # seconds, RFC 9687, section 4: at least eight minutes
CONNECT_TIMEOUT = 10.0  # seconds; whoever connects gives up before, and says why
LATE = 1.0  # seconds by which a timer may be late before it is this process that stood still


@dataclass(frozen=True, slots=True)
class Established:
    """It is up."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It is Idle, or Active after a failed attempt. ``sent`` and ``heard``: what ended it."""

    failed: bool
    was: SessionState
    sent: Notification | None = None
    heard: Notification | None = None


@dataclass(frozen=True, slots=True)
class Took:
    """An UPDATE of the peer's."""

    update: Update


@dataclass(frozen=True, slots=True)
class Asked:
    """The peer wants all routes of a family again."""

    family: Family


Note: TypeAlias = Established | Ended | Took | Asked
Out: TypeAlias = Effect | Note
Verdict: TypeAlias = tuple[Event, Notification | None]

_REACTIONS = {
    Code.HEADER: Event.HEADER_ERROR,
    Code.OPEN: Event.OPEN_ERROR,
    Code.UPDATE: Event.UPDATE_ERROR,
    Code.ROUTE_REFRESH: Event.UPDATE_ERROR,
}
_DISORDER = {
    SessionState.OPEN_SENT: FsmError.IN_OPEN_SENT,
    SessionState.OPEN_CONFIRM: FsmError.IN_OPEN_CONFIRM,
    SessionState.ESTABLISHED: FsmError.IN_ESTABLISHED,
}


class Connection:
    """A machine of RFC 4271. ``number`` names its TCP connection; ``counters`` are the session's.

    ``judge`` says of the peer's OPEN: OPEN, with ``agreement`` set, or OPEN_ERROR or COLLISION.
    """

    def __init__(
        self,
        number: int,
        judge: Callable[[Connection, Open], Verdict],
        dice: random.Random,
        counters: dict[str, int],
    ) -> None:
        self.number, self.incoming = number, False
        self._judge = judge
        self.state = SessionState.IDLE
        self.place: Place | None = None
        self.ours: Open | None = None
        self.theirs: Open | None = None
        self.agreement: Agreement | None = None
        self._dice, self._counters = dice, counters
        self._stream = Stream()
        self._decoding = Decoding()
        self.retry_after = 0.0  # seconds; what the ConnectRetryTimer is set to between attempts
        self._retry_at: float | None = None
        self._hold_at: float | None = None
        self._keepalive_at: float | None = None
        self._send_hold_at: float | None = None

    # --- what comes in ---------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Iterator[Out]:
        """Bytes of the peer's; a message is read when what the one before it does has been taken.

        So whoever takes it finds the connection as that message left it.
        """
        if self.place is None:
            return  # it has ended
        self._stream.feed(data)
        try:
            for raw in self._stream.messages():
                yield from self._message(messages.decode(raw, self._decoding), now)
                if self.state is SessionState.IDLE:
                    return
        except DecodeError as error:
            code = Code(error.notification.code)
            event = _REACTIONS.get(code, Event.HEADER_ERROR)
            yield from self.event(event, now, error.notification)

    def _message(self, message: messages.Message, now: float) -> list[Out]:
        self._counters["total_received"] += 1
        match message:
            case Open():
                self._counters["opens_received"] += 1
                if self.state is not SessionState.OPEN_SENT:
                    return self.event(Event.OPEN, now)
                self.theirs = message
                event, said = self._judge(self, message)
                return self.event(event, now, said)
            case Keepalive():
                self._counters["keepalives_received"] += 1
                return self.event(Event.KEEPALIVE, now)
            case Update():
                self._counters["updates_received"] += 1
                return self.event(Event.UPDATE, now, update=message)
            case RouteRefresh():
                self._counters["route_refresh_received"] += 1
                return self.event(Event.ROUTE_REFRESH, now, refresh=message)
            case Notification():
                self._counters["notifications_received"] += 1
                return self.event(Event.NOTIFICATION, now, heard=message)

    def negotiated(self) -> Negotiated | None:
        """What both OPEN messages come to, for people."""
        if not (self.agreement and self.ours and self.theirs and self.place):
            return None
        places = self.place.local, self.place.remote
        return in_words(self.agreement, self.ours, self.theirs, places)

    def blocked(self, now: float) -> None:
        """The peer does not read: what we send piles up (RFC 9687)."""
        if self.place is None:
            return
        hold = self.agreement.hold_time if self.agreement else 0
        self._send_hold_at = now + max(SEND_HOLD, 2.0 * hold)

    def unblocked(self) -> None:
        """It reads again."""
        self._send_hold_at = None

    # --- time ------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """The first of its timers."""
        timers = self._retry_at, self._hold_at, self._keepalive_at, self._send_hold_at
        return min((timer for timer in timers if timer is not None), default=None)

    def tick(self, now: float) -> list[Out]:
        """What is due."""
        if self._hold_at is not None and now >= self._hold_at:
            if now - self._hold_at > LATE:  # the process stood still: what came meanwhile is read
                self._hold_at = now + LATE
            else:
                return self.event(Event.HOLD_EXPIRES, now, Notification(Code.HOLD_TIMER_EXPIRED))
        if self._send_hold_at is not None and now >= self._send_hold_at:
            said = Notification(Code.SEND_HOLD_TIMER_EXPIRED)
            return self.event(Event.SEND_HOLD_EXPIRES, now, said)
        if self._keepalive_at is not None and now >= self._keepalive_at:
            return self.event(Event.KEEPALIVE_EXPIRES, now)
        if self._retry_at is not None and now >= self._retry_at:
            return self.event(Event.CONNECT_RETRY_EXPIRES, now)
        return []

    # --- the table -------------------------------------------------------------------------------

    def event(
        self,
        event: Event,
        now: float,
        said: Notification | None = None,
        *,
        heard: Notification | None = None,
        update: Update | None = None,
        refresh: RouteRefresh | None = None,
    ) -> list[Out]:
        """Follows the table. ``said``: the NOTIFICATION to send, where the table sends one."""
        was, transition = self.state, follow(self.state, event)
        self.state = transition.state
        out: list[Out] = []
        for action in transition.actions:
            match action:
                case Action.CONNECT:
                    self.incoming = False
                    self._retry_at = now + CONNECT_TIMEOUT
                    out.append(Connect(self.number))
                case Action.RETRY:
                    self._retry_at = now + self.retry_after * self._jitter()
                case Action.STOP_RETRY:
                    self._retry_at = None
                case Action.SEND_OPEN:
                    assert self.ours is not None
                    out += self._send("opens_sent", self.ours)
                case Action.WAIT_LONG:
                    self._hold_at = now + WAIT_FOR_OPEN
                case Action.AGREE:
                    self._agree(now)
                case Action.SEND_KEEPALIVE:
                    out += self._send("keepalives_sent", Keepalive())
                    self._restart_keepalive(now)
                case Action.HEARD:
                    self._restart_hold(now)
                case Action.UP:
                    out.append(Established())
                case Action.TAKE:
                    assert update is not None
                    out.append(Took(update))
                case Action.REFRESH:
                    assert refresh is not None
                    if refresh.subtype == messages.Refresh.REQUEST:
                        out.append(Asked(refresh.family))
                case Action.DISORDER:
                    said = Notification(Code.FSM, _DISORDER[was])
                    out += self._send("notifications_sent", said)
                case Action.NOTIFY:
                    if said is not None:
                        out += self._send("notifications_sent", said)
                case Action.CLOSE:
                    out += self._close()
                case Action.FAILED:
                    pass  # the session counts
        if Action.CLOSE in transition.actions and Action.CONNECT not in transition.actions:
            told = said if {Action.NOTIFY, Action.DISORDER} & set(transition.actions) else None
            out.append(Ended(Action.FAILED in transition.actions, was, told, heard))
        return out

    def _send(self, counter: str, message: Open | Keepalive | Notification) -> list[Out]:
        self._counters[counter] += 1
        self._counters["total_sent"] += 1
        return [Send(self.number, messages.encode(message))]

    def _agree(self, now: float) -> None:
        assert self.agreement is not None
        self._decoding = self.agreement.decoding()
        self._stream.extended = self._decoding.extended
        self._restart_hold(now)

    def _restart_hold(self, now: float) -> None:
        hold = self.agreement.hold_time if self.agreement else 0
        self._hold_at = now + hold if hold else None

    def _restart_keepalive(self, now: float) -> None:
        every = self.agreement.keepalive_time if self.agreement else 0.0
        self._keepalive_at = now + every * self._jitter() if every else None

    def set_keepalive(self, every: float, now: float) -> bool:
        """Another KeepaliveTime holds from now on, in seconds; whether it is another one."""
        if self.agreement is None or self.agreement.keepalive_time == every:
            return False
        self.agreement = replace(self.agreement, keepalive_time=every)
        if self._keepalive_at is not None:
            self._restart_keepalive(now)
        return True

    def _close(self) -> list[Out]:
        self._retry_at = self._hold_at = self._keepalive_at = self._send_hold_at = None
        self._stream, self._decoding = Stream(), Decoding()
        self.theirs = self.agreement = self.place = None
        return [Close(self.number)]

    def _jitter(self) -> float:
        """RFC 4271, section 10."""
        return 0.75 + 0.25 * self._dice.random()
