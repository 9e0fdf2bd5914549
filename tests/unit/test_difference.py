"""What is other in a node's share than in the one before."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from bellmetal.intents import Announcement
from bellmetal_layer2.difference import Difference

ONE, TWO, THREE = (
    Announcement(ipaddress.IPv4Address(f"192.0.2.{number}"), 1, "n1", "all") for number in (1, 2, 3)
)
ANEW, MOVED = replace(TWO), replace(TWO, owner="n2", term=2)


@pytest.mark.parametrize(
    ("before", "now", "other", "gone"),
    [
        pytest.param((), (), [], [], id="nothing at all"),
        pytest.param((ONE, TWO), (ONE, TWO), [], [], id="the same"),
        pytest.param((ONE, TWO), (TWO, ONE), [], [], id="in another order"),
        pytest.param((), (ONE,), [ONE], [], id="one more"),
        pytest.param((ONE, TWO), (TWO,), [], [ONE], id="one less"),
        pytest.param((ONE, TWO), (ONE, ANEW), [ANEW], [], id="the same, read anew"),
        pytest.param((ONE, TWO), (ONE, MOVED), [MOVED], [], id="it says something else"),
        pytest.param((ONE, TWO), (THREE, MOVED), [THREE, MOVED], [ONE], id="all of it"),
        pytest.param((ONE, TWO), (), [], [ONE, TWO], id="none is left"),
    ],
)
def test_what_is_other_and_what_is_gone(
    before: tuple[Announcement, ...],
    now: tuple[Announcement, ...],
    other: list[Announcement],
    gone: list[Announcement],
) -> None:
    found = Difference.between(before, now)
    assert [id(item) for item in found.other] == [id(item) for item in other]
    assert found.gone == {item.address for item in gone}
