"""The answers of `preflight`: findings, checks that found nothing, checks that were not made."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bellmetal.preflight.codes import Code, Level, Topic
from bellmetal.preflight.seen import Seen

EXIT = {Level.FAILURE: 4, Level.WARNING: 3, Level.NOTE: 0}
_WORST_FIRST = tuple(Level)
_TOPICS = tuple(Topic)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. ``about``: the object, as ``Kind/name``; ``todo``: what to do, if anything
    is to be done; a command stands there as it is typed."""

    code: Code
    about: str
    sentence: str
    todo: str = ""

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.code.level

    @property
    def order(self) -> tuple[int, int]:
        """Worst first, then by topic; what was found together stays together."""
        return _WORST_FIRST.index(self.level), _TOPICS.index(self.code.topic)


Findings: TypeAlias = Iterable[Finding]


@dataclass(frozen=True, slots=True)
class Given:
    """What a check presupposes; ``otherwise``: why it says nothing where that is not so."""

    is_so: Callable[[Seen], object]
    otherwise: str


INSTALLED = Given(lambda seen: seen.installed, "Bellmetal is not installed yet")
POOLS = Given(lambda seen: seen.config.pools, "there is no IPAddressPool yet")
REPORTED = Given(lambda seen: seen.reports, "no speaker has reported yet what its node looks like")
PROXY = Given(
    lambda seen: seen.kube_proxy, "how kube-proxy works is not written down in the cluster"
)


@dataclass(frozen=True, slots=True)
class Check:
    """A question: ``holds`` is what is said if nothing is found; ``needs`` are fields of `Seen`."""

    holds: str
    judge: Callable[[Seen], Findings]
    needs: tuple[str, ...] = ()
    given: tuple[Given, ...] = ()

    def why_not(self, seen: Seen) -> str:
        """Why it cannot be made; empty if it can."""
        unread = (seen.unread[name].why for name in self.needs if name in seen.unread)
        lacking = (item.otherwise for item in self.given if not item.is_so(seen))
        return next(itertools.chain(unread, lacking), "")


@dataclass(frozen=True, slots=True)
class Report:
    """All answers. ``skipped``: what could not be judged → why."""

    findings: tuple[Finding, ...] = ()
    passed: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """That of the worst finding."""
        return max((EXIT[item.level] for item in self.findings), default=0)

    @property
    def counts(self) -> Counter[Level]:
        """How many findings each level has."""
        return Counter(item.level for item in self.findings)


def examine(seen: Seen, checks: Iterable[Check], about: Mapping[str, str]) -> Report:
    """Asks every question that can be answered; the worst finding first."""
    findings: list[Finding] = []
    passed: list[str] = []
    skipped: dict[str, str] = {}
    for check in checks:
        if why := check.why_not(seen):
            skipped[check.holds] = why
            continue
        found = list(check.judge(seen))
        findings += found
        if not found:
            passed.append(check.holds)
    findings.sort(key=lambda item: item.order)
    return Report(tuple(findings), tuple(passed), skipped, about)
