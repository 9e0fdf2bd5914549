"""A LAN around one node's `Watch`, in memory: devices that answer what they hold, and a clock."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.beacon import Beacon, wrap
from bellmetal_layer2.probes import Ask, Told, VigilEffect
from bellmetal_layer2.watch import Overheard, Watch

LAN0 = Interface("lan0", 2, bytes.fromhex("02000000000a"), True, ("fe80::a/64",))
N2, N3 = bytes.fromhex("020000000002"), bytes.fromhex("020000000003")
STRANGER = bytes.fromhex("020000000009")


@dataclass
class Device:
    """Something on the LAN: answers for what it holds; a ``proxy`` for anything."""

    mac: bytes
    holds: set[IPAddress] = field(default_factory=set)
    proxy: bool = False

    def answer(self, frame: bytes) -> bytes | None:
        if frame[:6] not in (self.mac, arp.BROADCAST) and not frame[0] & 1:
            return None
        if frame[12:14] == b"\x08\x06":
            request = arp.decode(frame)
            held = request.operation == arp.REQUEST and self._has(request.target)
            return arp.reply_to(request, self.mac).encode() if held else None
        question = ndp.decode(frame)
        if isinstance(question, ndp.Solicitation) and self._has(question.target):
            return ndp.answer_to(question, self.mac).encode()
        return None

    def _has(self, address: IPAddress) -> bool:
        return self.proxy or address in self.holds


class Lan:
    """Node n1's watch with one interface; n2 and n3 are members. ``done``: all effects, timed."""

    def __init__(self, *devices: Device, interfaces: tuple[Interface, ...] = (LAN0,)) -> None:
        self.now = 100.0
        self.owners: dict[IPAddress, str] = {}  # of what is our turn to ask for
        self.watch = Watch("n1", random.Random(7), lambda address: self.owners.get(address, ""))
        self.watch.interfaces(interfaces)
        self.devices = list(devices)
        self.done: list[tuple[float, VigilEffect]] = []
        self._counter = 0
        self.beacons()

    def beacons(self) -> None:
        """The members' signs of life."""
        self._counter += 1
        for node, mac in (("n2", N2), ("n3", N3)):
            item = Beacon(node, 1, self._counter, 0, 0.1)
            self.watch.heard(item, "lan0", wrap(b"", mac), self.now)

    def wait(self, seconds: float) -> None:
        """Lets time pass; the LAN answers what is asked."""
        until = self.now + seconds
        while True:
            due = self.watch.deadline()
            step = min(until, self.now + 0.1, max(due if due is not None else until, self.now))
            self.now = step
            self.beacons()
            if due is not None and due <= self.now:
                self._perform(self.watch.tick(self.now))
            if self.now >= until:
                return

    def say(self, frame: bytes, strangers: bool = False) -> None:
        """A frame comes in."""
        if self.watch.may_matter(frame):
            self._perform(self.watch.receive(Overheard("lan0", frame, strangers), self.now))

    def own(self, address: IPAddress, fresh: bool = True) -> None:
        self._perform(self.watch.own(address, frozenset(), fresh, self.now))

    def _perform(self, effects: list[VigilEffect]) -> None:
        for effect in effects:
            self.done.append((self.now, effect))
            if isinstance(effect, Ask):
                for device in self.devices:
                    if (answer := device.answer(effect.frame)) is not None:
                        self.say(answer)

    def did(self, kind: type) -> list[VigilEffect]:
        return [effect for _, effect in self.done if isinstance(effect, kind)]

    def times(self, kind: type) -> list[float]:
        return [at for at, effect in self.done if isinstance(effect, kind)]

    @property
    def told(self) -> list[str]:
        return [effect.message for _, effect in self.done if isinstance(effect, Told)]


def announced(address: IPAddress, mac: bytes) -> bytes:
    """What somebody tells everybody who has it."""
    if isinstance(address, ipaddress.IPv6Address):
        return ndp.unsolicited(address, mac).encode()
    return arp.gratuitous(address, mac, arp.REQUEST).encode()
