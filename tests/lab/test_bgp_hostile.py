"""Peers that mean no good, on real sockets: each ends in a state that has a name, and no other
session suffers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from bellmetal.announcer import Password
from bellmetal.facts import SessionState, SessionTrouble
from bellmetal.intents import Attributes
from bellmetal_bgp import connection, sockets
from bgp_bytes import (
    AS_PATH,
    KEEPALIVE,
    NEXT_HOP,
    NOTIFICATION,
    ORIGIN,
    PATH,
    ROUTE_REFRESH,
    UPDATE,
    A,
    B,
    attribute,
    capability,
    counted,
    message,
    number,
    opened,
    parameter,
    update,
)
from bgp_facts import route
from lab.hostile import (
    HELLO,
    OPEN,
    THEIRS,
    Behaviour,
    Call,
    Stage,
    Stalls,
    enemies,
    full_table,
    memory,
    soon,
)
from lab.wire import Wire

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces"),
]
ONE = "198.51.100.1/32"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with enemies(tmp_path_factory.mktemp("wire")) as made:
        yield made


@pytest.fixture
async def stage(wire: Wire) -> AsyncIterator[Stage]:
    """With a peer that means well: its session must not suffer."""
    enemy = Stage(wire)
    friend = enemy.peer("friend", friendly)
    async with enemy.run():
        await enemy.apply(route(ONE))
        await soon(lambda: enemy.established("friend"), "the friend's session")
        yield enemy
        facts = enemy.facts("friend")
        assert facts.state is SessionState.ESTABLISHED
        assert (facts.flaps, len(friend.calls)) == (0, 1)


async def friendly(call: Call) -> None:
    await call.greet()
    while True:
        await call.say(message(KEEPALIVE))
        await asyncio.sleep(1)


def says(data: bytes, hello: bytes = HELLO) -> Behaviour:
    """It greets, says that, and hangs up; so does every call after it."""

    async def behaviour(call: Call) -> None:
        if hello:
            await call.greet(hello)
        await call.say(data)
        call.socket.shutdown(socket.SHUT_WR)
        await call.end()
        call.close()

    return behaviour


def waits(data: bytes, hello: bytes = HELLO) -> Behaviour:
    """The same, but it does not hang up: the speaker has to."""

    async def behaviour(call: Call) -> None:
        if hello:
            await call.greet(hello)
        await call.say(data)
        await call.end()

    return behaviour


# --- cut at every octet --------------------------------------------------------------------------

UPDATE_ = update(withdrawn=A, path=PATH, nlri=B)
MESSAGES = {
    "update": UPDATE_,
    "notification": message(NOTIFICATION, b"\x06\x02\x04gone"),
    "keepalive": message(KEEPALIVE),
    "refresh": message(ROUTE_REFRESH, b"\0\1\0\1"),
}
SILENT = {SessionTrouble.RESET, SessionTrouble.CONNECTING}


async def test_every_message_cut_at_every_octet(stage: Stage) -> None:
    """The peer hangs up in the middle of it."""
    names = []
    for at in range(len(OPEN)):
        names.append(f"open-{at}")
        stage.peer(names[-1], says(OPEN[:at], hello=b""), connect_time=30)
    for kind, whole in MESSAGES.items():
        for at in range(len(whole)):
            names.append(f"{kind}-{at}")
            stage.peer(names[-1], says(whole[:at]), connect_time=30)
    await stage.apply(route(ONE))
    peers = {peer.name: peer for peer in stage.peers.values()}
    await soon(lambda: all(peers[name].calls for name in names), "all calls", 20)
    await soon(
        lambda: all(
            facts.state is not SessionState.ESTABLISHED and facts.error
            for name, facts in stage.all_facts().items()
            if name in names
        ),
        "all sessions to end",
        20,
    )
    assert len(names) > 160
    for name, facts in stage.all_facts().items():
        if name in names:
            assert facts.trouble in SILENT, (name, facts)
            assert facts.error == "the peer closed the TCP connection without a NOTIFICATION"
            assert peers[name].last.notification is None
            assert facts.flaps == (0 if name.startswith("open") else 1)


# --- wrong in one place --------------------------------------------------------------------------


def longer(whole: bytes, by: int) -> bytes:
    """A message that says of itself that it is longer than it is."""
    length = int.from_bytes(whole[16:18], "big") + by
    return whole[:16] + number(length, 2) + whole[18:] + message(KEEPALIVE)


def attributes_with(wrong: int, by: int) -> bytes:
    """An UPDATE one of whose attributes says that it is longer than it is."""
    parts = (0x40, 1, b"\0"), (0x40, 2, b"\x02\x01" + number(65001, 4)), (0x40, 3, b"\xc0\0\2\1")
    said = [attribute(*part, by if at == wrong else 0) for at, part in enumerate(parts)]
    return update(path=b"".join(said), nlri=A)


HEADER, OPENS, UPDATES, REFRESHES = 1, 2, 3, 7
CAPABILITY = capability(65, number(THEIRS, 4))
# what is said after the greeting, and the codes that answer it; none: the session stays
WRONG: dict[str, tuple[bytes, set[int]]] = {
    "no marker": (b"\0" * 19, {HEADER}),
    "one bit of the marker": (b"\xff" * 15 + b"\xfe" + message(KEEPALIVE)[16:], {HEADER}),
    "shorter than a header": (message(KEEPALIVE, b"", 18), {HEADER}),
    "length 0": (message(KEEPALIVE, b"", 0), {HEADER}),
    "giant": (message(UPDATE, b"", 65535), {HEADER}),
    "giant by one": (message(UPDATE, b"", 4097), {HEADER}),
    "type 0": (message(0), {HEADER}),
    "type 6": (message(6), {HEADER}),
    "type 255": (message(255), {HEADER}),
    **{
        f"{kind} longer by {by}": (longer(whole, by), {HEADER, UPDATES, REFRESHES})
        for kind, whole in MESSAGES.items()
        if kind != "notification"
        for by in (1, -1)
    },
    "withdrawn longer by 1": (
        message(UPDATE, counted(A, 2, 1) + counted(PATH, 2) + B),
        {UPDATES},
    ),
    "withdrawn shorter by 1": (
        message(UPDATE, counted(A, 2, -1) + counted(PATH, 2) + B),
        {UPDATES},
    ),
    "attributes longer by 1": (
        message(UPDATE, counted(b"", 2) + counted(PATH, 2, 1) + B),
        {UPDATES, 0},
    ),
    "attributes shorter by 1": (
        message(UPDATE, counted(b"", 2) + counted(PATH, 2, -1) + B),
        {UPDATES, 0},
    ),
    "attributes beyond the end": (message(UPDATE, counted(b"", 2) + b"\xff\xff"), {UPDATES}),
    "a prefix of 33 bits": (update(path=PATH, nlri=b"\x21" + bytes(5)), {UPDATES}),
    "a prefix that is cut off": (update(path=PATH, nlri=b"\x20\x0a\0"), {UPDATES}),
    "an unknown well-known attribute": (
        update(path=PATH + attribute(0x40, 99, b"?"), nlri=A),
        {UPDATES},
    ),
    **{
        f"{name} longer by {by}": (attributes_with(at, by), {UPDATES, 0})
        for at, name in enumerate(("ORIGIN", "AS_PATH", "NEXT_HOP"))
        for by in (1, -1)
    },
    "AS_PATH twice": (update(path=PATH + AS_PATH, nlri=A), {0}),
    "no NEXT_HOP": (update(path=ORIGIN + AS_PATH, nlri=A), {0}),
    "no ORIGIN": (update(path=AS_PATH + NEXT_HOP, nlri=A), {0}),
    "wrong flags": (update(path=PATH + attribute(0x00, 4, number(5, 4)), nlri=A), {UPDATES, 0}),
    "another OPEN": (OPEN, {5}),
    "BoRR longer by 1": (message(ROUTE_REFRESH, b"\0\1\1\1!"), {REFRESHES}),
}
WRONG_OPENS: dict[str, tuple[bytes, set[int]]] = {
    "KEEPALIVE first": (message(KEEPALIVE), {5}),
    "UPDATE first": (UPDATE_, {5}),
    "REFRESH first": (MESSAGES["refresh"], {5}),
    "longer by 1": (longer(OPEN, 1), {HEADER, OPENS}),
    "shorter by 1": (longer(OPEN, -1), {HEADER, OPENS}),
    "giant": (message(1, bytes(10), 4097), {HEADER}),
    "too short": (message(1, bytes(9)), {HEADER}),
    "version 3": (opened(asn=THEIRS, version=3), {OPENS}),
    "hold time 1": (opened(asn=THEIRS, hold_time=1), {OPENS}),
    "hold time 2": (opened(asn=THEIRS, hold_time=2), {OPENS}),
    "identifier 0": (opened(asn=THEIRS, router_id=bytes(4)), {OPENS}),
    "AS 0": (opened(asn=0), {OPENS}),
    **{
        f"{what} {'longer' if off > 0 else 'shorter'} by 1": (said, {OPENS})
        for off in (1, -1)
        for what, said in (
            ("parameters", opened(parameter(CAPABILITY), asn=THEIRS, off=off)),
            ("parameter", opened(parameter(CAPABILITY, off=off), asn=THEIRS)),
            ("capability", opened(parameter(capability(65, b"\0\0\xfc\1", off)), asn=THEIRS)),
        )
    },
    "HTTP": (b"GET / HTTP/1.1\r\nHost: router\r\n\r\n", {HEADER}),
}


async def test_every_wrong_octet_is_answered_by_name(stage: Stage) -> None:
    wrong = {f"after: {name}": case for name, case in WRONG.items()}
    before = {f"open: {name}": case for name, case in WRONG_OPENS.items()}
    for name, (data, _) in wrong.items():
        stage.peer(name, waits(data), connect_time=30)
    for name, (data, _) in before.items():
        stage.peer(name, waits(data, hello=b""), connect_time=30)
    cases = wrong | before
    await stage.apply(route(ONE))
    peers = {peer.name: peer for peer in stage.peers.values()}

    def judged(name: str) -> bool:
        facts, (_, codes) = stage.facts(name), cases[name]
        stays = 0 in codes and facts.state is SessionState.ESTABLISHED and facts.warnings
        calls = peers[name].calls
        return bool(stays or (calls and calls[0].notification))

    await soon(lambda: all(judged(name) for name in cases), "an answer to each", 15)
    for name, (_, codes) in cases.items():
        facts, told = stage.facts(name), peers[name].calls[0].notification
        if told is None:
            assert facts.state is SessionState.ESTABLISHED, name
            assert facts.warnings[0].startswith("an UPDATE of the peer's was at fault: "), name
        else:
            assert told[0] in codes, (name, told)
            assert facts.state is not SessionState.ESTABLISHED, name
            assert facts.trouble in (SessionTrouble.PROTOCOL_ERROR, SessionTrouble.WRONG_ASN,
                                     SessionTrouble.WRONG_ROUTER_ID), (name, facts)  # fmt: skip
            assert facts.notification_sent, name


# --- silence, and too much -----------------------------------------------------------------------


async def test_a_peer_that_never_says_anything(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_FOR_OPEN", 1.0)
    peer = stage.peer("silent", waits(b"", hello=b""))
    await stage.apply(route(ONE))
    await soon(lambda: stage.facts("silent").trouble is SessionTrouble.NO_ANSWER, "its state")
    assert "sent no OPEN" in stage.facts("silent").message
    await soon(lambda: peer.calls[0].notification == (4, 0), "what it is told")


async def test_a_peer_that_says_open_and_no_more(stage: Stage) -> None:
    stage.peer("half", waits(b"", hello=OPEN), hold_time=3)
    await stage.apply(route(ONE))
    await soon(lambda: stage.facts("half").trouble is SessionTrouble.HOLD_TIMER, "its state")


async def test_a_peer_that_never_reads(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables change all the time, and it wants them again and again; nothing piles up."""
    monkeypatch.setattr(connection, "SEND_HOLD", 3.0)

    async def deaf(call: Call) -> None:
        await call.say(HELLO)
        while True:
            await call.say(message(ROUTE_REFRESH, b"\0\1\0\1") * 50)
            await asyncio.sleep(0.02)

    stage.peer("deaf", deaf, hold_time=3)
    many = [route(f"10.{a}.{b}.0/24") for a in range(8) for b in range(250)]
    other = [route(str(r.prefix), attributes=Attributes(med=7)) for r in many]
    await stage.apply(*many)
    await soon(lambda: stage.facts("deaf").state is SessionState.ESTABLISHED, "its session")
    before, stalls = memory(), Stalls()
    for turn in range(1000):
        await stage.apply(*(many, other)[turn % 2])
        await asyncio.sleep(0.01)
        if stage.facts("deaf").trouble is SessionTrouble.PROTOCOL_ERROR:
            break
    facts = stage.facts("deaf")
    assert facts.message == "we ended it: send hold timer expired"
    assert memory() - before < 16 << 20
    assert stalls.stop() < 0.25


