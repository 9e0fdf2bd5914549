"""The session with one peer: at most two connections, and what the peer is told on the one.

May live here: collisions, back-off. May not: sockets, who the peer is found to be (`peering.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from bellmetal.facts import SessionFacts, SessionState, SessionTrouble
from bellmetal.intents import PeerPlan
from bellmetal_bgp.agreement import (
    agree,
    keepalive_time,
    objection,
    our_open,
    peers_call_stays,
)
from bellmetal_bgp.codes import MessageType
from bellmetal_bgp.connection import (
    Asked,
    Connection,
    Ended,
    Established,
    Note,
    Out,
    Took,
    Verdict,
)
from bellmetal_bgp.effects import Changed, Close, Effect, Failure, Place, Send
from bellmetal_bgp.framing import TYPE_AT
from bellmetal_bgp.fsm import Event
from bellmetal_bgp.history import COUNTERS, History
from bellmetal_bgp.messages import Open
from bellmetal_bgp.notifications import Cease, Code, Notification, hard
from bellmetal_bgp.outbound import Outbound, Tables
from bellmetal_bgp.troubles import silence_of, trouble_of

LONGEST_WAIT = 10.0  # seconds between two attempts, without connectTime
RESTARTING = 120.0  # seconds after the start in which OPENs say that we restarted (RFC 4724)
_ORDER = {state: number for number, state in enumerate(SessionState)}
_COLLISION = Notification(Code.CEASE, Cease.CONNECTION_COLLISION)


class Session:
    """A machine around one or two of RFC 4271's: ``receive`` takes (connection, bytes)."""

    def __init__(self, plan: PeerPlan, now: float, dice: random.Random, why: str = "") -> None:
        self.plan, self._dice, self._born = plan, dice, now
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.history = History(now, why)
        self._numbers = 0
        self._main = self._fresh()
        self._second: Connection | None = None  # one that the peer has opened
        self._aside: list[Out] = []  # what the verdict on one connection does to the other
        self._running = False
        self._start_at: float | None = None  # the IdleHoldTimer
        self._tables: Tables | None = None
        self._outbound: Outbound | None = None  # while it is established
        self._blocked = False

    def _fresh(self) -> Connection:
        self._numbers += 1
        return Connection(self._numbers, self._verdict, self._dice, self.counters)

    # --- how it is -------------------------------------------------------------------------------

    @property
    def _foremost(self) -> Connection:
        second = self._second
        if second is not None and _ORDER[second.state] > _ORDER[self._main.state]:
            return second
        return self._main

    @property
    def state(self) -> SessionState:
        """The further one of its connections'."""
        return self._foremost.state

    @property
    def established(self) -> bool:
        """Whether it is up."""
        return self._outbound is not None

    @property
    def place(self) -> Place | None:
        """The ends of the connection that is up."""
        return self._main.place if self.established else None

    @property
    def keeps_routes(self) -> bool:
        """Whether the peer keeps our routes while we restart."""
        agreement = self._main.agreement
        return self.established and agreement is not None and agreement.keeps_routes

    def sent(self) -> Tables:
        """What the peer was told and not told to forget."""
        return self._outbound.sent() if self._outbound else {}

    # --- what the owner wants --------------------------------------------------------------------

    def start(self, now: float) -> list[Effect]:
        """From now on it tries to be up."""
        self._running = True
        if self.plan.passive:
            self.history.failure = Failure(SessionTrouble.WAITING, "waiting for the peer to call")
        elif self.history.failure.trouble is not SessionTrouble.CONNECTING:
            self.history.failure = Failure(SessionTrouble.CONNECTING, "connecting")
        return self._take(self._begin(now), now)

    def _begin(self, now: float) -> list[Out]:
        self._start_at = None
        return self._main.event(Event.START_PASSIVE if self.plan.passive else Event.START, now)

    def stop(self, said: Notification | None, failure: Failure, now: float) -> list[Effect]:
        """It ends and stays Idle. ``said`` None: without a word, so that the peer keeps routes."""
        self._running, self._start_at = False, None
        return self._end(said, failure, now)

    def bfd_down(self, message: str, now: float) -> list[Effect]:
        """The peer cannot be reached (RFC 5882, section 4): down now, and tried again."""
        if not self.established:
            return []
        said = self.for_good(Notification(Code.CEASE, Cease.BFD_DOWN))  # RFC 9384
        return self._end(said, Failure(SessionTrouble.BFD_DOWN, message), now)

    def _end(self, said: Notification | None, failure: Failure, now: float) -> list[Effect]:
        out: list[Out] = []
        for connection in (self._second, self._main):
            if connection is not None:
                out += connection.event(Event.STOP, now, said)
        effects = self._take(out, now)
        self.history.failure = failure
        return effects

    def for_good(self, said: Notification) -> Notification:
        """Told so that the peer keeps no routes (RFC 8538, section 3.1)."""
        agreement = self._main.agreement
        return hard(said) if agreement is not None and agreement.soft else said

    def change(self, plan: PeerPlan, now: float) -> list[Effect]:
        """Takes what may change while it is up (`peering.py` says what that is)."""
        self.plan = plan
        for connection in (self._main, self._second):
            agreement = connection.agreement if connection is not None else None
            if connection is not None and agreement is not None:
                every = keepalive_time(plan, agreement.hold_time)
                if connection.set_keepalive(every, now):
                    self.history.negotiated = self._main.negotiated()
        if self._outbound is not None:
            self._outbound.most = plan.max_prefixes
        return [*self._flush(), Changed()]

    def want(self, tables: Tables) -> list[Effect]:
        """What the peer is to be told: all of it, each time."""
        self._tables = tables
        return self._flush()

    # --- what happened ---------------------------------------------------------------------------

    def connected(self, number: int, place: Place, now: float) -> list[Effect]:
        """The connection that was asked for is there."""
        if number != self._main.number or self._main.state is not SessionState.CONNECT:
            return [Close(number)]
        return self._take(self._opened(self._main, place, now), now)

    def incoming(self, place: Place, now: float) -> tuple[int, list[Effect]]:
        """The peer has called: the number of its connection, which may be closed at once.

        An Idle machine refuses (RFC 4271, section 8.2.2): so does one that waits after a failure.
        """
        second = self._fresh()
        second.incoming = True
        if self._main.state is SessionState.IDLE:
            return second.number, [Close(second.number)]
        out: list[Out] = []
        if self._second is not None:  # its older call: the peer has given that up
            out += self._second.event(Event.COLLISION, now, _COLLISION)
        self._second = second
        out += second.event(Event.START_PASSIVE, now)
        return second.number, self._take([*out, *self._opened(second, place, now)], now)

    def _opened(self, connection: Connection, place: Place, now: float) -> list[Out]:
        connection.place = place
        connection.ours = our_open(self.plan, place.router_id, now - self._born < RESTARTING)
        return connection.event(Event.CONNECTED, now)

    def failed(self, number: int, failure: Failure, now: float) -> list[Effect]:
        """The connection that was asked for cannot be had, or has ended without a NOTIFICATION."""
        connection = self._numbered(number)
        if connection is None or connection.state is SessionState.IDLE:
            return []
        self.history.lost(failure)
        connection.retry_after = self._delay(self.history.failures + 1)
        return self._take(connection.event(Event.TCP_FAILS, now), now)

    def lost(self, number: int, message: str, now: float) -> list[Effect]:
        """The latter, in words."""
        return self.failed(number, Failure(SessionTrouble.RESET, message), now)

    def receive(self, data: tuple[int, bytes], now: float) -> list[Effect]:
        """Bytes of a connection, by its number."""
        connection = self._numbered(data[0])
        return self._take(connection.receive(data[1], now), now) if connection else []

    def blocked(self, number: int, now: float) -> None:
        """A connection takes no more for now."""
        if number == self._main.number:
            self._blocked = True
            self._main.blocked(now)

    def unblocked(self, number: int) -> list[Effect]:
        """It takes more again."""
        if number != self._main.number:
            return []
        self._blocked = False
        self._main.unblocked()
        return self._flush()

    def _numbered(self, number: int) -> Connection | None:
        both = (self._main, self._second)
        return next((item for item in both if item is not None and item.number == number), None)

    def hurry(self, now: float) -> list[Effect]:
        """What the next attempt waited for may be there: it is made now."""
        if self.state is SessionState.ACTIVE and not self.plan.passive:
            return self._take(self._main.event(Event.CONNECT_RETRY_EXPIRES, now), now)
        return []

    # --- time ------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """The first timer of all."""
        timers = [self._main.deadline(), self._start_at]
        if self._second is not None:
            timers.append(self._second.deadline())
        return min((timer for timer in timers if timer is not None), default=None)

    def tick(self, now: float) -> list[Effect]:
        """What is due."""
        out: list[Out] = []
        for connection in (self._main, self._second):
            if connection is not None:
                out += connection.tick(now)
        if self._start_at is not None and now >= self._start_at:
            out += self._begin(now)
        return self._take(out, now)

    def _delay(self, failures: int) -> float:
        """Seconds to wait after so many failures; jitter is added by whoever waits."""
        if self.plan.connect_time is not None:
            return float(self.plan.connect_time)
        return min(2.0 ** min(max(failures, 1) - 1, 6), LONGEST_WAIT)

    # --- who stays -------------------------------------------------------------------------------

    def _verdict(self, connection: Connection, theirs: Open) -> Verdict:
        """On the peer's OPEN: is it whom we expect, and does this connection stay?"""
        ours = connection.ours
        assert ours is not None
        if wrong := objection(self.plan, ours, theirs):
            said, message = wrong
            self.history.object(Failure(trouble_of(said, sent=True), message))
            return Event.OPEN_ERROR, said
        other = self._main if connection is self._second else self._second
        if other is not None and self._gives_way(connection, other, theirs):
            return Event.COLLISION, _COLLISION
        connection.agreement = agree(self.plan, ours, theirs)
        return Event.OPEN, None

    def _gives_way(self, connection: Connection, other: Connection, theirs: Open) -> bool:
        """Whether this one has to go, as the other one is there (RFC 4271, section 6.8)."""
        if other.state is SessionState.ESTABLISHED:
            # RFC 4724, section 4.2: a peer that restarts need not have ended the old one
            if not (self.keeps_routes and connection.incoming):
                return True
            self._aside += other.event(Event.TCP_FAILS, 0.0)
            return False
        if other.state is not SessionState.OPEN_CONFIRM or connection.ours is None:
            return False
        if peers_call_stays(connection.ours, theirs) is not connection.incoming:
            return True
        self._aside += other.event(Event.COLLISION, 0.0, _COLLISION)
        return False

    # --- what comes of it ------------------------------------------------------------------------

    def _take(self, out: Iterable[Out], now: float) -> list[Effect]:
        """Effects go on; notes are dealt with here, each at once: the next message may end it."""
        effects: list[Effect] = []
        for item in out:
            aside, self._aside = self._aside, []
            for one in (*aside, item):
                effects += self._deal(one, now)
        if self._outbound is not None and self._outbound.asked:
            effects += self._flush()
        if self.history.show(self.state, now):
            effects.append(Changed())
        return effects

    def _deal(self, item: Out, now: float) -> list[Effect]:
        match item:
            case Established():
                return self._established(now)
            case Ended():
                self._ended(item, now)
            case Took(update):
                self.history.received += sum(update.announced.values())
                faults = (update.treat_as_withdraw, *update.discarded)
                self.history.fault = next(filter(None, faults), self.history.fault)
            case Asked(family):
                if self._outbound is not None:
                    self._outbound.ask(family)
            case _:
                return [item]
        return []

    def _established(self, now: float) -> list[Effect]:
        dumped: list[Out] = []
        if self._second is not None:
            if self._second.state is SessionState.ESTABLISHED:
                self._main, self._second = self._second, self._main
            dumped = self._second.event(Event.STOP, now, _COLLISION)
            self._second = None
        main = self._main
        assert main.agreement is not None
        assert main.place is not None
        self._start_at, self._blocked = None, False
        self._outbound = Outbound(
            *(main.agreement, main.place, self.plan.max_prefixes, self.plan.add_path)
        )
        self.history.up(main.negotiated(), now)
        return [*(item for item in dumped if not isinstance(item, Note)), *self._flush()]

    def _ended(self, ended: Ended, now: float) -> None:
        history = self.history
        if ended.heard is not None:
            history.heard(ended.heard)
        if ended.sent is not None and ended.sent != _COLLISION:
            since_up = 0.0 if history.up_since is None else now - history.up_since
            if ended.sent.code == Code.HOLD_TIMER_EXPIRED:
                hold = history.negotiated.hold_time if history.negotiated else 0
                at_once = since_up < hold + 1.0
                history.object(silence_of(ended.was, at_once, self.plan.ttl_security))
            history.said(ended.sent)
        if ended.was is SessionState.ESTABLISHED:
            history.down(now)
            self._outbound = None
        history.failures += ended.failed
        second = self._second
        if second is not None and second.state in (SessionState.IDLE, SessionState.ACTIVE):
            self._second = None
        if self._running and self._main.state is SessionState.IDLE and self._start_at is None:
            jitter = 0.75 + 0.25 * self._dice.random()
            self._start_at = now + self._delay(history.failures) * jitter

    # --- routes ----------------------------------------------------------------------------------

    def _flush(self) -> list[Effect]:
        """Tells the peer what has changed. Nothing before the first complete table."""
        if self._tables is None or self._outbound is None or self._blocked:
            return []
        told = self._outbound.tell(self._tables)
        refreshes = sum(item[TYPE_AT] == MessageType.ROUTE_REFRESH for item in told)
        self.counters["route_refresh_sent"] += refreshes
        self.counters["updates_sent"] += len(told) - refreshes
        self.counters["total_sent"] += len(told)
        return [Send(self._main.number, b"".join(told)), Changed()] if told else []

    # --- facts -----------------------------------------------------------------------------------

    def facts(self, remote: str) -> SessionFacts:
        """All that is known of it; BFD is added by whom it belongs to."""
        plan, history, outbound = self.plan, self.history, self._outbound
        up = outbound is not None
        warnings = outbound.warnings() if outbound else []
        if history.fault:
            warnings.append(f"an UPDATE of the peer's was at fault: {history.fault}")
        return SessionFacts(
            peer=plan.name,
            uid=plan.uid,
            remote=remote,
            port=plan.port,
            vrf=plan.vrf,
            state=self.state,
            since=history.since,
            trouble=None if up else history.failure.trouble,
            message="" if up else history.failure.message,
            negotiated=history.negotiated if up else None,
            notification=history.notification,
            notification_sent=history.notification_sent,
            error=history.error,
            prefixes_sent=outbound.count if outbound else 0,
            prefixes_pending=outbound.pending(self._tables or {}) if outbound else 0,
            prefixes_received=history.received,
            flaps=history.flaps,
            warnings=tuple(warnings),
            counters=dict(self.counters),
        )
