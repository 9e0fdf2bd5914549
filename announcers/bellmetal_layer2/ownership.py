"""Who answers for an address: claims, beacons, and what happens when a node dies. Sans-IO.

The rules are those of docs/architecture.md, "Layer-2 ownership"; their numbers stand where they
are applied. In short: the controller names an owner and who may follow; a node *claims* what it
answers for; claims are ordered by (term, firm, epoch, rank); whoever holds the highest claim of
all living nodes answers, everybody else is quiet.

A claim is *provisional* while it may be that the former holder lives somewhere where we do not
hear it: it gives way to a firm one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import Claim, ClaimOrder
from bellmetal.intents import Announcement, NodeSet, rank
from bellmetal_layer2.beacon import EVERYBODY, Beacon, ClaimNews, chunks, claim_digest
from bellmetal_layer2.peers import GRACE, Life, Peer

INTERVAL = 0.1  # seconds between beacons
LAN_BUDGET = 500.0  # beacons a second of all nodes together
GAP = 0.25  # seconds without a turn of the loop, after which the world may have moved on
LISTEN = 0.15  # seconds to listen after a start before anything is claimed
ALONE = 2.0  # seconds to wait for somebody to exchange claims with
REPEAT_NEWS = 0.5  # seconds for which a beacon repeats new claims
ASK_EVERY = 0.3  # seconds between two questions to a node whose claims are not known
REPEAT_CLAIM = 0.1  # seconds between two answers to a lower claim


# --- effects -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emit:
    """Send a beacon on every interface."""

    beacon: Beacon


@dataclass(frozen=True, slots=True)
class Whisper:
    """Send a beacon to one node by gossip: it does not hear us on the LAN."""

    node: str
    beacon: Beacon


@dataclass(frozen=True, slots=True)
class Own:
    """Answer for an address from now on."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class Yield:
    """Answer for an address no more."""

    address: IPAddress
    to: str


@dataclass(frozen=True, slots=True)
class Reassert:
    """Tell the LAN again that an address is here: somebody else has just answered for it."""

    address: IPAddress
    against: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Throw away what the sockets have queued: it is too old to be answered."""

    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """Something for the log, once per change of mind."""

    event: str
    message: str


Effect = Emit | Whisper | Own | Yield | Reassert | Flush | Said


# --- messages ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A beacon; ``by_gossip`` if it did not come over the LAN."""

    beacon: Beacon
    by_gossip: bool = False


@dataclass(frozen=True, slots=True)
class GossipSays:
    """Gossip changed its mind about a node."""

    node: str
    liveness: Liveness


@dataclass(frozen=True, slots=True)
class Carrier:
    """Whether any interface can be used now."""

    present: bool


Message = Heard | GossipSays | Carrier


@dataclass(slots=True)
class _Address:
    """One address that this node owns or may own."""

    announcement: Announcement
    nodes: tuple[str, ...]
    ranked: tuple[str, ...]  # all nodes of the set, first to take over first
    took_from: str = ""  # the holder whose silence made our provisional claim
    repeated_at: float = field(default=float("-inf"))


