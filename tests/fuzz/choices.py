"""Bytes as a list of choices: what a fuzzer invents becomes a story. Nothing else.

Where the bytes end every choice is the first one, so that each prefix is a story too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads choices off bytes; `left` tells whether there are more."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def number(self, octets: int = 1) -> int:
        """Big-endian."""
        piece = self._data[self._at : self._at + octets]
        self._at += octets
        return int.from_bytes(piece.ljust(octets, b"\0"), "big")

    def of(self, items: Sequence[T]) -> T:
        return items[self.number() % len(items)]

    def flag(self) -> bool:
        return self.number() % 2 == 1

    def octets(self, length: int) -> bytes:
        piece = self._data[self._at : self._at + length]
        self._at += length
        return piece

    def rest(self) -> bytes:
        return self.octets(len(self._data))
