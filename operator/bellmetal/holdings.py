"""What the ledger says: who holds an address, or held it last, and the term of its ownership.

May live here: frozen values and how they look in a shard. May not: writing shards (`ledger.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bellmetal.addresses import IPAddress, parse_address
from bellmetal.resources import LedgerEntry, LedgerHolder, LedgerTenure


@dataclass(frozen=True, slots=True)
class Holder:
    """A Service that holds an address, since a wall-clock time (RFC 3339)."""

    uid: str
    namespace: str
    name: str
    since: str = ""
    sharing: str = ""  # digest of the terms that others joined on; empty: it shares with nobody

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Tenure:
    """A node that owned an address on layer 2: since when (RFC 3339, or nothing), and why it."""

    node: str
    since: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """One address in the ledger. No holders: free, but its term is remembered.

    ``owners``: the nodes that owned it since its holders have it, the present one first; none as
    long as it is still the first one's. Whom a node took it over from is the next in the row.
    """

    address: IPAddress
    term: int
    pool: str
    holders: tuple[Holder, ...] = ()
    last_holder: Holder | None = None
    freed_at: str = ""
    owners: tuple[Tenure, ...] = ()

    def last(self, now: str) -> tuple[Holder | None, str]:
        """Who had it last and since when it is free, if none of its holders is there any more."""
        if self.holders:
            return self.holders[0], now
        return self.last_holder, self.freed_at

    def held_by(self, uid: str) -> bool:
        """Whether that Service holds it."""
        return any(holder.uid == uid for holder in self.holders)


def seconds_between(then: str, now: str) -> float:
    """From one time to the other, both RFC 3339; infinity if the first is none."""
    try:
        before = datetime.fromisoformat(then)
    except ValueError:
        return float("inf")
    if before.tzinfo is None:  # a time of nowhere: somebody has written into the ledger
        return float("inf")
    return (datetime.fromisoformat(now) - before).total_seconds()


Holdings: TypeAlias = Mapping[IPAddress, Holding]


def released(before: Holdings, changes: Iterable[Holding]) -> list[tuple[Holder, IPAddress]]:
    """Who loses which address when ``changes`` come into force."""
    return [
        (holder, after.address)
        for after in changes
        if (held := before.get(after.address)) is not None
        for holder in held.holders
        if not after.held_by(holder.uid)
    ]


def holding_from_entry(address: str, entry: LedgerEntry) -> Holding:
    """A Holding out of a shard's entry; raises AddressError. Who stands there twice counts once."""
    return Holding(
        address=parse_address(address),
        term=entry.term,
        pool=entry.pool,
        holders=tuple({item.uid: _holder(item) for item in entry.holders}.values()),
        last_holder=_holder(entry.last_holder) if entry.last_holder else None,
        freed_at=entry.freed_at or "",
        owners=tuple(Tenure(o.node, o.since or "", o.why or "") for o in entry.owners or []),
    )


def _holder(item: LedgerHolder) -> Holder:
    return Holder(item.uid, item.namespace, item.name, item.since or "", item.sharing or "")


def entry_from_holding(holding: Holding) -> LedgerEntry:
    """The shard's entry of a Holding."""
    return LedgerEntry(
        term=holding.term,
        pool=holding.pool,
        holders=[_ledger_holder(item) for item in holding.holders],
        freed_at=holding.freed_at or None,
        last_holder=_ledger_holder(holding.last_holder) if holding.last_holder else None,
        owners=[LedgerTenure(o.node, o.since or None, o.why or None) for o in holding.owners]
        or None,
    )


def _ledger_holder(holder: Holder) -> LedgerHolder:
    since, sharing = holder.since or None, holder.sharing or None
    return LedgerHolder(holder.uid, holder.namespace, holder.name, since, sharing)
