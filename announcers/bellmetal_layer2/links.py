"""One interface's sockets: ARP, neighbour discovery, beacons, and the groups joined there."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp, filters, ipv6
from bellmetal_layer2.sockets import Memberships, OwnKernel, PacketSocket

_MESSAGE = ipv6.ETHERNET.size + ipv6.HEADER.size  # where ICMPv6 begins


@dataclass(frozen=True)
class Questions:
    """The kernel's filters: what is asked and said about which addresses gets through."""

    requests: list[filters.Instruction]
    solicitations: list[filters.Instruction]

    @classmethod
    def about(cls, addresses: Iterable[IPAddress], decoy: int = 0) -> Questions:
        """Those about these addresses, and answers for the ``decoy`` (`proxies.py`)."""
        everything = list(addresses)
        return cls(
            filters.arp_about(
                item for item in everything if isinstance(item, ipaddress.IPv4Address)
            ),
            filters.neighbours_about(
                (item for item in everything if isinstance(item, ipaddress.IPv6Address)), decoy
            ),
        )


class Link:
    """Opens all sockets of an interface, or none: raises OSError."""

    def __init__(self, interface: Interface, questions: Questions) -> None:
        self.memberships = Memberships(interface.index)
        self._own_kernel = OwnKernel(interface.index)
        self._sockets: list[PacketSocket] = []
        try:
            self._arp = self._open(interface, arp.ETHERTYPE_ARP, questions.requests)
            self._ndp = self._open(interface, ipv6.ETHERTYPE, questions.solicitations)
            self._beacons = self._open(interface, ipv6.ETHERTYPE, filters.beacons())
        except OSError:
            self.close()
            raise

    def _open(
        self, interface: Interface, ethertype: int, program: list[filters.Instruction]
    ) -> PacketSocket:
        self._sockets.append(PacketSocket(interface.name, ethertype, program))
        return self._sockets[-1]

    def listen(
        self, asked: Callable[[str, bytes], None], signed: Callable[[str, bytes], None]
    ) -> None:
        """Calls one with every question about an address, the other with every beacon."""
        self._arp.listen(asked)
        self._ndp.listen(asked)
        self._beacons.listen(signed)

    def filter(self, questions: Questions) -> None:
        """Lets other questions through."""
        self._arp.filter(questions.requests)
        self._ndp.filter(questions.solicitations)

    def say(self, frame: bytes) -> bool:
        """Sends an answer or announcement; False if the interface would not take it."""
        if frame[12:14] != ipv6.ETHERTYPE_BYTES:
            return self._arp.send(frame)
        if frame.startswith(ipv6.ALL_NODES_MAC):
            self._own_kernel.tell(frame[_MESSAGE:])
        return self._ndp.send(frame)

    def sign(self, frame: bytes) -> bool:
        """Sends a beacon; False if the interface would not take it."""
        return self._beacons.send(frame)

    def flush(self) -> None:
        """Throws away what is queued."""
        for item in self._sockets:
            item.flush()

    def close(self) -> None:
        """Closes everything, and leaves all groups."""
        for item in self._sockets:
            item.close()
        self.memberships.close()
        self._own_kernel.close()
