"""A rolling update of the speakers' DaemonSet, by real kubelets, loses no connection."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import demo
from lab.cluster import Cluster
from lab.fixtures import require
from lab.prober import PATIENCE, Prober
from lab.screen import Screen
from lab.steps import SYSTEM
from lab.story import Story
from lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

ENOUGH = 1000  # attempts of each client


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """A cluster with the chart installed and Services that have addresses."""
    require()
    screen = Screen()
    with demo.cluster(screen) as lab:
        story = Story(lab, screen)
        story.install()
        story.services()
        yield story


def speakers(lab: Cluster) -> set[str]:
    """The names of their pods."""
    found = lab.kubectl("get", "pods", "-n", SYSTEM, "-l", "component=speaker", "-o", "name")
    return set(found.stdout.split())


def test_a_rolling_update_of_the_speakers_loses_no_connection(story: Story) -> None:
    lab, address = story.lab, story.address
    before = speakers(lab)
    other = lab.address(255, 201)  # svc2's: a fresh client forgets what the other one knows
    probers = [Prober(lab.client(), address), Prober(lab.client(), other, fresh=True)]
    for prober in probers:
        until(lambda p=prober: sum(item.ok for item in p.attempts()) > 50, "the client connects")
    began = time.monotonic()
    lab.kubectl("rollout", "restart", "daemonset/bellmetal-speaker", "-n", SYSTEM)
    lab.kubectl("rollout", "status", "daemonset/bellmetal-speaker", "-n", SYSTEM, timeout=180)
    until(lambda: min(len(p.attempts(began)) for p in probers) >= ENOUGH, "enough attempts", 60)
    time.sleep(PATIENCE + 0.1)
    failed = {
        p.name: [round(item.at - began, 3) for item in p.attempts(began) if not item.ok]
        for p in probers
    }
    for prober in probers:
        prober.stop()
    assert not before & speakers(lab)
    assert failed == {p.name: [] for p in probers}
