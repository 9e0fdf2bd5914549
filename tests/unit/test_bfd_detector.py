"""The speaker's end, with a process that a test plays."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from bellmetal.config import BFDProfile
from bellmetal.facts import BFDFacts, BFDState
from bellmetal_bgp.bfd import sockets, wishes
from bellmetal_bgp.bfd.detector import Detector, Wish
from bellmetal_bgp.bfd.packets import State
from bellmetal_bgp.bfd.wishes import Close, Forget, Order, Told, Want

PROFILE = BFDProfile("fast", receive_interval_ms=60, transmit_interval_ms=50)
ONE = Wish(ipaddress.ip_address("10.0.0.2"), None, "eth0", False, "", PROFILE)
TWO = replace(ONE, remote=ipaddress.ip_address("10.0.0.3"))


class Played:
    """A process as far as the detector looks at it."""

    def __init__(self, theirs: sockets.Notes) -> None:
        self.notes = sockets.inherited(theirs.fileno())
        self.status: int | None = None
        self.killed = False

    def orders(self) -> list[Order]:
        found = []
        while data := self.notes.receive():
            found.append(wishes.decode(data))
        return found

    def tell(self, number: int, state: State = State.UP, **fields: object) -> None:
        told = Told(number, state, state, time.monotonic(), 0, 0, 50_000, 150_000, 3, "", {})
        self.notes.send(wishes.encode_told(told._replace(**fields)))

    def end(self, status: int = 0) -> None:
        self.status = status
        self.notes.close()

    def poll(self) -> int | None:
        return self.status

    def kill(self) -> None:
        self.killed, self.status = True, -9

    def wait(self) -> int | None:
        return self.status


class Stage:
    def __init__(self) -> None:
        self.processes: list[Played] = []
        self.failing: OSError | None = None
        self.changed: list[str] = []
        self.clock = lambda: time.monotonic() + 1000
        self.detector = Detector(self.changed.append, self.clock, self._launch)  # type: ignore[arg-type]

    def _launch(self, theirs: sockets.Notes) -> Played:
        if self.failing is not None:
            raise self.failing
        self.processes.append(Played(theirs))
        return self.processes[-1]

    @property
    def process(self) -> Played:
        return self.processes[-1]

    def facts(self, key: str) -> BFDFacts:
        found = self.detector.facts(key)
        assert found is not None
        return found

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    it = Stage()
    yield it
    for process in it.processes:
        process.notes.close()
        process.status = process.status or 0
    await it.detector.close(gracefully=False)


async def test_without_a_wish_there_is_no_process(stage: Stage) -> None:
    stage.detector.want({})
    assert not stage.processes
    assert stage.detector.facts("a") is None


async def test_the_whole_truth_becomes_orders(stage: Stage) -> None:
    stage.detector.want({"a": ONE, "b": TWO})
    first, second = stage.process.orders()
    assert isinstance(first, Want)
    assert isinstance(second, Want)
    assert (first.reach.remote, first.reach.interface) == ("10.0.0.2", "eth0")
    assert (first.timers.transmit_us, first.timers.receive_us) == (50_000, 60_000)
    stage.detector.want({"a": ONE, "b": TWO})
    assert stage.process.orders() == []
    slower = replace(PROFILE, transmit_interval_ms=500)
    stage.detector.want({"a": replace(ONE, profile=slower)})
    gone, changed = stage.process.orders()
    assert gone == Forget(second.number)
    assert changed == first._replace(timers=first.timers._replace(transmit_us=500_000))
    assert len(stage.processes) == 1


async def test_wishes_that_are_one_session_on_the_wire_share_it(stage: Stage) -> None:
    stage.detector.want({"b": replace(ONE, profile=BFDProfile("slow")), "a": ONE})
    (want,) = stage.process.orders()
    assert isinstance(want, Want)
    assert want.timers.transmit_us == 50_000  # the first by name
    stage.process.tell(want.number)
    await stage.until(lambda: stage.changed)
    assert stage.changed == ["a", "b"]
    assert stage.facts("a") is stage.facts("b")


async def test_what_the_process_says_is_told_with_our_clock(stage: Stage) -> None:
    stage.detector.want({"a": ONE})
    assert stage.facts("a").state is BFDState.DOWN
    since = time.monotonic()
    stage.process.tell(1, since=since, diagnostic=0, counters={"session_up_events": 1})
    await stage.until(lambda: stage.changed)
    facts = stage.facts("a")
    assert (facts.state, facts.remote_state) == (BFDState.UP, BFDState.UP)
    assert facts.since == pytest.approx(since + 1000, abs=0.1)
    assert (facts.transmit_us, facts.detect_us, facts.multiplier) == (50_000, 150_000, 3)
    assert (facts.diagnostic, facts.counters) == ("No Diagnostic", {"session_up_events": 1})


async def test_mere_counters_are_no_news_and_a_loss_in_between_is(stage: Stage) -> None:
    stage.detector.want({"a": ONE})
    stage.process.tell(1)
    await stage.until(lambda: stage.changed)
    stage.changed.clear()
    stage.process.tell(1, counters={"control_packet_input": 9})
    await stage.until(lambda: stage.facts("a").counters)
    assert stage.changed == []
    stage.process.tell(1, counters={"control_packet_input": 9, "session_down_events": 1})
    await stage.until(lambda: stage.changed)


async def test_nonsense_is_said_and_passed_over(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.detector.want({"a": ONE})
    stage.process.notes.send(b"1 9 nonsense")
    stage.process.tell(77)
    stage.process.tell(1)
    await stage.until(lambda: stage.changed)
    assert stage.changed == ["a"]
    assert "state: '9' is no number between 0 and 3" in caplog.text


async def test_a_process_that_dies_is_started_anew_and_told_all(stage: Stage) -> None:
    stage.detector.want({"a": ONE, "b": TWO})
    before = stage.process.orders()
    stage.process.tell(1)
    await stage.until(lambda: stage.changed)
    stage.process.end(-9)
    await stage.until(lambda: stage.facts("a").state is BFDState.DOWN)
    said = "the BFD process has ended (killed by signal 9); it is started anew"
    assert stage.facts("a").message == stage.facts("b").message == said
    await stage.until(lambda: len(stage.processes) == 2)
    assert stage.process.orders() == before


async def test_a_process_that_keeps_dying_is_started_less_and_less_often(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.detector.want({"a": ONE})
    for number in range(3):
        await stage.until(lambda wanted=number: len(stage.processes) == wanted + 1)
        stage.process.end(1)
    await stage.until(lambda: len(caplog.messages) == 3)
    said = [re.search(r"it is started anew in ([\d.]+) s", text) for text in caplog.messages]
    assert [float(found[1]) for found in said if found] == [0.1, 0.2, 0.4]
    assert "exit status 1" in stage.facts("a").message


async def test_a_process_that_cannot_be_started_is_told(stage: Stage) -> None:
    stage.failing = OSError(11, "Resource temporarily unavailable")
    stage.detector.want({"a": ONE})
    said = "the BFD process cannot be started: Resource temporarily unavailable"
    assert stage.facts("a").message == f"{said}; it is started anew"
    stage.failing = None
    await stage.until(lambda: stage.processes)


async def test_the_last_wish_ends_it_and_a_new_one_starts_another(stage: Stage) -> None:
    stage.detector.want({"a": ONE})
    stage.detector.want({})
    assert stage.process.orders()[1:] == [Forget(1), Close()]
    stage.detector.want({"b": TWO})
    assert len(stage.processes) == 1  # the ports are still the old one's
    stage.process.end()
    await stage.until(lambda: len(stage.processes) == 2)
    (want,) = stage.process.orders()
    assert isinstance(want, Want)
    assert want.reach.remote == "10.0.0.3"
    assert stage.facts("b").message == ""


async def test_orders_that_find_no_room_wait(stage: Stage) -> None:
    many = {
        str(number): replace(ONE, remote=ipaddress.ip_address(0x0A000000 + number))
        for number in range(1, 901)
    }
    stage.detector.want(many)
    found: list[Order] = []

    def all_there() -> bool:
        found.extend(stage.process.orders())
        return len(found) >= 900

    await stage.until(all_there)
    assert [order.number for order in found if isinstance(order, Want)] == [*range(1, 901)]


async def test_a_graceful_end_says_so_and_waits(stage: Stage) -> None:
    stage.detector.want({"a": ONE})
    closing = asyncio.ensure_future(stage.detector.close(gracefully=True))
    said: list[Order] = []

    def farewell() -> bool:
        said.extend(stage.process.orders())
        return Close() in said

    await stage.until(farewell)
    assert not closing.done()
    stage.process.end()
    await closing
    assert stage.detector.facts("a") is None
    assert not stage.process.killed


async def test_an_end_without_grace_says_nothing(stage: Stage) -> None:
    stage.detector.want({"a": ONE})
    stage.process.status = 0
    await stage.detector.close(gracefully=False)
    orders = []
    while data := stage.process.notes.receive():
        orders.append(wishes.decode(data))
    assert Close() not in orders
    assert data == b""
