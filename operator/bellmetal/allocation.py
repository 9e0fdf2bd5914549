"""allocate(cluster, held) → who has which address, and why others have none.

In this order, for each Service:

=====  ========================================================================================
step   what happens
=====  ========================================================================================
1      not ours (class), not of type LoadBalancer, being deleted: holds nothing
2      keeps what it holds: by the ledger, else what its status shows and nobody holds; also
       when no pool allows it any more (orphaned) or its pool is invalid
3      asks for other addresses or another pool than it holds: gets them if it can, else keeps
4      holds nothing, asks: gets what it asks for or is refused
5      holds nothing, asks for nothing: the pools pinned to it (by priority, then name), then
       the other auto-assign pools (by name); in a pool, ascending
=====  ========================================================================================

Steps 1 and 2 are done for all Services before any new address is given, so nothing held ever
moves because something else changed; the new are served oldest first, so the same input in any
order gives the same answer. What changes hands is written into the ledger (`settle`) before
anybody sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import Family, IPAddress, family_of, is_buggy, quoted
from bellmetal.cluster import Cluster, Service
from bellmetal.config import Config, Pool
from bellmetal.holdings import Holder, Holding, Holdings
from bellmetal.intents import Allocation, Refused, RefusedReason


@dataclass(frozen=True, slots=True)
class Allocations:
    """By Service key. A Service may have both: it keeps its address and was refused another."""

    granted: Mapping[str, Allocation] = field(default_factory=dict)
    refused: Mapping[str, Refused] = field(default_factory=dict)


def allocate(cluster: Cluster, held: Holdings) -> Allocations:
    """The whole allocation; ``held`` is the ledger."""
    return _Pass(cluster, held).run()


def settle(
    allocations: Allocations, services: Mapping[str, Service], held: Holdings, now: str
) -> tuple[Holding, ...]:
    """The ledger entries that must change so that it says what was allocated.

    A new holder raises the term; a freed address keeps its entry with the time. ``now`` is
    RFC 3339.
    """
    wanted: dict[IPAddress, tuple[str, list[Service]]] = {}
    for key, allocation in allocations.granted.items():
        for address in allocation.addresses:
            wanted.setdefault(address, (allocation.pool, []))[1].append(services[key])
    changed = [
        _grant(address, pool, users, held.get(address), now)
        for address, (pool, users) in wanted.items()
    ]
    by_uid = {service.uid: service for service in services.values()}
    changed += [
        Holding(address, holding.term, holding.pool, (), holding.holders[0], now)
        for address, holding in held.items()
        if holding.holders and address not in wanted and not _still_shown(holding, by_uid)
    ]
    return tuple(entry for entry in changed if held.get(entry.address) != entry)


def _still_shown(holding: Holding, by_uid: Mapping[str, Service]) -> bool:
    """Whether a Service that is no longer ours to touch (another class) still shows it."""
    users = [by_uid[holder.uid] for holder in holding.holders if holder.uid in by_uid]
    return any(not user.ours and holding.address in user.shown.addresses for user in users)


def _grant(
    address: IPAddress, pool: str, users: list[Service], before: Holding | None, now: str
) -> Holding:
    old = {holder.uid: holder for holder in before.holders} if before else {}
    holders = tuple(
        old.get(user.uid) or Holder(user.uid, user.namespace, user.name, now) for user in users
    )
    kept = before is not None and any(user.uid in old for user in users)
    term = before.term if before is not None and kept else (before.term if before else 0) + 1
    last = before.last_holder if before else None
    if before is not None and before.holders and not kept:
        last = before.holders[0]
    return Holding(address, term, pool, holders, last)


class _Pass:
    """One pass over all Services."""

    def __init__(self, cluster: Cluster, held: Holdings) -> None:
        self.cluster, self.config, self.held = cluster, cluster.config, held
        self.uids = {service.uid for service in cluster.services.values()}
        self.users: dict[IPAddress, str] = {}  # address → the key of the Service that has it
        self.granted: dict[str, Allocation] = {}
        self.refused: dict[str, Refused] = {}
        self.free = _FreeAddresses(self.users)  # of the present round

    def run(self) -> Allocations:
        services = [service for service in self.cluster.services.values() if service.wants_address]
        services.sort(key=lambda service: (service.created, service.key))
        self._keep_by_ledger({service.uid: service for service in services})
        self._respect_others()
        gave_up = [True]
        while any(gave_up):  # what one gives up, another may have been refused
            self._adopt_shown(services)
            self.refused, self.free = {}, _FreeAddresses(self.users)
            gave_up = [self._serve(service) for service in services]
        return Allocations(self.granted, self.refused)

    # --- 2: what is held stays -------------------------------------------------------------------

    def _keep_by_ledger(self, by_uid: Mapping[str, Service]) -> None:
        kept: dict[str, list[Holding]] = {}
        for holding in self.held.values():
            for holder in holding.holders:
                if holder.uid in by_uid:
                    kept.setdefault(holder.uid, []).append(holding)
        for uid, holdings in kept.items():
            shown = by_uid[uid].shown.addresses
            holdings.sort(key=lambda holding: _position(holding.address, shown))
            addresses = tuple(holding.address for holding in holdings)
            self._grant(by_uid[uid], addresses, holdings[0].pool)

    def _respect_others(self) -> None:
        """What Services of another class show is taken, whoever gave it to them."""
        for service in self.cluster.services.values():
            if not service.ours:
                for address in service.shown.addresses:
                    self.users.setdefault(address, service.key)

    def _adopt_shown(self, services: Iterable[Service]) -> None:
        for service in services:
            seen = dict.fromkeys(service.shown.addresses)
            shown = tuple(a for a in seen if self._adoptable(a, service))
            if shown and service.key not in self.granted:
                self._grant(service, shown, service.shown.pool)

    def _adoptable(self, address: IPAddress, service: Service) -> bool:
        if address in self.users:
            return False
        holding = self.held.get(address)
        others = {holder.uid for holder in holding.holders} if holding else set()
        if (others - {service.uid}) & self.uids:
            return False
        # shown without our annotation and outside every pool: somebody else's business
        return bool(service.shown.pool) or self.config.pool_of(address) is not None

    def _grant(self, service: Service, addresses: tuple[IPAddress, ...], before: str) -> None:
        pool = self.config.pool_of(addresses[0])
        orphaned = pool is None and not self._is_broken(before)
        name = pool.name if pool else before
        self.granted[service.key] = Allocation(service.key, addresses, name, orphaned)
        for address in addresses:
            self.users[address] = service.key

    def _is_broken(self, name: str) -> bool:
        pool = self.config.pool(name)
        return pool is not None and pool.broken

    # --- 3 to 5: what is new ---------------------------------------------------------------------

    def _serve(self, service: Service) -> bool:
        """Gives a Service what it asks for, if that is possible; whether it gave up another."""
        has = self.granted.get(service.key)
        if has is not None and self._satisfied(service, has):
            return False
        answer = self._choose(service)
        if isinstance(answer, Refused):
            self.refused[service.key] = answer
            return False
        address, pool = answer
        if has is not None:
            for old in has.addresses:
                self.users.pop(old, None)
        self.users[address] = service.key
        self.granted[service.key] = Allocation(service.key, (address,), pool.name)
        return has is not None

    def _satisfied(self, service: Service, has: Allocation) -> bool:
        request = service.request
        if request.fault:
            return False
        if request.addresses and set(request.addresses) != set(has.addresses):
            return False
        return not request.pool or request.pool == has.pool

    def _choose(self, service: Service) -> tuple[IPAddress, Pool] | Refused:
        request = service.request
        if request.fault:
            return _refuse(service, RefusedReason.BAD_REQUEST, request.fault)
        if fault := _unsupported(service):
            return _refuse(service, RefusedReason.FAMILY_NOT_SUPPORTED, fault)
        if request.addresses:
            return self._requested_address(service)
        if request.pool:
            return self._requested_pool(service)
        for pool in _by_preference(self.config, service):
            address = self.free.first(pool)
            if address is not None:
                return address, pool
        return _refuse(service, RefusedReason.NO_ADDRESS_LEFT, self._none_left())

    def _requested_address(self, service: Service) -> tuple[IPAddress, Pool] | Refused:
        address = service.request.addresses[0]
        pool = self.config.pool_of(address)
        text = quoted([str(address)])
        if pool is None:
            message = f"{text} is not allowed in config: no IPAddressPool contains it"
            return _refuse(service, RefusedReason.ADDRESS_NOT_IN_POOLS, message)
        if service.request.pool and service.request.pool != pool.name:
            message = (
                f"requested loadBalancer IP(s) {text} is not compatible with requested"
                f" address pool {service.request.pool}: it is in {pool.name}"
            )
            return _refuse(service, RefusedReason.BAD_REQUEST, message)
        if not pool.admits(service.namespace, service.labels):
            message = f"pool {pool.name} not compatible for ip assignment"
            return _refuse(service, RefusedReason.POOL_NOT_COMPATIBLE, message)
        user = self.users.get(address)
        if user is not None and user != service.key:
            message = (
                f'can\'t change sharing key for "{service.key}", address also in use by {user}'
                f" ({address} is taken)"
            )
            return _refuse(service, RefusedReason.ADDRESS_TAKEN, message)
        return address, pool

    def _requested_pool(self, service: Service) -> tuple[IPAddress, Pool] | Refused:
        name = service.request.pool
        pool = self.config.pool(name)
        if pool is None:
            return _refuse(service, RefusedReason.UNKNOWN_POOL, f'unknown pool "{name}"')
        if pool.broken:
            message = f"pool {name} is invalid: see the events of IPAddressPool/{name}"
            return _refuse(service, RefusedReason.POOL_INVALID, message)
        if not pool.admits(service.namespace, service.labels):
            message = f"pool {name} not compatible for ip assignment"
            return _refuse(service, RefusedReason.POOL_NOT_COMPATIBLE, message)
        address = self.free.first(pool)
        if address is None:
            message = f"no available IPs in pool {name}"
            return _refuse(service, RefusedReason.NO_ADDRESS_LEFT, message)
        return address, pool

    def _none_left(self) -> str:
        pools = self.config.pools
        if not pools:
            return "no available IPs: there is no IPAddressPool"
        broken = [pool.name for pool in pools if pool.broken]
        if len(broken) == len(pools):
            return f"no available IPs: every IPAddressPool is invalid ({', '.join(broken)})"
        return "no available IPs"


def _by_preference(config: Config, service: Service) -> list[Pool]:
    automatic = [pool for pool in config.pools if pool.auto_assign and not pool.broken]
    pinned = [
        pool for pool in automatic if pool.pinned and pool.admits(service.namespace, service.labels)
    ]
    pinned.sort(key=lambda pool: (pool.priority <= 0, pool.priority, pool.name))
    return pinned + [pool for pool in automatic if not pool.pinned]


class _FreeAddresses:
    """The free addresses of each pool, ascending; one walk over a pool per pass."""

    def __init__(self, users: Mapping[IPAddress, str]) -> None:
        self._users = users
        self._walks: dict[str, Iterator[IPAddress]] = {}
        self._head: dict[str, IPAddress | None] = {}

    def first(self, pool: Pool) -> IPAddress | None:
        """The first address of the pool that nobody has, or None."""
        if pool.name not in self._walks:
            self._walks[pool.name] = self._walk(pool)
            self._head[pool.name] = next(self._walks[pool.name], None)
        while (head := self._head[pool.name]) is not None and head in self._users:
            self._head[pool.name] = next(self._walks[pool.name], None)
        return head

    def _walk(self, pool: Pool) -> Iterator[IPAddress]:
        taken = {int(address) for address in self._users}
        for entry in pool.ranges:
            make = type(entry.first)
            for number in range(int(entry.first), int(entry.last) + 1):
                if number not in taken:
                    address = make(number)
                    if not (pool.avoid_buggy and is_buggy(address)):
                        yield address


def _refuse(service: Service, reason: RefusedReason, message: str) -> Refused:
    return Refused(service.key, reason, message)


def _position(address: IPAddress, shown: tuple[IPAddress, ...]) -> tuple[int, int, int]:
    """Orders addresses as the status shows them, others after, by number."""
    at = shown.index(address) if address in shown else len(shown)
    return at, address.version, int(address)


def _unsupported(service: Service) -> str:
    if service.family_policy == "RequireDualStack":
        return "RequireDualStack: IPv6 is not announced by this release"
    if Family.IPV4 not in service.families:
        return "the Service is IPv6 only: IPv6 is not announced by this release"
    wrong = [str(a) for a in service.request.addresses if family_of(a) is Family.IPV6]
    if wrong:
        return f"{quoted(wrong)} is IPv6, which is not announced by this release"
    if len(service.request.addresses) > 1:
        texts = [str(address) for address in service.request.addresses]
        return f"IPFamilyForAddresses: same address family {quoted(texts)}"
    return ""
