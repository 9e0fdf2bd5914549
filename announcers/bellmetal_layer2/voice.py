"""What this node says on the LAN: one beacon per interval, news at once, everything when asked.

Thousands of claims are told in pieces, so that neither our loop nor the others' sockets choke on
them. Who has missed one finds that by the digest, and asks.
"""

from __future__ import annotations

import itertools

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import CLAIMS_PER_BEACON, EVERYBODY, Beacon, ClaimNews, chunks
from bellmetal_layer2.claims import ClaimSet
from bellmetal_layer2.messages import Emit, Whisper
from bellmetal_layer2.provenance import Provenance
from bellmetal_layer2.roster import Roster

INTERVAL = 0.1  # seconds between beacons
LAN_BUDGET = 500.0  # beacons a second of all nodes together
REPEAT_NEWS = 0.5  # seconds for which beacons repeat a claim that is new
MOST_REPEATED = 4 * CLAIMS_PER_BEACON  # of more claims none is repeated
PIECE = 16 * CLAIMS_PER_BEACON  # claims that are told at one moment
PIECE_EVERY = 0.01  # seconds between two pieces
DUMP_EVERY = 0.1  # seconds between two times that all claims are told, and twice what that takes
WHISPER_EVERY = 1.0  # seconds between beacons by gossip, for those that do not hear us


class Voice:
    """Holds this node's claims and makes its beacons."""

    def __init__(self, me: str, boot: int, roster: Roster, now: float) -> None:
        self._me, self._boot, self._roster = me, boot, roster
        self.mine = ClaimSet()
        self.provenance = Provenance(now)
        self.settled = False
        self.leaving = False
        self.connected = True  # else there is nothing to settle, and nothing to ask
        self._counter = 0
        self._next_beacon = now
        self._next_whisper = now
        self._next_piece = self._next_dump = float("-inf")
        self._dump_asked = self._dump_begins = False
        self._news: dict[IPAddress, float] = {}  # claims to repeat in beacons, until when
        self._unsaid: dict[IPAddress, None] = {}  # in this order
        self._unable: set[IPAddress] = set()  # what is declined, not just given up
        self._quiet: set[IPAddress] = set()  # what is claimed and not answered for

    # --- commands --------------------------------------------------------------------------------

    def claim(self, address: IPAddress, order: ClaimOrder | None, now: float) -> None:
        """This node claims an address from now on; None: no more."""
        self._unable.discard(address)
        if order != self.mine.orders.get(address):
            self.mine.put(address, order)
            self.repeat(address, now)

    def decline(self, address: IPAddress, now: float) -> None:
        """This node cannot announce an address: let the others not wait for it."""
        self.mine.put(address, None)
        self._unable.add(address)
        self.repeat(address, now)

    def hush(self, address: IPAddress, quiet: bool, now: float) -> None:
        """Whether what is claimed is not answered for, as a foreign device has it."""
        (self._quiet.add if quiet else self._quiet.discard)(address)
        self.repeat(address, now)

    def repeat(self, address: IPAddress, now: float) -> None:
        """Say again what this node claims of an address."""
        self._news[address] = now + REPEAT_NEWS
        self._unsaid[address] = None

    def dump(self, asking: Beacon) -> None:
        """Somebody does not know all our claims, or not whether we live."""
        self._dump_asked = True
        self.provenance.echo(asking)

    def hurry(self, now: float) -> None:
        """Do not wait for the next beacon's time."""
        self._next_beacon = min(self._next_beacon, now)

    # --- speaking --------------------------------------------------------------------------------

    def due(self) -> float:
        """When there is something to say."""
        dues = [self._next_beacon]
        if self._dump_asked:
            dues.append(self._next_dump)
        if self._unsaid:
            dues.append(self._next_piece)
        return min(dues)

    def speak(self, now: float) -> list[Emit | Whisper]:
        """What is to be said now, if anything."""
        if self._dump_asked and now >= self._next_dump:
            self._begin_dump(now)
        beat = now >= self._next_beacon
        if beat:
            self._next_beacon = now + self.interval
            self._news = {item: until for item, until in self._news.items() if until > now}
            if len(self._news) <= MOST_REPEATED:
                self._unsaid = dict.fromkeys([*self._news, *self._unsaid])
        if self._unsaid and now >= self._next_piece:
            return self._say(self._next(now), now)
        return self._say([], now) if beat else []

    def _begin_dump(self, now: float) -> None:
        self._dump_asked, self._dump_begins = False, True
        self._unsaid = dict.fromkeys([*self.mine.orders, *self._unsaid])
        lasts = len(self._unsaid) / PIECE * PIECE_EVERY
        self._next_dump = now + max(DUMP_EVERY, 2 * lasts)
        if not self._unsaid:
            self._next_beacon = now  # that we claim nothing is news, too

    def _next(self, now: float) -> list[IPAddress]:
        """The claims to tell now; the rest waits for the next piece."""
        piece = list(itertools.islice(self._unsaid, PIECE))
        for address in piece:
            del self._unsaid[address]
        if self._unsaid:
            self._next_piece = now + PIECE_EVERY
        return piece

    @property
    def interval(self) -> float:
        """Seconds between our beacons: all nodes together stay within the LAN's budget."""
        heard = sum(bool(peer.heard) for peer in self._roster.peers.values())
        return max(INTERVAL, (heard + 1) / LAN_BUDGET)

    def _say(self, addresses: list[IPAddress], now: float) -> list[Emit | Whisper]:
        reset, self._dump_begins = self._dump_begins, False
        news = [self._news_of(address) for address in addresses]
        interval, ask = self.interval, self._ask(now)
        urgent = bool(news or ask) or reset or self.leaving
        deaf = self._roster.deaf if self._whispering(urgent, now) else []
        out: list[Emit | Whisper] = []
        for number, portion in enumerate(chunks(news)):
            beacon = self._beacon(portion, interval, ask, reset and number == 0)
            self.provenance.asked(beacon, now)
            out.append(Emit(beacon))
            out += [Whisper(name, beacon) for name in deaf]
        return out

    def _news_of(self, address: IPAddress) -> ClaimNews:
        order = self.mine.orders.get(address)
        quiet = order is not None and address in self._quiet
        return ClaimNews(address, order, address in self._unable, quiet)

    def _whispering(self, urgent: bool, now: float) -> bool:
        if not urgent and now < self._next_whisper:
            return False
        self._next_whisper = now + WHISPER_EVERY
        return True

    def _beacon(
        self, claims: tuple[ClaimNews, ...], interval: float, ask: str, reset: bool
    ) -> Beacon:
        self._counter += 1
        return Beacon(
            node=self._me,
            boot=self._boot,
            counter=self._counter,
            digest=self.mine.digest,
            interval=interval,
            settled=self.settled,
            leaving=self.leaving,
            reset=reset,
            apart=not self.connected,
            ask=ask,
            claims=claims,
            echoes=self.provenance.echoes(),
        )

    def _ask(self, now: float) -> str:
        """Who should tell us all its claims."""
        if not self.settled:
            return EVERYBODY if self.connected else ""
        if doubted := self.provenance.to_ask(now):
            return doubted
        for peer in self._roster.alive:
            if peer.to_ask(now):
                peer.asked_at = now
                return peer.name
        return ""
