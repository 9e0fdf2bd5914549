"""The interoperation matrix: which cells there are, and the scene in which all are tried at once.

Every cell is a session of its own: a pair of addresses that only it has, and one prefix with
attributes that only it says. Each kind of router stands twice, on the LAN and one hop further; each
has a node of its own with one speaker.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lab.bgp_scene import Layout, Scene, Speaker
from lab.errors import LabError
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.gobgp import GoBGP
from lab.routers.router import (
    BOTH,
    EXTERNAL,
    INTERNAL,
    Bfd,
    Family,
    Neighbor,
    Plan,
    Restart,
    Router,
    Session,
    Unsupported,
    Way,
)
from lab.waiting import until

V4, V6 = BOTH
KINDS: tuple[type[Router], ...] = (FRR, BIRD, GoBGP)
IBGP, EBGP, MULTI_HOP = "iBGP", "eBGP", "multi-hop"
RELATIONS = (IBGP, EBGP, MULTI_HOP)
PLAIN, MD5, GTSM, BFD, GRACEFUL, PASSIVE = "plain", "MD5", "GTSM", "BFD", "GR", "passive"
FEATURES = (PLAIN, MD5, GTSM, BFD, GRACEFUL, PASSIVE)
UNNUMBERED = "unnumbered"
OUR_ASN = 4_200_000_100
PASSWORD = "of-the-matrix"
HOLD = 30


@dataclass(frozen=True)
class Cell:
    """One cell. ``number`` is its place among those of its kind of router, from 1."""

    kind: type[Router]
    number: int
    family: Family
    transport: Family | None
    relation: str
    feature: str

    def __str__(self) -> str:
        over = f"{self.family.value} over {self.transport.value}" if self.transport else self.over
        return f"{self.kind.name} {over} {self.relation} {self.feature}"

    @property
    def over(self) -> str:
        """The family, where there is no address to speak from."""
        return f"{self.family.value} over a link"

    @property
    def index(self) -> int:
        """Which kind of router, from 1."""
        return KINDS.index(self.kind) + 1

    @property
    def peer(self) -> str:
        """The BGPPeer's name."""
        if not self.transport:
            return f"link-{self.relation.lower()}"  # both families on one session
        return f"cell-{self.number}"

    @property
    def link(self) -> str:
        """The link of a session without addresses, on both ends."""
        return f"u-{self.relation.lower()}"

    @property
    def router_asn(self) -> int:
        """The router's."""
        return 65000 + self.index

    @property
    def our_asn(self) -> int:
        """Ours in this cell."""
        return self.router_asn if self.relation == IBGP else OUR_ASN

    @property
    def node_address(self) -> str:
        """Where we are."""
        return _address(self.transport, 95, self.index, self.number)

    @property
    def router_address(self) -> str:
        """Where the router is."""
        if self.relation == MULTI_HOP:
            return _address(self.transport, 96, self.index, self.number)
        return _address(self.transport, 95, 100 + self.index, self.number)

    @property
    def prefix(self) -> str:
        """What is announced."""
        if self.family is V4:
            return f"198.18.{self.index}.{self.number}/32"
        return f"2001:db8:0:{self.index}::{self.number:x}/128"

    @property
    def seen_as(self) -> str:
        """By what the router knows us."""
        return self.node_address if self.transport else self.link

    def neighbor(self) -> Neighbor:
        """What the router is told of us."""
        plain = Neighbor(
            self.our_asn,
            self.node_address,
            local_address=self.router_address,
            families=(self.family,),
            multi_hop=2 if self.relation == MULTI_HOP else 0,
            hold_time=HOLD,
        )
        hops = 2 if self.relation == MULTI_HOP else 1
        more: Mapping[str, Mapping[str, Any]] = {
            MD5: {"password": PASSWORD},
            GTSM: {"ttl_security": hops},
            BFD: {"bfd": Bfd(300, 3)},
            GRACEFUL: {"restart": Restart()},
        }
        return replace(plain, **more.get(self.feature, {}))

    def peer_plan(self) -> Mapping[str, Any]:
        """What our speaker is told of the router."""
        hops = 2 if self.relation == MULTI_HOP else 1
        bfd = {"receiveInterval": 300, "transmitInterval": 300, "detectMultiplier": 3}
        bfd["minimumTtl"] = 60  # BIRD sends with 64 to who is far
        more: Mapping[str, Mapping[str, Any]] = {
            MD5: {"signed": True},
            GTSM: {"ttlSecurity": hops},
            BFD: {"bfd": bfd},
            GRACEFUL: {"gracefulRestart": True},
            PASSIVE: {"passive": True},
        }
        where: Mapping[str, Any] = {"interface": self.link}
        if self.transport:
            where = {"address": self.router_address, "sourceAddress": self.node_address}
        return {
            "name": self.peer,
            **where,
            "myASN": self.our_asn,
            "peerASN": self.router_asn,
            "multiHop": self.relation == MULTI_HOP,
            "dualStack": self.transport is not self.family,
            "connectTime": 1,
            "holdTime": HOLD,
            **more.get(self.feature, {}),
        }

    def route(self) -> Mapping[str, Any]:
        """What our speaker shall say to this router alone."""
        return {
            "prefix": self.prefix,
            "peers": [self.peer],
            "med": 1000 + self.number,
            "localPref": 200 + self.number if self.relation == IBGP else 0,
            "communities": [f"65000:{self.number}", f"large:65000:1:{self.number}"],
        }

    def expected(self, next_hop: str) -> Way:
        """What must stand in the router's table; the next hop is told apart."""
        default = 100 if self.kind is BIRD else None  # it shows the default, too
        return Way(
            self.seen_as,
            next_hop,
            () if self.relation == IBGP else (OUR_ASN,),
            med=1000 + self.number,
            local_pref=200 + self.number if self.relation == IBGP else default,
            communities=frozenset({f"65000:{self.number}"}),
            large=frozenset({f"65000:1:{self.number}"}),
            best=True,
        )


