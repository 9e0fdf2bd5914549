"""Adj-RIB-Out (RFC 4271, section 3.2): what a peer should be told and what it was told.

A table is NLRI in bytes → `intents.Attributes`; it is never changed, only replaced, so that all
peers that are to be told the same share one. What goes out is the difference: withdrawals first,
then the announcements of each set of attributes together, as many prefixes a message as fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bellmetal.intents import Attributes
from bellmetal_bgp import update
from bellmetal_bgp.attributes import EncodedPath
from bellmetal_bgp.families import Family

Table: TypeAlias = Mapping[bytes, Attributes]
EMPTY: Table = {}


@dataclass(frozen=True, slots=True)
class Coded:
    """A set of attributes in bytes, as one peer is told it."""

    path: EncodedPath
    next_hop: bytes


Coder: TypeAlias = Callable[[Attributes], Coded | None]


class AdjRibOut:
    """One family's routes to one peer. ``code`` gives None for what this peer cannot be told."""

    def __init__(self, family: Family, code: Coder) -> None:
        self.family, self._code = family, code
        self.desired: Table = EMPTY
        self.sent: Table = EMPTY
        self.unsendable: frozenset[Attributes] = frozenset()

    def pending(self, desired: Table) -> int:
        """How many prefixes are not told as they should be, if that is what is wanted."""
        if self.sent is desired:
            return 0
        return len(withdrawn(desired, self.sent)) + len(changed(desired, self.sent))

    def flush(self) -> list[bytes]:
        """The messages that make the peer know what it should; they count as sent."""
        if self.sent is self.desired:
            return []
        return self._tell(changed(self.desired, self.sent), again=False)

    def refresh(self) -> list[bytes]:
        """The messages that tell everything again (RFC 2918)."""
        return self._tell(self.desired, again=True)

    def _tell(self, news: Table, again: bool) -> list[bytes]:
        gone = withdrawn(self.desired, self.sent)
        told: list[bytes] = []
        dropped: set[bytes] = set()
        unsendable: set[Attributes] = set()
        for attributes, prefixes in by_attributes(news).items():
            coded = self._code(attributes)
            if coded is None:
                unsendable.add(attributes)
                dropped.update(prefixes)
                gone += [prefix for prefix in prefixes if prefix in self.sent]
            else:
                if not again:
                    prefixes = [prefix for prefix in prefixes if not self._knows(prefix, coded)]
                told += update.announcements(self.family, coded.path, coded.next_hop, prefixes)
        self.unsendable = frozenset(unsendable)  # complete: what was not sent is news every time
        self.sent = self.desired
        if dropped:
            self.sent = {p: item for p, item in self.desired.items() if p not in dropped}
        return (update.withdrawals(self.family, gone) if gone else []) + told

    def _knows(self, prefix: bytes, coded: Coded) -> bool:
        """Whether the peer was told these very bytes: attributes may differ in what it never hears
        (an AS path that is longer, of an internal peer)."""
        before = self.sent.get(prefix)
        return before is not None and self._code(before) == coded


def withdrawn(desired: Table, sent: Table) -> list[bytes]:
    """What was told and is not to be told any more."""
    return [prefix for prefix in sent if prefix not in desired]


def changed(desired: Table, sent: Table) -> dict[bytes, Attributes]:
    """What is new, or has other attributes than it was told with."""
    return {prefix: item for prefix, item in desired.items() if sent.get(prefix) != item}


def by_attributes(table: Table) -> dict[Attributes, list[bytes]]:
    """The prefixes of each set of attributes."""
    found: dict[Attributes, list[bytes]] = {}
    last: Attributes | None = None
    group: list[bytes] = []
    for prefix, attributes in table.items():
        if attributes is not last:  # neighbours mostly share one: hashing it again would cost more
            group = found.setdefault(attributes, [])
            last = attributes
        group.append(prefix)
    return found


def limited(table: Table, sent: Iterable[bytes], most: int) -> Table:
    """At most so many prefixes; those that were sent stay, then the lowest are taken."""
    if not most or len(table) <= most:
        return table
    kept = {prefix: table[prefix] for prefix in sorted(p for p in sent if p in table)[:most]}
    for prefix in sorted(table.keys() - kept.keys())[: most - len(kept)]:
        kept[prefix] = table[prefix]
    return kept
