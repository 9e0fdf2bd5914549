"""What this node says on the LAN: one beacon per interval, news at once, everything when asked."""

from __future__ import annotations

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import EVERYBODY, Beacon, ClaimNews, chunks
from bellmetal_layer2.claims import ClaimSet
from bellmetal_layer2.doubts import Doubts
from bellmetal_layer2.messages import Emit, Whisper
from bellmetal_layer2.roster import Roster

INTERVAL = 0.1  # seconds between beacons
LAN_BUDGET = 500.0  # beacons a second of all nodes together
REPEAT_NEWS = 0.5  # seconds for which beacons repeat a claim that is new
DUMP_EVERY = 0.1  # seconds between two beacons with all claims
ASK_EVERY = 0.3  # seconds between two questions to a node whose claims are not known
WHISPER_EVERY = 1.0  # seconds between beacons by gossip, for those that do not hear us


class Voice:
    """Holds this node's claims and makes its beacons."""

    def __init__(self, me: str, boot: int, roster: Roster, now: float) -> None:
        self._me, self._boot, self._roster = me, boot, roster
        self.mine = ClaimSet()
        self.doubts = Doubts(now)
        self.settled = False
        self.leaving = False
        self.connected = True  # else there is nothing to settle, and nothing to ask
        self._counter = 0
        self._next_beacon = now
        self._next_whisper = now
        self._dumped_at = float("-inf")
        self._dump_asked = False
        self._news: dict[IPAddress, float] = {}  # claims to repeat in beacons, until when
        self._unsaid: set[IPAddress] = set()
        self._unable: set[IPAddress] = set()  # what is declined, not just given up

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

    def repeat(self, address: IPAddress, now: float) -> None:
        """Say again what this node claims of an address."""
        self._news[address] = now + REPEAT_NEWS
        self._unsaid.add(address)

    def dump(self, asking: Beacon) -> None:
        """Somebody does not know all our claims, or not whether we live."""
        self._dump_asked = True
        self.doubts.echo(asking)

    def hurry(self, now: float) -> None:
        """Do not wait for the next beacon's time."""
        self._next_beacon = min(self._next_beacon, now)

    # --- speaking --------------------------------------------------------------------------------

    def due(self) -> float:
        """When there is something to say."""
        dump = self._dumped_at + DUMP_EVERY if self._dump_asked else float("inf")
        return min(self._next_beacon, dump)

    def speak(self, now: float) -> list[Emit | Whisper]:
        """What is to be said now, if anything."""
        if self._dump_asked and now >= self._dumped_at + DUMP_EVERY:
            self._dump_asked, self._dumped_at = False, now
            return self._say(list(self.mine.orders), now, reset=True)
        if now >= self._next_beacon:
            self._news = {item: until for item, until in self._news.items() if until > now}
            self._next_beacon = now + self.interval
            return self._say([*self._news], now)
        return self._say([*self._unsaid], now) if self._unsaid else []

    @property
    def interval(self) -> float:
        """Seconds between our beacons: all nodes together stay within the LAN's budget."""
        heard = sum(bool(peer.heard) for peer in self._roster.peers.values())
        return max(INTERVAL, (heard + 1) / LAN_BUDGET)

    def _say(
        self, addresses: list[IPAddress], now: float, reset: bool = False
    ) -> list[Emit | Whisper]:
        self._unsaid.clear()
        news = [self._news_of(address) for address in addresses]
        interval, ask = self.interval, self._ask(now)
        urgent = bool(news or ask) or reset or self.leaving
        deaf = self._roster.deaf if self._whispering(urgent, now) else []
        out: list[Emit | Whisper] = []
        for number, portion in enumerate(chunks(news)):
            beacon = self._beacon(portion, interval, ask, reset and number == 0)
            self.doubts.asked(beacon, now)
            out.append(Emit(beacon))
            out += [Whisper(name, beacon) for name in deaf]
        return out

    def _news_of(self, address: IPAddress) -> ClaimNews:
        return ClaimNews(address, self.mine.orders.get(address), address in self._unable)

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
            echoes=self.doubts.echoes(),
        )

    def _ask(self, now: float) -> str:
        """Who should tell us all its claims."""
        if not self.settled:
            return EVERYBODY if self.connected else ""
        if doubted := self.doubts.to_ask(now):
            return doubted
        for peer in self._roster.alive:
            if not peer.known and now - peer.asked_at > ASK_EVERY:
                peer.asked_at = now
                return peer.name
        return ""
