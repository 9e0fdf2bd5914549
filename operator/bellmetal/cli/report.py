"""A plan as a table for people or as JSON for scripts. No decision but the exit status.

The shape of the JSON is kept as long as its ``version`` is 1; keys may be added.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bellmetal import kube
from bellmetal.absence import Change
from bellmetal.addresses import IPAddress
from bellmetal.cli.proposal import Ignored
from bellmetal.cli.sheet import sheet
from bellmetal.comparison import Outcome, Row
from bellmetal.config import Problem
from bellmetal.intents import Allocation

VERSION = 1
COLOURS = {
    Outcome.KEEPS: "green",
    Outcome.GETS: "cyan",
    Outcome.LOSES: "bold red",
    Outcome.CHANGES: "bold red",
    Outcome.ORPHANED: "yellow",
    Outcome.REFUSED: "red",
}
VERBS = {
    Outcome.KEEPS: ("keeps", "keep"),
    Outcome.GETS: ("gets", "get"),
    Outcome.LOSES: ("loses", "lose"),
    Outcome.CHANGES: ("changes", "change"),
    Outcome.ORPHANED: ("is orphaned", "are orphaned"),
    Outcome.REFUSED: ("is refused", "are refused"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """All that a plan says. ``moves``: rows as they are if the objects are applied one by one and
    the controller looks in between, where that moves what the plan says is kept. ``silenced``:
    addresses that stay and that nobody would announce any more."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    old_problems: frozenset[str] = frozenset()  # as text: those that are there already
    ignored: tuple[Ignored, ...] = ()
    moves: tuple[Row, ...] = ()
    silenced: tuple[Change, ...] = ()

    @property
    def exit_status(self) -> int:
        """4: the configuration has problems; 3: an address is lost, changed or silent; else 0."""
        if self.problems:
            return 4
        hurts = self.moves or self.silenced or any(row.hurts for row in self.rows)
        return 3 if hurts else 0

    @property
    def counts(self) -> Counter[Outcome]:
        """How many Services each outcome has."""
        return Counter(row.outcome for row in self.rows)

    def shown(self, everything: bool) -> list[Row]:
        """The rows to print."""
        return [row for row in self.rows if everything or row.changed]

    def is_new(self, problem: Problem) -> bool:
        """Whether the cluster does not have this problem now."""
        return str(problem) not in self.old_problems


# --- words ---------------------------------------------------------------------------------------


def summary(report: Report) -> str:
    """One line."""
    counts = report.counts
    said = [f"{n} {VERBS[kind][n != 1]}" for kind in Outcome if (n := counts[kind])]
    total = len(report.rows)
    line = f"{total} Service{_s(total)}" + (f": {', '.join(said)}" if said else "")
    if number := len(report.silenced):
        line += f"; {number} announced by nobody any more"
    if number := len(report.problems):
        line += f"; {number} problem{_s(number)}"
    return line


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def sentence(row: Row) -> str:
    """Why it is so, as far as there is something to say."""
    said = [row.why] if row.why else []
    if row.then.orphaned:
        said.append(kube.orphan_message(row.then))
    elif row.now.orphaned and row.then.addresses == row.now.addresses:
        said.append("a pool allows it again")
    if row.refused:
        more = "refused one more: " if row.refused.additional else "refused what it asks for: "
        said.append((more if row.then.addresses else "") + row.refused.message)
    return "; ".join(said)


def caution(row: Row) -> str:
    """That the order of the files matters to a Service."""
    return (
        f"{row.service} keeps {_texts(row.now.addresses)} only if all is applied at once: one by"
        f" one, in this order, it may have {_texts(row.then.addresses) or 'none'} in the end"
    )


def _texts(addresses: Iterable[IPAddress]) -> str:
    return ", ".join(map(str, addresses))


def _arrow(now: str, then: str) -> str:
    return then if now == then else f"{now or '-'} → {then or '-'}"


def _place(item: Ignored) -> str:
    return f"{item.kind}/{item.name or '?'} ({item.place})"


