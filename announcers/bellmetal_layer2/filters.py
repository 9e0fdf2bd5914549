"""Classic BPF programs: the kernel drops what does not concern us before Python is woken.

The filters let questions about the given addresses pass, and what says that somebody has one of
them. A program holds 4,096 instructions at most, so many addresses are covered by wider prefixes;
what slips through is dropped behind it. The kernel takes a VLAN's tag out of a frame before a
filter sees it, so that all offsets stay. Instructions are (code, jump if true, jump if false,
operand), as in linux/filter.h.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import TypeAlias, TypeVar

from bellmetal.addresses import IPNetwork
from bellmetal_layer2.arp import REPLY, REQUEST
from bellmetal_layer2.beacon import PORT
from bellmetal_layer2.ndp import ADVERTISEMENT, ICMPV6, SOLICITATION

Instruction: TypeAlias = tuple[int, int, int, int]
_Prefix: TypeAlias = tuple[int, int]  # first address, length
_Address = TypeVar("_Address", ipaddress.IPv4Address, ipaddress.IPv6Address)

MAX_PREFIXES = 1000  # of IPv4, an instruction each and some for each length, twice
MAX_PREFIXES6 = 400  # of IPv6, ten instructions each at most
LONGEST_JUMP = 255  # of a comparison

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # absolute offset
_AND, _JUMP, _JUMP_EQUAL, _RETURN = 0x54, 0x05, 0x15, 0x06
_ALL, _NOTHING = 0x40000, 0
_ARP_OPERATION, _ARP_SENDER, _ARP_TARGET = 20, 28, 38
_IPV6_NEXT_HEADER, _IPV6_DESTINATION, _UDP_PORT = 20, 38, 56
_ICMP_TYPE, _ICMP_TARGET = 54, 62
_WORD, _ONES = 32, 0xFFFFFFFF


def arp_about(addresses: Iterable[ipaddress.IPv4Address]) -> list[Instruction]:
    """Accepts what concerns one of the addresses (or what is covered along with one).

    Requests for it; whatever says that its sender has it; and answers to probes (RFC 5227), whose
    target is nobody, whoever they come from.
    """
    prefixes = cover(addresses, MAX_PREFIXES)
    targets, senders = _any_of(_ARP_TARGET, prefixes), _any_of(_ARP_SENDER, prefixes)
    return [
        (_LOAD_HALF, 0, 0, _ARP_OPERATION),
        (_JUMP_EQUAL, 2, 0, REPLY),
        (_JUMP_EQUAL, 5, 0, REQUEST),
        (_RETURN, 0, 0, _NOTHING),
        (_LOAD_WORD, 0, 0, _ARP_TARGET),
        (_JUMP_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALL),
        (_JUMP, 0, 0, len(targets)),
        *targets,
        *senders,
        (_RETURN, 0, 0, _NOTHING),
    ]


def _any_of(offset: int, prefixes: Iterable[IPNetwork]) -> list[Instruction]:
    """Accepts a word in one of the prefixes, else goes on behind this."""
    program: list[Instruction] = []
    by_length = sorted(prefixes, key=lambda prefix: prefix.prefixlen)
    for length, group in groupby(by_length, key=lambda prefix: prefix.prefixlen):
        program.append((_LOAD_WORD, 0, 0, offset))
        if length < _WORD:
            program.append((_AND, 0, 0, _ONES << (_WORD - length) & _ONES))
        values = [int(prefix.network_address) for prefix in group]
        for at in range(0, len(values), LONGEST_JUMP):
            program += _equal_to_one(values[at : at + LONGEST_JUMP])
    return program


def _equal_to_one(values: list[int]) -> list[Instruction]:
    """Accepts what is loaded if it is one of the values, else goes on behind this."""
    last = len(values) - 1
    tests: list[Instruction] = [
        (_JUMP_EQUAL, last - at, int(at == last), value) for at, value in enumerate(values)
    ]
    return [*tests, (_RETURN, 0, 0, _ALL)]


def neighbours_about(
    addresses: Iterable[ipaddress.IPv6Address], decoy: int = 0
) -> list[Instruction]:
    """Accepts neighbour solicitations and advertisements of one of the addresses (or what is
    covered with one), and advertisements of any whose last 64 bits are the ``decoy``'s."""
    program: list[Instruction] = [
        (_LOAD_BYTE, 0, 0, _IPV6_NEXT_HEADER),
        (_JUMP_EQUAL, 0, 3, ICMPV6),
        (_LOAD_BYTE, 0, 0, _ICMP_TYPE),
        (_JUMP_EQUAL, 6, 0, SOLICITATION),
        (_JUMP_EQUAL, 1, 0, ADVERTISEMENT),
        (_RETURN, 0, 0, _NOTHING),
        (_LOAD_WORD, 0, 0, _ICMP_TARGET + 12),
        (_JUMP_EQUAL, 0, 2, decoy & _ONES),
        (_LOAD_WORD, 0, 0, _ICMP_TARGET + 8),
        (_JUMP_EQUAL, 1, 0, decoy >> _WORD & _ONES),
    ]
    program += [(_JUMP, 0, 0, 1), (_RETURN, 0, 0, _ALL)]
    for prefix in cover(addresses, MAX_PREFIXES6):
        program += _targets_in(prefix)
    return [*program, (_RETURN, 0, 0, _NOTHING)]


