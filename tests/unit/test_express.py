"""Which Services may have their addresses before the whole is decided again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from bellmetal.allocation import Decision
from bellmetal.cluster import Cluster, Service, Shown
from bellmetal.config import Config
from bellmetal.express import Basis, Express
from builders import NOW, addresses, cluster, pool, service, sharing

NEW = service("shop/new")


def express(*services: Service, pools: str = "192.0.2.0/29") -> tuple[Express, Cluster, Basis]:
    """One that keeps a decision about these Services."""
    whole = cluster(*services, pools=[pool("main", pools)])
    decision, it = Decision(whole, {}, NOW), Express()
    basis = Basis(whole.config, 1, frozenset())
    it.keep(decision, decision.run(), basis)
    KNOWN[it] = dict(whole.services)
    return it, whole, basis


CHANGES = itertools.count()
KNOWN: WeakKeyDictionary[Express, dict[str, Service]] = WeakKeyDictionary()  # what there is


def served(it: Express, basis: Basis, *changed: Service, gone: str = "") -> dict[str, list[str]]:
    known = KNOWN[it]
    known |= {item.key: item for item in changed}
    known.pop(gone, None)
    changes = next(CHANGES)
    assert not it.has_seen(changes, basis)
    services, granted = it.serve(known, changes, basis)
    assert it.has_seen(changes, basis) is (it.standing(basis) is not None)
    assert services.keys() == granted.keys()
    return {key: [str(a) for a in item.addresses] for key, item in granted.items()}


def showing(item: Service, *texts: str) -> Service:
    return replace(item, shown=Shown(addresses(*texts), "main", ()))


def test_who_is_new_is_served_at_once_and_then_has_it() -> None:
    it, _, basis = express(service("shop/old"))
    assert served(it, basis, NEW) == {"shop/new": ["192.0.2.1"]}
    shown = showing(service("shop/old"), "192.0.2.0"), showing(NEW, "192.0.2.1")
    assert served(it, basis, *shown, service("shop/newer")) == {"shop/newer": ["192.0.2.2"]}


def test_the_oldest_comes_first() -> None:
    it, _, basis = express()
    older = service("shop/z", created="2025-01-01T00:00:00Z")
    assert served(it, basis, NEW, older) == {"shop/z": ["192.0.2.0"], "shop/new": ["192.0.2.1"]}


OLD = service("shop/old")


@pytest.mark.parametrize(
    "changed",
    [
        replace(OLD, labels={"tier": "web"}),
        replace(OLD, wants_address=False),
        showing(OLD, "192.0.2.5"),  # what we did not give it
        showing(service("shop/other"), "192.0.2.6"),
        replace(showing(service("shop/other"), "192.0.2.6"), ours=False),
    ],
    ids=["labels", "type", "shows another", "new and shows one", "of another class"],
)
def test_with_any_other_change_the_whole_comes_first(changed: Service) -> None:
    it, _, basis = express(OLD)
    assert served(it, basis, NEW, changed) == {}
    assert served(it, basis, NEW) == {}, "until it has been decided"


def test_who_is_gone_had_an_address() -> None:
    it, _, basis = express(OLD)
    assert served(it, basis, NEW, gone=OLD.key) == {}


def test_who_came_and_went_meanwhile_matters_not() -> None:
    it, _, basis = express(OLD)
    assert served(it, basis, NEW, gone="shop/brief") == {"shop/new": ["192.0.2.1"]}


@pytest.mark.parametrize(
    "other",
    [{"config": Config()}, {"loads": 2}, {"shy": frozenset(addresses("192.0.2.1"))}],
    ids=["configuration", "ledger read again", "addresses of nodes"],
)
def test_on_another_basis_nothing_is_served(other: dict[str, Any]) -> None:
    it, _, basis = express(OLD)
    assert served(it, replace(basis, **other), NEW) == {}


def test_whoever_waits_comes_before_the_new() -> None:
    it, _, basis = express(service("shop/a"), service("shop/b"), pools="192.0.2.0/32")
    assert served(it, basis, NEW) == {}


def test_who_is_refused_or_shares_waits_for_the_whole() -> None:
    old = service("shop/old", "192.0.2.0", sharing=sharing("key", "TCP/80"))
    it, _, basis = express(old)
    refused = service("shop/lost", pool="nowhere")
    shares = service("shop/shares", "192.0.2.0", sharing=sharing("key", "TCP/81"))
    assert served(it, basis, refused, shares, NEW) == {"shop/new": ["192.0.2.1"]}
    assert it.standing(basis) is None


def test_a_decision_stands_as_long_as_nothing_changes_that_it_depends_on() -> None:
    it, _, basis = express(OLD)
    served(it, basis, showing(OLD, "192.0.2.0"), NEW)
    found = it.standing(basis)
    assert found is not None
    given = {key: str(item.addresses[0]) for key, item in found.granted.items()}
    assert given == {"shop/old": "192.0.2.0", "shop/new": "192.0.2.1"}
    assert it.standing(replace(basis, loads=2)) is None
    served(it, basis, gone=OLD.key)
    assert it.standing(basis) is None


def test_nothing_is_served_before_anything_is_decided_or_after_a_failure() -> None:
    it, _, basis = express(OLD)
    it.forget()
    assert served(it, basis, NEW) == {}
