"""Who has which address, and why others have none."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import Family
from bellmetal.allocation import Allocations, allocate
from bellmetal.cluster import Cluster
from bellmetal.holdings import Holdings
from bellmetal.intents import Allocation, Refused, RefusedReason
from builders import (
    NOW,
    addresses,
    cluster,
    held,
    holding,
    labelled,
    pool,
    service,
)

SMALL = pool("small", "192.0.2.1-192.0.2.2")
BROKEN = pool("broken", broken=True)
BUSY = held(holding("192.0.2.1", "bank/a"), holding("192.0.2.2", "bank/b"))
BANK = (service("bank/a"), service("bank/b"))


def given(world: Cluster, ledger: Holdings | None = None) -> dict[str, str]:
    """Service → its address and pool, as ``192.0.2.1 small``; orphans are marked."""
    granted = allocate(world, ledger or {}, NOW).granted
    return {key: _shown(item) for key, item in granted.items()}


def _shown(item: Allocation) -> str:
    texts = " ".join(str(address) for address in item.addresses)
    return f"{texts} {item.pool}" + (" orphaned" if item.orphaned else "")


def refusals(world: Cluster, ledger: Holdings | None = None) -> dict[str, Refused]:
    return dict(allocate(world, ledger or {}, NOW).refused)


# --- 1: who gets nothing -------------------------------------------------------------------------


def test_a_service_that_wants_no_address_holds_nothing() -> None:
    idle = service("shop/web", wants_address=False)
    assert allocate(cluster(idle), held(holding("192.0.2.1", idle)), NOW) == Allocations()


# --- 2: what is held stays -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        pytest.param([pool()], "192.0.2.9 main", id="its pool allows it"),
        pytest.param([pool("renamed")], "192.0.2.9 renamed", id="its pool has another name now"),
        pytest.param(
            [pool("main", "198.51.100.0/24")], "192.0.2.9 main orphaned", id="no pool allows it"
        ),
        pytest.param([], "192.0.2.9 main orphaned", id="there is no pool"),
        pytest.param(
            [pool(broken=True, auto_assign=True).__class__("main", (), broken=True)],
            "192.0.2.9 main",
            id="its pool is invalid",
        ),
        pytest.param(
            [pool(namespaces=frozenset(["bank"]))],
            "192.0.2.9 main orphaned",
            id="its pool is for others now",
        ),
        pytest.param(
            [pool("main", "192.0.2.8/29", auto_assign=False)],
            "192.0.2.9 main",
            id="its pool assigns no more by itself",
        ),
    ],
)
def test_what_the_ledger_says_is_kept(pools: list[Any], expected: str) -> None:
    ledger = held(holding("192.0.2.9", "shop/web"))
    assert given(cluster(service("shop/web"), pools=pools), ledger) == {"shop/web": expected}


def test_what_is_held_comes_before_an_older_service_that_asks_for_it() -> None:
    older = service("shop/old", "192.0.2.9", created="2020-01-01T00:00:00Z")
    ledger = held(holding("192.0.2.9", "shop/web"))
    world = cluster(older, service("shop/web"))
    assert given(world, ledger) == {"shop/web": "192.0.2.9 main"}


def test_a_service_of_the_same_name_but_another_uid_inherits_nothing() -> None:
    reborn = service("shop/web", uid="another")
    ledger = held(holding("192.0.2.9", "shop/web"))
    assert given(cluster(reborn), ledger) == {"shop/web": "192.0.2.0 main"}


@pytest.mark.parametrize(
    ("shown_pool", "ledger", "expected"),
    [
        pytest.param("main", {}, "192.0.2.9 main", id="ours by its annotation"),
        pytest.param("", {}, "192.0.2.9 main", id="in a pool of ours"),
        pytest.param("main", held(holding("192.0.2.9")), "192.0.2.9 main", id="free in the ledger"),
        pytest.param(
            "main",
            held(holding("192.0.2.9", "gone/one")),
            "192.0.2.9 main",
            id="held in the ledger by one that is gone",
        ),
        pytest.param(
            "main",
            held(holding("192.0.2.3", "shop/web")),
            "192.0.2.3 main",
            id="the ledger says otherwise",
        ),
    ],
)
def test_what_a_status_shows_is_adopted(shown_pool: str, ledger: Holdings, expected: str) -> None:
    world = cluster(service("shop/web", shown="192.0.2.9", shown_pool=shown_pool))
    assert given(world, ledger) == {"shop/web": expected}


def test_an_address_of_somebody_else_is_not_adopted() -> None:
    world = cluster(service("shop/web", shown="203.0.113.9"))
    assert given(world) == {"shop/web": "192.0.2.0 main"}


def test_an_address_of_a_pool_that_is_gone_is_adopted_as_an_orphan() -> None:
    world = cluster(service("shop/web", shown="203.0.113.9", shown_pool="gone"))
    assert given(world) == {"shop/web": "203.0.113.9 gone orphaned"}


def test_of_two_services_that_show_one_address_the_older_keeps_it() -> None:
    young = service("shop/a", shown="192.0.2.9", shown_pool="main", created=NOW)
    old = service("shop/b", shown="192.0.2.9", shown_pool="main")
    assert given(cluster(young, old)) == {"shop/a": "192.0.2.0 main", "shop/b": "192.0.2.9 main"}


def test_of_two_services_that_show_one_address_the_younger_keeps_it_when_the_older_moves() -> None:
    pools = [pool(auto_assign=False)]
    young = service("shop/a", shown="192.0.2.9", created=NOW)
    old = service("shop/b", "192.0.2.3", shown="192.0.2.9")
    assert given(cluster(young, old, pools=pools)) == {
        "shop/a": "192.0.2.9 main",
        "shop/b": "192.0.2.3 main",
    }


def test_an_address_that_stands_twice_in_a_status_is_adopted_once() -> None:
    twice = service("shop/web", shown=["192.0.2.9", "192.0.2.9"], shown_pool="main")
    assert given(cluster(twice)) == {"shop/web": "192.0.2.9 main"}


def test_several_addresses_are_kept_in_the_order_of_the_status() -> None:
    shown = ["192.0.2.9", "192.0.2.3"]
    both = service("shop/web", shown=shown, shown_pool="main", per_family=2)
    ledger = held(holding("192.0.2.3", both), holding("192.0.2.9", both))
    assert given(cluster(both), ledger) == {"shop/web": "192.0.2.9 192.0.2.3 main"}


# --- 3: asks for others than it holds ------------------------------------------------------------


@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        pytest.param({"ip": "192.0.2.9"}, "192.0.2.9 main", id="the one it has"),
        pytest.param({"ip": "192.0.2.20"}, "192.0.2.20 main", id="another address"),
        pytest.param({"pool": "main"}, "192.0.2.9 main", id="the pool it is in"),
        pytest.param({"pool": "other"}, "198.51.100.0 other", id="another pool"),
        pytest.param({"ip": "203.0.113.1"}, "192.0.2.9 main", id="one that it cannot get"),
        pytest.param({"pool": "nowhere"}, "192.0.2.9 main", id="a pool that does not exist"),
        pytest.param({"fault": "what?"}, "192.0.2.9 main", id="something unintelligible"),
    ],
)
def test_a_service_that_asks_gets_it_or_keeps_what_it_has(
    wants: dict[str, str], expected: str
) -> None:
    pools = [pool(), pool("other", "198.51.100.0/24")]
    ledger = held(holding("192.0.2.9", "shop/web"))
    assert given(cluster(service("shop/web", **wants), pools=pools), ledger) == {  # type: ignore[arg-type]
        "shop/web": expected
    }


def test_who_keeps_an_address_but_was_refused_another_is_told() -> None:
    world = cluster(service("shop/web", "203.0.113.1"))
    found = allocate(world, held(holding("192.0.2.9", "shop/web")), NOW)
    assert found.granted["shop/web"].addresses == addresses("192.0.2.9")
    assert found.refused["shop/web"].reason is RefusedReason.ADDRESS_NOT_IN_POOLS


def test_an_address_that_is_given_up_goes_to_an_older_service_in_the_same_pass() -> None:
    waiting = service("shop/a", created="2020-01-01T00:00:00Z")
    moving = service("shop/b", pool="other")
    pools = [pool("small", "192.0.2.1/32"), pool("other", "198.51.100.1/32", auto_assign=False)]
    ledger = held(holding("192.0.2.1", moving, pool="small"))
    assert given(cluster(waiting, moving, pools=pools), ledger) == {
        "shop/a": "192.0.2.1 small",
        "shop/b": "198.51.100.1 other",
    }


def test_an_address_that_is_given_up_can_be_asked_for_by_an_older_service() -> None:
    wanting = service("shop/a", "192.0.2.1", created="2020-01-01T00:00:00Z")
    moving = service("shop/b", "192.0.2.2")
    ledger = held(holding("192.0.2.1", moving))
    assert allocate(cluster(wanting, moving), ledger, NOW).refused == {}


# --- 4: asks, and holds nothing ------------------------------------------------------------------


def refused(reason: RefusedReason, message: str) -> dict[str, Refused]:
    return {"shop/web": Refused("shop/web", reason, message)}


@pytest.mark.parametrize(
    ("wants", "pools", "reason", "message"),
    [
        pytest.param(
            {"fault": "what?"}, [SMALL], RefusedReason.BAD_REQUEST, "what?", id="unintelligible"
        ),
        pytest.param(
            {"ip": "203.0.113.1"},
            [SMALL],
            RefusedReason.ADDRESS_NOT_IN_POOLS,
            '["203.0.113.1"] is not allowed in config: no IPAddressPool contains it',
            id="an address of no pool",
        ),
        pytest.param(
            {"ip": "192.0.2.1", "pool": "other"},
            [SMALL, pool("other", "198.51.100.0/24")],
            RefusedReason.BAD_REQUEST,
            'requested loadBalancer IP(s) ["192.0.2.1"] is not compatible with requested'
            " address pool other: it is in small",
            id="an address of one pool and the name of another",
        ),
        pytest.param(
            {"ip": "192.0.2.1"},
            [pool("small", "192.0.2.1/32", namespaces=frozenset(["bank"]))],
            RefusedReason.POOL_NOT_COMPATIBLE,
            "pool small not compatible for ip assignment",
            id="an address of a pool for others",
        ),
        pytest.param(
            {"ip": "192.0.2.1"},
            [SMALL],
            RefusedReason.ADDRESS_TAKEN,
            'can\'t change sharing key for "shop/web", address also in use by bank/a'
            " (192.0.2.1: neither has the annotation metallb.io/allow-shared-ip)",
            id="an address that another Service has",
        ),
        pytest.param(
            {"pool": "nowhere"},
            [SMALL],
            RefusedReason.UNKNOWN_POOL,
            'unknown pool "nowhere"; there are small',
            id="a pool that does not exist",
        ),
        pytest.param(
            {"pool": "broken"},
            [BROKEN],
            RefusedReason.POOL_INVALID,
            "pool broken is invalid: see the events of IPAddressPool/broken",
            id="a pool that is invalid",
        ),
        pytest.param(
            {"pool": "small"},
            [pool("small", "192.0.2.7/32", namespaces=frozenset(["bank"]))],
            RefusedReason.POOL_NOT_COMPATIBLE,
            "pool small not compatible for ip assignment",
            id="a pool for others",
        ),
        pytest.param(
            {"pool": "small"},
            [SMALL],
            RefusedReason.NO_ADDRESS_LEFT,
            "no available IPs in pool small",
            id="a pool that is full",
        ),
        pytest.param(
            {},
            [],
            RefusedReason.NO_POOL,
            "no available IPs: there is no IPAddressPool",
            id="anything, and there is no pool",
        ),
        pytest.param(
            {},
            [BROKEN],
            RefusedReason.NO_POOL_OPEN,
            "no available IPs (ipv4): broken: invalid",
            id="anything, and all pools are invalid",
        ),
        pytest.param(
            {},
            [SMALL],
            RefusedReason.NO_ADDRESS_LEFT,
            "no available IPs (ipv4): small: all in use",
            id="anything, and all pools are full",
        ),
        pytest.param(
            {"ip": "2001:db8::1"},
            [SMALL],
            RefusedReason.FAMILY_MISMATCH,
            'requested loadBalancer IP(s) ["2001:db8::1"] does not match'
            " the ipFamily of the service: it wants IPv4",
            id="an IPv6 address for an IPv4 Service",
        ),
        pytest.param(
            {"ip": ["192.0.2.1", "192.0.2.2"]},
            [SMALL],
            RefusedReason.BAD_REQUEST,
            'IPFamilyForAddresses: same address family ["192.0.2.1" "192.0.2.2"]:'
            " for several see bellmetal.io/addresses-per-family",
            id="two addresses of one family",
        ),
        pytest.param(
            {"families": (Family.IPV6,)},
            [SMALL],
            RefusedReason.NO_FAMILY,
            "no available IPs (ipv6): small: no IPv6",
            id="anything, but is IPv6 only",
        ),
        pytest.param(
            {"family_policy": "RequireDualStack", "cluster_ips": '["10.96.0.1"]'},
            [SMALL],
            RefusedReason.NOT_ENOUGH_CLUSTER_IPS,
            'Service requires dual stack but not enough clusterips ["10.96.0.1"]',
            id="both families, with one cluster IP",
        ),
    ],
)
def test_what_is_refused(
    wants: dict[str, Any], pools: list[Any], reason: RefusedReason, message: str
) -> None:
    world = cluster(*BANK, service("shop/web", **wants), pools=pools)
    assert refusals(world, BUSY) == refused(reason, message)


@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        pytest.param({"ip": "192.0.2.200"}, "192.0.2.200 main", id="an address"),
        pytest.param({"pool": "main"}, "192.0.2.0 main", id="a pool"),
        pytest.param({"pool": "manual"}, "198.51.100.0 manual", id="a pool by hand only"),
        pytest.param({"ip": "198.51.100.9"}, "198.51.100.9 manual", id="an address by hand only"),
        pytest.param({"ip": "192.0.2.9", "pool": "main"}, "192.0.2.9 main", id="both"),
    ],
)
def test_what_is_asked_for_is_given(wants: dict[str, Any], expected: str) -> None:
    pools = [pool(), pool("manual", "198.51.100.0/24", auto_assign=False)]
    assert given(cluster(service("shop/web", **wants), pools=pools)) == {"shop/web": expected}


# --- 5: asks for nothing -------------------------------------------------------------------------


def test_in_a_pool_addresses_are_given_in_ascending_order_oldest_service_first() -> None:
    services = [
        service("shop/b", created="2026-01-02T00:00:00Z"),
        service("shop/c", created="2026-01-01T00:00:00Z"),
        service("shop/a", created="2026-01-02T00:00:00Z"),
    ]
    assert given(cluster(*services)) == {
        "shop/c": "192.0.2.0 main",
        "shop/a": "192.0.2.1 main",
        "shop/b": "192.0.2.2 main",
    }


def test_ranges_are_used_in_the_order_of_the_pool() -> None:
    pools = [pool("main", "192.0.2.9/32", "192.0.2.1/32")]
    assert given(cluster(service("shop/a"), service("shop/b"), pools=pools)) == {
        "shop/a": "192.0.2.9 main",
        "shop/b": "192.0.2.1 main",
    }


def test_buggy_addresses_are_avoided_where_that_is_asked_for() -> None:
    world = cluster(service("shop/web"), pools=[pool(avoid_buggy=True)])
    assert given(world) == {"shop/web": "192.0.2.1 main"}


def test_a_gap_is_filled() -> None:
    ledger = held(holding("192.0.2.0", "bank/a"), holding("192.0.2.2", "bank/b"))
    world = cluster(*BANK, service("shop/web"))
    assert given(world, ledger)["shop/web"] == "192.0.2.1 main"


PINNED = {"namespaces": frozenset(["shop"])}


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        pytest.param(
            [pool("a", "192.0.2.1/32"), pool("b", "192.0.2.2/32")], "a", id="the first by name"
        ),
        pytest.param(
            [pool("a", "192.0.2.1/32"), pool("b", "192.0.2.2/32", **PINNED)],
            "b",
            id="a pinned one before the others",
        ),
        pytest.param(
            [
                pool("a", "192.0.2.1/32", priority=9, **PINNED),
                pool("b", "192.0.2.2/32", priority=3, **PINNED),
            ],
            "b",
            id="of the pinned the lowest priority",
        ),
        pytest.param(
            [
                pool("a", "192.0.2.1/32", priority=0, **PINNED),
                pool("b", "192.0.2.2/32", priority=99, **PINNED),
            ],
            "b",
            id="priority 0 is last",
        ),
        pytest.param(
            [
                pool("b", "192.0.2.2/32", priority=5, **PINNED),
                pool("a", "192.0.2.1/32", priority=5, **PINNED),
            ],
            "a",
            id="of equal priority the first by name",
        ),
        pytest.param(
            [
                pool("a", "192.0.2.1/32", namespaces=frozenset(["bank"])),
                pool("b", "192.0.2.2/32"),
            ],
            "b",
            id="never one for others",
        ),
        pytest.param(
            [
                pool("a", "192.0.2.1/32", service_selectors=(labelled(tier="db"),)),
                pool("b", "192.0.2.2/32"),
            ],
            "b",
            id="never one for other labels",
        ),
        pytest.param(
            [pool("a", "192.0.2.1/32", auto_assign=False), pool("b", "192.0.2.2/32")],
            "b",
            id="never one by hand only",
        ),
        pytest.param([BROKEN, pool("c", "192.0.2.2/32")], "c", id="never an invalid one"),
    ],
)
def test_which_pool_is_preferred(pools: list[Any], expected: str) -> None:
    world = cluster(service("shop/web", labels={"tier": "web"}), pools=pools)
    assert given(world)["shop/web"].split()[1] == expected


def test_the_next_pool_is_used_when_one_is_full() -> None:
    world = cluster(*BANK, service("shop/web"), pools=[SMALL, pool("tail", "198.51.100.0/24")])
    assert given(world, BUSY)["shop/web"] == "198.51.100.0 tail"


def test_a_service_that_prefers_dual_stack_gets_ipv4() -> None:
    both = service("shop/web", families=(Family.IPV4, Family.IPV6), family_policy="PreferDualStack")
    assert given(cluster(both)) == {"shop/web": "192.0.2.0 main"}