@pytest.mark.parametrize("table", [100_000])
async def test_a_peer_that_sends_a_full_table(stage: Stage, table: int) -> None:
    """Counted, not kept; others get their turn meanwhile. A million: tests/bench/full_table.py."""
    updates = list(full_table(table))

    async def generous(call: Call) -> None:
        await call.greet()
        for item in updates:
            await call.say(item)
        await call.end()

    stage.peer("generous", generous)
    before, stalls = memory(), Stalls()
    await stage.apply(route(ONE))
    await soon(lambda: stage.facts("generous").prefixes_received == table, "all of it", 20)
    assert memory() - before < 8 << 20
    assert stalls.stop() < 0.1
    assert stage.facts("generous").state is SessionState.ESTABLISHED


# --- flaps ---------------------------------------------------------------------------------------


async def test_a_peer_that_hangs_up_as_soon_as_it_is_up(stage: Stage) -> None:
    """It is tried again less and less often."""

    async def fickle(call: Call) -> None:
        await call.greet()
        call.close()

    peer = stage.peer("fickle", fickle)
    await stage.apply(route(ONE))
    await asyncio.sleep(4)
    facts = stage.facts("fickle")
    assert 2 <= len(peer.calls) <= 4
    assert facts.flaps == len(peer.calls)
    assert facts.trouble is SessionTrouble.RESET


