"""How far this node is in giving up its routes: a table of times."""

from __future__ import annotations

import pytest

from bellmetal_bgp.drains import Drains
from bellmetal_bgp.views import Phase

NONE, DOWN, GONE = Phase.NONE, Phase.SHUTTING_DOWN, Phase.GONE


@pytest.mark.parametrize(
    ("drain_time", "at", "phase"),
    [
        (10.0, 100.0, DOWN),
        (10.0, 109.9, DOWN),
        (10.0, 110.0, GONE),
        (10.0, 1e6, GONE),
        (0.0, 100.0, GONE),
        (60.0, 110.0, DOWN),
    ],
)
def test_the_phases(drain_time: float, at: float, phase: Phase) -> None:
    drains = Drains()
    drains.take(["old"], 100.0)
    assert drains.phase("old", drain_time, at) is phase
    assert drains.phase("other", drain_time, at) is NONE


def test_told_again_it_goes_on_from_where_it_began() -> None:
    drains = Drains()
    for now in (100.0, 105.0, 109.0):
        drains.take(["old"], now)
    assert drains.phase("old", 10.0, 110.0) is GONE


def test_a_drain_that_was_called_off_begins_anew() -> None:
    drains = Drains()
    drains.take(["old"], 100.0)
    drains.take([], 105.0)
    assert drains.phase("old", 10.0, 105.0) is NONE
    drains.take(["old"], 108.0)
    assert drains.phase("old", 10.0, 112.0) is DOWN


def test_when_the_next_phase_begins() -> None:
    drains = Drains()
    assert drains.next_change([10.0, 60.0], 100.0) is None
    drains.take(["old"], 100.0)
    assert drains.next_change([], 100.0) is None
    for now, due in ((100.0, 110.0), (110.0, 160.0), (159.9, 160.0), (160.0, None)):
        assert drains.next_change([10.0, 60.0, 10.0, 0.0], now) == due
    drains.take(["old", "older"], 130.0)
    assert drains.next_change([10.0, 60.0], 130.0) == 140.0
