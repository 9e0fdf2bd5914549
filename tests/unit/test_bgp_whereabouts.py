"""Where a peer is, what a connection to it offers, and why it cannot be had: a table of nodes."""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar

import pytest

from bellmetal.addresses import Family as Version
from bellmetal.addresses import IPAddress
from bellmetal.announcer import Password
from bellmetal.config import Gateway
from bellmetal.facts import SessionTrouble
from bellmetal_bgp import host, whereabouts
from bellmetal_bgp.effects import Place
from bellmetal_bgp.host import Port, address_of, hashed, place
from bellmetal_bgp.sockets import SignatureError, Target
from bellmetal_bgp.whereabouts import UnreachableError, Whereabouts, failure_of
from bgp_facts import peer

FOUR, SIX = IPv4Address("192.0.2.10"), IPv6Address("2001:db8::10")
LINK, OTHER_LINK = IPv6Address("fe80::10"), IPv6Address("fe80::20")
ROUTER, ROUTER6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
ROUTER_LINK = IPv6Address("fe80::1")
MAC = bytes.fromhex("02000000000a")
NETWORKS = ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/64")
LO = Port("lo", 1, b"")
ETH0 = Port("eth0", 2, MAC, (FOUR,), (SIX,), LINK, NETWORKS)
ETH1 = Port("eth1", 3, MAC, link_local=OTHER_LINK)


class Neighbor:
    """A `neighbors.Neighbor` in memory."""

    made: ClassVar[list[Neighbor]] = []

    def __init__(self, interface: str, mac: bytes, met: Callable[[], None]) -> None:
        self.interface, self.mac, self.met = interface, mac, met
        self.address: IPv6Address | None = None
        self.closed = False
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


class Node:
    """What netlink would say."""

    def __init__(self) -> None:
        self.ports: tuple[Port, ...] = (LO, ETH0, ETH1)
        self.gateways: dict[Version, tuple[IPAddress, str]] = {}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node()
    Neighbor.made.clear()

    async def ports() -> tuple[Port, ...]:
        return made.ports

    async def gateway(version: Version) -> tuple[IPAddress, str] | None:
        return made.gateways.get(version)

    monkeypatch.setattr(host, "ports", ports)
    monkeypatch.setattr(host, "gateway", gateway)
    monkeypatch.setattr(whereabouts, "Neighbor", Neighbor)
    return made


def where(**fields: object) -> Whereabouts:
    return Whereabouts(replace(peer(), **fields), lambda: None)  # type: ignore[arg-type]


async def refused(it: Whereabouts, password: Password | None = None) -> tuple[SessionTrouble, str]:
    with pytest.raises(UnreachableError) as caught:
        await it.find(password)
    assert str(caught.value) == caught.value.failure.message
    return caught.value.failure.trouble, caught.value.failure.message


# --- finding it ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("node")
async def test_at_an_address() -> None:
    source = ipaddress.ip_address("192.0.2.10")
    it = where(port=1179, source_address=source, vrf="red", ttl_security=2)
    assert it.address == ROUTER
    assert it.is_it(ROUTER)
    assert not it.is_it(FOUR)
    found = await it.find(None)
    assert found == Target(ROUTER, 1179, "", source, "red", 2)
    assert found.remote == "192.0.2.1"


@pytest.mark.usefixtures("node")
async def test_a_password_goes_with_it_only_where_it_is_asked_for() -> None:
    secret = Password(b"s3cret")
    assert (await where().find(secret)).password is None
    assert (await where(signed=True, ao=True).find(secret)).ao
    assert (await where(signed=True).find(secret)).password == secret
    trouble, words = await refused(where(signed=True))
    assert trouble is SessionTrouble.NO_PASSWORD
    assert "no file router can be read" in words


@pytest.mark.parametrize(
    ("gateway", "version", "found", "interface"),
    [
        (Gateway.IPV4, Version.IPV4, ROUTER, ""),
        (Gateway.IPV6, Version.IPV6, ROUTER6, ""),
        (Gateway.IPV6, Version.IPV6, ROUTER_LINK, "eth0"),
    ],
)
async def test_at_the_default_gateway(
    node: Node, gateway: Gateway, version: Version, found: IPAddress, interface: str
) -> None:
    it = where(address=None, gateway=gateway)
    assert it.address is None
    trouble, words = await refused(it)
    assert trouble is SessionTrouble.NO_GATEWAY
    assert words == f"this node has no {version.name} default route"
    node.gateways[version] = found, "eth0"
    target = await it.find(None)
    assert (target.address, target.interface) == (found, interface)
    assert it.is_it(found)


async def test_on_an_interface(node: Node) -> None:
    it = where(address=None, interface="eth1")
    node.ports = (LO, ETH0)
    assert await refused(it) == (
        SessionTrouble.NO_INTERFACE,
        "this node has no interface eth1",
    )
    node.ports = (LO, ETH0, ETH1)
    for _ in range(2):
        trouble, words = await refused(it)
        assert trouble is SessionTrouble.NO_NEIGHBOR
        assert words.startswith("no router has introduced itself on eth1")
    (neighbor,) = Neighbor.made
    assert (neighbor.interface, neighbor.mac) == ("eth1", MAC)
    neighbor.address = ROUTER_LINK
    target = await it.find(None)
    assert target.remote == "fe80::1%eth1"
    assert it.is_it(ROUTER_LINK)
    node.ports = (LO, ETH0)
    await refused(it)
    assert neighbor.closed, "an interface that comes back is another one"
    node.ports = (LO, ETH0, ETH1)
    await refused(it)
    assert len(Neighbor.made) == 2
    it.close()
    assert Neighbor.made[1].closed


