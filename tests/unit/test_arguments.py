"""Numbers of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from lab.arguments import count, positive


@pytest.mark.parametrize(
    ("read", "text", "number"), [(positive, "0.5", 0.5), (positive, "3", 3.0), (count, "7", 7)]
)
def test_numbers_that_can_be_meant(read: Callable[[str], float], text: str, number: float) -> None:
    assert read(text) == number


@pytest.mark.parametrize("text", ["", "x", "0", "-3", "nan", "inf", "1e400"])
@pytest.mark.parametrize("read", [positive, count])
def test_all_others_are_refused_in_a_sentence(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f'"{text}" is no '):
        read(text)
