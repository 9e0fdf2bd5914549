"""What a speaker writes of BGP sessions: BGPSessionStatus objects, events on BGPPeers, log.

Facts in; what should be written, and when to come again, out. May not live here: the writing
(`rows.py`), what is news (`session_news.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec

from bellmetal import resources
from bellmetal.events import Events, timestamp
from bellmetal.facts import SessionFacts, SessionState
from bellmetal.follow import Kind
from bellmetal.rows import Row
from bellmetal.session_news import EVENTS, LINES, Key, News, Pace, compare, key_of
from bellmetal.session_status import session_name, status_of

log = logging.getLogger(__name__)

SESSIONS = Kind("bellmetal.io", "v1alpha1", "bgpsessionstatuses", resources.BGPSessionStatus, True)
SLOWLY = 30.0  # seconds between two writes of what a router alone can make move all the time


class SessionEvents:
    """Tells of transitions: a line of log, and an event on the BGPPeer, each at its own pace."""

    def __init__(self, events: Events, namespace: str, node: str) -> None:
        self._events, self._namespace, self._node = events, namespace, node
        self._before: tuple[SessionFacts, ...] = ()
        self._lines, self._paced = Pace(LINES), Pace(EVENTS, quiet=False)

    def tell(self, sessions: tuple[SessionFacts, ...], now: float) -> float | None:
        """What is new; when to come again, if something waits."""
        news, self._before = compare(self._before, sessions), sessions
        for item in self._lines.offer(news, sessions, now):
            say(item)
        for item in self._paced.offer(news, sessions, now):
            self._record(item)
        waits = [pace.deadline() for pace in (self._lines, self._paced)]
        return min((due for due in waits if due is not None), default=None)

    def _record(self, item: News) -> None:
        facts = item.facts
        peer = resources.ObjectReference(
            "metallb.io/v1beta2", "BGPPeer", self._namespace, facts.peer, facts.uid
        )
        said = f"node {self._node}: {item.sentence}"
        self._events.record(peer, item.reason, said, warning=item.warning)


def say(item: News) -> None:
    """One line of log."""
    extra = {"op": "bgp", "peer": item.facts.peer, "event": item.reason}
    log.log(logging.WARNING if item.warning else logging.INFO, item.sentence, extra=extra)


@dataclass(slots=True)
class _Page:
    """What was last wanted of a session's object, when, and its times as text."""

    row: Row
    at: float
    times: dict[float, str]


class Pages:
    """What BGPSessionStatus objects should say. What a router alone makes move is said slowly."""

    def __init__(self, node: str, clock: Callable[[float], str] | None = None) -> None:
        self._node, self._clock = node, clock or timestamp
        self._pages: dict[Key, _Page] = {}
        self.deadline: float | None = None  # when something is to be said that waits

    def turn(self, sessions: Iterable[SessionFacts], now: float) -> dict[str, Row]:
        """The rows by name; ``now`` is the facts' clock."""
        before, self._pages, self.deadline = self._pages, {}, None
        rows: dict[str, Row] = {}
        for facts in sessions:
            key, name = key_of(facts), session_name(self._node, facts)
            page = self._page(facts, before.get(key), now)
            if name in rows:  # the peer's address has changed: the old session is about to end
                continue
            self._pages[key], rows[name] = page, page.row
        return rows

    def _page(self, facts: SessionFacts, before: _Page | None, now: float) -> _Page:
        times: dict[float, str] = {}

        def wall(since: float) -> str:
            known = before.times.get(since) if before else None
            return times.setdefault(since, known or self._clock(max(0.0, now - since)))

        status = status_of(self._node, facts, wall)
        if before is not None:
            status = _as_before(before.row.status, status)
        if before is not None and status == before.row.status:
            return replace(before, times=times)
        if before is not None and _steady(status) == _steady(before.row.status):
            due = before.at + SLOWLY
            if now < due:
                self.deadline = min(due, self.deadline or due)
                return replace(before, times=times)
        return _Page(Row(status), now, times)


def _as_before(
    before: resources.BGPSessionStatusStatus, now: resources.BGPSessionStatusStatus
) -> resources.BGPSessionStatusStatus:
    """A session that cannot be opened goes through the same states for ever: since when it is down
    is what counts, and the state is news only together with another reason."""
    up = SessionState.ESTABLISHED.value
    if up in (before.state, now.state):
        return now
    same = (before.reason, before.message) == (now.reason, now.message)
    state = before.state if same else now.state
    return msgspec.structs.replace(now, since=before.since, state=state)


def _steady(status: resources.BGPSessionStatusStatus) -> tuple[object, ...]:
    """All but what a router, or a burst of Services, makes move all the time."""
    fields = {name: getattr(status, name) for name in status.__struct_fields__}
    prefixes = fields.pop("prefixes")
    return (prefixes.sent, *fields.values())
