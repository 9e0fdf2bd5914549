"""Answers to plain questions, from bytes to bytes: what one interface answers for. No state else.

A plain question is an ARP request, or a neighbour solicitation with its source's MAC and nothing
else, as every kernel asks. The codecs (`arp.py`, `ndp.py`) say what an answer is; here it is put
together without a detour through values, in a tenth of the time. What is not plain, or not to be
answered, is left to them: `tests/property/test_replies.py` holds both against each other.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal_layer2 import arp, ipv6, ndp

_ARP_REQUEST = bytes.fromhex("0806 0001 0800 06 04 0001")  # RFC 826, from the EtherType on
_ARP_REPLY = _ARP_REQUEST[:-1] + b"\x02"
_PADDING = bytes(arp.MINIMUM - arp.LENGTH)

_VERSION = 6
_LENGTH = 32  # of a solicitation or advertisement with one option
_HEAD = bytes([0, _LENGTH, ndp.ICMPV6, ipv6.HOP_LIMIT])
_PSEUDO = _LENGTH.to_bytes(4, "big") + ndp.ICMPV6.to_bytes(4, "big")  # the end of it, RFC 8200, 8.1
_SOLICITATION = bytes([ndp.SOLICITATION, 0])
_ADVERTISEMENT = bytes([ndp.ADVERTISEMENT, 0])
_FLAGS = (ndp.SOLICITED | ndp.OVERRIDE).to_bytes(4, "big")
_SOURCE_OPTION, _TARGET_OPTION = (
    bytes([kind, 1]) for kind in (ndp.SOURCE_LINK_ADDRESS, ndp.TARGET_LINK_ADDRESS)
)
_GROUP = ndp.solicited_node(ndp.UNSPECIFIED).packed[:13]
_GROUP_MAC = ndp.group_mac(ndp.solicited_node(ndp.UNSPECIFIED))[:3]
_NOBODY = ndp.UNSPECIFIED.packed
_END = 86  # of a plain solicitation


@dataclass(frozen=True, slots=True)
class _Target:
    """``sum``: the words of an answer without its destination, modulo 2¹⁶ - 1."""

    address: IPAddress
    sum: int = 0


class Replies:
    """One interface's: `answer` knows the addresses that were added."""

    def __init__(self, mac: bytes) -> None:
        self.mac = mac
        self._to_us = (arp.BROADCAST, mac)
        self._arp = mac + _ARP_REPLY + mac
        self._ndp = mac + ipv6.ETHERTYPE_BYTES + bytes([_VERSION << 4, 0, 0, 0]) + _HEAD
        self._option = _TARGET_OPTION + mac
        self._targets: dict[bytes, _Target] = {}

    def add(self, address: IPAddress) -> None:
        """Answer for it from now on."""
        packed = address.packed
        if isinstance(address, ipaddress.IPv4Address):
            self._targets[packed] = _Target(address)
            return
        words = packed + _PSEUDO + _ADVERTISEMENT + b"\0\0" + _FLAGS + packed + self._option
        self._targets[packed] = _Target(address, int.from_bytes(words, "big") % 0xFFFF)

    def remove(self, address: IPAddress) -> None:
        """Answer for it no more."""
        self._targets.pop(address.packed, None)

    def answer(self, frame: bytes) -> tuple[bytes, IPAddress] | None:
        """The answer and what it is about; None: not a plain question, or not one for us."""
        if frame[12:22] == _ARP_REQUEST:
            target = self._targets.get(frame[38:42])
            if target is None or frame[:6] not in self._to_us or frame[28:32] == frame[38:42]:
                return None
            # to the sender: its MAC, then ours and the target's address, then the sender's both
            said = frame[22:28] + self._arp + frame[38:42] + frame[22:32] + _PADDING
            return said, target.address
        return self._solicited(frame)

    def _solicited(self, frame: bytes) -> tuple[bytes, IPAddress] | None:
        packed = frame[62:78]
        target = self._targets.get(packed)
        if target is None or not self._plain(frame, packed):
            return None
        source = frame[22:38]
        checksum = -(target.sum + int.from_bytes(source, "big")) % 0xFFFF
        said = (
            frame[80:86]
            + self._ndp
            + packed
            + source
            + _ADVERTISEMENT
            + checksum.to_bytes(2, "big")
            + _FLAGS
            + packed
            + self._option
        )
        return said, target.address

    def _plain(self, frame: bytes, target: bytes) -> bool:
        """Whether it is a valid solicitation (RFC 4861, section 7.1.1) to us, with one option."""
        return (
            len(frame) >= _END
            and frame[12:14] == ipv6.ETHERTYPE_BYTES
            and frame[14] >> 4 == _VERSION
            and frame[18:22] == _HEAD
            and frame[54:56] == _SOLICITATION
            and frame[78:80] == _SOURCE_OPTION
            and (frame[:6] == self.mac or frame[:6] == _GROUP_MAC + target[13:])
            and (frame[38:54] == _GROUP + target[13:] or frame[38:54] == target)
            and frame[22:38] != _NOBODY
            and frame[22] != 0xFF
            and not frame[80] & 1
            and int.from_bytes(frame[22:54] + _PSEUDO + frame[54:_END], "big") % 0xFFFF == 0
        )
