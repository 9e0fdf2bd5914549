"""Answers ARP for owned addresses and tells the LAN who has them. A sans-IO machine.

RFC 826 for the answers. Gratuitous ARP goes out in both forms, request and reply (hosts differ in
which they believe), at once and again for a while: a frame may be lost, a switch may be learning.
"""

from __future__ import annotations

import enum
import heapq
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp

REPEATS = (0.1, 0.4, 1.1, 2.2, 3.3, 4.4)  # seconds after the first gratuitous ARP


class Dropped(enum.Enum):
    """Why a frame got no answer."""

    MALFORMED = "malformed"
    NO_REQUEST = "noRequest"
    NOT_FOR_US = "notForUs"  # Ethernet destination is neither broadcast nor this interface
    NOT_OWNED = "notOwned"
    WRONG_INTERFACE = "wrongInterface"
    UNKNOWN_INTERFACE = "unknownInterface"


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


ResponderEffect = Transmit | Ignored


class Responder:
    """Knows what is owned and on which interfaces; `Machine` of ResponderEffect."""

    def __init__(self) -> None:
        self._interfaces: dict[str, Interface] = {}
        self._owned: dict[IPAddress, frozenset[str]] = {}
        self._due: list[tuple[float, int, IPAddress]] = []
        self._generation: dict[IPAddress, int] = {}
        self._announcements = 0

    # --- commands --------------------------------------------------------------------------------

    def interfaces(self, interfaces: Iterable[Interface], now: float) -> list[ResponderEffect]:
        """The usable interfaces; what is owned is announced on those that are new."""
        before, self._interfaces = self._interfaces, {item.name: item for item in interfaces}
        known = {(item.name, item.index, item.mac) for item in before.values()}
        new = {
            item.name
            for item in self._interfaces.values()
            if (item.name, item.index, item.mac) not in known
        }
        if not new:
            return []
        for address in self._owned:  # its switch may still be learning: repeated, too
            self._schedule(address, now)
        return [effect for address in self._owned for effect in self._announce(address, new)]

    def own(
        self, address: IPAddress, interfaces: frozenset[str], now: float
    ) -> list[ResponderEffect]:
        """Answer for an address from now on, on these interfaces (none named: all)."""
        self._owned[address] = interfaces
        return self.announce(address, now)

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
        return self._announce(address, set(self._interfaces))

    def disown(self, address: IPAddress) -> None:
        """Answer no more, announce no more."""
        self._owned.pop(address, None)
        self._generation.pop(address, None)

    # --- the machine -----------------------------------------------------------------------------

    def receive(self, data: Arrived, now: float) -> list[ResponderEffect]:
        """A frame came in: the answer, or why there is none."""
        interface = self._interfaces.get(data.interface)
        if interface is None:
            return [Ignored(Dropped.UNKNOWN_INTERFACE)]
        try:
            request = arp.decode(data.frame)
        except arp.DecodeError:
            return [Ignored(Dropped.MALFORMED)]
        if request.operation != arp.REQUEST:
            return [Ignored(Dropped.NO_REQUEST)]
        if request.destination not in (arp.BROADCAST, interface.mac):
            return [Ignored(Dropped.NOT_FOR_US)]
        chosen = self._owned.get(request.target)
        if chosen is None:
            return [Ignored(Dropped.NOT_OWNED)]
        if chosen and interface.name not in chosen:
            return [Ignored(Dropped.WRONG_INTERFACE)]
        answer = arp.reply_to(request, interface.mac).encode()
        return [Transmit(interface.name, answer, request.target)]

    def tick(self, now: float) -> list[ResponderEffect]:
        """Gratuitous ARP that is due."""
        effects: list[ResponderEffect] = []
        while self._due and self._due[0][0] <= now:
            _, generation, address = heapq.heappop(self._due)
            if self._generation.get(address) == generation:
                effects += self._announce(address, set(self._interfaces))
        return effects

    def deadline(self) -> float | None:
        """When the next gratuitous ARP is due."""
        return self._due[0][0] if self._due else None

    def _schedule(self, address: IPAddress, now: float) -> None:
        self._announcements += 1
        generation = self._generation[address] = self._announcements
        for delay in REPEATS:
            heapq.heappush(self._due, (now + delay, generation, address))

    def _announce(self, address: IPAddress, names: set[str]) -> list[ResponderEffect]:
        if not isinstance(address, ipaddress.IPv4Address):
            return []
        chosen = self._owned[address]
        effects: list[ResponderEffect] = []
        for name in sorted(names):
            if chosen and name not in chosen:
                continue
            mac = self._interfaces[name].mac
            for operation in (arp.REQUEST, arp.REPLY):
                frame = arp.gratuitous(address, mac, operation).encode()
                effects.append(Transmit(name, frame, address, gratuitous=True))
        return effects