# --- for people ----------------------------------------------------------------------------------


def print_table(report: Report, everything: bool, out: TextIO) -> None:
    """With colours on a terminal; elsewhere plain, and no line is cut."""
    with sheet(out) as console:
        _print(report, everything, console)


def _print(report: Report, everything: bool, console: Console) -> None:
    for title, lines in _paragraphs(report):
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(line, soft_wrap=True)
        console.print()
    if rows := report.shown(everything):
        console.print(_table(rows, wrap=console.is_terminal))
        console.print()
    console.print(Text(summary(report), style="bold"), soft_wrap=True)


def _paragraphs(report: Report) -> Iterator[tuple[str, list[Text]]]:
    if report.problems:
        yield (
            "Problems of the new configuration:",
            [
                Text.assemble(
                    "  ",
                    (printable(str(problem)), "red" if report.is_new(problem) else "yellow"),
                    "" if report.is_new(problem) else " (there already)",
                )
                for problem in report.problems
            ],
        )
    if report.ignored:
        lines = [Text(f"  {printable(_place(item))}: {item.reason}") for item in report.ignored]
        yield "Ignored:", lines
    if report.silenced:
        yield (
            "Nobody would announce any more:",
            [Text(f"  {printable(silence(item))}", style="bold red") for item in report.silenced],
        )
    if report.moves:
        yield (
            "The order matters:",
            [Text(f"  {caution(row)}", style="bold red") for row in report.moves],
        )


def silence(item: Change) -> str:
    """That nobody would announce an address any more."""
    return f"{', '.join(item.services)}: {item.why or f'{item.address} is not announced'}"


def _table(rows: list[Row], wrap: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("SERVICE", "ADDRESS", "POOL", "WHAT HAPPENS"):
        table.add_column(title, overflow="fold", no_wrap=not wrap)
    for row in rows:
        said = sentence(row)
        table.add_row(
            Text(row.service),
            Text(_arrow(_texts(row.now.addresses), _texts(row.then.addresses)) or "-"),
            Text(_arrow(row.now.pool, row.then.pool) or "-"),
            Text.assemble(
                (row.outcome.value, COLOURS[row.outcome]), f": {printable(said)}" if said else ""
            ),
        )
    return table


def printable(text: str) -> str:
    """Names of files' objects may have anything in them."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


# --- for scripts ---------------------------------------------------------------------------------


def as_json(report: Report, everything: bool) -> str:
    """One object, as docs describe it."""
    counts = report.counts
    body = {
        "version": VERSION,
        "summary": {
            "services": len(report.rows),
            **{kind.value: counts[kind] for kind in Outcome},
            "problems": len(report.problems),
        },
        "problems": [
            {
                "kind": problem.kind,
                "name": problem.name,
                "path": problem.path,
                "message": problem.message,
                "new": report.is_new(problem),
            }
            for problem in report.problems
        ],
        "ignored": [
            {"place": item.place, "kind": item.kind, "name": item.name, "reason": item.reason}
            for item in report.ignored
        ],
        "cautions": [
            {"service": row.service, "then": _addresses(row.then), "message": caution(row)}
            for row in report.moves
        ],
        "silenced": [
            {
                "address": str(item.address),
                "services": list(item.services),
                "message": silence(item),
            }
            for item in report.silenced
        ],
        "services": [_service(row) for row in report.shown(everything)],
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def _service(row: Row) -> dict[str, Any]:
    refused = row.refused
    return {
        "service": row.service,
        "outcome": row.outcome.value,
        "now": _addresses(row.now),
        "then": _addresses(row.then),
        "orphaned": [str(address) for address, _ in row.then.orphaned],
        "refused": refused
        and {"reason": refused.reason.value, "message": refused.message, "new": row.newly_refused},
        "message": sentence(row),
    }


def _addresses(allocation: Allocation) -> list[dict[str, str]]:
    return [
        {"address": str(address), "pool": pool}
        for address, pool in zip(allocation.addresses, allocation.pools, strict=True)
    ]
