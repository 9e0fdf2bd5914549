"""Neighbour discovery over Ethernet (RFC 4861): frames ⇄ values. No state, no choices.

Solicitations and advertisements alone. A packet must be valid by RFC 4861, section 7.1, to become a
value. IPv6 extension headers are not followed: no host sends neighbour discovery with them.

What we say comes from the address that it is about. Section 4.4 asks for an address of the
interface; whoever answers for an address says that it is one. A kernel that has the address does
the same, and some hosts' tools (ndisc6) believe nobody else. A switch that inspects sources
(RFC 6620) must let the address pass there anyway: what the Service sends comes from it.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from bellmetal_layer2.ipv6 import ALL_NODES, ETHERNET, ETHERTYPE, HEADER, HOP_LIMIT, checksum

ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 135, 136
ROUTER, SOLICITED, OVERRIDE = 0x80000000, 0x40000000, 0x20000000  # section 4.4
SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS = 1, 2  # section 4.6.1
MAC_LENGTH = 6

UNSPECIFIED = ipaddress.IPv6Address(0)
_GROUP = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13]  # RFC 4291, section 2.7.1
_MULTICAST = 0xFF

_ICMP = struct.Struct("!BBHI16s")  # both kinds: type, code, checksum, reserved or flags, target
_FRAME = struct.Struct("!6s6sHIHBB16s16sBBHI16s")
_OPTION = struct.Struct("!BB6s")  # a link-layer address; lengths count eight octets
_ICMP_AT = ETHERNET.size + HEADER.size
LENGTH = _FRAME.size


class DecodeError(ValueError):
    """Bytes that are no valid solicitation or advertisement; the message says why."""


@dataclass(frozen=True, slots=True)
class Solicitation:
    """Who has ``target``? ``link_address``: the source's MAC, where it is said."""

    destination_mac: bytes
    source_mac: bytes
    source: ipaddress.IPv6Address
    destination: ipaddress.IPv6Address
    target: ipaddress.IPv6Address
    link_address: bytes | None = None

    @property
    def probe(self) -> bool:
        """Whether the sender only looks if somebody has the address (RFC 4862, section 5.4.2)."""
        return self.source == UNSPECIFIED

    def encode(self) -> bytes:
        """The frame, with its checksum."""
        return _encode(self, SOLICITATION, 0, SOURCE_LINK_ADDRESS)


@dataclass(frozen=True, slots=True)
class Advertisement:
    """``target`` is at the MAC ``link_address``."""

    destination_mac: bytes
    source_mac: bytes
    source: ipaddress.IPv6Address
    destination: ipaddress.IPv6Address
    target: ipaddress.IPv6Address
    link_address: bytes | None = None
    router: bool = False
    solicited: bool = False
    override: bool = False

    def encode(self) -> bytes:
        """The frame, with its checksum."""
        flags = self.router * ROUTER | self.solicited * SOLICITED | self.override * OVERRIDE
        return _encode(self, ADVERTISEMENT, flags, TARGET_LINK_ADDRESS)


def _encode(item: Solicitation | Advertisement, kind: int, flags: int, option: int) -> bytes:
    source, destination, target = item.source.packed, item.destination.packed, item.target.packed
    link_address = item.link_address
    tail = b"" if link_address is None else _OPTION.pack(option, 1, link_address)
    length = _ICMP.size + len(tail)
    bare = _ICMP.pack(kind, 0, 0, flags, target) + tail
    return (
        _FRAME.pack(
            item.destination_mac,
            item.source_mac,
            ETHERTYPE,
            6 << 28,
            length,
            ICMPV6,
            HOP_LIMIT,
            source,
            destination,
            kind,
            0,
            checksum(source, destination, bare, ICMPV6),
            flags,
            target,
        )
        + tail
    )


