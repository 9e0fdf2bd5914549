"""The contract of `bellmetal.announcer.Announcer`, that any announcer can be put through.

It is done here with the layer-2 announcer, on sockets in memory and, as root, on real ones in a
network namespace of its own; and with the example of announcers/README.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import os
import random
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Announcer, Context, Desired, Liveness
from bellmetal.intents import Announcement, NodeSet
from bellmetal.keyring import Keys
from bellmetal_layer2.announcer import Layer2Announcer
from layer2_fakes import FakeMemberships, FakeSocket, FakeWatcher

README = Path(__file__).parents[2] / "announcers" / "README.md"
ONE: IPAddress = ipaddress.ip_address("192.0.2.10")
TWO: IPAddress = ipaddress.ip_address("192.0.2.11")
PATIENCE = 3.0

Make = Callable[[Context], Announcer]
Rule = Callable[["Subject"], Awaitable[None]]


class Nobody:
    """Members of a cluster of one (`announcer.Members`)."""

    def __init__(self) -> None:
        self.tell: list[Callable[[str, Liveness], None]] = []
        self.receive: list[Callable[[bytes], None]] = []

    def liveness(self, node: str) -> Liveness:
        return Liveness.UNKNOWN

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        self.tell.append(on_change)
        self.receive.append(on_message)

    def send(self, node: str, data: bytes) -> None:
        """There is nobody."""


class Subject:
    """An announcer under test on node n1, and all that happens around it."""

    def __init__(self, make: Make, clock: Callable[[], float]) -> None:
        self.members, self.changes = Nobody(), 0
        self.it = make(
            Context(
                node="n1",
                boot=1,
                keys=Keys,
                members=self.members,
                clock=clock,
                random=random.Random(1),
                count=lambda name, address, by=1: None,
                changed=self._changed,
            )
        )

    def _changed(self) -> None:
        self.changes += 1

    async def apply(self, *items: Announcement) -> None:
        await self.it.apply(Desired(items, {"all": NodeSet("all", {"n1": ""})}))

    async def owns(self, *addresses: IPAddress) -> None:
        """Waits until exactly these are owned."""
        async with asyncio.timeout(PATIENCE):
            while self.it.status().owned.keys() != set(addresses):
                await asyncio.sleep(0.01)


def announcement(address: IPAddress, **fields: object) -> Announcement:
    return Announcement(address, 1, "n1", "all", **fields)  # type: ignore[arg-type]


# --- the contract --------------------------------------------------------------------------------


async def it_has_a_name_and_a_protocol(subject: Subject) -> None:
    assert isinstance(subject.it.name, str)
    assert isinstance(subject.it.protocol, str)
    assert subject.it.name
    assert subject.it.protocol


async def before_the_first_apply_it_owns_nothing(subject: Subject) -> None:
    assert subject.it.status().owned == {}


async def it_announces_what_it_is_given(subject: Subject) -> None:
    await subject.apply(announcement(ONE), announcement(TWO))
    await subject.owns(ONE, TWO)
    assert subject.changes > 0, "the speaker was told that there is news"


async def applying_the_same_again_changes_nothing(subject: Subject) -> None:
    await subject.apply(announcement(ONE), announcement(TWO))
    await subject.owns(ONE, TWO)
    before = subject.it.status()
    await subject.apply(announcement(TWO), announcement(ONE))
    assert subject.it.status() == before


async def what_is_not_given_any_more_is_withdrawn(subject: Subject) -> None:
    await subject.apply(announcement(ONE), announcement(TWO))
    await subject.owns(ONE, TWO)
    await subject.apply(announcement(TWO))
    await subject.owns(TWO)
    await subject.apply()
    await subject.owns()


async def a_bad_item_does_not_stop_the_others(subject: Subject) -> None:
    bad = [
        announcement(ipaddress.ip_address("192.0.2.66"), interfaces=frozenset({"no-such-link"})),
        announcement(ipaddress.ip_address("ff02::1")),
    ]
    await subject.apply(bad[0], announcement(ONE), bad[1], announcement(TWO))
    async with asyncio.timeout(PATIENCE):
        while not {ONE, TWO} <= subject.it.status().owned.keys():
            await asyncio.sleep(0.01)


async def another_nodes_address_is_not_owned(subject: Subject) -> None:
    sets = {"all": NodeSet("all", {"n1": "", "n2": ""})}
    await subject.it.apply(Desired((Announcement(TWO, 1, "n2", "all"),), sets))
    await asyncio.sleep(0.5)
    assert subject.it.status().owned == {}


async def after_its_end_it_is_quiet(subject: Subject) -> None:
    await subject.apply(announcement(ONE))
    await subject.owns(ONE)
    await subject.it.close(gracefully=False)
    changes = subject.changes
    for tell in subject.members.tell:
        tell("n2", Liveness.ALIVE)
    for receive in subject.members.receive:
        with contextlib.suppress(ValueError):
            receive(b"no message of this announcer")
    await asyncio.sleep(0.5)
    assert subject.changes <= changes + 1


async def it_may_end_before_anything_was_applied(subject: Subject) -> None:
    await subject.it.close(gracefully=True)


RULES = [
    it_has_a_name_and_a_protocol,
    before_the_first_apply_it_owns_nothing,
    it_announces_what_it_is_given,
    applying_the_same_again_changes_nothing,
    what_is_not_given_any_more_is_withdrawn,
    a_bad_item_does_not_stop_the_others,
    another_nodes_address_is_not_owned,
    after_its_end_it_is_quiet,
    it_may_end_before_anything_was_applied,
]

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


async def put_through(rule: Rule, make: Make, clock: Callable[[], float]) -> None:
    subject = Subject(make, clock)
    await subject.it.start()
    try:
        await rule(subject)
    finally:
        await subject.it.close(gracefully=True)


# --- who is put through it -----------------------------------------------------------------------


@pytest.mark.looptime
@every_rule
async def test_layer2_on_sockets_in_memory(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellmetal_layer2.links.PacketSocket", FakeSocket)
    monkeypatch.setattr("bellmetal_layer2.links.Memberships", FakeMemberships)
    monkeypatch.setattr("bellmetal_layer2.announcer.Watcher", FakeWatcher)
    await put_through(rule, Layer2Announcer, asyncio.get_running_loop().time)


def example() -> Make:
    """The announcer that announcers/README.md shows."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(code.splitlines()) <= 45, "it says forty lines"
    names: dict[str, Make] = {"__name__": "example"}  # type: ignore[dict-item]
    exec(compile(code, str(README), "exec"), names)
    return names["FileAnnouncer"]


@pytest.mark.looptime
@every_rule
async def test_the_readmes_example(
    rule: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADDRESSES_FILE", str(tmp_path / "run" / "addresses"))
    await put_through(rule, example(), asyncio.get_running_loop().time)


@pytest.fixture(scope="module")
def namespace() -> Iterator[None]:
    """This thread in a network namespace of its own, with one Ethernet link."""
    if os.geteuid() != 0:
        pytest.skip("not root: no network namespace")
    name, libc = f"bellmetal-contract-{os.getpid()}", ctypes.CDLL(None, use_errno=True)
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    try:
        batch = "link add lan0 type veth peer name lan1\nlink set lan0 up\nlink set lan1 up\n"
        command = ["ip", "-n", name, "-batch", "-"]
        subprocess.run(command, input=batch, text=True, check=True, capture_output=True)
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{name}") as inside:
            assert libc.setns(inside.fileno(), 0) == 0
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), 0) == 0
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.usefixtures("namespace")
@every_rule
async def test_layer2_on_real_sockets(rule: Rule) -> None:
    await put_through(rule, Layer2Announcer, time.monotonic)