@pytest.mark.parametrize(
    ("ports", "source", "gateway", "interface"),
    [
        ((LO, ETH0), None, None, "eth0"),
        ((LO, ETH0, ETH1), FOUR, None, "eth0"),
        ((LO, ETH0, ETH1), OTHER_LINK, None, "eth1"),
        ((LO, ETH0, ETH1), None, "eth1", "eth1"),
        ((LO, ETH0, ETH1), None, "eth9", ""),
        ((LO, ETH0, ETH1), None, None, ""),
        ((LO,), None, None, ""),
    ],
)
async def test_the_interface_of_a_link_local_peer(
    node: Node,
    ports: tuple[Port, ...],
    source: IPAddress | None,
    gateway: str | None,
    interface: str,
) -> None:
    node.ports = ports
    if gateway:
        node.gateways[Version.IPV6] = ROUTER_LINK, gateway
    it = where(address=ROUTER_LINK, source_address=source)
    if interface:
        assert (await it.find(None)).interface == interface
        return
    trouble, words = await refused(it)
    assert trouble is SessionTrouble.NO_INTERFACE
    assert words.startswith("fe80::1 is a link-local address, and which interface it is on cannot")


# --- what a connection offers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "remote", "wanted"),
    [
        (
            FOUR,
            ROUTER,
            Place("192.0.2.10", "192.0.2.1", FOUR, FOUR, (SIX,), False, True, "eth0"),
        ),
        (
            SIX,
            ROUTER6,
            Place("2001:db8::10", "2001:db8::1", FOUR, FOUR, (SIX,), False, True, "eth0"),
        ),
        (
            FOUR,
            IPv4Address("203.0.113.1"),
            Place("192.0.2.10", "203.0.113.1", FOUR, FOUR, (SIX,), False, False, "eth0"),
        ),
        (
            LINK,
            ROUTER_LINK,
            Place("fe80::10", "fe80::1", FOUR, FOUR, (SIX, LINK), True, True, "eth0"),
        ),
        (
            OTHER_LINK,
            ROUTER_LINK,
            Place("fe80::20", "fe80::1", hashed("n1"), None, (OTHER_LINK,), True, True, "eth1"),
        ),
        (
            IPv4Address("127.0.0.1"),
            IPv4Address("127.0.0.2"),
            Place("127.0.0.1", "127.0.0.2", IPv4Address("127.0.0.1"), IPv4Address("127.0.0.1")),
        ),
    ],
)
def test_the_place_of_a_connection(local: IPAddress, remote: IPAddress, wanted: Place) -> None:
    assert place(local, remote, (LO, ETH0, ETH1), "n1") == wanted


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_an_address_as_a_socket_calls_it(text: str, address: str) -> None:
    assert address_of(text) == ipaddress.ip_address(address)


def test_a_router_id_out_of_a_name() -> None:
    assert str(hashed("123456789")) == "38.57.244.203"  # CRC-32's check value, 0xCBF43926
    assert hashed("node1") != hashed("node2")


# --- why it cannot be had ------------------------------------------------------------------------

TARGET = Target(ROUTER, 179, source=FOUR, vrf="red")


def error(number: int, what: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), what)


@pytest.mark.parametrize(
    ("problem", "trouble", "words"),
    [
        (error(errno.ECONNREFUSED), SessionTrouble.REFUSED, "192.0.2.1 port 179: nobody listens"),
        (error(errno.EHOSTUNREACH), SessionTrouble.NO_ROUTE, "192.0.2.1 port 179: no route to"),
        (error(errno.ENETUNREACH), SessionTrouble.NO_ROUTE, "192.0.2.1 port 179: this node has no"),
        (error(errno.ENETDOWN), SessionTrouble.NO_ROUTE, "192.0.2.1 port 179: the interface"),
        (error(errno.ECONNRESET), SessionTrouble.RESET, "192.0.2.1 port 179: the connection was"),
        (error(errno.EPIPE), SessionTrouble.RESET, "192.0.2.1 port 179: Broken pipe"),
        (error(errno.ENODEV, "vrf"), SessionTrouble.NO_VRF, "this node has no VRF red: No such"),
        (
            error(errno.EADDRNOTAVAIL, "source"),
            SessionTrouble.NO_SOURCE,
            "spec.sourceAddress 192.0.2.10 is not an address of this node: Cannot assign",
        ),
        (
            SignatureError(errno.ENOPROTOOPT, "this node's kernel has no TCP-AO (RFC 5925)"),
            SessionTrouble.UNSUPPORTED,
            "this node's kernel has no TCP-AO (RFC 5925)",
        ),
    ],
)
def test_errors_as_a_person_understands_them(
    problem: OSError, trouble: SessionTrouble, words: str
) -> None:
    failure = failure_of(problem, TARGET)
    assert failure.trouble is trouble
    assert failure.message.startswith(words)


def test_an_error_before_the_peer_was_found() -> None:
    failure = failure_of(error(errno.EPERM), None)
    assert failure.message == "the peer: Operation not permitted"
