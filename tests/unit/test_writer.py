"""What the controller writes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bellmetal import kube, resources, writer
from bellmetal.allocation import Allocations
from bellmetal.api import STRATEGIC_MERGE, ApiError
from bellmetal.cluster import Condition, Service
from bellmetal.intents import Refused, RefusedReason, Withheld, WithheldReason
from bellmetal.packing import SliceChanges
from bellmetal.world import World
from bellmetal.writer import (
    IN_FLIGHT,
    ServicePatch,
    Writer,
    condition_patches,
    not_announced,
    service_patches,
)
from builders import (
    addresses,
    allocation,
    service,
    service_object,
    slice_item,
    slice_object,
)
from small_api import SmallApi

TIME = "2026-06-01T12:00:00Z"
SLICES = "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/announcementslices"
NO_ADDRESS = Condition(kube.ALLOCATED, "False", "NoAddressLeft", "no available IPs")
NONE_LEFT = Refused("shop/web", RefusedReason.NO_ADDRESS_LEFT, "no available IPs")
WEB = "/api/v1/namespaces/shop/services/web"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "timestamp", lambda: TIME)


def shows(pool: str | None, *ingress: str) -> dict[str, Any]:
    entries = [{"ip": ip, "ipMode": "VIP"} for ip in ingress] or None
    return {
        "metadata": {"annotations": {"metallb.io/ip-allocated-from-pool": pool}},
        "status": {"loadBalancer": {"ingress": entries}},
    }


CONDITION = {
    "type": "bellmetal.io/AddressAllocated",
    "status": "False",
    "reason": "NoAddressLeft",
    "message": "no available IPs",
    "lastTransitionTime": TIME,
}
CLEARED = {"type": "bellmetal.io/AddressAllocated", "$patch": "delete"}


@pytest.mark.parametrize(
    ("noun", "given", "refused", "body"),
    [
        pytest.param(service(), ["192.0.2.1"], None, shows("main", "192.0.2.1"), id="a new one"),
        pytest.param(
            service(shown="192.0.2.1", shown_pool="main"), ["192.0.2.1"], None, None, id="as it is"
        ),
        pytest.param(
            service(shown="192.0.2.1", shown_pool="old"),
            ["192.0.2.1"],
            None,
            shows("main", "192.0.2.1"),
            id="a pool of another name",
        ),
        pytest.param(
            service(shown="192.0.2.9", shown_pool="main"),
            ["192.0.2.1", "192.0.2.2"],
            None,
            shows("main", "192.0.2.1", "192.0.2.2"),
            id="others than before",
        ),
        pytest.param(
            service(shown="192.0.2.1", shown_pool="main"), [], None, shows(None), id="taken away"
        ),
        pytest.param(
            service(shown_pool="main"), [], None, shows(None), id="only our annotation is left"
        ),
        pytest.param(
            service(shown="203.0.113.1"), [], None, None, id="what we did not give is not ours"
        ),
        pytest.param(
            service(ours=False, shown="192.0.2.1", shown_pool="main"),
            [],
            None,
            None,
            id="a Service of another class is never touched",
        ),
        pytest.param(
            service(), [], NONE_LEFT, {"status": {"conditions": [CONDITION]}}, id="refused"
        ),
        pytest.param(
            service(conditions=(NO_ADDRESS,)), [], NONE_LEFT, None, id="refused as before"
        ),
        pytest.param(
            service(conditions=(replace(NO_ADDRESS, message="another reason"),)),
            [],
            NONE_LEFT,
            {"status": {"conditions": [CONDITION]}},
            id="refused for another reason than before",
        ),
        pytest.param(
            service(conditions=(NO_ADDRESS,)),
            ["192.0.2.1"],
            None,
            {
                "metadata": shows("main")["metadata"],
                "status": shows("main", "192.0.2.1")["status"] | {"conditions": [CLEARED]},
            },
            id="given after all",
        ),
        pytest.param(
            service(shown="192.0.2.1", shown_pool="main"),
            ["192.0.2.1"],
            NONE_LEFT,
            {"status": {"conditions": [CONDITION]}},
            id="keeps one, was refused another",
        ),
    ],
)
def test_what_a_service_is_patched_with(
    noun: Service, given: list[str], refused: Refused | None, body: dict[str, Any] | None
) -> None:
    granted = {"shop/web": allocation("shop/web", *given)} if given else {}
    refusals = {"shop/web": refused} if refused else {}
    patches = service_patches({"shop/web": noun}, Allocations(granted, refusals))
    assert [patch.body for patch in patches] == ([] if body is None else [body])


@pytest.mark.parametrize(
    ("noun", "given", "refused", "added", "refuses"),
    [
        pytest.param(service(), ["192.0.2.1"], None, "192.0.2.1", False, id="a new address"),
        pytest.param(
            service(shown="192.0.2.1", shown_pool="old"),
            ["192.0.2.1"],
            None,
            "",
            False,
            id="the same address out of a pool of another name",
        ),
        pytest.param(service(), [], NONE_LEFT, "", True, id="a refusal"),
        pytest.param(
            service(shown_pool="main", conditions=(NO_ADDRESS,)),
            [],
            NONE_LEFT,
            "",
            False,
            id="a refusal that was told",
        ),
    ],
)
def test_what_is_news(
    noun: Service, given: list[str], refused: Refused | None, added: str, refuses: bool
) -> None:
    granted = {"shop/web": allocation("shop/web", *given)} if given else {}
    refusals = {"shop/web": refused} if refused else {}
    [patch] = service_patches({"shop/web": noun}, Allocations(granted, refusals))
    assert (" ".join(map(str, patch.added)), patch.refuses) == (added, refuses)


def test_after_a_patch_nothing_is_left_to_patch() -> None:
    allocations = Allocations({"shop/web": allocation("shop/web", "192.0.2.1")})
    again = service(shown="192.0.2.1", shown_pool="main")
    assert service_patches({"shop/web": again}, allocations) == []


def test_who_lacks_one_address_and_has_another_has_no_condition() -> None:
    lacking = replace(NONE_LEFT, additional=True)
    allocations = Allocations(
        {"shop/web": allocation("shop/web", "192.0.2.1")}, {"shop/web": lacking}
    )
    noun = service(shown="192.0.2.1", shown_pool="main")
    assert service_patches({"shop/web": noun}, allocations) == []


def test_who_keeps_an_orphan_is_told_by_a_condition() -> None:
    orphan = ((addresses("192.0.2.1")[0], "main"),)
    allocations = Allocations({"shop/web": allocation("shop/web", "192.0.2.1", orphaned=orphan)})
    noun = service(shown="192.0.2.1", shown_pool="main")
    [patch] = service_patches({"shop/web": noun}, allocations)
    [condition] = patch.body["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "AddressOrphaned")
    assert condition["message"] == (
        'IPAddressPool/main is not for this Service any more; it keeps ["192.0.2.1"]'
    )


WITHHELD = Withheld(
    "shop/web", addresses("192.0.2.1")[0], WithheldReason.NO_ENDPOINTS, "nothing serves"
)
NOT_ANNOUNCED = Condition(
    kube.ANNOUNCED, "False", "noEndpoints", "192.0.2.1 is not announced: nothing serves"
)


@pytest.mark.parametrize(
    ("shown", "wanted", "undecided", "patched"),
    [
        pytest.param((), False, False, None, id="nothing is wrong"),
        pytest.param((), False, True, None, id="withheld for a moment"),
        pytest.param(
            (),
            True,
            True,
            {
                "type": "bellmetal.io/Announced",
                "status": "False",
                "reason": "noEndpoints",
                "message": "192.0.2.1 is not announced: nothing serves",
                "lastTransitionTime": TIME,
            },
            id="withheld for long",
        ),
        pytest.param((NOT_ANNOUNCED,), True, True, None, id="was told"),
        pytest.param((NOT_ANNOUNCED,), False, True, None, id="told before a start"),
        pytest.param(
            (NOT_ANNOUNCED,),
            False,
            False,
            {"type": "bellmetal.io/Announced", "$patch": "delete"},
            id="announced again",
        ),
    ],
)
def test_what_is_told_of_an_address_that_is_withheld(
    shown: tuple[Condition, ...], wanted: bool, undecided: bool, patched: dict[str, str] | None
) -> None:
    nouns = {"shop/web": service(shown="192.0.2.1", shown_pool="main", conditions=shown)}
    conditions = {"shop/web": not_announced(WITHHELD)} if wanted else {}
    unsure = ["shop/web"] if undecided else []
    patches = condition_patches(nouns, kube.ANNOUNCED, conditions, unsure)
    expected = [] if patched is None else [{"status": {"conditions": [patched]}}]
    assert [patch.body for patch in patches] == expected


def test_of_a_patch_without_addresses_the_conditions_are_left() -> None:
    orphan = ((addresses("192.0.2.1")[0], "main"),)
    allocations = Allocations({"shop/web": allocation("shop/web", "192.0.2.1", orphaned=orphan)})
    [patch] = service_patches({"shop/web": service()}, allocations)
    rest = patch.without_addresses()
    assert rest is not None
    assert (patch.shows, rest.shows) == (True, False)
    assert rest.without_addresses() == rest
    [bare] = service_patches(
        {"shop/web": service()}, Allocations({"shop/web": allocation("shop/web", "192.0.2.1")})
    )
    assert bare.without_addresses() is None


# --- carrying it out -----------------------------------------------------------------------------


def api_with(*services: resources.Service) -> SmallApi:
    api = SmallApi()
    for body in services:
        meta = body.metadata
        api.put(f"/api/v1/namespaces/{meta.namespace}/services/{meta.name}", body)
    return api


def patch_for(noun: Service, *given: str) -> ServicePatch:
    granted = {noun.key: allocation(noun.key, *given)}
    [patch] = service_patches({noun.key: noun}, Allocations(granted))
    return patch


async def test_a_patch_shows_the_address_and_leaves_the_conditions_of_others_alone() -> None:
    theirs = resources.Condition("example.net/Other", "True", "Yes", "theirs")
    ours = resources.Condition(kube.ALLOCATED, "False", "NoAddressLeft", "no available IPs")
    api = api_with(service_object(conditions=[theirs, ours]))
    patch = patch_for(service(conditions=(NO_ADDRESS,)), "192.0.2.1")
    [(done, body)], failed = await Writer(
        api, "metallb-system", World("", False).slices
    ).patch_services([patch])
    assert (done, failed) == (patch, [])
    shown = kube.service(body).shown
    assert (shown.addresses, shown.pool) == (addresses("192.0.2.1"), "main")
    assert shown.conditions == ()
    assert [item.type for item in body.status.conditions or []] == ["example.net/Other"]


async def test_a_patch_is_of_the_status_by_strategic_merge_and_names_the_uid() -> None:
    api = api_with(service_object())
    await Writer(api, "metallb-system", World("", False).slices).patch_services(
        [patch_for(service(), "192.0.2.1")]
    )
    [request] = api.writes()
    assert (request.method, request.path) == ("PATCH", f"{WEB}/status")
    assert request.content_type == STRATEGIC_MERGE
    assert request.body is not None
    assert request.body["metadata"] == {
        "uid": "uid-shop-web",
        "annotations": {"metallb.io/ip-allocated-from-pool": "main"},
    }


@pytest.mark.parametrize(
    ("present", "error", "failures"),
    [
        pytest.param(False, None, [], id="a Service that is gone is no failure"),
        pytest.param(True, None, [], id="nor is another one of that name"),
        pytest.param(
            True, ApiError(500, "InternalError", "no"), ["500 InternalError: no"], id="this is one"
        ),
    ],
)
async def test_what_cannot_be_written(
    present: bool, error: ApiError | None, failures: list[str]
) -> None:
    reborn = service_object(meta={"uid": "another"})
    api = api_with(service_object("shop/api"), *([reborn] if present else []))
    if error is not None:
        api.refuse[f"{WEB}/status"] = error
    patches = [patch_for(service(), "192.0.2.1"), patch_for(service("shop/api"), "192.0.2.2")]
    done, failed = await Writer(api, "metallb-system", World("", False).slices).patch_services(
        patches
    )
    assert [patch.service.key for patch, _ in done] == ["shop/api"]
    assert [str(item) for item in failed] == failures
    assert "annotations" not in api.objects.get(WEB, {}).get("metadata", {})


@pytest.mark.looptime
async def test_many_patches_go_out_at_the_same_time_but_not_all_of_them() -> None:
    nouns = [service(f"shop/s{number}") for number in range(100)]
    api = api_with(*[service_object(noun.key) for noun in nouns])
    api.slow = 1.0
    patches = [patch_for(noun, "192.0.2.1") for noun in nouns]
    done, _ = await Writer(api, "metallb-system", World("", False).slices).patch_services(patches)
    assert (len(done), api.most_busy) == (100, IN_FLIGHT)


async def load(carried: Writer, api: SmallApi) -> None:
    """The slices as they are."""
    found, version = await api.list(resources.AnnouncementSlice, SLICES)
    carried._known.take_all(found, version)


async def test_slices_are_written_in_the_order_that_speakers_need() -> None:
    api = SmallApi()
    api.put(f"{SLICES}/layer2-1", slice_object("layer2-1", slice_item("192.0.2.1")))
    carried = Writer(api, "metallb-system", World("", False).slices)
    await load(carried, api)
    gone = carried.slices["layer2-1"]
    new = slice_object("layer2-0", slice_item("192.0.2.1"), resource_version="")
    nodes = slice_object("nodes", node_sets=[resources.SliceNodeSet("all")], resource_version="")
    await carried.write_slices(SliceChanges(write=(new, nodes), delete=(gone,)))
    assert [(item.method, item.path.removeprefix(SLICES)) for item in api.writes()] == [
        ("POST", ""),
        ("POST", ""),
        ("DELETE", "/layer2-1"),
    ]
    assert [item.body["metadata"]["name"] for item in api.writes() if item.body] == [
        "nodes",
        "layer2-0",
    ]
    assert sorted(carried.slices) == ["layer2-0", "nodes"]


async def test_a_slice_that_stands_is_replaced_and_its_new_version_remembered() -> None:
    api = SmallApi()
    api.put(f"{SLICES}/layer2-0", slice_object("layer2-0"))
    carried = Writer(api, "metallb-system", World("", False).slices)
    await load(carried, api)
    for address in ("192.0.2.1", "192.0.2.2"):
        before = carried.slices["layer2-0"]
        item = slice_object(
            "layer2-0", slice_item(address), resource_version=before.metadata.resource_version
        )
        await carried.write_slices(SliceChanges(write=(item,)))
    assert [item.method for item in api.writes()] == ["PUT", "PUT"]
    assert carried.slices["layer2-0"].spec.announcements == [slice_item("192.0.2.2")]


async def test_a_slice_that_somebody_else_wrote_is_a_conflict() -> None:
    api = SmallApi()
    api.put(f"{SLICES}/layer2-0", slice_object("layer2-0"))
    stale = slice_object("layer2-0", resource_version="stale")
    with pytest.raises(ApiError) as caught:
        await Writer(api, "metallb-system", World("", False).slices).write_slices(
            SliceChanges(write=(stale,))
        )
    assert caught.value.conflict


async def test_what_something_has_left_is_written_after_where_it_came() -> None:
    api = SmallApi()
    carried = Writer(api, "metallb-system", World("", False).slices)
    names = ("bgp-0", "bgp-1", "bgp-2")
    left, came, gone = (slice_object(name, resource_version="") for name in names)
    api.put(f"{SLICES}/bgp-2", gone)
    await load(carried, api)
    await carried.write_slices(SliceChanges((came,), (left,), (carried.slices["bgp-2"],)))
    written = [item.body["metadata"]["name"] for item in api.writes() if item.body]
    assert (written, api.writes()[-1].method) == (["bgp-1", "bgp-0"], "DELETE")


class Older(SmallApi):
    """An API server whose CRD does not know routes yet: it stores the rest."""

    def _store(self, path: str, body: Any) -> Any:
        spec = {key: value for key, value in body.get("spec", {}).items() if key != "routes"}
        return super()._store(path, body | {"spec": spec})


async def test_slices_of_an_older_crd_are_complained_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    carried = Writer(Older(), "metallb-system", World("", False).slices)
    routes = [resources.SliceRoute("192.0.2.1/32", "bgp-all")]
    for version in ("", "1"):
        item = slice_object("bgp-0", routes=routes, resource_version=version)
        await carried.write_slices(SliceChanges((item,)))
    assert caplog.messages == [
        "AnnouncementSlice/bgp-0 is not stored as it was written: apply the new CRDs"
    ]
