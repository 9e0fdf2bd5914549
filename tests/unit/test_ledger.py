"""The ledger's shards: compare-and-swap, merge patches, conflicts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from bellmetal import resources
from bellmetal.addresses import block_of, parse_address
from bellmetal.api import ApiError
from bellmetal.holdings import Holding, Tenure
from bellmetal.ledger import Ledger, LedgerConflictError, shard_name
from builders import LONG_AGO, NOW, holder, holding
from small_api import SmallApi

LEDGERS = "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/addressledgers"
SHARD = f"{LEDGERS}/ipv4-192.0.2.0"
HELD = holding("192.0.2.1", "shop/web", term=3)
FREE = holding("192.0.2.1", term=3, last_holder=holder("shop/web"), freed_at=NOW)


async def loaded(api: SmallApi) -> Ledger:
    ledger = Ledger(api, "metallb-system")
    await ledger.load()
    return ledger


async def written(api: SmallApi, *holdings: Holding) -> Ledger:
    ledger = await loaded(api)
    await ledger.write(holdings)
    return ledger


async def read_again(api: SmallApi) -> list[Holding]:
    return list((await loaded(api)).holdings.values())


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.77", "ipv4-192.0.2.64"),
        ("2001:db8::1:23", "ipv6-20010db8000000000000000000010020"),
        ("::", "ipv6-" + "0" * 32),
    ],
)
def test_the_name_of_a_shard_is_that_of_its_block(address: str, name: str) -> None:
    assert shard_name(block_of(parse_address(address))) == name


async def test_a_shard_that_is_not_there_is_made() -> None:
    api = SmallApi()
    await written(api, HELD)
    [request] = api.writes()
    assert (request.method, request.path, request.body) == (
        "POST",
        LEDGERS,
        {
            "apiVersion": "bellmetal.io/v1alpha1",
            "kind": "AddressLedger",
            "metadata": {"name": "ipv4-192.0.2.0", "labels": {"app": "metallb"}},
            "spec": {
                "block": "192.0.2.0/27",
                "entries": {
                    "192.0.2.1": {
                        "term": 3,
                        "pool": "main",
                        "holders": [
                            {
                                "uid": "uid-shop-web",
                                "namespace": "shop",
                                "name": "web",
                                "since": LONG_AGO,
                            }
                        ],
                    }
                },
            },
        },
    )


async def test_a_shard_that_is_there_is_patched_with_its_version() -> None:
    api = SmallApi()
    ledger = await written(api, HELD)
    version = api.objects[SHARD]["metadata"]["resourceVersion"]
    await ledger.write([holding("192.0.2.2", "shop/api")])
    request = api.writes()[-1]
    assert (request.method, request.path) == ("PATCH", SHARD)
    assert request.body is not None
    assert request.body["metadata"] == {"resourceVersion": version}
    assert list(request.body["spec"]["entries"]) == ["192.0.2.2"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(HELD, FREE, id="freed"),
        pytest.param(FREE, holding("192.0.2.1", "shop/api", term=4), id="given again"),
        pytest.param(
            FREE,
            holding("192.0.2.1", term=4, last_holder=holder("shop/api", ""), freed_at=NOW),
            id="freed by one who held it since nobody knows when",
        ),
        pytest.param(
            holding("192.0.2.1", "shop/web", "shop/api"),
            holding("192.0.2.1", "shop/api"),
            id="shared no more",
        ),
    ],
)
async def test_nothing_old_shines_through_a_patch(before: Holding, after: Holding) -> None:
    api = SmallApi()
    ledger = await written(api, before)
    await ledger.write([after])
    assert list(ledger.holdings.values()) == [after]
    assert await read_again(api) == [after]


async def test_entries_of_two_blocks_are_two_requests_and_of_one_block_one() -> None:
    api = SmallApi()
    await written(api, HELD, holding("192.0.2.2", "shop/a"), holding("192.0.3.1", "shop/b"))
    assert [request.method for request in api.writes()] == ["POST", "POST"]
    assert len(await read_again(api)) == 3


async def test_nothing_to_write_is_no_request() -> None:
    api = SmallApi()
    await written(api)
    assert api.writes() == []


@pytest.mark.parametrize("exists", [True, False])
async def test_who_comes_second_is_told_and_knows_what_the_first_wrote(exists: bool) -> None:
    api = SmallApi()
    if exists:
        await written(api, holding("192.0.2.9", "shop/other"))
    first, second = await loaded(api), await loaded(api)
    await first.write([HELD])
    version = api.objects[SHARD]["metadata"]["resourceVersion"]
    with pytest.raises(LedgerConflictError, match=r"^AddressLedger/ipv4-192\.0\.2\.0: 409 "):
        await second.write([holding("192.0.2.1", "shop/thief", term=9)])
    assert second.holdings == first.holdings
    assert api.objects[SHARD]["metadata"]["resourceVersion"] == version
    await second.write([FREE])
    assert (await loaded(api)).holdings[FREE.address] == FREE


async def test_a_shard_that_somebody_deleted_is_a_conflict_too() -> None:
    api = SmallApi()
    ledger = await written(api, HELD)
    del api.objects[SHARD]
    with pytest.raises(LedgerConflictError):
        await ledger.write([FREE])
    assert ledger.holdings == {}
    await ledger.write([HELD])
    assert await read_again(api) == [HELD]


async def test_what_succeeded_before_a_failure_counts() -> None:
    api = SmallApi()
    ledger = await written(api, HELD, holding("192.0.3.1", "shop/b"))
    api.refuse[f"{LEDGERS}/ipv4-192.0.3.0"] = ApiError(500, "InternalError", "no")
    with pytest.raises(ApiError) as caught:
        await ledger.write([FREE, holding("192.0.3.1", term=1)])
    assert str(caught.value) == "500 InternalError: no"
    assert ledger.holdings[FREE.address] == FREE
    assert ledger.holdings[parse_address("192.0.3.1")].holders != ()


async def test_an_entry_that_is_rubbish_is_said_and_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = SmallApi()
    entries = {"web": resources.LedgerEntry(1), "192.0.2.1": resources.LedgerEntry(2, "main")}
    body = resources.AddressLedger(
        metadata=resources.Metadata(name="ipv4-192.0.2.0"),
        spec=resources.AddressLedgerSpec("192.0.2.0/27", entries),
    )
    api.put(SHARD, body)
    with caplog.at_level(logging.ERROR):
        assert await read_again(api) == [holding("192.0.2.1", term=2)]
    assert caplog.messages == [
        'AddressLedger/ipv4-192.0.2.0 spec.entries: "web" is not an IP address;'
        " the entry is ignored"
    ]


async def test_after_a_write_of_which_nobody_heard_all_is_read_again() -> None:
    """It may have been done: what is decided next must not be decided without it."""
    api = SmallApi()
    ledger = await written(api, HELD)
    api.refuse[SHARD] = ApiError(0, "", "timeout")
    with pytest.raises(ApiError):
        await ledger.write([FREE])
    del api.refuse[SHARD]
    await written(api, FREE)  # it was done
    with pytest.raises(LedgerConflictError):
        await ledger.write([])
    assert list(ledger.holdings.values()) == [FREE]
    await ledger.write([])


async def test_as_long_as_it_cannot_be_read_again_it_stays_doubtful() -> None:
    api = SmallApi()
    ledger = await written(api, HELD)
    api.down = True
    for changes in ([FREE], []):
        with pytest.raises(ApiError):
            await ledger.write(changes)
    api.down = False
    with pytest.raises(LedgerConflictError):
        await ledger.write([])


async def test_the_owners_of_an_address_are_forgotten_with_its_holder() -> None:
    api = SmallApi()
    owners = (Tenure("n2", NOW, "preferred"), Tenure("n1", LONG_AGO, "first"))
    ledger = await written(api, holding("192.0.2.1", "shop/web", term=3, owners=owners))
    assert await read_again(api) == [holding("192.0.2.1", "shop/web", term=3, owners=owners)]
    await ledger.write([FREE])
    assert await read_again(api) == [FREE]


# --- what is forgotten ---------------------------------------------------------------------------

PRUNED = f"{LEDGERS}/pruned"


async def test_what_is_forgotten_leaves_its_term_behind() -> None:
    api = SmallApi()
    kept = holding("192.0.2.9", "shop/api", term=2)
    ledger = await written(api, FREE, kept)
    assert await ledger.forget([FREE])
    assert list(ledger.holdings.values()) == await read_again(api) == [kept]
    assert ledger.floor == (await loaded(api)).floor == FREE.term
    assert api.objects[PRUNED]["spec"] == {"block": "::/0", "floor": FREE.term}


async def test_the_term_is_written_down_before_anything_is_forgotten() -> None:
    api = SmallApi()
    ledger = await written(api, FREE, holding("192.0.2.9", "shop/api"))
    api.refuse[LEDGERS] = ApiError(403, "Forbidden", "no")
    with pytest.raises(ApiError):
        await ledger.forget([FREE])
    del api.refuse[LEDGERS]
    assert FREE in await read_again(api)


async def test_a_shard_of_which_nothing_is_left_is_deleted() -> None:
    api = SmallApi()
    other = holding("192.0.3.1", term=8)
    ledger = await written(api, FREE, other)
    await ledger.forget([FREE, other])
    assert list(api.objects) == [PRUNED]
    await ledger.write([HELD])
    assert await read_again(api) == [HELD]


async def test_the_floor_rises_and_does_not_fall() -> None:
    api = SmallApi()
    high, low = holding("192.0.2.1", term=9), holding("192.0.3.1", term=2)
    ledger = await written(api, high, low)
    await ledger.forget([high])
    await ledger.forget([low])
    assert (await loaded(api)).floor == 9


async def test_a_floor_that_somebody_deleted_is_written_again() -> None:
    api = SmallApi()
    high, low = holding("192.0.2.1", term=9), holding("192.0.3.1", term=2)
    ledger = await written(api, high, low)
    await ledger.forget([high])
    del api.objects[PRUNED]
    await ledger.load()
    await ledger.forget([low])
    assert (await loaded(api)).floor == 9


@pytest.mark.parametrize("alone", [True, False])
async def test_what_somebody_else_gave_meanwhile_is_not_forgotten(alone: bool) -> None:
    api = SmallApi()
    ledger = await written(api, FREE, *([] if alone else [holding("192.0.2.9", "shop/api")]))
    given = holding("192.0.2.1", "shop/web", term=4)
    await (await loaded(api)).write([given])
    with pytest.raises(LedgerConflictError, match=r"^AddressLedger/ipv4-192\.0\.2\.0: 409 "):
        await ledger.forget([FREE])
    assert ledger.holdings[given.address] == (await loaded(api)).holdings[given.address] == given


@pytest.mark.parametrize("write", [True, False])
async def test_what_somebody_else_forgot_is_a_conflict(write: bool) -> None:
    api = SmallApi()
    first = await written(api, FREE)
    second = await loaded(api)
    await first.forget([FREE])
    with pytest.raises(LedgerConflictError):
        await (second.write([HELD]) if write else second.confirm([HELD.address]))
    assert second.floor == FREE.term


async def test_what_was_decided_on_what_is_forgotten_is_decided_again() -> None:
    api = SmallApi()
    ledger = await written(api, FREE)
    before = ledger.loads
    await ledger.forget([FREE])
    assert ledger.loads > before


class Slow(SmallApi):
    """Answers to DELETE are late."""

    async def request(self, method: str, *args: Any, **more: Any) -> bytes:
        answer = await super().request(method, *args, **more)
        if method == "DELETE":
            await asyncio.sleep(0.01)
        return answer


async def test_what_is_read_again_while_something_is_forgotten_stands() -> None:
    api = Slow()
    other = holding("192.0.3.1", term=8)
    ledger = await written(api, FREE, other)
    given = holding("192.0.2.1", "shop/web", term=4)
    await (await loaded(api)).write([given])
    with pytest.raises(LedgerConflictError):
        await ledger.forget([other, FREE])
    assert list(ledger.holdings.values()) == await read_again(api) == [given]


class OldCluster(SmallApi):
    """Its CRD does not know the floor: what is written there is dropped."""

    def answer(self, method: str, path: str, data: Any, content_type: str) -> bytes:
        if isinstance(data, dict):
            data.get("spec", {}).pop("floor", None)
        return super().answer(method, path, data, content_type)


async def test_where_the_floor_cannot_be_kept_nothing_is_forgotten_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = OldCluster()
    ledger = await written(api, FREE)
    with caplog.at_level(logging.ERROR):
        assert not await ledger.forget([FREE])
        count = len(api.requests)
        assert not await ledger.forget([FREE])
    assert len(api.requests) == count
    assert caplog.messages == [
        "AddressLedger/pruned: the cluster's CustomResourceDefinition does not know spec.floor:"
        " records of free addresses are kept for ever; apply the CRDs of this version"
    ]
    assert await read_again(api) == [FREE]


async def test_a_conflict_does_not_let_the_rest_write_over_what_it_has_read_anew() -> None:
    api = SmallApi()
    ours = [holding(f"10.0.{number}.1", "shop/web", term=2) for number in range(100)]
    ledger = await written(api, *(holding(str(item.address), term=1) for item in ours))
    theirs = [holding(str(item.address), "shop/api", term=2) for item in ours]
    await (await loaded(api)).write(theirs)
    loads = ledger.loads
    with pytest.raises(LedgerConflictError):
        await ledger.write(ours)
    assert await read_again(api) == list(ledger.holdings.values()) == theirs
    assert ledger.loads == loads + 1


async def test_what_others_have_written_is_news() -> None:
    api = SmallApi()
    ours, theirs = await written(api, HELD), await loaded(api)
    counts = []
    for write in (
        ours.load(),
        theirs.write([holding("192.0.2.77", "shop/api")]),
        theirs.forget([holding("192.0.2.77", "shop/api")]),
    ):
        await write
        for _ in range(2):
            await ours.load()
            counts.append(ours.news)
    assert counts == [0, 0, 1, 1, 2, 2]
