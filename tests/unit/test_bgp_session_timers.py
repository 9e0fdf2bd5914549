"""A session's timers, and when it tries again: fake clock, every timer in time or late."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from bellmetal.facts import SessionState, SessionTrouble
from bellmetal_bgp.connection import WAIT_FOR_OPEN
from bellmetal_bgp.effects import Failure
from bellmetal_bgp.history import STEADY
from bellmetal_bgp.messages import Keepalive, Message, Notification
from bellmetal_bgp.notifications import Code
from bgp_bytes import message
from bgp_bytes import update as update_bytes
from bgp_sessions import THEIR_OPEN, Lone, table

REFUSED = Failure(SessionTrouble.REFUSED, "nobody listens there")


# --- timers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "hold", "keepalive"),
    [
        (None, 90, 90, 30.0),
        (None, 180, 90, 30.0),
        (90, 9, 9, 3.0),
        (9, 90, 9, 3.0),
        (3, 3, 3, 1.0),
        (0, 90, 0, 0.0),
        (90, 0, 0, 0.0),
        (65535, 65535, 65535, 21845.0),
    ],
)
def test_the_smaller_hold_time_holds(
    ours: int | None, theirs: int, hold: int, keepalive: float
) -> None:
    it = Lone(hold_time=ours).up(replace(THEIR_OPEN, hold_time=theirs))
    told = it.facts.negotiated
    assert told is not None
    assert (told.hold_time, told.keepalive_time) == (hold, keepalive)


@pytest.mark.parametrize(
    ("asked", "holds"), [(None, 30.0), (10, 10.0), (1, 1.0), (0, 1.0), (60, 30.0)]
)
def test_the_keepalive_time_is_a_third_or_less(asked: int | None, holds: float) -> None:
    told = Lone(keepalive_time=asked).up().facts.negotiated
    assert told is not None
    assert told.keepalive_time == holds


def test_keepalives_are_jittered() -> None:
    it = Lone().up()
    times = []
    for _ in range(400):
        due = it.it.deadline()
        assert due is not None
        it.now = due
        it.do(it.it.tick(it.now))
        if it.said() == [Keepalive()]:
            times.append(it.now)
        it.hear(Keepalive())
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert 22.5 <= min(gaps) < 23
    assert 29.5 < max(gaps) <= 30


def test_with_a_hold_time_of_zero_nothing_is_sent_or_expected() -> None:
    it = Lone(hold_time=0).up()
    it.wait(100_000)
    assert it.it.established
    assert it.said() == []


def test_silence_ends_it() -> None:
    it = Lone().up()
    it.wait(30.0)
    it.hear(Keepalive())
    it.wait(89.9)
    assert it.it.established
    it.said()
    it.wait(0.2)
    assert not it.it.established
    assert it.said() == [Notification(Code.HOLD_TIMER_EXPIRED)]
    assert it.facts.trouble is SessionTrouble.HOLD_TIMER
    assert it.facts.message == "we ended it: hold timer expired"
    assert (it.facts.notification, it.facts.notification_sent) == ("hold timer expired", True)


def test_a_peer_that_is_silent_from_the_first_may_not_hear_us() -> None:
    it = Lone().up()
    it.wait(90.2)
    assert it.facts.trouble is SessionTrouble.HOLD_TIMER
    assert "fell silent as soon as OPEN messages were exchanged" in it.facts.message
    assert "bellmetal.io/ttl-security" in it.facts.message


@pytest.mark.parametrize("said", [Keepalive(), update_bytes(), message(5, b"\0\1\0\1")])
def test_what_the_peer_says_keeps_it_up(said: Message | bytes) -> None:
    it = Lone().up()
    for _ in range(10):
        it.wait(80)
        it.hear(said)
    assert it.it.established


def test_a_loop_that_stood_still_reads_first() -> None:
    it = Lone(hold_time=3).up(tables=table())
    it.now += 60
    it.do(it.it.tick(it.now))
    assert it.it.established, "what came meanwhile is not read yet"
    assert Keepalive() in it.said(), "the peer has heard nothing for a minute either"
    it.hear(Keepalive())
    it.wait(2.9)
    assert it.it.established
    it.wait(0.2)
    assert not it.it.established


def test_a_loop_that_stood_still_and_finds_nothing_to_read() -> None:
    it = Lone(hold_time=3).up()
    it.now += 60
    it.wait(1.5)
    assert it.facts.trouble is SessionTrouble.HOLD_TIMER


def test_a_peer_that_sends_no_open() -> None:
    it = Lone().start().connected()
    it.said()
    it.wait(WAIT_FOR_OPEN - 0.1)
    assert it.it.state is SessionState.OPEN_SENT
    it.wait(0.2)
    assert it.said() == [Notification(Code.HOLD_TIMER_EXPIRED)]
    assert it.facts.trouble is SessionTrouble.NO_ANSWER
    assert "sent no OPEN in 20 s" in it.facts.message


def test_a_peer_that_sends_no_keepalive() -> None:
    it = Lone().start().connected()
    it.hear(replace(THEIR_OPEN, hold_time=9))
    assert it.it.state is SessionState.OPEN_CONFIRM
    it.wait(9.5)
    assert it.facts.trouble is SessionTrouble.HOLD_TIMER
    assert it.facts.flaps == 0, "it never was up"


def test_another_keepalive_time_holds_at_once() -> None:
    it = Lone().up()
    plan = replace(it.it.plan, keepalive_time=5)
    it.do(it.it.change(plan, it.now))
    assert it.it.established
    assert it.facts.negotiated is not None
    assert it.facts.negotiated.keepalive_time == 5.0
    it.wait(5.0)
    assert it.said() == [Keepalive()]
    it.do(it.it.change(plan, it.now))
    due = it.it.deadline()
    it.do(it.it.change(plan, it.now + 1))
    assert it.it.deadline() == due, "the same once more changes nothing"


def test_another_keepalive_time_before_it_is_up() -> None:
    it = Lone().start().connected()
    it.hear(THEIR_OPEN)
    it.do(it.it.change(replace(it.it.plan, keepalive_time=5), it.now))
    it.hear(Keepalive())
    assert it.facts.negotiated is not None
    assert it.facts.negotiated.keepalive_time == 5.0


def test_another_keepalive_time_while_the_peers_call_is_not_up() -> None:
    it = Lone(passive=True).start()
    number = it.call()
    it.hear(THEIR_OPEN, number=number)
    it.do(it.it.change(replace(it.it.plan, keepalive_time=5), it.now))
    it.hear(Keepalive(), number=number)
    assert it.facts.negotiated is not None
    assert it.facts.negotiated.keepalive_time == 5.0


# --- trying again --------------------------------------------------------------------------------


def waits(it: Lone, number: int) -> list[float]:
    """How long it waits after each of so many attempts that fail."""
    found = []
    for _ in range(number):
        it.fail(REFUSED)
        before, asked = it.now, it.connects()
        while it.connects() == asked:
            it.wait(max((it.it.deadline() or 0) - it.now, 0.001))
        found.append(it.now - before)
    return found


def test_it_waits_longer_each_time() -> None:
    found = waits(Lone().start(), 8)
    for seconds, wanted in zip(found, [1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert 0.75 * wanted <= seconds <= wanted


def test_connect_time_is_what_it_waits() -> None:
    found = waits(Lone(connect_time=3).start(), 5)
    assert all(2.25 <= seconds <= 3 for seconds in found)


def test_a_session_that_flaps_waits_longer_too() -> None:
    it = Lone()
    found = []
    it.start()
    for _ in range(6):
        it.connected().hear(THEIR_OPEN, Keepalive())
        assert it.it.established
        it.lose()
        before, asked = it.now, it.connects()
        while it.connects() == asked:
            it.wait(max((it.it.deadline() or 0) - it.now, 0.001))
        found.append(it.now - before)
    assert it.facts.flaps == 6
    for seconds, wanted in zip(found, [1, 2, 4, 8, 10, 10], strict=True):
        assert 0.75 * wanted <= seconds <= wanted


def test_a_session_that_was_steady_is_tried_soon() -> None:
    it = Lone().start()
    waits(it, 6)
    it.connected().hear(THEIR_OPEN, Keepalive())
    it.wait(STEADY + 1, keepalives=True)
    it.lose()
    due = it.it.deadline()
    assert due is not None
    assert due - it.now <= 1


def test_in_a_hurry_the_next_attempt_is_made_now() -> None:
    it = Lone().start()
    waits(it, 6)
    it.fail(REFUSED)
    assert it.facts.trouble is SessionTrouble.REFUSED
    asked = it.connects()
    it.do(it.it.hurry(it.now))
    assert it.connects() == asked + 1
    it.do(it.it.hurry(it.now))
    assert it.connects() == asked + 1, "one is under way"


def test_a_passive_one_is_in_no_hurry() -> None:
    it = Lone(passive=True).start()
    it.do(it.it.hurry(it.now))
    assert it.connects() == 0


def test_an_attempt_that_nobody_answers_is_made_again() -> None:
    it = Lone().start()
    it.wait(11)
    assert it.connects() == 2
    assert it.closed() == [it.number], "the first one is given up"
