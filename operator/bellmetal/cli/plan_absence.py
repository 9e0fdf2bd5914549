"""``bellmetal plan --lose`` and ``--drain``: who would announce what without these nodes. Reads."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Collection, Iterable
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from bellmetal.absence import Announcers, Change, drain, foresee, lose
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.owners import NotFoundError, must_be_node
from bellmetal.cli.sheet import sheet
from bellmetal.cli.voice import failed
from bellmetal.diagnosis.situation import Situation
from bellmetal.events import timestamp
from bellmetal.settings import PlanSettings, SettingsError
from bellmetal.survey import Surveyor, Told

VERSION = 1
LOST = 3


def main(settings: PlanSettings) -> int:
    """Prints what would happen; the exit status is in the help."""
    try:
        changes = asyncio.run(_foresee(settings))
    except NotFoundError as error:
        return failed("plan", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("plan", error, 1)
    if settings.output == "json":
        print(as_json(changes))
    else:
        print_changes(changes, sys.stdout)
    return LOST if any(item.lost or item.stays for item in changes) else 0


async def _foresee(settings: PlanSettings) -> tuple[Change, ...]:
    told = Told(settings.lb_class) if settings.lb_class else None
    async with Client(find_access()) as client:
        situation = await Surveyor(client, settings.namespace, told).survey(timestamp())
    return without(situation, settings.lose, settings.drain)


def without(
    situation: Situation, gone: Collection[str], leaving: Collection[str]
) -> tuple[Change, ...]:
    """What changes without some nodes; raises NotFoundError."""
    for name in (*gone, *leaving):
        must_be_node(name, situation.cluster.nodes)
    after = drain(lose(situation.cluster, gone), leaving)
    return foresee(
        situation.intents, after, situation.allocations, situation.held, situation.standing
    )


# --- for people ----------------------------------------------------------------------------------


def print_changes(changes: Iterable[Change], out: TextIO) -> None:
    """A row for each address that another or nobody announces then."""
    changes = tuple(changes)
    with sheet(out) as console:
        if changes:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
            for title in ("ADDRESS", "SERVICE", "NOW", "THEN"):
                table.add_column(title, overflow="fold", no_wrap=not console.is_terminal)
            for item in changes:
                then = item.why if item.lost else _words(item.then)
                then = f"stays on {item.stays}: {item.why}" if item.stays else then
                services = ", ".join(item.services)
                style = "bold red" if item.lost or item.stays else ""
                table.add_row(
                    str(item.address), Text(services), Text(_words(item.now)), Text(then, style)
                )
            console.print(table)
            console.print()
        console.print(Text(summary(changes), style="bold"), soft_wrap=True)


def summary(changes: Collection[Change]) -> str:
    """One line."""
    lost, stay = sum(item.lost for item in changes), sum(bool(item.stays) for item in changes)
    if not changes:
        return "nothing changes: others announce what they announce now"
    number = len(changes) - stay
    said = [f"{number} address{' is' if number == 1 else 'es are'} announced otherwise then"]
    said += [f"{lost} of them by nobody"] if lost else []
    said += [f"{stay} cannot leave the node that drains"] if stay else []
    return "; ".join(said)


def _words(who: Announcers) -> str:
    said = [who.owner] if who.owner else []
    if who.routed_by:
        said.append(f"by BGP from {', '.join(sorted(who.routed_by))}")
    return "; ".join(said) or "nobody"


# --- for scripts ---------------------------------------------------------------------------------


def as_json(changes: Iterable[Change]) -> str:
    """One object."""
    rows = [
        {
            "address": str(item.address),
            "services": list(item.services),
            "now": _plain(item.now),
            "then": _plain(item.then),
            "lost": item.lost,
            "stays": item.stays,
            "why": item.why,
        }
        for item in changes
    ]
    return json.dumps({"version": VERSION, "changes": rows}, indent=2, ensure_ascii=False)


def _plain(who: Announcers) -> dict[str, Any]:
    return {"owner": who.owner, "routedBy": sorted(who.routed_by)}
