"""All that the page shows, as plain values of bounded size: `/api/state.json`.

The shape is kept as long as its ``version`` is 1; keys may be added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bellmetal.addresses import Family, family_of
from bellmetal.config import Pool
from bellmetal.diagnosis.overview import MemberRow, member_rows
from bellmetal.diagnosis.situation import Leader, NodeSession, Situation
from bellmetal.facts import SessionState
from bellmetal.page.facts import pool_map
from bellmetal.page.occupancy import Occupancy, count
from bellmetal.page.services import address_row, cut, services
from bellmetal.page.timeline import timeline
from bellmetal.resources import Event

VERSION = 1
CELLS = 4096  # of all maps together
FEWEST_CELLS, MOST_CELLS = 64, 1024  # of one map
MOST_POOLS = 100
MOST_RANGES = 10  # of a pool
MOST_NODES = 500
MOST_SESSIONS = 500
MOST_ORPHANS = 100
MOST_PROBLEMS = 50

Plain = dict[str, Any]


def state(situation: Situation, found: Occupancy, events: Iterable[Event]) -> Plain:
    """What there is, decided and told at ``now``."""
    config = situation.cluster.config
    outside = sorted(found.of(""), key=lambda a: (a.version, int(a)))
    sessions = sorted(situation.sessions, key=_worst_first)
    nodes = sorted(member_rows(situation), key=lambda row: (row.well, row.node))
    problems = situation.problems
    return {
        "version": VERSION,
        "namespace": situation.namespace,
        "leader": leader_of(situation.leader),
        "pools": _pools(situation, found),
        "poolsLeftOff": max(0, len(config.pools) - MOST_POOLS),
        "outside": [address_row(situation, found, one) for one in outside[:MOST_ORPHANS]],
        "outsideTotal": len(outside),
        "services": services(situation, found),
        "nodes": _nodes(situation, nodes[:MOST_NODES]),
        "nodesTotal": len(nodes),
        "nodesUnwell": sum(1 for row in nodes if not row.ready or row.speaker),
        "sessions": [_session(item) for item in sessions[:MOST_SESSIONS]],
        "sessionsTotal": len(sessions),
        "sessionsDown": sum(1 for item in sessions if not _up(item)),
        "peers": sorted(peer.name for peer in config.peers)[:MOST_SESSIONS],
        "timeline": [
            {
                "at": entry.at,
                "kind": entry.kind,
                "about": entry.about,
                "subject": entry.subject,
                "said": cut(entry.said),
                "bad": entry.bad,
            }
            for entry in timeline(situation, events)
        ],
        "problems": [cut(str(item)) for item in problems[:MOST_PROBLEMS]],
        "problemsTotal": len(problems),
        "unread": [cut(text) for text in situation.unread[:MOST_PROBLEMS]],
    }


def leader_of(leader: Leader | None) -> Plain | None:
    """Who leads; None: that may not be read."""
    return None if leader is None else {"name": leader.name, "leads": leader.leads}


# --- pools ---------------------------------------------------------------------------------------


def _pools(situation: Situation, found: Occupancy) -> list[Plain]:
    shown = situation.cluster.config.pools[:MOST_POOLS]
    maps = sum(1 for pool in shown for family in Family if pool.pieces(family))
    most = max(FEWEST_CELLS, min(MOST_CELLS, CELLS // max(1, maps)))
    return [_pool(found, pool, most) for pool in shown]


def _pool(found: Occupancy, pool: Pool, most: int) -> Plain:
    texts = [str(item) for item in pool.ranges]
    return {
        "name": pool.name,
        "valid": not pool.broken,
        "autoAssign": pool.auto_assign,
        "draining": pool.draining,
        "ranges": texts[:MOST_RANGES],
        "rangesTotal": len(texts),
        "families": [
            _family(found, pool, family, most) for family in Family if pool.pieces(family)
        ],
    }


def _family(found: Occupancy, pool: Pool, family: Family, most: int) -> Plain:
    places = [place for a, place in found.of(pool.name).items() if family_of(a) is family]
    total = pool.capacity(family)
    return {
        "family": family.value,
        "total": total,
        "free": max(0, total - len(places)),
        **count(places),
        "map": pool_map(found, pool, family, most),
    }


# --- nodes and sessions --------------------------------------------------------------------------


def _nodes(situation: Situation, rows: Iterable[MemberRow]) -> list[Plain]:
    links, unsteady = situation.cluster.links, situation.cluster.unsteady
    return [
        {
            "name": row.node,
            "ready": row.ready,
            "speaker": cut(row.speaker),
            "well": row.ready and not row.speaker,
            "unsteady": row.node in unsteady,
            "owns": row.owns,
            "sessions": row.sessions,
            "established": row.established,
            "interfaces": [link.name for link in links.get(row.node, ())][:MOST_RANGES],
            "notes": [cut(text) for text in row.notes[:MOST_RANGES]],
        }
        for row in rows
    ]


def _up(item: NodeSession) -> bool:
    return item.facts.state is SessionState.ESTABLISHED and not item.doubt


def _worst_first(item: NodeSession) -> tuple[bool, str, str, str]:
    return _up(item), item.facts.peer, item.node, item.facts.vrf


def _session(item: NodeSession) -> Plain:
    facts = item.facts
    return {
        "node": item.node,
        "peer": facts.peer,
        "remote": facts.remote,
        "vrf": facts.vrf,
        "state": facts.state.value,
        "up": _up(item),
        "since": item.since,
        "said": cut(item.doubt or facts.message),
        "sent": facts.prefixes_sent,
        "pending": facts.prefixes_pending,
        "received": facts.prefixes_received,
        "flaps": facts.flaps,
        "bfd": facts.bfd.state.value if facts.bfd else "",
    }
