"""While another load balancer runs beside this one: what is adopted, what is announced."""

from __future__ import annotations

import pytest

from bellmetal import resources
from bellmetal.allocation import allocate
from bellmetal.beside import Beside, Stage, adopted, as_shown, read_beside, restrain, seeds
from bellmetal.intents import Announcement, Intents, NodeSet, PeerPlan
from bellmetal.settlement import settle
from builders import NOW, addresses, cluster, pool, service

(A, B, C) = addresses("192.0.2.1", "192.0.2.2", "192.0.2.3")

READ = [
    (None, Beside(Stage.OBSERVE)),
    ({}, Beside(Stage.OBSERVE)),
    ({"stage": "no such"}, Beside(Stage.OBSERVE)),
    ({"stage": "decide", "nodes": "n1, n2,"}, Beside(Stage.DECIDE, frozenset({"n1", "n2"}))),
    ({"stage": "complete", "nodes": ""}, Beside(Stage.COMPLETE)),
]


@pytest.mark.parametrize(("data", "expected"), READ)
def test_what_the_config_map_says(data: dict[str, str] | None, expected: Beside) -> None:
    assert read_beside(data) == expected


# --- observing -----------------------------------------------------------------------------------


def ledger(*services, held=None):  # type: ignore[no-untyped-def]
    """The ledger after an observing pass: address → who holds it."""
    held = held or {}
    shown, kept = as_shown(cluster(*services, pools=[pool()]), held)
    allocations = adopted(shown, allocate(shown, kept, NOW))
    changes = settle(allocations, shown.services, held, NOW)
    return {**held, **{item.address: item for item in changes}}


def holders(found):  # type: ignore[no-untyped-def]
    return {str(a): [one.name for one in item.holders] for a, item in found.items()}


def test_what_is_shown_is_written_down_and_nobody_gets_anything() -> None:
    found = ledger(service("shop/a", shown="192.0.2.1"), service("shop/waits"))
    assert holders(found) == {"192.0.2.1": ["a"]}


def test_the_other_one_moves_an_address_and_the_ledger_follows() -> None:
    before = ledger(service("shop/a", shown="192.0.2.1"))
    after = ledger(service("shop/a", shown="192.0.2.2"), held=before)
    assert holders(after) == {"192.0.2.1": [], "192.0.2.2": ["a"]}


def test_an_address_changes_its_service() -> None:
    before = ledger(service("shop/a", shown="192.0.2.1"))
    after = ledger(service("shop/b", shown="192.0.2.1"), service("shop/a"), held=before)
    assert holders(after) == {"192.0.2.1": ["b"]}
    assert after[A].term > before[A].term


def test_what_no_pool_allows_is_left_as_it_is() -> None:
    assert holders(ledger(service("shop/a", shown="203.0.113.9"))) == {}


def test_a_second_look_changes_nothing() -> None:
    shop = (service("shop/a", shown="192.0.2.1"), service("shop/b", shown="192.0.2.2"))
    before = ledger(*shop)
    assert ledger(*shop, held=before) == before


# --- announcing ----------------------------------------------------------------------------------


def status(node: str, name: str) -> resources.ServiceL2Status:
    told = resources.ServiceL2StatusStatus(node=node, service_name=name, service_namespace="shop")
    return resources.ServiceL2Status(status=told)


def test_an_address_begins_where_the_other_one_answers() -> None:
    shop = cluster(service("shop/a", shown="192.0.2.1"), pools=[pool()])
    found = seeds([status("n2", "a"), status("n3", "gone")], allocate(shop, {}, NOW))
    assert {str(address): item.owner for address, item in found.items()} == {"192.0.2.1": "n2"}


SETS = (NodeSet("all", {"n1": "", "n2": ""}), NodeSet("sessions-all", {"n1": "", "n2": ""}))
INTENTS = Intents(
    (Announcement(A, 1, "n1", "all"),), SETS, peers=(PeerPlan("tor", "sessions-all", 1),)
)

RESTRAINED = [
    (Beside(Stage.DECIDE), [], {}),
    (Beside(Stage.DECIDE, frozenset({"n2"})), [], {"n2": ""}),
    (Beside(Stage.ANNOUNCE, frozenset({"n2"})), ["192.0.2.1"], {"n2": ""}),
    (Beside(Stage.COMPLETE), ["192.0.2.1"], {"n1": "", "n2": ""}),
]


@pytest.mark.parametrize(("beside", "announced", "sessions"), RESTRAINED)
def test_what_may_be_announced_at_a_stage(
    beside: Beside, announced: list[str], sessions: dict[str, str]
) -> None:
    found = restrain(INTENTS, beside)
    assert [str(item.address) for item in found.announcements] == announced
    assert {item.name: item.nodes for item in found.node_sets} == {
        "all": {"n1": "", "n2": ""},
        "sessions-all": sessions,
    }
