"""Two allocations → rows."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import parse_address
from bellmetal.cluster import Cluster
from bellmetal.comparison import (
    DELETED,
    NOT_OURS,
    Moment,
    Row,
    compare,
    decide,
    follow,
    moves,
    renumbers,
)
from bellmetal.config import OnOrphan
from builders import NOW, cluster, pool, service

OLD, NEW = "192.0.2.1-192.0.2.3", "198.51.100.1-198.51.100.3"
ORPHAN = '["192.0.2.1"] is not allowed in config'


def moment(*services: Any, pools: Any = None, **fields: Any) -> Moment:
    wanted = [pool("main", OLD)] if pools is None else pools
    return decide(cluster(*services, pools=wanted, **fields), {}, NOW)


def then(before: Moment, world: Cluster) -> list[Row]:
    return list(compare(before, follow(before, world, NOW)))


def brief(row: Row) -> tuple[str, str, str, bool]:
    """Outcome, addresses, why, and whether it hurts."""
    return row.outcome.value, ",".join(map(str, row.then.addresses)), row.why, row.hurts


@pytest.mark.parametrize(
    ("pools", "fields", "expected"),
    [
        pytest.param([pool("main", OLD)], {}, ("keeps", "192.0.2.1", "", False), id="as it is"),
        pytest.param([pool("b", OLD)], {}, ("keeps", "192.0.2.1", "", False), id="renamed"),
        pytest.param([pool("main", NEW)], {}, ("orphaned", "192.0.2.1", "", False), id="moved"),
        pytest.param([], {}, ("orphaned", "192.0.2.1", "", False), id="deleted"),
        pytest.param(
            [pool("main", broken=True)], {}, ("keeps", "192.0.2.1", "", False), id="invalid"
        ),
        pytest.param(
            [pool("main", NEW)],
            {"on_orphan": OnOrphan.RENUMBER},
            ("changes", "198.51.100.1", ORPHAN, True),
            id="renumbered",
        ),
        pytest.param(
            [pool("main", NEW, on_orphan=OnOrphan.RENUMBER)],
            {},
            ("changes", "198.51.100.1", ORPHAN, True),
            id="renumbered as the pool asks for",
        ),
        pytest.param(
            [], {"on_orphan": OnOrphan.RENUMBER}, ("loses", "", ORPHAN, True), id="nothing left"
        ),
    ],
)
def test_what_a_service_has_when_its_pool_changes(
    pools: Any, fields: Any, expected: tuple[str, str, str, bool]
) -> None:
    [row] = then(moment(service()), cluster(service(), pools=pools, **fields))
    assert brief(row) == expected


@pytest.mark.parametrize(
    ("now", "later", "expected"),
    [
        pytest.param(None, service(), ("gets", "192.0.2.1", "", False), id="new"),
        pytest.param(service(), None, ("loses", "", DELETED, True), id="deleted"),
        pytest.param(
            service(), service(wants_address=False), ("loses", "", NOT_OURS, True), id="ClusterIP"
        ),
        pytest.param(
            service(), service(per_family=2), ("gets", "192.0.2.1,192.0.2.2", "", False), id="more"
        ),
        pytest.param(
            service(per_family=2), service(), ("loses", "192.0.2.1", "", True), id="fewer"
        ),
        pytest.param(
            service(), service("shop/web", "192.0.2.3"), ("changes", "192.0.2.3", "", True), id="it"
        ),
        pytest.param(
            service(),
            service("shop/web", "203.0.113.1"),
            ("keeps", "192.0.2.1", "", True),
            id="asks for what it cannot have",
        ),
        pytest.param(
            None, service("shop/web", "203.0.113.1"), ("refused", "", "", True), id="new, refused"
        ),
        pytest.param(
            service("shop/web", "203.0.113.1"),
            service("shop/web", "203.0.113.2"),
            ("refused", "", "", False),
            id="refused before and after",
        ),
    ],
)
def test_what_a_service_has_when_it_changes_itself(
    now: Any, later: Any, expected: tuple[str, str, str, bool]
) -> None:
    before = moment(*([now] if now else []))
    world = cluster(*([later] if later else []), pools=[pool("main", OLD)])
    [row] = then(before, world)
    assert brief(row) == expected


def test_what_nothing_happens_to_is_not_changed_and_a_renamed_pool_is_a_change() -> None:
    before = moment(service())
    assert [row.changed for row in then(before, before.cluster)] == [False]
    [row] = then(before, cluster(service(), pools=[pool("b", OLD)]))
    assert (row.now.pool, row.then.pool, row.changed) == ("main", "b", True)


def test_an_orphan_that_stays_one_is_not_changed() -> None:
    orphaned = follow(moment(service()), cluster(service(), pools=[]), NOW)
    [row] = then(orphaned, cluster(service(), pools=[]))
    assert (row.outcome.value, row.changed) == ("orphaned", False)


def test_rows_are_sorted_and_services_without_a_wish_have_none() -> None:
    before = moment(service("b/b"), service("a/c"), service("a/a", wants_address=False))
    assert [row.service for row in then(before, before.cluster)] == ["a/c", "b/b"]


def test_what_is_decided_is_what_services_show_at_the_next_moment() -> None:
    given = moment(service())
    lost = follow(given, cluster(service(), pools=[], on_orphan=OnOrphan.RENUMBER), NOW)
    back = follow(lost, cluster(service(), pools=[pool("main", OLD)]), NOW)
    assert back.cluster.services["shop/web"].shown.addresses == ()
    assert back.allocations.granted["shop/web"].addresses == (parse_address("192.0.2.1"),)


def test_what_somebody_else_gave_stays_in_the_status() -> None:
    foreign = service(shown=["203.0.113.9"])
    world = cluster(foreign, pools=[])
    after = follow(moment(foreign, pools=[]), world, NOW)
    assert after.cluster.services["shop/web"].shown == foreign.shown


def test_whether_anything_is_renumbered() -> None:
    asks = pool("b", NEW, on_orphan=OnOrphan.RENUMBER)
    keeps = pool("b", NEW, on_orphan=OnOrphan.KEEP)
    assert not renumbers(cluster(pools=[pool()]))
    assert renumbers(cluster(pools=[pool(), asks]))
    assert renumbers(cluster(pools=[keeps], on_orphan=OnOrphan.RENUMBER))


def test_who_moves_although_it_was_expected_to_keep() -> None:
    wish = {"on_orphan": OnOrphan.RENUMBER}
    before = moment(service())
    shrunk = cluster(service(), pools=[pool("main", "192.0.2.2-192.0.2.3", **wish)])
    split = cluster(
        service(),
        pools=[pool("main", "192.0.2.2-192.0.2.3", **wish), pool("low", "192.0.2.1/32", **wish)],
    )
    at_once = compare(before, follow(before, split, NOW))
    one_by_one = compare(before, follow(follow(before, shrunk, NOW), split, NOW))
    assert [row.outcome.value for row in at_once] == ["keeps"]
    assert [str(row.then.addresses[0]) for row in moves(at_once, one_by_one)] == ["192.0.2.2"]
    assert moves(at_once, at_once) == ()
