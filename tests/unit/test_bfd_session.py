from __future__ import annotations

import itertools
import random

import pytest

from bellmetal_bgp.bfd import packets
from bellmetal_bgp.bfd.packets import Diagnostic, Packet, State, Wrong
from bellmetal_bgp.bfd.session import (
    BURST,
    TRANSITIONS,
    Down,
    Ignored,
    Over,
    Send,
    Session,
    SessionEffect,
    Timers,
    Up,
)

OURS, THEIRS = 11, 22
FAST = Timers(50_000, 50_000, 3)
SLOW = Timers(300_000, 300_000, 3)


class Peer:
    """A session and the packets that a test has its peer send."""

    def __init__(self, timers: Timers = FAST) -> None:
        self.now = 100.0
        self.it = Session(OURS, timers, random.Random(1), self.now)

    def hear(self, state: State, **fields: int) -> list[SessionEffect]:
        given = {"your_discriminator": OURS, "desired_min_tx_us": 50_000, **fields}
        packet = Packet(state, given.pop("detect_mult", 3), THEIRS, required_min_rx_us=50_000)
        return self.it.receive(packet._replace(**given), self.now)

    def up(self) -> Session:
        self.hear(State.DOWN)
        self.hear(State.INIT)
        self.hear(State.UP, final=True)
        assert self.it.state is State.UP
        return self.it

    def silence(self, seconds: float) -> list[SessionEffect]:
        """Ticks at each deadline."""
        effects, end = [], self.now + seconds
        while (due := self.it.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            effects += self.it.tick(self.now)
        self.now = end
        return effects


def sent(effects: list[SessionEffect]) -> list[Packet]:
    return [packets.decode(effect.data) for effect in effects if isinstance(effect, Send)]


# --- the table -----------------------------------------------------------------------------------


def test_every_pair_of_states_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(itertools.product(State, State))


@pytest.mark.parametrize(("ours", "theirs"), TRANSITIONS)
def test_the_table_is_what_happens(ours: State, theirs: State) -> None:
    peer = Peer()
    if ours is State.UP:
        peer.up()
    elif ours is not State.DOWN:
        peer.hear(State.DOWN)
    if ours is State.ADMIN_DOWN:
        peer.it.stop(peer.now)
    assert peer.it.state is ours
    peer.hear(theirs)
    assert peer.it.state is TRANSITIONS[ours, theirs]
    assert peer.it.remote_state is theirs


def test_coming_up_is_down_init_up() -> None:
    peer = Peer()
    first = sent(peer.it.tick(peer.now))
    assert [(p.state, p.your_discriminator) for p in first] == [(State.DOWN, 0)]
    answer = sent(peer.hear(State.DOWN, your_discriminator=0))
    assert [(p.state, p.your_discriminator) for p in answer] == [(State.INIT, THEIRS)]
    effects = peer.hear(State.INIT)
    assert effects[0] == Up()
    assert [(p.state, p.poll) for p in sent(effects)] == [(State.UP, True)]


# --- going down ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (State.DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN),
        (State.ADMIN_DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN),
    ],
)
def test_what_the_peer_says_takes_it_down(heard: State, reason: Diagnostic) -> None:
    peer = Peer()
    peer.up()
    effects = peer.hear(heard, diagnostic=Diagnostic.ADMINISTRATIVELY_DOWN)
    assert effects[0] == Down(reason)
    assert [(p.state, p.diagnostic) for p in sent(effects)] == [(State.DOWN, reason)]
    assert peer.it.remote_diagnostic == Diagnostic.ADMINISTRATIVELY_DOWN


def test_silence_takes_it_down_when_the_detection_time_is_over() -> None:
    peer = Peer()
    it = peer.up()
    assert it.detect_us == 150_000
    heard = peer.now
    effects = peer.silence(0.1499)
    assert it.state is State.UP
    assert not [effect for effect in effects if isinstance(effect, Down)]
    effects = peer.silence(0.0001)
    assert Down(Diagnostic.DETECTION_TIME_EXPIRED) in effects
    assert it.since == pytest.approx(heard + 0.15)
    last = sent(effects)[-1]
    assert (last.state, last.your_discriminator) == (State.DOWN, 0)
    assert last.diagnostic == Diagnostic.DETECTION_TIME_EXPIRED


def test_silence_in_init_is_silence_too() -> None:
    peer = Peer()
    peer.hear(State.DOWN, desired_min_tx_us=1_000_000)
    effects = peer.silence(3.0)
    assert Down(Diagnostic.DETECTION_TIME_EXPIRED) in effects
    assert (peer.it.ups, peer.it.downs) == (0, 0)


