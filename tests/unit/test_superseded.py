"""ServiceL2Status rows that contradict the owner: when they are removed, and that nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.superseded import AFTER, AGAIN, GATHER, Superseded
from bellmetal.world import World
from builders import metadata
from small_api import SmallApi

pytestmark = pytest.mark.looptime

ROWS = "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicel2statuses"
NOBODY: dict[str, frozenset[str]] = {}
OWNED = {"shop/web": frozenset({"n1"})}


class Scene:
    def __init__(self) -> None:
        self.api, self.world = SmallApi(), World("", False)
        self.passes: list[float] = []
        self.superseded = Superseded(
            self.api, "metallb-system", self.world, self.passes.append, pause=0.0
        )

    def row(self, name: str, on: str, service: str = "shop/web") -> None:
        namespace, service = service.split("/")
        status = resources.ServiceL2StatusStatus(on, service, namespace)
        meta = metadata(f"metallb-system/{name}")
        body = resources.ServiceL2Status(metadata=meta, status=status)
        self.api.put(f"{ROWS}/{name}", body)
        self.world.l2_statuses.take(body)

    @property
    def rows(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.api.objects)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.superseded.run())
        await asyncio.sleep(0)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def until_calm() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_row_that_contradicts_for_a_while_is_removed(scene: Scene) -> None:
    scene.row("owner", "n1")
    scene.row("dead", "n2")
    scene.row("no-service", "n1", "shop/old")
    scene.row("unwritten", "")
    async with scene.running():
        scene.superseded.look(OWNED)
        await until_calm()
        assert len(scene.rows) == 4
        assert scene.passes == [AFTER], "one pass for all of them"
        await asyncio.sleep(AFTER)
        scene.superseded.look(OWNED)
        await until_calm()
    assert scene.rows == ["owner", "unwritten"]
    assert sorted(scene.world.l2_statuses.nouns) == [
        "metallb-system/owner",
        "metallb-system/unwritten",
    ]


async def test_who_owns_again_in_time_keeps_its_row(scene: Scene) -> None:
    scene.row("owner", "n1")
    async with scene.running():
        for owners in (NOBODY, OWNED, NOBODY):
            scene.superseded.look(owners)
            await asyncio.sleep(AFTER / 2)
    assert scene.rows == ["owner"]


async def test_a_pass_waits_for_no_deletion_and_what_it_sees_counts(scene: Scene) -> None:
    """Thousands of rows were removed within a pass, one after the other: for twenty seconds
    nobody got an address."""
    for number in range(1000):
        scene.row(f"r{number}", "n1")
    async with scene.running():
        scene.superseded.look(NOBODY)
        await asyncio.sleep(AFTER)
        scene.superseded.look(NOBODY)
        assert len(scene.rows) == 1000, "looking writes nothing"
        await until_calm()
        left = len(scene.rows)
        assert 0 < left < 1000
        scene.superseded.look(OWNED)
        await until_calm()
    assert len(scene.rows) >= left - 1, "they belong to their owner now; one was under way"


async def test_rows_that_come_take_no_pass_unless_one_contradicts(scene: Scene) -> None:
    async with scene.running():
        scene.superseded.look(OWNED)
        for number in range(100):
            scene.row(f"r{number}", "n1")
            scene.superseded.heard()
        await asyncio.sleep(GATHER)
        assert scene.passes == []
        scene.row("dead", "n2")
        scene.superseded.heard()
        await asyncio.sleep(GATHER)
        assert scene.passes == [AFTER]
        await asyncio.sleep(AFTER)
        assert len(scene.rows) == 101, "a pass has to say so, too"
        scene.superseded.look(OWNED)
        await until_calm()
    assert len(scene.rows) == 100


async def test_before_the_first_pass_no_row_contradicts(scene: Scene) -> None:
    scene.row("r", "n1")
    async with scene.running():
        scene.superseded.heard()
        await asyncio.sleep(GATHER)
    assert scene.passes == []


async def test_what_its_speaker_has_removed_is_not_removed_again(scene: Scene) -> None:
    scene.row("dead", "n2")
    async with scene.running():
        scene.superseded.look(NOBODY)
        await asyncio.sleep(AFTER)
        scene.superseded.look(NOBODY)
        scene.world.l2_statuses.remove("metallb-system/dead")
        await until_calm()
    assert scene.api.writes() == []


async def test_what_is_gone_and_no_watch_has_told_is_as_good_as_removed(scene: Scene) -> None:
    scene.row("dead", "n2")
    scene.api.objects.clear()
    async with scene.running():
        scene.superseded.look(NOBODY)
        await asyncio.sleep(AFTER)
        scene.superseded.look(NOBODY)
        await until_calm()
    assert [item.method for item in scene.api.writes()] == ["DELETE"]
    assert not scene.world.l2_statuses.nouns
    assert scene.passes == [AFTER], "it is not tried again"


async def test_what_cannot_be_removed_stops_no_other_and_is_tried_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.row("one", "n2")
    scene.row("two", "n2")
    scene.api.refuse = {f"{ROWS}/two": ApiError(403, "Forbidden", "forbidden")}
    async with scene.running():
        for _ in range(3):
            scene.superseded.look(NOBODY)
            await asyncio.sleep(AFTER)
        assert scene.rows == ["two"]
        assert scene.passes == [AFTER, AGAIN, AGAIN]
        scene.api.refuse = {}
        scene.superseded.look(NOBODY)
        await until_calm()
    assert scene.rows == []
    assert len(caplog.records) == 1, "it is said once"


async def test_while_nobody_answers_it_is_not_tried_a_thousand_times(scene: Scene) -> None:
    for number in range(100):
        scene.row(f"r{number}", "n1")
    scene.api.down = True
    async with scene.running():
        scene.superseded.look(NOBODY)
        await asyncio.sleep(AFTER)
        scene.superseded.look(NOBODY)
        await until_calm()
    assert len(scene.api.writes()) == 1
