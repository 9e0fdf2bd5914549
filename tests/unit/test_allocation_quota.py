"""Quotas: what they count, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

from bellmetal.allocation import Allocations, allocate
from bellmetal.cluster import Service
from bellmetal.holdings import Holding
from bellmetal.settlement import settle
from builders import NOW, cluster, held, holding, pool, service, sharing


def passes(
    *services: Service, ledger: tuple[Holding, ...] = (), size: int = 3
) -> tuple[Allocations, Allocations]:
    """Two passes in a cluster where namespace shop may have one address."""
    world = cluster(*services, pools=[pool("main", f"192.0.2.0-192.0.2.{size - 1}")])
    world = replace(world, config=replace(world.config, quotas={"shop": 1}))
    before = held(*ledger)
    first = allocate(world, before, NOW)
    changes = settle(first, world.services, before, NOW)
    after = {**before, **{item.address: item for item in changes}}
    return first, allocate(world, after, NOW)


def test_who_may_share_an_address_of_its_namespace_needs_no_quota() -> None:
    first = service("shop/a", shown="192.0.2.1", sharing=sharing("k", "TCP/80"))
    second = service("shop/b", sharing=sharing("k", "TCP/443"))
    granted, _ = passes(first, second, ledger=(holding("192.0.2.1", first),))
    assert granted.granted["shop/b"].addresses == granted.granted["shop/a"].addresses


def test_a_refusal_says_the_same_in_the_next_pass() -> None:
    first = service("shop/a")
    greedy = service("shop/b", "192.0.2.1", created="2026-01-02T00:00:00Z")
    other = service("bank/a", created="2026-01-03T00:00:00Z")
    one, two = passes(first, greedy, other, ledger=(holding("192.0.2.0", first),), size=2)
    assert one.refused["shop/b"] == two.refused["shop/b"]
