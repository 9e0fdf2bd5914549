"""Programs of classic BPF for BFD's sockets: which datagrams are worth reading, and which first.

Bytes for the kernel, no sockets. Imported by the small process that keeps time, so it imports next
to nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

LOAD_WORD, LOAD_HALF, LOAD_BYTE, AND = 0x20, 0x28, 0x30, 0x54  # linux/bpf_common.h
JUMP_EQUAL, JUMP_EQUAL_X, TO_X, RETURN = 0x15, 0x1D, 0x07, 0x06
NETWORK_HEADER = 0xFFF00000  # linux/filter.h: SKF_NET_OFF
SOURCE = {4: 12, 16: 8}  # where the source address stands in the IP header, by its length
TTL = {4: 8, 16: 7}  # and the TTL or hop limit
EVERYTHING = 0xFFFF
STRANGERS, KNOWN = 0, 1  # sockets of a group; what cannot be read counts as the first
YOUR_DISCRIMINATOR = 8  # where it stands in a packet


def sources(addresses: Sequence[bytes]) -> bytes:
    """Lets in what comes from these addresses, all of one family; for one socket."""
    return b"".join(_sources(addresses))


def _sources(addresses: Sequence[bytes]) -> Iterator[bytes]:
    for address in addresses:
        words = len(address) // 4
        for number, (word,) in enumerate(struct.iter_unpack("!I", address)):
            at = SOURCE[len(address)] + 4 * number
            yield _instruction(LOAD_WORD, 0, 0, NETWORK_HEADER + at)
            yield _instruction(JUMP_EQUAL, 0, 2 * (words - number) - 1, word)
        yield _instruction(RETURN, 0, 0, EVERYTHING)
    yield _instruction(RETURN, 0, 0, 0)


def queues(discriminators: Iterable[int], address_length: int, one_hop: bool) -> bytes:
    """Which socket of a group gets a datagram: KNOWN is for those who know a discriminator of ours.

    And are of version 1 and, over one hop, of the right TTL. All that anybody can make up goes to
    STRANGERS: a flood of it fills their buffer alone.
    """
    return b"".join(_queues(discriminators, address_length, one_hop))


def _queues(discriminators: Iterable[int], address_length: int, one_hop: bool) -> Iterator[bytes]:
    if one_hop:
        yield _instruction(LOAD_BYTE, 0, 0, NETWORK_HEADER + TTL[address_length])
        yield _instruction(JUMP_EQUAL, 1, 0, 255)
        yield _instruction(RETURN, 0, 0, STRANGERS)
    yield _instruction(LOAD_BYTE, 0, 0, 0)
    yield _instruction(AND, 0, 0, 0xE0)
    yield _instruction(JUMP_EQUAL, 1, 0, 1 << 5)
    yield _instruction(RETURN, 0, 0, STRANGERS)
    yield _instruction(LOAD_WORD, 0, 0, YOUR_DISCRIMINATOR)
    for discriminator in discriminators:
        yield _instruction(JUMP_EQUAL, 0, 1, discriminator)
        yield _instruction(RETURN, 0, 0, KNOWN)
    yield _instruction(RETURN, 0, 0, STRANGERS)


def echoes(port: int) -> bytes:
    """Lets in UDP to that port, from an address to itself, over IPv4; for a packet socket."""
    return b"".join(
        (
            _instruction(LOAD_BYTE, 0, 0, 9),
            _instruction(JUMP_EQUAL, 0, 7, 17),
            _instruction(LOAD_HALF, 0, 0, 22),
            _instruction(JUMP_EQUAL, 0, 5, port),
            _instruction(LOAD_WORD, 0, 0, 12),
            _instruction(TO_X, 0, 0, 0),
            _instruction(LOAD_WORD, 0, 0, 16),
            _instruction(JUMP_EQUAL_X, 0, 1, 0),
            _instruction(RETURN, 0, 0, EVERYTHING),
            _instruction(RETURN, 0, 0, 0),
        )
    )


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    """struct sock_filter."""
    return struct.pack("=HBBI", code, true, false, value)
