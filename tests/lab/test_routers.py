"""The lab's routers among themselves: what fails between one of them and us later is ours.

Each pair has a session over IPv4 and one over IPv6, so one scene shows plain sessions and another
one everything that is asked of a session besides.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import pytest

from lab import packages
from lab.bgp_scene import Layout, Scene, wire
from lab.errors import LabError
from lab.fixtures import require
from lab.progress import Lines
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.gobgp import GoBGP
from lab.routers.router import (
    BOTH,
    EXTERNAL,
    RESTART,
    Bfd,
    Exported,
    Family,
    Neighbor,
    Plan,
    Restart,
    Router,
    Unsupported,
    Way,
)
from lab.waiting import until

pytestmark = pytest.mark.lab

KINDS: Mapping[str, type[Router]] = {"r1": FRR, "r2": BIRD, "r3": GoBGP}
V4, V6 = BOTH
NAMES = {"r1": "FRR", "r2": "BIRD", "r3": "GoBGP"}
PAIRS = list(itertools.combinations(KINDS, 2))
DIRECTED = list(itertools.permutations(KINDS, 2))
SECRET = "of-routers"  # FRR takes none with a space


def asn(name: str) -> int:
    return 65000 + int(name[1:])


def prefix(name: str, family: Family) -> str:
    return f"198.51.100.{name[1:]}/32" if family is V4 else f"2001:db8::{name[1:]}/128"


def exported(name: str) -> tuple[Exported, ...]:
    said = {"med": 7, "communities": ("65000:1", "65000:2"), "large": ("65000:1:2",)}
    return tuple(Exported(prefix(name, family), **said) for family in BOTH)


class Mesh:
    """All three, each with both others as neighbors, over both families."""

    def __init__(self, scene: Scene, more: Mapping[tuple[str, str, Family], object]) -> None:
        self.scene = scene
        self.routers = {name: self._router(name, more) for name in KINDS}

    def _router(self, name: str, more: Mapping[tuple[str, str, Family], object]) -> Router:
        neighbors = []
        for other, family in itertools.product(KINDS, BOTH):
            if other != name:
                given = more.get((name, other, family), more.get((other, name, family), {}))
                neighbors.append(self._neighbor(name, other, family, given))
        plan = Plan(asn(name), f"192.0.2.{name[1:]}", tuple(neighbors), exported(name))
        return KINDS[name](self.scene[name], replace(plan, kernel=KINDS[name] is not GoBGP))

    def _neighbor(self, name: str, other: str, family: Family, given: object) -> Neighbor:
        ours, theirs = self.address(name, family), self.address(other, family)
        plain = Neighbor(asn(other), theirs, local_address=ours, families=(family,), exports=True)
        return replace(plain, **given)

    def address(self, name: str, family: Family) -> str:
        host = self.scene[name]
        return host.address if family is Family.IPV4 else host.address6

    def __getitem__(self, name: str) -> Router:
        return self.routers[name]

    def start(self) -> None:
        for router in self.routers.values():
            router.start()
        for router in self.routers.values():
            router.wait_established()

    def session(self, name: str, other: str, family: Family = V4):
        return self[name].sessions()[self.address(other, family)]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    packages.install(Lines())
    with Scene(Layout(routers=3, wires=(("n1", "r1"),))) as made:
        yield made


@pytest.fixture(scope="module")
def mesh(scene: Scene) -> Iterator[Mesh]:
    made = Mesh(scene, {})
    made.start()
    yield made
    for router in made.routers.values():
        router.stop()


def titled(pairs: list[tuple[str, str]]) -> list[object]:
    return [pytest.param(*pair, id="-".join(NAMES[name] for name in pair)) for pair in pairs]


@pytest.mark.parametrize("family", BOTH, ids=lambda family: family.value)
@pytest.mark.parametrize(("name", "other"), titled(DIRECTED))
def test_a_router_has_the_routes_of_the_other_with_all_that_is_said_of_them(
    mesh: Mesh, name: str, other: str, family: Family
) -> None:
    ways = mesh[name].wait_route(prefix(other, family))
    expected = Way(
        mesh.address(other, family),
        mesh.address(other, family),
        (asn(other),),
        med=7,
        local_pref=100 if name == "r2" else None,  # BIRD shows the default, too
        communities=frozenset({"65000:1", "65000:2"}),
        large=frozenset({"65000:1:2"}),
        best=True,
    )
    if ways != (expected,):  # FRR chooses the best one a moment later
        until(lambda: mesh[name].routes(family)[prefix(other, family)] == (expected,), "it", 3)
    assert mesh.session(name, other, family).received[family] == 1


@pytest.mark.parametrize("family", BOTH, ids=lambda family: family.value)
@pytest.mark.parametrize("name", [pytest.param(name, id=NAMES[name]) for name in ("r1", "r2")])
def test_routes_are_in_the_kernel(mesh: Mesh, name: str, family: Family) -> None:
    others = {prefix(other, family) for other in KINDS if other != name}
    mesh[name].wait_routes(others)
    until(lambda: others <= set(mesh[name].kernel_routes(family)), "its kernel has them", 5)


@pytest.mark.parametrize(("name", "other"), titled(DIRECTED))
def test_a_shutdown_is_told_in_words(mesh: Mesh, name: str, other: str) -> None:
    peer = mesh.address(other, V4)
    mesh[name].shut(peer, "moving house")
    ended = partial(mesh.session, other, name)
    until(lambda: not ended().up and "moving house" in ended().last_reset, "the word of it", 5)
    mesh[name].open(peer)
    mesh[other].open(mesh.address(name, V4))  # as GoBGP stays idle for long
    mesh[name].wait_established(peer)
    mesh[other].wait_route(prefix(name, V4))


@pytest.mark.parametrize("name", [pytest.param(name, id=NAMES[name]) for name in KINDS])
def test_a_session_is_reset_and_comes_back_and_a_refresh_is_no_reset(mesh: Mesh, name: str) -> None:
    other = next(one for one in KINDS if one != name)
    peer = mesh.address(other, V6)
    before = mesh.session(name, other, V6).since
    mesh[name].refresh(peer)
    mesh[name].wait_route(prefix(other, V6))
    assert mesh.session(name, other, V6).since == pytest.approx(before, abs=0.5)
    time.sleep(1.1)  # two of them tell the second only
    mesh[name].reset(peer)
    mesh[other].open(mesh.address(name, V6))  # as GoBGP stays idle for long
    until(lambda: (mesh.session(name, other, V6).since or 0) > before + 0.5, "it is new", 15)
    mesh[name].wait_established(peer)


def test_the_kernels_routes_are_watched_with_their_time(mesh: Mesh) -> None:
    gone, peer = prefix("r2", V4), mesh.address("r2", V4)
    until(lambda: gone in mesh["r1"].kernel_routes(V4), "the route", 5)
    with mesh["r1"].watch_kernel() as seen:
        at = time.monotonic()
        mesh["r1"].shut(peer)
        took = until(lambda: seen.first("gone", gone, at), "the route has gone", 5) - at
        mesh["r1"].open(peer)
        back = until(lambda: seen.first("new", gone, at), "the route is back", 10) - at
    assert 0 < took < back


# --- what is asked of a session besides -----------------------------------------------------------

FEATURES: Mapping[tuple[str, str, Family], Mapping[str, object]] = {
    ("r1", "r2", V4): {"password": SECRET, "bfd": Bfd(50, 3)},
    ("r1", "r2", V6): {"ttl_security": 1, "restart": Restart()},
    ("r1", "r3", V4): {"password": SECRET, "restart": Restart()},
    ("r1", "r3", V6): {"ttl_security": 1},
    ("r2", "r3", V4): {"password": SECRET, "restart": Restart()},
    ("r3", "r2", V4): {"password": SECRET, "restart": Restart(), "passive": True},
    ("r2", "r3", V6): {"ttl_security": 1},
}


@pytest.fixture(scope="module")
def featured(scene: Scene, mesh: Mesh) -> Iterator[Mesh]:
    for router in mesh.routers.values():  # whose tests are over
        router.stop()
    made = Mesh(scene, FEATURES)
    made.start()
    yield made
    for router in made.routers.values():
        router.stop()


@pytest.mark.parametrize(
    ("name", "other", "family", "given"),
    [
        pytest.param(*key, given, id="-".join([NAMES[key[0]], NAMES[key[1]], *given]))
        for key, given in FEATURES.items()
    ],
)
def test_a_session_comes_up_with(
    featured: Mesh, name: str, other: str, family: Family, given: Mapping[str, object]
) -> None:
    assert featured.session(name, other, family).up
    if "restart" in given:
        assert RESTART in featured.session(name, other, family).capabilities
        assert RESTART in featured.session(other, name, family).capabilities


def test_bfd_is_up_on_both_ends(featured: Mesh) -> None:
    for name, other in (("r1", "r2"), ("r2", "r1")):
        peer = featured.address(other, V4)
        until(lambda n=name, p=peer: featured[n].bfd()[p].up, "BFD is up", 5)
        assert featured[name].bfd()[peer].detect == pytest.approx(0.15)


def test_a_wrong_password_keeps_a_session_down_and_the_right_one_lets_it_up(
    featured: Mesh,
) -> None:
    for name, other in (("r1", "r3"), ("r2", "r3"), ("r3", "r1")):
        peer = featured.address(other, V4)
        featured[name].set_password(peer, "of-others")
        until(lambda n=name, o=other: not featured.session(n, o).up, "it is down", 5)
        with pytest.raises(LabError, match="sessions established"):
            featured[name].wait_established(peer, timeout=1.5)
        featured[name].set_password(peer, SECRET)
        featured[name].wait_established(peer)


def test_routes_of_a_router_that_died_are_kept_as_stale(featured: Mesh) -> None:
    """FRR's death; BIRD and GoBGP were asked to keep its routes, on one session each."""
    kept = {"r2": prefix("r1", V6), "r3": prefix("r1", V4)}
    for name, route in kept.items():
        featured[name].wait_route(route)
    featured["r1"].kill()
    featured["r2"].wait_gone([prefix("r1", V4)])  # over the session without graceful restart
    for name, route in kept.items():
        until(lambda n=name, r=route: _stale(featured[n], r), f"{name} keeps it as stale", 5)
    featured["r1"].start()
    featured["r1"].wait_established()
    for name, route in kept.items():
        until(lambda n=name, r=route: not _stale(featured[n], r), f"{name} has it anew", 5)


