"""Passwords of BGP peers that change while sessions are up.

A router ends the session when its own password is changed; one that takes a new key on a connection
that is up, as our speaker does, keeps it: two speakers show that, one of them called by the other.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from lab import packages
from lab.bgp_scene import Layout, Scene, Speaker
from lab.fixtures import require
from lab.progress import Lines
from lab.routers.frr import FRR
from lab.routers.router import Neighbor, Plan
from lab.waiting import until

pytestmark = pytest.mark.lab

HOLD = 9  # seconds; keepalives every three
FIRST, SECOND = "first-of-all", "second-to-none"  # FRR takes no spaces


@pytest.fixture
def scene() -> Iterator[Scene]:
    require()
    packages.install(Lines())
    with Scene(Layout(nodes=2, routers=1)) as found:
        yield found


def peer(scene: Scene, name: str, other: str, **more: object) -> dict[str, object]:
    common = {"myASN": 65100, "signed": True, "holdTime": HOLD, "connectTime": 1}
    return {"name": name, "address": scene[other].address, **common, **more}


def ups(speaker: Speaker) -> int:
    return len(re.findall("established with AS", speaker.log()))


def test_both_sides_change_it_and_the_session_stays(scene: Scene) -> None:
    caller, called = Speaker(scene["n1"]), Speaker(scene["n2"])
    route = [{"prefix": "198.51.100.1/32"}]
    there = peer(scene, "there", "n2", peerASN=65100, routerID="192.0.2.1")
    here = peer(scene, "here", "n1", peerASN=65100, routerID="192.0.2.2", passive=True)
    caller.want([there], route, {"there": FIRST})
    called.want([here], [], {"here": FIRST})
    called.start()
    caller.start()
    until(lambda: ups(caller) == ups(called) == 1, "the session is up")
    caller.want([there], route, {"there": SECOND})
    time.sleep(1.0)  # in between nothing gets through: TCP sends it again
    called.want([here], [], {"here": SECOND})
    time.sleep(2.5 * HOLD)
    assert (ups(caller), ups(called)) == (1, 1)
    assert "lost" not in caller.log() + called.log()


def test_a_router_that_changes_it_is_met_again_as_soon_as_we_know_it(scene: Scene) -> None:
    neighbor = Neighbor(65100, scene["n1"].address, password=FIRST, hold_time=HOLD)
    router = FRR(scene["r1"], Plan(65000, "192.0.2.9", (neighbor,)))
    speaker = Speaker(scene["n1"])
    there = peer(scene, "there", "r1", peerASN=65000)
    speaker.want([there], [{"prefix": "198.51.100.1/32"}], {"there": FIRST})
    try:
        router.start()
        speaker.start()
        router.wait_established()
        router.set_password(scene["n1"].address, SECOND)
        until(
            lambda: "WrongPassword" in speaker.log() or "password" in speaker.log(), "its name", 20
        )
        speaker.want([there], [{"prefix": "198.51.100.1/32"}], {"there": SECOND})
        router.wait_established(timeout=10)
        assert FIRST not in speaker.log()
        assert SECOND not in speaker.log()
    finally:
        router.kill()
