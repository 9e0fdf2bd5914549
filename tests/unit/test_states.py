"""ConfigurationState: written on change, brought back, with times that mean something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.states import LONGEST, Program, States
from small_api import Json, SmallApi

PATH = "/apis/metallb.io/v1beta1/namespaces/metallb-system/configurationstates"
POD = resources.OwnerReference("v1", "Pod", "speaker-x7", "uid-pod")


class Watched(SmallApi):
    """A SmallApi whose objects can be watched: `tell` sends one event."""

    def __init__(self) -> None:
        super().__init__()
        self.told: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()

    async def watch(
        self, type_: Any, path: str, version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Any]:
        while True:
            event, body = await self.told.get()
            yield resources.WatchEvent(msgspec.convert(body, type_), event)

    def tell(self, event: str, name: str) -> None:
        self.told.put_nowait((event, self.objects[f"{PATH}/{name}"]))


class Stage:
    """States at work; its clock shows how often it was looked at."""

    def __init__(self, program: Program) -> None:
        self.api, self.name, self.hour = Watched(), program.name, 0
        self.states = States(self.api, "metallb-system", program, self.clock)

    def clock(self) -> str:
        self.hour += 1
        return f"2026-06-01T{self.hour:02}:00:00Z"

    def body(self) -> Json:
        return self.api.objects[f"{PATH}/{self.name}"]

    async def publish(self, *problems: str) -> None:
        await self.states.publish(problems)
        await asyncio.sleep(2.0)

    def condition(self) -> Json:
        [condition] = self.body()["status"]["conditions"]
        return dict(condition)


@asynccontextmanager
async def at_work(program: Program) -> AsyncIterator[Stage]:
    stage = Stage(program)
    task = asyncio.create_task(stage.states.run())
    yield stage
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


pytestmark = pytest.mark.looptime


async def test_a_sound_configuration() -> None:
    async with at_work(Program()) as stage:
        await stage.publish()
        assert stage.body()["metadata"]["labels"] == {"metallb.io/component-type": "controller"}
        assert stage.body()["status"] == {
            "result": "Valid",
            "errorSummary": "",
            "conditions": [
                {
                    "type": "poolReconcilerValid",
                    "status": "True",
                    "reason": "Reconciled",
                    "message": "",
                    "lastTransitionTime": "2026-06-01T01:00:00Z",
                }
            ],
        }


async def test_problems_on_a_speaker() -> None:
    program = Program("n1", "speaker-x7", "uid-pod")
    async with at_work(program) as stage:
        await stage.publish("BGPPeer/a spec.myASN: bad", "BGPPeer/b spec.vrf: bad")
        message = "configuration error: BGPPeer/a spec.myASN: bad\nBGPPeer/b spec.vrf: bad"
        assert stage.name == "speaker-n1"
        assert stage.body()["metadata"]["labels"] == {
            "metallb.io/component-type": "speaker",
            "metallb.io/node-name": "n1",
        }
        assert stage.body()["metadata"]["ownerReferences"] == [msgspec.to_builtins(POD)]
        assert stage.condition() == {
            "type": "configReconcilerValid",
            "status": "False",
            "reason": "ConfigurationError",
            "message": message,
            "lastTransitionTime": "2026-06-01T01:00:00Z",
        }
        status = stage.body()["status"]
        assert (status["result"], status["errorSummary"]) == ("Invalid", message)


async def test_the_time_changes_with_the_verdict_alone() -> None:
    async with at_work(Program()) as stage:
        times = []
        for problems in (["a"], ["b"], [], ["a"]):
            await stage.publish(*problems)
            times.append(stage.condition()["lastTransitionTime"][11:13])
        assert times == ["01", "01", "02", "03"]


async def test_what_is_the_same_is_written_once() -> None:
    async with at_work(Program()) as stage:
        await stage.publish("a")
        await stage.publish("a")
        assert stage.api.counted() == {"GET": 1, "POST": 1, "PATCH": 1}


async def test_nothing_is_written_before_there_is_something_to_say() -> None:
    async with at_work(Program()) as stage:
        await asyncio.sleep(5.0)
        assert stage.api.writes() == []


async def test_a_deleted_object_comes_back() -> None:
    async with at_work(Program()) as stage:
        await stage.publish("a")
        before = stage.body()["status"]
        stage.api.tell("DELETED", stage.name)
        del stage.api.objects[f"{PATH}/{stage.name}"]
        await asyncio.sleep(2.0)
        assert (stage.body()["status"]["result"], before["result"]) == ("Invalid", "Invalid")


async def test_an_edited_object_is_put_right() -> None:
    async with at_work(Program()) as stage:
        await stage.publish("a")
        before = stage.body()["status"]
        path = f"{PATH}/{stage.name}"
        stage.api.put(path, stage.body() | {"status": before | {"result": "Valid"}})
        stage.api.tell("MODIFIED", stage.name)
        await asyncio.sleep(2.0)
        assert stage.body()["status"] == before


async def test_an_object_of_the_pod_before_becomes_ours() -> None:
    stage = Stage(Program("n1", "speaker-x7", "uid-pod"))
    old = resources.OwnerReference("v1", "Pod", "speaker-old", "uid-old")
    meta = resources.Metadata(name=stage.name, owner_references=[old])
    stage.api.put(f"{PATH}/{stage.name}", resources.ConfigurationState(metadata=meta))
    task = asyncio.create_task(stage.states.run())
    await stage.publish()
    task.cancel()
    assert stage.body()["metadata"]["ownerReferences"] == [msgspec.to_builtins(POD)]
    assert stage.body()["status"]["result"] == "Valid"


async def test_a_write_that_fails_is_tried_again() -> None:
    async with at_work(Program()) as stage:
        stage.api.refuse[PATH] = ApiError(500, "", "not now")
        await stage.publish("a")
        del stage.api.refuse[PATH]
        await asyncio.sleep(15.0)
        assert stage.body()["status"]["result"] == "Invalid"


async def test_ten_thousand_problems_fit() -> None:
    async with at_work(Program()) as stage:
        await stage.publish(*[f"IPAddressPool/p{number} spec: bad" for number in range(10_000)])
        message = stage.condition()["message"]
        assert len(message) <= LONGEST
        lines = message.splitlines()
        assert lines[-1] == f"… and {10_000 - len(lines) + 1} more problems"


async def test_one_endless_problem_fits() -> None:
    async with at_work(Program()) as stage:
        await stage.publish("x" * 100_000)
        assert len(stage.condition()["message"]) <= LONGEST


async def test_a_cluster_without_the_crd_is_complained_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(Program())
    stage.api.refuse[PATH] = ApiError(404, "NotFound", "no such resource")
    task = asyncio.create_task(stage.states.run())
    await stage.publish("a")
    assert [item.message for item in caplog.records] == [f"{PATH}: 404 NotFound: no such resource"]
    del stage.api.refuse[PATH]
    await asyncio.sleep(2.0)
    assert stage.body()["status"]["result"] == "Invalid"
    task.cancel()


async def test_what_was_published_is_forgotten_when_it_ends() -> None:
    stage = Stage(Program())
    task = asyncio.create_task(stage.states.run())
    await stage.publish("a")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    stage.api.objects.clear()
    again = asyncio.create_task(stage.states.run())
    await asyncio.sleep(3.0)
    assert stage.api.objects == {}
    again.cancel()
