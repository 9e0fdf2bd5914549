"""Classic BPF programs: the kernel drops what does not concern us before Python is woken.

An ARP filter lets requests for the given addresses pass. A program holds 4,096 instructions at
most, so many addresses are covered by wider prefixes; what slips through is dropped by the
responder. Instructions are (code, jump if true, jump if false, operand), as in linux/filter.h.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from bellmetal_layer2.beacon import PORT

Instruction: TypeAlias = tuple[int, int, int, int]

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
    prefixes = list(ipaddress.collapse_addresses(ipaddress.IPv4Network(a) for a in addresses))
    length = 31
    while len(prefixes) > most:
        wider = {p.supernet(new_prefix=length) if p.prefixlen > length else p for p in prefixes}
        prefixes = list(ipaddress.collapse_addresses(wider))
        length -= 1
    return prefixes
