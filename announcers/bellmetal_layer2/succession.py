"""Whose an address is and whose turn it would be: judgements that change nothing (rules 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bellmetal.addresses import IPAddress, IPNetwork
from bellmetal.facts import MOST_AHEAD, ClaimOrder
from bellmetal.intents import Announcement, rank
from bellmetal_layer2.peers import Life, Peer
from bellmetal_layer2.places import ANYWHERE, Place
from bellmetal_layer2.roster import Roster

SPEAK_UP = 3.0  # seconds that a living node has to claim what is its turn to claim
HELD_AGAINST = 2.0  # seconds of silence on this LAN that cost a node what it held, however it lives
NOBODY: frozenset[str] = frozenset()  # one for all: an empty set takes 200 bytes
LAST_EPOCH = 2**32 - 1  # as wide as a beacon's field is: whoever lies cannot count beyond it


@dataclass(slots=True)
class Candidacy:
    """One address that this node owns or may own, and what it remembers of it."""

    announcement: Announcement
    nodes: tuple[str, ...]
    networks: tuple[IPNetwork, ...]
    since: float  # when the slices began to say so
    place: Place | None = ANYWHERE  # where it is answered here; None: nowhere
    took_from: str = ""  # the holder whose silence made our provisional claim
    repeated_at: float = float("-inf")
    contested: bool = False  # a lower claim was heard while we answered, and not its end
    stuck: bool = False  # a planned move that did not come about was reported
    unable: frozenset[str] = NOBODY  # nodes that told that they cannot have it

    @property
    def address(self) -> IPAddress:
        """The address."""
        return self.announcement.address

    @property
    def seed(self) -> ClaimOrder:
        """What the slices' owner claims where nobody has claimed."""
        return ClaimOrder(self.announcement.term, True, 0)

    def in_turn(self) -> Iterator[str]:
        """All nodes of the set, first to take over first; ranked only as far as is asked for.

        The slices' owner is the first: all know it, also those that missed the last claims.
        """
        named = (self.announcement.owner, *self.announcement.successors)
        first = [name for name in dict.fromkeys(named) if name in self.nodes]
        yield from first
        rest = set(self.nodes) - set(first)
        yield from sorted(rest, key=lambda name: rank(self.address, name), reverse=True)


def claims(item: Candidacy, roster: Roster) -> list[tuple[Peer, ClaimOrder]]:
    """What others claim of it, living or not, as far as it can be believed."""
    latest = item.announcement.term + MOST_AHEAD
    return [(peer, o) for peer, o in roster.claims_on(item.address) if o.term <= latest]


def holder(
    item: Candidacy, roster: Roster, mine: ClaimOrder | None
) -> tuple[str, ClaimOrder] | None:
    """The highest claim that binds: of living, settled nodes of the set, and our own."""
    binding = [
        (order, peer.name)
        for peer, order in claims(item, roster)
        if peer.settled and alive(item, roster, peer.name) and peer.name in item.nodes
    ]
    if mine is not None and roster.me in item.nodes:
        binding.append((mine, roster.me))
    if not binding:
        return None
    if len(binding) > 1:
        binding.sort(key=lambda claim: (claim[0], rank(item.address, claim[1])))
    order, name = binding[-1]
    return name, order


def alive(item: Candidacy, roster: Roster, name: str) -> bool:
    """Whether a node was judged last to live where it counts for this address."""
    return roster.peer(name).life(item.place or ANYWHERE) is Life.ALIVE


def last_claim(item: Candidacy, roster: Roster, least_term: int) -> tuple[ClaimOrder | None, str]:
    """The highest claim of others since a term, living or not, and whose it was."""
    best: tuple[ClaimOrder, str] | None = None
    for peer, order in claims(item, roster):
        if order.term >= least_term and (best is None or (order, peer.name) > best):
            best = order, peer.name
    return best or (None, "")


def next_epoch(item: Candidacy, roster: Roster, term: int) -> int:
    """An epoch above all that were told in a term, provisional or firm, of the living or not."""
    epochs = [order.epoch for _, order in claims(item, roster) if order.term == term]
    return min(max(epochs, default=0) + 1, LAST_EPOCH)


def life(item: Candidacy, roster: Roster, name: str, now: float) -> Life:
    """Whether a node lives where it counts for this address."""
    return roster.life(name, item.place or ANYWHERE, now)


def is_our_turn(item: Candidacy, former: str, roster: Roster, now: float, waited: float) -> bool:
    """Whether no living node is before us that may still speak up, after ``waited`` seconds."""
    chances = waited / SPEAK_UP  # of so many we do not wait any longer
    state = Life.DEAD
    if former in item.nodes and former not in item.unable:
        state = life(item, roster, former, now)
    if state is Life.UNSEEN or (state is Life.ALIVE and not roster.peer(former).known):
        return False  # it may yet speak, or holds it and we were not told
    ahead = int(state is Life.ALIVE)
    for name in item.in_turn():
        if ahead > chances or name == roster.me:
            break
        if name != former and name not in item.unable:
            ahead += life(item, roster, name, now) is Life.ALIVE
    return ahead <= chances


def is_sure(item: Candidacy, former: str, roster: Roster, now: float) -> bool:
    """Whether nobody can hold it where we do not hear them."""
    if former in item.unable:
        return True
    gone = former not in item.nodes or life(item, roster, former, now) is Life.DEAD
    return gone and (roster.peer(former).left or _most_live(item, roster, now))


def may_be_firm(item: Candidacy, roster: Roster, now: float) -> bool:
    """Whether the holder before us surely has given up, and most of the set is with us."""
    return _gave_up(item, roster, now) and _most_live(item, roster, now)


def _most_live(item: Candidacy, roster: Roster, now: float) -> bool:
    return roster.most_live(item.nodes, item.place or ANYWHERE, now)


def _gave_up(item: Candidacy, roster: Roster, now: float) -> bool:
    if not item.took_from:
        return True
    state = life(item, roster, item.took_from, now)
    if state is Life.SILENT:  # whoever comes back to a majority after that gives way to it
        return now - roster.since(item.took_from, item.place or ANYWHERE) > HELD_AGAINST
    former = roster.peer(item.took_from)
    silent_on_it = item.address not in former.claims and former.known
    return state is Life.DEAD or (state is Life.ALIVE and former.settled and silent_on_it)
