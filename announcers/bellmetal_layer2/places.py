"""Where an address can be answered on this node: which of its interfaces do. Values, no sockets.

A *place* is a set of this node's interfaces. Whether another node lives is judged by place: what
counts for an address is who is heard on the LANs where it is announced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from bellmetal.addresses import IPNetwork
from bellmetal.facts import Interface
from bellmetal.intents import Announcement

Place: TypeAlias = frozenset[str]

ANYWHERE: Place = frozenset()  # every interface there is, taken together

_Kind: TypeAlias = tuple[int, frozenset[str], tuple[IPNetwork, ...]]


def has_ipv6(interface: Interface) -> bool:
    """Whether it has an IPv6 link-local address: else IPv6 is off there."""
    addresses = (ipaddress.ip_interface(subnet).ip for subnet in interface.subnets)
    return any(item.version == 6 and item.is_link_local for item in addresses)


class Places:
    """The usable interfaces of a moment, and which of them do for an address.

    None: it is not known yet which there are, and everything can be answered.
    """

    def __init__(self, usable: Iterable[Interface] | None) -> None:
        self._unknown = usable is None
        interfaces = list(usable or ())
        self._addresses = {
            item.name: tuple(ipaddress.ip_interface(text).ip for text in item.subnets)
            for item in interfaces
        }
        self._with_ipv6 = frozenset(item.name for item in interfaces if has_ipv6(item))
        self._known: dict[_Kind, Place | None] = {}

    @property
    def names(self) -> frozenset[str]:
        """All usable interfaces."""
        return frozenset(self._addresses)

    @property
    def present(self) -> bool:
        """Whether any interface can be used."""
        return self._unknown or bool(self._addresses)

    def of(self, announcement: Announcement, networks: tuple[IPNetwork, ...]) -> Place | None:
        """Where an address is answered; ANYWHERE if everywhere, None if it cannot be."""
        if self._unknown:
            return ANYWHERE
        kind = announcement.address.version, announcement.interfaces, networks
        if kind not in self._known:
            able = frozenset(name for name in self._addresses if self._does(name, *kind))
            self._known[kind] = (ANYWHERE if able == self.names else able) if able else None
        return self._known[kind]

    def _does(
        self, name: str, version: int, chosen: frozenset[str], networks: tuple[IPNetwork, ...]
    ) -> bool:
        addresses = self._addresses[name]
        if chosen and name not in chosen:
            return False
        if version == 6 and name not in self._with_ipv6:
            return False  # the kernel would take no traffic there
        return not networks or any(a in network for network in networks for a in addresses)