class Ownership:
    """One node's part in it; `Machine` of Effect. Times are seconds of one monotonic clock."""

    def __init__(self, me: str, boot: int, now: float) -> None:
        self.me, self._boot = me, boot
        self._addresses: dict[IPAddress, _Address] = {}
        self.mine: dict[IPAddress, ClaimOrder] = {}
        self.answering: set[IPAddress] = set()
        self.peers: dict[str, Peer] = {}
        self._remembered: dict[IPAddress, ClaimOrder] = {}
        self._digest = 0
        self._counter = 0
        self._heard_any = False
        self._news: dict[IPAddress, float] = {}  # claims to repeat in beacons, until when
        self._started = self._unsettled_at = now
        self._least_wait = LISTEN
        self.settled = False
        self.leaving = False
        self._carrier = True
        self._ask_everybody = True
        self._last_turn = now
        self._next_beacon = now
        self._dumped_at = float("-inf")
        self._out: list[Effect] = []

    # --- commands --------------------------------------------------------------------------------

    def remember(self, claims: Iterable[Claim]) -> None:
        """Claims of this node before a restart; taken up where nobody else has claimed since."""
        self._remembered = {claim.address: claim.order for claim in claims}

    def want(
        self, announcements: Iterable[Announcement], sets: Mapping[str, NodeSet], now: float
    ) -> list[Effect]:
        """All intents that concern this node; what is not among them is given up."""
        wanted = {item.address: item for item in announcements}
        for address in [item for item in self._addresses if item not in wanted]:
            del self._addresses[address]
            self._drop(address, "", now)
        for address, announcement in wanted.items():
            node_set = sets.get(announcement.node_set)
            known = self._addresses.get(address)
            if node_set is None:  # an unknown set means: keep the last
                nodes = known.nodes if known else (self.me, announcement.owner)
            else:
                nodes = tuple(sorted(node_set.nodes))
            if known and known.announcement == announcement and known.nodes == nodes:
                continue
            self._take_in(announcement, nodes, known)
            self._decide(address, now)
        return self._flush_out(now)

    def leave(self, now: float) -> list[Effect]:
        """Hand over: the others take what this node answers for, until they have it goes on."""
        self.leaving = True
        self._emit(now)
        return self._flush_out(now)

    # --- the machine -----------------------------------------------------------------------------

    def receive(self, data: Message, now: float) -> list[Effect]:
        """A beacon, news from gossip, or from the interfaces."""
        self._notice_gap(now)
        match data:
            case Heard(beacon, by_gossip):
                self._hear(beacon, by_gossip, now)
            case GossipSays(node, liveness):
                peer = self._peer(node)
                peer.gossip = liveness
                self._judge_one(peer, now)
            case Carrier(present):
                self._carry(present, now)
        return self._flush_out(now)

    def tick(self, now: float) -> list[Effect]:
        """A beacon is due, or somebody has been silent for too long."""
        self._notice_gap(now)
        self._judge(now)
        self._try_to_settle(now)
        if now >= self._next_beacon:
            self._emit(now)
        return self._flush_out(now)

    def deadline(self) -> float | None:
        """The next beacon or the next silence, whichever is first."""
        dues = [due for peer in self.peers.values() if (due := self._due(peer)) is not None]
        return min([self._next_beacon, self._last_turn + INTERVAL, *dues])

    def _due(self, peer: Peer) -> float | None:
        return peer.due() if peer.life is Life.ALIVE and peer.heard_at is not None else None

    # --- what others can know of us --------------------------------------------------------------

    def claims(self) -> list[Claim]:
        """This node's claims that differ from what the slices say."""
        found = []
        for address, order in self.mine.items():
            known = self._addresses.get(address)
            seed = ClaimOrder(known.announcement.term, True, 0) if known else None
            if seed != order or (known and known.announcement.owner != self.me):
                found.append(Claim(address, self.me, order))
        return found

    # --- rule 6: after a start or a gap ----------------------------------------------------------

    def stood_still(self, now: float) -> bool:
        """Whether the loop had no turn for so long that what just came in may be old."""
        return now - self._last_turn > GAP

    def _notice_gap(self, now: float) -> None:
        gap = now - self._last_turn
        self._last_turn = max(now, self._last_turn)
        if gap > GAP and not self.leaving:
            self._unsettle(now, f"the loop stood still for {gap:.2f} s", 0.0)
            for peer in self.peers.values():  # its silence may be our own deafness
                if peer.heard_at is not None:
                    peer.heard_at = max(peer.heard_at, now - GRACE)

    def _unsettle(self, now: float, reason: str, least_wait: float) -> None:
        self._out.append(Flush(reason))
        self._out.append(
            Said("unsettled", f"answering nothing until claims are exchanged: {reason}")
        )
        self.settled = False
        self._unsettled_at, self._least_wait = now, least_wait
        self._ask_everybody = True
        for address in sorted(self.answering, key=int):
            self._out.append(Yield(address, ""))
        self.answering.clear()
        self._next_beacon = now

    def _try_to_settle(self, now: float) -> None:
        if self.settled or not self._carrier:
            return
        waited = now - self._unsettled_at
        heard = [
            peer
            for peer in self.peers.values()
            if peer.told_at is not None and peer.told_at > self._unsettled_at
        ]
        exchanged = bool(heard) and all(peer.known for peer in heard)
        if waited < self._least_wait or not (exchanged or waited >= self._alone_after()):
            return
        self.settled = True
        self._ask_everybody = False
        with_whom = ", ".join(sorted(peer.name for peer in heard)) or "nobody"
        self._out.append(Said("settled", f"claims are exchanged with {with_whom}"))
        self._next_beacon = now
        self._judge(now)
        for address in self._addresses:
            self._decide(address, now)

    def _alone_after(self) -> float:
        """How long to wait for somebody: not at all where nobody else may own anything."""
        others = any(name != self.me for item in self._addresses.values() for name in item.nodes)
        return ALONE if others or self.peers or not self._addresses else LISTEN

    def _carry(self, present: bool, now: float) -> None:
        if present == self._carrier:
            return
        self._carrier = present
        if present:
            self._unsettle(now, "an interface came back", 0.0)
            return
        for address in list(self.mine):  # rule 3: no carrier, owns nothing
            self._drop(address, "", now)
        self._out.append(Said("noCarrier", "no interface can be used: owning nothing"))

    # --- hearing others --------------------------------------------------------------------------

    def _peer(self, name: str) -> Peer:
        if name not in self.peers:
            self.peers[name] = Peer(name)
        return self.peers[name]

    def _hear(self, beacon: Beacon, by_gossip: bool, now: float) -> None:
        if beacon.node == self.me:
            if beacon.boot != self._boot:
                self._out.append(Said("twin", f"another speaker calls itself {self.me}"))
            return
        peer = self._peer(beacon.node)
        if not peer.fresh(beacon):
            return
        before, settled = set(peer.claims), peer.settled
        returned = not by_gossip and (peer.heard_at is None or peer.life is not Life.ALIVE)
        peer.hear(beacon, now, by_gossip)
        self._heard_any = self._heard_any or not by_gossip
        if beacon.ask in (self.me, EVERYBODY) or returned:
            self._dump(now)
        touched = {news.address for news in beacon.claims}
        if beacon.reset or returned or beacon.leaving or settled != beacon.settled:
            touched |= before | set(peer.claims)
        self._judge_one(peer, now)
        for address in touched:
            self._decide(address, now)
            self._defend(address, peer, now)
        self._try_to_settle(now)

    def _defend(self, address: IPAddress, peer: Peer, now: float) -> None:
        """Rule 5: whoever hears a lower claim repeats its own (rate limited)."""
        known = self._addresses.get(address)
        if known is None or address not in self.answering or address not in peer.claims:
            return
        if not self.settled or now - known.repeated_at < REPEAT_CLAIM or peer.leaving_or_dead:
            return
        known.repeated_at = now
        self._news[address] = now + REPEAT_NEWS
        self._next_beacon = now
        self._out.append(Reassert(address, peer.name))

    def _judge(self, now: float) -> None:
        for peer in list(self.peers.values()):
            self._judge_one(peer, now)

    def _judge_one(self, peer: Peer, now: float) -> None:
        """Whether a node lives; if that changes, everything is decided anew."""
        life = peer.judge(now, self._started, self._heard_any)
        if life is peer.life:
            return
        peer.life = life
        self._out.append(Said("member", f"{peer.name} is {life.value}"))
        for address in self._addresses:
            self._decide(address, now)

    def _life(self, node: str, now: float) -> Life:
        if node == self.me:
            return Life.ALIVE
        peer = self._peer(node)
        if peer.life is Life.UNSEEN:
            peer.life = peer.judge(now, self._started, self._heard_any)
        return peer.life

    # --- deciding --------------------------------------------------------------------------------

    def _take_in(
        self, announcement: Announcement, nodes: tuple[str, ...], known: _Address | None
    ) -> None:
        first = [name for name in announcement.successors if name in nodes]
        rest = sorted(
            (name for name in nodes if name not in first),
            key=lambda name: rank(announcement.address, name),
            reverse=True,
        )
        item = _Address(announcement, nodes, (*first, *rest))
        if known is not None:
            item.took_from, item.repeated_at = known.took_from, known.repeated_at
        self._addresses[announcement.address] = item

    def _decide(self, address: IPAddress, now: float) -> None:
        """Rules 1 to 5 for one address."""
        item = self._addresses.get(address)
        if item is None or not self.settled or not self._carrier:
            return
        holder = self._holder(address, item, now)
        if holder is not None and holder[0] != self.me:
            self._follow(address, item, holder, now)
        elif self.leaving:
            return  # what is answered for stays until another claims it; nothing new is claimed
        elif holder is not None:
            self._keep(address, item, holder[1], now)
        else:
            self._claim_if_next(address, item, now)

    def _holder(
        self, address: IPAddress, item: _Address, now: float
    ) -> tuple[str, ClaimOrder] | None:
        """The highest claim that binds: of living, settled nodes of the set, and our own."""
        best: tuple[ClaimOrder, int, str] | None = None
        if address in self.mine and self.me in item.nodes:
            best = self.mine[address], rank(address, self.me), self.me
        for name, peer in self.peers.items():
            order = peer.claims.get(address)
            if order is None or name not in item.nodes or not peer.settled:
                continue
            if self._life(name, now) is not Life.ALIVE:
                continue
            claim = order, rank(address, name), name
            if best is None or claim > best:
                best = claim
        return None if best is None else (best[2], best[0])

    def _follow(
        self, address: IPAddress, item: _Address, holder: tuple[str, ClaimOrder], now: float
    ) -> None:
        """Another holds it: yield, unless the slices order a move to us (rule 4)."""
        name, order = holder
        term = item.announcement.term
        if item.announcement.owner == self.me and order.term < term and not self.leaving:
            self._claim(address, ClaimOrder(term, True, 0), f"moved here from {name}", now)
            return
        if address in self.mine or address in self.answering:
            self._drop(address, name, now)

    def _keep(self, address: IPAddress, item: _Address, order: ClaimOrder, now: float) -> None:
        """We hold it: go on, with the term and the firmness that are due."""
        announcement = item.announcement
        if order.term < announcement.term:
            if announcement.owner == self.me:
                order = ClaimOrder(announcement.term, True, 0)
            elif self._life(announcement.owner, now) in (Life.DEAD, Life.SILENT):
                # the node that it should move to is not there: it stays here, in the new term
                order = ClaimOrder(announcement.term, self._majority(item, now), 1)
        elif not order.firm and self._may_be_firm(item, now):
            order = replace(order, firm=True)
        if self.mine.get(address) != order:
            self._set_mine(address, order, now)
        self._answer(address)

    def _may_be_firm(self, item: _Address, now: float) -> bool:
        """Whether the holder before us surely has given up, and most of the set is with us."""
        return self._gave_up(item, now) and self._majority(item, now)

    def _gave_up(self, item: _Address, now: float) -> bool:
        if not item.took_from or self._life(item.took_from, now) is Life.DEAD:
            return True
        former = self.peers[item.took_from]
        silent_on_it = item.announcement.address not in former.claims and former.known
        return former.life is Life.ALIVE and former.settled and silent_on_it

    def _majority(self, item: _Address, now: float) -> bool:
        alive = sum(self._life(name, now) is Life.ALIVE for name in item.nodes)
        return alive * 2 > len(item.nodes)

    def _claim_if_next(self, address: IPAddress, item: _Address, now: float) -> None:
        """Nobody living holds it: the slices' owner, else the next that lives (rule 3)."""
        announcement = item.announcement
        if self.me not in item.nodes:
            return  # what we answer for stays until a node of the set has claimed it (rule 4)
        remembered = self._remembered.pop(address, None)
        if remembered is not None and remembered.term >= announcement.term:
            self._claim(address, remembered, "as before the restart", now)
            return
        base, former = self._last_claim(address, item)
        if not former:
            if announcement.owner == self.me:
                order = ClaimOrder(announcement.term, True, 0)
                self._claim(address, order, "the controller names us", now)
                return
            former = announcement.owner
        life = self._life(former, now) if former in item.nodes else Life.DEAD
        if life in (Life.UNSEEN, Life.ALIVE):
            return  # it may yet speak, or is about to exchange claims
        if not self._is_next(item, former, now):
            return
        item.took_from = former
        said_goodbye = former in self.peers and self.peers[former].left
        firm = life is Life.DEAD and (said_goodbye or self._majority(item, now))
        epoch = base.epoch + 1 if base.term >= announcement.term else 1
        order = ClaimOrder(max(base.term, announcement.term), firm, epoch)
        self._claim(address, order, f"{former} is {life.value}", now)

    def _last_claim(self, address: IPAddress, item: _Address) -> tuple[ClaimOrder, str]:
        """The highest claim of others, living or not, and whose it was; the seed is nobody's."""
        best, holder = ClaimOrder(item.announcement.term, True, 0), ""
        for name, peer in self.peers.items():
            order = peer.claims.get(address)
            if order is not None and (order > best or (order == best and not holder)):
                best, holder = order, name
        return best, holder

    def _is_next(self, item: _Address, former: str, now: float) -> bool:
        for name in item.ranked:
            if name == self.me:
                return True
            if name != former and self._life(name, now) is Life.ALIVE:
                return False
        return False

    # --- claiming and giving up ------------------------------------------------------------------

    def _claim(self, address: IPAddress, order: ClaimOrder, why: str, now: float) -> None:
        self._set_mine(address, order, now)
        self._out.append(Said("owner", f"{address} is ours: {why}"))
        self._answer(address)
        self._next_beacon = now

    def _answer(self, address: IPAddress) -> None:
        if address not in self.answering:
            self.answering.add(address)
            self._out.append(Own(address))

    def _drop(self, address: IPAddress, to: str, now: float) -> None:
        if address in self.mine:
            self._set_mine(address, None, now)
        if address in self.answering:
            self.answering.discard(address)
            self._out.append(Yield(address, to))
            if to:
                self._out.append(Said("owner", f"{address} is {to}'s"))
        self._remembered.pop(address, None)
        known = self._addresses.get(address)
        if known is not None:
            known.took_from = ""

    def _set_mine(self, address: IPAddress, order: ClaimOrder | None, now: float) -> None:
        before = self.mine.pop(address, None)
        if before is not None:
            self._digest ^= claim_digest(address, before)
        if order is not None:
            self.mine[address] = order
            self._digest ^= claim_digest(address, order)
        self._news[address] = now + REPEAT_NEWS
        self._next_beacon = min(self._next_beacon, now)

    # --- speaking --------------------------------------------------------------------------------

    def _dump(self, now: float) -> None:
        """All our claims, for those who ask; at most every REPEAT_CLAIM."""
        if now - self._dumped_at < REPEAT_CLAIM:
            return
        self._dumped_at = now
        self._say([ClaimNews(address, order) for address, order in self.mine.items()], reset=True)

    def _emit(self, now: float) -> None:
        self._news = {address: until for address, until in self._news.items() if until > now}
        self._say([ClaimNews(address, self.mine.get(address)) for address in self._news])
        self._next_beacon = now + self.interval

    def _say(self, news: list[ClaimNews], reset: bool = False) -> None:
        urgent = news or reset or self.leaving or not self.settled
        deaf = [name for name, peer in self.peers.items() if self._hears_by_gossip_only(peer)]
        for number, portion in enumerate(chunks(news)):
            beacon = self._beacon(portion, reset=reset and number == 0)
            self._out.append(Emit(beacon))
            if urgent:
                self._out += [Whisper(name, beacon) for name in deaf]

    def _hears_by_gossip_only(self, peer: Peer) -> bool:
        return peer.heard_at is None and peer.gossip is Liveness.ALIVE

    @property
    def interval(self) -> float:
        """Seconds between our beacons: all nodes together stay within the LAN's budget."""
        heard = sum(peer.heard_at is not None for peer in self.peers.values())
        return max(INTERVAL, (heard + 1) / LAN_BUDGET)

    def _beacon(self, claims: tuple[ClaimNews, ...], reset: bool = False) -> Beacon:
        self._counter += 1
        return Beacon(
            node=self.me,
            boot=self._boot,
            counter=self._counter,
            digest=self._digest,
            interval=self.interval,
            settled=self.settled,
            leaving=self.leaving,
            reset=reset,
            ask=self._ask(),
            claims=claims,
        )

    def _ask(self) -> str:
        if self._ask_everybody:
            return EVERYBODY
        now = self._last_turn
        for peer in self.peers.values():
            if not peer.known and peer.life is Life.ALIVE and now - peer.asked_at > ASK_EVERY:
                peer.asked_at = now
                return peer.name
        return ""

    def _flush_out(self, now: float) -> list[Effect]:
        """What is to be done; claims that changed are told at once."""
        if self._next_beacon <= now and self._counter:
            self._emit(now)
        out, self._out = self._out, []
        return out