async def test_a_peer_that_calls_ten_times_a_second(stage: Stage) -> None:
    peer = stage.peer("nervous", waits(b""), passive=True)
    await stage.apply(route(ONE))
    began = time.monotonic()
    while time.monotonic() < began + 3:
        call = await stage.call(peer)
        await call.say(HELLO)
        await asyncio.sleep(0.1)
        call.close()
    await soon(lambda: not stage.established("nervous"), "the last call's end to be noticed")
    facts = stage.facts("nervous")
    assert facts.trouble in (SessionTrouble.RESET, SessionTrouble.WAITING)
    assert 1 <= facts.flaps <= 4, "while it waits it refuses"
    files = len(os.listdir("/proc/self/fd"))
    await soon(lambda: len(os.listdir("/proc/self/fd")) <= files, "no file to be left open")
    assert not stage.established("nervous")

    async def again() -> bool:
        call = await stage.call(peer)
        await call.greet()
        await asyncio.sleep(0.3)
        return stage.established("nervous")

    for _ in range(60):
        if await again():
            break
    assert stage.established("nervous"), "once it is calm it is up"


async def test_a_peer_that_calls_again_while_it_is_up(stage: Stage) -> None:
    peer = stage.peer("double", waits(b""), passive=True)
    await stage.apply(route(ONE))
    first = await stage.call(peer)
    await first.greet()
    await soon(lambda: stage.established("double"), "its session")
    for _ in range(20):
        second = await stage.call(peer)
        await second.greet(HELLO)
        await second.end()
        assert second.notification == (6, 7)
    assert stage.established("double")
    assert stage.facts("double").flaps == 0


