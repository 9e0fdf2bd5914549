"""What is deleted after our own list of all and before Kopf's first one, no watch ever tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bellmetal.controller import SECOND_LOOK
from bellmetal.watches import DEAF
from chaos.door import Mood
from chaos.stage import Behind, open_door
from kube.scene import ACCOUNT, Scene
from lab.fixtures import require
from lab.waiting import until

pytestmark = pytest.mark.kube

LISTS = {("list", "services"), ("list", "nodes")}
OPTIONS: dict[str, Any] = {
    "clients": 0,
    "kube_proxy": False,
    "controller_manager": False,
    "audit": True,
}


@pytest.fixture
def late() -> Iterator[tuple[Scene, Path]]:
    """A cluster in which a controller lists, and Kopf cannot; and the door's mood."""
    require()
    with Behind(nodes=1, **OPTIONS) as lab:
        mood, scene = open_door(lab), Scene(lab)
        Mood(status=500, share=1.0, only="/apis").write(mood)  # Kopf asks for it before it lists
        yield scene, mood


def test_a_service_that_went_before_kopf_listed_is_missed_within_seconds(
    late: tuple[Scene, Path],
) -> None:
    scene, mood = late
    scene.pool("lan", "LAN.200-LAN.209")
    scene.services(["stays", "goes"])
    scene.start()
    scene.wait_all_shown(2)
    scene.delete("goes")
    Mood().write(mood)
    until(lambda: list(scene.ledger().values()) == ["stays"], "its address is free")


def test_once_kopf_has_listed_all_is_not_listed_again(late: tuple[Scene, Path]) -> None:
    """Also what there was nothing of when it did."""
    scene, mood = late
    scene.start()
    until(lambda: scene.said("leading"), "it leads")
    Mood().write(mood)
    time.sleep(DEAF + 1.0)
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shows("web", "LAN.200")
    time.sleep(2 * SECOND_LOOK)  # one more list, as Kopf was later
    began = scene.mark()
    time.sleep(3 * SECOND_LOOK)
    asked = scene.lab.control_plane.audit_events()[began:]
    ours = [item for item in asked if item["user"].get("username") == ACCOUNT]
    assert {(item["verb"], item["objectRef"]["resource"]) for item in ours} & LISTS == set()
