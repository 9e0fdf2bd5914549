"""Looks that people ask of a speaker: which it does, in what order, and what it answers."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.intents import Announcement, Route
from bellmetal.looking import Asked, Looker
from bellmetal.sights import MOST_LOOKS, Look, LookKind, Outcome, Sight, seen
from node_tree import Tree

IP: IPAddress = ipaddress.ip_address("192.0.2.10")
IP6: IPAddress = ipaddress.ip_address("2001:db8::10")
ROUTED: IPAddress = ipaddress.ip_address("198.51.100.200")
ELSE: IPAddress = ipaddress.ip_address("203.0.113.1")


def look(
    name: str, kind: LookKind = LookKind.RESOLVE, address: IPAddress = IP, port: int = 0
) -> Look:
    return Look(name, kind, address, port)


class Stage:
    """A looker at work; the LAN's part takes a second, and is in ``seen``."""

    def __init__(self, root: Path) -> None:
        self.seen: list[str] = []
        self.busy = self.most_busy = self.changes = 0
        self.lasts = 1.0
        self.fails: Exception | None = None
        times = itertools.count()
        self.it = Looker(self._lan, Tree(root).files, lambda: f"t{next(times)}", self._changed)
        announcements = {a: Announcement(a, 1, "n1", "all") for a in (IP, IP6)}
        routes = [Route(ipaddress.ip_network("198.51.100.128/25"), "all")]
        self.it.permit(
            announcements, (*routes, Route(ipaddress.ip_network("2001:db8::/64"), "all"))
        )
        self.it.ask([])

    def _changed(self) -> None:
        self.changes += 1

    async def _lan(self, asked: Look) -> Sight | None:
        if asked.kind is LookKind.LISTEN:
            return None
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            await asyncio.sleep(self.lasts)
        finally:
            self.busy -= 1
        if self.fails:
            raise self.fails
        self.seen.append(asked.id)
        return seen(asked, Outcome.ANSWERED, "well")

    def answers(self) -> dict[str, str]:
        return {item.id: item.outcome for item in self.it.answers}

    async def ask(self, *asked: Asked) -> dict[str, str]:
        self.it.ask(asked)
        await asyncio.sleep(len(asked) * 1.1 + 0.5)
        return self.answers()


@asynccontextmanager
async def at_work(root: Path) -> AsyncIterator[Stage]:
    stage = Stage(root)
    task = asyncio.create_task(stage.it.run())
    yield stage
    task.cancel()


@pytest.mark.looptime
async def test_each_is_answered_once_and_in_order(tmp_path: Path) -> None:
    async with at_work(tmp_path) as stage:
        asked = [look(name) for name in "cab"]
        assert list(await stage.ask(*asked)) == ["c", "a", "b"]
        await stage.ask(*asked, look("d"))
        await stage.ask()
        await stage.ask(asked[0])
        assert stage.seen == ["c", "a", "b", "d"]
        assert stage.most_busy == 1
        assert [item.at for item in stage.it.answers] == ["t0", "t1", "t2", "t3"]
        assert stage.changes == 4


@pytest.mark.looptime
async def test_a_question_that_is_taken_back_is_not_looked_at(tmp_path: Path) -> None:
    async with at_work(tmp_path) as stage:
        stage.it.ask([look("a"), look("b")])
        await asyncio.sleep(0.5)
        stage.it.ask([look("a")])
        await asyncio.sleep(5)
        assert stage.seen == ["a"]


