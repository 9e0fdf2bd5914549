"""Who answers for an address: the deciding, when a beacon comes or a node dies. Sans-IO.

The rules are those of docs/architecture.md, "Layer-2 ownership"; their numbers stand where they
are applied. In short: the controller names an owner and who may follow; a node *claims* what it
answers for; claims are ordered by (term, firm, epoch, rank); whoever holds the highest claim of
all living nodes answers, everybody else is quiet.

A claim is *provisional* while it may be that the former holder lives somewhere where we do not
hear it: it gives way to a firm one.

What others are known to be and to claim is `roster.py`; what this node says is `voice.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from bellmetal.addresses import IPAddress, IPNetwork
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.intents import Announcement, NodeSet
from bellmetal_layer2 import succession
from bellmetal_layer2.beacon import EVERYBODY, Beacon
from bellmetal_layer2.deciding import Decider
from bellmetal_layer2.defending import Defender
from bellmetal_layer2.difference import Difference
from bellmetal_layer2.messages import (
    Effect,
    GossipSays,
    Heard,
    Message,
    Unreadable,
    Usable,
)
from bellmetal_layer2.peers import Life, Peer
from bellmetal_layer2.places import Place, Places
from bellmetal_layer2.possession import Possession
from bellmetal_layer2.roster import Roster
from bellmetal_layer2.settling import LISTEN, Settling
from bellmetal_layer2.succession import Candidacy
from bellmetal_layer2.voice import INTERVAL, Voice

Who: TypeAlias = tuple[tuple[str, ...], tuple[IPNetwork, ...]]  # nodes, networks

GAP = 0.25  # seconds without a turn of the loop, after which the world may have moved on
BATCH = 50  # addresses that are decided in one turn of the loop: some milliseconds
FEW = 32  # addresses that are decided at once, whatever came in
REVIEW = 0.5  # seconds between two looks at what is not as it should be
FIRST_BOOT = 1.0  # seconds after a start in which beacons of our own former process may arrive
MOST_TWINS = 8  # processes of our own name that are told of


class Ownership:
    """One node's part in it; `Machine` of Effect. Times are seconds of one monotonic clock."""

    def __init__(self, me: str, boot: int, now: float) -> None:
        self.me, self._boot = me, boot
        self._share: tuple[Announcement, ...] = ()  # as it was given last
        self._named: Mapping[str, Who] = {}
        self._addresses: dict[IPAddress, Candidacy] = {}
        self._roster = Roster(me, now)
        self._voice = Voice(me, boot, self._roster, now)
        self._possession = Possession(self._voice)
        self._decider = Decider(me, self._roster, self._voice, self._possession)
        self._defender = Defender(self._addresses, self._roster, self._voice, self._possession)
        self._places = Places(None)
        self._twins: set[int] = set()
        self._complaints: set[str] = set()
        self._pending: dict[IPAddress, None] = {}  # to be decided, in this order
        self._gone: set[IPAddress] = set()  # of those: nobody wants them any more
        self._settling = Settling(self._roster, now)
        self._started = self._last_turn = now
        self._next_review = now + REVIEW

    # --- commands --------------------------------------------------------------------------------

    def remember(self, claims: Iterable[Claim]) -> None:
        """Claims of this node before a restart; taken up where nobody else has claimed since."""
        self._possession.remember(claims)

    def want(
        self, announcements: Iterable[Announcement], sets: Mapping[str, NodeSet], now: float
    ) -> list[Effect]:
        """All intents that concern this node; what is not among them is given up."""
        self._notice_gap(now)
        share = tuple(announcements)
        difference = Difference.between(self._share, share)
        self._gone = self._gone.difference(item.address for item in difference.other)
        self._gone |= difference.gone
        named = {name: (tuple(sorted(one.nodes)), one.networks) for name, one in sets.items()}
        to_compare: Sequence[Announcement] = difference.other
        if named != self._named:
            self._named, to_compare = named, share
        changed = [item.address for item in to_compare if self._note(item, now)]
        self._share = share
        self._look_where(now)
        self._decide_some([*difference.gone, *changed], now)
        return self._possession.effects(now)

    def _note(self, announcement: Announcement, now: float) -> bool:
        """Whether it says something new."""
        address = announcement.address
        known = self._addresses.get(address)
        who = self._who(known, announcement)
        if known and (known.announcement, known.nodes, known.networks) == (announcement, *who):
            return False
        took_from = known.took_from if known else ""
        place = self._places.of(announcement, who[1])
        self._addresses[address] = Candidacy(announcement, *who, now, place, took_from)
        return True

    def _who(self, known: Candidacy | None, announcement: Announcement) -> Who:
        """Who may own an address; an unknown set means: keep the last."""
        last = (known.nodes, known.networks) if known else ((self.me, announcement.owner), ())
        return self._named.get(announcement.node_set, last)

    def place(self, address: IPAddress) -> Place | None:
        """On which interfaces an address is answered for; ANYWHERE: on all; None: on none."""
        item = self._addresses.get(address)
        return item.place if item else None

    def leave(self, now: float) -> list[Effect]:
        """Hand over: the others take what this node answers for, until they have it goes on."""
        self._voice.leaving = True
        self._voice.hurry(now)
        return self._possession.effects(now)

    def forbid(self, address: IPAddress, now: float) -> list[Effect]:
        """A foreign device has it: answer nothing. The claim stays: else the next node in turn
        would take it, and the next after that."""
        self._possession.forbid(address, now)
        return self._possession.effects(now)

    def allow(self, address: IPAddress, now: float) -> list[Effect]:
        """The foreign device is gone: answer, if it is still ours."""
        self._possession.allow(address, now)
        self._decide_some([address], now)
        return self._possession.effects(now)

    # --- the machine -----------------------------------------------------------------------------

    def receive(self, data: Message, now: float) -> list[Effect]:
        """A beacon, news from gossip, or from the interfaces."""
        self._notice_gap(now)
        match data:
            case Heard(beacon, on):
                self._hear(beacon, on, now)
            case GossipSays(self.me, _) | Unreadable(self.me):
                pass  # others have our name: that is told of when they are understood
            case GossipSays(node, liveness):  # gossip bounds how many members it keeps
                peer = self._roster.peer(node)
                peer.gossip = liveness
                self._judge(peer, now)
            case Usable(interfaces):
                self._use(Places(interfaces), now)
            case Unreadable(node):
                self._voice.provenance.unreadable(node, now)
        return self._possession.effects(now)

    def tick(self, now: float) -> list[Effect]:
        """A beacon is due, or somebody has been silent for too long."""
        self._notice_gap(now)
        self._judge_all(now)
        self._try_to_settle(now)
        if now >= self._next_review and not self._pending:
            self._review(now)
        self._decide_pending(now)
        return self._possession.effects(now)

    def deadline(self) -> float | None:
        """The next beacon or the next silence, whichever is first; a turn every INTERVAL."""
        dues = [self._voice.due(), self._last_turn + INTERVAL, self._roster.next_silence]
        if self._pending:
            dues.append(self._last_turn)
        if not self.settled and self._settling.due > self._last_turn:
            dues.append(self._settling.due)
        return min(dues)

    # --- what others can know of us --------------------------------------------------------------

    @property
    def mine(self) -> Mapping[IPAddress, ClaimOrder]:
        """What this node claims."""
        return self._voice.mine.orders

    @property
    def digest(self) -> int:
        """Of all that this node claims: another one when any of it changes."""
        return self._voice.mine.digest

    @property
    def answering(self) -> frozenset[IPAddress] | set[IPAddress]:
        """What this node answers for."""
        return self._possession.answering

    @property
    def settled(self) -> bool:
        """Whether claims are exchanged: only then it answers."""
        return self._voice.settled

    def holder(self, address: IPAddress) -> str:
        """The living node that holds the highest claim; empty if none does, or it is unclear."""
        item = self._addresses.get(address)
        if item is None or not self.settled:
            return ""
        found = succession.holder(item, self._roster, self.mine.get(address))
        return found[0] if found else ""

    @property
    def heirs(self) -> list[str]:
        """Who could take over now."""
        return [peer.name for peer in self._roster.alive]

    def unheard(self, nodes: Iterable[str]) -> tuple[str, ...]:
        """Those of the nodes that this one should hear, on whatever LAN, and does not."""
        return self._roster.unheard(nodes)

    def quiet(self, address: IPAddress) -> bool:
        """Whether a node claims an address and does not answer for it: a foreign device has it."""
        return any(address in peer.quiet for peer, _ in self._roster.claims_on(address))

    def claims(self) -> list[Claim]:
        """This node's claims that differ from what the slices say."""
        found = []
        for address, order in self.mine.items():
            item = self._addresses[address]
            if item.announcement.owner != self.me or order != item.seed:
                found.append(Claim(address, self.me, order))
        return found

    def stood_still(self, now: float) -> bool:
        """Whether the loop had no turn for so long that what just came in may be old."""
        return now - self._last_turn > GAP

    # --- rule 6: after a start or a gap ----------------------------------------------------------

    def _notice_gap(self, now: float) -> None:
        gap = now - self._last_turn
        self._last_turn = max(now, self._last_turn)
        if gap > GAP and not self._voice.leaving:
            for peer in self._roster.peers.values():
                peer.excuse(now)
            self._unsettle(now, f"the loop stood still for {gap:.2f} s", 0.0)
        elif gap > 1.5 * INTERVAL and not self.settled:
            self._settling.deaf(gap)

    def _unsettle(self, now: float, reason: str, least_wait: float) -> None:
        self._voice.settled = False
        self._settling = Settling(self._roster, now, least_wait)
        self._possession.silence(reason)
        self._voice.hurry(now)

    def _try_to_settle(self, now: float) -> None:
        if self.settled or not self._places.present:
            return
        with_whom = self._settling.partners(now, self._is_alone())
        if with_whom is None:
            return
        if self._voice.provenance.unread(self._addresses.values(), self._roster, now):
            return  # what they claim cannot be known here
        self._voice.settled = True
        self._possession.say(
            "settled", f"claims are exchanged with {', '.join(with_whom) or 'nobody'}"
        )
        self._voice.hurry(now)
        self._judge_all(now)
        self._decide_some(self._addresses, now)

    def _is_alone(self) -> bool:
        """Whether nobody else may own anything."""
        others = any(name != self.me for item in self._addresses.values() for name in item.nodes)
        return bool(self._addresses) and not others and not self._roster.peers

    # --- where -----------------------------------------------------------------------------------

    def _use(self, places: Places, now: float) -> None:
        """Other interfaces can be used than before."""
        self._voice.hurry(now)  # on an interface that is new nobody has heard us yet
        before, self._places = self._places, places
        self._voice.connected = places.present
        self._roster.listen(places.names, now)
        moved = []
        for item in self._addresses.values():
            place = places.of(item.announcement, item.networks)
            if place != item.place:
                item.place = place
                item.unable -= {self.me}
                moved.append(item.address)
        self._look_where(now)
        if places.present and not before.present:
            self._unsettle(now, "an interface came back", LISTEN)
        elif before.present and not places.present:
            self._possession.say("noCarrier", "no interface can be used: owning nothing")
        self._decide_some(moved, now)

    def _look_where(self, now: float) -> None:
        places = {item.place for item in self._addresses.values() if item.place is not None}
        self._roster.judge_at(places, now)

    # --- hearing others --------------------------------------------------------------------------

    def _hear(self, beacon: Beacon, on: str, now: float) -> None:
        if beacon.node == self.me:
            self._hear_of_oneself(beacon, now)
            return
        if not self._roster.admits(beacon.node, (one.nodes for one in self._addresses.values())):
            self._complain(
                "tooManyNodes", f"{beacon.node!r} is not listened to: there are too many"
            )
            return
        peer = self._roster.peer(beacon.node)
        if not self._voice.provenance.believes(peer, beacon, now):
            return
        fresh = peer.fresh(beacon)
        if not fresh and not peer.latest(beacon, on):
            return
        returned = bool(on) and (on not in peer.heard or peer.life() is not Life.ALIVE)
        given_up = self._defender.given_up(peer, beacon) if fresh else []
        touched = self._roster.hear(peer, beacon, now, on)
        if peer.crowded:
            self._complain("tooManyClaims", f"{peer.name!r} claims more than can be kept")
        if fresh:
            self._note_unable(beacon)
        if returned:  # the claims that it made without us are judged now that it is heard
            touched |= peer.claims.keys()
        if returned or beacon.ask in (self.me, EVERYBODY):
            self._voice.dump(beacon)
        self._judge(peer, now)
        told = [news.address for news in beacon.claims] if fresh else []
        for address in told:  # at once, whatever else waits
            self._decide(address, now)
        self._decide_some(touched.difference(told), now)
        for address in self._possession.answering.intersection(touched):
            self._defender.claimed(address, peer, now)
        for address in self._possession.answering.intersection(given_up):
            self._defender.tell_anew(address, peer, now)
        self._try_to_settle(now)

    def _note_unable(self, beacon: Beacon) -> None:
        """Who cannot have an address is not waited for."""
        for news in beacon.claims:
            item = self._addresses.get(news.address)
            if item is None:
                continue
            if news.unable:
                item.unable |= {beacon.node}
            elif news.order is not None:
                item.unable -= {beacon.node}

    def _complain(self, event: str, message: str) -> None:
        if event not in self._complaints:
            self._complaints.add(event)
            self._possession.say(event, message)

    def _hear_of_oneself(self, beacon: Beacon, now: float) -> None:
        echo = beacon.boot == self._boot or beacon.boot in self._twins
        if echo or now - self._started < FIRST_BOOT or len(self._twins) >= MOST_TWINS:
            return
        self._twins.add(beacon.boot)
        self._possession.say("twin", f"another speaker calls itself {self.me}")

    def _judge_all(self, now: float) -> None:
        self._live_otherwise(self._roster.judge_all(now), now)

    def _judge(self, peer: Peer, now: float) -> None:
        """Whether a node lives; if that changes, what hangs on it is decided anew."""
        if self._roster.judge(peer, now):
            self._live_otherwise([peer], now)

    def _live_otherwise(self, peers: Sequence[Peer], now: float) -> None:
        for peer in peers:
            self._possession.say("member", f"{peer.name} is {peer.described}")
            if peer.life() is Life.DEAD:
                self._defender.died(peer, now)
        if peers:
            claimed = (address for peer in peers for address in peer.claims)
            self._decide_some([*claimed, *self._possession.to_review], now)

    # --- deciding --------------------------------------------------------------------------------

    def _decide_some(self, addresses: Iterable[IPAddress], now: float) -> None:
        self._pending |= dict.fromkeys(addresses)
        if len(self._pending) <= FEW:  # else it is for the next tick: many beacons come in a turn
            self._decide_pending(now)

    def _decide_pending(self, now: float) -> None:
        """The next ones; where thousands wait, beacons and questions come in between."""
        for address in list(itertools.islice(self._pending, BATCH)):
            del self._pending[address]
            self._decide(address, now)

    def _decide(self, address: IPAddress, now: float) -> None:
        if address in self._gone:
            self._gone.discard(address)
            del self._addresses[address]
            self._possession.drop(address, "", now)
        elif (item := self._addresses.get(address)) is not None:
            self._decider.decide(item, now)

    def _review(self, now: float) -> None:
        """What is unclear may have become clear without an event."""
        self._next_review = now + REVIEW
        self._decide_some(self._possession.to_review, now)
