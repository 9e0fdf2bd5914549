"""IP addresses as pools see them: ranges, families, blocks; nothing here knows Kubernetes.

May live here: values made of addresses and arithmetic on them.
May not: pools, Services, sockets.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LEDGER_BLOCK_BITS = 5  # a ledger shard holds a block of 32 addresses: each write costs all of it


class Family(enum.Enum):
    """An address family, by the name that Services use for it."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


class AddressError(ValueError):
    """Text that is no address, range or CIDR; the message is a sentence that quotes it."""


@dataclass(frozen=True, slots=True)
class Range:
    """All addresses from ``first`` to ``last``, both included, of one family."""

    first: IPAddress
    last: IPAddress

    def __contains__(self, address: IPAddress) -> bool:
        return address.version == self.first.version and (
            int(self.first) <= int(address) <= int(self.last)
        )

    def __iter__(self) -> Iterator[IPAddress]:
        make = type(self.first)
        return (make(number) for number in range(int(self.first), int(self.last) + 1))

    @property
    def size(self) -> int:
        """How many addresses; not ``len``, which ends at 2⁶³."""
        return int(self.last) - int(self.first) + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def family(self) -> Family:
        """The family of both ends."""
        return family_of(self.first)

    def overlaps(self, other: Range) -> bool:
        """Whether any address is in both."""
        return other.first in self or self.first in other

    def without(self, holes: Iterable[Range]) -> Iterator[Range]:
        """What is left of it, ascending."""
        make = type(self.first)
        start = int(self.first)
        for hole in sorted((item for item in holes if item.overlaps(self)), key=_first):
            if start < int(hole.first):
                yield Range(make(start), make(int(hole.first) - 1))
            start = max(start, int(hole.last) + 1)
        if start <= int(self.last):
            yield Range(make(start), self.last)


def _first(entry: Range) -> int:
    return int(entry.first)


@lru_cache(maxsize=65536)
def parse_address(text: str) -> IPAddress:
    """One address out of its text; raises AddressError for anything else."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise AddressError(f'"{text}" is not an IP address') from None


def parse_range(text: str) -> Range:
    """A pool's entry, ``CIDR`` or ``first-last``, as a Range; raises AddressError."""
    if "-" in text:
        return _parse_first_last(text)
    if "/" not in text:
        raise AddressError(f'"{text}" is neither a CIDR nor a range')
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise AddressError(f'"{text}" is neither a CIDR nor a range') from None
    return Range(network[0], network[-1])


def _parse_first_last(text: str) -> Range:
    ends = [part.strip() for part in text.split("-", 1)]
    try:
        first, last = (parse_address(end) for end in ends)
    except AddressError as error:
        raise AddressError(f'"{text}" is not a range: {error}') from None
    if first.version != last.version:
        raise AddressError(f'"{text}" mixes IPv4 and IPv6')
    if int(first) > int(last):
        raise AddressError(f'"{text}" ends before it begins')
    return Range(first, last)


def family_of(address: IPAddress) -> Family:
    """The family of one address."""
    return Family.IPV4 if address.version == 4 else Family.IPV6


def is_buggy(address: IPAddress) -> bool:
    """Whether old routers may mistake it for a network or broadcast address (.0 and .255)."""
    return address.version == 4 and int(address) & 0xFF in (0, 0xFF)


def count_buggy(entry: Range) -> int:
    """How many addresses of a range `is_buggy` refuses."""
    if entry.family is Family.IPV6:
        return 0

    def below(number: int) -> int:  # how many of 0 … number - 1 end in .0 or .255
        return (number + 255) // 256 + number // 256

    return below(int(entry.last) + 1) - below(int(entry.first))


def block_of(address: IPAddress) -> IPNetwork:
    """The block of 32 addresses (a /27 or a /123) that shares a ledger shard with it."""
    return ipaddress.ip_network((address, address.max_prefixlen - LEDGER_BLOCK_BITS), strict=False)


LONGEST = 1000  # characters of a sentence that quotes what somebody wrote


def printable(sentence: str) -> str:
    """A sentence that may quote anything: on one line, without control characters, not too long."""
    if len(sentence) > LONGEST:
        sentence = f"{sentence[:LONGEST]}…"
    if sentence.isprintable():
        return sentence
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence)


def quoted(addresses: list[str] | tuple[str, ...]) -> str:
    """A list of texts as MetalLB's sentences show it: ``["192.0.2.1" "192.0.2.2"]``."""
    return "[" + " ".join(f'"{address}"' for address in addresses) + "]"
