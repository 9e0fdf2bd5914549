"""What must hold whatever frames say that somebody has our addresses: the watch of the LAN."""

from __future__ import annotations

import ipaddress
import random

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.probes import Allow, Ask, Defend, Forbid, Tallied, Told, VigilEffect
from bellmetal_layer2.watch import Overheard, Watch
from fuzz.choices import Choices

LONGEST = 1500
MAC, MEMBERS, FOREIGN = (bytes([2, 0, 0, 0, 0, n]) for n in (10, 2, 9))
LAN0 = Interface("lan0", 2, MAC, True, ("192.0.2.2/24", "fe80::a/64"))
LAN1 = Interface("lan1", 3, MAC[:-1] + b"\x0b", True, ("198.51.100.2/24",))
ADDRESSES: list[IPAddress] = [
    ipaddress.ip_address(text) for text in ("192.0.2.10", "192.0.2.11", "2001:db8::10")
]
STEPS = [0.0, 0.001, 0.05, 0.1, 0.2, 1.0, 10.0, 60.0]  # seconds
WIDE = frozenset[str]()


class Looking:
    """A watch, what it should look after, and what is seen on the LAN."""

    def __init__(self, data: bytes) -> None:
        self.choices, self.now = Choices(data), 10.0
        self.it = Watch("n1", random.Random(1), lambda address: "n2")
        self.present = {LAN0.name: LAN0}
        self.wanted: set[IPAddress] = set()
        self.owned: set[IPAddress] = set()
        self.forbidden: set[IPAddress] = set()
        self.counter = 0
        self.it.interfaces([LAN0])
        self._want(set(ADDRESSES))

    def _want(self, wanted: set[IPAddress]) -> None:
        gone, self.wanted = self.wanted - wanted, wanted
        self.owned &= wanted
        self.forbidden &= wanted
        self._check(self.it.want(dict.fromkeys(wanted, WIDE), gone, self.now))

    def step(self) -> None:
        """Mostly a frame."""
        choices, it = self.choices, self.it
        self.now += choices.of(STEPS)
        match choices.number() % 12:
            case 0:
                self._want({address for address in ADDRESSES if choices.flag()})
            case 1:
                self._own(choices.of(ADDRESSES))
            case 2:
                address = choices.of(ADDRESSES)
                paused = choices.flag() and address in self.forbidden
                self.owned.discard(address)
                if not paused:
                    self.forbidden.discard(address)
                self._check(it.disown(address, paused))
            case 3:
                self.present = {one.name: one for one in (LAN0, LAN1) if choices.flag()}
                it.interfaces(self.present.values())
            case 4:
                self.counter += 1
                beacon = Beacon(choices.of(["n2", "n3", "n1"]), 1, self.counter, 0, 0.1)
                mac = choices.of([MEMBERS, FOREIGN, choices.octets(6).ljust(6, b"\0")])
                it.heard(beacon, choices.of(["lan0", "lan1"]), bytes(6) + mac, self.now)
            case 5:
                self._check(it.unsettle(self.now))
            case _:
                self._frame()
        self._check(it.tick(self.now))
        due = it.deadline()
        assert due is None or due < self.now + 3600
        assert len(it.doubts) <= 2 * len(ADDRESSES)
        assert len(it.findings) <= 16

    def _own(self, address: IPAddress) -> None:
        if address in self.wanted and address not in self.owned:
            self.owned.add(address)
            fresh = self.choices.flag()
            self._check(self.it.own(address, WIDE, fresh, self.now))

    def _frame(self) -> None:
        choices = self.choices
        frame = self._made() if choices.flag() else choices.octets(choices.number(2) % LONGEST)
        if self.it.may_matter(frame):
            heard = Overheard(choices.of(["lan0", "lan1", "gone0"]), frame, choices.flag())
            self._check(self.it.receive(heard, self.now))

    def _made(self) -> bytes:
        """A frame of somebody about one of our addresses, or about a decoy."""
        choices = self.choices
        mac = choices.of([FOREIGN, MEMBERS, MAC])
        if choices.flag():
            target = ipaddress.IPv4Address(choices.of([0xC000020A, 0xC0000200 + choices.number()]))
            operation = choices.of([arp.REQUEST, arp.REPLY])
            return arp.ArpFrame(MAC, mac, operation, mac, target, MAC, target).encode()
        decoy = ipaddress.IPv6Address((0x20010DB8 << 96) | self.it.decoy)
        known = ipaddress.IPv6Address("2001:db8::10")
        return ndp.unsolicited(choices.of([known, decoy]), mac).encode()

    # --- what must hold --------------------------------------------------------------------------

    def _check(self, effects: list[VigilEffect]) -> None:
        for effect in effects:
            match effect:
                case Ask(interface, frame):
                    assert interface in self.present
                    assert frame[6:12] == self.present[interface].mac
                case Forbid(address):
                    assert address in self.wanted
                    self.forbidden.add(address)
                    self.owned.discard(address)
                case Allow(address):
                    assert address in self.forbidden
                    self.forbidden.discard(address)
                    self._own(address)  # as ownership does that has kept its claim
                case Defend(_, address):
                    assert address in self.owned
                case Told(event, message):
                    assert event
                    assert message
                case Tallied(what, kind):
                    assert what
                    assert kind


def watch(data: bytes) -> None:
    """Each frame is counted, asked about, or ignored; nobody makes us say what we should not."""
    it = Looking(data)
    while it.choices.left:
        it.step()
