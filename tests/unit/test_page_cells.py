"""Maps of pools: every address is in exactly one cell, and there are never too many."""

from __future__ import annotations

import random

import pytest

from bellmetal.addresses import IPAddress, Range, parse_address, parse_range
from bellmetal.page.cells import Map, draw
from bellmetal.page.occupancy import Place

MOST = 1024


def held(*texts: str) -> dict[IPAddress, Place]:
    return {parse_address(text): Place.HELD for text in texts}


def seen(drawn: Map) -> list[str]:
    """Each cell in a few words: how many addresses, and what is in it."""
    return [
        cell.place.value if cell.single else f"{cell.range.size} with {sum(cell.counts.values())}"
        for cell in drawn.cells
    ]


def test_a_small_pool_has_a_cell_for_each_address() -> None:
    places = {**held("192.0.2.1"), parse_address("192.0.2.2"): Place.RESERVED}
    drawn = draw([parse_range("192.0.2.0/30")], places, False, MOST)
    assert seen(drawn) == ["free", "held", "reserved", "free"]


def test_what_avoid_buggy_keeps_back_is_not_free() -> None:
    places = {**held("192.0.3.0"), parse_address("192.0.2.254"): Place.COOLING}
    drawn = draw([parse_range("192.0.2.254-192.0.3.0")], places, True, MOST)
    assert seen(drawn) == ["cooling", "never", "held"]
    many = draw([parse_range("192.0.0.0/16")], {}, True, MOST)
    assert [cell.free for cell in many.cells] == [65536 - 512]


WINDOWS = [
    ("10.16.0.0/12", ["10.16.0.0", "10.16.0.1"]),
    ("2001:db8:7::/48", ["2001:db8:7::", "2001:db8:7::5", "2001:db8:7:ffff:ffff:ffff:ffff:ffff"]),
    ("2001:db8::/32", ["2001:db8:1:2:3:4:5:6"]),
]


@pytest.mark.parametrize(("pool", "texts"), WINDOWS)
def test_of_a_huge_pool_each_address_in_use_is_seen(pool: str, texts: list[str]) -> None:
    drawn = draw([parse_range(pool)], held(*texts), False, MOST)
    singles = [str(cell.range.first) for cell in drawn.cells if cell.single and cell.counts]
    assert singles == texts
    assert len(drawn.cells) < 600
    free = [cell for cell in drawn.cells if not cell.single and not cell.counts]
    assert sum(cell.range.size for cell in free) > 0.99 * parse_range(pool).size


def test_what_is_free_stays_in_one_piece() -> None:
    assert seen(draw([parse_range("2001:db8::/48")], {}, False, MOST)) == [f"{2**80} with 0"]
    drawn = draw([parse_range("10.0.0.0/8")], held("10.0.0.0"), False, MOST)
    assert seen(drawn) == ["held", *["free"] * 15, f"{2**24 - 16} with 0"]


@pytest.mark.parametrize("count", [10, 300, 10_000])
@pytest.mark.parametrize("most", [64, 1024])
def test_cells_cover_the_pool_once_and_count_all_that_is_in_it(count: int, most: int) -> None:
    dice = random.Random(count)
    ranges = [parse_range("10.16.0.0/12"), parse_range("10.64.0.7-10.64.9.1")]
    pool = [one for item in ranges for one in (int(item.first), int(item.last))]
    numbers = {*pool, *(dice.randrange(pool[0], pool[1]) for _ in range(count))}
    places = {parse_address("0.0.0.0") + number: Place.HELD for number in numbers}
    drawn = draw(ranges, places, False, most)
    assert len(drawn.cells) <= most
    assert sum(cell.counts.get("held", 0) for cell in drawn.cells) == len(numbers)
    assert _joined([cell.range for cell in drawn.cells]) == ranges


def _joined(parts: list[Range]) -> list[Range]:
    """What they are together, where each begins after the one before it."""
    found: list[Range] = []
    for part in parts:
        if found and int(found[-1].last) + 1 == int(part.first):
            found[-1] = Range(found[-1].first, part.last)
        else:
            assert not found or found[-1].last < part.first  # type: ignore[operator]
            found.append(part)
    return found


def test_ranges_for_which_there_is_no_cell_are_counted() -> None:
    ranges = [parse_range(f"10.0.{number}.0/24") for number in range(100)]
    drawn = draw(ranges, held("10.0.99.1"), False, 64)
    assert (len(drawn.cells), drawn.left_off) == (1, 36)  # the 64 are one free piece
