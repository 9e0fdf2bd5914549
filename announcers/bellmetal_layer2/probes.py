"""The frames that ask the LAN for an address, and what the machines want done with them. Values."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp, ndp


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a question about an address out of an interface."""

    interface: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Forbid:
    """A foreign device has an address: answer for it no more."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class Allow:
    """The foreign device is gone: answer again."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class Defend:
    """Say once on an interface that an address is ours (RFC 5227, section 2.4, b)."""

    interface: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Told:
    """Something for the log and the report, once per change of mind."""

    event: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Tallied:
    """Something to count: ``what`` (``proofs``, ``ignored``) and which kind of it."""

    what: str
    kind: str


VigilEffect = Ask | Forbid | Allow | Defend | Told | Tallied


def ask_if_held(address: IPAddress, interface: Interface) -> Ask:
    """As one who wants the address: whoever has it objects, and no cache changes."""
    frame = (
        arp.probe(address, interface.mac).encode()
        if isinstance(address, ipaddress.IPv4Address)
        else ndp.probe(address, interface.mac).encode()
    )
    return Ask(interface.name, frame)


def ask_who(address: IPAddress, interface: Interface) -> Ask | None:
    """As one who wants to talk to it; None where IPv6 is off.

    In IPv4 the same as above: with a sender it would put ours into everybody's cache.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return ask_if_held(address, interface)
    source = link_local(interface)
    if source is None:
        return None
    return Ask(interface.name, ndp.question(address, interface.mac, source).encode())


def ask_one(address: ipaddress.IPv4Address, interface: Interface, mac: bytes) -> Ask:
    """The same to one host alone: a proxy that waits before it answers for all does not then."""
    return Ask(interface.name, arp.probe(address, interface.mac, mac).encode())


def link_local(interface: Interface) -> ipaddress.IPv6Address | None:
    """The interface's IPv6 link-local address."""
    for subnet in interface.subnets:
        address = ipaddress.ip_interface(subnet).ip
        if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
            return address
    return None