# --- what is wrong on the way --------------------------------------------------------------------


def signed(opened_: socket.socket, peer: str, key: bytes) -> None:
    sockets.sign(opened_, ipaddress.ip_address(peer), Password(key), False)


async def test_each_way_in_which_it_cannot_be_reached_has_a_name(stage: Stage) -> None:
    """All at once: what the kernel dropped for one peer says nothing of another."""
    keyed = stage.listener(1179)  # it wants a password
    signed(keyed, "10.76.0.1", b"theirs")
    dropped = stage.listener(1180)  # behind it nobody reads what comes
    near = waits(b"", hello=b"")
    stage.peer("closed", near, port=1)
    stage.peer("wrong-asn", waits(b""), peer_asn=65099)
    stage.peer("wrong-key", near, port=1179, signed=True)
    stage.peer("no-key", near, port=1179)
    stage.peer("key-too-many", near, port=1180, signed=True)
    stage.peer("wrong-ttl", near, port=1180, ttl_security=1)
    stage.plan("host-gone", address=ipaddress.ip_address("10.76.99.1"))
    stage.plan("no-route", address=ipaddress.ip_address("192.0.2.1"))
    stage.passwords = {"wrong-key": Password(b"ours"), "key-too-many": Password(b"ours")}
    wanted = {
        "closed": (SessionTrouble.REFUSED, "nobody listens there"),
        "wrong-asn": (SessionTrouble.WRONG_ASN, "the peer is in AS 64513, spec.peerASN is 65099"),
        "wrong-key": (SessionTrouble.WRONG_PASSWORD, "another password for this node"),
        "no-key": (SessionTrouble.NO_ANSWER, "the peer wants a password or another TTL"),
        "key-too-many": (SessionTrouble.WRONG_PASSWORD, ""),
        "wrong-ttl": (SessionTrouble.WRONG_TTL, "come from further than 1 hops"),
        "host-gone": (SessionTrouble.NO_ROUTE, "no route to host: nobody there answers"),
        "no-route": (SessionTrouble.NO_ROUTE, "this node has no route to it"),
    }
    try:
        await stage.apply(route(ONE))
        await soon(
            lambda: all(
                facts.trouble is wanted[name][0]
                for name, facts in stage.all_facts().items()
                if name in wanted
            ),
            "each its name",
            15,
        )
    finally:
        keyed.close()
        dropped.close()
    for name, (_, words) in wanted.items():
        assert words in stage.facts(name).message, name


async def test_a_peer_that_goes_without_a_word(stage: Stage) -> None:
    """A reset in the middle of a message."""

    async def abrupt(call: Call) -> None:
        await call.greet()
        await call.say(UPDATE_[:20])
        linger = struct.pack("ii", 1, 0)
        call.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        call.close()

    stage.peer("abrupt", abrupt, connect_time=30)
    await stage.apply(route(ONE))
    await soon(lambda: stage.facts("abrupt").trouble is SessionTrouble.RESET, "its state")
    assert stage.facts("abrupt").error == "the TCP connection ended: Connection reset by peer"