@pytest.mark.looptime
async def test_what_stood_there_before_the_start_is_not_done(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.it = Looker(stage._lan, stage.it._files, lambda: "now", stage._changed)
    stage.it.ask([look("old"), Sight("odd", "smell", False, "denied", "no such kind")])
    task = asyncio.create_task(stage.it.run())
    await asyncio.sleep(3)
    assert stage.seen == []
    assert {item.message for item in stage.it.answers} == {
        "it was asked before this speaker started: ask again"
    }
    assert [(item.id, item.ok) for item in stage.it.answers] == [("old", False), ("odd", False)]
    task.cancel()


DENIED = "203.0.113.1 is not an address that the slices name: only those are looked at"


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (look("a", address=IP6), "answered"),
        (look("a", address=ROUTED), "answered"),
        (look("a", address=ipaddress.ip_address("198.51.100.1")), "denied"),
        (look("a", address=ipaddress.ip_address("2001:db8::99")), "answered"),
        (look("a", address=ipaddress.ip_address("2001:db8:1::1")), "denied"),
        (look("a", address=ELSE), "denied"),
        (look("a", LookKind.LISTEN, ELSE), "denied"),
        (look("a", LookKind.CONNECT, ELSE, 22), "denied"),
    ],
)
@pytest.mark.looptime
async def test_only_what_the_slices_name_is_looked_at(
    tmp_path: Path, asked: Look, outcome: str
) -> None:
    async with at_work(tmp_path) as stage:
        assert await stage.ask(asked) == {"a": outcome}
        assert bool(stage.seen) is (outcome == "answered")
        if asked.address == ELSE:
            assert stage.it.answers[0].message == DENIED


@pytest.mark.looptime
async def test_what_the_slices_name_no_more_is_denied_from_then_on(tmp_path: Path) -> None:
    async with at_work(tmp_path) as stage:
        assert await stage.ask(look("a", address=ROUTED)) == {"a": "answered"}
        stage.it.permit({}, ())
        assert (await stage.ask(look("b", address=ROUTED)))["b"] == "denied"


@pytest.mark.looptime
async def test_one_that_fails_or_hangs_does_not_stop_the_others(tmp_path: Path) -> None:
    async with at_work(tmp_path) as stage:
        stage.fails = OSError(19, "No such device")
        assert await stage.ask(look("a")) == {"a": "failed"}
        assert stage.it.answers[0].message == "it failed: [Errno 19] No such device"
        stage.fails, stage.lasts = None, 1e6
        stage.it.ask([look("b"), look("c", address=ELSE)])
        await asyncio.sleep(8)
        assert stage.answers() == {"a": "failed", "b": "failed", "c": "denied"}
        assert stage.it.answers[1].message == "it failed: TimeoutError"


@pytest.mark.looptime
async def test_what_no_announcer_can_do_is_said(tmp_path: Path) -> None:
    async with at_work(tmp_path) as stage:
        assert await stage.ask(look("a", LookKind.LISTEN)) == {"a": "failed"}
        assert stage.it.answers[0].message == "no announcer of this speaker can listen"


@pytest.mark.looptime
async def test_a_flood_is_bounded(tmp_path: Path) -> None:
    async with at_work(tmp_path) as stage:
        for start in range(0, 3000, 30):
            stage.it.ask([look(f"{number}") for number in range(start, start + 30)])
            await asyncio.sleep(0.1)
        assert stage.most_busy == 1
        assert len(stage.seen) <= 11, "one a second"
        assert len(stage.it.answers) <= MOST_LOOKS


# --- the acts that need no announcer --------------------------------------------------------------


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    async def bye(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(bye, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_connecting_says_what_became_of_it(tmp_path: Path) -> None:
    stage, host = Stage(tmp_path), ipaddress.ip_address("127.0.0.1")
    stage.it.permit({host: Announcement(host, 1, "n1", "all")}, ())
    async with listening() as port:
        well = await stage.it._see(Look("a", LookKind.CONNECT, host, port))
    assert (well.outcome, well.ok) == ("connected", True)
    assert well.message.startswith(f"127.0.0.1:{port} takes connections, ")
    refused = await stage.it._see(Look("b", LookKind.CONNECT, host, port))
    assert (refused.outcome, refused.ok) == ("refused", False)
    assert refused.message.startswith(f"127.0.0.1:{port} refuses connections (ECONNREFUSED, ")


async def test_a_route_may_be_asked_for_any_address(tmp_path: Path) -> None:
    found = await Stage(tmp_path).it._see(
        Look("a", LookKind.ROUTE, ipaddress.ip_address("127.0.0.9"))
    )
    assert (found.outcome, found.interface) == ("local", "lo")
    assert found.message == "127.0.0.9 is an address of this node itself"
