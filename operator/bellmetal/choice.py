"""Choosing addresses for one Service: what is meant for it, then out of the pools, in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import dataclass, field

from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.cluster import Service
from bellmetal.config import DRAIN, Config, Pool
from bellmetal.holdings import Holdings
from bellmetal.intents import RefusedReason
from bellmetal.sharing import Users
from bellmetal.supply import Supply


class Claims:
    """Free addresses that are meant for certain Services: reserved, or cooling down."""

    def __init__(self, config: Config, held: Holdings, users: Users, now: str) -> None:
        self._by_key: defaultdict[str, list[tuple[IPAddress, Pool]]] = defaultdict(list)
        for pool in config.pools:
            for address, key in pool.reserved.items():
                if key and pool.allows(address):
                    self._by_key[key].append((address, pool))
        if not any(pool.cool_down for pool in config.pools):
            return
        unused = [item for item in held.values() if item.address not in users]
        for holding in sorted(unused, key=lambda item: item.last(now)[1], reverse=True):
            source, (holder, _) = config.pool_of(holding.address), holding.last(now)
            if source and source.cool_down and holder:
                self._by_key[holder.key].append((holding.address, source))

    def of(self, key: str) -> list[tuple[IPAddress, Pool]]:
        """What is meant for a Service: reserved first, then the latest that it had."""
        return self._by_key.get(key, [])


@dataclass(slots=True)
class Search:
    """Looks for ``missing`` addresses for one Service that has ``own`` ones."""

    users: Users
    supply: Supply
    held: Holdings
    service: Service
    own: tuple[IPAddress, ...]
    missing: Counter[Family]
    found: list[IPAddress] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing any more."""
        return not self.missing

    def take_meant(self, meant: list[tuple[IPAddress, Pool]], pools: list[Pool]) -> None:
        """What is reserved for it, in whatever pool; what it had before and is cooling down."""
        held, supply = self.held, self.supply
        for address, pool in meant:
            reserved = pool.reserved.get(address) == self.service.key
            wanted = self.service.request.pool in ("", pool.name)
            usable = closed(pool, self.service) is None and wanted
            if not usable or not (reserved or pool in pools):
                continue
            if not reserved and not supply.cools(pool, held[address]):
                continue
            if self.missing[family_of(address)] > 0 and not self.users.of(address):
                self._take(address)

    def take_from_one(self, pools: list[Pool]) -> None:
        """Both families out of the first pool that has them."""
        if len(self.missing) < 2:
            return
        for pool in pools:
            found = {f: self._candidates(pool, f, n) for f, n in self.missing.items()}
            if all(len(found[f]) == n for f, n in self.missing.items()):
                for address in [a for some in found.values() for a in some]:
                    self._take(address)
                return

    def take_from_each(self, pools: list[Pool]) -> None:
        """Each family out of the first pools that have some; the primary family first."""
        for family in self.service.families:
            for pool in pools:
                if family not in self.missing:
                    break
                for address in self._candidates(pool, family, self.missing[family]):
                    self._take(address)

    def take_shared(self, own: Container[IPAddress], pools: list[Pool]) -> None:
        """Addresses out of these that it may share."""
        for pool in pools:
            for family in self.service.families:
                for address in sorted(self._shared(pool, family), key=int):
                    if address in own and self.missing[family] > 0:
                        self._take(address)

    def _take(self, address: IPAddress) -> None:
        self.found.append(address)
        self.missing[family_of(address)] -= 1
        self.missing = +self.missing

    def _candidates(self, pool: Pool, family: Family, count: int) -> list[IPAddress]:
        taken = sum(1 for address in self.found if family_of(address) is family)
        free = self.supply.first(pool, family, count + taken)
        some = [*free, *self._shared(pool, family)]
        if len(some) > len(free):  # as in a walk over the pool: the first that it may use
            some.sort(key=lambda address: _place(pool, address))
        return [address for address in some if address not in self.found][:count]

    def _shared(self, pool: Pool, family: Family) -> list[IPAddress]:
        service, users = self.service, self.users
        return [
            address
            for address in users.shareable(service.sharing)
            if family_of(address) is family
            and address not in self.own
            and pool.allows(address)
            and pool.reserved.get(address, service.key) == service.key
            and users.clash(address, service.key, service.sharing) is None
        ]


def closed(pool: Pool, service: Service) -> tuple[RefusedReason, str] | None:
    """Why a Service gets nothing new out of a pool, even if it asks."""
    if pool.broken:
        message = f"pool {pool.name} is invalid: see the events of IPAddressPool/{pool.name}"
        return RefusedReason.POOL_INVALID, message
    if pool.draining:
        message = f"pool {pool.name} gives no new addresses: {DRAIN}"
        return RefusedReason.POOL_DRAINING, message
    if not pool.admits(service.namespace, service.labels):
        message = f"pool {pool.name} not compatible for ip assignment"
        return RefusedReason.POOL_NOT_COMPATIBLE, message
    return None


def why_not(pool: Pool, service: Service, missing: Counter[Family]) -> str:
    """Why a pool gave a Service nothing automatically, in few words that do not change often."""
    if no := closed(pool, service):
        return {
            RefusedReason.POOL_INVALID: "invalid",
            RefusedReason.POOL_DRAINING: "draining",
        }.get(no[0], "for other Services")
    if not pool.auto_assign:
        return "autoAssign is false"
    lacking = [family.value for family in missing if not pool.capacity(family)]
    if lacking:
        there = any(entry.family is family for entry in pool.ranges for family in missing)
        return f"all {lacking[0]} excluded" if there else f"no {lacking[0]}"
    states = {"in use": True, "reserved": pool.reserved, "cooling down": pool.cool_down}
    return "all " + " or ".join(state for state, possible in states.items() if possible)


def by_preference(config: Config, service: Service) -> list[Pool]:
    """The pools out of which it may get any address: those pinned to it first."""
    pinned, rest = config.automatic
    own = [pool for pool in pinned if pool.admits(service.namespace, service.labels)]
    return own + rest if own else rest


def _place(pool: Pool, address: IPAddress) -> tuple[int, int]:
    at = next((n for n, entry in enumerate(pool.ranges) if address in entry), len(pool.ranges))
    return at, int(address)
