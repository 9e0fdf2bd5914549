"""How things are, row by row: pools, addresses, members. `status` prints it, the page shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bellmetal.addresses import Family, IPAddress
from bellmetal.diagnosis.announced import no_speaker, owner_of
from bellmetal.diagnosis.catalogue import BEHIND, NO_LEADER
from bellmetal.diagnosis.pool import tally
from bellmetal.diagnosis.situation import Situation
from bellmetal.facts import DoubtKind, SessionState
from bellmetal.intents import Announcement

HARMLESS = (DoubtKind.CONTESTED,)


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool. ``total`` and the rest are numbers of addresses, of both families together."""

    name: str
    auto: bool
    total: int
    used: int
    reserved: int
    cooling: int
    free: int
    orphaned: int
    advertised: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AddressRow:
    """An address in use. ``state``: announced, or the code of what is wrong. ``since``: RFC 3339,
    of the first of its Services; ``owned_since``: of its owner's, as far as it has had another.
    """

    address: IPAddress
    services: tuple[str, ...]
    pool: str
    owner: str = ""
    peers: tuple[str, ...] = ()
    since: str = ""
    owned_since: str = ""
    state: str = "announced"

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state == "announced"


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A node: what its speaker owns and says."""

    node: str
    ready: bool
    speaker: str  # why there is none; empty: it runs
    owns: int
    sessions: int
    established: int
    notes: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.ready and not self.speaker and self.sessions == self.established


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it. ``refused``: Service key → code and sentence, of those without an address."""

    leader: str
    leads: bool
    problems: tuple[str, ...]
    pools: tuple[PoolRow, ...]
    addresses: tuple[AddressRow, ...]
    members: tuple[MemberRow, ...]
    refused: tuple[tuple[str, str, str], ...]

    @property
    def well(self) -> bool:
        """Whether nobody need look."""
        rows: list[AddressRow | MemberRow] = [*self.addresses, *self.members]
        return self.leads and not self.problems and not self.refused and all(r.well for r in rows)


def overview(situation: Situation) -> Overview:
    """Everything that there is to see."""
    leader = situation.leader
    return Overview(
        leader=leader.name if leader else "",
        leads=leader is None or leader.leads,
        problems=tuple(map(str, situation.problems)),
        pools=pool_rows(situation),
        addresses=address_rows(situation),
        members=member_rows(situation),
        refused=tuple(
            (key, item.reason.value, item.message)
            for key, item in sorted(situation.allocations.refused.items())
            if key not in situation.allocations.granted
        ),
    )


def pool_rows(situation: Situation) -> tuple[PoolRow, ...]:
    """The pools, by name."""
    config = situation.cluster.config
    orphans: dict[str, int] = {}
    for item in situation.allocations.granted.values():
        for address, _ in item.orphaned:
            name = dict(zip(item.addresses, item.pools, strict=True))[address]
            orphans[name] = orphans.get(name, 0) + 1
    rows = []
    for pool in config.pools:
        counts = [tally(situation, pool, family) for family in Family]
        total = {key: sum(one[key] for one in counts) for key in counts[0]}
        problem = situation.problem_of("IPAddressPool", pool.name)
        every = [*config.l2_advertisements, *config.bgp_advertisements]
        rows.append(
            PoolRow(
                pool.name,
                pool.auto_assign,
                **total,
                orphaned=orphans.get(pool.name, 0),
                advertised=any(item.selects_pool(pool.name, pool.labels) for item in every),
                problem=f"{problem.path}: {problem.message}" if problem else "",
            )
        )
    return tuple(rows)


def address_rows(situation: Situation) -> tuple[AddressRow, ...]:
    """The addresses in use, by number."""
    users: dict[IPAddress, list[str]] = {}
    pools: dict[IPAddress, str] = {}
    for key, given in sorted(situation.allocations.granted.items()):
        for address, pool in zip(given.addresses, given.pools, strict=True):
            users.setdefault(address, []).append(key)
            pools[address] = pool
    wrong = _wrong(situation)
    peers = _peers(situation)
    rows = []
    for address in sorted(users, key=lambda one: (one.version, int(one))):
        item = situation.told.announcements.get(address)
        keys = tuple(users[address])
        reached = tuple(sorted({name for key in keys for name in peers.get(key, ())}))
        rows.append(
            AddressRow(
                address,
                keys,
                pools[address],
                owner_of(situation, item) if item else "",
                reached,
                *_since(situation, address),
                state=_unshown(situation, keys, address)
                or wrong.get(address)
                or _state(situation, keys, item, reached),
            )
        )
    return tuple(rows)


def _unshown(situation: Situation, keys: Iterable[str], address: IPAddress) -> str:
    """The code of why no Service shows an address that is decided; empty: one does."""
    services = situation.cluster.services
    if any(address in services[key].shown.addresses for key in keys):
        return ""
    leader = situation.leader
    return BEHIND if leader is None or leader.leads else NO_LEADER


def _wrong(situation: Situation) -> dict[IPAddress, str]:
    """Address → the code of what keeps it from being reached."""
    found = {
        doubt.address: doubt.kind.reason
        for node, doubt in situation.doubts
        if doubt.kind not in HARMLESS
        and node in situation.cluster.nodes
        and situation.cluster.nodes[node].ready
    }
    for no in situation.intents.withheld:
        if not no.how:
            found[no.address] = no.reason.value
    return found


def _state(
    situation: Situation, keys: Iterable[str], item: Announcement | None, peers: tuple[str, ...]
) -> str:
    if item is not None:
        answering = any(
            owner_of(situation, item) in situation.answering.get(key, ()) for key in keys
        )
        return "announced" if answering or peers else "NotAnswering"
    return "announced" if peers else "RouteNotSent"


def _peers(situation: Situation) -> dict[str, set[str]]:
    """Service key → the BGPPeers that have been told of it."""
    return {
        key: {name for names in nodes.values() for name in names}
        for key, nodes in situation.sent.items()
    }


def _since(situation: Situation, address: IPAddress) -> tuple[str, str]:
    holding = situation.held.get(address)
    if holding is None:
        return "", ""
    held = min((holder.since for holder in holding.holders if holder.since), default="")
    return held, holding.owners[0].since if holding.owners else held


def member_rows(situation: Situation) -> tuple[MemberRow, ...]:
    """The nodes, by name."""
    owns: dict[str, int] = {}
    for item in situation.told.announcements.values():
        owner = owner_of(situation, item)
        owns[owner] = owns.get(owner, 0) + 1
    rows = []
    for name, node in sorted(situation.cluster.nodes.items()):
        sessions = [one for one in situation.sessions if one.node == name]
        up = [one for one in sessions if one.facts.state is SessionState.ESTABLISHED]
        notes = [f"draining: {node.draining}"] if node.draining else []
        excluded = node.excluded and not situation.cluster.ignore_exclude_label
        notes += ["excluded by its label"] if excluded else []
        sights = situation.sights.get(name)
        notes += [f"does not hear {other}" for other in (sights.unheard if sights else ())]
        notes += [finding.message for finding in situation.findings.get(name, ())]
        established = sum(not one.doubt for one in up)
        rows.append(
            MemberRow(
                name,
                node.ready,
                no_speaker(situation, name),
                owns.get(name, 0),
                len(sessions),
                established,
                tuple(notes),
            )
        )
    return tuple(rows)
