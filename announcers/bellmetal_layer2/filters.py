"""Classic BPF programs: the kernel drops what does not concern us before Python is woken.

The filters let requests and solicitations for the given addresses pass. A program holds 4,096
instructions at most, so many addresses are covered by wider prefixes; what slips through is dropped
by the responder. The kernel takes a VLAN's tag out of a frame before a filter sees it, so that all
offsets stay. Instructions are (code, jump if true, jump if false, operand), as in linux/filter.h.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias, TypeVar

from bellmetal.addresses import IPNetwork
from bellmetal_layer2.beacon import PORT
from bellmetal_layer2.ndp import ICMPV6, SOLICITATION

Instruction: TypeAlias = tuple[int, int, int, int]
_Prefix: TypeAlias = tuple[int, int]  # first address, length
_Address = TypeVar("_Address", ipaddress.IPv4Address, ipaddress.IPv6Address)

MAX_PREFIXES = 1000  # of IPv4, four instructions each
MAX_PREFIXES6 = 400  # of IPv6, ten instructions each at most

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # absolute offset
_AND, _JUMP_EQUAL, _RETURN = 0x54, 0x15, 0x06
_ALL, _NOTHING = 0x40000, 0
_ARP_OPERATION, _ARP_TARGET = 20, 38
_IPV6_NEXT_HEADER, _IPV6_DESTINATION, _UDP_PORT = 20, 38, 56
_ICMP_TYPE, _ICMP_TARGET = 54, 62
_WORD, _ONES = 32, 0xFFFFFFFF


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


def solicitations_for(addresses: Iterable[ipaddress.IPv6Address]) -> list[Instruction]:
    """Accepts neighbour solicitations for one of the addresses (or what is covered with one)."""
    program: list[Instruction] = [
        (_LOAD_BYTE, 0, 0, _IPV6_NEXT_HEADER),
        (_JUMP_EQUAL, 0, 2, ICMPV6),
        (_LOAD_BYTE, 0, 0, _ICMP_TYPE),
        (_JUMP_EQUAL, 1, 0, SOLICITATION),
        (_RETURN, 0, 0, _NOTHING),
    ]
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
    wanted = sorted(set(addresses))
    if not wanted:
        return []
    kind, width = type(wanted[0]), wanted[0].max_prefixlen
    network = ipaddress.IPv4Network if kind is ipaddress.IPv4Address else ipaddress.IPv6Network
    exact: list[_Prefix] = []
    for address in wanted:
        exact.append((int(address), width))
        while len(exact) > 1 and _are_halves(exact[-2], exact[-1], width):
            exact.pop()
            exact[-1] = exact[-1][0], exact[-1][1] - 1
    return [network(prefix) for prefix in _widen(exact, most, width)]


def _are_halves(low: _Prefix, high: _Prefix, width: int) -> bool:
    return low[1] == high[1] and low[0] ^ high[0] == 1 << (width - low[1])


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
