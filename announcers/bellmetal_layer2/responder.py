"""Answers for owned addresses, and tells the LAN who has them. A sans-IO machine.

ARP for IPv4 (RFC 826), neighbour discovery for IPv6 (RFC 4861). Announcements go out at once and
again for a while: a frame may be lost, a switch may be learning. Gratuitous ARP goes out in both
forms, request and reply: hosts differ in which they believe. For IPv6 there is but one form, and
it goes out in the same rhythm (section 7.2.6 has three, a second apart; who takes over an address
that clients use wants to be believed sooner).
Where an interface has no link-local address IPv6 is off, and the kernel would take no traffic.
"""

from __future__ import annotations

import enum
import heapq
import ipaddress
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import TypeAlias

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.groups import Groups, Join, Leave

REPEATS = (0.1, 0.4, 1.1, 2.2, 3.3, 4.4)  # seconds after the first announcement
_IPV6 = ndp.ETHERTYPE_IPV6.to_bytes(2, "big")


class Dropped(enum.Enum):
    """Why a frame got no answer."""

    MALFORMED = "malformed"
    NO_REQUEST = "noRequest"
    NOT_FOR_US = "notForUs"  # neither to the group nor to this interface
    NOT_OWNED = "notOwned"
    WRONG_INTERFACE = "wrongInterface"
    UNKNOWN_INTERFACE = "unknownInterface"
    NO_LINK_LOCAL = "noLinkLocal"  # IPv6 is off on that interface


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a frame out of an interface; ``address`` is the one it is about."""

    interface: str
    frame: bytes
    address: IPAddress
    gratuitous: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that was not answered, and why."""

    reason: Dropped


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame as it came in."""

    interface: str
    frame: bytes


ResponderEffect: TypeAlias = Transmit | Ignored | Join | Leave


class Responder:
    """Knows what is owned and on which interfaces; `Machine` of ResponderEffect."""

    def __init__(self) -> None:
        self._interfaces: dict[str, Interface] = {}
        self._with_ipv6: frozenset[str] = frozenset()
        self._owned: dict[IPAddress, frozenset[str]] = {}
        self._groups = Groups()
        self._due: list[tuple[float, int, IPAddress]] = []
        self._generation: dict[IPAddress, int] = {}
        self._announcements = 0

    # --- commands --------------------------------------------------------------------------------

    def interfaces(self, interfaces: Iterable[Interface], now: float) -> list[ResponderEffect]:
        """The usable interfaces; what is owned is announced on those that are new.

        What was joined on one that is gone, or is another one by its index, is gone with it.
        """
        before, self._interfaces = self._interfaces, {item.name: item for item in interfaces}
        with_ipv6 = self._with_ipv6
        self._with_ipv6 = frozenset(item.name for item in self._interfaces.values() if _ipv6(item))
        present = {(item.name, item.index) for item in self._interfaces.values()}
        self._groups.forget(
            frozenset(
                item.name for item in before.values() if (item.name, item.index) not in present
            )
        )
        known = {(item.name, item.index, item.mac) for item in before.values()}
        new = {
            item.name
            for item in self._interfaces.values()
            if (item.name, item.index, item.mac) not in known
        }
        new_in_ipv6 = new | (self._with_ipv6 - with_ipv6)
        effects: list[ResponderEffect] = []
        for address in self._owned:
            where = (new if address.version == 4 else new_in_ipv6) & self.places(address)
            effects += self._listen(address)
            if where:  # its switch may still be learning: repeated, too
                self._schedule(address, now)
                effects += self._announce(address, where)
        return effects

    def own(
        self, address: IPAddress, interfaces: frozenset[str], now: float
    ) -> list[ResponderEffect]:
        """Answer for an address from now on, on these interfaces (none named: all)."""
        self._owned[address] = interfaces
        return [*self._listen(address), *self.announce(address, now)]

    def restrict(
        self, address: IPAddress, interfaces: frozenset[str], now: float
    ) -> list[ResponderEffect]:
        """The interfaces of an owned address, which may have changed."""
        if self._owned.get(address, interfaces) == interfaces:
            return []
        return self.own(address, interfaces, now)

    def announce(self, address: IPAddress, now: float) -> list[ResponderEffect]:
        """Tell the LAN, now and for some seconds, that an owned address is here."""
        if address not in self._owned:
            return []
        self._schedule(address, now)
        return self._announce(address, self.places(address))

    def disown(self, address: IPAddress) -> list[ResponderEffect]:
        """Answer no more, announce no more."""
        self._owned.pop(address, None)
        self._generation.pop(address, None)
        return list(self._listen(address))

    def places(self, address: IPAddress) -> frozenset[str]:
        """The interfaces on which an address is answered for; none if it is not owned."""
        chosen = self._owned.get(address)
        if chosen is None:
            return frozenset()
        able = self._interfaces.keys() if address.version == 4 else self._with_ipv6
        return frozenset(able & chosen if chosen else able)

    # --- the machine -----------------------------------------------------------------------------

    def receive(self, data: Arrived, now: float) -> list[ResponderEffect]:
        """A frame came in: the answer, or why there is none."""
        interface = self._interfaces.get(data.interface)
        if interface is None:
            return [Ignored(Dropped.UNKNOWN_INTERFACE)]
        try:
            if data.frame[12:14] == _IPV6:
                return [self._solicited(interface, ndp.decode(data.frame))]
            return [self._requested(interface, arp.decode(data.frame))]
        except (arp.DecodeError, ndp.DecodeError):
            return [Ignored(Dropped.MALFORMED)]

    def _requested(self, interface: Interface, request: arp.ArpFrame) -> ResponderEffect:
        if request.operation != arp.REQUEST:
            return Ignored(Dropped.NO_REQUEST)
        if request.destination not in (arp.BROADCAST, interface.mac):
            return Ignored(Dropped.NOT_FOR_US)
        if (no := self._refusal(request.target, interface)) is not None:
            return Ignored(no)
        answer = arp.reply_to(request, interface.mac).encode()
        return Transmit(interface.name, answer, request.target)

    def _solicited(
        self, interface: Interface, question: ndp.Solicitation | ndp.Advertisement
    ) -> ResponderEffect:
        if not isinstance(question, ndp.Solicitation):
            return Ignored(Dropped.NO_REQUEST)
        group = ndp.solicited_node(question.target)
        if question.destination not in (question.target, group):  # section 4.3
            return Ignored(Dropped.NOT_FOR_US)
        if question.destination_mac not in (interface.mac, ndp.group_mac(group)):
            return Ignored(Dropped.NOT_FOR_US)
        if (no := self._refusal(question.target, interface)) is not None:
            return Ignored(no)
        if interface.name not in self._with_ipv6:
            return Ignored(Dropped.NO_LINK_LOCAL)
        answer = ndp.answer_to(question, interface.mac).encode()
        return Transmit(interface.name, answer, question.target)

    def _refusal(self, target: IPAddress, interface: Interface) -> Dropped | None:
        chosen = self._owned.get(target)
        if chosen is None:
            return Dropped.NOT_OWNED
        if chosen and interface.name not in chosen:
            return Dropped.WRONG_INTERFACE
        return None

    def tick(self, now: float) -> list[ResponderEffect]:
        """Announcements that are due."""
        effects: list[ResponderEffect] = []
        while self._due and self._due[0][0] <= now:
            _, generation, address = heapq.heappop(self._due)
            if self._generation.get(address) == generation:
                effects += self._announce(address, self.places(address))
        return effects

    def deadline(self) -> float | None:
        """When the next announcement is due."""
        return self._due[0][0] if self._due else None

    def _schedule(self, address: IPAddress, now: float) -> None:
        self._announcements += 1
        generation = self._generation[address] = self._announcements
        for delay in REPEATS:
            heapq.heappush(self._due, (now + delay, generation, address))

    def _listen(self, address: IPAddress) -> Iterable[Join | Leave]:
        if isinstance(address, ipaddress.IPv4Address):
            return []
        return self._groups.want(address, self.places(address))

    def _announce(self, address: IPAddress, names: Set[str]) -> list[ResponderEffect]:
        effects: list[ResponderEffect] = []
        for name in sorted(names):
            for frame in self._announcement(address, name):
                effects.append(Transmit(name, frame, address, gratuitous=True))
        return effects

    def _announcement(self, address: IPAddress, name: str) -> tuple[bytes, ...]:
        mac = self._interfaces[name].mac
        if isinstance(address, ipaddress.IPv6Address):
            return (ndp.unsolicited(address, mac).encode(),)
        operations = (arp.REQUEST, arp.REPLY)
        return tuple(arp.gratuitous(address, mac, item).encode() for item in operations)


def _ipv6(interface: Interface) -> bool:
    """Whether an interface has an IPv6 link-local address."""
    addresses = (ipaddress.ip_interface(subnet).ip for subnet in interface.subnets)
    return any(item.version == 6 and item.is_link_local for item in addresses)
