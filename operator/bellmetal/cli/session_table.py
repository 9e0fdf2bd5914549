"""BGP sessions as a table for people or as JSON for scripts.

The shape of the JSON is kept as long as its ``version`` is 1; keys may be added.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bellmetal.addresses import printable
from bellmetal.cli.sessions import SessionRow, Sessions
from bellmetal.cli.sheet import sheet
from bellmetal.explanation import NO_SESSION, Cause

VERSION = 1
TITLES = ("PEER", "NODE", "REMOTE", "STATE", "SINCE", "HOLD", "SENT", "RECEIVED", "BFD")


def print_sessions(sessions: Sessions, now: datetime.datetime, out: TextIO) -> None:
    """With colours on a terminal; elsewhere plain, and no line is cut."""
    with sheet(out) as console:
        _print(sessions, now, console)


def _print(sessions: Sessions, now: datetime.datetime, console: Console) -> None:
    if sessions.rows or sessions.absent:
        console.print(_table(sessions, now, wrap=console.is_terminal))
        console.print()
    for title, cause in _causes(sessions):
        console.print(Text(title, style="bold"), soft_wrap=True)
        for line in _lines(cause):
            console.print(Text(f"  {printable(line)}"), soft_wrap=True)
        console.print()
    console.print(Text(summary(sessions), style="bold"), soft_wrap=True)


def summary(sessions: Sessions) -> str:
    """One line."""
    total = len(sessions.rows)
    if not total and not sessions.absent:
        return "there is no BGPPeer"
    up = sum(row.established for row in sessions.rows)
    line = f"{up} of {total} session{'' if total == 1 else 's'} established"
    if sessions.absent:
        number = len(sessions.absent)
        line += f"; {number} BGPPeer{'' if number == 1 else 's'} without a session"
    return line


def _table(sessions: Sessions, now: datetime.datetime, wrap: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in TITLES:
        table.add_column(title, overflow="fold", no_wrap=not wrap)
    for row in sessions.rows:
        table.add_row(*map(Text, _cells(row, now)[:3]), _state(row), *_cells(row, now)[4:])
    for name in sessions.absent or ():
        table.add_row(Text(name), "-", "-", Text("no session", "red"), *["-"] * 5)
    return table


def _state(row: SessionRow) -> Text:
    state = row.facts.state.value
    if row.missing:
        return Text(NO_SESSION, "red")
    if row.silent:
        return Text(f"{state}?", "yellow")
    return Text(state, ("green" if row.well else "yellow") if row.established else "red")


def _cells(row: SessionRow, now: datetime.datetime) -> list[str]:
    status, facts = row.status, row.facts
    found = facts.negotiated
    remote = status.remote + (f":{status.port}" if status.port not in (0, 179) else "")
    sent = str(facts.prefixes_sent)
    if facts.prefixes_pending:
        sent += f" (+{facts.prefixes_pending})"
    return [
        printable(text)
        for text in (
            status.peer,
            status.node,
            remote + (f" VRF {status.vrf}" if status.vrf else ""),
            facts.state.value,
            age(status.since, now),
            f"{found.hold_time}s/{found.keepalive_time:g}s" if found and row.established else "-",
            sent,
            str(facts.prefixes_received),
            facts.bfd.state.value if facts.bfd else "-",
        )
    ]


def age(since: str | None, now: datetime.datetime) -> str:
    """How long ago a time in RFC 3339 is: ``45s``, ``12m``, ``3h``, ``9d``."""
    try:
        then = datetime.datetime.fromisoformat(since or "")
        seconds = max(0, int((now - then).total_seconds()))
    except (ValueError, TypeError):
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


# --- why -----------------------------------------------------------------------------------------


def _causes(sessions: Sessions) -> Iterator[tuple[str, Cause]]:
    for row in sessions.rows:
        if not row.well:
            cause = row.cause
            yield f"{printable(row.status.peer)} on {row.status.node}: {cause.code}", cause
    for name, cause in (sessions.absent or {}).items():
        yield f"{name}: {cause.code}", cause


def _lines(cause: Cause) -> Iterator[str]:
    yield cause.sentence
    for text in cause.evidence:
        yield f"seen: {text}"
    if cause.edit:
        yield f"look at: {cause.edit}"
    if cause.command:
        where = "type" if cause.command.startswith(("kubectl", "bellmetal")) else "on the node"
        yield f"{where}: {cause.command}"
    if cause.router:
        yield f"on the router: {cause.router}"


# --- for scripts ---------------------------------------------------------------------------------


def as_json(sessions: Sessions) -> str:
    """One object, as docs describe it."""
    body = {
        "version": VERSION,
        "summary": {
            "sessions": len(sessions.rows),
            "established": sum(row.established for row in sessions.rows),
            "peersWithoutSession": len(sessions.absent or ()),
        },
        "sessions": [_row(row) for row in sessions.rows],
        "peersWithoutSession": [
            {"peer": name, "cause": asdict(cause)}
            for name, cause in (sessions.absent or {}).items()
        ],
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def _row(row: SessionRow) -> dict[str, Any]:
    status: dict[str, Any] = msgspec.to_builtins(row.status)
    more = {"established": row.established, "well": row.well, "cause": asdict(row.cause)}
    return status | more
