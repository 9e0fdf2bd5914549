"""Pools and advertisements: what they allow and select."""

from __future__ import annotations

import pytest

from bellmetal.addresses import Family, parse_address
from bellmetal.config import Config, Problem
from builders import addresses, advertisement, labelled, pool, ranges


@pytest.mark.parametrize(
    ("address", "avoid_buggy", "allowed"),
    [
        pytest.param("192.0.2.7", False, True, id="inside"),
        pytest.param("192.0.3.7", False, False, id="outside"),
        pytest.param("192.0.2.0", False, True, id=".0 is like any other"),
        pytest.param("192.0.2.0", True, False, id=".0 is avoided where that is asked for"),
        pytest.param("192.0.2.255", True, False, id=".255 is avoided where that is asked for"),
    ],
)
def test_what_a_pool_allows(address: str, avoid_buggy: bool, allowed: bool) -> None:
    assert pool(avoid_buggy=avoid_buggy).allows(parse_address(address)) is allowed


@pytest.mark.parametrize(
    ("entries", "avoid_buggy", "capacity"),
    [
        pytest.param(["192.0.2.0/24"], False, 256, id="a /24"),
        pytest.param(["192.0.2.0/24"], True, 254, id="a /24 without its buggy addresses"),
        pytest.param(["192.0.2.0/30", "192.0.2.9-192.0.2.9"], False, 5, id="two entries"),
    ],
)
def test_capacity(entries: list[str], avoid_buggy: bool, capacity: int) -> None:
    assert pool("main", *entries, avoid_buggy=avoid_buggy).capacity(Family.IPV4) == capacity


@pytest.mark.parametrize(
    ("namespace", "labels", "admitted"),
    [
        pytest.param("shop", {"tier": "web"}, True, id="both match"),
        pytest.param("shop", {}, False, id="the labels do not match"),
        pytest.param("bank", {"tier": "web"}, False, id="the namespace does not match"),
    ],
)
def test_a_pool_with_both_criteria_wants_both(
    namespace: str, labels: dict[str, str], admitted: bool
) -> None:
    reserved = pool(namespaces=frozenset(["shop"]), service_selectors=(labelled(tier="web"),))
    assert reserved.pinned
    assert reserved.admits(namespace, labels) is admitted


def test_a_pool_without_criteria_admits_everybody() -> None:
    assert not pool().pinned
    assert pool().admits("shop", {})


def test_a_pool_for_no_namespace_at_all_is_pinned_and_admits_nobody() -> None:
    assert pool(namespaces=frozenset()).pinned
    assert not pool(namespaces=frozenset()).admits("shop", {})


def test_what_is_excluded_is_as_if_it_were_not_in_the_pool() -> None:
    noun = pool("main", "192.0.2.0/29", "2001:db8::/126", excluded=ranges("192.0.2.2-192.0.2.3"))
    assert [str(piece) for piece in noun.pieces(Family.IPV4)] == [
        "192.0.2.0-192.0.2.1",
        "192.0.2.4-192.0.2.7",
    ]
    assert (noun.capacity(Family.IPV4), noun.capacity(Family.IPV6)) == (6, 4)
    allowed = [noun.allows(address) for address in addresses("192.0.2.1", "192.0.2.2")]
    assert allowed == [True, False]


def test_a_pool_may_be_larger_than_a_64_bit_number() -> None:
    assert pool("main", "2001:db8::/32").capacity(Family.IPV6) == 2**96


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        pytest.param({}, True, id="naming nothing selects all pools"),
        pytest.param({"pools": "main"}, True, id="by name"),
        pytest.param({"pools": "other"}, False, id="another name"),
        pytest.param({"pool_selectors": (labelled(zone="a"),)}, True, id="by label"),
        pytest.param({"pool_selectors": (labelled(zone="b"),)}, False, id="another label"),
        pytest.param(
            {"pools": "other", "pool_selectors": (labelled(zone="a"),)},
            True,
            id="either is enough",
        ),
    ],
)
def test_which_pools_an_advertisement_selects(fields: dict[str, object], selected: bool) -> None:
    assert advertisement(**fields).selects_pool("main", {"zone": "a"}) is selected


def test_which_services_and_nodes_an_advertisement_selects() -> None:
    chosen = advertisement(
        service_selectors=(labelled(tier="web"),), node_selectors=(labelled(zone="a"),)
    )
    assert chosen.selects_service({"tier": "web"})
    assert not chosen.selects_service({})
    assert chosen.selects_node({"zone": "a"})
    assert not chosen.selects_node({"zone": "b"})
    assert advertisement().selects_service({})
    assert advertisement().selects_node({})


def test_a_pool_is_found_by_name_and_by_address() -> None:
    first, second = pool("first", "192.0.2.0/25"), pool("second", "192.0.2.128/25")
    config = Config((first, second))
    [low, high, outside] = addresses("192.0.2.1", "192.0.2.129", "198.51.100.1")
    assert (config.pool("second"), config.pool("third")) == (second, None)
    assert [config.pool_of(a) for a in (low, high, outside)] == [first, second, None]


def test_a_problem_reads_as_a_sentence() -> None:
    problem = Problem("IPAddressPool", "main", "spec.addresses[1]", '"x" is nothing', "uid")
    assert str(problem) == 'IPAddressPool/main spec.addresses[1]: "x" is nothing'
