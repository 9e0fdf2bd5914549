"""Interfaces that come and go: when that counts."""

from __future__ import annotations

import pytest

from bellmetal.carriers import LONGEST, QUIET, Carriers
from bellmetal.cluster import Link

UP, OUT = (Link("eth0"),), ()


def told(carriers: Carriers, now: float, text: str) -> str:
    """Each node is a letter: capital with its interface, small without, ``-`` without report."""
    reported = {letter.lower(): UP if letter.isupper() else OUT for letter in text if letter != "-"}
    carriers.observe(reported, now)
    return "".join(
        name.upper() if carriers.links[name] else name for name in sorted(carriers.links)
    )


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        pytest.param([(0, "ABC")], "ABC", id="what is told first counts at once"),
        pytest.param([(0, "a"), (0.1, "A")], "A", id="so does the first interface"),
        pytest.param([(0, "A"), (1, "AB")], "AB", id="and a node that is new"),
        pytest.param([(0, "AB"), (1, "A")], "A", id="a report that is gone: it is not known"),
        pytest.param([(0, "AB"), (1, "aB")], "AB", id="one that is lost counts on"),
        pytest.param([(0, "AB"), (1, "aB"), (1 + QUIET, "aB")], "aB", id="until it was quiet"),
        pytest.param([(0, "AB"), (1, "aB"), (2, "AB"), (9, "AB")], "AB", id="it was away shortly"),
        pytest.param(
            [(0, "ABC"), (1, "aBC"), (3, "abC"), (5, "abc"), (8, "abc")],
            "ABC",
            id="a switch restarts: nothing counts as long as more goes",
        ),
        pytest.param(
            [(0, "ABC"), (1, "aBC"), (3, "abC"), (5, "abc"), (5 + QUIET, "abc")],
            "abc",
            id="then all at once",
        ),
        pytest.param(
            [(0, "AB"), (1, "ab"), (9, "ab"), (60, "aB"), (62, "AB"), (66, "AB")],
            "ab",
            id="they return: nothing counts as long as more returns",
        ),
        pytest.param(
            [(0, "AB"), (1, "ab"), (9, "ab"), (60, "aB"), (62, "AB"), (62 + QUIET, "AB")],
            "AB",
            id="they return together",
        ),
        pytest.param(
            [(0, "AB"), *((1 + 2 * n, "aB" if n % 2 else "ab") for n in range(16))],
            "aB",
            id="one that never comes to rest keeps nobody waiting for ever",
        ),
    ],
)
def test_when_it_counts(steps: list[tuple[float, str]], counts: str) -> None:
    carriers, found = Carriers(), ""
    for now, text in steps:
        found = told(carriers, float(now), text)
    assert found == counts


def test_when_to_look_again() -> None:
    carriers = Carriers()
    told(carriers, 0.0, "AB")
    assert carriers.deadline() is None
    told(carriers, 1.0, "aB")
    assert carriers.deadline() == 1.0 + QUIET
    told(carriers, 29.0, "ab")
    assert carriers.deadline() == 1.0 + LONGEST
