"""Two controllers and an API server that goes away: one leads, no address is given twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kube.scene import CONDITION, Scene, never_given_twice, one_address_each, stage
from lab.errors import LabError
from lab.rest import ApiError
from lab.waiting import until

pytestmark = pytest.mark.kube

PAIR = ("controller-1", "controller-2")


@pytest.fixture(scope="module")
def module_scene() -> Iterator[Scene]:
    with stage(*PAIR, audit=True) as scene:
        yield scene


@pytest.fixture
def scene(module_scene: Scene) -> Iterator[Scene]:
    yield module_scene
    restart_the_dead(module_scene)
    module_scene.clear()
    until(lambda: knows_no_pool(module_scene), "the pools are forgotten", 20)


def restart_the_dead(scene: Scene) -> list[str]:
    """What a kubelet does."""
    dead = [name for name in PAIR if not scene.running[name].alive]
    for name in dead:
        scene.running[name].wait()
        scene.start(name)
    return dead


def knows_no_pool(scene: Scene) -> bool:
    """Whether the leader does, too: a watch may come back later than the API."""
    scene.service("canary")
    until(lambda: scene.conditions("canary") or scene.shown("canary"), "the canary is answered")
    refused = CONDITION in scene.conditions("canary")
    scene.delete("canary")
    return refused


def roles(scene: Scene) -> tuple[str, str]:
    """Who leads, and who has read the cluster and waits for its turn."""
    leader = until(scene.programs.leader, "a controller leads")
    standby = next(name for name in PAIR if name != leader)
    sentence = f"another controller leads: {leader}"
    until(lambda: sentence in scene.running[standby].log(), f"{standby} is warm")
    return leader, standby


@contextmanager
def creating(scene: Scene, prefix: str) -> Iterator[list[str]]:
    """Services are created all the time, whatever happens."""
    names: list[str] = []
    stop = threading.Event()

    def create() -> None:
        while not stop.wait(0.15):
            name = f"{prefix}-{len(names):03}"
            try:
                scene.service(name)
            except ApiError as error:
                if error.status != 409:  # else it was made, and nobody heard the answer
                    continue
            except (LabError, OSError):  # the API is away
                continue
            names.append(name)

    thread = threading.Thread(target=create)
    thread.start()
    try:
        yield names
    finally:
        stop.set()
        thread.join()


def test_one_leads_and_the_other_says_who(scene: Scene) -> None:
    assert roles(scene) == PAIR
    assert '"msg": "leading"' in scene.running["controller-1"].log()
    assert '"msg": "leading"' not in scene.running["controller-2"].log()
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")


def test_a_leader_that_is_told_to_end_hands_over_at_once(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    leader, heir = roles(scene)
    scene.running[leader].terminate()
    until(lambda: scene.programs.leader() == heir, f"{heir} leads", 2)
    scene.service("web")
    scene.wait_shown("web", "LAN.200", timeout=5)
    assert scene.running[leader].wait() == 0


def test_a_leader_that_is_killed_is_replaced(scene: Scene) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("before")
    scene.wait_shown("before", "LAN.200")
    leader, heir = roles(scene)
    scene.running[leader].kill()
    scene.service("after")
    scene.wait_shown("after", "LAN.201", timeout=8)
    assert scene.programs.leader() == heir
    assert scene.shown("before") == [scene.text("LAN.200")]


def test_a_leader_that_hung_and_wakes_up_gives_no_address_twice(scene: Scene) -> None:
    began = scene.mark()
    scene.pool("wide", f"{scene.lab.address(254, 0)}/23")
    leader, heir = roles(scene)
    with creating(scene, "z") as names:
        time.sleep(1.0)
        scene.running[leader].pause()
        time.sleep(12.0)
        assert scene.programs.leader() == heir
        scene.running[leader].resume()
        time.sleep(3.0)
    assert scene.running[leader].alive  # it waits to lead again
    assert len(names) > 20
    one_address_each(scene, len(names))
    never_given_twice(scene, began)
    assert scene.programs.leader() == heir


def test_an_api_server_that_is_started_again_is_worked_with_again(scene: Scene) -> None:
    began = scene.mark()
    scene.pool("wide", f"{scene.lab.address(254, 0)}/23")
    with creating(scene, "a") as names:
        time.sleep(1.0)
        scene.lab.api_down()
        time.sleep(1.0)
        scene.lab.api_up()
        time.sleep(1.0)
    restart_the_dead(scene)
    one_address_each(scene, len(names))
    never_given_twice(scene, began)


def test_a_service_deleted_while_no_watch_could_tell_is_missed_all_the_same(scene: Scene) -> None:
    scene.pool("one", "LAN.200/32")
    scene.service("lost")
    scene.wait_shown("lost", "LAN.200")
    scene.service("waits")
    until(lambda: CONDITION in scene.conditions("waits"), "the second waits")
    scene.lab.api_down()
    scene.delete_without_the_api("lost")
    scene.lab.api_up()
    restart_the_dead(scene)
    scene.wait_shown("waits", "LAN.200", timeout=20)


def test_told_to_end_while_the_api_hangs_it_ends_within_its_grace(scene: Scene) -> None:
    leader, _ = roles(scene)
    scene.lab.api_down(hang=True)
    try:
        scene.running[leader].terminate()
        assert scene.running[leader].wait(10) == 0
    finally:
        scene.lab.api_up()
