"""Classic BPF as the kernel runs it, as far as our programs use it (net/core/filter.c)."""

from __future__ import annotations

import struct

LOADS = {0x20: 4, 0x28: 2, 0x30: 1}
NETWORK_HEADER = 0xFFF00000


def run(program: bytes, network: bytes, data: bytes) -> int:
    """What a program returns for a packet; 0 for a load beyond its end."""
    rows = [*struct.iter_unpack("=HBBI", program)]
    register = other = at = 0
    while True:
        code, true, false, value = rows[at]
        at += 1
        match code:
            case 0x06:
                return value
            case 0x54:
                register &= value
            case 0x07:
                other = register
            case 0x15:
                at += true if register == value else false
            case 0x1D:
                at += true if register == other else false
            case _:
                length = LOADS[code]
                high = value >= 1 << 31
                where, begin = (network, value - NETWORK_HEADER) if high else (data, value)
                if begin + length > len(where):
                    return 0
                register = int.from_bytes(where[begin : begin + length], "big")
