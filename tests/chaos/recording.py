"""What was seen while faults were played: frozen values, times in monotonic seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.capture import Word
from lab.prober import Attempt

V4, V6, BGP = "L2 IPv4", "L2 IPv6", "BGP"
NEVER = float("inf")


@dataclass(frozen=True)
class Played:
    """A fault as it was played. ``ended``: when all was as before again; NEVER: it still lasts."""

    fault: str
    target: str
    began: float
    ended: float = NEVER

    @property
    def text(self) -> str:
        """By name, and on whom."""
        return self.fault if self.target == "-" else f"{self.fault} {self.target}"


@dataclass(frozen=True)
class Client:
    """Somebody who connects all along; ``way``: V4, V6 or BGP."""

    name: str
    way: str
    attempts: Sequence[Attempt]


@dataclass(frozen=True)
class Given:
    """A Service's status was written, or (``gone``) the Service was deleted."""

    at: float
    service: str
    addresses: tuple[str, ...] = ()
    gone: bool = False


@dataclass(frozen=True)
class Write:
    """A write of one of our programs; ``by``: its account."""

    at: float
    by: str
    verb: str
    what: str


@dataclass(frozen=True)
class Calm:
    """A quiet time: when it began, when all was found as it should be (None: never), its end.

    ``lacking``: what was not, when it was last looked at. ``rest``: from when on nothing may be
    written.
    """

    began: float
    converged: float | None
    ended: float
    lacking: tuple[str, ...] = ()
    rest: float = NEVER


@dataclass(frozen=True)
class Still:
    """The machine did not run a bystander for so many seconds, up to that moment."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Recording:
    """All of it. ``words``: who said that an address is its own, by address, in order."""

    began: float = 0.0
    ended: float = NEVER
    faults: Sequence[Played] = ()
    clients: Sequence[Client] = ()
    words: Mapping[str, Sequence[Word]] = field(default_factory=dict)
    given: Sequence[Given] = ()
    writes: Sequence[Write] = ()
    calms: Sequence[Calm] = ()
    stills: Sequence[Still] = ()

    def stood_still(self, since: float, until: float) -> float:
        """Seconds in all for which the machine stood still in a time."""
        return sum(
            item.seconds
            for item in self.stills
            if item.at >= since and item.at - item.seconds <= until
        )

    def in_force(self, since: float, until: float, after: float = 0.0) -> list[Played]:
        """The faults that lasted, or had ended ``after`` seconds before at most, in a time."""
        return [f for f in self.faults if f.began <= until and f.ended + after >= since]


@dataclass(frozen=True)
class Violation:
    """What must not be: when, what was seen, which faults were in force then."""

    at: float
    seen: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One invariant: how often it was looked at, and where it was broken."""

    name: str
    checks: int
    violations: tuple[Violation, ...] = ()


def texts(faults: Iterable[Played]) -> tuple[str, ...]:
    """The faults in words."""
    return tuple(fault.text for fault in faults)
