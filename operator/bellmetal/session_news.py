"""What is new about BGP sessions, in sentences, and how often it may be told. Pure.

May live here: telling two looks at a session apart, and the pace. May not: logs, events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bellmetal.facts import BFDState, SessionFacts, SessionState, SessionTrouble

ESTABLISHED = "BGPSessionEstablished"
DOWN = "BGPSessionDown"
RESET = "BGPSessionReset"
GONE = "BGPSessionGone"
WARNING = "BGPSessionWarning"
CHANGED = "its configuration was changed"  # how the message of our own reset begins
WINDOW = 60.0  # seconds in which a reason is told so many times, and the rest is counted
EVENTS, LINES = 3, 10  # so many times, as an event and in the log

# Nothing wrong yet, or wanted so: no warning unless a session was lost.
_HARMLESS = frozenset([SessionTrouble.CONNECTING, SessionTrouble.WAITING, SessionTrouble.STOPPED])

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class News:
    """One transition of a session. ``facts`` are those of after it, or the last ones.

    ``warning``: a person should know; ``quiet``: it is worth a line of log, and no event.
    """

    facts: SessionFacts
    reason: str
    sentence: str
    warning: bool = False
    quiet: bool = False


def key_of(facts: SessionFacts) -> Key:
    """What tells a node's sessions apart: peer, VRF, remote."""
    return facts.peer, facts.vrf, facts.remote


def name_of(facts: SessionFacts) -> str:
    """A session in a sentence: ``router (192.0.2.1, VRF red)``."""
    remote = facts.remote or "no address yet"
    return f"{facts.peer} ({remote}, VRF {facts.vrf})" if facts.vrf else f"{facts.peer} ({remote})"


def compare(before: Iterable[SessionFacts], now: Iterable[SessionFacts]) -> list[News]:
    """What has happened between two looks, by session; the steps of connecting are no news."""
    known = {key_of(item): item for item in before}
    found = []
    for facts in now:
        before_it = known.pop(key_of(facts), None)
        news = _news(before_it, facts)
        found += [news] if news is not None else []
        found += _warnings(before_it, facts)
    gone = [item for item in known.values() if item.trouble is not SessionTrouble.STOPPED]
    return found + [
        News(item, GONE, f"{name_of(item)}: no session any more", quiet=True) for item in gone
    ]


def _news(before: SessionFacts | None, now: SessionFacts) -> News | None:
    was_up = before is not None and before.state is SessionState.ESTABLISHED
    if now.state is SessionState.ESTABLISHED:
        flaps = now.flaps - (before.flaps if before else now.flaps)
        if was_up and before is not None and before.since == now.since and not flaps:
            return None
        lost = " again" if flaps or was_up else ""
        return News(now, ESTABLISHED, f"{name_of(now)}: established{lost}{_agreed(now)}")
    same = before is not None and (before.trouble, before.message) == (now.trouble, now.message)
    if same and not was_up:
        return None
    reason = now.trouble.value if now.trouble else DOWN
    if _changed(now) and (was_up or before is None):
        return News(now, RESET, f"{name_of(now)}: {now.message}")
    if was_up:
        stopped = now.trouble is SessionTrouble.STOPPED
        mute = now.trouble in (None, SessionTrouble.CONNECTING, SessionTrouble.WAITING)
        said = _why(now, now.notification or now.error) if mute else _why(now)
        sentence = f"{name_of(now)}: the session is lost: {said}"
        return News(now, DOWN if mute else reason, sentence, warning=not stopped, quiet=stopped)
    harmless = now.trouble is None or now.trouble in _HARMLESS
    return News(now, reason, f"{name_of(now)}: {_why(now)}", warning=not harmless, quiet=harmless)


def _changed(now: SessionFacts) -> bool:
    """Whether it is down because we have another plan for it."""
    return now.trouble is SessionTrouble.CONNECTING and now.message.startswith(CHANGED)


def _warnings(before: SessionFacts | None, now: SessionFacts) -> list[News]:
    """What does not end the session and is new."""
    known = before.warnings if before else ()
    return [
        News(now, WARNING, f"{name_of(now)}: {text}", warning=True)
        for text in now.warnings
        if text not in known
    ]


def _why(facts: SessionFacts, more: str = "") -> str:
    code = facts.trouble.value if facts.trouble else facts.state.value
    words = [facts.message or code, more if more not in facts.message else ""]
    return "; ".join(word for word in words if word)


def _agreed(facts: SessionFacts) -> str:
    found = facts.negotiated
    if found is None:
        return ""
    held = f"hold time {found.hold_time} s" if found.hold_time else "no hold time"
    return f" with AS {found.peer_asn} ({held}, keepalive every {found.keepalive_time:g} s)"


