"""Findings as a table for people or as JSON for scripts.

The shape of the JSON is kept as long as its ``version`` is 1; keys may be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bellmetal.addresses import printable
from bellmetal.cli.sheet import sheet
from bellmetal.preflight.codes import Level
from bellmetal.preflight.findings import Finding, Report

VERSION = 1
COLOURS = {Level.FAILURE: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
TITLES = {"apiServer": "API server", "user": "you are", "kubeProxy": "kube-proxy"}  # of `about`
INDENT = 4


def print_report(report: Report, out: TextIO) -> None:
    """With colours on a terminal; elsewhere plain, and no line is cut."""
    with sheet(out) as console:
        _print(report, console)


def _print(report: Report, console: Console) -> None:
    for name, value in report.about.items():
        console.print(Text(f"{TITLES.get(name, name)}: {printable(value)}"), soft_wrap=True)
    console.print()
    for level, found in groupby(report.findings, key=lambda item: item.level):
        for topic, items in groupby(found, key=lambda item: item.code.topic):
            console.print(
                Text.assemble((f"{level.value}s".upper(), COLOURS[level]), f"  {topic.value}")
            )
            for item in items:
                _print_finding(item, console)
            console.print()
    if report.skipped:
        console.print(Text("NOT LOOKED AT", style="bold"))
        for why, checks in _by_reason(report):
            console.print(Text(f"  {printable(why)}:"), soft_wrap=True)
            console.print(Padding(Text("; ".join(checks)), (0, 0, 0, INDENT)))
        console.print()
    console.print(Text(summary(report), style="bold"), soft_wrap=True)


def _by_reason(report: Report) -> Iterator[tuple[str, list[str]]]:
    for why in dict.fromkeys(report.skipped.values()):
        yield why, [holds for holds, reason in report.skipped.items() if reason == why]


def _print_finding(item: Finding, console: Console) -> None:
    console.print(
        Text.assemble("  ", (item.code.text, COLOURS[item.level]), f"  {printable(item.about)}"),
        soft_wrap=True,
    )
    console.print(Padding(Text(printable(item.sentence)), (0, 0, 0, INDENT)))
    if item.todo:  # to be copied whole: the terminal alone breaks it
        console.print(Text(f"{' ' * INDENT}→ {printable(item.todo)}"), soft_wrap=True)


def summary(report: Report) -> str:
    """One line."""
    said = [_counted(report.counts[level], level.value) for level in Level if report.counts[level]]
    said.append(f"{_counted(len(report.passed), 'check')} OK")
    if report.skipped:
        said.append(f"{_counted(len(report.skipped), 'check')} not made")
    return ", ".join(said)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


# --- for scripts ---------------------------------------------------------------------------------


def as_json(report: Report) -> str:
    """One object, as docs describe it."""
    body = {
        "version": VERSION,
        "about": dict(report.about),
        "summary": {
            **{f"{level.value}s": report.counts[level] for level in Level},
            "ok": len(report.passed),
            "skipped": len(report.skipped),
        },
        "findings": list(_findings(report)),
        "ok": list(report.passed),
        "skipped": [{"check": holds, "why": why} for holds, why in report.skipped.items()],
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def _findings(report: Report) -> Iterator[dict[str, str]]:
    for item in report.findings:
        yield {
            "level": item.level.value,
            "code": item.code.text,
            "topic": item.code.topic.value,
            "object": item.about,
            "message": item.sentence,
            "todo": item.todo,
        }
