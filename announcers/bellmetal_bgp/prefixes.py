"""NLRI: prefixes ⇄ bytes (RFC 4271, section 4.3; RFC 4760, section 5; RFC 7911, section 3).

A peer may send a million of them, so `count` is one tight loop that makes no objects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from bellmetal.addresses import IPNetwork
from bellmetal_bgp.families import AFI_IPV4, Family

_PATH_ID = 4  # octets before the length (RFC 7911)
_BEYOND = 1 << 20  # longer than any message: who steps over it is past the end
_OCTETS = {
    bits: tuple(1 + (n + 7) // 8 if n <= bits else _BEYOND for n in range(256))
    for bits in (32, 128)
}


class PrefixError(ValueError):
    """NLRI that cannot be parsed (RFC 7606, section 5.3); the message says why."""


def encode_prefix(network: IPNetwork, path_id: int | None = None) -> bytes:
    """The shortest form: length in bits, then only the octets that matter; the path ID before."""
    octets = (network.prefixlen + 7) // 8
    said = bytes([network.prefixlen]) + network.network_address.packed[:octets]
    return said if path_id is None else path_id.to_bytes(_PATH_ID, "big") + said


def count_prefixes(data: bytes, family: Family, add_path: bool = False) -> int:
    """How many there are, all of them checked; raises PrefixError.

    The family must be one whose prefixes we know (`Family.longest`).
    """
    octets = _OCTETS[family.longest]
    at, end, number = 0, len(data), 0
    if add_path:
        try:
            while at < end:
                at += _PATH_ID + octets[data[at + _PATH_ID]]
                number += 1
        except IndexError:
            raise PrefixError(f"{end - at} octets at the end are no path ID and prefix") from None
    else:
        while at < end:
            at += octets[data[at]]
            number += 1
    if at != end:
        raise PrefixError(_why(data, family, add_path))
    return number


def decode_prefixes(
    data: bytes, family: Family, add_path: bool = False
) -> Iterator[tuple[IPNetwork, int | None]]:
    """Each network with its path ID, or None without ADD-PATH; raises PrefixError first of all.

    Bits behind a prefix's length are of no significance (RFC 4271, section 4.3): cleared.
    """
    count_prefixes(data, family, add_path)
    return _networks(data, family, add_path)


def _networks(
    data: bytes, family: Family, add_path: bool
) -> Iterator[tuple[IPNetwork, int | None]]:
    width, octets = family.longest // 8, _OCTETS[family.longest]
    kind = ipaddress.IPv4Network if family.afi == AFI_IPV4 else ipaddress.IPv6Network
    at = 0
    while at < len(data):
        path_id = int.from_bytes(data[at : at + _PATH_ID], "big") if add_path else None
        at += _PATH_ID if add_path else 0
        after = at + octets[data[at]]
        address = data[at + 1 : after].ljust(width, b"\0")
        yield kind((address, data[at]), strict=False), path_id
        at = after


def _why(data: bytes, family: Family, add_path: bool) -> str:
    """Which of them is wrong, and how: for people; only where one is known to be."""
    octets, longest = _OCTETS[family.longest], family.longest
    skip = _PATH_ID if add_path else 0
    at = 0
    while True:
        bits = data[at + skip]
        if bits > longest:
            return f"a prefix of {bits} bits is longer than {family} has"
        if at + skip + octets[bits] > len(data):
            return f"a prefix of {bits} bits goes beyond the end"
        at += skip + octets[bits]