def decode(data: bytes) -> Solicitation | Advertisement:
    """A frame out of its bytes; raises DecodeError for whatever is not valid."""
    if len(data) < LENGTH:
        raise DecodeError(f"{len(data)} bytes are too short for neighbour discovery")
    destination_mac, source_mac, ethertype = ETHERNET.unpack_from(data)
    head, length, next_header, hop_limit, source, destination = HEADER.unpack_from(
        data, ETHERNET.size
    )
    if ethertype != ETHERTYPE or head >> 28 != 6:
        raise DecodeError("not IPv6")
    kind, code, _, flags, target = _ICMP.unpack_from(data, _ICMP_AT)
    if next_header != ICMPV6 or kind not in (SOLICITATION, ADVERTISEMENT):
        raise DecodeError("neither a neighbour solicitation nor an advertisement")
    if hop_limit != HOP_LIMIT:
        raise DecodeError(f"hop limit {hop_limit}: it was routed")
    if code != 0:
        raise DecodeError(f"ICMP code {code} is not 0")
    icmp = data[_ICMP_AT : _ICMP_AT + length]
    if len(icmp) != length or length < _ICMP.size or length % 8:
        raise DecodeError(f"a payload of {length} bytes does not fit")
    if checksum(source, destination, icmp, ICMPV6):
        raise DecodeError("the checksum is wrong")
    if target[0] == _MULTICAST:
        raise DecodeError("the target is a multicast address")
    if source[0] == _MULTICAST:
        raise DecodeError("the source is a multicast address")
    option = SOURCE_LINK_ADDRESS if kind == SOLICITATION else TARGET_LINK_ADDRESS
    fields = (
        destination_mac,
        source_mac,
        ipaddress.IPv6Address(source),
        ipaddress.IPv6Address(destination),
        ipaddress.IPv6Address(target),
        _link_address(icmp, option),
    )
    if kind == SOLICITATION:
        return _solicitation(Solicitation(*fields))
    return _advertisement(
        Advertisement(
            *fields, bool(flags & ROUTER), bool(flags & SOLICITED), bool(flags & OVERRIDE)
        )
    )


def _link_address(icmp: bytes, wanted: int) -> bytes | None:
    """The MAC in the first option of that type; the others are skipped (section 4.6)."""
    found = None
    at = _ICMP.size
    while at < len(icmp):
        length = icmp[at + 1] * 8
        if length == 0 or at + length > len(icmp):
            raise DecodeError(f"an option of {length} bytes does not fit")
        if icmp[at] == wanted and found is None:
            if length != _OPTION.size:  # RFC 2464, section 6
                raise DecodeError(
                    f"a link-layer address option of {length} bytes is not Ethernet's"
                )
            found = icmp[at + 2 : at + _OPTION.size]
            if found[0] & 1:
                raise DecodeError("the link-layer address is a group's")
        at += length
    return found


def _solicitation(item: Solicitation) -> Solicitation:
    """What section 7.1.1 asks of one beside what it asks of all."""
    if item.probe and item.link_address is not None:
        raise DecodeError("a source link-layer address without a source")
    if item.probe and item.destination.packed[:13] != _GROUP:
        raise DecodeError("without a source, and not to a solicited-node group")
    return item


def _advertisement(item: Advertisement) -> Advertisement:
    """What section 7.1.2 asks of one beside what it asks of all."""
    if item.solicited and item.destination.is_multicast:
        raise DecodeError("solicited, and to a group")
    return item


def solicited_node(target: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """The group that whoever has the address listens to (RFC 4291, section 2.7.1)."""
    return ipaddress.IPv6Address(_GROUP + target.packed[13:])


def group_mac(group: ipaddress.IPv6Address) -> bytes:
    """The Ethernet address of a multicast group (RFC 2464, section 7)."""
    return b"\x33\x33" + group.packed[12:]


def answer_to(question: Solicitation, mac: bytes) -> Advertisement:
    """The answer of the interface with that MAC (section 7.2.4).

    Override is set: the address is unicast and no proxy's. Router is not: nobody routes by way of
    a Service's address. A probe is answered to all nodes, unsolicited. Who does not say its MAC is
    answered at the one that the question came from: we keep no neighbour cache to look it up in.
    """
    if question.probe:
        return unsolicited(question.target, mac)
    return Advertisement(
        destination_mac=question.link_address or question.source_mac,
        source_mac=mac,
        source=question.target,
        destination=question.source,
        target=question.target,
        link_address=mac,
        solicited=True,
        override=True,
    )


def unsolicited(address: ipaddress.IPv6Address, mac: bytes) -> Advertisement:
    """An announcement to all nodes of the link (section 7.2.6).

    Routers are among them, so it also tells those that learn by RFC 9131.
    """
    return Advertisement(
        destination_mac=group_mac(ALL_NODES),
        source_mac=mac,
        source=address,
        destination=ALL_NODES,
        target=address,
        link_address=mac,
        override=True,
    )


def probe(address: ipaddress.IPv6Address, mac: bytes) -> Solicitation:
    """Does anybody have it? As a host asks that wants it (RFC 4862, section 5.4.2)."""
    group = solicited_node(address)
    return Solicitation(group_mac(group), mac, UNSPECIFIED, group, address)


def question(
    address: ipaddress.IPv6Address, mac: bytes, source: ipaddress.IPv6Address
) -> Solicitation:
    """Who has it? As a host asks that wants to talk to it (RFC 4861, section 7.2.2)."""
    group = solicited_node(address)
    return Solicitation(group_mac(group), mac, source, group, address, mac)
