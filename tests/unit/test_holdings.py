"""What the ledger says, and how it looks in a shard."""

from __future__ import annotations

import pytest

from bellmetal.addresses import AddressError, parse_address
from bellmetal.holdings import (
    Holding,
    Tenure,
    entry_from_holding,
    holding_from_entry,
    released,
    seconds_between,
)
from bellmetal.resources import LedgerEntry, LedgerHolder, LedgerTenure
from builders import LONG_AGO, NOW, held, holder, holding

N1 = Tenure("n1", LONG_AGO)
WEB = LedgerHolder("uid-shop-web", "shop", "web", LONG_AGO)


@pytest.mark.parametrize(
    ("noun", "entry"),
    [
        pytest.param(
            holding("192.0.2.1", "shop/web", term=3),
            LedgerEntry(3, "main", [WEB]),
            id="held",
        ),
        pytest.param(
            holding("192.0.2.1", term=4, last_holder=holder("shop/web"), freed_at=NOW),
            LedgerEntry(4, "main", [], NOW, WEB),
            id="freed",
        ),
        pytest.param(
            holding("192.0.2.1", holder("shop/web", since="")),
            LedgerEntry(1, "main", [LedgerHolder("uid-shop-web", "shop", "web")]),
            id="held since nobody knows when",
        ),
        pytest.param(
            holding("192.0.2.1", "shop/web", owners=(Tenure("n2", NOW, "preferred"), N1)),
            LedgerEntry(
                1,
                "main",
                [WEB],
                owners=[LedgerTenure("n2", NOW, "preferred"), LedgerTenure("n1", LONG_AGO)],
            ),
            id="with the nodes that owned it",
        ),
    ],
)
def test_a_holding_and_its_entry_say_the_same(noun: Holding, entry: LedgerEntry) -> None:
    assert entry_from_holding(noun) == entry
    assert holding_from_entry("192.0.2.1", entry) == noun


def test_who_stands_in_an_entry_twice_holds_it_once() -> None:
    found = holding_from_entry("192.0.2.1", LedgerEntry(3, "main", [WEB, WEB]))
    assert found == holding("192.0.2.1", "shop/web", term=3)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_time_that_is_none_is_long_ago(text: str) -> None:
    assert seconds_between(text, NOW) == float("inf")


def test_an_entry_of_something_that_is_no_address_is_refused() -> None:
    with pytest.raises(AddressError) as caught:
        holding_from_entry("web", LedgerEntry(1))
    assert str(caught.value) == '"web" is not an IP address'


@pytest.mark.parametrize(
    ("after", "losers"),
    [
        pytest.param(holding("192.0.2.1"), ["shop/a", "shop/b"], id="freed"),
        pytest.param(holding("192.0.2.1", "shop/b"), ["shop/a"], id="shared no more"),
        pytest.param(holding("192.0.2.1", "shop/a", "shop/b", term=9), [], id="a new term"),
        pytest.param(holding("192.0.2.2"), [], id="an address that nobody had"),
    ],
)
def test_who_loses_an_address(after: Holding, losers: list[str]) -> None:
    lost = released(held(holding("192.0.2.1", "shop/a", "shop/b")), [after])
    assert [(item.key, address) for item, address in lost] == [
        (key, parse_address("192.0.2.1")) for key in losers
    ]


def test_who_holds_an_address() -> None:
    found = holding("192.0.2.1", "shop/web")
    assert found.held_by("uid-shop-web")
    assert not found.held_by("uid-shop-api")
    assert found.holders[0].key == "shop/web"
