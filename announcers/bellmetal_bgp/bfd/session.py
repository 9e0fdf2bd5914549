"""One BFD session: state, negotiation, timers (RFC 5880, section 6). A sans-IO machine.

Asynchronous mode, active and passive role; no Demand mode, no authentication. Echo packets are
`echo.py`'s; those of the peer are not looped back, so Required Min Echo RX is zero. The C bit is
clear: this runs beside the routes' speaker and ends with it, so a router that does graceful
restart keeps the routes while it restarts (RFC 5882, section 4.3.2).
Imported by the small process that keeps time, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bellmetal_bgp.bfd.packets import Diagnostic, Packet, State, Wrong

if TYPE_CHECKING:
    import random

SLOWEST_START_US = 1_000_000  # at least this between packets while not Up (section 6.8.3)
BURST, REFILL = 8, 500.0  # packets out of turn: at once, and a second; what asks for more waits
FAREWELL = 1.0  # seconds for which AdminDown is repeated at most

_ADMIN, _DOWN, _INIT, _UP = State.ADMIN_DOWN, State.DOWN, State.INIT, State.UP

# (ours, received) → ours from now on: section 6.8.6, from "If bfd.SessionState is AdminDown" on
TRANSITIONS: Mapping[tuple[State, State], State] = {
    (_ADMIN, _ADMIN): _ADMIN,
    (_ADMIN, _DOWN): _ADMIN,
    (_ADMIN, _INIT): _ADMIN,
    (_ADMIN, _UP): _ADMIN,
    (_DOWN, _ADMIN): _DOWN,
    (_DOWN, _DOWN): _INIT,
    (_DOWN, _INIT): _UP,
    (_DOWN, _UP): _DOWN,
    (_INIT, _ADMIN): _DOWN,
    (_INIT, _DOWN): _INIT,
    (_INIT, _INIT): _UP,
    (_INIT, _UP): _UP,
    (_UP, _ADMIN): _DOWN,
    (_UP, _DOWN): _DOWN,
    (_UP, _INIT): _UP,
    (_UP, _UP): _UP,
}


class Timers(NamedTuple):
    """What a profile asks for. Intervals are in microseconds; ``echo_us`` 0: no echo is sent."""

    transmit_us: int = 300_000
    receive_us: int = 300_000
    detect_mult: int = 3
    passive: bool = False
    echo_us: int = 0


class Send(NamedTuple):
    """A Control packet for the peer."""

    data: bytes


class Up(NamedTuple):
    """The session came up."""


class Down(NamedTuple):
    """The session went down, or begins anew; ``reason`` is the new local diagnostic."""

    reason: Diagnostic


class Ignored(NamedTuple):
    """A packet that was discarded."""

    wrong: Wrong


class Over(NamedTuple):
    """A stopped session has said so and may be forgotten."""


SessionEffect: TypeAlias = Send | Up | Down | Ignored | Over


class Session:
    """`Machine` of SessionEffect; ``receive`` takes a Packet that was found to be for it.

    ``discriminator`` is unique on this system and not zero. Names are those of section 6.8.1.
    """

    def __init__(self, discriminator: int, timers: Timers, dice: random.Random, now: float) -> None:
        self.discriminator, self.timers, self._dice = discriminator, timers, dice
        self.state, self.remote_state = State.DOWN, State.DOWN
        self.diagnostic, self.remote_diagnostic = Diagnostic.NONE, 0
        self.since = now
        self.heard_at: float | None = None  # when the last packet came that was not discarded
        self.ups = self.downs = 0
        self._echoing = False
        self._forget_remote()
        self._advertised = self._in_force = self._wanted()  # (Desired Min TX, Required Min RX)
        self._polling = False
        self._sent_at: float | None = None
        self._jitter = 1.0
        self._tokens, self._tokens_at = float(BURST), now
        self._ends_at: float | None = None
        self._over = False
        self._farewell_us = SLOWEST_START_US

    # --- what is agreed on ------------------------------------------------------------------------

    @property
    def transmit_us(self) -> int:
        """The agreed interval between our packets; 0: the peer wants none (section 6.8.2)."""
        return max(self._in_force[0], self._remote_rx_us) if self._remote_rx_us else 0

    @property
    def detect_us(self) -> int:
        """The Detection Time: silence for longer means that the path is down (section 6.8.4)."""
        return self._remote_mult * max(self._in_force[1], self._remote_tx_us)

    @property
    def reflected(self) -> bool:
        """Whether the peer says that it loops our Echo packets back."""
        return self._remote_echo_us > 0

    @property
    def echo_us(self) -> int:
        """The agreed interval of our Echo packets; 0: none are to be sent (section 6.8.9)."""
        if self.state is not State.UP or not self.timers.echo_us or not self.reflected:
            return 0
        return max(self.timers.echo_us, self._remote_echo_us)

    @property
    def heard(self) -> bool:
        """Whether the peer has been heard within the last Detection Time."""
        return self._remote_discriminator != 0

    @property
    def stopped(self) -> bool:
        """Whether it is but saying goodbye."""
        return self._ends_at is not None

    # --- Machine ----------------------------------------------------------------------------------

    def receive(self, packet: Packet, now: float) -> list[SessionEffect]:
        """A packet came in that is sound in itself, from the peer; the rest of section 6.8.6."""
        self._remember(packet, now)
        if packet.final and self._polling:
            self._poll_answered()
        if self.state is State.ADMIN_DOWN:
            return [Ignored(Wrong.ADMIN_DOWN), *self._farewell_heard(packet)]
        before = self.state
        entered = TRANSITIONS[before, packet.state]
        effects = self._enter(entered, Diagnostic.NEIGHBOR_SIGNALED_DOWN, now)
        if packet.poll and self._may_send(now):
            effects.append(Send(self._packet(final=True).encode()))
        if self._negotiate() or self.state is not before:
            effects += self._say(now)
        return effects

    def tick(self, now: float) -> list[SessionEffect]:
        """The Detection Time is over, or a packet is due, or both."""
        effects: list[SessionEffect] = []
        silent = self._silent_at()
        if silent is not None and silent <= now:
            self._forget_remote()
            if self.state in (State.INIT, State.UP):
                effects = self._enter(State.DOWN, Diagnostic.DETECTION_TIME_EXPIRED, now)
                effects += self._say(now)
        if self._ends_at is not None and now >= self._ends_at:
            return [*effects, *self._end()]
        due = self._due()
        if due is not None and due <= now:
            effects.append(self._send(now))
        return effects

    def deadline(self) -> float | None:
        """When tick has something to do."""
        if self._over:
            return None
        times = (self._silent_at(), self._due(), self._ends_at)
        return min((time for time in times if time is not None), default=None)

    # --- commands ---------------------------------------------------------------------------------

    def change(self, timers: Timers, now: float) -> list[SessionEffect]:
        """Other timers from now on; an Up session agrees on them by a Poll Sequence (6.8.3)."""
        if timers == self.timers:
            return []
        self.timers = timers
        return self._say(now) if self._negotiate() else []

    def echoing(self, returned: bool, now: float) -> list[SessionEffect]:
        """Whether Echo packets return: then a Control packet a second is enough (6.8.3)."""
        if returned is self._echoing or self.state is not State.UP:
            return []
        self._echoing = returned
        return self._say(now) if self._negotiate() else []

    def fail(self, reason: Diagnostic, now: float) -> list[SessionEffect]:
        """The path is known to be down by other means than silence."""
        if self.state is not State.UP:
            return []
        return [*self._enter(State.DOWN, reason, now), *self._say(now)]

    def stop(self, now: float) -> list[SessionEffect]:
        """A planned end: AdminDown is told (6.8.16) until the peer has heard of it, then Over.

        It is repeated in the rhythm that was agreed on, not once a second: the peer would take a
        single lost packet for a failure. That ends after a Detection Time, at the latest after
        FAREWELL.
        """
        if self._ends_at is not None:
            return []
        self._farewell_us = min(self.transmit_us or SLOWEST_START_US, SLOWEST_START_US)
        self._ends_at = now + min(FAREWELL, self._farewell_us * self.timers.detect_mult / 1e6)
        effects = self._enter(State.ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN, now)
        return [*effects, self._send(now)] if self.heard else [*effects, *self._end()]

    def _end(self) -> list[SessionEffect]:
        self._over = True
        return [Over()]

    # --- receiving --------------------------------------------------------------------------------

    def _remember(self, packet: Packet, now: float) -> None:
        self._remote_discriminator = packet.my_discriminator
        self.remote_state = packet.state
        self.remote_diagnostic = packet.diagnostic
        self._remote_mult = packet.detect_mult
        self._remote_tx_us = packet.desired_min_tx_us
        self._remote_rx_us = packet.required_min_rx_us
        self._remote_echo_us = packet.required_min_echo_rx_us
        self.heard_at = now

    def _forget_remote(self) -> None:
        """A Detection Time has passed in silence (section 6.8.1, bfd.RemoteDiscr).

        What it told of intervals goes, too: who wanted no packets may be another one by now.
        """
        self._remote_discriminator = 0
        self._remote_mult, self._remote_tx_us, self._remote_rx_us = 1, 0, 1
        self._remote_echo_us = 0

    def _silent_at(self) -> float | None:
        """When the Detection Time ends."""
        if self._remote_discriminator == 0 or self.heard_at is None:
            return None
        return self.heard_at + self.detect_us / 1e6

    def _farewell_heard(self, packet: Packet) -> list[SessionEffect]:
        if self._ends_at is None or packet.state in (State.UP, State.INIT):
            return []
        return self._end()

    # --- the state --------------------------------------------------------------------------------

    def _enter(self, state: State, reason: Diagnostic, now: float) -> list[SessionEffect]:
        """A diagnostic stands until the session is up again: the peer may want to know."""
        before = self.state
        if state is before:
            return []
        self.state, self.since = state, now
        self._polling = self._polling and state is State.UP
        self._echoing = False
        self._negotiate()
        if state is State.UP:
            self.diagnostic = Diagnostic.NONE
            self.ups += 1
            return [Up()]
        if state is State.INIT:
            return []
        self.diagnostic = reason
        self.downs += before is State.UP
        return [Down(reason)]

    # --- intervals (section 6.8.3) ----------------------------------------------------------------

    def _wanted(self) -> tuple[int, int]:
        slow = SLOWEST_START_US if self.state is not State.UP else 0
        rare = SLOWEST_START_US if self._echoing else 0
        return max(self.timers.transmit_us, slow), max(self.timers.receive_us, rare)

    def _negotiate(self) -> bool:
        """Whether there is something new to be told; what is safe is in force at once.

        Up, a longer interval of ours and a shorter Detection Time wait for the answer to the Poll.
        One Poll Sequence at a time: what changes meanwhile is told in the next one.
        """
        wanted = self._wanted()
        if wanted == self._advertised or self._polling:
            return False
        self._advertised = wanted
        if self.state is not State.UP:
            self._in_force = wanted
            return True
        self._in_force = min(wanted[0], self._in_force[0]), max(wanted[1], self._in_force[1])
        self._polling = True
        return True

    def _poll_answered(self) -> None:
        self._polling = False
        self._in_force = self._advertised

    # --- sending (section 6.8.7) ------------------------------------------------------------------

    def _due(self) -> float | None:
        """When the next periodic packet goes out; None: there is none to be sent."""
        if self.timers.passive and self._remote_discriminator == 0:
            return None
        interval = self.transmit_us if self._ends_at is None else self._farewell_us
        if interval == 0:
            return None
        return 0.0 if self._sent_at is None else self._sent_at + interval * self._jitter / 1e6

    def _send(self, now: float) -> Send:
        """A periodic packet; the one after it comes 0 to 25 % earlier than agreed (10 to 25 %)."""
        self._sent_at = now
        latest = 0.9 if self.timers.detect_mult == 1 else 1.0
        self._jitter = self._dice.uniform(0.75, latest)
        return Send(self._packet().encode())

    def _say(self, now: float) -> list[SessionEffect]:
        """What is new is told at once, if it may be told at all; else with the next packet."""
        if self._due() is None or not self._may_send(now):
            return []
        return [self._send(now)]

    def _may_send(self, now: float) -> bool:
        """Packets out of turn are bounded: a peer that asks for many gets some."""
        self._tokens = min(float(BURST), self._tokens + (now - self._tokens_at) * REFILL)
        self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _packet(self, final: bool = False) -> Packet:
        return Packet(
            state=self.state,
            detect_mult=self.timers.detect_mult,
            my_discriminator=self.discriminator,
            your_discriminator=self._remote_discriminator,
            desired_min_tx_us=self._advertised[0],
            required_min_rx_us=self._advertised[1],
            diagnostic=self.diagnostic,
            poll=self._polling and not final,
            final=final,
        )
