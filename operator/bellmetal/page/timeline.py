"""What happened lately, the newest first: addresses given, moved, freed; sessions that come and go.

Told by what keeps it: the ledger (who has an address since when, the last five nodes that owned it
and why), the BGP sessions' objects, and the events that speakers wrote about BGPPeers.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bellmetal.diagnosis.situation import NodeSession, Situation
from bellmetal.facts import SessionState
from bellmetal.holdings import Holding, Tenure
from bellmetal.resources import Event

KINDS = (("moved",), ("session",), ("given", "freed"))  # none crowds out another
MOST = 40  # of each


@dataclass(frozen=True, slots=True)
class Entry:
    """At ``at`` (RFC 3339, UTC) something of a ``kind`` happened to ``subject``.

    ``about`` is the kind of the subject: address or peer. ``bad``: somebody may suffer from it.
    """

    at: str
    kind: str
    about: str
    subject: str
    said: str
    bad: bool = False


def timeline(situation: Situation, events: Iterable[Event]) -> list[Entry]:
    """The last things of all kinds; events are those about BGPPeers."""
    told = tuple(events)
    entries = [*_events(told), *_sessions(situation.sessions, told)]
    entries += [entry for holding in situation.held.values() for entry in history(holding)]
    shown = [
        entry
        for kinds in KINDS
        for entry in heapq.nlargest(MOST, (e for e in entries if e.kind in kinds), key=_time)
    ]
    return sorted(shown, key=_time, reverse=True)


def _time(entry: Entry) -> tuple[str, str, str]:
    return entry.at, entry.subject, entry.said  # texts of RFC 3339 in UTC sort as times


def history(holding: Holding) -> Iterator[Entry]:
    """What the ledger remembers of one address."""
    address = str(holding.address)
    for holder in holding.holders:
        if holder.since:
            yield Entry(holder.since, "given", "address", address, f"given to {holder.key}")
    if holding.freed_at and not holding.holders:
        last = holding.last_holder
        said = f"given up by {last.key}" if last else "free again"
        yield Entry(holding.freed_at, "freed", "address", address, said)
    for tenure, before in itertools.pairwise(holding.owners):
        if tenure.since:
            said = f"{before.node} → {tenure.node}: {tenure.why}"
            yield Entry(tenure.since, "moved", "address", address, said, _unplanned(tenure))


def _unplanned(tenure: Tenure) -> bool:
    return tenure.why.startswith("took over from")


def _sessions(sessions: Iterable[NodeSession], told: Iterable[Event]) -> Iterator[Entry]:
    """Since when each session is as it is, unless an event of that minute has told it."""
    known = {(event.involved_object.name, _where(event), _at(event)[:16]) for event in told}
    for item in sessions:
        facts = item.facts
        if not item.since or (facts.peer, item.node, item.since[:16]) in known:
            continue
        up = facts.state is SessionState.ESTABLISHED
        said = f"{item.node}: {facts.state.value}"
        said += f", {facts.message}" if facts.message and not up else ""
        said += f" (lost {facts.flaps} times so far)" if facts.flaps else ""
        yield Entry(item.since, "session", "peer", facts.peer, said, not up)


def _events(events: Iterable[Event]) -> Iterator[Entry]:
    for event in events:
        said = f"{_where(event)}: {event.message}"
        peer, bad = event.involved_object.name, event.type == "Warning"
        yield Entry(_at(event), "session", "peer", peer, said, bad)


def _at(event: Event) -> str:
    return event.last_timestamp or event.first_timestamp or ""


def _where(event: Event) -> str:
    return event.source.host or event.reporting_instance
