"""The Lease: who of several controllers leads. Time is looptime's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.leadership import DURATION, RENEW_DEADLINE, Leadership
from small_api import SmallApi

pytestmark = pytest.mark.looptime

LEASES = "/apis/coordination.k8s.io/v1/namespaces/metallb-system/leases"
LEASE = f"{LEASES}/bellmetal-controller"
A_SECOND = 1.0


def now() -> float:
    return asyncio.get_running_loop().time()


def candidate(api: SmallApi, name: str = "a") -> Leadership:
    return Leadership(api, "metallb-system", name)


def taken(api: SmallApi, holder: str, renewed: str = "2020-01-01T00:00:00.000000Z") -> None:
    """Somebody else holds the Lease, renewed at a time by their wall clock."""
    spec = resources.LeaseSpec(holder, 8, renew_time=renewed, lease_transitions=3)
    body = resources.Lease(metadata=resources.Metadata(name="bellmetal-controller"), spec=spec)
    api.put(LEASE, body)


def holder(api: SmallApi) -> str:
    return api.objects[LEASE]["spec"].get("holderIdentity", "")


@contextlib.asynccontextmanager
async def holding(leadership: Leadership) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(leadership.hold())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_first_candidate_leads_at_once() -> None:
    api = SmallApi()
    await candidate(api).acquire()
    assert now() == 0.0
    body = api.objects[LEASE]
    assert body["metadata"]["name"] == "bellmetal-controller"
    assert body["spec"]["holderIdentity"] == "a"
    assert body["spec"]["leaseDurationSeconds"] == 4


async def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    api = SmallApi()
    taken(api, "")
    await candidate(api).acquire()
    assert now() == 0.0
    assert (holder(api), api.objects[LEASE]["spec"]["leaseTransitions"]) == ("a", 4)


async def test_a_lease_of_our_own_from_before_is_taken_at_once() -> None:
    api = SmallApi()
    taken(api, "a")
    await candidate(api).acquire()
    assert now() == 0.0
    assert api.objects[LEASE]["spec"]["leaseTransitions"] == 3


@pytest.mark.parametrize(
    "renewed",
    [
        pytest.param("1970-01-01T00:00:00.000000Z", id="a clock far behind"),
        pytest.param("2099-01-01T00:00:00.000000Z", id="a clock far ahead"),
    ],
)
async def test_a_silent_holder_is_replaced_after_a_while_by_our_own_clock(renewed: str) -> None:
    api = SmallApi()
    taken(api, "b", renewed)
    await candidate(api).acquire()
    assert DURATION < now() <= DURATION + A_SECOND
    assert holder(api) == "a"


async def test_a_holder_that_renews_is_not_replaced() -> None:
    api = SmallApi()
    other, waiting = candidate(api, "b"), candidate(api, "a")
    await other.acquire()
    async with holding(other):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await waiting.acquire()
    assert holder(api) == "b"


async def test_who_releases_is_followed_at_once() -> None:
    api = SmallApi()
    first, second = candidate(api, "a"), candidate(api, "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(3.2)
    await first.release()
    await waiting
    assert now() <= 3.2 + A_SECOND
    assert holder(api) == "b"


async def test_a_release_by_who_does_not_lead_changes_nothing() -> None:
    api = SmallApi()
    await candidate(api, "a").acquire()
    other = candidate(api, "b")
    await other.release()
    assert holder(api) == "a"


async def test_a_release_after_another_took_over_changes_nothing() -> None:
    api = SmallApi()
    first = candidate(api, "a")
    await first.acquire()
    taken(api, "b")
    await first.release()
    assert holder(api) == "b"


async def test_a_release_without_an_api_is_no_failure() -> None:
    api = SmallApi()
    first = candidate(api, "a")
    await first.acquire()
    api.down = True
    await first.release()
    api.down = False
    assert holder(api) == "a"


async def test_leadership_is_held_as_long_as_it_is_renewed() -> None:
    api = SmallApi()
    leader = candidate(api)
    await leader.acquire()
    async with holding(leader) as task:
        await asyncio.sleep(1000)
        assert not task.done()
    assert 800 <= api.counted()["PUT"] <= 1001
    assert api.counted()["GET"] <= 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("down", id="an API that refuses"),
        pytest.param("slow", id="an API that hangs"),
        pytest.param("conflict", id="an API that never takes the write"),
    ],
)
async def test_who_cannot_renew_stops_before_another_may_take_over(fault: str) -> None:
    api = SmallApi()
    leader = candidate(api)
    await leader.acquire()
    if fault == "down":
        api.down = True
    elif fault == "slow":
        api.slow = 1000.0
    else:
        api.refuse[LEASE] = ApiError(409, "Conflict", "no")
    async with holding(leader) as task:
        await task
    assert RENEW_DEADLINE <= now() < DURATION


async def test_a_short_absence_of_the_api_costs_no_leadership_and_its_end_is_told() -> None:
    api = SmallApi()
    leader = candidate(api)
    await leader.acquire()
    async with holding(leader) as task:
        await asyncio.sleep(1)
        assert not leader.recovered.is_set()
        api.down = True
        await asyncio.sleep(1.5)
        api.down = False
        await leader.recovered.wait()
        await asyncio.sleep(100)
        assert not task.done()


async def test_who_finds_another_in_the_lease_stops_at_once() -> None:
    api = SmallApi()
    leader = candidate(api, "a")
    await leader.acquire()
    async with holding(leader) as task:
        await asyncio.sleep(0.5)
        taken(api, "b")
        await task
    assert now() <= 2.0 + A_SECOND


async def test_of_two_that_try_at_once_one_leads() -> None:
    api = SmallApi()
    api.slow = 0.1
    tasks = {name: asyncio.create_task(candidate(api, name).acquire()) for name in "ab"}
    await asyncio.sleep(2)
    [leader] = [name for name, task in tasks.items() if task.done()]
    assert holder(api) == leader
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bellmetal.leadership")
    api = SmallApi()
    taken(api, "b")
    leader = candidate(api, "a")
    await leader.acquire()
    api.down = True
    api.slow = 0.0
    async with holding(leader) as task:
        await task
    refused = "the Lease bellmetal-controller: the API server did not answer: Connection refused"
    assert caplog.messages[:3] == ["another controller leads: b", "leading", refused]
    assert caplog.messages[-1] == "leadership is lost: deciding nothing until it is won again"
    assert set(caplog.messages[2:-1]) == {refused}
