"""Walkthroughs A, B1 and B2, as `make demo` plays them: each act's steps are checked in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import demo
from lab.failover import LIMIT, Failover
from lab.fixtures import require
from lab.screen import Screen

pytestmark = [pytest.mark.lab, pytest.mark.cluster]


@pytest.fixture(scope="module")
def story() -> Iterator[Failover]:
    """One cluster with our image; the tests below are its acts, in this order."""
    require()
    screen = Screen()
    with demo.cluster(screen) as lab:
        yield Failover(lab, screen)


def test_a_chart_is_installed_and_takes_a_pool_at_once(story: Failover) -> None:
    story.install()


def test_services_get_addresses_in_order_and_describe_tells_all(story: Failover) -> None:
    story.services()


def test_a_client_reaches_both_pods_through_the_node_that_is_named(story: Failover) -> None:
    story.client()


def test_the_owner_dies_and_another_node_answers(story: Failover) -> None:
    story.dies()
    assert 0 < story.outage <= LIMIT
    assert story.heir != story.dead


def test_the_node_returns_and_takes_nothing(story: Failover) -> None:
    story.returns()
