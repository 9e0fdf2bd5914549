"""`bellmetal drain`: what it says, orders and waits for, and its exit status."""

from __future__ import annotations

import json

import pytest

from bellmetal.api import ApiError
from bellmetal.cli.drain import Drained, Outcome, as_json, drain
from bellmetal.cli.owners import NotFoundError
from bellmetal.config import DRAIN
from bellmetal.errands import DrainSettings
from bellmetal.settings import parse
from errand_stage import Stage

pytestmark = pytest.mark.looptime

N1 = "/api/v1/nodes/n1"


@pytest.fixture
def stage() -> Stage:
    stage = Stage(web=["192.0.2.10", "2001:db8::10"], api=["192.0.2.11"])
    stage.service("shop/elsewhere", "192.0.2.12", owner="n3")
    return stage


async def drained(stage: Stage, node: str = "n1", **fields: bool) -> Drained:
    defaults = {"undo": False, "wait": True} | fields
    settings = DrainSettings(
        "metallb-system", node, defaults["undo"], 60.0, defaults["wait"], "text"
    )
    return await drain(stage, settings, stage.said.append)


def order(stage: Stage) -> str | None:
    annotations = stage.objects[N1]["metadata"].get("annotations") or {}
    found: str | None = annotations.get(DRAIN)
    return found


async def test_the_addresses_leave_one_by_one(stage: Stage) -> None:
    found = await drained(stage)
    assert found.message == "n1 answers for no address; undo: bellmetal drain n1 --undo"
    assert (found.outcome, found.outcome.exit_status) == (Outcome.DRAINED, 0)
    assert (order(stage), set(stage.owners.values())) == ("true", {"n2", "n3"})
    assert stage.said[0] == "n1 owns 3 addresses"
    assert [line.split(",")[0] for line in stage.said[1:]] == [
        "  192.0.2.10 (shop/web) → n2",
        "  2001:db8::10 (shop/web) → n2",
        "  192.0.2.11 (shop/api) → n2",
    ]


async def test_a_node_that_owns_nothing_is_drained_at_once(stage: Stage) -> None:
    found = await drained(stage, "n2")
    assert (found.outcome, found.left) == (Outcome.DRAINED, {})
    assert stage.said == ["n2 owns 0 addresses"]


async def test_what_no_other_node_may_own_stays_and_is_named(stage: Stage) -> None:
    stage.able["192.0.2.11"] = ("n1",)
    found = await drained(stage)
    assert found.message == "n1 keeps 1 that no other node may own"
    assert found.outcome.exit_status == 3
    why = "no other node may own it: no L2Advertisement selects it"
    assert stage.said[-1] == f"  192.0.2.11 stays: {why}"
    body = json.loads(as_json(found))
    assert [item["address"] for item in body["left"]] == ["192.0.2.10", "2001:db8::10"]
    assert body["staying"] == [{"address": "192.0.2.11", "reason": why}]


async def test_without_the_right_to_read_everything_the_reason_is_short(stage: Stage) -> None:
    stage.able["192.0.2.11"] = ("n1",)
    stage.refuse["/api/v1/namespaces"] = ApiError(403, "Forbidden", "no")
    assert list((await drained(stage)).staying.values()) == ["no other node may own it"]


async def test_one_family_may_stay_while_the_other_leaves(stage: Stage) -> None:
    stage.able["2001:db8::10"] = ("n1",)
    found = await drained(stage)
    assert [str(item) for item in found.staying] == ["2001:db8::10"]
    assert [str(item) for item in found.left] == ["192.0.2.10", "192.0.2.11"]


async def test_what_does_not_move_in_time_is_named(stage: Stage) -> None:
    stage.works = False
    found = await drained(stage)
    assert found.outcome.exit_status == 4
    assert found.message == (
        "n1 still has 3 after 60 s; the order stands; undo: bellmetal drain n1 --undo"
    )
    assert order(stage) == "true"


async def test_without_waiting(stage: Stage) -> None:
    found = await drained(stage, wait=False)
    assert (found.outcome, order(stage)) == (Outcome.ORDERED, "true")


async def test_undo(stage: Stage) -> None:
    await drained(stage)
    found = await drained(stage, undo=True)
    assert found.message == (
        "n1 may own addresses again; none moves back because of that;"
        " its routes are announced again by BGP at once"
    )
    assert order(stage) is None


async def test_nothing_to_undo(stage: Stage) -> None:
    found = await drained(stage, undo=True)
    assert found.message == f"nothing to do: n1 has no annotation {DRAIN}"
    assert (found.outcome.exit_status, stage.writes()) == (0, [])


async def test_a_node_that_is_not_there(stage: Stage) -> None:
    with pytest.raises(NotFoundError) as error:
        await drained(stage, "n9")
    assert str(error.value) == 'the cluster has no node "n9"; it has n1, n2, n3'


def test_what_is_typed() -> None:
    found = parse(["drain", "n1", "--undo", "--no-wait"], {"METALLB_NAMESPACE": "lb"}, "0")
    assert found == DrainSettings("lb", "n1", True, 60.0, False, "text")


# --- routes --------------------------------------------------------------------------------------


async def test_routes_that_others_announce_are_waited_for(stage: Stage) -> None:
    stage.routes("shop/web", "shop/api")
    found = await drained(stage)
    assert stage.said[1] == "n1 announces 2 routes"
    assert stage.said[-1].startswith("  2 routes withdrawn, after 10.")
    message = "n1 answers for no address and announces no route"
    assert found.message == f"{message}; undo: bellmetal drain n1 --undo"
    assert found.outcome is Outcome.DRAINED
    assert json.loads(as_json(found))["routes"] == {"withdrawn": 2, "staying": []}


@pytest.mark.parametrize(
    ("nodes", "gives_way"),
    [
        pytest.param(["n1"], True, id="it is alone"),
        pytest.param(["n1", "n2"], False, id="the others do not live"),
    ],
)
async def test_routes_that_no_other_node_announces_stay_and_are_named(
    stage: Stage, nodes: list[str], gives_way: bool
) -> None:
    stage.gives_way = gives_way
    stage.routes("shop/web", nodes=nodes)
    found = await drained(stage)
    assert found.message == "n1 keeps 1 that no other node announces"
    assert found.outcome.exit_status == 3
    assert stage.said[-1] == "  the route 198.51.100.0/32 stays: no other node announces it"
    assert json.loads(as_json(found))["routes"] == {
        "withdrawn": 0,
        "staying": [{"prefix": "198.51.100.0/32", "reason": "no other node announces it"}],
    }


async def test_a_speaker_that_withdraws_nothing_is_late(stage: Stage) -> None:
    stage.routes("shop/web")
    stage._forget = lambda node: None  # type: ignore[method-assign]
    found = await drained(stage)
    assert found.outcome is Outcome.LATE
    assert found.message.startswith("n1 still has routes to withdraw after 60 s;")
