"""ARP over Ethernet for IPv4 (RFC 826): frames ⇄ values. No state, no choices."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

BROADCAST = b"\xff" * 6
ETHERTYPE_ARP = 0x0806
REQUEST, REPLY = 1, 2

# Ethernet header, then the ARP packet: hardware type and length Ethernet, protocol IPv4.
_FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
LENGTH = _FRAME.size
MINIMUM = 60  # what Ethernet pads to (without the checksum)
_PADDING = bytes(MINIMUM - LENGTH)


class DecodeError(ValueError):
    """Bytes that are no ARP packet for IPv4 over Ethernet; the message says why."""


@dataclass(frozen=True, slots=True)
class ArpFrame:
    """One ARP packet in its Ethernet frame; MAC addresses are six bytes."""

    destination: bytes
    source: bytes
    operation: int
    sender_mac: bytes
    sender: ipaddress.IPv4Address
    target_mac: bytes
    target: ipaddress.IPv4Address

    def encode(self) -> bytes:
        """The frame, padded to Ethernet's minimum."""
        return (
            _FRAME.pack(
                self.destination,
                self.source,
                ETHERTYPE_ARP,
                1,
                0x0800,
                6,
                4,
                self.operation,
                self.sender_mac,
                self.sender.packed,
                self.target_mac,
                self.target.packed,
            )
            + _PADDING
        )


def decode(data: bytes) -> ArpFrame:
    """A frame out of its bytes; raises DecodeError for whatever it is not."""
    if len(data) < LENGTH:
        raise DecodeError(f"{len(data)} bytes are too short for ARP")
    (
        destination,
        source,
        ethertype,
        hardware,
        protocol,
        hardware_length,
        protocol_length,
        operation,
        sender_mac,
        sender,
        target_mac,
        target,
    ) = _FRAME.unpack_from(data)
    if ethertype != ETHERTYPE_ARP:
        raise DecodeError(f"EtherType {ethertype:#06x} is not ARP")
    if (hardware, protocol, hardware_length, protocol_length) != (1, 0x0800, 6, 4):
        raise DecodeError("not IPv4 over Ethernet")
    return ArpFrame(
        destination,
        source,
        operation,
        sender_mac,
        ipaddress.IPv4Address(sender),
        target_mac,
        ipaddress.IPv4Address(target),
    )


def reply_to(request: ArpFrame, mac: bytes) -> ArpFrame:
    """The answer of the interface with that MAC to a request (RFC 826, packet reception)."""
    return ArpFrame(
        destination=request.sender_mac,
        source=mac,
        operation=REPLY,
        sender_mac=mac,
        sender=request.target,
        target_mac=request.sender_mac,
        target=request.sender,
    )


def gratuitous(address: ipaddress.IPv4Address, mac: bytes, operation: int) -> ArpFrame:
    """An announcement to everybody, as request or as reply: hosts listen to one or the other."""
    return ArpFrame(BROADCAST, mac, operation, mac, address, BROADCAST, address)


def probe(address: ipaddress.IPv4Address, mac: bytes, destination: bytes = BROADCAST) -> ArpFrame:
    """Does anybody have it? It changes nobody's cache (RFC 5227, section 2.1.1).

    To one host alone, it is still a request like any other (RFC 1122, section 2.3.2.1).
    """
    nobody = ipaddress.IPv4Address(0)
    return ArpFrame(destination, mac, REQUEST, mac, nobody, bytes(6), address)
