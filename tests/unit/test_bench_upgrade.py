"""What the benchmark of upgrades makes of what it saw."""

from __future__ import annotations

from bench.upgrade import Row, row, sums
from lab.rollout_stage import Played


def played(near: int, far: int, *gone: str) -> Played:
    failed = {"near": ["x"] * near, "nearer": ["x"], "far": ["x"] * far}
    return Played(10.4, 1000, failed, {}, gone, 0.3)


def test_losses_are_told_apart_by_where_the_client_is() -> None:
    assert row("upgrade", played(2, 5, "a/32"), "far") == Row("upgrade", 10.4, 1000, 3, 5, 1, 0.3)


def test_rows_of_a_kind_are_summed_and_their_times_averaged() -> None:
    rows = [
        Row("a", 10, 5, 1, 2, 0, 0.2),
        Row("b", 1, 1, 0, 0, 0, 0.0),
        Row("a", 20, 6, 0, 3, 1, 0.4),
    ]
    assert list(sums(rows)) == [
        Row("a, 2 runs", 15, 11, 1, 5, 1, 0.4),
        Row("b, 1 runs", 1, 1, 0, 0, 0, 0.0),
    ]


def test_a_row_is_a_line_of_markdown() -> None:
    assert (
        Row("upgrade", 10.4, 1000, 0, 5, 0, 0).text == "| upgrade | 10 | 1000 | 0 | 5 | 0 | 0.00 |"
    )
