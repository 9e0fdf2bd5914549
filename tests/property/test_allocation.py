"""Allocation: no address twice, nothing held moves, the order of the input does not matter."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from bellmetal.addresses import IPAddress, parse_address
from bellmetal.allocation import Allocations, Decision, allocate
from bellmetal.cluster import Cluster, Service, Shown
from bellmetal.config import Pool
from bellmetal.holdings import Holding, Holdings
from bellmetal.settlement import settle
from builders import NOW, cluster, held, holding, labelled, pool, service

KEYS = [f"{namespace}/{name}" for namespace in ("shop", "bank") for name in "abcd"]
TEXTS = [f"192.0.{net}.{last}" for net in range(3) for last in range(4)]
POOL_NAMES = ["p0", "p1", "p2"]


@st.composite
def pools(draw: st.DrawFn) -> list[Pool]:
    """Small pools that do not overlap."""
    chosen = draw(st.lists(st.sampled_from(range(3)), unique=True, max_size=3))
    return [
        pool(
            f"p{number}",
            draw(st.sampled_from([f"192.0.{number}.0/30", f"192.0.{number}.1/32"])),
            auto_assign=draw(st.booleans()),
            avoid_buggy=draw(st.booleans()),
            priority=draw(st.integers(0, 2)),
            namespaces=draw(st.sampled_from([None, None, frozenset(["shop"])])),
            service_selectors=draw(st.sampled_from([(), (), (labelled(tier="web"),)])),
        )
        for number in chosen
    ]


@st.composite
def services(draw: st.DrawFn) -> list[Service]:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=6))
    return [
        service(
            key,
            draw(st.lists(st.sampled_from(TEXTS), max_size=1)),
            pool=draw(st.sampled_from(["", "", *POOL_NAMES, "lost"])),
            fault=draw(st.sampled_from(["", "", "", "what?"])),
            shown=draw(st.lists(st.sampled_from(TEXTS), max_size=2)),
            shown_pool=draw(st.sampled_from(["", *POOL_NAMES])),
            created=draw(st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])),
            labels=draw(st.sampled_from([{}, {"tier": "web"}])),
            wants_address=draw(st.sampled_from([True, True, True, False])),
        )
        for key in keys
    ]


@st.composite
def ledgers(draw: st.DrawFn) -> dict[IPAddress, Holding]:
    texts = draw(st.lists(st.sampled_from(TEXTS), unique=True, max_size=5))
    return held(
        *[
            holding(
                text,
                *draw(st.lists(st.sampled_from(KEYS), max_size=1)),
                term=draw(st.integers(1, 5)),
                pool=draw(st.sampled_from(POOL_NAMES)),
            )
            for text in texts
        ]
    )


WORLDS = st.builds(lambda found, wanting: cluster(*wanting, pools=found), pools(), services())


def owners(allocations: Allocations) -> list[IPAddress]:
    return [a for item in allocations.granted.values() for a in item.addresses]


def after(world: Cluster, ledger: Holdings) -> dict[IPAddress, Holding]:
    """The ledger, once what was decided is written there."""
    changes = settle(allocate(world, ledger, NOW), world.services, ledger, NOW)
    return {**ledger, **{item.address: item for item in changes}}


@given(WORLDS, ledgers())
def test_no_address_is_given_twice(world: Cluster, ledger: Holdings) -> None:
    given_ = owners(allocate(world, ledger, NOW))
    assert len(given_) == len(set(given_))


@given(WORLDS, ledgers())
def test_every_service_that_wants_an_address_has_one_or_a_refusal(
    world: Cluster, ledger: Holdings
) -> None:
    found = allocate(world, ledger, NOW)
    wanting = {key for key, item in world.services.items() if item.wants_address}
    assert found.granted.keys() | found.refused.keys() == wanting


@given(WORLDS, ledgers())
def test_what_is_held_stays_unless_its_service_asks_for_something_else(
    world: Cluster, ledger: Holdings
) -> None:
    found = allocate(world, ledger, NOW)
    for key, item in world.services.items():
        mine = {a for a, entry in ledger.items() if entry.held_by(item.uid)}
        asks = item.request.addresses or item.request.pool
        if item.wants_address and mine and not asks:
            kept = set(found.granted[key].addresses)
            assert kept == mine or (kept < mine and len(kept) == item.per_family)


@given(WORLDS, ledgers())
def test_new_addresses_come_out_of_pools_that_allow_and_admit(
    world: Cluster, ledger: Holdings
) -> None:
    for key, allocation in allocate(world, ledger, NOW).granted.items():
        item = world.services[key]
        for address in allocation.addresses:
            entry = ledger.get(address)
            if (entry and entry.held_by(item.uid)) or address in item.shown.addresses:
                continue
            source = world.config.pool(allocation.pool)
            assert source is not None
            assert source.allows(address)
            assert source.admits(item.namespace, item.labels)


@given(WORLDS, ledgers(), st.integers())
def test_the_order_of_the_input_does_not_matter(
    world: Cluster, ledger: Holdings, seed: int
) -> None:
    dice = random.Random(seed)
    mixed = list(world.services.values())
    dice.shuffle(mixed)
    entries = list(ledger.values())
    dice.shuffle(entries)
    again = allocate(cluster(*mixed, pools=world.config.pools), held(*entries), NOW)
    assert again == allocate(world, ledger, NOW)


@given(WORLDS, ledgers())
def test_after_the_ledger_is_written_a_second_pass_changes_nothing(
    world: Cluster, ledger: Holdings
) -> None:
    # what one Service shows and another gives back (it is gone, or holds too many) is adopted only
    # by the next pass
    first = allocate(world, ledger, NOW)
    kept = {address for item in first.granted.values() for address in item.addresses}
    given_back = {address for address, entry in ledger.items() if entry.holders} - kept
    shown = {address for item in world.services.values() for address in item.shown.addresses}
    assume(not shown & given_back)
    written = after(world, ledger)
    second = allocate(world, written, NOW)
    assert {k: set(v.addresses) for k, v in second.granted.items()} == {
        k: set(v.addresses) for k, v in first.granted.items()
    }
    assert second.refused == first.refused
    assert settle(second, world.services, written, NOW) == ()


@given(WORLDS, st.lists(services(), max_size=3), ledgers())
def test_terms_never_fall_and_rise_with_every_new_holder(
    world: Cluster, later: list[list[Service]], ledger: Holdings
) -> None:
    for wanting in [list(world.services.values()), *later]:
        written = after(cluster(*wanting, pools=world.config.pools), ledger)
        assert written.keys() >= ledger.keys()
        for address, entry in ledger.items():
            new = {item.uid for item in written[address].holders}
            taken_over = bool(new) and not new & {item.uid for item in entry.holders}
            assert written[address].term == entry.term + taken_over
        ledger = written


@given(WORLDS, ledgers(), services())
def test_nothing_held_moves_because_services_come_and_go(
    world: Cluster, ledger: Holdings, others: list[Service]
) -> None:
    written = after(world, ledger)
    before = allocate(world, written, NOW).granted
    idle = {key for key, item in world.services.items() if not item.request.addresses}
    newcomers = [item for item in others if item.key not in world.services]
    more = cluster(*world.services.values(), *newcomers, pools=world.config.pools)
    granted = allocate(more, written, NOW).granted
    for key in idle & before.keys():
        if not world.services[key].request.pool:
            assert granted[key].addresses == before[key].addresses


@given(WORLDS, ledgers())
def test_a_refusal_for_want_of_addresses_means_that_there_are_none(
    world: Cluster, ledger: Holdings
) -> None:
    found = allocate(world, ledger, NOW)
    taken = set(owners(found))
    free = [parse_address(text) for text in TEXTS if parse_address(text) not in taken]
    for key, refused in found.refused.items():
        item = world.services[key]
        if refused.message == "no available IPs":
            for source in world.config.pools:
                usable = source.auto_assign and source.admits(item.namespace, item.labels)
                assert not (usable and any(source.allows(address) for address in free))


@given(WORLDS, ledgers(), st.sets(st.sampled_from(KEYS), min_size=2))
def test_what_is_decided_can_be_extended_by_what_is_new(
    world: Cluster, before: dict[IPAddress, Holding], late: set[str]
) -> None:
    """As if all had been there from the start, where all of it could be served."""
    new = {
        key: replace(item, shown=Shown())
        for key, item in world.services.items()
        if key in late and item.wants_address
    }
    uids = {item.uid for item in new.values()}
    kept = {a: one for a, one in before.items() if uids.isdisjoint(h.uid for h in one.holders)}
    rest = {key: item for key, item in world.services.items() if key not in new}
    first = allocate(replace(world, services=rest), kept, NOW)
    rest = {key: item for key, item in rest.items() if key in first.granted}
    decision = Decision(replace(world, services=rest), kept, NOW)
    first = decision.run()
    if first.refused or first.cleared:
        return  # it is not extended then
    more = decision.extend(new.values())
    added = [a for item in more.values() for a in item.addresses]
    assert len(added) == len({*added} - {*owners(first)}), "no address twice"
    if len(more) == len(new):
        whole = allocate(replace(world, services=rest | new), kept, NOW)
        assert whole.granted == {**first.granted, **more}
