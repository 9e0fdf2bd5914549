"""BGP sessions in memory: one whose peer a test speaks for, and what a peer learns of UPDATEs.

`bgp_network.py` joins two of them.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from bellmetal.addresses import IPNetwork
from bellmetal.facts import SessionFacts, SessionState
from bellmetal.intents import Attributes, PeerPlan
from bellmetal_bgp.capabilities import Capabilities, GracefulRestart
from bellmetal_bgp.effects import Changed, Close, Connect, Effect, Failure, Place, Send
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import (
    Decoding,
    Keepalive,
    Message,
    Notification,
    Open,
    RouteRefresh,
    Stream,
    decode,
    encode,
)
from bellmetal_bgp.outbound import Tables
from bellmetal_bgp.prefixes import decode_prefixes, encode_prefix
from bellmetal_bgp.session import Session
from bgp_facts import peer

OURS, THEIRS = 64512, 64513
HERE, THERE = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.1")
PLACE = Place(str(HERE), str(THERE), HERE, ipv4=HERE, direct=True, interface="eth0")
BOTH = replace(PLACE, ipv6=(IPv6Address("2001:db8::10"),))
CAPABLE = Capabilities(
    families=frozenset({IPV4_UNICAST}), route_refresh=True, asn4=THEIRS, extended_messages=True
)
HELPER = replace(CAPABLE, graceful_restart=GracefulRestart(notification=True))
THEIR_OPEN = Open(THEIRS, 90, THERE, CAPABLE)
READ = Decoding(asn4=True, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))


def table(*prefixes: str, **fields: Any) -> Tables:
    """IPv4 and IPv6 prefixes, all with the same attributes."""
    found: dict[Family, dict[bytes, Attributes]] = {IPV4_UNICAST: {}, IPV6_UNICAST: {}}
    attributes = Attributes(**fields)
    for text in prefixes:
        network: IPNetwork = ipaddress.ip_network(text)
        found[Family.of(network)][encode_prefix(network)] = attributes
    return found


class Lone:
    """A session on node n1, its edge, and its peer: all by hand. ``now`` is in seconds."""

    def __init__(self, plan: PeerPlan | None = None, place: Place = PLACE, **fields: Any) -> None:
        self.now, self.place = 1000.0, place
        self.it = Session(plan or peer(**fields), self.now, random.Random(1))
        self.effects: list[Effect] = []
        self.number = 0  # of the connection that it asked for last
        self._told: dict[int, bytes] = {}

    def do(self, effects: Iterable[Effect]) -> list[Effect]:
        """Takes what it wants done; whatever it says is kept until `said` asks."""
        done = list(effects)
        self.effects += done
        for effect in done:
            if isinstance(effect, Connect):
                self.number = effect.connection
            if isinstance(effect, Send):
                number = effect.connection
                self._told[number] = self._told.get(number, b"") + effect.data
        return done

    # --- what a test does ------------------------------------------------------------------------

    def start(self) -> Lone:
        self.do(self.it.start(self.now))
        return self

    def connected(self) -> Lone:
        """The connection that it has asked for is there."""
        self.do(self.it.connected(self.number, self.place, self.now))
        return self

    def hear(self, *said: Message | bytes, number: int | None = None) -> list[Effect]:
        """All of it in one segment."""
        data = b"".join(item if isinstance(item, bytes) else raw(item) for item in said)
        return self.do(self.it.receive((number or self.number, data), self.now))

    def up(self, opened: Open = THEIR_OPEN, tables: Tables | None = None) -> Lone:
        """Established by the connection that it has asked for; what it said so far is forgotten."""
        if tables is not None:
            self.do(self.it.want(tables))
        self.start().connected().hear(opened, Keepalive())
        assert self.it.state is SessionState.ESTABLISHED, self.facts
        self.said()
        return self

    def call(self, place: Place | None = None) -> int:
        """The peer calls."""
        number, effects = self.it.incoming(place or self.place, self.now)
        self.do(effects)
        return number

    def lose(self, number: int | None = None) -> None:
        self.do(self.it.lost(number or self.number, "the other side has gone", self.now))

    def fail(self, failure: Failure) -> None:
        self.do(self.it.failed(self.number, failure, self.now))

    def stop(self, said: Notification | None, failure: Failure) -> None:
        self.do(self.it.stop(said, failure, self.now))

    def wait(self, seconds: float, keepalives: bool = False) -> None:
        """Time passes, every timer in time; ``keepalives``: the peer sends one each second."""
        end = self.now + seconds
        turns, beat = 0, self.now + 1
        while True:
            due = self.it.deadline()
            times = [end, *([due] if due is not None else []), *([beat] if keepalives else [])]
            self.now = max(self.now, min(times))
            if keepalives and self.now >= beat:
                beat += 1
                self.hear(Keepalive())
            elif due is not None and due <= self.now:
                self.do(self.it.tick(self.now))
                turns += 1
                assert turns < 10_000, "a timer that is always due"
            if self.now >= end and (self.it.deadline() or end + 1) > end:
                return

    # --- what there is to see --------------------------------------------------------------------

    def said(self, number: int | None = None) -> list[Message]:
        """What it has told a connection since it was asked last; no number: the present one."""
        data = self._told.pop(number or self.number, b"")
        return [decode(item, READ) for item in cut(data)]

    def octets(self, number: int | None = None) -> bytes:
        """The same as it is."""
        return self._told.pop(number or self.number, b"")

    def connects(self) -> int:
        """How many connections it has asked for."""
        return sum(isinstance(effect, Connect) for effect in self.effects)

    def closed(self) -> list[int]:
        return [effect.connection for effect in self.effects if isinstance(effect, Close)]

    def forget(self) -> None:
        self.effects.clear()
        self._told.clear()

    @property
    def facts(self) -> SessionFacts:
        return self.it.facts(str(THERE))

    @property
    def changed(self) -> bool:
        return Changed() in self.effects


def raw(message: Message) -> bytes:
    assert isinstance(message, Open | Keepalive | Notification | RouteRefresh)
    return encode(message)


def cut(data: bytes) -> list[bytes]:
    """Whole messages; nothing may be left over."""
    stream = Stream(extended=True)
    stream.feed(data)
    found = list(stream.messages())
    assert sum(map(len, found)) == len(data), "half a message"
    return found


# --- what a peer learns ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Path:
    """Attributes as they stand in an UPDATE; AS numbers of four octets."""

    as_path: tuple[int, ...]
    next_hop: bytes
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[bytes, ...] = ()
    large: tuple[bytes, ...] = ()


@dataclass
class Said:
    """One UPDATE: NLRI as octets."""

    withdrawn: dict[Family, list[bytes]] = field(default_factory=dict)
    announced: dict[Family, list[bytes]] = field(default_factory=dict)
    path: Path | None = None


class Learned:
    """A router's Adj-RIB-In out of the octets that came: a reader of its own, for small ones."""

    def __init__(self, add_path: Iterable[Family] = ()) -> None:
        self.routes: dict[tuple[Family, bytes], Path] = {}
        self.ended: list[Family] = []  # End-of-RIB
        self.refreshes: list[int] = []  # subtypes
        self._stream, self._add_path = Stream(), frozenset(add_path)

    def feed(self, data: bytes) -> list[Said]:
        self._stream.feed(data)
        return [said for item in self._stream.messages() if (said := self._take(item))]

    def _take(self, item: bytes) -> Said | None:
        if item[18] == 5:
            self.refreshes.append(item[21])
        if item[18] != 2:
            return None
        said = read_update(item[19:], self._add_path)
        for family, gone in said.withdrawn.items():
            if not gone and not said.announced:
                self.ended.append(family)
            for nlri in gone:
                self.routes.pop((family, nlri), None)
        for family, there in said.announced.items():
            for nlri in there:
                assert said.path is not None
                self.routes[family, nlri] = said.path
        return said

    def prefixes(self) -> set[str]:
        return {str(network_of(family, nlri)) for family, nlri in self.routes}


