"""What makes the matrix mean something: sessions that must not come up, and next hops of RFC 8950.

A router that asks for a password or a TTL lets nobody in without; our speaker says that it is so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab import packages
from lab.bgp_scene import Layout, Scene, Speaker
from lab.fixtures import require
from lab.progress import Lines
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.gobgp import GoBGP
from lab.routers.router import NEXT_HOP, Family, Neighbor, Plan, Router
from lab.waiting import until

pytestmark = pytest.mark.lab

KINDS: dict[str, type[Router]] = {"r1": FRR, "r2": BIRD, "r3": GoBGP}
OURS = 65100
PREFIX = "198.51.100.50/32"
LONG = 13.0  # seconds in which a session that may come up has done so; a hold time, and some more
# What has too low a TTL is dropped once the router has taken the call, so we wait for its word.
WORDS = {"signed": "password", "near": "hold timer expired"}


@dataclass(frozen=True)
class Controls:
    scene: Scene
    routers: dict[str, Router]
    refused: Speaker  # with another password over IPv4, without a TTL over IPv6
    bare: Speaker  # of a node without IPv4 on its LAN


@pytest.fixture(scope="module")
def controls() -> Iterator[Controls]:
    require()
    packages.install(Lines())
    with Scene(Layout(nodes=2, routers=3)) as scene:
        scene.ip("n2", f"addr del {scene['n2'].address}/24 dev eth0")
        routers = {name: kind(scene[name], _plan(scene, name)) for name, kind in KINDS.items()}
        refused, bare = Speaker(scene["n1"]), Speaker(scene["n2"])
        _refused(scene, refused)
        _bare(scene, bare)
        try:
            for router in routers.values():
                router.start()
            refused.start()
            bare.start()
            for router in routers.values():
                router.wait_established(scene["n2"].address6)
            yield Controls(scene, routers, refused, bare)
        finally:
            for router in routers.values():
                router.kill()


def _plan(scene: Scene, name: str) -> Plan:
    first, second = scene["n1"], scene["n2"]
    neighbors = (
        Neighbor(OURS, first.address, password="of-the-router", passive=True),
        Neighbor(OURS, first.address6, ttl_security=1, passive=True),
        Neighbor(OURS, second.address6, extended_next_hop=True, families=(Family.IPV4,)),
    )
    number = int(name[1:])
    kernel = KINDS[name] is not GoBGP
    return Plan(65000 + number, f"192.0.2.{number}", neighbors, kernel=kernel)


def _peer(scene: Scene, router: str, family: Family, **more: object) -> dict[str, object]:
    host = scene[router]
    address = host.address if family is Family.IPV4 else host.address6
    asn = 65000 + int(router[1:])
    return {"myASN": OURS, "peerASN": asn, "address": address, "connectTime": 1, **more}


def _refused(scene: Scene, speaker: Speaker) -> None:
    signed = [_peer(scene, name, Family.IPV4, name=f"signed-{name}", signed=True) for name in KINDS]
    near = [_peer(scene, name, Family.IPV6, name=f"near-{name}") for name in KINDS]
    passwords = {str(peer["name"]): "of-somebody" for peer in signed}
    speaker.want([*signed, *near], [{"prefix": PREFIX}], passwords)


def _bare(scene: Scene, speaker: Speaker) -> None:
    peers = [_peer(scene, name, Family.IPV6, name=name, dualStack=True) for name in KINDS]
    speaker.want(peers, [{"prefix": PREFIX}])


NAMED = [pytest.param(name, id=kind.name) for name, kind in KINDS.items()]


@pytest.fixture(scope="module")
def later(controls: Controls) -> Controls:
    time.sleep(LONG)
    return controls


@pytest.mark.parametrize("what", ["signed", "near"])
@pytest.mark.parametrize("name", NAMED)
def test_who_has_another_password_or_no_ttl_is_not_let_in(
    later: Controls, name: str, what: str
) -> None:
    host = later.scene["n1"]
    peer = host.address if what == "signed" else host.address6
    assert not later.routers[name].sessions()[peer].up
    said = [line for line in later.refused.log().splitlines() if f" {what}-{name} " in line]
    assert any(WORDS[what] in line for line in said), said


@pytest.mark.parametrize("name", NAMED)
def test_ipv4_goes_by_an_ipv6_next_hop_where_the_node_has_no_ipv4(
    controls: Controls, name: str
) -> None:
    router, node = controls.routers[name], controls.scene["n2"]
    (way,) = router.wait_route(PREFIX)
    assert (way.peer, way.next_hop) == (node.address6, node.address6)
    assert NEXT_HOP in router.sessions()[node.address6].capabilities


@pytest.mark.parametrize("name", NAMED[:2])
def test_it_stands_in_the_kernel_so(controls: Controls, name: str) -> None:
    router = controls.routers[name]
    until(lambda: PREFIX in router.kernel_routes(Family.IPV4), "the kernel has it", 5)
    (hop,) = router.kernel_routes(Family.IPV4)[PREFIX]
    assert ":" in hop
