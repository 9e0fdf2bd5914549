"""Which of thousands of Nodes or Namespaces a selector matches, without asking each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from bellmetal.config import Labelled
from bellmetal.selectors import Selector


class Index:
    """Nodes or Namespaces by their labels. Answers are kept: many objects select alike."""

    def __init__(self, items: Mapping[str, Labelled]) -> None:
        self.items = items
        self._answers: dict[tuple[Selector, ...], frozenset[str]] = {}

    @cached_property
    def everybody(self) -> frozenset[str]:
        """The names of all."""
        return frozenset(self.items)

    def matching(self, selectors: tuple[Selector, ...]) -> frozenset[str]:
        """The names of those that one of the selectors matches; of all if there is none."""
        if not selectors:
            return self.everybody
        if selectors not in self._answers:
            found = (name for selector in selectors for name in self._matching(selector))
            self._answers[selectors] = frozenset(found)
        return self._answers[selectors]

    def _matching(self, selector: Selector) -> Iterable[str]:
        items = self.items
        return [name for name in self._candidates(selector) if selector.matches(items[name].labels)]

    def _candidates(self, selector: Selector) -> Iterable[str]:
        for requirement in selector.requirements:
            if requirement.operator == "In":
                values = ((requirement.key, value) for value in requirement.values)
                return [name for value in values for name in self._by_label.get(value, ())]
        return self.items

    @cached_property
    def _by_label(self) -> Mapping[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for name, item in self.items.items():
            for label in item.labels.items():
                found.setdefault(label, []).append(name)
        return found
