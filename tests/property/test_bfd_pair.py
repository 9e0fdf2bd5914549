"""Two sessions on a wire that loses packets: what must hold whatever is lost."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bellmetal_bgp.bfd.packets import Diagnostic, State
from bellmetal_bgp.bfd.session import Down, Timers, Up
from bfd_wire import BFDWire

intervals = st.sampled_from([50_000, 100_000, 300_000, 1_000_000, 2_000_000])
active = st.just(False)
timers = st.builds(Timers, intervals, intervals, st.integers(2, 6), active, st.just(0))
quick = st.builds(
    Timers,
    st.just(50_000),
    st.sampled_from([50_000, 300_000]),
    st.integers(2, 6),
    active,
    st.just(0),
)
LEAST = 2  # of all multipliers


class Losing:
    """Loses at random, but never as many in a row as the multiplier says."""

    def __init__(self, seed: int, share: float, in_a_row: int) -> None:
        self._dice, self._share, self._most = random.Random(seed), share, in_a_row
        self._row = [0, 0]
        self.silent: set[int] = set()

    def __call__(self, end: int) -> bool:
        if end in self.silent:
            return True
        lost = self._row[end] < self._most and self._dice.random() < self._share
        self._row[end] = self._row[end] + 1 if lost else 0
        return lost


def begin(both: tuple[Timers, Timers], seed: int, lose: Losing) -> BFDWire:
    wire = BFDWire(both, seed, lose)
    wire.run(30)
    assert {end.state for end in wire.ends} == {State.UP}
    return wire


@settings(max_examples=25, deadline=None)
@given(st.tuples(timers, timers), st.integers(0, 2**32), st.floats(0, 0.6))
def test_loss_below_the_multiplier_takes_nothing_down(
    both: tuple[Timers, Timers], seed: int, share: float
) -> None:
    wire = begin(both, seed, Losing(seed, share, LEAST - 1))
    for told in wire.told:
        told.clear()
    wire.run(20)
    assert wire.told == ([], [])


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(timers, timers),
    st.lists(st.tuples(st.integers(0, 1), timers, st.floats(0, 2)), max_size=4),
    st.integers(0, 2**32),
    st.floats(0, 0.6),
)
def test_other_timers_take_nothing_down(
    both: tuple[Timers, Timers],
    changes: list[tuple[int, Timers, float]],
    seed: int,
    share: float,
) -> None:
    wire = begin(both, seed, Losing(seed, share, LEAST - 1))
    for told in wire.told:
        told.clear()
    for end, other, pause in changes:
        wire.perform(end, wire.ends[end].change(other, wire.now))
        wire.run(pause)
    wire.run(15)
    assert wire.told == ([], [])
    first, second = wire.ends
    assert first.transmit_us == max(first.timers.transmit_us, second.timers.receive_us)
    assert first.detect_us == second.timers.detect_mult * second.transmit_us
    assert second.detect_us == first.timers.detect_mult * first.transmit_us


@settings(max_examples=25, deadline=None)
@given(st.tuples(timers, timers), st.integers(0, 2**32), st.integers(0, 1))
def test_a_silent_peer_is_down_when_the_detection_time_is_over(
    both: tuple[Timers, Timers], seed: int, silent: int
) -> None:
    lose = Losing(seed, 0.0, 0)
    wire = begin(both, seed, lose)
    lose.silent.add(silent)
    wire.run(0.002)  # what is under way still arrives
    other = 1 - silent
    last, detect = wire.arrived[other], wire.ends[other].detect_us / 1e6
    wire.told[other].clear()
    wire.run(detect + 1)
    assert [effect for _, effect in wire.told[other]] == [Down(Diagnostic.DETECTION_TIME_EXPIRED)]
    assert last + detect <= wire.told[other][0][0] <= last + detect + 1e-6
    assert wire.ends[silent].state is not State.UP  # it was told


@settings(max_examples=20, deadline=None)
@given(st.tuples(timers, timers), st.integers(0, 2**32), st.booleans())
def test_what_was_cut_comes_back(both: tuple[Timers, Timers], seed: int, passive: bool) -> None:
    lose = Losing(seed, 0.0, 0)
    both = both[0]._replace(passive=passive), both[1]
    wire = begin(both, seed, lose)
    lose.silent |= {0, 1}
    wire.run(30)
    assert State.UP not in {end.state for end in wire.ends}
    lose.silent.clear()
    wire.run(30)
    assert {end.state for end in wire.ends} == {State.UP}
    assert all(isinstance(told[-1][1], Up) for told in wire.told)


@settings(max_examples=20, deadline=None)
@given(st.tuples(quick, quick), st.integers(0, 2**32), st.integers(0, 1))
def test_a_planned_end_is_no_failure(both: tuple[Timers, Timers], seed: int, end: int) -> None:
    wire = begin(both, seed, Losing(seed, 0.3, LEAST - 1))
    wire.perform(end, wire.ends[end].stop(wire.now))
    wire.run(1)
    other = wire.ends[1 - end]
    assert (other.state, other.remote_state) == (State.DOWN, State.ADMIN_DOWN)
    assert other.diagnostic is Diagnostic.NEIGHBOR_SIGNALED_DOWN
    assert other.remote_diagnostic == Diagnostic.ADMINISTRATIVELY_DOWN
