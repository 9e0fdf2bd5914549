"""What must hold whatever members say that hold the key and lie: the ownership machine."""

from __future__ import annotations

import ipaddress

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder, Interface
from bellmetal.intents import Announcement, NodeSet
from bellmetal_layer2 import beacon
from bellmetal_layer2.beacon import EVERYBODY, Beacon, ClaimNews
from bellmetal_layer2.claims import ClaimSet
from bellmetal_layer2.messages import (
    Effect,
    Emit,
    GossipSays,
    Heard,
    Own,
    Unreadable,
    Usable,
    Whisper,
    Yield,
)
from bellmetal_layer2.ownership import Ownership
from bellmetal_layer2.roster import MOST_CLAIMS, MOST_PEERS
from fuzz.choices import Choices

KEY = b"k" * 32
OURS = [ipaddress.ip_address(f"192.0.2.{n}") for n in (10, 11, 12)]
OURS.append(ipaddress.ip_address("2001:db8::10"))
FOREIGN = [ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("ff02::1")]
NAMES = ["n2", "n3", "n1", "stranger", "", "n" * 255, "\n{}%s"]
NODES = ["n1", "n2", "n3"]
STEPS = [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 1.0, 3.0, 12.0]  # seconds
INTERFACES = [
    Interface("lan0", 2, bytes(6), True, ("192.0.2.2/24", "fe80::a/64")),
    Interface("lan1", 3, bytes(6), True, ("198.51.100.2/24",)),
]
EDGES = [0, 1, 2, 3, 2**31, 2**32 - 2, 2**32 - 1, 2**63, 2**64 - 2, 2**64 - 1]
STORY = 150  # steps of one story at most


