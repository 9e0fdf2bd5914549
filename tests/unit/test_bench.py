"""What the benchmarks make of what they saw: pure functions over words, attempts and values."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import ClassVar

import pytest

from bench.many import Seen, answer_times
from bench.moves import changes, losses
from bench.play import Bench, report
from bench.rows import Row, Values
from bench.splits import contested_until
from bench.table import COUNT, Figure, Wish, markdown
from lab.capture import Word, contest, lingered
from lab.errors import LabError
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
        (Wish("w", "times", p50=1.5), [1.2, 1.6], True,
         "| w | 1.40 times | 1.60 times | 2 | p50 ≤ 1.50 times | yes |"),
        (Wish("w", "%", most=0.01), [0.0125], False,
         "| w | 1.25 % | 1.25 % | 1 | max ≤ 1.00 % | **no** |"),
        (Wish("w", COUNT, no_more=True), [3], False, "| w | 3 | 3 | 1 | no more | **no** |"),
        (Wish("w", COUNT, no_more=True), [-1, 3, -1, 2, -2], True,
         "| w | -1 | 3 | 5 | no more | yes |"),
        (Wish("w", COUNT, no_more=True), [3, 2, 4, 2, 3], False,
         "| w | 3 | 4 | 5 | no more | **no** |"),
        (Wish("w", no_more=True), [-0.0001], True, "| w | 0 ms | 0 ms | 1 | no more | yes |"),
        (Wish("w", COUNT, no_more=True), [1, 1], False, "| w | 1 | 1 | 2 | no more | **no** |"),
        (Wish("w", COUNT, no_more=True), [NEVER, 0], False,
         "| w | never | never | 2 | no more | **no** |"),
    ],
)  # fmt: skip
def test_a_figure_against_its_wish(
    wish: Wish, values: list[float], met: bool | None, row: str
) -> None:
    figure = Figure(wish, values)
    assert figure.met is met
    assert markdown([figure]).splitlines()[2] == row
    assert figure.json()["met"] is met


# --- playing --------------------------------------------------------------------------------------


class Boards:
    """A stage that counts how often it is brought up, and who is on it now."""

    title: ClassVar[str] = "boards"
    opened_so_far: ClassVar[int] = 0
    there: ClassVar[int] = 0

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[str]:
        Boards.opened_so_far += 1
        Boards.there += 1
        try:
            yield "boards"
        finally:
            Boards.there -= 1


@pytest.fixture
def boards() -> Iterator[type[Boards]]:
    Boards.opened_so_far = Boards.there = 0
    yield Boards
    assert Boards.there == 0


WISHES = {"things": Wish("things", COUNT, most=2)}


def test_rows_share_a_stage_and_may_measure_several_at_once(boards: type[Boards]) -> None:
    def once(stage: str, number: int) -> Values:
        return {"things": [number, len(stage)]}

    said: list[str] = []
    rows = [Row(name, WISHES, once, share, stage=boards) for name, share in (("a", 1), ("b", 0.1))]
    bench = Bench(rows, 2, said.append)
    bench.play()
    assert [result.figures["things"].values for result in bench.results] == [[0, 6, 1, 6], [0, 6]]
    assert boards.opened_so_far == 1
    assert said[:2] == ["bringing up boards", "a 1/2: things 3 [0 s left]"]


def test_a_run_that_breaks_down_is_told_and_played_on_a_new_stage(boards: type[Boards]) -> None:
    def once(stage: str, number: int) -> Values:
        if number == 0:
            raise LabError("no light")
        return {"things": 1}

    bench = Bench([Row("a", WISHES, once, stage=boards)], 2, lambda text: None)
    bench.play()
    assert boards.opened_so_far == 2
    assert bench.results[0].problems == ["run 1: no light"]
    assert bench.results[0].figures["things"].values == [1]
    assert report(bench.results, "table").splitlines()[-1] == "a, run 1: no light"
    assert json.loads(report(bench.results, "json"))[0]["problems"] == ["run 1: no light"]


def test_a_row_that_always_breaks_down_is_given_up(boards: type[Boards]) -> None:
    def once(stage: str, number: int) -> Values:
        raise LabError("no light")

    bench = Bench([Row("a", WISHES, once, stage=boards)], 9, lambda text: None)
    bench.play()
    assert len(bench.results[0].problems) == 3


def test_what_is_interrupted_leaves_nothing_and_keeps_what_was_measured(
    boards: type[Boards],
) -> None:
    def once(stage: str, number: int) -> Values:
        if number == 1:
            raise KeyboardInterrupt
        return {"things": 1}

    bench = Bench([Row("a", WISHES, once, stage=boards)], 3, lambda text: None)
    with pytest.raises(KeyboardInterrupt):
        bench.play()
    assert bench.results[0].figures["things"].values == [1]
