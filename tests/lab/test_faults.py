"""Each kind of fault once, with loose bounds; the figures are `bench.layer2`'s.

Rows of the benchmark are played as they are: what is measured there is what is tested here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import deaths, splits
from lab import netns
from lab.bare import Bare
from lab.fixtures import require
from lab.scene import Scene

pytestmark = pytest.mark.lab

LOOSE = 1.5  # seconds of outage, or of two answers after the fault has ended
BOUNDS = {
    "crashed": {"known": LOOSE, "asks": LOOSE},
    "cut": {"IPv4": LOOSE, "IPv6": LOOSE},
    "split": {"mistaken": 0, "outage": LOOSE, "joined": LOOSE},
    "gossip": {"both": 0.0, "others": 0, "failed": 0},
    "lan": {"mistaken": 0, "joined": LOOSE},
    "unheard": {"mistaken": 0, "joined": LOOSE},
    "deaf": {"mistaken": 0, "joined": LOOSE},
    "usurper": {"mistaken": 0, "moved": 0, "joined": LOOSE},
    "sleeper": {"waits": LOOSE, "answers": 1, "joined": LOOSE},
}
ROWS = {row.name: row for row in (*deaths.ROWS, *splits.ROWS)}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    if not netns.has_ipv6():
        pytest.skip("this kernel has no IPv6")
    with Bare(**Scene.options) as lab:
        yield Scene(lab)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_lan_is_well_again_after_the_fault(scene: Scene, name: str) -> None:
    try:
        values = ROWS[name].once(scene, 0)
    finally:
        scene.lab.heal()
    print(values)
    too_much = {key: values[key] for key, most in BOUNDS[name].items() if values[key] > most}
    assert not too_much, values
