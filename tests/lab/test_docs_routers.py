"""The routers' configurations of docs/bgp.md, in real FRR and BIRD, with the speakers of two nodes.

Only addresses are put in the place of the page's: its router, its nodes' network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import packages
from lab.bgp_scene import LAN, Layout, Scene, Speaker
from lab.fixtures import require
from lab.paths import REPOSITORY
from lab.progress import Lines
from lab.routers import bird
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.router import Family, Plan, Router

pytestmark = pytest.mark.lab

NODES = ("n1", "n2")
LET_IN, KEPT_OUT = "198.51.100.7/32", "203.0.113.7/32"
PLAN = Plan(64513, "192.0.2.1", kernel=True)


def written(language: str, scene: Scene) -> str:
    """The block of the page in a router's language, for the routers and nodes of a scene."""
    page = (REPOSITORY / "docs" / "bgp.md").read_text()
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)
    router = scene["r1"].address
    return block.replace("192.0.2.0/24", f"{LAN}.0/24").replace("192.0.2.1", router)


@contextmanager
def frr(scene: Scene) -> Iterator[Router]:
    with FRR(scene["r1"], PLAN) as router:
        assert isinstance(router, FRR)
        lines = written("frr", scene).splitlines()
        begin, end = lines.index("bfd"), lines.index("router bgp 64513")
        assert router.bfdd.configure(lines[begin:end]) == []
        assert router.bgpd.configure([*lines[:begin], *lines[end:]]) == []
        yield router


@contextmanager
def bird_(scene: Scene) -> Iterator[Router]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bird, "configuration", lambda _: f"log stderr all;\n{written('bird', scene)}")
        with BIRD(scene["r1"], PLAN) as router:
            yield router


def speaker(scene: Scene, node: str) -> Speaker:
    """A node with the BGPPeer and the BFDProfile of the page."""
    made = Speaker(scene[node])
    bfd = {"receiveInterval": 50, "transmitInterval": 50, "detectMultiplier": 3}
    peer = {"name": "rack", "address": scene["r1"].address, "myASN": 64512, "peerASN": 64513}
    routes = [{"prefix": LET_IN}, {"prefix": KEPT_OUT}]
    made.want([{**peer, "connectTime": 1, "bfd": bfd}], routes)
    made.start()
    return made


@pytest.mark.parametrize("start", [pytest.param(frr, id="FRR"), pytest.param(bird_, id="BIRD")])
def test_the_router_takes_what_the_page_says_and_spreads_over_both_nodes(start) -> None:  # type: ignore[no-untyped-def]
    require()
    packages.install(Lines())
    with Scene(Layout(nodes=2)) as scene, start(scene) as router:
        speakers = [speaker(scene, node) for node in NODES]
        addresses = {scene[node].address for node in NODES}
        router.wait(
            "the kernel has the route over both nodes",
            lambda: router.kernel_routes(Family.IPV4).get(LET_IN) == addresses,
            20,
        )
        router.wait(
            "BFD with both is up",
            lambda: {peer for peer, one in router.bfd().items() if one.up} == addresses,
        )
        assert KEPT_OUT not in router.kernel_routes(Family.IPV4)
        for one in speakers:
            assert "prefixes sent: 2" in one.log(), "it was sent, and the filter kept it out"
        scene.cut("n2")  # BFD: within a fraction of a second, long before the hold time
        router.wait(
            "the dead node's way is gone",
            lambda: router.kernel_routes(Family.IPV4).get(LET_IN) == {scene["n1"].address},
            5,
        )
