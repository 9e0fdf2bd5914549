"""Classic BPF programs: the kernel drops what does not concern us before Python is woken.

An ARP filter lets requests for the given addresses pass. A program holds 4,096 instructions at
most, so many addresses are covered by wider prefixes; what slips through is dropped by the
responder. Instructions are (code, jump if true, jump if false, operand), as in linux/filter.h.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from bellmetal_layer2.beacon import PORT

Instruction: TypeAlias = tuple[int, int, int, int]
_Prefix: TypeAlias = tuple[int, int]  # first address, length

MAX_PREFIXES = 1000  # four instructions each

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # absolute offset
_AND, _JUMP_EQUAL, _RETURN = 0x54, 0x15, 0x06
_ALL, _NOTHING = 0x40000, 0
_ARP_OPERATION, _ARP_TARGET = 20, 38
_IPV6_NEXT_HEADER, _IPV6_DESTINATION, _UDP_PORT = 20, 38, 56


def arp_requests_for(addresses: Iterable[ipaddress.IPv4Address]) -> list[Instruction]:
    """Accepts ARP requests whose target is one of the addresses (or covered along with one)."""
    program: list[Instruction] = [
        (_LOAD_HALF, 0, 0, _ARP_OPERATION),
        (_JUMP_EQUAL, 1, 0, 1),
        (_RETURN, 0, 0, _NOTHING),
    ]
    for prefix in cover(addresses, MAX_PREFIXES):
        program += [
            (_LOAD_WORD, 0, 0, _ARP_TARGET),
            (_AND, 0, 0, int(prefix.netmask)),
            (_JUMP_EQUAL, 0, 1, int(prefix.network_address)),
            (_RETURN, 0, 0, _ALL),
        ]
    return [*program, (_RETURN, 0, 0, _NOTHING)]


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


def cover(addresses: Iterable[ipaddress.IPv4Address], most: int) -> list[ipaddress.IPv4Network]:
    """At most ``most`` prefixes that contain all addresses, as narrow as that allows."""
    exact: list[_Prefix] = []
    for number in sorted({int(item) for item in addresses}):
        exact.append((number, 32))
        while len(exact) > 1 and _are_halves(exact[-2], exact[-1]):
            exact.pop()
            exact[-1] = exact[-1][0], exact[-1][1] - 1
    return [ipaddress.IPv4Network(prefix) for prefix in _widen(exact, most)]


def _are_halves(low: _Prefix, high: _Prefix) -> bool:
    return low[1] == high[1] and low[0] ^ high[0] == 1 << (32 - low[1])


def _widen(prefixes: list[_Prefix], most: int) -> list[_Prefix]:
    """Joins neighbours, those with most bits in common first, until there are few enough."""
    common = [32 - (low ^ high).bit_length() for (low, _), (high, _) in pairwise(prefixes)]
    by_bits = sorted(range(len(common)), key=lambda index: common[index], reverse=True)
    joined = set(by_bits[: max(0, len(prefixes) - most)])
    found: list[_Prefix] = []
    for index, prefix in enumerate(prefixes):
        if index - 1 in joined:
            length = min(found[-1][1], common[index - 1])
            found[-1] = found[-1][0] >> (32 - length) << (32 - length), length
        else:
            found.append(prefix)
    return found
