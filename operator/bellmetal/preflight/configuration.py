"""What is wrong with the objects of the configuration, and what programs say of it."""

from __future__ import annotations

from collections.abc import Iterator

from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import Check, Finding
from bellmetal.preflight.seen import Seen


def invalid(seen: Seen) -> Iterator[Finding]:
    """Every problem that the controller would find."""
    for problem in seen.problems:
        yield Finding(
            Code.INVALID,
            f"{problem.kind}/{problem.name}",
            f"{problem.path}: {problem.message}",
            f"kubectl -n {seen.namespace} edit {problem.kind.lower()} {problem.name}",
        )


def states(seen: Seen) -> Iterator[Finding]:
    """Programs that say that they have not taken in all of it."""
    if seen.problems:  # they are named already
        return
    for state in seen.states:
        status = state.status
        if status.result and status.result != "Valid":
            said = f": {status.error_summary}" if status.error_summary else ""
            name = state.metadata.name
            yield Finding(
                Code.STATE,
                f"ConfigurationState/{name}",
                f"{name} says that the configuration is {status.result}{said}",
                f"kubectl -n {seen.namespace} get configurationstate {name} -o yaml",
            )


CHECKS = (
    Check("the configuration has no problem", invalid, ("config",)),
    Check("every program has taken it in", states, ("config", "states")),
)
