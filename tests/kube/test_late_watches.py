"""What is deleted after our own list of all and before Kopf's first one, no watch ever tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bellmetal.controller import SECOND_LOOK
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


def asked(scene: Scene, since: int = 0) -> set[tuple[str, str]]:
    """Verb and resource of all that controllers have asked for, from a place in the audit log."""
    events = scene.lab.control_plane.audit_events()[since:]
    ours = [item for item in events if item["user"].get("username") == ACCOUNT]
    return {(e["verb"], e["objectRef"]["resource"]) for e in ours if "objectRef" in e}


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
    until(lambda: ("watch", "ipaddresspools") in asked(scene), "Kopf has listed what it watches")
    began = scene.mark()
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shows("web", "LAN.200")
    until(lambda: asked(scene, began) >= LISTS, "as Kopf was later, all is listed once more")
    began = scene.mark()
    time.sleep(3 * SECOND_LOOK)  # the pauses between two lists grow: the next ones end before that
    assert asked(scene, began) & LISTS == set()
