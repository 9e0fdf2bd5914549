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

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bellmetal.addresses import IPAddress
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.intents import Announcement, NodeSet
from bellmetal_layer2 import succession
from bellmetal_layer2.beacon import EVERYBODY, Beacon
from bellmetal_layer2.messages import (
    Carrier,
    Effect,
    Flush,
    GossipSays,
    Heard,
    Message,
    Own,
    Reassert,
    Said,
    Unreadable,
    Yield,
)
from bellmetal_layer2.peers import Life, Peer
from bellmetal_layer2.roster import Roster
from bellmetal_layer2.succession import Candidacy
from bellmetal_layer2.voice import INTERVAL, Voice

GAP = 0.25  # seconds without a turn of the loop, after which the world may have moved on
LISTEN = 0.15  # seconds in which every node that lives is heard
ALONE = 2.0  # seconds to wait for somebody to exchange claims with
REPEAT_CLAIM = 0.1  # seconds between two answers to a lower claim
REVIEW = 0.5  # seconds between two looks at what is not as it should be
MOVE = 10.0  # seconds that a planned move may take before it is reported
FIRST_BOOT = 1.0  # seconds after a start in which beacons of our own former process may arrive


class Ownership:
    """One node's part in it; `Machine` of Effect. Times are seconds of one monotonic clock."""

    def __init__(self, me: str, boot: int, now: float) -> None:
        self.me, self._boot = me, boot
        self.answering: set[IPAddress] = set()
        self._addresses: dict[IPAddress, Candidacy] = {}
        self._remembered: dict[IPAddress, ClaimOrder] = {}
        self._unclaimed: dict[IPAddress, float] = {}  # nobody's that lives, since when
        self._roster = Roster(me, now)
        self._voice = Voice(me, boot, self._roster, now)
        self._carrier = True
        self._twins: set[int] = set()
        self._started = self._unsettled_at = self._last_turn = now
        self._least_wait = LISTEN
        self._next_review = now + REVIEW
        self._out: list[Effect] = []

    # --- commands --------------------------------------------------------------------------------

    def remember(self, claims: Iterable[Claim]) -> None:
        """Claims of this node before a restart; taken up where nobody else has claimed since."""
        self._remembered = {claim.address: claim.order for claim in claims}

    def want(
        self, announcements: Iterable[Announcement], sets: Mapping[str, NodeSet], now: float
    ) -> list[Effect]:
        """All intents that concern this node; what is not among them is given up."""
        self._notice_gap(now)
        wanted = {item.address: item for item in announcements}
        for address in [item for item in self._addresses if item not in wanted]:
            self._drop(address, "", now)
            del self._addresses[address]
        nodes_of = {name: tuple(sorted(item.nodes)) for name, item in sets.items()}
        for address, announcement in wanted.items():
            known = self._addresses.get(address)
            nodes = nodes_of.get(announcement.node_set)
            if nodes is None:  # an unknown set means: keep the last
                nodes = known.nodes if known else (self.me, announcement.owner)
            if known and known.announcement == announcement and known.nodes == nodes:
                continue
            took_from = known.took_from if known else ""
            self._addresses[address] = Candidacy(announcement, nodes, now, took_from)
            self._decide(address, now)
        return self._effects(now)

    def leave(self, now: float) -> list[Effect]:
        """Hand over: the others take what this node answers for, until they have it goes on."""
        self._voice.leaving = True
        self._voice.hurry(now)
        return self._effects(now)

    # --- the machine -----------------------------------------------------------------------------

    def receive(self, data: Message, now: float) -> list[Effect]:
        """A beacon, news from gossip, or from the interfaces."""
        self._notice_gap(now)
        match data:
            case Heard(beacon, by_gossip):
                self._hear(beacon, by_gossip, now)
            case GossipSays(node, liveness):
                peer = self._roster.peer(node)
                peer.gossip = liveness
                self._judge(peer, now)
            case Carrier(present):
                self._carry(present, now)
            case Unreadable(node):
                self._voice.doubts.unreadable(node, now)
        return self._effects(now)

    def tick(self, now: float) -> list[Effect]:
        """A beacon is due, or somebody has been silent for too long."""
        self._notice_gap(now)
        self._judge_all(now)
        self._try_to_settle(now)
        if now >= self._next_review:
            self._review(now)
        return self._effects(now)

    def deadline(self) -> float | None:
        """The next beacon or the next silence, whichever is first; a turn every INTERVAL."""
        dues = [self._voice.due(), self._last_turn + INTERVAL, self._roster.next_silence]
        listened = self._unsettled_at + self._least_wait
        if not self.settled and listened > self._last_turn:
            dues.append(listened)
        return min(dues)

    # --- what others can know of us --------------------------------------------------------------

    @property
    def mine(self) -> Mapping[IPAddress, ClaimOrder]:
        """What this node claims."""
        return self._voice.mine.orders

    @property
    def settled(self) -> bool:
        """Whether claims are exchanged: only then it answers."""
        return self._voice.settled

    @property
    def heirs(self) -> list[str]:
        """Who could take over now."""
        return [peer.name for peer in self._roster.alive]

    def claims(self) -> list[Claim]:
        """This node's claims that differ from what the slices say."""
        found = []
        for address, order in self.mine.items():
            item = self._addresses[address]
            if order != item.seed or item.announcement.owner != self.me:
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
            self._unsettled_at += gap  # being deaf was no listening

    def _unsettle(self, now: float, reason: str, least_wait: float) -> None:
        self._out.append(Flush(reason))
        self._say("unsettled", f"answering nothing until claims are exchanged: {reason}")
        self._voice.settled = False
        self._unsettled_at, self._least_wait = now, least_wait
        for address in sorted(self.answering, key=int):
            self._out.append(Yield(address, ""))
        self.answering.clear()
        self._voice.hurry(now)

    def _try_to_settle(self, now: float) -> None:
        if self.settled or not self._carrier:
            return
        waited = now - self._unsettled_at
        with_whom = self._roster.exchanged_since(self._unsettled_at, patient=waited < LISTEN)
        if waited < self._least_wait or not (with_whom or waited >= self._alone_after()):
            return
        if self._voice.doubts.unread(self._addresses.values(), self._roster, now):
            return  # what they claim cannot be known here
        self._voice.settled = True
        self._say("settled", f"claims are exchanged with {', '.join(with_whom) or 'nobody'}")
        self._voice.hurry(now)
        self._judge_all(now)
        self._decide_some(self._addresses, now)

    def _alone_after(self) -> float:
        """How long to wait for somebody: not at all where nobody else may own anything."""
        others = any(name != self.me for item in self._addresses.values() for name in item.nodes)
        return ALONE if others or self._roster.peers or not self._addresses else LISTEN

    def _carry(self, present: bool, now: float) -> None:
        if present:
            self._voice.hurry(now)  # on an interface that is new nobody has heard us yet
        if present == self._carrier:
            return
        self._carrier = present
        if present:
            self._unsettle(now, "an interface came back", LISTEN)
            return
        for address in [*self.mine]:  # rule 3: no carrier, owns nothing
            self._drop(address, "", now)
        self._say("noCarrier", "no interface can be used: owning nothing")

    # --- hearing others --------------------------------------------------------------------------

    def _hear(self, beacon: Beacon, by_gossip: bool, now: float) -> None:
        if beacon.node == self.me:
            self._hear_of_oneself(beacon, now)
            return
        peer = self._roster.peer(beacon.node)
        if not self._voice.doubts.believes(peer, beacon, now) or not peer.fresh(beacon):
            return
        returned = not by_gossip and (peer.heard_at is None or peer.life is not Life.ALIVE)
        touched = self._roster.hear(peer, beacon, now, by_gossip)
        if returned:  # the claims that it made without us are judged now that it is heard
            touched |= peer.claims.keys()
        if returned or beacon.ask in (self.me, EVERYBODY):
            self._voice.dump(beacon)
        self._judge(peer, now)
        for address in touched:
            self._decide(address, now)
            self._defend(address, peer, now)
        self._try_to_settle(now)

    def _hear_of_oneself(self, beacon: Beacon, now: float) -> None:
        echo = beacon.boot == self._boot or beacon.boot in self._twins
        if echo or now - self._started < FIRST_BOOT:
            return
        self._twins.add(beacon.boot)
        self._say("twin", f"another speaker calls itself {self.me}")

    def _defend(self, address: IPAddress, peer: Peer, now: float) -> None:
        """Rule 5: whoever hears a lower claim repeats its own (rate limited)."""
        known = self._addresses.get(address)
        if known is None or address not in self.answering or address not in peer.claims:
            return
        answered_by_it = peer.settled and peer.life is Life.ALIVE
        if not answered_by_it or now - known.repeated_at < REPEAT_CLAIM:
            return
        known.repeated_at = now
        self._voice.repeat(address, now)
        self._out.append(Reassert(address, peer.name))

    def _judge_all(self, now: float) -> None:
        for peer in [*self._roster.peers.values()]:
            self._judge(peer, now)

    def _judge(self, peer: Peer, now: float) -> None:
        """Whether a node lives; if that changes, what hangs on it is decided anew."""
        if self._roster.judge(peer, now):
            self._say("member", f"{peer.name} is {peer.life.value}")
            self._decide_some([*peer.claims, *self._unclear()], now)

    # --- deciding --------------------------------------------------------------------------------

    def _decide_some(self, addresses: Iterable[IPAddress], now: float) -> None:
        for address in dict.fromkeys(addresses):
            self._decide(address, now)

    def _review(self, now: float) -> None:
        """What is unclear may have become clear without an event."""
        self._next_review = now + REVIEW
        self._decide_some(self._unclear(), now)

    def _unclear(self) -> list[IPAddress]:
        """What is unclaimed, provisional or on the move: it hangs on the life of other nodes."""
        mine = [
            a for a, order in self.mine.items() if not order.firm or order < self._addresses[a].seed
        ]
        return [*mine, *self._unclaimed]

    def _decide(self, address: IPAddress, now: float) -> None:
        """Rules 1 to 5 for one address."""
        item = self._addresses.get(address)
        if item is None or not self.settled or not self._carrier:
            return
        mine = None if self._voice.leaving else self.mine.get(address)  # a leaver yields to any
        holder = succession.holder(item, self._roster, mine)
        if holder is not None:
            self._unclaimed.pop(address, None)
        if holder is not None and holder[0] != self.me:
            self._follow(item, *holder, now)
        elif self._voice.leaving:
            return  # what is answered for stays until another claims it; nothing new is claimed
        elif holder is not None:
            self._keep(item, holder[1], now)
        else:
            self._claim_if_next(item, now)

    def _follow(self, item: Candidacy, name: str, order: ClaimOrder, now: float) -> None:
        """Another holds it: yield, unless the slices order a move to us (rule 4)."""
        ordered = item.announcement.owner == self.me and order.term < item.announcement.term
        if ordered and not self._voice.leaving:
            self._claim(item.address, item.seed, f"moved here from {name}", now)
            return
        self._drop(item.address, name, now)

    def _keep(self, item: Candidacy, order: ClaimOrder, now: float) -> None:
        """We hold it: go on, with the term and the firmness that are due."""
        announcement = item.announcement
        last, former = succession.last_claim(item, self._roster, order.term)
        if last is not None and last > order:
            # it does not bind now; ours must stand above it when its holder is back
            order = self._above(item, last.term, former, now)
        if order.term < announcement.term:
            if announcement.owner == self.me:
                order = item.seed
            elif self._roster.life(announcement.owner, now) in (Life.DEAD, Life.SILENT):
                # the node that it should move to is not there: it stays here, in the new term
                order = self._above(item, announcement.term, announcement.owner, now)
            else:
                self._report_stuck(item, now)
        elif not order.firm and succession.may_be_firm(item, self._roster, now):
            order = replace(order, firm=True)
        self._voice.claim(item.address, order, now)
        self._answer(item.address)

    def _report_stuck(self, item: Candidacy, now: float) -> None:
        """Rule 4: the new owner lives and does not claim; the old one keeps and reports."""
        if now - item.since > MOVE and not item.stuck:
            item.stuck = True
            where = f"{item.address} should move to {item.announcement.owner}"
            self._say("moveStuck", f"{where}, which does not claim it")

    def _claim_if_next(self, item: Candidacy, now: float) -> None:
        """Nobody living holds it: the slices' owner, else the next that lives (rule 3)."""
        address, announcement = item.address, item.announcement
        if self.me not in item.nodes:
            return  # what we answer for stays until a node of the set has claimed it (rule 4)
        last, former = succession.last_claim(item, self._roster, announcement.term)
        remembered = self._remembered.pop(address, None)
        if remembered and remembered >= (last or ClaimOrder(announcement.term, False, 0)):
            self._claim(address, remembered, "as before the restart", now)
            return
        if not former and announcement.owner == self.me:
            self._claim(address, item.seed, "the controller names us", now)
            return
        former = former or announcement.owner
        waited = now - self._unclaimed.setdefault(address, now)
        if not succession.is_our_turn(item, former, self._roster, now, waited):
            return
        term = last.term if last else announcement.term
        order = self._above(item, term, former, now)
        life = self._roster.life(former, now)
        why = "lives but does not claim it" if life is Life.ALIVE else f"is {life.value}"
        self._claim(address, order, f"{former} {why}", now)

    def _above(self, item: Candidacy, term: int, former: str, now: float) -> ClaimOrder:
        """A claim in place of one whose holder is not there: firm, if that is sure (rule 3)."""
        item.took_from = former
        epoch = succession.next_epoch(item, self._roster, term)
        return ClaimOrder(term, succession.is_sure(item, former, self._roster, now), epoch)

    # --- claiming and giving up ------------------------------------------------------------------

    def _claim(self, address: IPAddress, order: ClaimOrder, why: str, now: float) -> None:
        self._unclaimed.pop(address, None)
        self._voice.claim(address, order, now)
        self._say("owner", f"{address} is ours: {why}")
        self._answer(address)

    def _answer(self, address: IPAddress) -> None:
        if address not in self.answering:
            self.answering.add(address)
            self._out.append(Own(address))

    def _drop(self, address: IPAddress, to: str, now: float) -> None:
        self._voice.claim(address, None, now)
        self._remembered.pop(address, None)
        self._unclaimed.pop(address, None)
        if address in self.answering:
            self.answering.discard(address)
            self._out.append(Yield(address, to))
            if to:
                self._say("owner", f"{address} is {to}'s")
        known = self._addresses.get(address)
        if known is not None:
            known.took_from = ""

    def _say(self, event: str, message: str) -> None:
        self._out.append(Said(event, message))

    def _effects(self, now: float) -> list[Effect]:
        """What is to be done; claims that changed are told at once."""
        out, self._out = self._out, []
        return [*out, *self._voice.speak(now)]
