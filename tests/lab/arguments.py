"""Numbers of a command line, refused in a sentence where they cannot be meant."""

from __future__ import annotations

import argparse


def positive(text: str) -> float:
    """More than nothing, fractions too."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is no number above 0')
    return number


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is no whole number above 0')
    return int(text)
