"""How problems are collected, and words that rooms share. No rule about any kind lives here."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from bellmetal.config import Problem
from bellmetal.resources import Object

B = TypeVar("B", bound=Object)

NOUNS = {"IPAddressPool": "pool", "BGPPeer": "peer", "BFDProfile": "profile"}


class Report:
    """The problems of one object, which is ``sound`` as long as none of them was `add`-ed."""

    def __init__(self, kind: str, name: str, uid: str) -> None:
        self.kind, self.name, self.uid = kind, name, uid
        self.problems: list[Problem] = []
        self.sound = True

    def add(self, path: str, message: str) -> None:
        """A problem that makes the object invalid."""
        self.note(path, message)
        self.sound = False

    def note(self, path: str, message: str) -> None:
        """A problem that leaves the rest of the object in force."""
        self.problems.append(Problem(self.kind, self.name, path, message, self.uid))


class Reports:
    """The reports of all objects, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._reports: list[Report] = []

    def of(self, kind: str, body: Object) -> Report:
        """A new report about an object."""
        return self.about(kind, body.metadata.name, body.metadata.uid)

    def about(self, kind: str, name: str, uid: str) -> Report:
        """A new report about something of that name."""
        report = Report(kind, name, uid)
        self._reports.append(report)
        return report

    def problems(self) -> tuple[Problem, ...]:
        """All of them."""
        return tuple(problem for report in self._reports for problem in report.problems)


def oldest_first(bodies: Iterable[B]) -> list[B]:
    """The order in which objects are judged: of two that do not go together the older stands."""
    return sorted(bodies, key=_age)


def _age(body: Object) -> tuple[str, str]:
    return body.metadata.creation_timestamp or "", body.metadata.name


def check_unique(values: Sequence[str], path: str, what: str, report: Report) -> None:
    """A list names nothing twice."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            report.add(f"{path}[{index}]", f'duplicate definition of {what} "{value}"')
        seen.add(value)


def check_known(
    values: Sequence[str], path: str, kind: str, names: Collection[str], report: Report
) -> None:
    """A list names only what there is; what it names besides stays in force."""
    for index, value in enumerate(values):
        if value not in names:
            report.note(f"{path}[{index}]", missing(kind, value, names))


def missing(kind: str, wanted: str, names: Collection[str]) -> str:
    """That there is no such object, and which one may have been meant."""
    word = NOUNS.get(kind, kind)
    return f'there is no {kind} "{wanted}"{hint(wanted, names, f"there is no {word} at all")}'


def hint(wanted: str, names: Collection[str], none: str, prefix: str = "") -> str:
    """The nearest name, or some that there are, or that there is none; each after ``prefix``."""
    near = difflib.get_close_matches(wanted, names, n=1)
    if near:
        return f'; did you mean "{prefix}{near[0]}"?'
    if not names:
        return f"; {none}"
    return "; there are " + ", ".join(f'"{prefix}{name}"' for name in sorted(names)[:5])
