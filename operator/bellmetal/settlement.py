"""settle(allocations, services, held, now) → the ledger entries that must change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Service
from bellmetal.holdings import Holder, Holding, Holdings


def settle(
    allocations: Allocations,
    services: Mapping[str, Service],
    held: Holdings,
    now: str,
    floor: int = 0,
) -> tuple[Holding, ...]:
    """The ledger entries that must change so that it says what was allocated.

    A new holder of a free address raises the term; a freed address keeps its entry with the time;
    what has no entry begins above ``floor``. ``now`` is RFC 3339.
    """
    wanted: dict[IPAddress, tuple[str, list[Service]]] = {}
    for key, allocation in allocations.granted.items():
        for address, pool in zip(allocation.addresses, allocation.pools, strict=True):
            wanted.setdefault(address, (pool, []))[1].append(services[key])
    changed = [
        _grant(held.get(address) or Holding(address, floor, pool), pool, users, now)
        for address, (pool, users) in wanted.items()
        if not _stands(held.get(address), pool, users)
    ]
    by_uid = {service.uid: service for service in services.values()}
    changed += [
        _release(holding, by_uid, now)
        for address, holding in held.items()
        if holding.holders and address not in wanted
    ]
    return tuple(entry for entry in changed if held.get(entry.address) != entry)


def _stands(holding: Holding | None, pool: str, users: list[Service]) -> bool:
    """Whether an entry says this already, as nearly all do, of an address that nobody shares."""
    if holding is None or holding.pool != pool or len(users) != 1 or len(holding.holders) != 1:
        return False
    user, holder = users[0], holding.holders[0]
    same = holder.uid == user.uid and not holder.sharing and not user.sharing.key
    return same and holder.key == user.key and not holding.freed_at


def _release(holding: Holding, by_uid: Mapping[str, Service], now: str) -> Holding:
    """Without those that have it no more; who is no longer ours to touch (of another class) and
    still shows it stays."""
    left = tuple(
        holder
        for holder in holding.holders
        if (user := by_uid.get(holder.uid)) is not None
        and not user.ours
        and holding.address in user.shown.addresses
    )
    if left:
        return replace(holding, holders=left)
    return Holding(holding.address, holding.term, holding.pool, (), holding.holders[0], now)


def _grant(before: Holding, pool: str, users: list[Service], now: str) -> Holding:
    """Who held it stays in place, in order; who is new stands behind."""
    old = {holder.uid: holder for holder in before.holders}
    order = {uid: n for n, uid in enumerate(old)}
    users = sorted(users, key=lambda user: order.get(user.uid, len(order)))
    holders = tuple(_holder(user, old.get(user.uid), now) for user in users)
    if any(user.uid in old for user in users):
        return replace(before, pool=pool, holders=holders, freed_at="")
    last = before.holders[0] if before.holders else before.last_holder
    return Holding(before.address, before.term + 1, pool, holders, last)


def _holder(user: Service, before: Holder | None, now: str) -> Holder:
    """Terms of sharing are written down of those that share: later it is known who changed them."""
    since = before.since if before else now
    return Holder(user.uid, user.namespace, user.name, since, user.sharing.digest)
