"""Explanations for people: one line a link, then the cause, what was seen, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bellmetal.addresses import printable
from bellmetal.cli.sheet import sheet
from bellmetal.diagnosis.catalogue import CATALOGUE
from bellmetal.diagnosis.chain import Explanation, State
from bellmetal.explanation import Cause

COLOURS = {
    State.OK: "green",
    State.NOTE: "yellow",
    State.BROKEN: "bold red",
    State.UNKNOWN: "magenta",
}
WELL = "nothing is wrong, as far as can be seen"


def print_explanations(found: list[Explanation], out: TextIO) -> None:
    """With colours on a terminal; elsewhere plain, and no line is cut."""
    with sheet(out) as console:
        for at, item in enumerate(found):
            if at:
                console.print()
            _print(item, console)


def _print(found: Explanation, console: Console) -> None:
    console.print(Text(f"{found.kind} {printable(found.name)}", style="bold"), soft_wrap=True)
    console.print(_links(found, wrap=console.is_terminal))
    console.print()
    if found.cause is None:
        notes = any(link.state is State.NOTE for link in found.links)
        console.print(Text(WELL + (", but see the notes" if notes else ""), style="bold green"))
        for link in found.links:
            if link.state is State.NOTE and link.cause is not None:
                _paragraph(link.cause, console)
    else:
        _paragraph(found.cause, console)
    for hint in found.hints:
        console.print(Text(f"  - {printable(hint)}"), soft_wrap=True)


def _links(found: Explanation, wrap: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold", no_wrap=not wrap)
    for link in found.links:
        state = Text(link.state.value, COLOURS[link.state])
        table.add_row(state, Text(link.step.value), Text(printable(link.saw)))
    return table


def _paragraph(cause: Cause, console: Console) -> None:
    advice = CATALOGUE.get(cause.code)
    title = f"{cause.code}: {advice.title}" if advice else cause.code
    console.print(Text(title, style="bold"), soft_wrap=True)
    for label, text in _lines(cause):
        line = Text.assemble((f"  {label:<8}", "dim"), printable(text))
        console.print(line, soft_wrap=True)


def _lines(cause: Cause) -> Iterator[tuple[str, str]]:
    advice = CATALOGUE.get(cause.code)
    yield "why", cause.sentence
    if advice:
        yield "means", advice.meaning
    for text in cause.evidence:
        yield "seen", text
    if cause.edit:
        yield "change", cause.edit
    if cause.command:
        yield "type", cause.command
    if cause.router:
        yield "router", cause.router
