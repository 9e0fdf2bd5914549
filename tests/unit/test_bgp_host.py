"""What the node's network looks like: asked once for all who want to know at the same time."""

from __future__ import annotations

import asyncio

import pytest

from bellmetal_bgp import host
from bellmetal_bgp.host import Port

KNOWN = (Port("eth0", 2, b""),)


class Kernel:
    """Stands for netlink: answers a moment later, as often as it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.fails = False
        monkeypatch.setattr(host, "_dump", self.dump)

    async def dump(self) -> tuple[Port, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("netlink")
        return KNOWN


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


async def test_all_who_ask_at_once_share_one_answer(kernel: Kernel) -> None:
    assert await asyncio.gather(*(host.ports() for _ in range(50))) == [KNOWN] * 50
    assert kernel.asked == 1


async def test_who_asks_later_gets_an_answer_of_his_own(kernel: Kernel) -> None:
    await host.ports()
    await host.ports()
    assert kernel.asked == 2


async def test_an_answer_that_has_begun_before_is_not_shared(kernel: Kernel) -> None:
    first = asyncio.create_task(host.ports())
    while not kernel.asked:
        await asyncio.sleep(0)
    others = [asyncio.create_task(host.ports()) for _ in range(3)]
    await asyncio.gather(first, *others)
    assert kernel.asked == 2


async def test_who_is_stopped_stops_nobody_else(kernel: Kernel) -> None:
    first, second = (asyncio.create_task(host.ports()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == KNOWN


async def test_a_failure_reaches_all_and_the_next_one_asks_again(kernel: Kernel) -> None:
    kernel.fails = True
    found = await asyncio.gather(host.ports(), host.ports(), return_exceptions=True)
    assert [type(one) for one in found] == [OSError, OSError]
    kernel.fails = False
    assert await host.ports() == KNOWN
