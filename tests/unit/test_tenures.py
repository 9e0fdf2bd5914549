"""Who owned an address before, and why another node does now."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bellmetal.cluster import Cluster, Endpoints
from bellmetal.holdings import Holding, Tenure, entry_from_holding
from bellmetal.standing import Standing
from bellmetal.tenures import FIRST, LONGEST, MOST, reason, succeed
from builders import LONG_AGO, NOW, announcement, cluster, holding, node, service

WEB = service("shop/web")
LOCAL = service("shop/web", local_only=True)
ENDS = {"shop/web": Endpoints(True, frozenset(["n1", "n2"]), frozenset(["n2"]))}
EVERYWHERE = ("n1", "n2", "n3")


def why(
    world: Cluster, present: Standing | None = None, nodes: tuple[str, ...] = EVERYWHERE
) -> str:
    """Why n2 owns what was n1's."""
    before, after = announcement(owner="n1"), announcement(owner="n2", term=2)
    return reason(world, before, after, present or Standing("n1", 1), nodes)


TOOK = Standing("n2", 1, confirmed=False)


@pytest.mark.parametrize(
    ("world", "present", "nodes", "said"),
    [
        pytest.param(
            cluster(WEB, nodes=["n2", "n3"]), TOOK, EVERYWHERE, "n1 is no node any more", id="gone"
        ),
        pytest.param(
            cluster(WEB, nodes=[node("n1", ready=False), "n2"]),
            TOOK,
            EVERYWHERE,
            "took over from n1: its node is not ready",
            id="a dead node",
        ),
        pytest.param(
            cluster(WEB),
            TOOK,
            EVERYWHERE,
            "took over from n1: its speaker was silent or stopped",
            id="a dead speaker",
        ),
        pytest.param(
            cluster(service("shop/web", move_to="n2")),
            None,
            EVERYWHERE,
            "moved by order (bellmetal.io/move-to)",
            id="an order",
        ),
        pytest.param(
            cluster(WEB, nodes=[node("n1", draining="maintenance"), "n2"]),
            None,
            EVERYWHERE,
            "drain of n1: maintenance",
            id="a drain",
        ),
        pytest.param(
            cluster(WEB), None, ("n2", "n3"), "n1 may not own it any more", id="not selected"
        ),
        pytest.param(
            cluster(LOCAL, endpoints=ENDS),
            None,
            EVERYWHERE,
            "the endpoints on n1 are ending",
            id="local endpoints that end",
        ),
        pytest.param(cluster(WEB), None, EVERYWHERE, "preferred", id="the user prefers n2"),
    ],
)
def test_why_it_moved(
    world: Cluster, present: Standing | None, nodes: tuple[str, ...], said: str
) -> None:
    assert why(world, present, nodes) == said


def owners(*tenures: tuple[str, str, str]) -> tuple[Tenure, ...]:
    return tuple(Tenure(*item) for item in tenures)


def test_the_first_owner_is_written_down_when_the_second_one_comes() -> None:
    after = succeed(holding("192.0.2.1", "shop/web"), "n1", "n2", "preferred", NOW)
    assert after.owners == owners(("n2", NOW, "preferred"), ("n1", LONG_AGO, FIRST))


def test_a_first_owner_since_nobody_knows_when() -> None:
    after = succeed(holding("192.0.2.1"), "n1", "n2", "preferred", NOW)
    assert after.owners == owners(("n2", NOW, "preferred"), ("n1", "", FIRST))


def test_an_owner_of_whom_nothing_was_written_stands_between() -> None:
    before = holding("192.0.2.1", owners=owners(("n1", LONG_AGO, "preferred")))
    after = succeed(before, "n3", "n2", "preferred", NOW)
    assert [item.node for item in after.owners] == ["n2", "n3", "n1"]


def test_the_last_few_are_kept() -> None:
    found: Any = holding("192.0.2.1", "shop/web")
    for number in range(9):
        found = succeed(found, f"n{number}", f"n{number + 1}", "preferred", NOW)
    assert [item.node for item in found.owners] == ["n9", "n8", "n7", "n6", "n5"]
    assert len(found.owners) == MOST


def test_a_full_shard_stays_far_below_what_etcd_takes() -> None:
    """1.5 MB is etcd's limit; 256 addresses, the longest names and reasons there can be."""
    found: Holding = holding("192.0.2.1", "shop/web")
    for letter in "abcdef":
        found = succeed(found, letter * 253, chr(ord(letter) + 1) * 253, "x" * 1000, NOW)
    assert {len(item.why) for item in found.owners} == {LONGEST}
    assert len(msgspec.json.encode(entry_from_holding(found))) * 256 < 700_000