def test_the_diagnostic_stands_until_it_is_up_again() -> None:
    peer = Peer()
    peer.up()
    peer.silence(1)
    peer.hear(State.DOWN, your_discriminator=0)
    assert (peer.it.state, peer.it.diagnostic) == (State.INIT, Diagnostic.DETECTION_TIME_EXPIRED)
    peer.hear(State.UP)
    assert (peer.it.state, peer.it.diagnostic) == (State.UP, Diagnostic.NONE)
    assert (peer.it.ups, peer.it.downs) == (2, 1)


def test_after_silence_the_peer_is_told_no_discriminator_of_its_own() -> None:
    peer = Peer()
    peer.hear(State.DOWN)
    peer.hear(State.ADMIN_DOWN)
    assert peer.it.state is State.DOWN
    assert peer.it.heard
    peer.silence(5)
    assert not peer.it.heard
    assert peer.it.remote_state is State.ADMIN_DOWN  # the last word stands


# --- a planned end -------------------------------------------------------------------------------


def test_a_planned_end_is_told_until_the_peer_has_heard_it() -> None:
    peer = Peer()
    it = peer.up()
    effects = it.stop(peer.now)
    assert effects[0] == Down(Diagnostic.ADMINISTRATIVELY_DOWN)
    assert [p.state for p in sent(effects)] == [State.ADMIN_DOWN]
    again = sent(peer.silence(0.1))
    assert again
    assert {(p.state, p.diagnostic) for p in again} == {(State.ADMIN_DOWN, 7)}
    assert Over() not in peer.hear(State.UP)
    assert peer.hear(State.DOWN) == [Ignored(Wrong.ADMIN_DOWN), Over()]


def test_a_planned_end_is_over_when_nobody_hears_it() -> None:
    peer = Peer()
    peer.up().stop(peer.now)
    effects = peer.silence(0.16)
    assert effects[-1] == Over()


def test_a_planned_end_of_what_never_was_is_over_at_once() -> None:
    peer = Peer()
    assert peer.it.stop(peer.now) == [Down(Diagnostic.ADMINISTRATIVELY_DOWN), Over()]
    assert peer.it.stop(peer.now) == []


# --- passive, and peers that want nothing ---------------------------------------------------------


def test_passive_says_nothing_before_it_is_spoken_to() -> None:
    peer = Peer(FAST._replace(passive=True))
    assert peer.it.deadline() is None
    assert [p.state for p in sent(peer.hear(State.DOWN, your_discriminator=0))] == [State.INIT]
    peer.hear(State.INIT)
    peer.silence(10)
    assert peer.it.state is State.DOWN
    assert peer.it.deadline() is None


def test_a_peer_that_wants_no_packets_gets_none() -> None:
    peer = Peer()
    peer.up()
    peer.hear(State.UP, required_min_rx_us=0)
    assert peer.it.transmit_us == 0
    assert peer.it.deadline() == pytest.approx(peer.now + 0.15)


# --- intervals -----------------------------------------------------------------------------------


def test_not_up_at_most_one_packet_a_second() -> None:
    peer = Peer()
    packets_of = sent(peer.silence(60))
    assert 60 <= len(packets_of) <= 80
    assert {p.desired_min_tx_us for p in packets_of} == {1_000_000}
    assert {p.required_min_rx_us for p in packets_of} == {50_000}


def test_slower_than_a_second_stays_so() -> None:
    peer = Peer(Timers(5_000_000, 50_000, 3))
    assert {p.desired_min_tx_us for p in sent(peer.silence(60))} == {5_000_000}


@pytest.mark.parametrize(
    ("multiplier", "least", "most"), [(1, 0.75, 0.9), (2, 0.75, 1.0), (3, 0.75, 1.0)]
)
def test_intervals_are_jittered(multiplier: int, least: float, most: float) -> None:
    peer = Peer(FAST._replace(detect_mult=multiplier))
    it, times = peer.it, []
    for _ in range(400):
        due = it.deadline()
        assert due is not None
        peer.now = max(due, peer.now)
        times.append(peer.now)
        it.tick(peer.now)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert least <= min(gaps) < least + 0.02
    assert most - 0.02 < max(gaps) <= most


@pytest.mark.parametrize(
    ("ours", "theirs_rx", "expected"), [(50, 50, 50), (50, 200, 200), (200, 50, 200)]
)
def test_our_pace_is_the_slower_of_both(ours: int, theirs_rx: int, expected: int) -> None:
    peer = Peer(Timers(ours * 1000, 50_000, 3))
    peer.up()
    peer.hear(State.UP, required_min_rx_us=theirs_rx * 1000)
    assert peer.it.transmit_us == expected * 1000


@pytest.mark.parametrize(
    ("ours_rx", "theirs_tx", "theirs_mult", "expected"),
    [(50, 50, 3, 150), (50, 100, 3, 300), (100, 50, 2, 200), (50, 50, 5, 250)],
)
def test_the_detection_time_is_the_peers_multiplier_of_the_slower(
    ours_rx: int, theirs_tx: int, theirs_mult: int, expected: int
) -> None:
    peer = Peer(Timers(50_000, ours_rx * 1000, 99))
    peer.up()
    peer.hear(State.UP, desired_min_tx_us=theirs_tx * 1000, detect_mult=theirs_mult)
    assert peer.it.detect_us == expected * 1000


