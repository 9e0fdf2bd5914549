"""Our speaker and every router, by every kind of session: the matrix of interoperation.

    {FRR, BIRD, GoBGP} x {IPv4, IPv6 routes} x {over IPv4, over IPv6}
        x {iBGP, eBGP, multi-hop} x {plain, MD5, GTSM, BFD, graceful restart, passive}
    and both families on links without addresses, unnumbered

Of each cell: the session is up, the route stands in the router's table with all that we say of it,
and the end of the speaker is seen as what it is. What a router cannot do, it says itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from lab import packages
from lab.bgp_matrix import (
    BFD,
    GRACEFUL,
    KINDS,
    REFUSED,
    TRIED,
    UNNUMBERED,
    Cell,
    Matrix,
    refused,
)
from lab.bgp_scene import Layout, Scene
from lab.fixtures import require
from lab.progress import Lines
from lab.routers.gobgp import GoBGP
from lab.routers.router import RESTART, Family, Session, Way

pytestmark = pytest.mark.lab

RAN: Counter[str] = Counter()
GREEN: Counter[str] = Counter()

# what a router says against what it cannot do
WORDS = {
    (GoBGP, BFD): "has invalid keys: bfd",
}


@dataclass(frozen=True)
class Seen:
    """What the routers told: all up, the speakers ended in order, the speakers there again."""

    sessions: Mapping[Cell, Session]
    ways: Mapping[Cell, tuple[Way, ...]]
    bfd: Mapping[Cell, bool]
    after: Mapping[Cell, Session]
    kept: Mapping[Cell, tuple[Way, ...]]
    again: Mapping[Cell, tuple[Way, ...]]
    addresses: Mapping[type, frozenset[str]]


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    require()
    packages.install(Lines())
    with Matrix() as matrix:
        matrix.settle(lambda: all(s.up for s in matrix.sessions().values()), "all up", 40)
        matrix.settle(lambda: all(map(_best, matrix.ways().values())), "all routes", 10)
        matrix.settle(lambda: all(_bfd(matrix).values()), "all of BFD", 10)
        up = matrix.sessions(), matrix.ways(), _bfd(matrix)
        for speaker in matrix.speakers.values():
            speaker.process.terminate()
        for speaker in matrix.speakers.values():
            speaker.process.wait(15)
        matrix.settle(lambda: not any(s.up for s in matrix.sessions().values()), "all down", 5)
        down = matrix.sessions(), matrix.ways()
        for speaker in matrix.speakers.values():
            speaker.start()
        matrix.settle(lambda: _fresh(matrix.ways()), "routes anew", 20)
        yield Seen(*up, *down, matrix.ways(), matrix.node_addresses)


def _comes_back(cell: Cell) -> bool:
    """GoBGP is idle for 30 s after the end of a session."""
    return cell.feature == GRACEFUL and cell.kind is not GoBGP


def _fresh(ways: Mapping[Cell, tuple[Way, ...]]) -> bool:
    found = [ways[cell] for cell in TRIED if _comes_back(cell)]
    return all(kept and not any(way.stale for way in kept) for kept in found)


def _best(ways: tuple[Way, ...]) -> bool:
    return any(way.best for way in ways)


def _bfd(matrix: Matrix) -> dict[Cell, bool]:
    told = {key: router.bfd() for key, router in matrix.routers.items() if key[0] is not GoBGP}
    found = {}
    for cell in TRIED:
        if cell.feature == BFD:
            sessions = told[cell.kind, matrix.router(cell) is matrix.routers[cell.kind, True]]
            found[cell] = cell.seen_as in sessions and sessions[cell.seen_as].up
    return found


@pytest.mark.parametrize("cell", TRIED, ids=str)
def test_cell(seen: Seen, cell: Cell) -> None:
    RAN[cell.kind.name] += 1
    session = seen.sessions[cell]
    assert session.up, session
    (way,) = seen.ways[cell]
    assert replace(way, next_hop="") == cell.expected("")
    assert_next_hop(seen, cell, way.next_hop)
    if cell.feature == BFD:
        assert seen.bfd[cell]
    assert (RESTART in session.capabilities) == (cell.feature == GRACEFUL)
    assert_end(seen, cell)
    GREEN[cell.kind.name] += 1


def assert_next_hop(seen: Seen, cell: Cell, next_hop: str) -> None:
    """Ourselves: where we speak from, or an address of the other family on that interface."""
    if cell.feature == UNNUMBERED:
        assert next_hop.startswith("fe80::")
    elif cell.family is cell.transport:
        assert next_hop == cell.node_address
    else:
        assert next_hop in seen.addresses[cell.kind]
        assert Family.of(next_hop) is cell.family


def assert_end(seen: Seen, cell: Cell) -> None:
    """The router was told why; or, asked to keep our routes over a restart, has kept them."""
    after = seen.after[cell]
    assert not after.up
    if cell.feature == GRACEFUL:
        (kept,) = seen.kept[cell]
        assert kept.stale
        if _comes_back(cell):
            (way,) = seen.again[cell]
            assert replace(way, next_hop="") == cell.expected("")
    else:
        assert seen.kept[cell] == ()
        assert "administrative shutdown" in after.last_reset.lower()
        assert "stops" in after.last_reset


@pytest.fixture(scope="module")
def aside() -> Iterator[Scene]:
    require()
    packages.install(Lines())
    with Scene(Layout(nodes=0, routers=3)) as scene:
        yield scene


@pytest.mark.parametrize("cell", REFUSED, ids=str)
def test_a_router_refuses_it_itself(aside: Scene, cell: Cell) -> None:
    said = refused(cell, aside)
    assert said
    assert WORDS[cell.kind, cell.feature] in said


def test_how_many_cells_are_green(capsys: pytest.CaptureFixture[str]) -> None:
    total = Counter(cell.kind.name for cell in TRIED)
    cannot = Counter(cell.kind.name for cell in REFUSED)
    with capsys.disabled():
        print()
        for kind in KINDS:
            name = kind.name
            print(f"  {name}: {GREEN[name]} of {total[name]} green, {cannot[name]} it refuses")
        print(f"  matrix: {GREEN.total()} of {total.total()} cells green")
    if not RAN:
        pytest.skip("no cell was tried")
    assert GREEN == RAN
