"""Answers for owned addresses, and tells the LAN who has them. A sans-IO machine.

ARP for IPv4 (RFC 826), neighbour discovery for IPv6 (RFC 4861). Plain questions are answered by
`replies.py`, all others by the codecs, and never wait for anything. When the LAN is told is
`schedule.py`'s; here is what it is told: gratuitous ARP in both forms, request and reply, as hosts
differ in which they believe; in IPv6 there is but one form, in the same rhythm (RFC 4861, section
7.2.6 has three, a second apart; who takes over an address wants to be believed sooner). The
solicited-node group is joined just before.
Where an interface has no link-local address IPv6 is off, and the kernel would take no traffic.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp, ipv6, ndp
from bellmetal_layer2.groups import Groups, Join, Leave
from bellmetal_layer2.places import has_ipv6
from bellmetal_layer2.replies import Replies
from bellmetal_layer2.schedule import Schedule


class Dropped(enum.Enum):
    """Why a frame got no answer."""

    MALFORMED = "malformed"
    NO_REQUEST = "noRequest"
    ANNOUNCEMENT = "announcement"  # somebody else's; to answer each would be to fight
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
        self._refresh: dict[IPAddress, int] = {}
        self._groups = Groups()
        self._schedules: dict[str, Schedule] = {}  # both of every usable interface
        self._replies: dict[str, Replies] = {}

    # --- commands --------------------------------------------------------------------------------

    def interfaces(self, interfaces: Iterable[Interface], now: float) -> list[ResponderEffect]:
        """The usable interfaces; what is owned is announced on those that are new.

        What was joined on one that is gone, or is another one by its index, is gone with it.
        """
        before, self._interfaces = self._interfaces, {item.name: item for item in interfaces}
        had_ipv6 = self._with_ipv6
        self._with_ipv6 = frozenset(
            item.name for item in self._interfaces.values() if has_ipv6(item)
        )
        indices = {(item.name, item.index) for item in self._interfaces.values()}
        gone = {item.name for item in before.values() if (item.name, item.index) not in indices}
        self._groups.forget(frozenset(gone))
        for name in gone:
            del self._schedules[name], self._replies[name]
        for name, item in self._interfaces.items():
            known = before.get(name)
            if known is None or (known.index, known.mac) != (item.index, item.mac):
                self._begin(item, set(self._owned), now)
            elif (name in self._with_ipv6) is not (name in had_ipv6):
                self._begin(item, {a for a in self._owned if a.version == 6}, now)
        return self.tick(now)

    def _begin(self, interface: Interface, addresses: set[IPAddress], now: float) -> None:
        """What an interface can be used for has changed, for these addresses."""
        name, mac = interface.name, interface.mac
        self._schedules.setdefault(name, Schedule(now))
        if name not in self._replies or self._replies[name].mac != mac:
            self._replies[name] = Replies(mac)
        for address in self._owned:  # in the order in which they came
            if address in addresses:
                self._place(address, name, name in self.places(address), now)

    def _place(self, address: IPAddress, name: str, here: bool, now: float) -> None:
        """Answered for on this interface from now on, or no more; the rest when it is due."""
        if here:
            self._replies[name].add(address)
            self._schedules[name].announce(address)
            self._schedules[name].every(address, self._refresh[address], now)
        else:
            self._replies[name].remove(address)
            schedule = self._schedules[name]
            (schedule.give_up if address.version == 6 else schedule.forget)(address)

    def own(
        self, address: IPAddress, interfaces: frozenset[str], now: float, refresh: int = 0
    ) -> list[ResponderEffect]:
        """Answer for an address from now on, on these interfaces (none named: all).

        It is announced again every ``refresh`` seconds; 0: only now.
        """
        self.take(address, interfaces, now, refresh)
        return self.tick(now)

    def take(
        self, address: IPAddress, interfaces: frozenset[str], now: float, refresh: int = 0
    ) -> None:
        """As `own`; the next tick tells the LAN. For thousands at once."""
        before = self.places(address)
        self._owned[address], self._refresh[address] = interfaces, refresh
        after = self.places(address)
        for name in sorted(before | after):
            self._place(address, name, name in after, now)

    def restrict(
        self, address: IPAddress, interfaces: frozenset[str], now: float, refresh: int = 0
    ) -> list[ResponderEffect]:
        """The interfaces of an owned address, or how often it is announced, may have changed.

        It is announced on those that are new alone.
        """
        if address not in self._owned:
            return []
        if self._refresh[address] != refresh:
            self._refresh[address] = refresh
            for name in self.places(address):
                self._schedules[name].every(address, refresh, now)
        if self._owned[address] == interfaces:
            return []
        before, self._owned[address] = self.places(address), interfaces
        after = self.places(address)
        for name in sorted(before ^ after):
            self._place(address, name, name in after, now)
        return self.tick(now)

    def announce(self, address: IPAddress, now: float) -> list[ResponderEffect]:
        """Tell the LAN, now and for some seconds, that an owned address is here."""
        for name in self.places(address):
            self._schedules[name].announce(address)
        return self.tick(now)

    def defend(self, address: IPAddress, interface: str) -> list[ResponderEffect]:
        """Tell the LAN once that an owned address is here (RFC 5227, section 2.4, b)."""
        if interface not in self.places(address):
            return []
        said = self._about(address, interface)
        self._schedules[interface].pay(len(said))
        return said

    def disown(self, address: IPAddress, now: float) -> list[ResponderEffect]:
        """Answer no more, announce no more."""
        self.release(address, now)
        return self.tick(now)

    def release(self, address: IPAddress, now: float) -> None:
        """As `disown`; the next tick leaves its groups."""
        for name in self.places(address):
            self._place(address, name, False, now)
        self._owned.pop(address, None)
        self._refresh.pop(address, None)

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
        replies = self._replies.get(data.interface)
        if replies is None:
            return [Ignored(Dropped.UNKNOWN_INTERFACE)]
        plain = replies.answer(data.frame)
        if plain is not None:
            return [Transmit(data.interface, *plain)]
        interface = self._interfaces[data.interface]
        try:
            if data.frame[12:14] == ipv6.ETHERTYPE_BYTES:
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
        if request.sender == request.target:  # RFC 5227, section 3: no question; `vigil.py`'s
            return Ignored(Dropped.ANNOUNCEMENT)
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
        """Announcements that are due, as many as the budget allows; groups that are left."""
        effects: list[ResponderEffect] = []
        for name in self._schedules:
            effects += self._say(name, now)
        return effects

    def deadline(self) -> float | None:
        """When there is something to announce."""
        dues = [item.deadline() for item in self._schedules.values()]
        return min((due for due in dues if due is not None), default=None)

    def _say(self, name: str, now: float) -> list[ResponderEffect]:
        schedule, effects = self._schedules[name], list[ResponderEffect]()
        while (address := schedule.next(now)) is not None:
            said = self._about(address, name)
            schedule.pay(len(said) or 1)  # what takes no frame takes its time
            effects += said
        return effects

    def _about(self, address: IPAddress, name: str) -> list[ResponderEffect]:
        """An announcement, its group first; or the end of it."""
        here = name in self.places(address)
        mac = self._interfaces[name].mac
        effects: list[ResponderEffect] = []
        if isinstance(address, ipaddress.IPv6Address):
            if not here:
                return list(self._groups.drop(address, name))
            effects += self._groups.want(address, name)
            frames = [ndp.unsolicited(address, mac).encode()]
        elif here:
            operations = (arp.REQUEST, arp.REPLY)
            frames = [arp.gratuitous(address, mac, item).encode() for item in operations]
        else:
            return []
        return effects + [Transmit(name, frame, address, gratuitous=True) for frame in frames]
