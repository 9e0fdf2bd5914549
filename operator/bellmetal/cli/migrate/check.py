"""``bellmetal migrate check``: what is in the way of a change-over. Only reads."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TextIO

from bellmetal.addresses import printable
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.migrate.installation import Installation, read_installation
from bellmetal.cli.migrate.obstacles import Finding, Weight, findings
from bellmetal.cli.migrate.outlook import Outlook, look_ahead
from bellmetal.cli.owners import NotFoundError
from bellmetal.cli.report import Report, summary
from bellmetal.cli.voice import failed
from bellmetal.events import timestamp
from bellmetal.moving import MigrateCheckSettings
from bellmetal.settings import SettingsError

VERSION = 1  # of the JSON
IN_THE_WAY = 3


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that was found out."""

    installation: Installation
    outlook: Outlook
    findings: tuple[Finding, ...]

    @property
    def stops(self) -> list[Finding]:
        """What has to be done first."""
        return [item for item in self.findings if item.weight is Weight.STOP]


def main(settings: MigrateCheckSettings) -> int:
    """Prints what was found; the exit status is in the help."""
    try:
        found = asyncio.run(_run(settings))
    except NotFoundError as error:
        return failed("migrate check", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("migrate check", error, 1)
    show(found, settings.output, sys.stdout)
    return IN_THE_WAY if found.stops else 0


async def _run(settings: MigrateCheckSettings) -> Checked:
    async with Client(find_access()) as client:
        return await check(client, settings.namespace, settings.lb_class, timestamp())


async def check(client: Client, namespace: str, lb_class: str, now: str) -> Checked:
    """Reads and judges; no ``lb_class``: MetalLB's. Raises NotFoundError, ApiError, …"""
    installation = await read_installation(client, namespace)
    if installation.controller is None and installation.speaker is None:
        raise NotFoundError(
            f"there is no MetalLB in the namespace {namespace}: --namespace says where it is"
        )
    theirs = installation.controller.flag("lb-class") if installation.controller else ""
    chosen = lb_class or theirs
    outlook = await look_ahead(client, namespace, chosen, now)
    return Checked(installation, outlook, tuple(findings(installation, outlook, chosen)))


def show(found: Checked, output: str, out: TextIO) -> None:
    """For people, or as JSON."""
    if output == "json":
        print(_as_json(found), file=out)
        return
    print(_headline(found.installation), file=out)
    print(f"  {summary(Report(found.outlook.rows))}", file=out)
    for line in found.installation.unread:
        print(f"  not looked at: {printable(line)}", file=out)
    for item in found.findings:
        mark = "FIRST" if item.weight is Weight.STOP else "known"
        print(f"{mark}  {printable(f'{item.subject}: {item.message}')}", file=out)
        if item.remedy:
            print(f"       → {item.remedy}", file=out)
    number = len(found.stops)
    if number:
        print(f"NOT READY: {number} thing{'s'[: number != 1]} to do first", file=out)
    else:
        print("READY: `bellmetal migrate takeover prepare` is next", file=out)


def _headline(found: Installation) -> str:
    release = found.release
    chart = f", release {release.name}, chart {release.chart.metadata.version}" if release else ""
    names = [item.name for item in (found.controller, found.speaker) if item is not None]
    return f"MetalLB in {found.namespace}: {', '.join(names)} ({found.mode} mode{chart})"


def _as_json(found: Checked) -> str:
    body = {
        "version": VERSION,
        "ready": not found.stops,
        "mode": found.installation.mode,
        "findings": [
            {
                "weight": item.weight.value,
                "code": item.code,
                "subject": item.subject,
                "message": item.message,
                "remedy": item.remedy,
            }
            for item in found.findings
        ],
        "unread": list(found.installation.unread),
        "services": [
            {
                "service": row.service,
                "outcome": row.outcome.value,
                "now": [str(address) for address in row.now.addresses],
                "then": [str(address) for address in row.then.addresses],
            }
            for row in found.outlook.rows
        ],
        "written": list(found.outlook.written),
    }
    return json.dumps(body, indent=2, ensure_ascii=False)
