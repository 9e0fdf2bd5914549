"""Entries of pools: their text → Range, and which of thousands overlap, in one sweep's time."""

from __future__ import annotations

import bisect

from bellmetal.addresses import AddressError, IPAddress, Range, parse_address, parse_range


def read_entry(text: str) -> Range:
    """``CIDR`` or ``first-last``; raises AddressError. No zones, and no masks but lengths."""
    if "%" in text:
        raise AddressError(f'"{text}" has a zone, which means nothing to other machines')
    _, slash, length = text.partition("/")
    if slash and "-" not in text and not (length.isascii() and length.isdecimal()):
        raise AddressError(f'"{text}" is neither a CIDR nor a range')
    return parse_range(text)


def read_address(text: str) -> IPAddress:
    """One address, without a zone; raises AddressError."""
    if "%" in text:
        raise AddressError(f'"{text}" is not an IP address')
    return parse_address(text)


class Taken:
    """Which addresses are taken, and by whom. Both methods cost the logarithm of the entries."""

    def __init__(self) -> None:
        self._pieces: dict[int, _Pieces] = {4: _Pieces(), 6: _Pieces()}

    def find(self, entry: Range) -> str | None:
        """Somebody who has addresses of ``entry``."""
        return self._pieces[entry.first.version].find(int(entry.first), int(entry.last))

    def add(self, entry: Range, owner: str) -> None:
        """From now on all of ``entry`` is the owner's."""
        self._pieces[entry.first.version].add(int(entry.first), int(entry.last), owner)


class _Pieces:
    """Disjoint pieces of one family, ascending."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.lasts: list[int] = []
        self.owners: list[str] = []

    def find(self, first: int, last: int) -> str | None:
        at = bisect.bisect_right(self.firsts, last) - 1
        return self.owners[at] if at >= 0 and self.lasts[at] >= first else None

    def add(self, first: int, last: int, owner: str) -> None:
        """What it covers of other pieces it takes over: each piece is removed only once."""
        low = bisect.bisect_left(self.lasts, first)
        high = bisect.bisect_right(self.firsts, last)
        new = [(first, last, owner)]
        if low < high and self.firsts[low] < first:
            new.insert(0, (self.firsts[low], first - 1, self.owners[low]))
        if low < high and self.lasts[high - 1] > last:
            new.append((last + 1, self.lasts[high - 1], self.owners[high - 1]))
        self.firsts[low:high] = [piece[0] for piece in new]
        self.lasts[low:high] = [piece[1] for piece in new]
        self.owners[low:high] = [piece[2] for piece in new]
