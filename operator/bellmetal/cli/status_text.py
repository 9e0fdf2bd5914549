"""An overview as tables for people or as JSON for scripts.

The shape of the JSON is kept as long as its ``version`` is 1; keys may be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bellmetal.addresses import printable
from bellmetal.cli.sheet import sheet
from bellmetal.diagnosis.overview import AddressRow, MemberRow, Overview, PoolRow

VERSION = 1
MOST = 10  # of what is wrong, at a glance


def print_overview(found: Overview, subject: str, pool: str, out: TextIO) -> None:
    """``subject``: pools, addresses or members; empty: all at a glance."""
    with sheet(out) as console:
        match subject:
            case "pools":
                console.print(_pools(found.pools))
            case "addresses":
                console.print(_addresses(_of_pool(found.addresses, pool)))
            case "members":
                console.print(_members(found.members))
            case _:
                _print_all(found, console)


def _of_pool(rows: Iterable[AddressRow], pool: str) -> list[AddressRow]:
    return [row for row in rows if pool in ("", row.pool)]


def _print_all(found: Overview, console: Console) -> None:
    leads = f"{found.leader} leads" if found.leader else "nobody may say who leads"
    said = Text(leads) if found.leads else Text("no controller leads", "bold red")
    console.print(Text("controller: ", style="bold") + said)
    for problem in found.problems[:MOST]:
        console.print(Text(f"problem: {printable(problem)}", style="red"), soft_wrap=True)
    console.print()
    console.print(_pools(found.pools))
    console.print()
    console.print(_members(found.members))
    console.print()
    wrong = [row for row in found.addresses if not row.well]
    if wrong:
        console.print(_addresses(wrong[:MOST]))
        console.print()
    for key, code, message in found.refused[:MOST]:
        line = Text.assemble((f"{key}: {code}", "red"), f": {printable(message)}")
        console.print(line, soft_wrap=True)
    console.print(Text(summary(found), style="bold"), soft_wrap=True)


def summary(found: Overview) -> str:
    """One line."""
    wrong = [row for row in found.addresses if not row.well]
    number = len(found.addresses)
    line = f"{number} address{'' if number == 1 else 'es'} in use, {number - len(wrong)} announced"
    if found.refused:
        line += f"; {len(found.refused)} Service{'' if len(found.refused) == 1 else 's'} without"
    if wrong or found.refused:
        key = found.refused[0][0] if found.refused else wrong[0].services[0]
        line += f"; bellmetal explain service {key} says why"
    sessions = sum(row.sessions for row in found.members)
    if down := sessions - sum(row.established for row in found.members):
        line += f"; {down} of {sessions} BGP sessions not established: bellmetal status bgp"
    return line


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title != "NOTES")
    return table


def _pools(rows: Iterable[PoolRow]) -> Table:
    table = _table("POOL", "TOTAL", "IN USE", "RESERVED", "COOLING", "FREE", "ORPHANED", "NOTES")
    for row in rows:
        notes = [] if row.auto else ["autoAssign is false"]
        notes += [] if row.advertised else ["no advertisement selects it"]
        notes += [printable(row.problem)] if row.problem else []
        numbers = (row.total, row.used, row.reserved, row.cooling, row.free, row.orphaned)
        style = "red" if row.problem or not row.advertised else ""
        style = style or ("yellow" if not row.free or row.orphaned else "")
        cells = [Text(row.name, style), *map(Text, map(str, numbers)), Text("; ".join(notes))]
        table.add_row(*cells)
    return table


def _addresses(rows: Iterable[AddressRow]) -> Table:
    table = _table("ADDRESS", "SERVICE", "POOL", "OWNER", "PEERS", "SINCE", "STATE")
    for row in rows:
        texts = (
            str(row.address),
            ", ".join(row.services),
            row.pool or "-",
            row.owner or "-",
            ", ".join(row.peers) or "-",
            row.since or "-",
        )
        state = Text(row.state, "green" if row.well else "red")
        table.add_row(*[Text(printable(text)) for text in texts], state)
    return table


def _members(rows: Iterable[MemberRow]) -> Table:
    table = _table("NODE", "READY", "SPEAKER", "OWNS", "SESSIONS", "NOTES")
    for row in rows:
        sessions = f"{row.established}/{row.sessions}" if row.sessions else "-"
        up = row.sessions == row.established
        table.add_row(
            Text(row.node),
            Text("yes" if row.ready else "no", "green" if row.ready else "red"),
            Text(row.speaker or "runs", "red" if row.speaker else "green"),
            str(row.owns),
            Text(sessions, "" if up else "red"),
            Text(printable("; ".join(row.notes))),
        )
    return table


# --- for scripts ---------------------------------------------------------------------------------


def as_json(found: Overview, subject: str, pool: str) -> str:
    """One object; ``subject`` and ``pool`` as for people."""
    parts: dict[str, Any] = {
        "pools": [asdict(row) for row in found.pools],
        "addresses": [
            asdict(row) | {"address": str(row.address), "well": row.well}
            for row in _of_pool(found.addresses, pool)
        ],
        "members": [asdict(row) | {"well": row.well} for row in found.members],
    }
    body: dict[str, Any] = {"version": VERSION}
    if subject:
        body[subject] = parts[subject]
    else:
        body |= {"leader": found.leader, "leads": found.leads, "problems": list(found.problems)}
        body |= parts | {
            "refused": [
                {"service": key, "code": code, "message": message}
                for key, code, message in found.refused
            ]
        }
    return json.dumps(body | {"ok": found.well}, indent=2, ensure_ascii=False)
