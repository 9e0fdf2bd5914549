"""The routes of a node that drains: which leave, which stay, whether those that leave are gone.

Decided from slices and from the ServiceBGPStatus rows of the node, which its speaker removes once
the routes are withdrawn. No waiting, no printing here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from bellmetal.addresses import IPNetwork
from bellmetal.slices import SliceContents

ALONE = "no other node announces it"
PATIENCE = 10.0  # seconds in which the controller should have said that a route is to leave


@dataclass(slots=True)
class Withdrawal:
    """``before``: prefixes that the node announced when it began; ``staying``: why they do."""

    node: str
    before: frozenset[IPNetwork]
    staying: dict[IPNetwork, str] = field(default_factory=dict)
    waiting: bool = False

    @property
    def left(self) -> int:
        """How many prefixes it announces no more."""
        return len(self.before - self.staying.keys())

    def leaving(self, contents: SliceContents, since: float) -> set[str]:
        """The Services (by key) of routes that are to leave; ``since``: seconds since the order.

        What stays, and whether there is something of which nobody has said yet, is noted.
        """
        self.staying, self.waiting = {}, False
        leaving: set[str] = set()
        for route in contents.routes:
            chosen = contents.node_sets.get(route.node_set)
            if chosen is None or self.node not in chosen.nodes:
                continue
            if self.node in chosen.draining:
                leaving.update(service.key for service in route.services)
            elif set(chosen.nodes) == {self.node} or since > PATIENCE:
                self.staying[route.prefix] = ALONE
            else:
                self.waiting = True
        return leaving

    def done(self, leaving: Collection[str], told: Collection[str]) -> bool:
        """Whether all that leaves is gone; ``told``: the Services that the node says it routes."""
        return not self.waiting and not any(key in told for key in leaving)


def announced_by(node: str, contents: SliceContents) -> frozenset[IPNetwork]:
    """The prefixes that a node announces, as far as the slices say."""
    sets = {
        name
        for name, item in contents.node_sets.items()
        if node in item.nodes and node not in item.draining
    }
    return frozenset(route.prefix for route in contents.routes if route.node_set in sets)
