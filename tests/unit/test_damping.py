"""Nodes that come and go: which are unsteady, and until when."""

from __future__ import annotations

import pytest

from bellmetal.damping import Damping
from builders import node

MIN = 60.0


def lived(*moments: tuple[float, bool, str]) -> tuple[Damping, float]:
    """A node that was seen so: minute, ready, boot id of its speaker."""
    damping, now = Damping(), 0.0
    for minute, ready, boot in moments:
        now = minute * MIN
        damping.observe({"n1": node("n1", ready=ready)}, {"n1": boot} if boot else {}, now)
    return damping, now


def away(*minutes: float) -> list[tuple[float, bool, str]]:
    """Ready at first; at each of these minutes it is not, and half a minute later it is again."""
    found = [(0.0, True, "1")]
    for minute in minutes:
        found += [(minute, False, "1"), (minute + 0.5, True, "1")]
    return found


@pytest.mark.parametrize(
    ("moments", "unsteady"),
    [
        pytest.param([(0, True, "1")], False, id="it is there"),
        pytest.param([(0, False, "")], False, id="it was not there when we came"),
        pytest.param(away(1), False, id="once"),
        pytest.param(away(1, 2), False, id="twice"),
        pytest.param(away(1, 2, 3), True, id="three times in two minutes"),
        pytest.param(away(1, 3, 5), True, id="three times in four minutes"),
        pytest.param(away(1, 11, 21), False, id="three times in twenty minutes"),
        pytest.param(
            [(0, True, "1"), (1, True, "2"), (2, True, "3"), (3, True, "4")],
            True,
            id="its speaker started again three times",
        ),
        pytest.param(
            [(0, True, ""), (1, True, "2")], False, id="its speaker came for the first time"
        ),
        pytest.param(
            [(0, True, "1"), (1, True, ""), (2, True, "1")], False, id="no report for a while"
        ),
        pytest.param(
            [
                (0, True, "1"),
                *((1, False, "1"), (2, True, "1"), (3, True, "2")),
                *((4, False, "2"), (5, True, "2"), (6, True, "3")),
            ],
            False,
            id="two restarts of the machine are two absences, not four",
        ),
        pytest.param(
            [(0, True, "1"), (1, False, "1"), (1.5, False, "2"), (2, True, "2"), (3, True, "3")],
            False,
            id="a later start of its speaker is another one",
        ),
    ],
)
def test_which_nodes_are_unsteady(moments: list[tuple[float, bool, str]], unsteady: bool) -> None:
    damping, _ = lived(*moments)
    assert bool(damping.unsteady) is unsteady


def test_how_often_in_what_time_and_until_when() -> None:
    damping, _ = lived(*away(1, 3, 5))
    found = damping.unsteady["n1"]
    assert (found.flaps, found.within) == (3, 4 * MIN)
    assert damping.deadline() == found.until
    assert 10 * MIN < found.until < 12 * MIN
    damping.observe({"n1": node("n1")}, {"n1": "1"}, found.until - 1)
    assert damping.unsteady
    damping.observe({"n1": node("n1")}, {"n1": "1"}, found.until + 0.1)
    assert (damping.unsteady, damping.deadline()) == ({}, None)


def test_however_often_it_went_away_it_is_steady_after_a_quarter_of_an_hour() -> None:
    damping, now = lived(*away(*range(1, 60)))
    assert damping.unsteady["n1"].until - now <= 15 * MIN


def test_what_was_long_ago_is_not_counted() -> None:
    damping, _ = lived(*away(1, 61, 62, 63))
    assert damping.unsteady["n1"].flaps == 3


def test_a_node_that_is_gone_is_forgotten() -> None:
    damping, now = lived(*away(1, 2, 3))
    damping.observe({}, {}, now)
    damping.observe({"n1": node("n1")}, {"n1": "9"}, now + 1)
    assert damping.unsteady == {}