def test_a_peer_that_wants_to_hear_more_often_does_so_at_once() -> None:
    peer = Peer()
    it = peer.up()
    peer.hear(State.UP, required_min_rx_us=10_000_000)
    assert (it.deadline() or 0) == pytest.approx(peer.now + 0.15)
    due = it.deadline()
    peer.now += 0.1
    peer.hear(State.UP, required_min_rx_us=50_000)
    assert (it.deadline() or 0) <= peer.now  # the last packet is longer ago than that
    assert due is not None


# --- Poll Sequences ------------------------------------------------------------------------------


def test_a_poll_is_answered_at_once_and_not_with_a_poll() -> None:
    peer = Peer()
    peer.up()
    answer = sent(peer.hear(State.UP, poll=True))
    assert [(p.final, p.poll) for p in answer] == [(True, False)]


def test_a_longer_interval_of_ours_waits_for_the_peers_word() -> None:
    peer = Peer()
    it = peer.up()
    told = sent(it.change(FAST._replace(transmit_us=400_000), peer.now))
    assert [(p.poll, p.desired_min_tx_us) for p in told] == [(True, 400_000)]
    assert it.transmit_us == 50_000
    peer.hear(State.UP)
    assert it.transmit_us == 50_000
    peer.hear(State.UP, final=True)
    assert it.transmit_us == 400_000
    assert it.state is State.UP


def test_a_shorter_interval_of_ours_holds_at_once() -> None:
    peer = Peer(SLOW)
    it = peer.up()
    assert [p.poll for p in sent(it.change(FAST, peer.now))] == [True]
    assert it.transmit_us == 50_000


def test_a_shorter_detection_time_waits_for_the_peers_word() -> None:
    peer = Peer(SLOW)
    it = peer.up()
    assert it.detect_us == 900_000
    it.change(FAST, peer.now)
    assert it.detect_us == 900_000
    peer.hear(State.UP, final=True)
    assert it.detect_us == 150_000


def test_a_longer_detection_time_holds_at_once() -> None:
    peer = Peer()
    it = peer.up()
    it.change(SLOW, peer.now)
    assert it.detect_us == 900_000


def test_polls_are_repeated_until_they_are_answered() -> None:
    peer = Peer()
    it = peer.up()
    it.change(SLOW, peer.now)
    assert {p.poll for p in sent(peer.silence(0.5))} == {True}
    peer.hear(State.UP, final=True)
    assert {p.poll for p in sent(peer.silence(0.8))} == {False}


def test_one_poll_sequence_at_a_time() -> None:
    peer = Peer()
    it = peer.up()
    it.change(SLOW, peer.now)
    assert it.change(FAST._replace(transmit_us=600_000), peer.now) == []
    told = sent(peer.hear(State.UP, final=True))
    assert [(p.poll, p.desired_min_tx_us) for p in told] == [(True, 600_000)]
    assert it.transmit_us == 300_000
    peer.hear(State.UP, final=True)
    assert it.transmit_us == 600_000


def test_a_multiplier_changes_without_a_poll() -> None:
    peer = Peer()
    it = peer.up()
    assert it.change(FAST._replace(detect_mult=9), peer.now) == []
    peer.hear(State.UP)
    assert {(p.detect_mult, p.poll) for p in sent(peer.silence(0.1))} == {(9, False)}


def test_down_again_a_poll_is_forgotten() -> None:
    peer = Peer()
    it = peer.up()
    it.change(SLOW, peer.now)
    peer.silence(1)
    packet = sent(peer.silence(2))[-1]
    assert (packet.poll, packet.desired_min_tx_us) == (False, 1_000_000)
    assert it.state is State.DOWN


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    peer = Peer()
    it = peer.up()
    before = (it.transmit_us, it.detect_us)
    assert peer.hear(State.UP, final=True) == []
    assert (it.transmit_us, it.detect_us) == before


# --- what a peer may cost ------------------------------------------------------------------------


def test_a_flood_of_polls_is_answered_now_and_then() -> None:
    peer = Peer()
    peer.up()
    peer.now += 1
    answers = [sent(peer.hear(State.UP, poll=True)) for _ in range(1000)]
    assert sum(map(len, answers)) == BURST


def test_a_flood_of_changes_is_told_now_and_then() -> None:
    peer = Peer()
    peer.up()
    peer.now += 1
    effects = [peer.hear(state) for _ in range(300) for state in (State.DOWN, State.INIT)]
    assert sum(len(sent(item)) for item in effects) == BURST
    assert peer.it.downs == 300


def test_the_control_plane_is_not_independent_of_us() -> None:
    peer = Peer()
    peer.up()
    assert {p.independent for p in sent(peer.silence(0.14))} == {False}
