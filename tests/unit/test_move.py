"""`bellmetal move`: what it says, orders and waits for, and its exit status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

import pytest

from bellmetal.api import ApiError
from bellmetal.cli.move import Moved, Outcome, as_json, move
from bellmetal.cli.owners import NotFoundError
from bellmetal.config import MOVE_TO
from bellmetal.errands import MoveSettings
from bellmetal.settings import parse, parser
from builders import NOW
from errand_stage import Stage

pytestmark = pytest.mark.looptime

WEB = "/api/v1/namespaces/shop/services/web"


class Golden(Protocol):
    check: Callable[[str, str], None]


@pytest.fixture
def stage() -> Stage:
    return Stage(web=["192.0.2.10", "2001:db8::10"])


def settings(what: str, node: str, *, wait: bool = True, timeout: float = 15.0) -> MoveSettings:
    return MoveSettings("metallb-system", what, node, timeout, wait, "text")


async def moved(stage: Stage, what: str, node: str, wait: bool = True) -> Moved:
    return await move(stage, settings(what, node, wait=wait), stage.said.append)


def order(stage: Stage, path: str = WEB) -> str | None:
    annotations = stage.objects[path]["metadata"].get("annotations") or {}
    found: str | None = annotations.get(MOVE_TO)
    return found


@pytest.mark.parametrize("what", ["192.0.2.10", "2001:db8:0::10", "shop/web"])
async def test_all_addresses_of_the_service_move(stage: Stage, what: str) -> None:
    found = await moved(stage, what, "n2")
    assert found.outcome is Outcome.MOVED
    assert set(stage.owners.values()) == {"n2"}
    assert found.message.startswith("moved: shop/web (192.0.2.10 and 2001:db8::10) from n1 to n2")
    assert stage.said == [
        "192.0.2.10 (shop/web) is on n1",
        "2001:db8::10 (shop/web) is on n1",
        "moving to n2 …",
    ]


async def test_how_long_it_took_is_told(stage: Stage) -> None:
    found = await moved(stage, "shop/web", "n2")
    assert found.took == pytest.approx(0.2, abs=0.1)
    assert json.loads(as_json(found)) == {
        "version": 1,
        "outcome": "moved",
        "service": "shop/web",
        "to": "n2",
        "addresses": [
            {"address": "192.0.2.10", "from": "n1"},
            {"address": "2001:db8::10", "from": "n1"},
        ],
        "milliseconds": round((found.took or 0.0) * 1e3),
        "message": found.message,
    }


async def test_since_when_and_why_it_is_where_it_is(stage: Stage) -> None:
    stage.ledger("192.0.2.10", ("n1", NOW, "took over from n3: its node is not ready"))
    await moved(stage, "shop/web", "n2")
    assert stage.said[0] == (
        f"192.0.2.10 (shop/web) is on n1 since {NOW}: took over from n3: its node is not ready"
    )


async def test_who_shares_the_address_moves_with_it() -> None:
    stage = Stage()
    stage.service("shop/api", "192.0.2.10")
    stage.service("shop/web", "192.0.2.10")
    found = await moved(stage, "192.0.2.10", "n2")
    assert stage.said[0] == ("192.0.2.10 (shop/api) is on n1; shop/web moves with it, sharing it")
    assert (found.service, found.outcome) == ("shop/api", Outcome.MOVED)


async def test_it_is_there_already(stage: Stage) -> None:
    found = await moved(stage, "shop/web", "n1")
    assert found.message == "nothing to do: shop/web (192.0.2.10 and 2001:db8::10) is on n1"
    assert (found.outcome.exit_status, stage.writes()) == (0, [])


async def test_without_waiting_the_order_stands(stage: Stage) -> None:
    stage.works = False
    found = await moved(stage, "shop/web", "n2", wait=False)
    assert (found.outcome, found.outcome.exit_status) == (Outcome.ORDERED, 0)
    assert order(stage) == "n2"


async def test_a_refusal_says_why(stage: Stage) -> None:
    stage.event("shop/web", "MoveRefused", "an old one")
    stage.able["192.0.2.10"] = ("n1",)
    found = await moved(stage, "shop/web", "n2")
    assert found.message == "refused: not moved to n2: 192.0.2.10 stays"
    assert found.outcome.exit_status == 3


async def test_what_goes_back_where_it_is_preferred_was_not_moved(stage: Stage) -> None:
    stage.ledger("192.0.2.10", ("n3", NOW, "preferred"), ("n2", NOW, "moved by order"))
    stage.prefers = "n3"
    found = await moved(stage, "shop/web", "n2")
    assert found.message == "refused: 192.0.2.10 is on n3: preferred"
    assert found.outcome is Outcome.REFUSED


async def test_an_order_that_nobody_carries_out_is_withdrawn(stage: Stage) -> None:
    stage.works = False
    found = await moved(stage, "shop/web", "n2")
    assert found.message == (
        "not moved within 15 s: no controller has carried it out; the order is withdrawn"
    )
    assert (found.outcome.exit_status, order(stage)) == (4, None)


async def test_who_stops_waiting_withdraws_the_order(stage: Stage) -> None:
    stage.works = False
    task = asyncio.create_task(moved(stage, "shop/web", "n2"))
    await asyncio.sleep(1.0)
    assert order(stage) == "n2"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order(stage) is None


async def test_a_new_owner_that_says_nothing_is_named(stage: Stage) -> None:
    stage.silent = frozenset(["n2"])
    found = await moved(stage, "shop/web", "n2")
    assert found.message == (
        "not moved within 15 s: the controller has named n2, and no node says it answers"
    )


@pytest.mark.parametrize(
    ("what", "node", "sentence"),
    [
        ("192.0.2.99", "n2", "no Service has the address 192.0.2.99"),
        ("shop/none", "n2", "there is no Service shop/none"),
        ("shop/bare", "n2", "Service shop/bare has no address"),
        ("web", "n2", '"web" is neither an address nor the namespace/name of a Service'),
        ("shop/web", "n9", 'the cluster has no node "n9"; it has n1, n2, n3'),
        (
            "shop/mute",
            "n2",
            "shop/mute is not announced: kubectl describe service -n shop mute",
        ),
    ],
)
async def test_what_there_is_not(stage: Stage, what: str, node: str, sentence: str) -> None:
    stage.service("shop/bare")
    stage.service("shop/mute", "192.0.2.12")
    del stage.owners["192.0.2.12"]
    stage.publish()
    with pytest.raises(NotFoundError) as error:
        await moved(stage, what, node)
    assert str(error.value) == sentence
    assert stage.writes() == []


async def test_without_the_right_nothing_is_waited_for(stage: Stage) -> None:
    stage.refuse[WEB] = ApiError(403, "Forbidden", "you may not patch services")
    with pytest.raises(ApiError):
        await moved(stage, "192.0.2.10", "n2")


async def test_without_the_right_to_read_the_ledger_it_works_as_well(stage: Stage) -> None:
    path = "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/addressledgers/ipv4-192.0.2.0"
    stage.refuse[path] = ApiError(403, "Forbidden", "no")
    assert (await moved(stage, "shop/web", "n2")).outcome is Outcome.MOVED


# --- the command line -----------------------------------------------------------------------------


def test_what_is_typed() -> None:
    line = "move 192.0.2.10 n2 --timeout 3 --output json --namespace lb"
    found = parse(line.split(), {}, "0")
    assert found == MoveSettings("lb", "192.0.2.10", "n2", 3.0, True, "json")


@pytest.mark.parametrize("line", ["move", "move 192.0.2.10", "move a b --timeout 0"])
def test_what_is_typed_wrongly(line: str) -> None:
    with pytest.raises(SystemExit) as end:
        parse(line.split(), {}, "0")
    assert end.value.code == 2


@pytest.mark.parametrize("program", ["move", "drain"])
def test_the_help(
    program: str,
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parser("0").parse_args([program, "--help"])
    golden.check(f"{program}-help.txt", capsys.readouterr().out)
