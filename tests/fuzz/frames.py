"""What must hold for any frame of up to 1,500 bytes: the codecs and the responder."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal.keyring import key_id
from bellmetal_layer2 import arp, beacon, ndp
from bellmetal_layer2.groups import Join, Leave
from bellmetal_layer2.places import has_ipv6
from bellmetal_layer2.responder import Arrived, Ignored, Responder, ResponderEffect, Transmit
from fuzz.choices import Choices

LONGEST = 1500
KEY, NOBODYS = b"k" * 32, b"n" * 32
MAC = bytes.fromhex("02000000000a")
LAN0 = Interface("lan0", 2, MAC, True, ("192.0.2.2/24", "fe80::a/64"))
LAN0_WITHOUT = Interface("lan0", 2, MAC, True, ("192.0.2.2/24",))  # an IPv6 address
GONE0 = Interface("gone0", 9, MAC, True)
BARE0 = Interface("bare0", 3, MAC[:-1] + b"\x0b", True, ("198.51.100.2/24",))
IP, IP6 = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv6Address("2001:db8::10")
OWNED: list[IPAddress] = [IP, IP6, IP + 1]
NAMES = [frozenset[str](), frozenset({"lan0"}), frozenset({"bare0", "gone0"})]


def arp_frame(data: bytes) -> None:
    """A frame is a value that encodes to the same again, or a DecodeError."""
    try:
        item = arp.decode(data[:LONGEST])
    except arp.DecodeError as error:
        assert str(error)
        return
    assert arp.decode(item.encode()) == item
    if item.operation == arp.REQUEST:
        answer = arp.decode(arp.reply_to(item, MAC).encode())
        assert (answer.sender, answer.target, answer.destination) == (
            item.target,
            item.sender,
            item.sender_mac,
        )


def ndp_frame(data: bytes) -> None:
    """The same; and an answer is an advertisement of what was asked."""
    try:
        item = ndp.decode(data[:LONGEST])
    except ndp.DecodeError as error:
        assert str(error)
        return
    assert ndp.decode(item.encode()) == item
    if isinstance(item, ndp.Solicitation):
        answer = ndp.decode(ndp.answer_to(item, MAC).encode())
        assert isinstance(answer, ndp.Advertisement)
        assert answer.target == item.target


def sign(body: bytes, key: bytes = KEY) -> bytes:
    """As a member would, whatever it is."""
    data = beacon.MAGIC + b"\x01" + key_id(key) + body
    return data + hmac.digest(key, data, "sha256")[: beacon.TAG]


def beacon_frame(data: bytes) -> None:
    """The frame, the payload of strangers, and what a member signs: a beacon or a DecodeError."""
    data = data[:LONGEST]
    for payload in (data, sign(data), _unwrapped(data)):
        assert not _believed(payload, NOBODYS), "who does not have the key can sign"
        try:
            item = beacon.decode(payload, KEY)
        except beacon.UnknownKeyError as error:
            assert len(error.node) <= 255
        except beacon.DecodeError as error:
            assert str(error)
        else:
            again = beacon.encode(item, KEY)
            assert beacon.decode(again, KEY) == item
            assert payload != sign(data) or len(again) == len(payload), "something is not read"
            assert beacon.decode(beacon.encode(item, b"other", KEY), KEY) == item


def _believed(payload: bytes, key: bytes) -> bool:
    try:
        beacon.decode(payload, key)
    except beacon.DecodeError:
        return False
    return True


def _unwrapped(frame: bytes) -> bytes:
    try:
        return beacon.unwrap(frame)
    except beacon.DecodeError as error:
        assert str(error)
        return b""


class Answering:
    """A responder, what it should answer for, and what befalls it."""

    def __init__(self, data: bytes) -> None:
        self.it, self.choices, self.now = Responder(), Choices(data), 0.0
        self.owned: dict[IPAddress, frozenset[str]] = {}
        self.present: list[Interface] = []
        self._check(self.it.interfaces([LAN0, BARE0], 0.0), [LAN0, BARE0])
        self._own(IP, frozenset())
        self._own(IP6, frozenset({"lan0"}))

    def step(self) -> None:
        """Mostly a frame."""
        choices, it = self.choices, self.it
        self.now += choices.number() / 64
        match choices.number() % 16:
            case 0:
                present = [one for one in (LAN0, BARE0, LAN0_WITHOUT) if choices.flag()]
                present = [*{one.name: one for one in present}.values()]
                self._check(it.interfaces(present, self.now), present)
            case 1:
                self._own(choices.of(OWNED), choices.of(NAMES))
            case 2:
                address = choices.of(OWNED)
                self.owned.pop(address, None)
                self._check(it.disown(address, self.now))
            case 3:
                address, names = choices.of(OWNED), choices.of(NAMES)
                if address in self.owned:
                    self.owned[address] = names
                    self._check(it.restrict(address, names, self.now, choices.number()))
            case 4:
                self._check(it.announce(choices.of(OWNED), self.now))
            case _:
                self._frame()
        self._check(it.tick(self.now))
        due = it.deadline()
        assert due is None or due < self.now + 2 * 256

    def _own(self, address: IPAddress, names: frozenset[str]) -> None:
        self.owned[address] = names
        self._check(self.it.own(address, names, self.now))

    def _frame(self) -> None:
        interface = self.choices.of([LAN0, BARE0, GONE0])
        frame = self.choices.octets(self.choices.number(2) % LONGEST)
        effects = self.it.receive(Arrived(interface.name, frame), self.now)
        assert len(effects) == 1, effects
        effect = effects[0]
        if isinstance(effect, Ignored):
            assert effect.reason.value
        else:
            assert isinstance(effect, Transmit)
            assert not effect.gratuitous
            self._check_answer(effect, interface, frame)

    def _check_answer(self, effect: Transmit, interface: Interface, frame: bytes) -> None:
        address = effect.address
        assert effect.interface == interface.name in {one.name for one in self.present}
        assert address in self.owned
        assert interface.name in (self.owned[address] or {interface.name})
        assert effect.frame[6:12] == interface.mac
        if address.version == 4:
            question, answer = arp.decode(frame), arp.decode(effect.frame)
            assert answer.operation == arp.REPLY
            assert (answer.sender, answer.sender_mac) == (address, interface.mac)
            assert (answer.target, answer.target_mac) == (question.sender, question.sender_mac)
        else:
            assert has_ipv6(next(one for one in self.present if one.name == interface.name))
            said = ndp.decode(effect.frame)
            assert isinstance(said, ndp.Advertisement)
            assert (said.target, said.link_address) == (address, interface.mac)

    def _check(
        self, effects: Iterable[ResponderEffect], present: list[Interface] | None = None
    ) -> None:
        """What is told without being asked."""
        if present is not None:
            self.present = present
        for effect in effects:
            assert isinstance(effect, Transmit | Join | Leave)
            if isinstance(effect, Transmit):
                assert effect.address in self.owned
                assert effect.interface in {one.name for one in self.present}


def responder(data: bytes) -> None:
    """Each frame is answered as it should be, or ignored for a reason that has a name."""
    it = Answering(data)
    while it.choices.left:
        it.step()
