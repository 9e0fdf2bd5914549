"""allocate(cluster, held, now) → who has which address, and why others have none.

In this order, for each Service:

=====  ========================================================================================
step   what happens
=====  ========================================================================================
1      not ours (class), not of type LoadBalancer, being deleted: holds nothing
2      keeps what it holds: by the ledger, else what its status shows and nobody holds; also
       when no pool allows it any more (orphaned, unless it is to be renumbered) or its pool is
       invalid; of Services that share, those whose terms clash with the others' lose it
3      asks for other addresses or another pool than it holds: gets them if it can, else keeps
4      has no address of a family, or too few: what is reserved for it, what it had before (while
       that cools down), then out of the pool that it asks for; else out of the pools of what it
       holds, the pools pinned to it (by priority, then name), the other auto-assign pools (by
       name). One pool for both families comes before two pools.
5      holds addresses of a family that it has no more, or too many: gives those back
=====  ========================================================================================

Steps 1 and 2 are done for all Services before any new address is given, so nothing held ever
moves because something else changed; the new are served oldest first, so the same input in any
order gives the same answer. What changes hands is written into the ledger (`settlement.py`)
before anybody sees it.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import Family, IPAddress, family_of, printable, quoted
from bellmetal.choice import Claims, Search, by_preference, closed, why_not
from bellmetal.cluster import Cluster, Service
from bellmetal.config import EXCLUDE, PER_FAMILY, QUOTA, OnOrphan, Pool
from bellmetal.holdings import Holder, Holding, Holdings
from bellmetal.intents import Allocation, Refused, RefusedReason
from bellmetal.sharing import Users
from bellmetal.supply import Supply


@dataclass(frozen=True, slots=True)
class Allocations:
    """By Service key. A Service may have both: it keeps its address and was refused another.

    ``cleared``: why it loses an address, in a sentence. ``again_in``: seconds after which a refused
    Service may get one without anybody's doing (infinity: never).
    """

    granted: Mapping[str, Allocation] = field(default_factory=dict)
    refused: Mapping[str, Refused] = field(default_factory=dict)
    cleared: Mapping[str, str] = field(default_factory=dict)
    again_in: float = float("inf")


def allocate(cluster: Cluster, held: Holdings, now: str) -> Allocations:
    """The whole allocation; ``held`` is the ledger, ``now`` RFC 3339."""
    return Decision(cluster, held, now).run()


class Decision:
    """One pass over all Services. Once made, it can be `extended` while nothing else changes."""

    def __init__(self, cluster: Cluster, held: Holdings, now: str) -> None:
        self.cluster, self.config, self.held, self.now = cluster, cluster.config, held, now
        self.uids = {service.uid for service in cluster.services.values()}
        self.users = Users()
        self.has: dict[str, tuple[IPAddress, ...]] = {}  # Service key → its addresses
        self.in_namespace: defaultdict[str, Counter[IPAddress]] = defaultdict(Counter)
        self.origins: dict[IPAddress, str] = {}  # the pool that an address was given out of
        self.refused: dict[str, Refused] = {}
        self.cleared: dict[str, str] = {}
        self._new_round()

    def _new_round(self) -> None:
        self.refused = {}
        self.gave_up = self.took = False
        self.supply = Supply(self.users, self.held, self.cluster.shy, self.now)

    def run(self) -> Allocations:
        """Makes it; once."""
        services = [service for service in self.cluster.services.values() if service.wants_address]
        services.sort(key=lambda service: (service.created, service.key))
        self._keep_by_ledger({service.uid: service for service in services})
        self._respect_others()
        self.claims = Claims(self.config, self.held, self.users, self.now)
        self.gave_up, self.took = True, False
        # what one gives up, another may have been refused; what one takes, another is refused for
        while self.gave_up or (self.took and self.refused):
            self._adopt_shown(services)
            self._new_round()
            for service in sorted(services, key=lambda service: bool(self.has.get(service.key))):
                self._serve(service)  # who has none comes before who lacks some
        granted = {s.key: self._granted(s) for s in services if self.has.get(s.key)}
        again_in = self.supply.cooled_in if self.refused else float("inf")
        return Allocations(granted, self.refused, self.cleared, again_in)

    def extend(self, new: Iterable[Service]) -> dict[str, Allocation]:
        """Addresses for Services that are new since: what a pass over everything would give them.

        Only after a decision that refused nobody. Who cannot be served without a look at others
        (refused, or sharing an address) is left out, and has nothing.
        """
        served = {}
        for service in sorted(new, key=lambda service: (service.created, service.key)):
            self.uids.add(service.uid)
            self._serve(service)
            has = self.has.get(service.key, ())
            if service.key in self.refused or any(len(self.users.of(a)) > 1 for a in has):
                self._set(service, ())
            if self.has.get(service.key):
                served[service.key] = self._granted(service)
        self.refused = {}
        return served

    def _granted(self, service: Service) -> Allocation:
        addresses = self.has[service.key]
        pools, orphaned = [], []
        for address in addresses:
            pool = self.config.pool_of(address)
            pools.append(pool.name if pool else self.origins.get(address, ""))
            if (at_fault := self._disallows(service, address)) is not None:
                orphaned.append((address, at_fault))
        return Allocation(service.key, addresses, tuple(pools), tuple(orphaned))

    def _set(self, service: Service, addresses: Iterable[IPAddress]) -> None:
        """From now on the Service has exactly these."""
        counter = self.in_namespace[service.namespace]
        for old in self.has.get(service.key, ()):
            self.users.remove(old, service.key)
            counter[old] -= 1
        self.has[service.key] = tuple(addresses)
        for address in self.has[service.key]:
            self.users.add(address, service.key, service.sharing)
            counter[address] += 1

    # --- 2: what is held stays -------------------------------------------------------------------

    def _keep_by_ledger(self, by_uid: Mapping[str, Service]) -> None:
        kept: dict[str, list[IPAddress]] = {}
        for holding in self.held.values():
            self.origins[holding.address] = holding.pool
            for service in _in_order(holding, by_uid):
                if self._may_keep(service, holding.address):
                    kept.setdefault(service.uid, []).append(holding.address)
                    self.users.add(holding.address, service.key, service.sharing)
        for uid, addresses in kept.items():
            service = by_uid[uid]
            shown = service.shown.addresses
            if len(addresses) > 1:
                addresses.sort(key=lambda a: _position(a, shown))
            self.has[service.key] = tuple(addresses)
            self.in_namespace[service.namespace].update(addresses)

    def _may_keep(self, service: Service, address: IPAddress) -> bool:
        clash = self.users.clash(address, service.key, service.sharing)
        why = clash.message if clash else ""
        at_fault = self._disallows(service, address)
        if not why and at_fault is not None and self._renumbers(address):
            why = f"{quoted([str(address)])} is not allowed in config"
            if at_fault:
                why = f"pool {at_fault} not compatible for ip assignment"
        if why:
            self.cleared[service.key] = why
        return not why

    def _disallows(self, service: Service, address: IPAddress) -> str | None:
        """The pool that is for others, or nothing if no pool has it; None if all is well."""
        pool = self.config.pool_of(address)
        if pool is not None:
            return None if pool.admits(service.namespace, service.labels) else pool.name
        origin = self.config.pool(self.origins.get(address, ""))
        # what an invalid object said before is not known: what stands on it stays
        return None if origin is not None and origin.broken else ""

    def _renumbers(self, address: IPAddress) -> bool:
        pool = self.config.pool_of(address) or self.config.pool(self.origins.get(address, ""))
        policy = pool.on_orphan if pool and pool.on_orphan else self.cluster.on_orphan
        return policy is OnOrphan.RENUMBER

    def _respect_others(self) -> None:
        """What Services of another class show is taken, whoever gave it to them."""
        for service in self.cluster.services.values():
            if not service.ours:
                for address in service.shown.addresses:
                    self.users.add(address, service.key, service.sharing)

    def _adopt_shown(self, services: Iterable[Service]) -> None:
        for service in services:
            if self.has.get(service.key) or service.key in self.cleared:
                continue
            pools = service.shown.pool.split(",")
            found = []
            for address in dict.fromkeys(service.shown.addresses):
                self.origins.setdefault(address, pools[0])
                if self._adoptable(address, service) and self._may_keep(service, address):
                    found.append(address)
            if found:
                self._set(service, found)

    def _adoptable(self, address: IPAddress, service: Service) -> bool:
        if self.users.clash(address, service.key, service.sharing):
            return False
        holding = self.held.get(address)
        others = {holder.uid for holder in holding.holders} if holding else set()
        if (others - {service.uid}) & self.uids and address not in self.users:
            return False
        # shown without our annotation and outside every pool: somebody else's business
        return bool(service.shown.pool) or self.config.pool_of(address) is not None

    # --- 3 to 5: what is new ---------------------------------------------------------------------

    def _serve(self, service: Service) -> None:
        """Gives a Service what it asks for, if that is possible."""
        if service.request.fault:
            self._refuse(service, RefusedReason.BAD_REQUEST, service.request.fault)
        elif service.family_policy == "RequireDualStack" and len(service.families) < 2:
            message = f"Service requires dual stack but not enough clusterips {service.cluster_ips}"
            self._refuse(service, RefusedReason.NOT_ENOUGH_CLUSTER_IPS, message)
        elif service.request.addresses:
            self._serve_requested(service)
        else:
            self._serve_any(service)

    def _replace(self, service: Service, addresses: list[IPAddress]) -> None:
        before = set(self.has.get(service.key, ()))
        self._set(service, addresses)
        self.gave_up = self.gave_up or bool(before - set(addresses))
        self.took = self.took or bool(set(addresses) - before)

    def _refuse(
        self, service: Service, reason: RefusedReason, message: str, additional: bool = False
    ) -> None:
        self.refused[service.key] = Refused(service.key, reason, printable(message), additional)

    # --- what it asks for by address -------------------------------------------------------------

    def _serve_requested(self, service: Service) -> None:
        wanted, has = service.request.addresses, self.has.get(service.key, ())
        if set(wanted) == set(has):
            return
        no = _family_fault(service)
        for address in wanted:
            no = no or self._request_fault(service, address)
        new = [address for address in wanted if address not in has]
        if no is None and (over := self._over_quota(service, new, given_up=has)):
            no = RefusedReason.QUOTA, over
        if no is not None:
            self._refuse(service, *no)
        else:
            self._replace(service, list(wanted))

    def _request_fault(
        self, service: Service, address: IPAddress
    ) -> tuple[RefusedReason, str] | None:
        pool, wanted = self.config.pool_of(address), service.request.pool
        text = quoted([str(address)])
        if pool is None:
            message = f"{text} is not allowed in config: {self._why_no_pool(address)}"
            return RefusedReason.ADDRESS_NOT_IN_POOLS, message
        if wanted and wanted != pool.name:
            message = f"requested loadBalancer IP(s) {text} is not compatible with requested"
            message = f"{message} address pool {wanted}: it is in {pool.name}"
            return RefusedReason.BAD_REQUEST, message
        if no := closed(pool, service):
            return no
        reserved = pool.reserved.get(address, "")
        if reserved and reserved != service.key:
            message = f"{address} is reserved for {reserved} by IPAddressPool/{pool.name}"
            return RefusedReason.RESERVED, message
        clash = self.users.clash(address, service.key, service.sharing)
        return (clash.reason, clash.message) if clash else None

    # --- any address will do ---------------------------------------------------------------------

    def _serve_any(self, service: Service) -> None:
        has = self.has.get(service.key, ())
        one = len(has) == service.per_family == len(service.families) == 1
        if one and not service.request.pool and family_of(has[0]) is service.families[0]:
            return  # it has what it wants, as nearly all have
        fits, missing = self._fitting(service, has)
        found, no = self._choose(service, missing, fits, has) if missing else ([], None)
        if no is not None:
            reason, message = no
            whole = service.family_policy == "RequireDualStack" and not fits
            elsewhere = len(fits) < len(has) and bool(service.request.pool)
            if whole or elsewhere or not (found or fits):
                self._refuse(service, reason, message)
                return
            self._refuse(service, reason, message, additional=True)
        if found or len(fits) < len(has):
            self._replace(service, fits + sorted(found, key=lambda a: (a.version, int(a))))

    def _fitting(
        self, service: Service, has: tuple[IPAddress, ...]
    ) -> tuple[list[IPAddress], Counter[Family]]:
        """Which of its addresses a Service still wants, and how many of each family it lacks."""
        missing = Counter(dict.fromkeys(service.families, service.per_family))
        fits = []
        for address in has:
            family = family_of(address)
            if missing[family] > 0 and self._is_of_pool(service, address):
                fits.append(address)
                missing[family] -= 1
        return fits, +missing

    def _is_of_pool(self, service: Service, address: IPAddress) -> bool:
        wanted = service.request.pool
        pool = self.config.pool_of(address)
        return not wanted or wanted == (pool.name if pool else self.origins.get(address))

    def _choose(
        self,
        service: Service,
        missing: Counter[Family],
        fits: list[IPAddress],
        has: tuple[IPAddress, ...],
    ) -> tuple[list[IPAddress], tuple[RefusedReason, str] | None]:
        """So many addresses of each family, or fewer and why."""
        pools = self._open_pools(service, fits)
        if isinstance(pools, tuple):
            return [], pools
        given_up = tuple(address for address in has if address not in fits)
        search = Search(self.users, self.supply, self.held, service, has, Counter(missing))
        search.take_meant(self.claims.of(service.key), pools)
        search.take_from_one(pools)
        search.take_from_each(pools)
        no = None if search.complete else self._none_left(service, search.missing)
        if over := self._over_quota(service, search.found, given_up):
            own = self.in_namespace[service.namespace]
            search.missing, search.found = Counter(missing), []
            search.take_shared(own, pools)  # what its namespace has already costs nothing
            search.take_from_each(pools)
            while search.found and self._over_quota(service, search.found, given_up):
                search.found.pop()
            wanted = sum(missing.values())
            no = (RefusedReason.QUOTA, over) if len(search.found) < wanted else None
        return search.found, no

    def _open_pools(
        self, service: Service, fits: list[IPAddress]
    ) -> list[Pool] | tuple[RefusedReason, str]:
        """The pools to look into, in order; or why the one that is asked for is none."""
        name = service.request.pool
        if not name:
            near = [pool for address in fits if (pool := self.config.pool_of(address))]
            pools = [pool for pool in near if closed(pool, service) is None]
            if not pools:
                return by_preference(self.config, service)
            pools += by_preference(self.config, service)
            return list({pool.name: pool for pool in pools}.values())
        pool = self.config.pool(name)
        if pool is None:
            return RefusedReason.UNKNOWN_POOL, f'unknown pool "{name}"{self._nearest(name)}'
        return closed(pool, service) or [pool]

    def _over_quota(
        self, service: Service, new: Iterable[IPAddress], given_up: tuple[IPAddress, ...] = ()
    ) -> str:
        quota = self.config.quotas.get(service.namespace)
        if quota is None:
            return ""
        counts = Counter(self.in_namespace[service.namespace])
        counts.subtract(given_up)
        counts.update(new)
        if len(+counts) <= quota:
            return ""
        has = len(+Counter(self.in_namespace[service.namespace]))
        allowed = f"namespace {service.namespace} has {has} addresses, and {QUOTA} allows {quota}"
        return allowed + (": a number that cannot be read counts as 0" if not quota else "")

    def _nearest(self, name: str) -> str:
        names = [pool.name for pool in self.config.pools]
        near = difflib.get_close_matches(name[:253], names, n=1)
        if near:
            return f'; did you mean "{near[0]}"?'
        return "; there are " + ", ".join(names[:5]) if names else "; there is no pool at all"

    def _why_no_pool(self, address: IPAddress) -> str:
        for pool in self.config.pools:
            if any(address in entry for entry in pool.ranges):
                excluded = any(address in entry for entry in pool.excluded)
                why = EXCLUDE if excluded else "avoidBuggyIPs"
                return f"IPAddressPool/{pool.name} contains it, but {why} takes it out"
        return "no IPAddressPool contains it"

    def _none_left(self, service: Service, missing: Counter[Family]) -> tuple[RefusedReason, str]:
        pools = self.config.pools
        families = " and ".join(sorted(family.value.lower() for family in missing))
        if name := service.request.pool:
            pool = self.config.pool(name)
            if pool is not None and _has(pool, missing):
                return RefusedReason.NO_ADDRESS_LEFT, f"no available IPs in pool {name}"
            message = f"no available IPs in pool {name} for {families} IPFamily"
            return RefusedReason.NO_FAMILY, message
        if not pools:
            return RefusedReason.NO_POOL, "no available IPs: there is no IPAddressPool"
        open_pools = by_preference(self.config, service)
        reason = RefusedReason.NO_ADDRESS_LEFT if open_pools else RefusedReason.NO_POOL_OPEN
        if open_pools and not any(_has(pool, missing) for pool in open_pools):
            reason = RefusedReason.NO_FAMILY
        why = [f"{pool.name}: {why_not(pool, service, missing)}" for pool in pools[:5]]
        more = f"; and {len(pools) - 5} more" if len(pools) > 5 else ""
        return reason, f"no available IPs ({families}): {'; '.join(why)}{more}"


def _has(pool: Pool, missing: Iterable[Family]) -> bool:
    """Whether a pool has addresses of all these families, in use or not."""
    return all(pool.capacity(family) for family in missing)


def _in_order(holding: Holding, by_uid: Mapping[str, Service]) -> list[Service]:
    """The Services that hold it: first those whose terms of sharing are as they were agreed on."""
    found = [(item, by_uid[item.uid]) for item in holding.holders if item.uid in by_uid]
    if len(found) > 1:
        found.sort(key=lambda pair: _has_changed(*pair))
    return [service for _, service in found]


def _has_changed(holder: Holder, service: Service) -> bool:
    return bool(holder.sharing) and holder.sharing != service.sharing.digest


def _position(address: IPAddress, shown: tuple[IPAddress, ...]) -> tuple[int, int, int]:
    """Orders addresses as the status shows them, others after, by number."""
    at = shown.index(address) if address in shown else len(shown)
    return at, address.version, int(address)


def _family_fault(service: Service) -> tuple[RefusedReason, str] | None:
    """What is wrong with a list of requested addresses, whatever the pools (MetalLB's words)."""
    texts = quoted([str(address) for address in service.request.addresses])
    counts = Counter(family_of(address) for address in service.request.addresses)
    number = len(service.request.addresses)
    if number > 2 * service.per_family:
        message = f"IPFamilyForAddresses: invalid ips length {number} {texts}"
        return RefusedReason.BAD_REQUEST, message
    repeated = len(set(service.request.addresses)) < len(service.request.addresses)
    if repeated or max(counts.values()) > service.per_family:
        message = f"IPFamilyForAddresses: same address family {texts}"
        hint = "one stands there twice" if repeated else f"for several see {PER_FAMILY}"
        return RefusedReason.BAD_REQUEST, f"{message}: {hint}"
    if counts.keys() != set(service.families):
        message = f"requested loadBalancer IP(s) {texts} does not match the ipFamily of the service"
        families = " and ".join(family.value for family in service.families)
        return RefusedReason.FAMILY_MISMATCH, f"{message}: it wants {families}"
    return None
