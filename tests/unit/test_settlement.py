"""What the ledger must say after an allocation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bellmetal.allocation import allocate
from bellmetal.cluster import Cluster, Service
from bellmetal.holdings import Holdings, Tenure
from bellmetal.settlement import settle
from builders import LONG_AGO, NOW, cluster, held, holder, holding, service, sharing

N1 = Tenure("n1", LONG_AGO, "first")


def settled(world: Cluster, ledger: Holdings) -> tuple[object, ...]:
    return settle(allocate(world, ledger, NOW), world.services, ledger, NOW)


@pytest.mark.parametrize(
    ("services", "ledger", "changes"),
    [
        pytest.param(
            [service("shop/web")],
            {},
            (holding("192.0.2.0", holder("shop/web", NOW)),),
            id="the first holder ever has term 1",
        ),
        pytest.param(
            [service("shop/web")],
            held(holding("192.0.2.0", "shop/web", term=3)),
            (),
            id="what stands there needs no change",
        ),
        pytest.param(
            [service("shop/web")],
            held(holding("192.0.2.0", term=3, last_holder=holder("bank/a"), freed_at=LONG_AGO)),
            (holding("192.0.2.0", holder("shop/web", NOW), term=4, last_holder=holder("bank/a")),),
            id="a new holder raises the term",
        ),
        pytest.param(
            [service("shop/web", sharing=sharing("k", "TCP/80"))],
            held(holding("192.0.2.0", "shop/web", owners=(N1,))),
            (
                holding(
                    "192.0.2.0",
                    replace(holder("shop/web"), sharing=sharing("k", "TCP/80").digest),
                    owners=(N1,),
                ),
            ),
            id="whoever owned it stands there as long as a Service keeps it",
        ),
        pytest.param(
            [service("shop/web")],
            held(holding("192.0.2.0", "shop/gone", term=3, owners=(N1,))),
            (
                holding(
                    "192.0.2.0", holder("shop/web", NOW), term=4, last_holder=holder("shop/gone")
                ),
            ),
            id="who owned it for another Service is forgotten",
        ),
        pytest.param(
            [],
            held(holding("192.0.2.0", "shop/web", term=3)),
            (holding("192.0.2.0", term=3, last_holder=holder("shop/web"), freed_at=NOW),),
            id="a freed address keeps its term, and remembers whose it was",
        ),
        pytest.param(
            [],
            held(holding("192.0.2.0", term=3, last_holder=holder("bank/a"), freed_at=LONG_AGO)),
            (),
            id="what is free stays free, since when it was",
        ),
        pytest.param(
            [service("shop/web")],
            held(holding("192.0.2.0", "shop/web", pool="renamed")),
            (holding("192.0.2.0", "shop/web"),),
            id="a pool of another name raises no term",
        ),
    ],
)
def test_what_changes_in_the_ledger(
    services: list[Service], ledger: Holdings, changes: tuple[object, ...]
) -> None:
    assert settled(cluster(*services), ledger) == changes


def test_a_move_takes_the_new_address_and_frees_the_old_one() -> None:
    world = cluster(service("shop/web", "192.0.2.7"))
    assert set(settled(world, held(holding("192.0.2.0", "shop/web", term=2)))) == {
        holding("192.0.2.7", holder("shop/web", NOW)),
        holding("192.0.2.0", term=2, last_holder=holder("shop/web"), freed_at=NOW),
    }


def test_of_several_holders_only_one_of_another_class_that_still_shows_it_stays() -> None:
    terms = sharing("k", "TCP/443")
    stranger = service("shop/b", shown="192.0.2.0", sharing=terms, ours=False, wants_address=False)
    idle = service("shop/a", sharing=sharing("k"), wants_address=False)
    ledger = held(holding("192.0.2.0", idle, stranger, "shop/gone", term=3))
    assert settled(cluster(idle, stranger), ledger) == (holding("192.0.2.0", stranger, term=3),)


def test_who_has_no_entry_begins_above_the_floor() -> None:
    world = cluster(service("shop/web"))
    [entry] = settle(allocate(world, {}, NOW), world.services, {}, NOW, floor=7)
    assert entry.term == 8


def test_who_has_an_entry_goes_on_from_there() -> None:
    world = cluster(service("shop/web"))
    entries = held(holding("192.0.2.0", term=3, freed_at=LONG_AGO))
    [entry] = settle(allocate(world, entries, NOW), world.services, entries, NOW, floor=7)
    assert entry.term == 4
