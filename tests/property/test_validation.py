"""Problems: all of them, and none hides another."""

from __future__ import annotations

import random

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from bellmetal.addresses import Range
from bellmetal.config import Labelled, Problem
from bellmetal.resources import (
    IPAddressPool,
    IPAddressPoolSpec,
    L2Advertisement,
    L2AdvertisementSpec,
    LabelSelector,
    MatchExpression,
    PreferredNodeSelector,
    ServiceAllocation,
)
from bellmetal.validation import Objects, Validated, validate
from builders import advertisement_object, metadata, pool_object

NAMES = ["a", "b", "c", "d"]
GOOD_ENTRY = st.builds(
    lambda third, length: f"192.0.{third}.0/{length}", st.integers(0, 3), st.integers(23, 26)
)
BAD_ENTRY = st.sampled_from(["", "web", "192.0.2.1", "192.0.2.9-192.0.2.1", "fe80::%1/64"])
BAD_SELECTOR = st.sampled_from(
    [
        LabelSelector(match_expressions=[MatchExpression("a", operator, values)])
        for operator, values in (("", None), ("in", ["x"]), ("In", None), ("Exists", ["x"]))
    ]
)
SELECTOR = st.builds(
    LabelSelector, st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)
)
SELECTORS = st.lists(SELECTOR | BAD_SELECTOR, max_size=2)
AGE = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])


def _pool(name: str, age: str, entries: list[str], selectors: list[LabelSelector]) -> IPAddressPool:
    allocation = ServiceAllocation(service_selectors=selectors) if selectors else None
    return IPAddressPool(
        metadata=metadata(f"metallb-system/{name}", creation_timestamp=age),
        spec=IPAddressPoolSpec(addresses=entries, service_allocation=allocation),
    )


POOL = st.builds(
    _pool, st.sampled_from(NAMES), AGE, st.lists(GOOD_ENTRY | BAD_ENTRY, max_size=3), SELECTORS
)
ADVERTISEMENT = st.builds(
    lambda name, age, pools, selectors, weights: L2Advertisement(
        metadata=metadata(f"metallb-system/{name}", creation_timestamp=age),
        spec=L2AdvertisementSpec(
            ip_address_pools=pools,
            node_selectors=selectors,
            preferred_node_selectors=[PreferredNodeSelector(weight) for weight in weights],
        ),
    ),
    st.sampled_from(NAMES),
    AGE,
    st.lists(st.sampled_from([*NAMES, "lost"]), max_size=2),
    SELECTORS,
    st.lists(st.integers(-1, 102), max_size=2),
)
POOLS = st.lists(POOL, max_size=4, unique_by=lambda item: item.metadata.name)
ADVERTISEMENTS = st.lists(ADVERTISEMENT, max_size=3, unique_by=lambda item: item.metadata.name)


def check(pools: list[IPAddressPool], advertisements: list[L2Advertisement]) -> Validated:
    return validate(
        Objects(
            pools=tuple(pools),
            l2_advertisements=tuple(advertisements),
            namespaces={"shop": Labelled("shop", {"a": "x"})},
        )
    )


def places(problems: tuple[Problem, ...]) -> set[tuple[str, str, str]]:
    """Where problems are; what is said of them may change with what is near."""
    return {(item.kind, item.name, item.path) for item in problems}


@given(POOLS, ADVERTISEMENTS, st.data())
def test_adding_a_problem_to_a_pool_never_hides_another(
    pools: list[IPAddressPool], advertisements: list[L2Advertisement], data: st.DataObject
) -> None:
    filled = [index for index, item in enumerate(pools) if item.spec.addresses]
    assume(filled)
    index = data.draw(st.sampled_from(filled))
    entries = [*(pools[index].spec.addresses or []), data.draw(BAD_ENTRY)]
    spec = replace(pools[index].spec, addresses=entries)
    worse = [*pools]
    worse[index] = replace(pools[index], spec=spec)
    before, after = (places(check(found, advertisements).problems) for found in (pools, worse))
    added = f"spec.addresses[{len(entries) - 1}]"
    assert after == before | {("IPAddressPool", pools[index].metadata.name, added)}


@given(POOLS, st.lists(ADVERTISEMENT, min_size=1, max_size=1), BAD_SELECTOR)
def test_adding_a_problem_to_an_advertisement_never_hides_another(
    pools: list[IPAddressPool], advertisements: list[L2Advertisement], bad: LabelSelector
) -> None:
    [item] = advertisements
    selectors = [*(item.spec.node_selectors or []), bad]
    worse = replace(item, spec=replace(item.spec, node_selectors=selectors))
    before, after = (places(check(pools, [found]).problems) for found in (item, worse))
    assert before < after


@given(POOLS, ADVERTISEMENTS)
def test_adding_an_invalid_object_never_hides_a_problem_of_another(
    pools: list[IPAddressPool], advertisements: list[L2Advertisement]
) -> None:
    before = places(check(pools, advertisements).problems)
    more = check(
        [*pools, pool_object("zebra", "web")],
        [*advertisements, advertisement_object("zebra", ip_address_pools=["nowhere"])],
    )
    assert before | {
        ("IPAddressPool", "zebra", "spec.addresses[0]"),
        ("L2Advertisement", "zebra", "spec.ipAddressPools[0]"),
    } == places(more.problems)


@given(POOLS, ADVERTISEMENTS, st.integers())
def test_the_order_of_objects_does_not_matter(
    pools: list[IPAddressPool], advertisements: list[L2Advertisement], seed: int
) -> None:
    dice = random.Random(seed)
    shuffled = (
        dice.sample(pools, len(pools)),
        dice.sample(advertisements, len(advertisements)),
    )
    assert check(pools, advertisements) == check(*shuffled)


@given(POOLS, ADVERTISEMENTS)
def test_what_is_in_force_is_sound(
    pools: list[IPAddressPool], advertisements: list[L2Advertisement]
) -> None:
    validated = check(pools, advertisements)
    faulty = {(item.kind, item.name) for item in validated.problems}
    config = validated.config
    assert [item.name for item in config.pools] == sorted(item.metadata.name for item in pools)
    for pool in config.pools:
        assert pool.broken == (("IPAddressPool", pool.name) in faulty)
        assert bool(pool.ranges) != pool.broken
    entries: list[Range] = [entry for pool in config.pools for entry in pool.ranges]
    for index, entry in enumerate(entries):
        assert not any(entry.overlaps(other) for other in entries[:index])


@given(st.lists(st.text() | st.text(alphabet="0123456789abcdef.:/- ", max_size=30), max_size=4))
def test_arbitrary_texts_as_addresses_are_ranges_or_problems(entries: list[str]) -> None:
    validated = check([pool_object(addresses=entries)], [])
    [pool] = validated.config.pools
    assert pool.broken == bool(validated.problems)
    if not pool.broken:
        assert len(pool.ranges) == len(entries)


@given(
    st.text(max_size=5), st.text(max_size=8), st.lists(st.text(max_size=5), max_size=2) | st.none()
)
def test_arbitrary_expressions_are_selectors_or_problems(
    key: str, operator: str, values: list[str] | None
) -> None:
    expression = LabelSelector(match_expressions=[MatchExpression(key, operator, values)])
    validated = check([], [advertisement_object(node_selectors=[expression])])
    assert bool(validated.config.l2_advertisements) != bool(validated.problems)
