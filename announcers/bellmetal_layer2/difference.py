"""What is other in a node's share than in the one before.

Of thousands of addresses few change at a time, and to look for one address of thousands takes
longer than all that is to be done for it. May live here: comparing. May not: what follows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.intents import Announcement


@dataclass(frozen=True, slots=True)
class Difference:
    """``other``: announcements that are new, or objects that were not in the share before (what
    they say may be the same); ``gone``: addresses that are in it no more."""

    other: list[Announcement]
    gone: set[IPAddress]

    @classmethod
    def between(cls, before: Sequence[Announcement], now: Sequence[Announcement]) -> Difference:
        """Between two shares, in each of which an address stands once."""
        known, present = set(map(id, before)), set(map(id, now))
        other = [item for item in now if id(item) not in known]
        former = {item.address for item in before if id(item) not in present}
        return cls(other, former.difference(item.address for item in other))