def _targets_in(prefix: IPNetwork) -> list[Instruction]:
    """Accepts a target in the prefix, else goes on behind this. Last bits first: most differ."""
    tests: list[list[Instruction]] = []
    for word in reversed(range(-(-prefix.prefixlen // _WORD))):
        shift = 96 - word * _WORD
        mask = int(prefix.netmask) >> shift & _ONES
        wanted = int(prefix.network_address) >> shift & _ONES
        load: Instruction = (_LOAD_WORD, 0, 0, _ICMP_TARGET + word * 4)
        cut: list[Instruction] = [(_AND, 0, 0, mask)] if mask != _ONES else []
        tests.append([load, *cut, (_JUMP_EQUAL, 0, 0, wanted)])
    program = [*(step for test in tests for step in test), (_RETURN, 0, 0, _ALL)]
    return [
        (code, yes, len(program) - at - 1 if code == _JUMP_EQUAL else no, operand)
        for at, (code, yes, no, operand) in enumerate(program)
    ]


def beacons() -> list[Instruction]:
    """Accepts UDP to the beacon's port at all nodes of the link, in IPv6 without options."""
    return [
        (_LOAD_BYTE, 0, 0, _IPV6_NEXT_HEADER),
        (_JUMP_EQUAL, 0, 5, 17),
        (_LOAD_WORD, 0, 0, _IPV6_DESTINATION),
        (_JUMP_EQUAL, 0, 3, 0xFF020000),
        (_LOAD_HALF, 0, 0, _UDP_PORT),
        (_JUMP_EQUAL, 0, 1, PORT),
        (_RETURN, 0, 0, _ALL),
        (_RETURN, 0, 0, _NOTHING),
    ]


def cover(addresses: Iterable[_Address], most: int) -> list[IPNetwork]:
    """At most ``most`` prefixes that contain all addresses, as narrow as that allows."""
    given = list(addresses)
    if not given:
        return []
    four = isinstance(given[0], ipaddress.IPv4Address)
    network, width = (ipaddress.IPv4Network, 32) if four else (ipaddress.IPv6Network, 128)
    numbers = sorted({int(address) for address in given})  # numbers: ten times as fast
    exact = [prefix for run in _runs(numbers) for prefix in _prefixes(*run, width)]
    return [network(prefix) for prefix in _widen(exact, most, width)]


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Of numbers in their order: the first of each gapless run, and the one after its last."""
    first = end = -1
    for number in numbers:
        if number != end:
            if end > first:
                yield first, end
            first = number
        end = number + 1
    if end > first:
        yield first, end


def _prefixes(first: int, end: int, width: int) -> Iterator[_Prefix]:
    """The fewest that contain exactly these numbers."""
    while first < end:
        aligned = (first & -first).bit_length() - 1 if first else width
        bits = min(aligned, (end - first).bit_length() - 1)
        yield first, width - bits
        first += 1 << bits


def _widen(prefixes: list[_Prefix], most: int, width: int) -> list[_Prefix]:
    """Joins neighbours, those with most bits in common first, until there are few enough."""
    common = [width - (low ^ high).bit_length() for (low, _), (high, _) in pairwise(prefixes)]
    by_bits = sorted(range(len(common)), key=lambda index: common[index], reverse=True)
    joined = set(by_bits[: max(0, len(prefixes) - most)])
    found: list[_Prefix] = []
    for index, prefix in enumerate(prefixes):
        if index - 1 in joined:
            length = min(found[-1][1], common[index - 1])
            found[-1] = found[-1][0] >> (width - length) << (width - length), length
        else:
            found.append(prefix)
    return found
