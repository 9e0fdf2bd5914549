"""The cluster as watches and lists have told it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.cluster import Endpoints
from bellmetal.config import Problem
from bellmetal.follow import MOST_GONE, Collection, Kind
from bellmetal.world import World
from builders import (
    advertisement_object,
    endpoint,
    endpoint_slice_object,
    node,
    node_object,
    pool_object,
    report_object,
    selector_object,
    service_object,
)
from configuration import bgp_object, community_object, peer_object, profile_object
from small_api import SmallApi

NODES = Kind("", "v1", "nodes", resources.Node)


def nodes() -> Collection[resources.Node, str]:
    """Nodes, as the address that they have."""
    return Collection(NODES, lambda body: (body.status.addresses or [])[0].address)


def told(address: str, version: int | str, name: str = "n1") -> resources.Node:
    return node_object(name, address=address, resource_version=str(version))


def raw(body: object) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(body))  # type: ignore[no-any-return]


# --- one collection ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "changed", "known"),
    [
        pytest.param(told("new", 9), True, "new", id="newer news replaces"),
        pytest.param(told("old", 9), False, "old", id="newer news that says the same is no news"),
        pytest.param(told("new", 3), False, "old", id="older news never replaces"),
        pytest.param(told("new", 5), True, "new", id="news of one version does"),
        pytest.param(told("new", "x9"), True, "new", id="so does news of an unknown order"),
    ],
)
def test_news_of_one_object(second: resources.Node, changed: bool, known: str) -> None:
    collection = nodes()
    assert collection.take(told("old", 5))
    assert collection.take(second) is changed
    assert collection.nouns == {"n1": known}


def test_changes_are_counted() -> None:
    collection, counts = nodes(), []
    bodies = [
        told("here", 5),
        told("here", 6),
        told("there", 7),
        told("here", 3),
        told("a", 8, "n2"),
    ]
    for body in bodies:
        collection.take(body)
        counts.append(collection.changes)
    for name in ("n1", "n1"):
        collection.remove(name)
        counts.append(collection.changes)
    collection.take_all([])
    assert [*counts, collection.changes] == [1, 1, 2, 2, 3, 4, 4, 5]


def test_versions_are_numbers_not_texts() -> None:
    collection = nodes()
    collection.take(told("old", 9))
    assert collection.take(told("new", 10))


@pytest.mark.parametrize("event", ["ADDED", "MODIFIED", None])
def test_a_watch_event_as_kopf_hands_it_over(event: str | None) -> None:
    collection = nodes()
    assert collection.apply(event, raw(told("here", 5)))
    assert not collection.apply(event, raw(told("here", 5)))
    assert collection.nouns == {"n1": "here"}


def test_a_deleted_object_is_forgotten_and_is_news_once() -> None:
    collection = nodes()
    collection.take(told("here", 5))
    assert collection.apply("DELETED", raw(told("here", 6)))
    assert not collection.apply("DELETED", raw(told("here", 6)))
    assert collection.nouns == {}


def test_an_object_of_the_same_name_comes_back() -> None:
    collection = nodes()
    collection.take(told("old", 5))
    collection.apply("DELETED", raw(told("old", 6)))
    assert collection.take(told("new", 7))
    assert collection.nouns == {"n1": "new"}


def test_a_deletion_that_is_older_than_what_is_known_is_no_news() -> None:
    collection = nodes()
    collection.take(told("reborn", 9))
    assert not collection.apply("DELETED", raw(told("old", 6)))
    assert collection.nouns == {"n1": "reborn"}


def test_old_news_never_brings_a_deleted_object_back() -> None:
    collection = nodes()
    collection.take(told("old", 5))
    collection.apply("DELETED", raw(told("old", 6)))
    assert not collection.take(told("old", 5))
    assert collection.nouns == {}


def test_of_what_is_gone_the_last_is_remembered_and_not_all_for_ever() -> None:
    collection = nodes()
    for number in range(MOST_GONE + 1):
        collection.take(told("x", 2 * number + 1, f"n{number}"))
        collection.apply("DELETED", raw(told("x", 2 * number + 2, f"n{number}")))
    assert len(collection._gone) == MOST_GONE
    assert collection._versions == {}
    assert not collection.take(told("old", 2 * MOST_GONE, f"n{MOST_GONE}"))


def test_what_is_not_in_a_list_is_gone() -> None:
    collection = nodes()
    collection.take_all([told("a", 1, "n1"), told("b", 2, "n2")], "3")
    assert collection.take_all([told("b", 2, "n2"), told("c", 4, "n3")], "5")
    assert collection.nouns == {"n2": "b", "n3": "c"}


def test_a_list_that_says_the_same_is_no_news() -> None:
    collection = nodes()
    assert collection.take_all([told("a", 1)], "3")
    assert not collection.take_all([told("a", 1)], "4")


def test_a_list_never_replaces_newer_news() -> None:
    collection = nodes()
    collection.take(told("new", 9))
    assert not collection.take_all([told("old", 5)], "6")
    assert collection.nouns == {"n1": "new"}


def test_a_list_never_removes_what_was_made_while_it_was_read() -> None:
    collection = nodes()
    collection.take(told("made meanwhile", 9))
    assert not collection.take_all([], "6")
    assert collection.nouns == {"n1": "made meanwhile"}
    assert collection.take_all([], "10")
    assert collection.nouns == {}


def test_a_list_never_brings_back_what_was_deleted_while_it_was_read() -> None:
    collection = nodes()
    collection.take(told("old", 5))
    collection.apply("DELETED", raw(told("old", 9)))
    assert not collection.take_all([told("old", 5)], "6")
    assert collection.nouns == {}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        pytest.param(NODES, "/api/v1/nodes", id="core"),
        pytest.param(
            Kind("metallb.io", "v1beta1", "ipaddresspools", resources.IPAddressPool),
            "/apis/metallb.io/v1beta1/ipaddresspools",
            id="a group",
        ),
    ],
)
def test_paths_of_collections(kind: Kind[Any], path: str) -> None:
    assert kind.path() == path


def test_the_path_of_a_collection_in_one_namespace() -> None:
    kind = Kind("metallb.io", "v1beta1", "ipaddresspools", resources.IPAddressPool, True)
    assert kind.path("ns") == "/apis/metallb.io/v1beta1/namespaces/ns/ipaddresspools"


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "news"),
    [
        pytest.param({"proved": resources.ReportedProof(2, 1)}, False, id="what the LAN sees"),
        pytest.param({"node": resources.ReportedNode("6.1")}, False, id="its node"),
        pytest.param({"looks": [resources.ReportedSight("1")]}, False, id="looks"),
        pytest.param({"doubts": [resources.ReportedDoubt("192.0.2.1")]}, True, id="a doubt"),
        pytest.param({"boot_id": "2"}, True, id="another process"),
        pytest.param({"interfaces": []}, True, id="interfaces"),
    ],
)
def test_of_a_report_what_may_decide_is_news(other: dict[str, Any], news: bool) -> None:
    world = World("", ignore_exclude_label=False)
    before = report_object("n1", eth0=["192.0.2.0/24"])
    world.reports.take(before)
    now = replace(before, status=replace(before.status, **other))
    metadata = replace(before.metadata, resource_version="7")
    assert world.reports.take(replace(now, metadata=metadata)) is news
    assert world.reports.nouns["metallb-system/n1"].status == now.status


def test_the_cluster_of_a_moment() -> None:
    world = World("", False)
    world.services.take(service_object("shop/web"))
    world.nodes.take(node_object("n1"))
    world.reports.take(report_object("n1"))
    world.endpoint_slices.take(endpoint_slice_object("shop/web", endpoint("n1")))
    other = endpoint_slice_object("shop/web", endpoint("n2"))
    renamed = msgspec.structs.replace(other.metadata, name="web-2")
    world.endpoint_slices.take(msgspec.structs.replace(other, metadata=renamed))
    cluster = world.cluster(world.validated().config)
    assert list(cluster.services) == ["shop/web"]
    both = frozenset(["n1", "n2"])
    assert cluster.endpoints == {"shop/web": Endpoints(True, both, both)}
    assert (cluster.nodes, cluster.speakers) == ({"n1": node("n1")}, {"n1"})


def test_a_copy_that_is_still_hears_no_more_news() -> None:
    world = World("", False)
    world.nodes.take(node_object("n1"))
    world.pools.take(pool_object("main"))
    world.reports.take(report_object("n1"))
    world.observe(0.0)
    still = world.still()
    before = still.cluster(still.validated().config)
    world.nodes.take(node_object("n2"))
    world.nodes.remove("n1")
    world.pools.remove("metallb-system/main")
    world.reports.remove("metallb-system/n1")
    world.observe(1.0)
    assert still.cluster(still.validated().config) == before
    assert world.cluster(world.validated().config) != before
    assert [pool.name for pool in before.config.pools] == ["main"]


def test_the_configuration_is_validated_anew_only_when_it_changed() -> None:
    world = World("", False)
    world.pools.take(pool_object(meta={"resource_version": "1"}))
    first = world.validated()
    world.pools.take(pool_object(meta={"resource_version": "2", "annotations": {"touched": "x"}}))
    assert world.validated() is first
    world.pools.take(pool_object("main", "198.51.100.0/24", meta={"resource_version": "3"}))
    assert world.validated() is not first


def test_labels_of_namespaces_are_part_of_the_configuration() -> None:
    world = World("", False)
    reserved = resources.ServiceAllocation(
        namespace_selectors=[resources.LabelSelector(match_labels={"team": "a"})]
    )
    world.pools.take(pool_object(service_allocation=reserved))
    assert world.validated().config.pools[0].namespaces == frozenset()
    meta = resources.Metadata(name="shop", labels={"team": "a"})
    world.namespaces.take(resources.Namespace(metadata=meta))
    assert world.validated().config.pools[0].namespaces == {"shop"}


def test_the_object_of_a_problem_is_found_by_its_uid() -> None:
    world = World("", False)
    world.pools.take(pool_object(addresses=["web"]))
    world.l2_advertisements.take(advertisement_object())
    [problem] = world.validated().problems
    assert world.reference(problem) == resources.ObjectReference(
        "metallb.io/v1beta1",
        "IPAddressPool",
        "metallb-system",
        "main",
        "uid-metallb-system-main",
    )
    assert world.reference(Problem("IPAddressPool", "gone", "spec", "bad", "uid-gone")) is None


def test_our_annotations_are_part_of_the_configuration() -> None:
    world = World("", False)
    world.pools.take(pool_object(meta={"annotations": {"bellmetal.io/drain": "false"}}))
    assert not world.validated().config.pools[0].draining
    world.pools.take(pool_object(meta={"annotations": {"bellmetal.io/drain": "true"}}))
    assert world.validated().config.pools[0].draining


def test_the_status_of_a_pool_is_no_configuration() -> None:
    world = World("", False)
    world.pools.take(pool_object())
    first = world.validated()
    counted = resources.IPAddressPoolStatus(assigned_ipv4=7)
    world.pools.take(msgspec.structs.replace(pool_object(), status=counted))
    assert world.validated() is first


def test_a_configuration_of_all_kinds() -> None:
    world = World("", False)
    world.peers.take(peer_object(bfd_profile="fast", node_selectors=[selector_object(rack="a")]))
    world.bfd_profiles.take(profile_object())
    world.communities.take(community_object(blue="1:1"))
    world.bgp_advertisements.take(bgp_object(communities=["blue"]))
    world.nodes.take(node_object("n1", labels={"rack": "a"}))
    meta = resources.Metadata(name="shop", annotations={"bellmetal.io/address-quota": "5"})
    world.namespaces.take(resources.Namespace(metadata=meta))
    config = world.validated().config
    assert world.validated().problems == ()
    assert [item.bfd_profile for item in config.peers] == ["fast"]
    assert [str(item) for item in config.bgp_advertisements[0].communities] == ["1:1"]
    assert (config.bfd_profiles[0].name, config.quotas) == ("fast", {"shop": 5})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Namespace", resources.ObjectReference("v1", "Namespace", "", "shop", "uid-shop")),
        ("Node", resources.ObjectReference("v1", "Node", "", "n1", "uid-n1")),
        (
            "BGPPeer",
            resources.ObjectReference(
                "metallb.io/v1beta2", "BGPPeer", "metallb-system", "tor", "uid-metallb-system-tor"
            ),
        ),
    ],
)
def test_problems_lead_to_objects_of_all_kinds(
    kind: str, expected: resources.ObjectReference
) -> None:
    world = World("", False)
    bad = {"bellmetal.io/x": "y"}
    shop = resources.Metadata(name="shop", uid="uid-shop", annotations=bad)
    world.namespaces.take(resources.Namespace(metadata=shop))
    world.nodes.take(node_object("n1", annotations=bad))
    world.peers.take(peer_object(meta={"annotations": bad}))
    [problem] = [item for item in world.validated().problems if item.kind == kind]
    assert world.reference(problem) == expected


# --- objects that cannot be read -----------------------------------------------------------------


def odd_pool(version: int = 5) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "main",
            "namespace": "metallb-system",
            "uid": "uid-metallb-system-main",
            "resourceVersion": str(version),
        },
        "spec": {"addresses": ["192.0.2.0/24", 7]},
    }


UNREADABLE = "IPAddressPool/main spec.addresses[1]: cannot be read: expected str, got int"


def test_an_object_that_cannot_be_read_is_a_problem_and_no_crash() -> None:
    world = World("", False)
    world.pools.take(pool_object())
    assert world.pools.apply("MODIFIED", odd_pool())
    assert not world.pools.apply("MODIFIED", odd_pool())
    [problem] = world.validated().problems
    assert str(problem) == UNREADABLE
    assert [pool.broken for pool in world.validated().config.pools] == [True]
    reference = world.reference(problem)
    assert reference is not None
    assert (reference.kind, reference.name) == ("IPAddressPool", "main")


def test_an_object_that_can_be_read_again_is_sound() -> None:
    world = World("", False)
    world.pools.take(pool_object())
    world.pools.apply("MODIFIED", odd_pool())
    assert world.pools.apply("MODIFIED", raw(pool_object(meta={"resource_version": "6"})))
    assert world.validated().problems == ()
    assert not world.pools.apply("MODIFIED", odd_pool(5))
    assert [pool.broken for pool in world.validated().config.pools] == [False]


def test_an_object_that_cannot_be_read_can_be_deleted() -> None:
    world = World("", False)
    world.pools.apply("ADDED", odd_pool())
    assert world.pools.apply("DELETED", odd_pool(6))
    assert world.validated().config.pools == ()


async def test_a_list_with_an_object_that_cannot_be_read() -> None:
    api = SmallApi()
    path = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools"
    api.put(f"{path}/main", odd_pool())
    api.put(f"{path}/other", pool_object("other", "198.51.100.0/24"))
    world = World("", False)
    assert await world.load(api, "metallb-system")
    assert not await world.load(api, "metallb-system")
    assert [str(problem) for problem in world.validated().problems] == [UNREADABLE]
    broken = {pool.name: pool.broken for pool in world.validated().config.pools}
    assert broken == {"main": True, "other": False}
    del api.objects[f"{path}/main"]
    assert await world.load(api, "metallb-system")
    assert world.validated().problems == ()


# --- lists ---------------------------------------------------------------------------------------


async def test_a_cluster_without_the_crds_of_bgp_is_loaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = SmallApi()
    path = "/apis/metallb.io/v1beta2/namespaces/metallb-system/bgppeers"
    api.refuse[path] = ApiError(404, "NotFound", "the server could not find the requested resource")
    world = World("", False)
    await world.load(api, "metallb-system")
    await world.load(api, "metallb-system")
    assert [item.message for item in caplog.records if item.levelname == "WARNING"] == [
        "the cluster has no bgppeers.metallb.io: apply the CRDs"
    ]


async def test_a_cluster_without_pools_crd_is_not_loaded() -> None:
    api = SmallApi()
    path = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools"
    api.refuse[path] = ApiError(404, "NotFound", "the server could not find the requested resource")
    with pytest.raises(ApiError):
        await World("", False).load(api, "metallb-system")


async def test_everything_is_loaded_and_a_second_time_is_no_news() -> None:
    api = SmallApi()
    api.put("/api/v1/namespaces/shop/services/web", service_object())
    api.put("/api/v1/nodes/n1", node_object())
    pools = "/apis/metallb.io/v1beta1/namespaces/{}/ipaddresspools/main"
    api.put(pools.format("metallb-system"), pool_object())
    api.put(pools.format("elsewhere"), pool_object("other"))
    world = World("", False)
    assert await world.load(api, "metallb-system")
    assert list(world.services.nouns) == ["shop/web"]
    assert list(world.nodes.nouns) == ["n1"]
    assert list(world.pools.nouns) == ["metallb-system/main"]
    assert not await world.load(api, "metallb-system")


async def test_a_list_that_is_older_than_a_watch_takes_nothing_away() -> None:
    api = SmallApi()
    world = World("", False)
    world.services.take(service_object(meta={"resource_version": "1000"}))
    assert not await world.load(api, "metallb-system")
    assert list(world.services.nouns) == ["shop/web"]
