"""Rows of what people do on purpose: restart speakers, move an address, drain a node.

A thousand connections in each, half of them by clients that know the address, half by clients that
ask the LAN for each; what fails is counted, but for those that began in the 20 ms around a change.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench.rows import Row, Values
from bench.table import COUNT, Wish
from lab.capture import Capture, Word
from lab.prober import Attempt, Prober
from lab.scene import Scene
from lab.waiting import until

DRAIN, MOVE_TO = "bellmetal.io/drain", "bellmetal.io/move-to"
ATTEMPTS = 1000
BOTH = 0.1  # seconds for which two may answer
IN_FLIGHT = 0.01  # seconds before and after a change, in which an attempt may begin and fail
AFTER = 1.2  # seconds after which every attempt has ended


def changes(words: Sequence[Word]) -> list[float]:
    """When another than the one before said that the address is its own."""
    pairs = itertools.pairwise(words)
    return [word.at for before, word in pairs if word.mac != before.mac]


def losses(attempts: Sequence[Attempt], around: Sequence[float]) -> tuple[int, int]:
    """How many failed, and how many of those were in flight around one of these moments."""
    lost = [item for item in attempts if not item.ok]
    excused = [item for item in lost if any(abs(item.at - at) <= IN_FLIGHT for at in around)]
    return len(lost) - len(excused), len(excused)


def measured(scene: Scene, act: Callable[[], None]) -> Values:
    """Plays something on purpose under a thousand connections."""
    with (
        scene.clients() as known,
        scene.clients(fresh=True) as asking,
        scene.asking() as capture,
    ):
        time.sleep(0.2)
        began = time.monotonic()
        act()
        probers = [*known, *asking]
        until(partial(_enough, probers, began), f"{ATTEMPTS} attempts", every=0.1)
        ended = time.monotonic()
        time.sleep(AFTER)
    attempts = [item for p in probers for item in p.attempts(began) if item.at < ended]
    return {"attempts": len(attempts), **_judged(scene, capture, began, attempts)}


def _enough(probers: list[Prober], since: float) -> bool:
    return sum(len(prober.attempts(since)) for prober in probers) >= ATTEMPTS


def _judged(scene: Scene, capture: Capture, began: float, attempts: list[Attempt]) -> Values:
    said = [capture.said(address, began - 0.1) for address in scene.addresses]
    lost, excused = losses(attempts, [at for words in said for at in changes(words)])
    both = max(capture.contested(address, began) for address in scene.addresses)
    return {"lost": lost, "in-flight": excused, "both": both}


# --- what is done ---------------------------------------------------------------------------------


def annotate(scene: Scene, path: str, annotations: Mapping[str, str | None]) -> None:
    body: dict[str, Any] = {"metadata": {"annotations": dict(annotations)}}
    scene.lab.rest.patch(path, body)


def restarted(scene: Scene, _: int) -> Values:
    """SIGTERM and a new speaker: the owner's."""
    owner = scene.owner()

    def act() -> None:
        scene.running[owner].terminate()
        scene.running[owner].wait()
        scene.start_speaker(owner)

    return measured(scene, act)


def moved(scene: Scene, number: int) -> Values:
    """By the annotation that `bellmetal move` sets."""
    heir = scene.others(scene.owner())[number % 2]

    def act() -> None:
        annotate(scene, f"/api/v1/namespaces/default/services/{scene.service}", {MOVE_TO: heir})
        until(lambda: scene.owner() == heir, f"{heir} owns it", 15)

    return measured(scene, act)


def drained(scene: Scene, _: int) -> Values:
    """By the annotation that `bellmetal drain` sets; it is taken back afterwards."""
    owner = scene.owner()

    def act() -> None:
        annotate(scene, f"/api/v1/nodes/{owner}", {DRAIN: "true"})
        until(lambda: scene.owner() != owner, f"{owner} is drained", 15)

    try:
        return measured(scene, act)
    finally:
        annotate(scene, f"/api/v1/nodes/{owner}", {DRAIN: None})


def wishes(what: str) -> dict[str, Wish]:
    return {
        "attempts": Wish(f"{what}: connection attempts", COUNT),
        "lost": Wish(f"{what}: failed", COUNT, most=0),
        "in-flight": Wish(f"{what}: failed, begun in the 20 ms around the change", COUNT),
        "both": Wish(f"{what}: two answer at once", most=BOTH),
    }


ROWS = (
    Row("restart", wishes("owner's speaker restarted (SIGTERM)"), restarted, 0.25, 7),
    Row("move", wishes("address moved by order"), moved, 0.25, 7),
    Row("drain", wishes("owner's node drained"), drained, 0.25, 7),
)
