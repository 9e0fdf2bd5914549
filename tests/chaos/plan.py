"""What a seed says: which fault begins when, on whom, and for how long. Pure.

Rounds of a burst and a quiet time. Faults of a burst may overlap, within rules under which it is
defined what must hold meanwhile; all have ended when the quiet time begins.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BURST, QUIET = 25.0, 35.0  # seconds
LEAD = 2.0  # seconds of a burst before its first fault may begin
RECOVER = 6.0  # seconds between two faults in one place: who comes back must count again
MANY = (5, 8)  # faults in a burst: at least, at most


class Place(enum.Enum):
    """What a fault takes: two faults that take the same one do not overlap."""

    NODE = "a node or its speaker"  # one of three, so that two are left that hear each other
    API = "the API"
    CONTROLLER = "a controller"
    DISK = "a node's disk"
    CLOCK = "a program's clock"
    SECRET = "the members' key"


NODES, CONTROLLERS, PROGRAMS, NOBODY = "nodes", "controllers", "programs", "-"
OWNER = "owner"  # whoever answers on the LAN when the fault begins


@dataclass(frozen=True)
class Kind:
    """One kind of fault. ``seconds`` that it lasts: at least, at most (0: it is but a moment)."""

    name: str
    what: str
    place: Place
    targets: str
    seconds: tuple[float, float]


KINDS = (
    Kind("speaker-killed", "SIGKILL; started again", Place.NODE, NODES, (1, 6)),
    Kind("speaker-stopped", "SIGSTOP, SIGCONT", Place.NODE, NODES, (0.5, 6)),
    Kind("node-killed", "power off; on again", Place.NODE, NODES, (3, 8)),
    Kind("link-cut", "the cable is pulled and put back", Place.NODE, NODES, (1, 6)),
    Kind("unheard", "no other node hears it", Place.NODE, NODES, (1, 5)),
    Kind("deaf", "it hears no other node", Place.NODE, NODES, (1, 5)),
    Kind("loss", "a fifth of its frames are lost, both ways", Place.NODE, NODES, (2, 6)),
    Kind("partition", "it is alone on its side of the LAN", Place.NODE, NODES, (1, 6)),
    Kind("no-gossip", "no gossip between it and the others", Place.NODE, NODES, (1, 6)),
    Kind("no-lan", "no ARP, NDP or beacon between it and the others", Place.NODE, NODES, (1, 6)),
    Kind("controller-killed", "SIGKILL; started again", Place.CONTROLLER, CONTROLLERS, (1, 8)),
    Kind("controller-stopped", "SIGSTOP, SIGCONT", Place.CONTROLLER, CONTROLLERS, (2, 9)),
    Kind("lease-deleted", "the Lease is deleted", Place.CONTROLLER, NOBODY, (0, 0)),
    Kind("lease-stolen", "the Lease names a stranger", Place.CONTROLLER, NOBODY, (0, 0)),
    Kind("api-gone", "the API server is killed; started again", Place.API, NOBODY, (1, 8)),
    Kind("api-hangs", "the API server is stopped; goes on", Place.API, NOBODY, (1, 8)),
    Kind("api-slow", "each answer takes half a second longer", Place.API, NOBODY, (3, 9)),
    Kind("api-429", "half of the requests: too many", Place.API, NOBODY, (3, 9)),
    Kind("api-500", "half of the requests: internal error", Place.API, NOBODY, (3, 9)),
    Kind("api-409", "half of the writes: conflict", Place.API, NOBODY, (3, 9)),
    Kind("compaction", "etcd forgets what was; a new API server", Place.API, NOBODY, (0, 0)),
    Kind("clock-ahead", "its wall clock is a day ahead", Place.CLOCK, PROGRAMS, (2, 9)),
    Kind("clock-behind", "its wall clock is a day behind", Place.CLOCK, PROGRAMS, (2, 9)),
    Kind("disk-full", "its speaker's state cannot be written", Place.DISK, NODES, (3, 9)),
    Kind("secret", "the members' key is another, the old one beside", Place.SECRET, NOBODY, (0, 0)),
    Kind("upgrade", "all programs restarted, one after the other", Place.NODE, NOBODY, (12, 12)),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Step:
    """A fault of a plan: seconds from the start, kind, whom it hits, seconds that it lasts."""

    at: float
    fault: str
    target: str
    duration: float

    @property
    def end(self) -> float:
        """When it ends."""
        return self.at + self.duration

    @property
    def text(self) -> str:
        """A line of the plan."""
        lasts = f"for {self.duration:.1f} s" if self.duration else "at once"
        return f"{self.at:7.1f} s  {self.fault:18} {self.target:14} {lasts}"


@dataclass(frozen=True)
class Round:
    """A burst, and the quiet time after it; seconds from the start."""

    begins: float
    quiet: float
    ends: float
    steps: tuple[Step, ...]


def rounds(
    rng: random.Random,
    seconds: float,
    nodes: Sequence[str],
    controllers: Sequence[str],
    kinds: Iterable[str] = tuple(BY_NAME),
) -> tuple[Round, ...]:
    """As many rounds as fit, at least one. Kinds take turns, so that all are played in time."""
    found = []
    deck: list[Kind] = []
    targets = {
        NODES: [*nodes, *([OWNER] * len(nodes))],  # every other one, so that they are felt
        CONTROLLERS: list(controllers),
        PROGRAMS: [*nodes, *controllers],
        NOBODY: [NOBODY],
    }
    chosen = sorted(set(kinds))
    for number in range(max(1, round(seconds / (BURST + QUIET)))):
        begins = number * (BURST + QUIET)
        steps: list[Step] = []
        for _ in range(rng.randint(*MANY)):
            if not deck:
                deck = [BY_NAME[name] for name in chosen]
                rng.shuffle(deck)
            for kind in reversed(deck):  # what has no room in this burst waits for the next one
                if step := _placed(rng, kind, targets, begins, steps):
                    deck.remove(kind)
                    steps.append(step)
                    break
        steps.sort(key=lambda step: (step.at, step.fault))
        found.append(Round(begins, begins + BURST, begins + BURST + QUIET, tuple(steps)))
    return tuple(found)


def _placed(
    rng: random.Random,
    kind: Kind,
    targets: dict[str, list[str]],
    begins: float,
    steps: Sequence[Step],
) -> Step | None:
    """A moment and a target for it that no rule forbids; None if a few tries find none."""
    for _ in range(50):
        duration = round(rng.uniform(*kind.seconds), 1)
        at = round(begins + rng.uniform(LEAD, BURST - duration), 1)
        step = Step(at, kind.name, rng.choice(targets[kind.targets]), duration)
        if not any(collide(step, other) for other in steps):
            return step
    return None


def collide(one: Step, other: Step) -> bool:
    """Whether two faults may not be played as they stand."""
    places = {BY_NAME[one.fault].place, BY_NAME[other.fault].place}
    apart = one.at >= other.end + RECOVER or other.at >= one.end + RECOVER
    if len(places) == 1 and not apart:
        return True
    # the programs that are restarted must be those that are judged, and must come up again
    return "upgrade" in (one.fault, other.fault) and not apart
