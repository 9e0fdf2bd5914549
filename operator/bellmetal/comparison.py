"""Two allocations → what each Service keeps, gets, loses or changes.

May live here: what is decided at a moment and at the next one, and how they differ. May not:
rules of allocation (`allocation.py`), how it is shown (`cli`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations, allocate
from bellmetal.cluster import Cluster, Service
from bellmetal.config import OnOrphan
from bellmetal.holdings import Holding
from bellmetal.intents import Allocation, Refused
from bellmetal.settlement import settle

DELETED = "the Service is deleted"
NOT_OURS = "it is not of type LoadBalancer any more, or of another class"


class Outcome(enum.Enum):
    """What happens to a Service."""

    KEEPS = "keeps"
    GETS = "gets"  # an address, or one more
    LOSES = "loses"  # all, or some of them
    CHANGES = "changes"  # others instead of what it had
    ORPHANED = "orphaned"  # keeps what it may not have any more
    REFUSED = "refused"  # has none and gets none


@dataclass(frozen=True, slots=True)
class Moment:
    """A cluster, what is decided in it, and the ledger once that is written."""

    cluster: Cluster
    allocations: Allocations
    held: Mapping[IPAddress, Holding]


@dataclass(frozen=True, slots=True)
class Row:
    """One Service that has or wants an address, now and then.

    ``why``: why it loses what it had, in a sentence. ``refused``: what it is refused then, which
    is new if ``newly_refused``. ``changed``: whether anything at all is another than now.
    """

    service: str
    outcome: Outcome
    now: Allocation
    then: Allocation
    why: str = ""
    refused: Refused | None = None
    newly_refused: bool = False
    changed: bool = False

    @property
    def hurts(self) -> bool:
        """Whether an address is lost or changed, or something refused that was not."""
        return self.newly_refused or self.outcome in (Outcome.LOSES, Outcome.CHANGES)


def decide(cluster: Cluster, held: Mapping[IPAddress, Holding], now: str) -> Moment:
    """What the controller would decide and write at ``now`` (RFC 3339)."""
    allocations = allocate(cluster, held, now)
    changes = settle(allocations, cluster.services, held, now)
    return Moment(cluster, allocations, {**held, **{item.address: item for item in changes}})


def follow(before: Moment, cluster: Cluster, now: str) -> Moment:
    """What it would decide next, when the cluster has become another."""
    services = {key: _shown(service, before) for key, service in cluster.services.items()}
    return decide(replace(cluster, services=services), before.held, now)


def _shown(service: Service, before: Moment) -> Service:
    """The Service, once it shows what was decided before."""
    known = before.cluster.services.get(service.key)
    if known is None or known.uid != service.uid or not known.ours:
        return service
    allocation, shown = before.allocations.granted.get(service.key), service.shown
    if allocation is not None:
        shown = replace(shown, addresses=allocation.addresses, pool=allocation.pool)
    elif shown.pool:  # what we did not give is not ours to take away
        shown = replace(shown, addresses=(), pool="")
    return replace(service, shown=shown)


def renumbers(cluster: Cluster) -> bool:
    """Whether any address moves because no pool allows it any more."""
    policies = {pool.on_orphan or cluster.on_orphan for pool in cluster.config.pools}
    return OnOrphan.RENUMBER in policies | {cluster.on_orphan}


def compare(before: Moment, after: Moment) -> tuple[Row, ...]:
    """A row for every Service that has or wants an address, sorted by key."""
    keys: set[str] = set()
    for moment in (before, after):
        keys |= moment.allocations.granted.keys() | moment.allocations.refused.keys()
    return tuple(_row(key, before, after) for key in sorted(keys))


def moves(expected: tuple[Row, ...], other: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows of ``other`` whose Service loses an address there that it is expected to keep."""
    kept = {row.service: set(row.then.addresses) & set(row.now.addresses) for row in expected}
    return tuple(
        row for row in other if not kept.get(row.service, set()) <= set(row.then.addresses)
    )


def _row(key: str, before: Moment, after: Moment) -> Row:
    now = before.allocations.granted.get(key) or Allocation(key, (), ())
    then = after.allocations.granted.get(key) or Allocation(key, (), ())
    was_refused, refused = (item.allocations.refused.get(key) for item in (before, after))
    return Row(
        service=key,
        outcome=_outcome(now, then),
        now=now,
        then=then,
        why=_why(key, after) if set(now.addresses) - set(then.addresses) else "",
        refused=refused,
        newly_refused=refused is not None and was_refused is None,
        changed=(now, was_refused) != (then, refused),
    )


def _outcome(now: Allocation, then: Allocation) -> Outcome:
    had, has = set(now.addresses), set(then.addresses)
    if not had and not has:
        return Outcome.REFUSED
    if had == has:
        return Outcome.ORPHANED if then.orphaned else Outcome.KEEPS
    if had < has:
        return Outcome.GETS
    return Outcome.LOSES if has < had else Outcome.CHANGES


def _why(key: str, after: Moment) -> str:
    service = after.cluster.services.get(key)
    if service is None:
        return DELETED
    if not service.wants_address:
        return NOT_OURS
    return after.allocations.cleared.get(key, "")
