"""What a frame says about who has an address: bytes → Word, or why it says nothing. No state."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal_layer2 import arp, ipv6, ndp

_NOBODY = ipaddress.IPv4Address(0)


class Unheard(enum.Enum):
    """Why a frame was no testimony."""

    MALFORMED = "malformed"
    BAD_MAC = "badMac"  # a group's, or nobody's
    NO_CLAIM = "noClaim"  # somebody asks, and claims nothing that concerns us
    MEMBER = "member"  # a node's of this cluster: its beacons say what it claims
    PROXY = "proxy"  # of one that answers for any address
    UNKNOWN_MEMBERS = "unknownMembers"  # it may be a node that was never heard on the LAN
    NOT_OURS = "notOurs"  # about an address that was not asked for and is not owned


@dataclass(frozen=True, slots=True)
class Word:
    """``mac`` says on an interface that it has an address, or (``wish``) that it wants it."""

    interface: str
    address: IPAddress
    mac: bytes
    source: bytes  # the frame's own sender; the same, unless somebody speaks for another
    wish: bool = False


def read(interface: str, frame: bytes) -> Word | Unheard:
    """What a frame says of an address; of a solicitation only that of one who wants it."""
    try:
        if frame[12:14] == ipv6.ETHERTYPE_BYTES:
            word = _neighbour(interface, ndp.decode(frame))
        else:
            word = _arp(interface, arp.decode(frame))
    except (arp.DecodeError, ndp.DecodeError):
        return Unheard.MALFORMED
    if isinstance(word, Word) and (word.mac[0] & 1 or not any(word.mac)):
        return Unheard.BAD_MAC
    return word


def _arp(interface: str, item: arp.ArpFrame) -> Word | Unheard:
    """Whoever names itself as sender has the address (RFC 5227, section 2.4); who names nobody
    wants the target (section 2.1.1)."""
    if item.operation not in (arp.REQUEST, arp.REPLY):
        return Unheard.NO_CLAIM
    if item.sender != _NOBODY:
        return Word(interface, item.sender, item.sender_mac, item.source)
    if item.operation == arp.REQUEST:
        return Word(interface, item.target, item.sender_mac, item.source, wish=True)
    return Unheard.NO_CLAIM


def _neighbour(interface: str, item: ndp.Solicitation | ndp.Advertisement) -> Word | Unheard:
    """RFC 4862, sections 5.4.3 and 5.4.4."""
    if isinstance(item, ndp.Advertisement):
        mac = item.link_address or item.source_mac
        return Word(interface, item.target, mac, item.source_mac)
    if item.probe:
        return Word(interface, item.target, item.source_mac, item.source_mac, wish=True)
    return Unheard.NO_CLAIM
