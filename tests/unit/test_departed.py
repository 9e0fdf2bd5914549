"""What speakers of nodes that are gone have left is removed, after a while."""

from __future__ import annotations

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.departed import Departed
from bellmetal.world import World
from builders import node_object, report_object
from watched_api import WatchedApi

OWN = "metallb-system"
SESSIONS = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}/bgpsessionstatuses"
SERVICES = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/servicebgpstatuses"


class Stage:
    """Nodes n1 and n2 with speakers; n2's Node is gone."""

    def __init__(self) -> None:
        self.api, self.world = WatchedApi(), World("", False)
        self.world.nodes.take(node_object("n1"))
        for name in ("n1", "n2"):
            self.world.reports.take(report_object(name))
            for path in (SESSIONS, SERVICES):
                labels = {"metallb.io/node": name}
                meta = resources.Metadata(name=name, namespace=OWN, labels=labels)
                self.api.put(f"{path}/{name}", resources.Object(metadata=meta))
        self.departed = Departed(self.api, OWN, self.world)

    @property
    def left(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.api.objects)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_a_node_has_left_is_removed_after_a_minute(stage: Stage) -> None:
    await stage.departed.look(100.0)
    await stage.departed.look(159.0)
    assert stage.left == ["n1", "n1", "n2", "n2"]
    await stage.departed.look(160.0)
    assert stage.left == ["n1", "n1"]


async def test_that_is_done_once(stage: Stage) -> None:
    await stage.departed.look(100.0)
    await stage.departed.look(160.0)
    before = len(stage.api.requests)
    await stage.departed.look(190.0)
    assert len(stage.api.requests) == before


async def test_a_node_that_comes_back_keeps_what_it_has(stage: Stage) -> None:
    await stage.departed.look(100.0)
    stage.world.nodes.take(node_object("n2"))
    await stage.departed.look(160.0)
    stage.world.nodes.remove("n2")
    await stage.departed.look(200.0)
    assert stage.left == ["n1", "n1", "n2", "n2"]


async def test_what_is_refused_is_said_once_and_tried_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.api.refuse[SESSIONS] = ApiError(403, "Forbidden", "no right")
    for now in (100.0, 160.0, 190.0):
        await stage.departed.look(now)
    assert caplog.messages == ["what n2 has left cannot be removed: 403 Forbidden: no right"]
    stage.api.refuse.clear()
    await stage.departed.look(220.0)
    assert stage.left == ["n1", "n1"]
