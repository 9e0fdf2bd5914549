"""Sharing an address: MetalLB's rules, one row each."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.allocation import allocate
from bellmetal.cluster import Cluster, Service
from bellmetal.holdings import Holdings
from bellmetal.settlement import settle
from builders import NOW, cluster, held, holder, holding, pool, service, sharing

ONE = pool("one", "192.0.2.1/32")
HERE = "192.0.2.1 one"


def given(world: Cluster, ledger: Holdings) -> dict[str, str]:
    granted = allocate(world, ledger, NOW).granted
    return {key: f"{' '.join(map(str, a.addresses))} {a.pool}" for key, a in granted.items()}


def written(world: Cluster, ledger: Holdings) -> Holdings:
    """The ledger after a pass."""
    changes = settle(allocate(world, ledger, NOW), world.services, ledger, NOW)
    return {**ledger, **{item.address: item for item in changes}}


def holds(name: str, *terms: Any, **backend: str) -> Service:
    return service(f"bank/{name}", sharing=sharing(*terms, **backend))


FIRST = holds("a", "key", "TCP/80")
CLASH = 'can\'t change sharing key for "shop/web", address also in use by bank/a (192.0.2.1: '
POLICY = "externalTrafficPolicy or, where it is Local, the selector differs from bank/a)"


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        pytest.param(FIRST, sharing("key", "TCP/443"), "", id="same key, other ports"),
        pytest.param(
            holds("a", "key", "UDP/53"),
            sharing("key", "TCP/53"),
            "",
            id="other protocol",
        ),
        pytest.param(
            FIRST,
            sharing("key", "TCP/443", "TCP/80"),
            'port TCP/80 is already in use on "192.0.2.1" (by bank/a, sharing key "key")',
            id="same port",
        ),
        pytest.param(
            FIRST,
            sharing("other", "TCP/443"),
            CLASH + 'its sharing key "other" is not "key" of bank/a)',
            id="other key",
        ),
        pytest.param(
            FIRST,
            sharing("", "TCP/443"),
            CLASH + "this Service has no annotation metallb.io/allow-shared-ip)",
            id="no key",
        ),
        pytest.param(
            holds("a", "", "TCP/80"),
            sharing("key", "TCP/443"),
            CLASH + "bank/a has no annotation metallb.io/allow-shared-ip)",
            id="the other has no key",
        ),
        pytest.param(
            holds("a", "", "TCP/80"),
            sharing("", "TCP/443"),
            CLASH + "neither has the annotation metallb.io/allow-shared-ip)",
            id="neither has one",
        ),
        pytest.param(
            holds("a", "key", "TCP/80", backend="app=a"),
            sharing("key", "TCP/443", backend="app=a"),
            "",
            id="both Local, same selector",
        ),
        pytest.param(
            holds("a", "key", "TCP/80", backend="app=a"),
            sharing("key", "TCP/443", backend="app=b"),
            CLASH
            + "externalTrafficPolicy or, where it is Local, the selector differs from bank/a)",
            id="both Local, other selector",
        ),
        pytest.param(
            FIRST,
            sharing("key", "TCP/443", backend="app=a"),
            CLASH
            + "externalTrafficPolicy or, where it is Local, the selector differs from bank/a)",
            id="Cluster and Local",
        ),
    ],
)
def test_who_may_share(first: Service, second: Any, refusal: str) -> None:
    asking = service("shop/web", "192.0.2.1", sharing=second)
    world = cluster(first, asking, pools=[ONE])
    found = allocate(world, held(holding("192.0.2.1", first)), NOW)
    refusals = {key: item.message for key, item in found.refused.items()}
    assert refusals == ({"shop/web": refusal} if refusal else {})
    assert ("shop/web" in found.granted) is not bool(refusal)
    assert found.granted["bank/a"].addresses == (asking.request.addresses[0],)


WITHOUT_ASKING = [
    pytest.param("key", "192.0.2.1 main", id="the first in the pool that it may use"),
    pytest.param("", "192.0.2.2 main", id="but not without a key"),
    pytest.param("other", "192.0.2.2 main", id="nor with another"),
]


@pytest.mark.parametrize(("key", "expected"), WITHOUT_ASKING)
def test_automatic_choice_shares_where_that_comes_first(key: str, expected: str) -> None:
    other = service("shop/web", sharing=sharing(key, "TCP/443"))
    world = cluster(FIRST, other, pools=[pool("main", "192.0.2.1-192.0.2.9")])
    assert given(world, held(holding("192.0.2.1", FIRST)))["shop/web"] == expected


def test_a_free_address_before_a_shared_one_is_taken_first() -> None:
    other = service("shop/web", sharing=sharing("key", "TCP/443"))
    world = cluster(FIRST, other)
    assert given(world, held(holding("192.0.2.9", FIRST)))["shop/web"] == "192.0.2.0 main"


def test_three_share_when_no_ports_meet() -> None:
    services = [service(f"shop/s{n}", sharing=sharing("key", f"TCP/{n}")) for n in (1, 2, 3)]
    assert set(given(cluster(*services, pools=[ONE]), {}).values()) == {HERE}


def test_the_only_user_may_change_its_terms() -> None:
    before = holding("192.0.2.1", holder(FIRST))
    changed = holds("a", "new", "TCP/8080")
    assert given(cluster(changed, pools=[ONE]), held(before)) == {"bank/a": HERE}


CHANGES = [
    pytest.param(sharing("other", "TCP/443"), id="another key"),
    pytest.param(sharing("key", "TCP/80", "TCP/443"), id="a port that the other has"),
    pytest.param(sharing("key", "TCP/443", backend="app=b"), id="Local"),
    pytest.param(sharing("", "TCP/443"), id="no key any more"),
]


@pytest.mark.parametrize("changed", CHANGES)
@pytest.mark.parametrize("who", ["bank/a", "bank/b"])
def test_of_those_that_share_the_one_that_changed_its_terms_moves(changed: Any, who: str) -> None:
    """Whoever was there first: nobody drives another away by editing his own Service."""
    one, two = sharing("key", "TCP/80"), sharing("key", "TCP/443")
    if who == "bank/a":
        one, two = two, one
    other = "bank/b" if who == "bank/a" else "bank/a"
    pools = [pool("main", "192.0.2.1-192.0.2.2")]
    before = cluster(service(other, sharing=one), service(who, sharing=two), pools=pools)
    ledger = written(before, {})
    assert set(given(before, ledger).values()) == {"192.0.2.1 main"}
    after = cluster(service(other, sharing=one), service(who, sharing=changed), pools=pools)
    found = allocate(after, ledger, NOW)
    assert given(after, ledger) == {other: "192.0.2.1 main", who: "192.0.2.2 main"}
    assert list(found.cleared) == [who]
    assert given(after, written(after, ledger)) == {other: "192.0.2.1 main", who: "192.0.2.2 main"}


def test_when_one_of_those_that_share_goes_the_others_stay() -> None:
    two = holds("b", "key", "TCP/443")
    world = cluster(FIRST, two, pools=[ONE])
    ledger = written(world, {})
    alone = cluster(two, pools=[ONE])
    [entry] = written(alone, ledger).values()
    assert [item.key for item in entry.holders] == ["bank/b"]
    assert entry.term == 1


def test_shared_addresses_are_adopted_from_what_is_shown() -> None:
    shown: dict[str, Any] = {"shown": "192.0.2.1", "shown_pool": "one"}
    world = cluster(
        service("shop/a", sharing=sharing("key", "TCP/80"), **shown),
        service("shop/b", sharing=sharing("key", "TCP/443"), **shown),
        pools=[ONE],
    )
    assert given(world, {}) == {"shop/a": HERE, "shop/b": HERE}


def test_who_turns_to_another_class_and_still_shows_a_shared_address_keeps_its_ports() -> None:
    stranger = service(
        "shop/gone",
        shown="192.0.2.1",
        shown_pool="small",
        ours=False,
        wants_address=False,
        sharing=sharing("k", "TCP/443"),
    )
    stays = service("shop/stays", sharing=sharing("k", "TCP/80"))
    new = service("shop/new", sharing=sharing("k", "TCP/443"))
    world = cluster(stranger, stays, new, pools=[pool("small", "192.0.2.1/32")])
    found = allocate(world, held(holding("192.0.2.1", stays)), NOW)
    assert found.granted.keys() == {"shop/stays"}
    assert found.refused.keys() == {"shop/new"}
