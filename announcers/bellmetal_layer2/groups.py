"""Which solicited-node groups are listened to, and where. Values and counting, no sockets.

A group is made of the last 24 bits of an address, so several addresses may need the same one.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from bellmetal_layer2 import ndp


@dataclass(frozen=True, slots=True)
class Join:
    """Listen to a group on an interface from now on."""

    interface: str
    group: ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Leave:
    """Listen to a group on an interface no more."""

    interface: str
    group: ipaddress.IPv6Address


class Groups:
    """The groups that addresses need, by interface."""

    def __init__(self) -> None:
        self._needs: dict[tuple[str, ipaddress.IPv6Address], set[ipaddress.IPv6Address]] = {}

    def want(self, address: ipaddress.IPv6Address, interface: str) -> list[Join | Leave]:
        """An address is to be heard on an interface."""
        group = ndp.solicited_node(address)
        needed_by = self._needs.setdefault((interface, group), set())
        effects: list[Join | Leave] = [] if needed_by else [Join(interface, group)]
        needed_by.add(address)
        return effects

    def drop(self, address: ipaddress.IPv6Address, interface: str) -> list[Join | Leave]:
        """It need not be heard there any more."""
        group = ndp.solicited_node(address)
        needed_by = self._needs.get((interface, group), set())
        if address not in needed_by:
            return []
        needed_by.remove(address)
        if needed_by:
            return []
        del self._needs[interface, group]
        return [Leave(interface, group)]

    def forget(self, gone: frozenset[str]) -> None:
        """Interfaces are gone, and with them all that was joined there."""
        for key in [key for key in self._needs if key[0] in gone]:
            del self._needs[key]
