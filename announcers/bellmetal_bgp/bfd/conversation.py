"""One BFD session with its sender and what was counted: what the process has of each peer.

Imported by the small process that keeps time, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from bellmetal_bgp.bfd import echo, sockets
from bellmetal_bgp.bfd.echo import Echo
from bellmetal_bgp.bfd.packets import Diagnostic, Packet, Wrong
from bellmetal_bgp.bfd.session import Ignored, Over, Send, Session, SessionEffect
from bellmetal_bgp.bfd.sockets import Arrival, Door, Sender
from bellmetal_bgp.bfd.wishes import Told, Want
from bellmetal_bgp.bfd.words import Evidence, explain

if TYPE_CHECKING:
    import random

AGAIN = 0.25  # seconds between tries to open what cannot be opened


class Voice(Protocol):
    """What sends to one peer: `Sender`."""

    local: str  # the address that it sends from

    def send(self, data: bytes) -> int:
        """Sends it; 0, or an errno."""
        ...

    def close(self) -> None:
        """Closes it."""
        ...


class Conversation:
    """Carries out what the session wants. ``deadline`` is when ``tick`` has something to do.

    ``speak`` opens a way to the peer, or raises OSError.
    """

    def __init__(
        self,
        want: Want,
        discriminator: int,
        dice: random.Random,
        now: float,
        speak: Callable[[str, Door, str, str, random.Random], Voice] = Sender,
    ) -> None:
        self.want, self._dice, self._speak = want, dice, speak
        self.session = Session(discriminator, want.timers, dice, now)
        port = sockets.MULTI_HOP if want.reach.multi_hop else sockets.SINGLE_HOP
        self.door = Door(sockets.family_of(want.reach.remote), port, want.reach.vrf)
        self.over = False
        self.touched = True  # something has happened since it was last told of
        self._listening = 0
        self._opening = self._sending = 0
        self._wrong: Wrong | None = None
        self._detail = ""
        self._input = self._output = self._echoes_in = self._echoes_out = 0
        self._echo = Echo(discriminator, dice)
        self._echo_sender: sockets.EchoSender | None = None
        self._echo_error = self._deaf = 0
        self._sender: Voice | None = None
        self._index = 0
        self._again = now
        self.deadline: float | None = now
        self.said: Told | None = None  # the last that the speaker was told

    # --- what happens -----------------------------------------------------------------------------

    def receive(self, packet: Packet, ttl: int, now: float) -> None:
        """A packet that is meant for this session."""
        if ttl < self.least_ttl:
            self.discard(Wrong.TTL, f"they come with TTL {ttl}")
            return
        self._input += 1
        self._wrong = None
        self._perform(self.session.receive(packet, now), now)

    def tick(self, now: float) -> None:
        """The deadline has passed."""
        self._perform(self.session.tick(now), now)
        failed = self._echo.failed_at
        if failed is not None and failed <= now:
            self._perform(self.session.fail(Diagnostic.ECHO_FAILED, now), now)
        payload = self._echo.tick(now)
        if payload is not None:
            self._send_echo(payload)
            self._follow(now)

    def echoed(self, payload: echo.Payload, now: float) -> None:
        """An Echo packet has returned."""
        if self._echo.receive(payload, now):
            self._echoes_in += 1
            self._follow(now)

    def change(self, want: Want, now: float) -> None:
        """Other timers for the same session."""
        self.want = want
        self._perform(self.session.change(want.timers, now), now)

    def stop(self, now: float) -> None:
        """It is wanted no more."""
        self._perform(self.session.stop(now), now)

    def discard(self, wrong: Wrong, detail: str) -> None:
        """A packet of the peer's that is not to be believed."""
        self._wrong, self._detail = wrong, detail
        self.touched = True

    @property
    def listening(self) -> int:
        """The errno of why nothing can be received; 0: it can."""
        return self._listening

    @listening.setter
    def listening(self, error: int) -> None:
        self.touched |= error != self._listening
        self._listening = error

    def cannot_echo(self, error: int) -> None:
        """The errno of why Echo packets cannot be received; 0: they can."""
        self.touched |= error != self._deaf
        self._deaf = error

    def close(self) -> None:
        """Closes the senders."""
        for sender in (self._sender, self._echo_sender):
            if sender is not None:
                sender.close()
        self._sender = self._echo_sender = None

    # --- which packets are its own ----------------------------------------------------------------

    @property
    def least_ttl(self) -> int:
        """RFC 5881, section 5, for one hop; the profile for several (RFC 5883, section 5)."""
        return self.want.minimum_ttl if self.want.reach.multi_hop else sockets.TTL

    def fits(self, arrival: Arrival) -> bool:
        """Whether a packet of its peer came to its address, over its interface."""
        reach = self.want.reach
        if reach.local and arrival.local != reach.local:
            return False
        if reach.multi_hop or not reach.interface or arrival.interface == self._index:
            return True
        self._index = sockets.index_of(reach.interface)
        return arrival.interface == self._index

    # --- what to tell -----------------------------------------------------------------------------

    def tell(self) -> Told:
        """As it is now."""
        session = self.session
        seen = Evidence(
            self._listening,
            self._opening,
            self._sending,
            self._wrong,
            self._detail,
            self.least_ttl,
            self._deaf or self._echo_error,
            self._echo.unanswered,
        )
        return Told(
            self.want.number,
            session.state,
            session.remote_state,
            session.since,
            session.diagnostic,
            session.remote_diagnostic,
            session.transmit_us,
            session.detect_us,
            self.want.timers.detect_mult,
            explain(self.want.reach, self.door.port, session, seen),
            self._counters(),
        )

    def _counters(self) -> dict[str, int]:
        return {
            "control_packet_input": self._input,
            "control_packet_output": self._output,
            "echo_packet_input": self._echoes_in,
            "echo_packet_output": self._echoes_out,
            "session_up_events": self.session.ups,
            "session_down_events": self.session.downs,
        }

    # --- sending ----------------------------------------------------------------------------------

    def _perform(self, effects: list[SessionEffect], now: float) -> None:
        for effect in effects:
            match effect:
                case Send(data):
                    self._send(data, now)
                case Over():
                    self.over = True
                case Ignored(wrong):
                    self._wrong = None if wrong is Wrong.ADMIN_DOWN else wrong
        self._follow(now)

    def _follow(self, now: float) -> None:
        """Echo packets go out while both sides want them; what returns makes others rare."""
        timers = self.want.timers
        self._echo.run(self.session.echo_us, timers.detect_mult, now)
        for effect in self.session.echoing(self._echo.proven, now):
            if isinstance(effect, Send):
                self._send(effect.data, now)
        due = (self.session.deadline(), self._echo.deadline())
        self.deadline = min((time for time in due if time is not None), default=None)
        self.touched = True

    def _send_echo(self, payload: echo.Payload) -> None:
        reach, error = self.want.reach, 0
        try:
            if self._echo_sender is None:
                device = reach.interface or reach.vrf
                self._echo_sender = sockets.EchoSender(reach.remote, device)
            if self._sender is not None:
                packet = echo.encode(payload, sockets.packed(self._sender.local))
                error = self._echo_sender.send(packet)
                self._echoes_out += not error
        except OSError as problem:
            error = problem.errno or -1
        if error and self._echo_sender is not None:
            self._echo_sender.close()
            self._echo_sender = None
        self._echo_error = error

    def _send(self, data: bytes, now: float) -> None:
        sender = self._sender or self._open(now)
        if sender is None:
            return
        self._sending = sender.send(data)
        if self._sending == 0:
            self._output += 1
        elif self._sending not in sockets.ICMP:  # the interface is gone, or our address
            self.close()

    def _open(self, now: float) -> Voice | None:
        if now < self._again:
            return None
        self._again = now + AGAIN
        reach = self.want.reach
        device = reach.interface or reach.vrf
        try:
            self._sender = self._speak(reach.remote, self.door, reach.local, device, self._dice)
        except OSError as error:
            self._opening = error.errno or -1
            return None
        self._opening = 0
        return self._sender
