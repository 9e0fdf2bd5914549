"""What bellmetal.io annotations ask of pools and namespaces: who gets what then."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import parse_address
from bellmetal.allocation import Allocations, allocate
from bellmetal.cluster import Cluster
from bellmetal.config import Config, OnOrphan
from bellmetal.holdings import Holdings
from builders import addresses, cluster, held, holder, holding, pool, ranges, service

NOON = "2026-06-01T12:00:00Z"
THREE = "192.0.2.1-192.0.2.3"


def allocated(world: Cluster, ledger: Holdings | None = None, now: str = NOON) -> Allocations:
    return allocate(world, ledger or {}, now)


def given(world: Cluster, ledger: Holdings | None = None, now: str = NOON) -> dict[str, str]:
    granted = allocated(world, ledger, now).granted
    return {key: " ".join(map(str, item.addresses)) for key, item in granted.items()}


def message(world: Cluster, ledger: Holdings | None = None) -> str:
    found = allocated(world, ledger).refused.get("shop/web")
    return found.message if found else ""


# --- exclusions, reservations --------------------------------------------------------------------


def test_what_is_excluded_is_never_given_and_cannot_be_asked_for() -> None:
    lan = pool("lan", THREE, excluded=ranges("192.0.2.1-192.0.2.2"))
    assert given(cluster(service("shop/web"), pools=[lan])) == {"shop/web": "192.0.2.3"}
    assert message(cluster(service("shop/web", "192.0.2.1"), pools=[lan])) == (
        '["192.0.2.1"] is not allowed in config: IPAddressPool/lan contains it,'
        " but bellmetal.io/exclude takes it out"
    )


def test_what_is_held_and_then_excluded_is_an_orphan_that_stays() -> None:
    lan = pool("lan", THREE, excluded=ranges("192.0.2.1/32"))
    ledger = held(holding("192.0.2.1", "shop/web", pool="lan"))
    found = allocated(cluster(service("shop/web"), pools=[lan]), ledger)
    assert found.granted["shop/web"].orphaned == ((parse_address("192.0.2.1"), ""),)


RESERVED = {parse_address("192.0.2.1"): "shop/db", parse_address("192.0.2.2"): ""}


@pytest.mark.parametrize(
    ("key", "ip", "expected"),
    [
        pytest.param("shop/db", (), "192.0.2.1", id="whoever it is reserved for gets it"),
        pytest.param("shop/web", (), "192.0.2.3", id="others get none of the reserved"),
        pytest.param("shop/web", "192.0.2.2", "192.0.2.2", id="a nameless one for the asking"),
        pytest.param("shop/web", "192.0.2.1", "", id="not one that is for another"),
        pytest.param("shop/db", "192.0.2.3", "192.0.2.3", id="a request comes before"),
    ],
)
def test_reservations(key: str, ip: str, expected: str) -> None:
    world = cluster(service(key, ip), pools=[pool("lan", THREE, reserved=RESERVED)])
    assert given(world).get(key, "") == expected


def test_a_reservation_is_refused_by_the_name_of_who_has_it() -> None:
    world = cluster(service("shop/web", "192.0.2.1"), pools=[pool("lan", THREE, reserved=RESERVED)])
    assert message(world) == "192.0.2.1 is reserved for shop/db by IPAddressPool/lan"


def test_a_reservation_holds_also_in_a_pool_by_hand() -> None:
    lan = pool("lan", THREE, reserved=RESERVED, auto_assign=False)
    assert given(cluster(service("shop/db"), pools=[lan])) == {"shop/db": "192.0.2.1"}


def test_a_reservation_does_not_move_who_holds_the_address() -> None:
    world = cluster(
        service("shop/db"), service("shop/web"), pools=[pool("lan", THREE, reserved=RESERVED)]
    )
    ledger = held(holding("192.0.2.1", "shop/web", pool="lan"))
    assert given(world, ledger) == {"shop/web": "192.0.2.1", "shop/db": "192.0.2.3"}


# --- cool-down -----------------------------------------------------------------------------------


def freed(address: str, key: str, at: str) -> Any:
    return holding(address, pool="lan", last_holder=holder(key), freed_at=at)


COOLING = pool("lan", THREE, cool_down=600.0)


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        pytest.param({}, "192.0.2.1", id="nothing was given before"),
        pytest.param(
            held(freed("192.0.2.1", "bank/a", "2026-06-01T11:59:00Z")),
            "192.0.2.2",
            id="one that was never given comes first",
        ),
        pytest.param(
            held(
                freed("192.0.2.1", "bank/a", "2026-06-01T11:00:00Z"),
                freed("192.0.2.2", "bank/b", "2026-06-01T10:00:00Z"),
                freed("192.0.2.3", "bank/c", "2026-06-01T11:59:00Z"),
            ),
            "192.0.2.2",
            id="then the one that was freed the longest ago",
        ),
        pytest.param(
            held(
                freed("192.0.2.1", "shop/web", "2026-06-01T11:59:00Z"),
                freed("192.0.2.2", "bank/b", "2026-06-01T10:00:00Z"),
            ),
            "192.0.2.1",
            id="who had it gets it back while it cools down",
        ),
        pytest.param(
            held(
                freed("192.0.2.1", "shop/web", "2026-06-01T11:00:00Z"),
                freed("192.0.2.2", "bank/b", "2026-06-01T10:00:00Z"),
            ),
            "192.0.2.3",
            id="but not for ever",
        ),
    ],
)
def test_a_pool_with_a_cool_down(ledger: Holdings, expected: str) -> None:
    world = cluster(service("shop/web", uid="reborn"), pools=[COOLING])
    assert given(world, ledger) == {"shop/web": expected}


def test_what_is_freed_in_this_very_pass_cools_down_too() -> None:
    ledger = held(holding("192.0.2.1", "shop/web", pool="lan"))
    other = cluster(service("bank/b"), pools=[COOLING])
    assert given(other, ledger) == {"bank/b": "192.0.2.2"}
    reborn = cluster(service("shop/web", uid="reborn"), service("bank/b"), pools=[COOLING])
    assert given(reborn, ledger) == {"bank/b": "192.0.2.2", "shop/web": "192.0.2.1"}


def test_while_all_cool_down_it_is_said_when_the_first_is_free() -> None:
    times = ("11:55:00", "11:52:00", "11:59:00")
    ledger = held(
        *(freed(f"192.0.2.{n}", f"bank/{n}", f"2026-06-01T{t}Z") for n, t in enumerate(times, 1))
    )
    world = cluster(service("shop/web"), pools=[COOLING])
    found = allocated(world, ledger)
    assert found.again_in == 120.0
    assert (
        found.refused["shop/web"].message
        == "no available IPs (ipv4): lan: all in use or cooling down"
    )
    assert given(world, ledger, "2026-06-01T12:02:01Z") == {"shop/web": "192.0.2.2"}


def test_an_address_that_cools_down_can_be_asked_for() -> None:
    ledger = held(freed("192.0.2.1", "bank/a", "2026-06-01T11:59:00Z"))
    world = cluster(service("shop/web", "192.0.2.1"), pools=[COOLING])
    assert given(world, ledger) == {"shop/web": "192.0.2.1"}


# --- addresses that are taken last ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        pytest.param(1, "192.0.2.2", id="others first"),
        pytest.param(2, "192.0.2.2 192.0.2.3", id="as long as there are some"),
        pytest.param(3, "192.0.2.2 192.0.2.3 192.0.2.1", id="then this one"),
    ],
)
def test_addresses_of_nodes_are_taken_last(services: int, expected: str) -> None:
    nouns = [service(f"shop/s{n}") for n in range(services)]
    world = cluster(*nouns, pools=[pool("lan", THREE)], shy=frozenset(addresses("192.0.2.1")))
    assert " ".join(given(world)[noun.key] for noun in nouns) == expected


def test_a_single_node_may_use_its_own_address() -> None:
    lan = pool("lan", "192.0.2.1/32")
    shy = frozenset(addresses("192.0.2.1"))
    assert given(cluster(service("shop/web"), pools=[lan], shy=shy)) == {"shop/web": "192.0.2.1"}
    asked = cluster(service("shop/web", "192.0.2.1"), pools=[pool("lan", THREE)], shy=shy)
    assert given(asked) == {"shop/web": "192.0.2.1"}


# --- quotas --------------------------------------------------------------------------------------


def limited(number: int, *services: Any) -> Cluster:
    world = cluster(*services, pools=[pool("lan", THREE)])
    config = Config(world.config.pools, world.config.l2_advertisements, quotas={"shop": number})
    return Cluster(config, world.services, world.endpoints, world.nodes)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(0, {"bank/c": "192.0.2.1"}, id="none"),
        pytest.param(1, {"shop/a": "192.0.2.1", "bank/c": "192.0.2.2"}, id="one"),
        pytest.param(
            2, {"shop/a": "192.0.2.1", "shop/b": "192.0.2.2", "bank/c": "192.0.2.3"}, id="both"
        ),
    ],
)
def test_a_namespace_has_no_more_than_its_quota(number: int, expected: dict[str, str]) -> None:
    world = limited(
        number, service("shop/a"), service("shop/b"), service("bank/c", created="2026-02-01")
    )
    assert given(world) == expected


def test_a_quota_takes_nothing_away_and_says_what_it_refuses() -> None:
    ledger = held(holding("192.0.2.1", "shop/a"), holding("192.0.2.2", "shop/b"))
    world = limited(1, service("shop/a"), service("shop/b"), service("shop/web"))
    assert given(world, ledger) == {"shop/a": "192.0.2.1", "shop/b": "192.0.2.2"}
    assert (
        message(world, ledger)
        == "namespace shop has 2 addresses, and bellmetal.io/address-quota allows 1"
    )
    asking = limited(1, service("shop/a"), service("shop/b"), service("shop/web", "192.0.2.3"))
    assert (
        message(asking, ledger)
        == "namespace shop has 2 addresses, and bellmetal.io/address-quota allows 1"
    )


def test_exchanging_an_address_needs_no_room_in_the_quota() -> None:
    ledger = held(holding("192.0.2.1", "shop/web"))
    assert given(limited(1, service("shop/web", "192.0.2.3")), ledger) == {"shop/web": "192.0.2.3"}


def test_of_several_addresses_a_quota_allows_some() -> None:
    world = limited(2, service("shop/web", per_family=3))
    assert given(world) == {"shop/web": "192.0.2.1 192.0.2.2"}


# --- draining, renumbering -----------------------------------------------------------------------


def test_a_draining_pool_keeps_what_it_gave_and_gives_nothing_new() -> None:
    lan = pool("lan", THREE, draining=True)
    world = cluster(service("shop/a"), service("shop/web"), pools=[lan])
    ledger = held(holding("192.0.2.2", "shop/a", pool="lan"))
    assert given(world, ledger) == {"shop/a": "192.0.2.2"}
    assert message(world, ledger) == "no available IPs (ipv4): lan: draining"
    for wish in ({"ip": "192.0.2.3"}, {"pool": "lan"}):
        asking = cluster(service("shop/web", **wish), pools=[lan])  # type: ignore[arg-type]
        assert message(asking) == "pool lan gives no new addresses: bellmetal.io/drain"


RENUMBER, KEEP = OnOrphan.RENUMBER, OnOrphan.KEEP


@pytest.mark.parametrize(
    ("pools", "setting", "expected"),
    [
        pytest.param([pool("lan", THREE)], KEEP, "192.0.2.9", id="by default it is kept"),
        pytest.param([pool("lan", THREE)], RENUMBER, "192.0.2.1", id="the setting renumbers"),
        pytest.param(
            [pool("lan", THREE, on_orphan=RENUMBER)], KEEP, "192.0.2.1", id="the pool renumbers"
        ),
        pytest.param(
            [pool("lan", THREE, on_orphan=KEEP)], RENUMBER, "192.0.2.9", id="the pool keeps"
        ),
        pytest.param([], RENUMBER, "", id="the setting, and there is no pool"),
        pytest.param(
            [pool("lan", broken=True)], RENUMBER, "192.0.2.9", id="never because of a mistake"
        ),
        pytest.param(
            [pool("new", "192.0.2.0/24")], RENUMBER, "192.0.2.9", id="never if another allows it"
        ),
        pytest.param(
            [pool("lan", "192.0.2.0/24", namespaces=frozenset(["bank"])), pool("z", "10.0.0.1/32")],
            RENUMBER,
            "10.0.0.1",
            id="a pool that is for others now",
        ),
    ],
)
def test_an_address_that_no_pool_allows(pools: list[Any], setting: OnOrphan, expected: str) -> None:
    ledger = held(holding("192.0.2.9", "shop/web", pool="lan"))
    world = cluster(service("shop/web"), pools=pools, on_orphan=setting)
    assert given(world, ledger).get("shop/web", "") == expected


def test_who_is_renumbered_is_told_why() -> None:
    world = cluster(service("shop/web"), pools=[pool("lan", THREE)], on_orphan=RENUMBER)
    found = allocated(world, held(holding("192.0.2.9", "shop/web", pool="lan")))
    assert found.cleared == {"shop/web": '["192.0.2.9"] is not allowed in config'}
