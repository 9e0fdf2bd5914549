"""Objects that are a node's: they become what is wanted, and come back when somebody edits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.bgp_reports import BGP_STATUSES
from bellmetal.rows import Row, Rows
from bellmetal.session_reports import SESSIONS
from watched_api import WatchedApi

pytestmark = pytest.mark.looptime

OWN = "metallb-system"
STATUSES = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/servicebgpstatuses"
SESSION_PATH = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}/bgpsessionstatuses"


def row(name: str = "web", *peers: str) -> Row:
    status = resources.ServiceBGPStatusStatus("n1", name, "shop", list(peers or ("router",)))
    return Row(status, {"metallb.io/service-name": name})


@pytest.fixture
def api() -> WatchedApi:
    return WatchedApi()


@pytest.fixture
async def rows(api: WatchedApi) -> AsyncIterator[Rows[resources.ServiceBGPStatus]]:
    found = Rows(api, BGP_STATUSES, OWN, "n1")
    task = asyncio.create_task(found.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


Services = Rows[resources.ServiceBGPStatus]


async def test_a_row_is_made_with_its_labels_and_status(api: WatchedApi, rows: Services) -> None:
    rows.want({"bgp-1": row()})
    await asyncio.sleep(1)
    body = api.objects[f"{STATUSES}/bgp-1"]
    assert body["metadata"]["labels"] == {
        "metallb.io/node": "n1",
        "metallb.io/service-name": "web",
    }
    assert body["status"] == {
        "node": "n1",
        "serviceName": "web",
        "serviceNamespace": "shop",
        "peers": ["router"],
    }
    assert [item.method for item in api.writes()] == ["POST", "PATCH"]


async def test_at_rest_nothing_is_written(api: WatchedApi, rows: Services) -> None:
    rows.want({"bgp-1": row()})
    await asyncio.sleep(1)
    before = len(api.writes())
    for _ in range(10):
        rows.want({"bgp-1": row()})
        await asyncio.sleep(1)
    assert len(api.writes()) == before


async def test_what_is_wanted_no_more_is_deleted(api: WatchedApi, rows: Services) -> None:
    rows.want({"bgp-1": row(), "bgp-2": row("api")})
    await asyncio.sleep(1)
    rows.want({"bgp-2": row("api")})
    await asyncio.sleep(1)
    assert list(api.objects) == [f"{STATUSES}/bgp-2"]


async def test_a_change_replaces_the_whole_status(api: WatchedApi, rows: Services) -> None:
    rows.want({"bgp-1": row("web", "a", "b")})
    await asyncio.sleep(1)
    rows.want({"bgp-1": Row(resources.ServiceBGPStatusStatus("n1", "web", "shop"))})
    await asyncio.sleep(1)
    assert "peers" not in api.objects[f"{STATUSES}/bgp-1"]["status"]


async def test_a_row_that_somebody_edits_or_deletes_comes_back(
    api: WatchedApi, rows: Services
) -> None:
    rows.want({"bgp-1": row()})
    await asyncio.sleep(1)
    api.edit(f"{STATUSES}/bgp-1", peers=["mine"])
    await asyncio.sleep(1)
    assert api.objects[f"{STATUSES}/bgp-1"]["status"]["peers"] == ["router"]
    api.remove(f"{STATUSES}/bgp-1")
    await asyncio.sleep(1)
    assert api.objects[f"{STATUSES}/bgp-1"]["status"]["peers"] == ["router"]


async def test_a_row_whose_label_was_taken_away_gets_it_back(
    api: WatchedApi, rows: Services
) -> None:
    bare = resources.ServiceBGPStatus(metadata=resources.Metadata(name="bgp-1", namespace=OWN))
    api.put(f"{STATUSES}/bgp-1", bare)
    rows.want({"bgp-1": row()})
    await asyncio.sleep(1)
    body = api.objects[f"{STATUSES}/bgp-1"]
    assert body["metadata"]["labels"]["metallb.io/node"] == "n1"
    assert body["status"]["peers"] == ["router"]


async def test_one_that_another_program_has_made_stays_until_ours_says_the_same(
    api: WatchedApi, rows: Services
) -> None:
    labels = {"metallb.io/node": "n1", "metallb.io/service-name": "web"}
    meta = resources.Metadata("bgp-x7k2p", OWN, generate_name="bgp-", labels=labels)
    status = resources.ServiceBGPStatusStatus("n1", "web", "shop", ["theirs"])
    api.put(f"{STATUSES}/bgp-x7k2p", resources.ServiceBGPStatus(metadata=meta, status=status))
    rows.want({"bgp-1": row("api")})
    await asyncio.sleep(1)
    assert sorted(api.objects) == [f"{STATUSES}/bgp-1", f"{STATUSES}/bgp-x7k2p"]
    rows.want({"bgp-2": row("web")})
    await asyncio.sleep(1)
    assert list(api.objects) == [f"{STATUSES}/bgp-2"]


async def test_one_that_is_refused_does_not_stop_the_others(
    api: WatchedApi, rows: Services
) -> None:
    no = ApiError(403, "Forbidden", "not this one")
    api.refuse[f"{STATUSES}/bgp-1/status"] = no
    rows.want({"bgp-1": row(), "bgp-2": row("api")})
    await asyncio.sleep(1)
    assert api.objects[f"{STATUSES}/bgp-2"]["status"]["peers"] == ["router"]
    api.refuse.clear()
    await asyncio.sleep(30)
    assert api.objects[f"{STATUSES}/bgp-1"]["status"]["peers"] == ["router"]


async def test_a_hundred_take_two_seconds_and_what_changes_meanwhile_counts(
    api: WatchedApi, rows: Services
) -> None:
    rows.want({f"bgp-{number}": row(f"s{number}") for number in range(100)})
    await asyncio.sleep(1)
    assert 30 < len(api.objects) < 60
    rows.want({})
    await asyncio.sleep(5)
    assert api.objects == {}


async def test_a_kind_without_a_subresource_takes_one_write(api: WatchedApi) -> None:
    rows = Rows(api, SESSIONS, OWN, "n1", subresource=False)
    task = asyncio.create_task(rows.run())
    rows.want({"s": Row(resources.BGPSessionStatusStatus(node="n1", peer="a"))})
    await asyncio.sleep(1)
    rows.want({"s": Row(resources.BGPSessionStatusStatus(node="n1", peer="b"))})
    await asyncio.sleep(1)
    assert [(item.method, item.path) for item in api.writes()] == [
        ("POST", SESSION_PATH),
        ("PATCH", f"{SESSION_PATH}/s"),
    ]
    assert api.objects[f"{SESSION_PATH}/s"]["status"] == {"node": "n1", "peer": "b"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