def compare_bfd(
    before: Iterable[SessionFacts], now: Iterable[SessionFacts]
) -> list[tuple[SessionFacts, str]]:
    """The sessions whose BFD came up or went down between two looks, and that in a sentence."""
    known = {key_of(item): item.bfd for item in before}
    found = []
    for facts in now:
        was, bfd = known.get(key_of(facts)), facts.bfd
        was_up = was is not None and was.state is BFDState.UP
        if bfd is None or was_up == (bfd.state is BFDState.UP):
            continue
        said = f"{name_of(facts)}: BFD is {bfd.state.value}"
        if was_up:
            why = bfd.message or bfd.diagnostic
            found.append((facts, f"{said}: {why}" if why else said))
        else:
            detect = f", a loss is seen within {bfd.detect_us / 1000:g} ms" * bool(bfd.detect_us)
            found.append((facts, said + detect))
    return found


# --- how often it is told ------------------------------------------------------------------------


@dataclass(slots=True)
class _Teller:
    """What was told of one session, and what waits until ``due``, as ``more`` came.

    By reason: when it was told, and when it last had to wait.
    """

    told: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waited: dict[str, float] = field(default_factory=dict)
    flaps: int = 0  # when it was told last
    waiting: News | None = None
    more: int = 0
    due: float = float("-inf")

    def may_tell(self, item: News, most: int, now: float) -> bool:
        """Whether it is to be told at once: by what was told of that reason, and of any."""
        times = self.told[item.reason]
        times[:] = [at for at in times if now - at < WINDOW]
        another = not times and now - self.waited.get(item.reason, float("-inf")) >= WINDOW
        if item.reason == GONE or another:
            return True
        return now >= self.due and self.waiting is None and len(times) < most

    def wait(self, item: News, now: float) -> None:
        """Only the last of what comes too soon is ever told, so that it is true then."""
        if now >= self.due and self.waiting is None:
            self.due = min(self.told[item.reason], default=now) + WINDOW
        self.waiting, self.more = item, self.more + 1
        self.waited[item.reason] = now

    def tell(self, item: News, now: float) -> News:
        """The news as it is told: together with what has waited, which it makes stale."""
        found = item
        if self.more:
            found = _summed(item, self.more, item.facts.flaps - self.flaps)
        self.told[item.reason].append(now)
        self.flaps, self.waiting, self.more = item.facts.flaps, None, 0
        return found


class Pace:
    """Tells each reason of a session at once, ``most`` times a minute; what comes too soon waits,
    and only the last of it is told, in one sentence. Times are of the caller's clock, in seconds.

    So a session that flaps ten times a second is told of a few times, and then once a minute; and
    what was told last is what is so, but for a minute at most. Where ``quiet`` news are not
    wanted, they only make stale what waits.
    """

    def __init__(self, most: int, quiet: bool = True) -> None:
        self._most, self._quiet = most, quiet
        self._tellers: dict[tuple[Key, str, bool], _Teller] = {}

    def offer(
        self, news: Iterable[News], sessions: Iterable[SessionFacts], now: float
    ) -> list[News]:
        """What of it is to be told now, and what has waited long enough; of what is not among the
        present ``sessions`` nothing is told late."""
        found = []
        for item in news:
            teller = self._tellers.setdefault(_subject(item), _Teller())
            if item.quiet and not self._quiet:
                teller.waiting = None
            elif teller.may_tell(item, self._most, now):
                found.append(teller.tell(item, now))
            else:
                teller.wait(item, now)
        return found + self._overdue({(key_of(one), one.uid): one for one in sessions}, now)

    def _overdue(self, present: dict[tuple[Key, str], SessionFacts], now: float) -> list[News]:
        found = []
        for subject, teller in [*self._tellers.items()]:
            news, facts = teller.waiting, present.get(subject[:2])
            if news is not None and not _still(news, facts):
                teller.waiting = news = None
            if now < teller.due:
                continue
            if news is not None:
                found.append(teller.tell(news, now))
                teller.due = now + WINDOW
            elif all(now - times[-1] >= WINDOW for times in teller.told.values() if times):
                del self._tellers[subject]
        return found

    def deadline(self) -> float | None:
        """When something waits no longer."""
        return min((t.due for t in self._tellers.values() if t.waiting is not None), default=None)


def _subject(item: News) -> tuple[Key, str, bool]:
    """What has a pace of its own: a warning makes no transition stale."""
    return key_of(item.facts), item.facts.uid, item.reason == WARNING


def _still(news: News, facts: SessionFacts | None) -> bool:
    """Whether what waits may be told: a peer that is gone, or a warning that is, may not."""
    if facts is None:
        return False
    return news.reason != WARNING or bool(set(news.facts.warnings) & set(facts.warnings))


def _summed(news: News, changes: int, flaps: int) -> News:
    if flaps > 1:
        return replace(news, sentence=f"{news.sentence} (lost {flaps} times in the last minute)")
    if changes > 1:
        return replace(news, sentence=f"{news.sentence} ({changes} changes in the last minute)")
    return news
