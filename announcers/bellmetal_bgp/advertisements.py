"""Router Advertisements (RFC 4861, section 4.2) ⇄ values: how unnumbered peers find each other.

Ours have a router lifetime of 0: we route for nobody, and hosts on the link take no notice.
"""

from __future__ import annotations

import ipaddress
import struct

TYPE = 134
HOP_LIMIT = 255  # RFC 4861, section 6.1.2: it has not been routed
SOURCE_LINK_ADDRESS = 1
_HEAD = struct.Struct("!BBHBBHII")  # type, code, checksum, hop limit, flags, lifetime, two times
MAC_LENGTH = 6


def encode(mac: bytes) -> bytes:
    """An advertisement of ours; the kernel fills in the checksum."""
    option = bytes([SOURCE_LINK_ADDRESS, 1]) + mac if len(mac) == MAC_LENGTH else b""
    return _HEAD.pack(TYPE, 0, 0, 0, 0, 0, 0, 0) + option


def sender(data: bytes, source: str, hop_limit: int) -> ipaddress.IPv6Address | None:
    """Who advertises itself; None for what is no valid advertisement (RFC 4861, section 6.1.2)."""
    if len(data) < _HEAD.size or hop_limit != HOP_LIMIT:
        return None
    kind, code, *_ = _HEAD.unpack_from(data)
    at = _HEAD.size
    while at < len(data):  # every option has a length that is not zero
        if at + 2 > len(data) or data[at + 1] == 0:
            return None
        at += 8 * data[at + 1]
    address = ipaddress.ip_address(source)
    sound = kind == TYPE and code == 0 and at == len(data) and address.is_link_local
    return address if sound and isinstance(address, ipaddress.IPv6Address) else None
