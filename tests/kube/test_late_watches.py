"""What is deleted after our own list of all and before Kopf's first one, no watch ever tells."""

from __future__ import annotations

import pytest

from chaos.door import Mood
from chaos.stage import Behind, open_door
from kube.scene import Scene
from lab.fixtures import require
from lab.waiting import until

pytestmark = pytest.mark.kube

OPTIONS = {"clients": 0, "kube_proxy": False, "controller_manager": False}


def test_a_service_that_went_before_kopf_listed_is_missed_within_seconds() -> None:
    require()
    with Behind(nodes=1, **OPTIONS) as lab:
        mood, scene = open_door(lab), Scene(lab)
        scene.pool("lan", "LAN.200-LAN.209")
        scene.services(["stays", "goes"])
        Mood(status=500, share=1.0, only="/apis").write(mood)  # Kopf asks for it before it lists
        scene.start()
        scene.wait_all_shown(2)
        scene.delete("goes")
        Mood().write(mood)
        until(lambda: list(scene.ledger().values()) == ["stays"], "its address is free")