def _stale(router: Router, route: str) -> bool:
    ways = router.routes(Family.of(route)).get(route, ())
    return bool(ways) and all(way.stale for way in ways)


# --- what they refuse -----------------------------------------------------------------------------

REFUSED = [
    (GoBGP, {"address": "10.90.0.99", "bfd": Bfd()}, "has invalid keys: bfd"),
]


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [pytest.param(*row, id=f"{row[0].name}-{'-'.join(row[1])}") for row in REFUSED],
)
def test_a_router_says_itself_what_it_cannot(
    scene: Scene, kind: type[Router], given: Mapping[str, object], words: str
) -> None:
    neighbor = replace(Neighbor(65009, "10.90.0.99"), **{"address": "", **given})
    router = kind(scene["n1"], Plan(65001, "192.0.2.9", (neighbor,)), "refused")
    with pytest.raises(Unsupported, match=words):
        router.start()


def test_two_of_frr_find_each_other_on_a_link_without_addresses(scene: Scene) -> None:
    ends = {"n1": wire("r1"), "r1": wire("n1")}
    routers = []
    for name, link in ends.items():
        neighbor = Neighbor(EXTERNAL, interface=link, exports=True)
        number = 65008 if name == "n1" else 65009
        own = (Exported(prefix(f"x{number - 65000}", V4)),)
        plan = Plan(number, f"192.0.2.{number - 65000}", (neighbor,), own, port=1790, kernel=True)
        plan = replace(plan, neighbors=(replace(neighbor, port=1790),))
        routers.append(FRR(scene[name], plan, "unnumbered"))
    with routers[0], routers[1]:
        for router, route in zip(routers, ("198.51.100.9/32", "198.51.100.8/32"), strict=True):
            router.wait_established(timeout=20)
            (way,) = router.wait_route(route)
            assert way.next_hop.startswith("fe80::")
            until(lambda r=router: r.kernel_routes(V4), "the kernel has it, too", 5)
