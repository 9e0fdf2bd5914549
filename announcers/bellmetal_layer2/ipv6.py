"""What all our IPv6 frames have in common: numbers, the header's form, the checksum. No state."""

from __future__ import annotations

import ipaddress
import struct

ETHERTYPE = 0x86DD
ETHERTYPE_BYTES = ETHERTYPE.to_bytes(2, "big")
HOP_LIMIT = 255  # no router can have forwarded a packet that still has it
ALL_NODES = ipaddress.IPv6Address("ff02::1")
ALL_NODES_MAC = bytes.fromhex("333300000001")  # RFC 2464, section 7

ETHERNET = struct.Struct("!6s6sH")
HEADER = struct.Struct("!IHBB16s16s")  # version and more, length, next header, hop limit, addresses
_PSEUDO = struct.Struct("!16s16sII")


def checksum(source: bytes, destination: bytes, payload: bytes, next_header: int) -> int:
    """With the pseudo header of RFC 8200, section 8.1; 0 for a payload with its right checksum.

    A sum of 16-bit words with end-around carry is the remainder of the whole number by 2¹⁶ - 1.
    """
    data = _PSEUDO.pack(source, destination, len(payload), next_header) + payload
    data += bytes(len(data) % 2)
    return -int.from_bytes(data, "big") % 0xFFFF
