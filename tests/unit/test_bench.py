"""What the benchmarks make of what they saw: pure functions over words, attempts and values."""

from __future__ import annotations

import pytest

from bench.many import Seen, answer_times
from bench.moves import changes, losses
from bench.splits import contested_until
from bench.table import COUNT, Figure, Wish, markdown
from lab.capture import Word, contest, lingered
from lab.prober import Attempt, longest_wait, outage

NEVER = float("inf")


def words(text: str) -> list[Word]:
    """``a1 b2``: node a said at second 1 that the address is its own, b at second 2."""
    return [Word(float(part[1:]), part[0]) for part in text.split()]


def attempts(*rows: tuple[float, bool, float]) -> list[Attempt]:
    return [Attempt(*row) for row in rows]


@pytest.mark.parametrize(
    ("said", "together", "after"),
    [
        ("", 0, 0),
        ("a1 a2", 0, 0),
        ("a1 b2 b3", 0, 0),  # one after the other
        ("a1 b2 a4 b5", 2, 3),
        ("a1 b2 a3 b4 a5", 3, 3),  # the one that has it in the end began first
    ],
)
def test_for_how_long_two_answered(said: str, together: float, after: float) -> None:
    assert contest(words(said)) == together
    assert lingered(words(said), since=1.0) == (after if "b" in said and after else 0)


def test_what_was_said_before_a_moment_lingers_not() -> None:
    assert lingered(words("a1 b2 a3 b9"), since=4.0) == 0.0


class Recorded:
    """What was said, as a capture tells it."""

    def __init__(self, text: str) -> None:
        self._words = words(text)

    def said(self, address: str, since: float = 0) -> list[Word]:
        return [word for word in self._words if word.at >= since]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0), ("a1 a2", 0), ("a1 b2 b3", 0), ("a1 b2 a3 b4 a5 b6", 3), ("a1 b2 a3 b4 a9", 1)],
)
def test_two_answer_while_the_fault_lasts(said: str, seconds: float) -> None:
    assert contested_until(Recorded(said), "x", since=1.0, end=8.0) == seconds


def test_an_outage_ends_with_the_first_attempt_that_succeeds_for_good() -> None:
    rows = attempts((0.9, True, 0.0), (1.1, False, 1.0), (1.2, True, 0.0), (1.3, False, 1.0))
    assert outage(rows, 1.0) == NEVER
    assert outage([*rows, Attempt(1.5, True, 0.0)], 1.0) == 0.5


def test_who_waits_for_an_answer_and_gets_it_has_waited() -> None:
    assert longest_wait(attempts((0.5, True, 0.9), (1.1, True, 0.4), (1.2, True, 0.1)), 1.0) == 0.4


def test_attempts_around_a_change_are_in_flight() -> None:
    at = changes(words("a1 a2 b3 b4"))
    assert at == [3.0]
    lost = attempts((2.5, False, 1.0), (2.995, False, 1.0), (3.005, False, 1.0), (3.0, True, 0.0))
    assert losses(lost, at) == (1, 2)


def test_questions_for_what_is_announced_want_answers() -> None:
    rows = [
        Seen(1.0, "x", "c", "asked"),  # not announced yet
        Seen(2.0, "x", "a", "announced"),
        Seen(2.1, "x", "c", "asked"),
        Seen(2.2, "x", "a", "answered"),
        Seen(2.3, "x", "c", "asked"),
        Seen(9.9, "x", "c", "asked"),  # too late to be judged
        Seen(10.0, "y", "a", "announced"),
    ]
    assert answer_times(rows, {"x": 2.0}) == [pytest.approx(0.1), NEVER]


@pytest.mark.parametrize(
    ("wish", "values", "met", "row"),
    [
        (Wish("w", p50=0.5, most=1.0), [0.3, 0.4, 0.9], True,
         "| w | 400 ms | 900 ms | 3 | p50 ≤ 500 ms, max ≤ 1000 ms | yes |"),
        (Wish("w", p50=0.5, most=1.0), [0.6, 0.6], False,
         "| w | 600 ms | 600 ms | 2 | p50 ≤ 500 ms, max ≤ 1000 ms | **no** |"),
        (Wish("w", most=1.0), [0.1, NEVER], False,
         "| w | never | never | 2 | max ≤ 1000 ms | **no** |"),
        (Wish("w", COUNT, most=0), [0, 0], True, "| w | 0 | 0 | 2 | 0 | yes |"),
        (Wish("w", "s"), [2.0], None, "| w | 2.00 s | 2.00 s | 1 | \N{EN DASH} | \N{EN DASH} |"),
        (Wish("w", most=0), [], None,
         "| w | \N{EN DASH} | \N{EN DASH} | 0 | 0 | \N{EN DASH} |"),
    ],
)  # fmt: skip
def test_a_figure_against_its_wish(
    wish: Wish, values: list[float], met: bool | None, row: str
) -> None:
    figure = Figure(wish, values)
    assert figure.met is met
    assert markdown([figure]).splitlines()[2] == row
    assert figure.json()["met"] is met
