"""Events on objects: how they look, and that they are written behind everything else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from bellmetal import events, metrics
from bellmetal.api import ApiError
from bellmetal.events import Events
from bellmetal.resources import ObjectReference
from small_api import SmallApi

WEB = ObjectReference("v1", "Service", "shop", "web", "uid-shop-web")
EVENTS = "/api/v1/namespaces/shop/events"


@contextlib.asynccontextmanager
async def recording(api: SmallApi) -> AsyncIterator[Events]:
    """Events that are written while the context is open; waits for all of them."""
    recorder = Events(api, "metallb-controller", "pod-1")
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
        await recorder.drain()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def dropped() -> float:
    """How many were not written, as the metric has it."""
    (family,) = metrics.EVENTS_DROPPED.collect()
    return float(family.samples[0].value)


async def test_an_event_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "timestamp", lambda: "2026-06-01T12:00:00Z")
    api = SmallApi()
    async with recording(api) as recorder:
        recorder.record(WEB, "IPAllocated", "Assigned IP", once="x")
    [request] = api.writes()
    assert request.path == EVENTS
    assert request.body == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.8ac5f44259e31ff3", "namespace": "shop"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": "shop",
            "name": "web",
            "uid": "uid-shop-web",
        },
        "reason": "IPAllocated",
        "message": "Assigned IP",
        "type": "Normal",
        "source": {"component": "metallb-controller", "host": "pod-1"},
        "reportingComponent": "metallb-controller",
        "reportingInstance": "pod-1",
        "firstTimestamp": "2026-06-01T12:00:00Z",
        "lastTimestamp": "2026-06-01T12:00:00Z",
        "count": 1,
    }


async def test_a_warning_is_one_and_objects_without_namespace_have_theirs_in_default() -> None:
    api = SmallApi()
    async with recording(api) as recorder:
        recorder.record(ObjectReference("v1", "Node", "", "n1"), "Bad", "bad", warning=True)
    [body] = api.objects.values()
    assert (body["type"], body["metadata"]["namespace"]) == ("Warning", "default")


async def test_what_is_told_once_stays_one_event_over_a_restart() -> None:
    api = SmallApi()
    for _ in range(2):
        async with recording(api) as recorder:
            recorder.record(WEB, "Bad", "bad", once="problem")
            recorder.record(WEB, "Bad", "worse", once="problem")
    assert sorted(body["message"] for body in api.objects.values()) == ["bad", "worse"]


async def test_the_same_once_about_another_object_is_another_event() -> None:
    api = SmallApi()
    async with recording(api) as recorder:
        recorder.record(WEB, "Bad", "bad", once="problem")
        recorder.record(
            ObjectReference("v1", "Service", "shop", "web", "reborn"), "Bad", "bad", once="problem"
        )
    assert len(api.objects) == 2


async def test_without_once_every_telling_is_an_event() -> None:
    api = SmallApi()
    async with recording(api) as recorder:
        recorder.record(WEB, "IPAllocated", "Assigned IP")
        recorder.record(WEB, "IPAllocated", "Assigned IP")
    assert len(api.objects) == 2


async def test_an_event_that_was_told_before_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    api = SmallApi()
    api.refuse[EVENTS] = ApiError(409, "AlreadyExists", "told")
    async with recording(api) as recorder:
        recorder.record(WEB, "Bad", "bad", once="problem")
    assert (len(api.requests), caplog.messages) == (1, [])


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("error", "tries", "seconds"),
    [
        pytest.param(ApiError(403, "Forbidden", "no"), 1, 0.0, id="forbidden: not tried again"),
        pytest.param(ApiError(404, "NotFound", "no"), 1, 0.0, id="no such namespace: nor this"),
        pytest.param(ApiError(422, "Invalid", "no"), 1, 0.0, id="invalid: nor this"),
        pytest.param(ApiError(500, "InternalError", "no"), 4, 7.5, id="a failure: four tries"),
        pytest.param(ApiError(0, "", "not reached"), 4, 7.5, id="no answer: four tries"),
    ],
)
async def test_what_cannot_be_written_is_said(
    error: ApiError, tries: int, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    api = SmallApi()
    api.refuse[EVENTS] = error
    before = dropped()
    async with recording(api) as recorder:
        recorder.record(WEB, "Bad", "bad")
    assert len(api.requests) == tries
    assert asyncio.get_running_loop().time() == seconds
    assert caplog.messages == [f"event Bad was not written: {error}"]
    assert dropped() == before + 1


@pytest.mark.looptime
async def test_an_event_is_written_once_the_api_is_back() -> None:
    api = SmallApi()
    api.down = True
    async with recording(api) as recorder:
        recorder.record(WEB, "Bad", "bad")
        await asyncio.sleep(1)
        api.down = False
    assert len(api.objects) == 1


def test_too_many_events_are_dropped_and_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "QUEUE", 1)
    recorder, before = Events(SmallApi(), "metallb-controller", "pod-1"), dropped()
    with caplog.at_level(logging.WARNING):
        recorder.record(WEB, "First", "kept")
        recorder.record(WEB, "Second", "dropped")
        recorder.record(WEB, "Third", "dropped, and the log is quiet")
    assert caplog.messages == [
        "too many events are waiting: dropped Second about web, and what follows"
    ]
    assert dropped() == before + 2


@pytest.mark.looptime
async def test_who_must_not_hurry_writes_one_after_the_other() -> None:
    api = SmallApi()
    recorder = Events(api, "metallb-speaker", "n1", slowly=True)
    for number in range(100):
        whom = ObjectReference("v1", "Service", "shop", f"web{number}", f"uid-{number}")
        recorder.record(whom, "nodeAssigned", "announcing from node n1")
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(1)
    assert 45 <= len(api.objects) <= 51
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_of_one_object_a_few_are_written_and_then_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr(events.time, "monotonic", lambda: now)
    other = ObjectReference("v1", "Service", "shop", "other", "uid-shop-other")
    api, before = SmallApi(), dropped()
    async with recording(api) as recorder:
        for number in range(events.FEW + 5):
            recorder.record(WEB, "IPAllocated", f"Assigned IP {number}")
        recorder.record(other, "IPAllocated", "the others are told as before")
        now += events.EVERY
        recorder.record(WEB, "IPAllocated", "after a while")
        recorder.record(WEB, "IPAllocated", "and no more")
    assert len(api.objects) == events.FEW + 2
    assert dropped() == before + 6
    assert caplog.messages[0] == (
        "more than 30 events about one object: dropped IPAllocated about web, and what follows"
    )


def test_of_how_many_objects_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_OBJECTS", 3)
    budget = events._Budget()
    for number in range(10):
        assert budget.allows(ObjectReference("v1", "Service", "shop", f"web{number}", ""))
    assert len(budget._left) == 3


async def test_an_event_that_breaks_the_client_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api, before = SmallApi(), dropped()
    request, failures = api.request, iter([AttributeError("no headers")])

    async def odd(*args: object, **more: object) -> object:
        for failure in failures:
            raise failure
        return await request(*args, **more)

    monkeypatch.setattr(api, "request", odd)
    async with recording(api) as recorder:
        recorder.record(WEB, "First", "is lost")
        recorder.record(WEB, "Second", "is written")
    assert [item["reason"] for item in api.objects.values()] == ["Second"]
    assert dropped() == before + 1
    assert "event First about web was not written" in caplog.text


def test_the_clock_is_told_as_kubernetes_wants_it() -> None:
    text = events.timestamp()
    assert (len(text), text[10], text[-1]) == (20, "T", "Z")
