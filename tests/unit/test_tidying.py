"""ServiceBGPStatus rows that nobody keeps, and those that are left alone."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.intents import Intents, NodeSet, Route, ServiceId
from bellmetal.tidying import PATIENCE, SCAN_EVERY, Picture, Tidying
from builders import metadata, node
from small_api import SmallApi

ROWS = "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicebgpstatuses"
ROUTE = Route(
    ipaddress.ip_network("192.0.2.1/32"), "bgp-all", services=(ServiceId("shop", "web", "u"),)
)
INTENTS = Intents(node_sets=(NodeSet("bgp-all", {"n1": "", "n2": ""}),), routes=(ROUTE,))


class Scene:
    def __init__(self) -> None:
        self.api = SmallApi()
        self.tidying = Tidying(self.api, "metallb-system", pause=0.0)
        self.see()

    def see(self, *away: str, intents: Intents = INTENTS) -> None:
        nodes = {name: node(name, ready=name not in away) for name in ("n1", "n2", "n3")}
        self.tidying.picture = Picture(nodes, intents)

    def row(self, name: str, on: str, service: str = "shop/web") -> None:
        namespace, service = service.split("/")
        status = resources.ServiceBGPStatusStatus(on, service, namespace, ["tor"])
        meta = metadata(f"metallb-system/{name}", labels={"metallb.io/node": on})
        self.api.put(f"{ROWS}/{name}", resources.ServiceBGPStatus(metadata=meta, status=status))

    @property
    def rows(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.api.objects)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_rows_of_services_without_a_route_there_are_removed(scene: Scene) -> None:
    scene.row("right", "n1")
    scene.row("no-route-there", "n3")
    scene.row("no-route-at-all", "n1", "shop/old")
    scene.row("unwritten", "")
    await scene.tidying.look(0.0)
    assert scene.rows == ["right", "unwritten"]


async def test_rows_of_a_node_that_is_not_ready_for_long_are_removed(scene: Scene) -> None:
    await scene.tidying.look(0.0)
    scene.row("gone", "n1")
    scene.row("right", "n2")
    scene.see("n1")
    await scene.tidying.look(1.0)
    await scene.tidying.look(PATIENCE)
    assert scene.rows == ["gone", "right"]
    await scene.tidying.look(1.0 + PATIENCE)
    assert scene.rows == ["right"]


async def test_a_node_that_is_back_in_time_is_not_missed(scene: Scene) -> None:
    await scene.tidying.look(0.0)
    scene.row("right", "n1")
    for away, now in ((["n1"], 1.0), ([], 2.0), (["n1"], 3.0)):
        scene.see(*away)
        await scene.tidying.look(now)
    await scene.tidying.look(2.0 + PATIENCE)
    assert scene.rows == ["right"]


async def test_all_rows_are_looked_at_once_in_a_while(scene: Scene) -> None:
    await scene.tidying.look(0.0)
    scene.see(intents=Intents())
    scene.row("late", "n1")
    await scene.tidying.look(SCAN_EVERY - 1)
    assert (scene.rows, scene.api.counted()) == (["late"], {"GET": 1})
    await scene.tidying.look(SCAN_EVERY)
    assert scene.rows == []


async def test_before_the_first_decision_nothing_is_outdated(scene: Scene) -> None:
    scene.tidying.picture = None
    scene.row("unknown", "n9")
    await scene.tidying.look(0.0)
    assert scene.rows == ["unknown"]


async def test_what_fails_is_tried_again(scene: Scene) -> None:
    scene.row("old", "n3")
    scene.api.refuse[f"{ROWS}/old"] = ApiError(500, "Internal", "try later")
    with pytest.raises(ApiError):
        await scene.tidying.look(0.0)
    scene.api.refuse.clear()
    await scene.tidying.look(5.0)
    assert scene.rows == []


async def test_a_cluster_without_the_kind_has_no_rows(scene: Scene) -> None:
    scene.api.refuse[ROWS] = ApiError(404, "NotFound", "no such kind")
    await scene.tidying.look(0.0)
