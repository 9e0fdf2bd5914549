"""BFD as a fuzzer's targets: the codec, and a session that hears whatever a story says."""

from __future__ import annotations

import random

from bellmetal_bgp.bfd import echo, packets, wishes
from bellmetal_bgp.bfd.packets import Diagnostic, Packet, State
from bellmetal_bgp.bfd.session import BURST, REFILL, Over, Send, Session, SessionEffect, Timers
from fuzz.choices import Choices

OURS = 77
INTERVALS = [50_000, 0, 1, 10_000, 300_000, 1_000_000, 2**32 - 1]
MULTIPLIERS = [3, 1, 2, 255]
PAUSES = [0.0, 0.001, 0.05, 0.15, 1.0, 10.0]


def packet(data: bytes) -> None:
    """What decodes is encoded to the same; what does not says why. Lines and echoes as well."""
    found_echo = echo.decode(data)
    if found_echo is not None:
        assert echo.decode(echo.encode(found_echo, bytes(4))) == found_echo
    try:
        found = packets.decode(data)
    except packets.DecodeError as error:
        assert error.wrong in packets.Wrong
        assert str(error)
    else:
        assert packets.decode(found.encode()) == found
        assert found.encode()[1:3] == data[1:3]
    for decode in (wishes.decode, wishes.decode_told):
        try:
            decode(data)
        except wishes.WordError as error:
            assert str(error)


class Hearing:
    """One session; whatever it sends is sound, and never more than it may."""

    def __init__(self, data: bytes) -> None:
        self.choices, self.now = Choices(data), 100.0
        self.it = Session(OURS, self._timers(), random.Random(len(data)), self.now)
        self.over, self.sent, self.due = False, 0, 0

    def _timers(self) -> Timers:
        of = self.choices.of
        intervals = of(INTERVALS) or 1, of(INTERVALS) or 1
        return Timers(*intervals, of(MULTIPLIERS), self.choices.flag(), of(INTERVALS))

    def step(self) -> None:
        choices = self.choices
        match choices.number() % 10:
            case 0:
                self.now += choices.of(PAUSES)
            case 1:
                self._check(self.it.change(self._timers(), self.now))
            case 2:
                self._check(self.it.stop(self.now))
            case 3:
                self._check(self.it.echoing(choices.flag(), self.now))
            case 4:
                self._check(self.it.fail(Diagnostic.ECHO_FAILED, self.now))
            case _:
                self._check(self.it.receive(self._packet(), self.now))
        deadline = self.it.deadline()
        if deadline is not None and deadline <= self.now:
            self.due += 1
            self._check(self.it.tick(self.now))
        assert 0 <= self.it.transmit_us <= 2**32
        assert self.it.detect_us <= 255 * 2**32
        assert self.sent <= BURST + (self.now - 100.0) * REFILL + self.due + 1

    def _packet(self) -> Packet:
        of = self.choices.of
        flags = self.choices.number()
        return Packet(
            of([*State]),
            of(MULTIPLIERS),
            of([22, 1, 2**32 - 1]),
            OURS,
            of(INTERVALS),
            of(INTERVALS),
            of(INTERVALS),
            flags >> 3,
            bool(flags & 1),
            bool(flags & 2),
            bool(flags & 4),
        )

    def _check(self, effects: list[SessionEffect]) -> None:
        for effect in effects:
            self.over |= isinstance(effect, Over)
            if isinstance(effect, Send):
                self.sent += 1
                told = packets.decode(effect.data)
                assert told.my_discriminator == OURS
                assert not (told.poll and told.final)
                assert not told.independent
                assert told.state is State.UP or told.desired_min_tx_us >= 1_000_000


def session(data: bytes) -> None:
    """Until the story ends, or the session."""
    it = Hearing(data)
    while it.choices.left and not it.over:
        it.step()