def network_of(family: Family, nlri: bytes) -> IPNetwork:
    ((network, _),) = decode_prefixes(nlri, family)
    return network


def read_update(body: bytes, add_path: frozenset[Family] = frozenset()) -> Said:
    """By hand (RFC 4271, section 4.3; RFC 4760); 2 octets of length are read by `_octets`."""
    said, path = Said(), {}
    gone, rest = _octets(body)
    attributes, nlri = _octets(rest)
    if gone:
        said.withdrawn[IPV4_UNICAST] = _split(gone, IPV4_UNICAST in add_path)
    while attributes:
        flags, kind = attributes[0], attributes[1]
        width = 2 if flags & 0x10 else 1
        length = int.from_bytes(attributes[2 : 2 + width], "big")
        path[kind] = attributes[2 + width : 2 + width + length]
        assert len(path[kind]) == length
        attributes = attributes[2 + width + length :]
    hop = path.get(3, b"")
    if nlri:
        said.announced[IPV4_UNICAST] = _split(nlri, IPV4_UNICAST in add_path)
    if 14 in path:
        value = path[14]
        family, hop = Family(int.from_bytes(value[:2], "big"), value[2]), value[4 : 4 + value[3]]
        said.announced[family] = _split(value[5 + value[3] :], family in add_path)
    if 15 in path:
        family = Family(int.from_bytes(path[15][:2], "big"), path[15][2])
        said.withdrawn[family] = _split(path[15][3:], family in add_path)
    if not path and not gone and not nlri:
        said.withdrawn[IPV4_UNICAST] = []  # End-of-RIB
    if said.announced:
        said.path = _path(path, hop)
    return said


def _path(path: Mapping[int, bytes], hop: bytes) -> Path:
    assert path[1] == b"\0"
    numbers = _split_every(path[2][2:], 4)
    return Path(
        as_path=tuple(int.from_bytes(item, "big") for item in numbers),
        next_hop=hop,
        med=int.from_bytes(path[4], "big") if 4 in path else None,
        local_pref=int.from_bytes(path[5], "big") if 5 in path else None,
        communities=tuple(_split_every(path.get(8, b""), 4)),
        large=tuple(_split_every(path.get(32, b""), 12)),
    )


def _octets(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:2], "big")
    return data[2 : 2 + length], data[2 + length :]


def _split_every(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _split(data: bytes, ids: bool) -> list[bytes]:
    found = []
    while data:
        skip = 4 if ids else 0
        length = skip + 1 + (data[skip] + 7) // 8
        assert len(data) >= length
        found.append(data[:length])
        data = data[length:]
    return found
