"""Router Advertisements ⇄ values, and who is found on an interface by them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import ClassVar

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr

from bellmetal_bgp import neighbors
from bellmetal_bgp.advertisements import encode, sender
from bellmetal_bgp.neighbors import CALM, EAGER, Neighbor

MAC = bytes.fromhex("02000000000a")
ROUTER, OTHER = "fe80::1", "fe80::2"
BARE = bytes([134]) + bytes(15)
GOOD = bytes(ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"))


# --- octets --------------------------------------------------------------------------------------


def test_ours_makes_us_nobodys_router() -> None:
    seen = ICMPv6ND_RA(encode(MAC))
    assert (seen.type, seen.code, seen.routerlifetime) == (134, 0, 0)
    assert seen[ICMPv6NDOptSrcLLAddr].lladdr == "02:00:00:00:00:0a"
    assert ICMPv6NDOptSrcLLAddr not in ICMPv6ND_RA(encode(b""))


@pytest.mark.parametrize(
    ("data", "source", "hops", "who"),
    [
        (GOOD, ROUTER, 255, ROUTER),
        (BARE, ROUTER, 255, ROUTER),
        (encode(MAC), ROUTER, 255, ROUTER),
        (GOOD, ROUTER, 254, None),  # it was routed
        (GOOD, ROUTER, 0, None),
        (GOOD, "2001:db8::1", 255, None),
        (GOOD[:15], ROUTER, 255, None),
        (b"", ROUTER, 255, None),
        (b"\x85" + GOOD[1:], ROUTER, 255, None),  # a Router Solicitation
        (GOOD[:1] + b"\1" + GOOD[2:], ROUTER, 255, None),
        (BARE + b"\1", ROUTER, 255, None),
        (BARE + b"\1\0" + bytes(6), ROUTER, 255, None),  # an option of length 0
        (BARE + b"\1\2" + bytes(6), ROUTER, 255, None),  # … that is cut off
        (BARE + b"\x63\1" + bytes(6), ROUTER, 255, ROUTER),  # … that nobody knows
    ],
)
def test_whose_it_is(data: bytes, source: str, hops: int, who: str | None) -> None:
    found = sender(data, source, hops)
    assert found == (IPv6Address(who) if who else None)


# --- an interface --------------------------------------------------------------------------------


class Socket:
    """A `sockets.AdvertisementSocket` in memory; its file is a pipe, so that a loop takes it."""

    latest: ClassVar[Socket]

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.sent: list[bytes] = []
        self.waiting: list[tuple[bytes, str, int]] = []
        self.broken = False
        self.closed = False
        self._pipe = os.pipe()
        Socket.latest = self

    def fileno(self) -> int:
        return self._pipe[0]

    def receive(self) -> tuple[bytes, str, int] | None:
        return self.waiting.pop(0) if self.waiting else None

    def send(self, data: bytes) -> None:
        if self.broken:
            raise OSError(errno.ENETDOWN, "Network is down")
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True
        for end in self._pipe:
            os.close(end)


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(neighbors, "AdvertisementSocket", Socket)
    yield
    if not Socket.latest.closed:
        Socket.latest.close()


class Met:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def hear(it: Neighbor, *frames: tuple[bytes, str, int]) -> None:
    Socket.latest.waiting += frames
    it._hear()


@pytest.mark.usefixtures("timers")
async def test_who_introduces_itself_is_met_once() -> None:
    met = Met()
    it = Neighbor("eth1", MAC, met)
    assert Socket.latest.sent == [encode(MAC)]
    hear(it, (GOOD, ROUTER, 64), (b"?", ROUTER, 255))
    assert (it.address, met.times) == (None, 0)
    hear(it, (GOOD, ROUTER, 255), (GOOD, ROUTER, 255))
    assert (it.address, met.times) == (IPv6Address(ROUTER), 1)
    hear(it, (GOOD, OTHER, 255))
    assert (it.address, met.times) == (IPv6Address(OTHER), 2)
    it.close()
    assert Socket.latest.closed


@pytest.mark.usefixtures("timers")
async def test_a_flood_leaves_others_their_turn() -> None:
    it = Neighbor("eth1", MAC, Met())
    hear(it, *[(GOOD, ROUTER, 255)] * 1000)
    assert len(Socket.latest.waiting) > 900
    it.close()


@pytest.mark.looptime
@pytest.mark.usefixtures("timers")
async def test_eager_until_somebody_is_known(caplog: pytest.LogCaptureFixture) -> None:
    it = Neighbor("eth1", MAC, Met())
    await asyncio.sleep(3.5 * EAGER)
    assert len(Socket.latest.sent) == 4
    hear(it, (GOOD, ROUTER, 255))
    await asyncio.sleep(2.2 * CALM)
    assert len(Socket.latest.sent) in (6, 7)
    Socket.latest.broken = True
    await asyncio.sleep(3 * CALM)
    assert [record.getMessage() for record in caplog.records] == [
        "advertising on eth1: Network is down"
    ], "once"
    before = len(Socket.latest.sent)
    Socket.latest.broken = False
    await asyncio.sleep(1.5 * EAGER)
    assert len(Socket.latest.sent) > before, "soon after it works again"
    it.close()
    said = len(Socket.latest.sent)
    await asyncio.sleep(5 * CALM)
    assert len(Socket.latest.sent) == said
