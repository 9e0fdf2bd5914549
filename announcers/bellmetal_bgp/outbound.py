"""What goes out on a session while it is established: one Adj-RIB-Out per family, and its limits.

May live here: which tables, how many prefixes, their messages. May not: connections, timers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from bellmetal_bgp import messages, update
from bellmetal_bgp.agreement import Agreement
from bellmetal_bgp.coding import coder
from bellmetal_bgp.effects import Place
from bellmetal_bgp.families import Family
from bellmetal_bgp.messages import Refresh, RouteRefresh
from bellmetal_bgp.paths import without_ids
from bellmetal_bgp.rib import EMPTY, AdjRibOut, Table, limited

Tables: TypeAlias = Mapping[Family, Table]


class Outbound:
    """``most``: prefixes of each family that are sent; 0: any number. ``ids``: NLRI of the tables
    have path IDs, which not every peer takes (RFC 7911)."""

    def __init__(self, agreement: Agreement, place: Place, most: int, ids: bool = False) -> None:
        self._enhanced = agreement.enhanced_refresh
        self._ribs = {f: AdjRibOut(f, coder(f, agreement, place)) for f in agreement.families}
        self._without = frozenset(self._ribs) - agreement.add_path if ids else frozenset()
        self._stripped: dict[Family, tuple[Table, Table]] = {}
        self._tables: Tables = {}
        self._ended = False
        self._asked: dict[Family, None] = {}
        self.most = most

    def ask(self, family: Family) -> None:
        """The peer wants everything of a family once more (RFC 2918); `tell` does it, however often
        it was asked for meanwhile: asking costs the peer little, and us the whole table."""
        if family in self._ribs:
            self._asked[family] = None

    @property
    def asked(self) -> bool:
        """Whether something is to be told again."""
        return bool(self._asked)

    def tell(self, tables: Tables) -> list[bytes]:
        """The messages for what has changed; behind the first ones the End-of-RIB (RFC 4724)."""
        self._tables = tables
        told: list[bytes] = []
        for family, rib in self._ribs.items():
            rib.desired = self._wanted(family, tables)
            if not self._ended or family not in self._asked:
                told += rib.flush()
        if not self._ended:  # before it nothing is told again (RFC 7313, section 4)
            self._ended = True
            told += [update.end_of_rib(family) for family in self._ribs]
            if not self._enhanced:  # who waits for no beginning and end was just told all
                self._asked.clear()
        for family in self._asked:
            told += self._again(family)
        self._asked.clear()
        return told

    def _again(self, family: Family) -> list[bytes]:
        """Everything of a family, between a beginning and an end where that is known (RFC 7313)."""
        told = self._ribs[family].refresh()
        if not self._enhanced:
            return told
        begin, end = (
            messages.encode(RouteRefresh(family, kind)) for kind in (Refresh.BEGIN, Refresh.END)
        )
        return [begin, *told, end]

    def _wanted(self, family: Family, tables: Tables) -> Table:
        table = tables.get(family, EMPTY)
        if family in self._without:
            known = self._stripped.get(family)
            if known is None or known[0] is not table:
                known = self._stripped[family] = table, without_ids(table)
            table = known[1]
        return limited(table, self._ribs[family].sent, self.most)

    def sent(self) -> Tables:
        """What the peer was told and not told to forget."""
        return {family: rib.sent for family, rib in self._ribs.items()}

    @property
    def count(self) -> int:
        """How many prefixes that are."""
        return sum(len(rib.sent) for rib in self._ribs.values())

    def pending(self, tables: Tables) -> int:
        """How many prefixes are not told as they should be."""
        return sum(rib.pending(self._wanted(f, tables)) for f, rib in self._ribs.items())

    def warnings(self) -> list[str]:
        """What of the tables is not sent, and why."""
        found = []
        for family, rib in self._ribs.items():
            table = self._tables.get(family, EMPTY)
            wanted = len(self._stripped[family][1] if family in self._stripped else table)
            if left := wanted - len(rib.desired):
                found.append(
                    f"{left} of {wanted} {family} prefixes are not sent: {self.most} at most"
                )
            if rib.unsendable:
                found.append(
                    f"{len(rib.desired) - len(rib.sent)} {family} prefixes are not sent:"
                    " this node has no next hop of that family towards the peer"
                )
        return found
