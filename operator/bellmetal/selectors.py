"""Kubernetes label selectors: what they match. Nothing here knows which object has the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression on one label; ``operator`` is one of OPERATORS."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it; NotIn is also satisfied by an absent label."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """Every requirement must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def any_matches(selectors: tuple[Selector, ...], labels: Mapping[str, str]) -> bool:
    """Whether at least one of the selectors matches (a list of selectors is OR-ed)."""
    return any(selector.matches(labels) for selector in selectors)


def text_of(selectors: tuple[Selector, ...]) -> str:
    """The same text for selectors that say the same, in every process; empty if there is none."""
    return "|".join(sorted(map(_text_of, selectors)))


def _text_of(selector: Selector) -> str:
    parts = (f"{r.key} {r.operator} {','.join(sorted(r.values))}" for r in selector.requirements)
    return f"({'&'.join(sorted(parts))})"
