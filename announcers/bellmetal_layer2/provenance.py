"""Beacons that cannot be taken as they are: of an older boot, or of a key that is not known. Pure.

**An older boot.** A boot id rises with every start of a speaker, so a beacon of an older boot is a
recording that somebody replays, or its node has lost its state file and its clock was set back.
A node that does not live and says such a thing is asked, by a signed beacon that was never sent
before; only a process that runs now, and has the key, can echo its challenge. So a recording makes
nobody alive, however often it is played. Once a node was believed that way, each boot id of it that
is not above all before has to prove itself too: else recordings of the higher one would be news.

What remains: a node that was never heard since our own start is believed without that, so the
recording of a dead node can make it live for one that has just started, as long as it is played.

**An unknown key.** While the members' secret changes, a speaker that starts knows perhaps the new
one alone, and hears members that have only the old one (`bellmetal.keyring`). What they claim it
cannot know. So it answers nothing while it hears one, for UNREAD seconds after its start at most:
longer than a kubelet needs to bring the new secret, and a bound to what anybody on the LAN can do
with forged beacons.
"""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal_layer2.beacon import EVERYBODY, MOST_ECHOES, Beacon
from bellmetal_layer2.peers import Life, Peer
from bellmetal_layer2.roster import Roster
from bellmetal_layer2.succession import Candidacy

UNREAD = 150.0  # seconds after the start in which members may be heard that cannot be understood
LISTEN = 0.5  # seconds for which such a one counts as heard
ASK_EVERY = 0.3  # seconds between two questions to a node that is doubted
ANSWER = 2.0  # seconds for which an answer is waited
UNDERSTOOD = 2.0  # seconds for which a beacon that was understood counts
MOST_UNREAD = 256  # names that are kept: anybody can invent them


class Provenance:
    """What one node doubts. Times are seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self._started = now
        self._highest: dict[str, int] = {}  # boot id that was ever believed
        self._doubted: dict[str, float] = {}  # since it was last heard
        self._asked_at: dict[str, float] = {}
        self._challenges: dict[str, dict[int, float]] = {}  # that are not answered yet
        self._echoes: list[int] = []
        self._unread: dict[str, float] = {}

    # --- an older boot ---------------------------------------------------------------------------

    def believes(self, peer: Peer, beacon: Beacon, now: float) -> bool:
        """Whether a beacon comes from a process that runs, and is not older than what is known.

        A node that has proven a lower boot counts anew from there.
        """
        name = beacon.node
        if beacon.boot == peer.boot:
            return True
        if beacon.boot > self._highest.get(name, -1):
            self._highest[name] = beacon.boot
            return True
        challenges = self._challenges.get(name, {})
        if any(challenges.get(echo, now) > now for echo in beacon.echoes):
            self._forget(name)
            peer.boot = peer.counter = 0
            return True
        if peer.life() is not Life.ALIVE:  # else: when it has fallen silent it will be asked
            self._doubted[name] = now
        return False

    def to_ask(self, now: float) -> str:
        """Whom to ask whether it lives; empty: nobody."""
        for name, heard_at in [*self._doubted.items()]:
            if now - heard_at > ANSWER:
                self._forget(name)
            elif now - self._asked_at.get(name, float("-inf")) >= ASK_EVERY:
                return name
        return ""

    def asked(self, beacon: Beacon, now: float) -> None:
        """This node says that beacon, which may ask somebody."""
        names = [*self._doubted] if beacon.ask == EVERYBODY else [beacon.ask]
        for name in names:
            if name in self._doubted:
                self._asked_at[name] = now
                open_ones = self._challenges.setdefault(name, {})
                open_ones[beacon.challenge] = now + ANSWER
                while len(open_ones) > MOST_ECHOES:
                    del open_ones[next(iter(open_ones))]

    def _forget(self, name: str) -> None:
        for kept in (self._doubted, self._asked_at, self._challenges):
            kept.pop(name, None)

    def echo(self, beacon: Beacon) -> None:
        """That beacon asks us: what we say next shows that we live."""
        if beacon.challenge not in self._echoes:
            self._echoes = [*self._echoes, beacon.challenge][-8 * MOST_ECHOES :]

    def echoes(self) -> tuple[int, ...]:
        """Challenges to answer in the next beacon."""
        said, self._echoes = self._echoes[:MOST_ECHOES], self._echoes[MOST_ECHOES:]
        return tuple(said)

    # --- an unknown key --------------------------------------------------------------------------

    def unreadable(self, node: str, now: float) -> None:
        """A beacon came that says it is that node's, of a key that is not known here."""
        self._unread.pop(node, None)
        self._unread[node] = now
        if len(self._unread) > MOST_UNREAD:
            del self._unread[next(iter(self._unread))]

    def unread(self, items: Iterable[Candidacy], roster: Roster, now: float) -> list[str]:
        """Who may hold something, is heard now, and cannot be understood.

        Nobody, once this node runs for long.
        """
        if now - self._started > UNREAD:
            self._unread.clear()
        heard = [name for name, heard_at in self._unread.items() if now - heard_at < LISTEN]
        # one that is understood too is not silent: somebody else uses its name
        silent = {name for name in heard if now - _told_at(roster.peer(name)) > UNDERSTOOD}
        known = [*items] if silent else []
        nodes = {name for item in known for name in item.nodes}
        return sorted(silent & nodes if known else silent)


def _told_at(peer: Peer) -> float:
    return float("-inf") if peer.told_at is None else peer.told_at
