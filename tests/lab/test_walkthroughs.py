"""Walkthroughs A to C, D4 and E2: each act's steps are checked in it. `make demo` plays A and B.

Of the others D1 is `bellmetal migrate`'s, D2 and D3 stand in test_bgp_chart.py and
test_bgp_cluster.py, the rest of E with what it is about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab import demo
from lab.changes import Changes
from lab.failover import LIMIT
from lab.fixtures import require
from lab.programs import BELLMETAL, NAMESPACE
from lab.screen import Screen

pytestmark = [pytest.mark.lab, pytest.mark.cluster]


@pytest.fixture(scope="module")
def story() -> Iterator[Changes]:
    """One cluster with our image; the tests below are its acts, in this order."""
    require()
    screen = Screen()
    with demo.cluster(screen) as lab:
        yield Changes(lab, screen)


def test_a_chart_is_installed_and_takes_a_pool_at_once(story: Changes) -> None:
    story.install()


def test_services_get_addresses_in_order_and_describe_tells_all(story: Changes) -> None:
    story.services()


def test_a_client_reaches_both_pods_through_the_node_that_is_named(story: Changes) -> None:
    story.client()


def test_preflight_finds_it_whole(story: Changes) -> None:
    """On real nodes, with real pods and kubelets: nothing but notes."""
    lab = story.lab
    argv = [*BELLMETAL, "preflight", f"--namespace={NAMESPACE}", "--output=json"]
    environment = {"KUBECONFIG": str(lab.kubeconfig())}
    answer = json.loads(lab.control_plane_host.run(argv, check=False, env=environment).stdout)
    assert [item for item in answer["findings"] if item["level"] != "note"] == []
    whys = {item["why"] for item in answer["skipped"]}
    assert whys == {"how kube-proxy works is not written down in the cluster"}


def test_the_owner_dies_and_another_node_answers(story: Changes) -> None:
    story.dies()
    assert 0 < story.outage <= LIMIT
    assert story.heir != story.dead


def test_the_node_returns_and_takes_nothing(story: Changes) -> None:
    story.returns()


def test_a_running_service_keeps_to_the_nodes_of_its_pods(story: Changes) -> None:
    story.local()


def test_a_pool_gets_another_range(story: Changes) -> None:
    story.range()


def test_a_service_gives_its_address_back(story: Changes) -> None:
    story.back()


def test_pools_and_addresses_are_asked_for_as_ever(story: Changes) -> None:
    story.choices()


def test_what_others_serve_is_left_alone(story: Changes) -> None:
    story.others()
