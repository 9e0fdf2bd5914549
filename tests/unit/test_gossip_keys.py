"""Gossip while the secret changes: three members on the loopback, with kinship as it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable

import pytest

from bellmetal.announcer import Liveness
from bellmetal.keyring import BELIEVE, SIGN, Ring, Secrets
from bellmetal.members import Gossip

A, B, B_AFTER_A = Secrets(b"a"), Secrets(b"b"), Secrets(b"b", b"a")
ADDRESSES = {"n1": "127.0.0.11", "n2": "127.0.0.12", "n3": "127.0.0.13"}


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asked:
        asked.bind(("127.0.0.11", 0))
        return int(asked.getsockname()[1])


class Party:
    """Members that look at their rings when they are told to."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack, self._port = stack, free_port()
        self.members: dict[str, Gossip] = {}
        self.rings: dict[str, Ring] = {}
        self.lost: list[str] = []  # who was said not to live by whom

    async def join(self, name: str, secrets: Secrets) -> None:
        ring = self.rings[name] = Ring(secrets, 0.0)
        gossip = Gossip(name, ADDRESSES[name], self._port, ring)
        self.members[name] = await self._stack.enter_async_context(gossip)
        gossip.seed(ADDRESSES)

        def changed(node: str, liveness: Liveness) -> None:
            if liveness is not Liveness.ALIVE:
                self.lost.append(f"{name}: {node} is {liveness.value}")

        gossip.channel(1).subscribe(changed, lambda data: None)

    async def look(self, names: Iterable[str], now: float) -> None:
        for name in names:
            self.rings[name].tick(now)
            await self.members[name].rotate(now)

    async def until_joined(self, now: float = 1.0) -> None:
        def joined() -> bool:
            return all(
                one.liveness(name) is Liveness.ALIVE
                for one in self.members.values()
                for name in self.members
            )

        async with asyncio.timeout(10):
            while not joined():
                await self.look(self.members, now)
                await asyncio.sleep(0.02)

    async def until_told(self, key: str) -> None:
        async with asyncio.timeout(10):
            for one in self.members.values():
                while set(one.told_keys().values()) != {key}:
                    await asyncio.sleep(0.02)

    def refused(self) -> int:
        """Packets that could not be decrypted."""
        return sum(one._cluster.stats().decrypt_failures for one in self.members.values())

    def in_use(self) -> set[str]:
        """The keys that anybody encrypts with."""
        return {one._cluster.keyring.key_ids()[0] for one in self.members.values()}

    def keys(self) -> dict[str, int]:
        """How many keys each has installed."""
        return {name: len(one._cluster.keyring.key_ids()) for name, one in self.members.items()}


@pytest.fixture
async def party() -> AsyncIterator[Party]:
    async with contextlib.AsyncExitStack() as stack:
        yield Party(stack)


@pytest.mark.slow
async def test_nobody_is_lost_or_refused_while_the_key_changes(party: Party) -> None:
    for name in ADDRESSES:
        await party.join(name, A)
    await party.until_joined()
    before = party.in_use()
    for number, name in enumerate(ADDRESSES):
        now = 100.0 + 40 * number
        party.rings[name].learn(B, now)
        await party.look(ADDRESSES, now)
        await asyncio.sleep(0.3)
    await party.until_told(party.rings["n1"].newest_id)
    assert party.keys() == dict.fromkeys(ADDRESSES, 2)
    await party.look(ADDRESSES, 200.0)
    assert len(before) == len(party.in_use()) == 1
    assert before != party.in_use()
    await asyncio.sleep(0.3)
    await party.look(ADDRESSES, 180.0 + BELIEVE)
    assert party.keys() == dict.fromkeys(ADDRESSES, 1)
    await asyncio.sleep(0.3)
    assert (party.lost, party.refused()) == ([], 0)
    await party.until_joined(180.0 + BELIEVE)


@pytest.mark.slow
async def test_one_that_starts_with_both_secrets_joins_those_with_the_old_one(
    party: Party,
) -> None:
    for name in ("n1", "n2"):
        await party.join(name, A)
    await party.until_joined()
    await party.join("n3", B_AFTER_A)
    await party.until_joined()
    assert party.lost == []


@pytest.mark.slow
async def test_one_that_starts_with_the_new_secret_alone_joins_when_the_others_use_it(
    party: Party,
) -> None:
    for name in ("n1", "n2"):
        await party.join(name, A)
    await party.until_joined()
    for name in ("n1", "n2"):
        party.rings[name].learn(B, 100.0)
        await party.look([name], 100.0)
    await party.join("n3", B)
    await asyncio.sleep(0.2)
    await party.until_joined(102.0)


@pytest.mark.slow
async def test_who_never_gets_it_is_left_behind_after_ten_minutes(party: Party) -> None:
    for name in ADDRESSES:
        await party.join(name, A)
    await party.until_joined()
    for name in ("n1", "n2"):
        party.rings[name].learn(B, 100.0)
        await party.look([name], 100.0)
    new = party.rings["n1"].newest_id
    async with asyncio.timeout(10):
        while party.members["n1"].told_keys().get("n2") != new:
            await asyncio.sleep(0.02)
    assert party.rings["n1"].late(party.members["n1"].told_keys(), 260.0) == ["n3"]
    await party.look(["n1", "n2"], 100.0 + SIGN - 1)
    assert party.refused() == 0
    await party.look(["n1", "n2"], 100.0 + SIGN)
    async with asyncio.timeout(10):
        while party.refused() == 0:
            await asyncio.sleep(0.02)


def test_no_secret_is_no_encryption() -> None:
    party = Gossip("n1", "127.0.0.11", 0, Ring(Secrets(), 0.0))
    assert party._cluster.config.key_ids == []
