"""Which solicited-node groups are listened to, and where. Values and counting, no sockets.

A group is made of the last 24 bits of an address, so several addresses may need the same one.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
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
        self._where: dict[ipaddress.IPv6Address, frozenset[str]] = {}
        self._needs: Counter[tuple[str, ipaddress.IPv6Address]] = Counter()

    def want(self, address: ipaddress.IPv6Address, names: frozenset[str]) -> list[Join | Leave]:
        """An address is to be heard on these interfaces, and on no other one."""
        before = self._where.get(address, frozenset())
        if names == before:
            return []
        self._where[address] = names
        if not names:
            del self._where[address]
        group = ndp.solicited_node(address)
        effects: list[Join | Leave] = []
        for name in sorted(names - before):
            self._needs[name, group] += 1
            if self._needs[name, group] == 1:
                effects.append(Join(name, group))
        for name in sorted(before - names):
            self._needs[name, group] -= 1
            if not self._needs[name, group]:
                del self._needs[name, group]
                effects.append(Leave(name, group))
        return effects

    def forget(self, gone: frozenset[str]) -> None:
        """Interfaces are gone, and with them all that was joined there."""
        for address, names in list(self._where.items()):
            self._where[address] = names - gone
        for key in [key for key in self._needs if key[0] in gone]:
            del self._needs[key]