def _address(family: Family | None, network: int, third: int, number: int) -> str:
    if family is V4:
        return f"10.{network}.{third}.{number}"
    return f"fd00:{network}::{third:x}:{number:x}"


def cells() -> Iterator[Cell]:
    """All of them, also those that a router cannot do."""
    for kind in KINDS:
        count = itertools.count(1)
        table = itertools.product(BOTH, BOTH, RELATIONS, FEATURES)
        for transport, family, relation, feature in table:
            yield Cell(kind, next(count), family, transport, relation, feature)
        for relation, family in itertools.product((EBGP, IBGP), BOTH):
            yield Cell(kind, next(count), family, None, relation, UNNUMBERED)


def possible(cell: Cell) -> bool:
    """Whether the router can do that: what it says against it, `test_bgp_matrix.py` asks it."""
    return not (cell.kind is GoBGP and cell.feature == BFD)


TRIED = tuple(cell for cell in cells() if possible(cell))
REFUSED = tuple(cell for cell in cells() if not possible(cell))


class Matrix:
    """All cells at once, as a context manager. Routers by kind and by whether they are far."""

    def __init__(self) -> None:
        self.scene = Scene(Layout(nodes=3, routers=3, far=3))
        self.routers: dict[tuple[type[Router], bool], Router] = {}
        self.speakers: dict[type[Router], Speaker] = {}

    def __enter__(self) -> Matrix:
        self.scene.__enter__()
        try:
            self._addresses()
            for index, kind in enumerate(KINDS, 1):
                for far in (False, True):
                    router = kind(self.scene[f"{'x' if far else 'r'}{index}"], _plan(kind, far))
                    self.routers[kind, far] = router
                    router.start()
                self.speakers[kind] = speaker = Speaker(self.scene[f"n{index}"])
                mine = [cell for cell in TRIED if cell.kind is kind]
                peers = {cell.peer: cell.peer_plan() for cell in mine}
                passwords = {cell.peer: PASSWORD for cell in mine if cell.feature == MD5}
                speaker.want(list(peers.values()), [cell.route() for cell in mine], passwords)
                speaker.start()
        except BaseException as problem:
            for router in self.routers.values():
                router.kill()
            self.scene.__exit__(type(problem), problem, None)
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        for router in self.routers.values():
            router.kill()
        self.scene.__exit__(*problem)

    def _addresses(self) -> None:
        """Two more networks: one on the LAN, one behind the hop; and links without addresses."""
        lines: dict[str, list[str]] = {name: [] for name in self.scene.hosts}
        for cell in TRIED:
            if cell.transport:
                size = "16" if cell.transport is V4 else "64 nodad"
                theirs = "x" if cell.relation == MULTI_HOP else "r"
                lines[f"n{cell.index}"].append(f"addr add {cell.node_address}/{size} dev eth0")
                router = lines[f"{theirs}{cell.index}"]
                router.append(f"addr add {cell.router_address}/{size} dev eth0")
        for index in (1, 2, 3):
            hop = self.scene["hop"]
            lines[f"n{index}"].append(f"route add 10.96.0.0/16 via {hop.address}")
            lines[f"n{index}"].append(f"route add fd00:96::/64 via {hop.address6}")
        for network, link in ((95, "eth0"), (96, "eth1")):
            lines["hop"].append(f"route add 10.{network}.0.0/16 dev {link}")
            lines["hop"].append(f"route add fd00:{network}::/64 dev {link}")
        for index, link in sorted({(c.index, c.link) for c in TRIED if not c.transport}):
            peer = f"type veth peer name {link} netns {self.scene[f'r{index}'].namespace}"
            lines[f"n{index}"] += [f"link add {link} {peer}", f"link set {link} up"]
            lines[f"r{index}"].append(f"link set {link} up")
        for name in sorted(lines):  # nodes before routers
            self.scene.ip(name, *lines[name])

    def router(self, cell: Cell) -> Router:
        """The one of a cell."""
        return self.routers[cell.kind, cell.relation == MULTI_HOP]

    def sessions(self) -> dict[Cell, Session]:
        """What the routers say of every cell's session."""
        found = {key: router.sessions() for key, router in self.routers.items()}
        told = {}
        for cell in TRIED:
            sessions = found[cell.kind, cell.relation == MULTI_HOP]
            told[cell] = sessions.get(cell.seen_as, Session(cell.seen_as, "?"))
        return told

    def ways(self) -> dict[Cell, tuple[Way, ...]]:
        """What stands in the routers' tables for every cell's prefix."""
        tables: dict[tuple[type[Router], bool], dict[str, tuple[Way, ...]]] = {}
        for key, router in self.routers.items():
            tables[key] = {**router.routes(V4), **router.routes(V6)}
        keys = {cell: (cell.kind, cell.relation == MULTI_HOP) for cell in TRIED}
        return {cell: tables[keys[cell]].get(cell.prefix, ()) for cell in TRIED}

    def settle(self, true: Any, what: str, timeout: float) -> None:
        """Waits until that is so, or no longer: each cell says itself what it lacks."""
        try:
            until(true, what, timeout, every=0.2)
        except LabError:
            return

    @cached_property
    def node_addresses(self) -> Mapping[type[Router], frozenset[str]]:
        """Every address of a node on the LAN."""
        found = {}
        for index, kind in enumerate(KINDS, 1):
            host = self.scene[f"n{index}"]
            own = {cell.node_address for cell in TRIED if cell.kind is kind and cell.transport}
            found[kind] = frozenset({host.address, host.address6, *own})
        return found


def _plan(kind: type[Router], far: bool) -> Plan:
    mine = [cell for cell in TRIED if cell.kind is kind and (cell.relation == MULTI_HOP) == far]
    neighbors = [cell.neighbor() for cell in mine if cell.transport]
    links = {cell.link: cell for cell in mine if not cell.transport}
    for link, cell in links.items():
        word = INTERNAL if cell.relation == IBGP else EXTERNAL
        asn = cell.our_asn if kind is GoBGP else word
        neighbors.append(Neighbor(asn, interface=link, hold_time=HOLD))
    index = KINDS.index(kind) + 1
    return Plan(65000 + index, f"192.0.2.{index + 10 * far}", tuple(neighbors))


def refused(cell: Cell, router_on: Scene) -> str:
    """What the router itself says against a cell, asked on a host of its own."""
    plan = Plan(cell.router_asn, "192.0.2.99", (cell.neighbor(),), port=1799)
    router = cell.kind(router_on[f"r{cell.index}"], plan, f"refused-{cell.number}")
    try:
        with router:
            return ""
    except Unsupported as words:
        return str(words)