class Story:
    """Node n1 among n2 and n3; what befalls it is read off bytes."""

    def __init__(self, data: bytes) -> None:
        self.choices, self.now = Choices(data), 100.0
        self.it = Ownership("n1", 7, self.now)
        self.answers: set[IPAddress] = set()  # as the effects say
        self.wanted: set[IPAddress] = set()
        self.forbidden: set[IPAddress] = set()  # once
        self.said: list[Beacon] = []  # that were heard, to be heard again
        self.told: dict[str, ClaimSet] = {}
        self.counter = 0
        self.challenge = 0  # of what it said last
        self.leaving = False

    def run(self) -> None:
        """To its end."""
        for _ in range(STORY):
            if not self.choices.left:
                break
            self._step()
        for _ in range(10):  # left alone it goes on
            due = self.it.deadline()
            assert due is not None
            self.now = max(self.now + 0.001, due)
            self.check(self.it.tick(self.now))

    def _step(self) -> None:
        choices = self.choices
        match choices.number() % 13:
            case 0 | 1 | 2 | 3 | 4:
                beacon_ = self._beacon()
                self.said.append(beacon_)
                self.check(self.it.receive(Heard(beacon_, self._on()), self.now))
            case 5:  # repeated, reordered
                if self.said:
                    self.check(self.it.receive(Heard(choices.of(self.said), self._on()), self.now))
            case 6:
                news = GossipSays(choices.of(NAMES), choices.of([*Liveness]))
                self.check(self.it.receive(news, self.now))
            case 7:
                usable = Usable(tuple(i for i in INTERFACES if choices.flag()))
                self.check(self.it.receive(usable, self.now))
            case 8:
                self.check(self.it.receive(Unreadable(choices.of(NAMES)), self.now))
            case 9:
                self._want()
            case 10:
                self.now += choices.of(STEPS)
                self.check(self.it.tick(self.now))
            case 12:  # a foreign device has it, or is gone
                address = choices.of(OURS)
                if choices.flag():
                    self.forbidden.add(address)
                    self.check(self.it.forbid(address, self.now))
                    assert address not in self.it.answering
                else:
                    self.check(self.it.allow(address, self.now))
            case 11:
                if choices.number() == 255:
                    self.leaving = True
                    self.check(self.it.leave(self.now))

    def _on(self) -> str:
        return self.choices.of(["lan0", "lan0", "lan1", "", "gone0"])

    def _number(self) -> int:
        return self.choices.of([*EDGES, self.choices.number(2)])

    def _beacon(self) -> Beacon:
        choices, name = self.choices, self.choices.of(NAMES)
        claims = tuple(self._news() for _ in range(choices.number() % 4))
        told = self.told.setdefault(name, ClaimSet())
        for news in claims:
            told.put(news.address, news.order)
        self.counter += 1
        flags = choices.number()
        return Beacon(
            node=name,
            boot=choices.of([1, 1, 1, 2, self._number()]),
            counter=choices.of([self.counter, self.counter, self.counter, self._number()]),
            digest=choices.of([told.digest, told.digest, self._number()]),
            interval=choices.of([0.1, 0.1, 0.0, 65.0]),
            settled=bool(flags & 1),
            leaving=bool(flags & 2),
            reset=bool(flags & 4),
            apart=bool(flags & 8),
            ask=choices.of(["", "", "n1", EVERYBODY, "n2"]),
            claims=claims,
            echoes=tuple(
                choices.of([self.challenge, self._number()]) for _ in range(choices.number() % 3)
            ),
        )

    def _echo(self) -> int:
        return self.choices.of([self.challenge, self._number()])

    def _news(self) -> ClaimNews:
        choices = self.choices
        address = choices.of([*OURS, *OURS, *FOREIGN])
        if choices.number() % 8 == 0:
            return ClaimNews(address, None, choices.flag())
        epoch = min(self._number(), 2**32 - 1)
        return ClaimNews(address, ClaimOrder(self._number(), choices.flag(), epoch))

    def _want(self) -> None:
        choices = self.choices
        share = [
            Announcement(
                address,
                choices.of([1, 1, 2, 3]),
                choices.of(NODES),
                choices.of(["all", "all", "unknown"]),
                ("n2", "n3"),
                frozenset(choices.of([(), (), ("lan0",), ("lan9",)])),
            )
            for address in OURS
            if choices.number() % 4
        ]
        self.wanted = {item.address for item in share}
        sets = {"all": NodeSet("all", dict.fromkeys(NODES, ""))}
        self.check(self.it.want(share, sets, self.now))

    # --- what must hold --------------------------------------------------------------------------

    def check(self, effects: list[Effect]) -> None:
        """After each step."""
        for effect in effects:
            match effect:
                case Own(address):
                    assert address not in self.answers, "told twice"
                    self.answers.add(address)
                case Yield(address, _):
                    # one that was forbidden is claimed without an answer, and may go like that
                    assert address in self.answers | self.forbidden, "given up twice"
                    self.answers.discard(address)
                case Emit(item) | Whisper(_, item):
                    self._check_said(item)
        it = self.it
        assert self.answers == set(it.answering), "effects and state differ"
        assert it.answering <= it.mine.keys(), "it answers without claiming"
        assert it.answering <= self.wanted, "it answers for what nobody wants"
        assert it.settled or not it.answering, "it answers unsettled"
        assert {claim.address for claim in it.claims()} <= it.mine.keys()
        assert "n1" not in it.heirs
        self._check_bounds()

    def _check_said(self, item: Beacon) -> None:
        data = beacon.encode(item, KEY)
        assert beacon.decode(data, KEY) == item
        assert len(beacon.wrap(data, bytes(6))) <= 1294
        assert item.node == "n1"
        self.challenge = item.challenge
        assert {news.address for news in item.claims if news.order} <= self.wanted

    def _check_bounds(self) -> None:
        peers = self.it._roster.peers
        assert len(peers) <= MOST_PEERS
        claims = sum(len(peer.claims) for peer in peers.values())
        assert claims == self.it._roster._claims <= MOST_CLAIMS
        due = self.it.deadline()
        assert due is not None
        assert due < self.now + 60.0


def ownership(data: bytes) -> None:
    """A story of lies, flaps and silence."""
    Story(data).run()
