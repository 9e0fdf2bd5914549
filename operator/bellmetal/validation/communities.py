"""Communities and their names → what they stand for.

Each alias stands for itself: one that is invalid, or that another object has defined before, does
not count, and the others of its object do, so that a typo takes no other advertisement along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bellmetal.config import Community
from bellmetal.resources import Community as CommunityObject
from bellmetal.validation.annotations import read_annotations
from bellmetal.validation.literals import CommunityError, parse_community
from bellmetal.validation.report import Reports, missing, oldest_first

KIND = "Community"


@dataclass(frozen=True, slots=True)
class Aliases:
    """What is defined: what it stands for, None if that is invalid."""

    by_name: Mapping[str, Community | None]

    def sound(self) -> dict[str, Community]:
        """Those that stand for something."""
        return {name: item for name, item in self.by_name.items() if item is not None}

    def resolve(self, text: str) -> Community:
        """A name or a literal community; raises CommunityError."""
        if text in self.by_name:
            found = self.by_name[text]
            if found is None:
                raise CommunityError(f'the Community alias "{text}" is invalid')
            return found
        if text and ":" not in text:
            raise CommunityError(missing("Community alias", text, self.by_name))
        return parse_community(text)


def read_communities(bodies: Iterable[CommunityObject], reports: Reports) -> Aliases:
    """The aliases of all objects."""
    found: dict[str, Community | None] = {}
    for body in oldest_first(bodies):
        report = reports.of(KIND, body)
        read_annotations(KIND, body.metadata.annotations, report)
        for index, item in enumerate(body.spec.communities or []):
            path = f"spec.communities[{index}]"
            try:
                community: Community | None = parse_community(item.value)
            except CommunityError as error:
                report.note(f"{path}.value", str(error))
                community = None
            if not item.name:
                report.note(f"{path}.name", "is empty: give it a name")
            elif item.name in found:
                report.note(f"{path}.name", f'duplicate definition of community "{item.name}"')
            else:
                found[item.name] = community
    return Aliases(dict(sorted(found.items())))
