"""A pool: whether it is valid, what is left of it, who has it, who announces it, who waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.config import Pool
from bellmetal.diagnosis import catalogue
from bellmetal.diagnosis.catalogue import cause
from bellmetal.diagnosis.chain import Explanation, Link, Step, broken, note, ok
from bellmetal.diagnosis.situation import Situation
from bellmetal.holdings import seconds_between
from bellmetal.intents import RefusedReason, WithheldReason

MOST = 10  # of anything that is listed


def explain_pool(situation: Situation, name: str) -> Explanation:
    """Everything about an IPAddressPool that exists."""
    pool = situation.cluster.config.pool(name) or Pool(name, (), broken=True)
    links = [*_validity(situation, pool)]
    links += [link for family in Family for link in _left(situation, pool, family)]
    links += [*_orphans(situation, name), *_advertised(situation, pool), *_waiting(situation, pool)]
    return Explanation("IPAddressPool", name, tuple(links), tuple(_holders(situation, pool)))


def _validity(situation: Situation, pool: Pool) -> Iterable[Link]:
    names = {"system": situation.namespace, "object": f"IPAddressPool/{pool.name}"}
    problems = [p for p in situation.problems if (p.kind, p.name) == ("IPAddressPool", pool.name)]
    for problem in problems:
        found = cause(catalogue.INVALID, f"{problem.path}: {problem.message}", **names)
        yield broken(Step.CONFIGURATION, found)
    if pool.draining:
        said = "it is draining: no new address comes out of it"
        found = cause(RefusedReason.POOL_DRAINING.value, said, **names, pool=pool.name)
        yield note(Step.CONFIGURATION, said, found)
    if not problems:
        yield ok(Step.CONFIGURATION, f"{_ranges(pool)}; {_open_to(pool)}")


def _ranges(pool: Pool) -> str:
    texts = [str(item) for item in pool.ranges]
    more = f" and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return ", ".join(texts[:MOST]) + more


def _open_to(pool: Pool) -> str:
    said = ["any Service" if pool.auto_assign else "Services that ask for it (autoAssign is false)"]
    if pool.namespaces is not None:
        said.append(f"of the namespaces {', '.join(sorted(pool.namespaces)) or '(none)'}")
    if pool.service_selectors:
        said.append("with the labels of spec.serviceAllocation")
    return "for " + " ".join(said)


def tally(situation: Situation, pool: Pool, family: Family) -> Mapping[str, int]:
    """How many addresses of a family are in use, reserved, cooling down, free; their total.

    A reserved address counts as in use where it is.
    """
    total = pool.capacity(family)
    used = {a for a in in_use(situation, pool) if family_of(a) is family}
    reserved = {
        a for a in pool.reserved if family_of(a) is family and a not in used and pool.allows(a)
    }
    cooling = {
        item.address
        for item in situation.held.values()
        if family_of(item.address) is family
        and item.address not in used | reserved
        and pool.allows(item.address)
        and _cools(situation, pool, item.last(situation.now)[1])
    }
    free = total - len(used) - len(reserved) - len(cooling)
    return {
        "total": total,
        "used": len(used),
        "reserved": len(reserved),
        "cooling": len(cooling),
        "free": free,
    }


def _cools(situation: Situation, pool: Pool, freed_at: str) -> bool:
    return bool(freed_at) and seconds_between(freed_at, situation.now) < pool.cool_down


def in_use(situation: Situation, pool: Pool) -> set[IPAddress]:
    """The addresses of a pool that Services have."""
    return {one for one in situation.in_use if pool.allows(one)}


def _left(situation: Situation, pool: Pool, family: Family) -> Iterable[Link]:
    counts = tally(situation, pool, family)
    if not counts["total"]:
        return
    words = {"used": "in use", "reserved": "reserved", "cooling": "cooling down", "free": "free"}
    parts = [f"{counts[key]} {word}" for key, word in words.items() if counts[key] or key == "free"]
    noun = "address" if counts["total"] == 1 else "addresses"
    said = f"{family.value}: {counts['total']} {noun}, {', '.join(parts)}"
    if counts["free"] > 0:
        yield ok(Step.POOL, said)
        return
    reason = RefusedReason.NO_ADDRESS_LEFT.value
    found = cause(reason, said, system=situation.namespace, pool=pool.name)
    yield note(Step.POOL, said, found)


def _orphans(situation: Situation, name: str) -> Iterable[Link]:
    orphans = [
        f"{address} of {key}"
        for key, item in sorted(situation.allocations.granted.items())
        for address, at_fault in item.orphaned
        if name in (at_fault, *item.pools)
    ]
    if orphans:
        said = f"{len(orphans)} given out of it that it does not allow any more"
        found = cause(catalogue.ORPHANED, said, orphans[:MOST], pool=name)
        yield note(Step.ADDRESS, f"{said}: {', '.join(orphans[:MOST])}", found)


def _advertised(situation: Situation, pool: Pool) -> Iterable[Link]:
    config = situation.cluster.config
    every = [*config.l2_advertisements, *config.bgp_advertisements]
    names = [
        f"{type(item).__name__}/{item.name}"
        for item in every
        if item.selects_pool(pool.name, pool.labels)
    ]
    if names:
        yield ok(Step.ADVERTISEMENT, f"selected by {', '.join(names[:MOST])}")
        return
    said = "no L2Advertisement and no BGPAdvertisement selects it: nobody is told of its addresses"
    reason = WithheldReason.NO_ADVERTISEMENT.value
    yield broken(Step.ADVERTISEMENT, cause(reason, said, system=situation.namespace))


def _waiting(situation: Situation, pool: Pool) -> Iterable[Link]:
    """Services that asked for it and got nothing, or for nothing and found it full."""
    waits = [
        f"{key}: {item.message}"
        for key, item in sorted(situation.allocations.refused.items())
        if situation.cluster.services[key].request.pool == pool.name
        or (item.reason is RefusedReason.NO_ADDRESS_LEFT and f"{pool.name}: " in item.message)
    ]
    if waits:
        number = f"{len(waits)} Service{'s' if len(waits) > 1 else ''}"
        said = f"{number} got nothing out of it: {'; '.join(waits[:MOST])}"
        names = {"system": situation.namespace, "pool": pool.name}
        if any(tally(situation, pool, family)["free"] for family in Family):
            yield note(Step.CLAIM, said)
        else:
            yield broken(Step.CLAIM, cause(RefusedReason.NO_ADDRESS_LEFT.value, said, **names))


def _holders(situation: Situation, pool: Pool) -> Iterable[str]:
    found = sorted(in_use(situation, pool), key=lambda a: (a.version, int(a)))
    for address in found[:MOST]:
        holding = situation.held.get(address)
        users = [f"{h.key} since {h.since or '?'}" for h in holding.holders] if holding else []
        yield f"{address}: {', '.join(users) or 'not in the ledger yet'}"
    if len(found) > MOST:
        yield f"… and {len(found) - MOST} more: bellmetal status addresses --pool {pool.name}"
