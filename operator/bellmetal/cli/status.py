"""``bellmetal status``: pools, addresses, members, at a glance or one by one. Only reads."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TextIO

from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.following import follow
from bellmetal.cli.status_text import as_json, print_overview
from bellmetal.cli.voice import admit, failed
from bellmetal.diagnosis.overview import Overview, overview
from bellmetal.events import timestamp
from bellmetal.inquiries import StatusSettings
from bellmetal.settings import SettingsError
from bellmetal.survey import Surveyor, Told

POLL = 2.0  # seconds between two looks
WRONG = 3


def main(settings: StatusSettings) -> int:
    """Prints it; the exit status is in the help."""
    try:
        return asyncio.run(_run(settings))
    except BrokenPipeError:  # of our own output: nobody reads it any more
        raise
    except (SettingsError, ApiError, OSError) as error:
        return failed("status", error, 1)
    except KeyboardInterrupt:
        return 130


async def _run(settings: StatusSettings) -> int:
    told = None if settings.lb_class is None else Told(settings.lb_class)
    async with Client(find_access()) as client:
        surveyor = Surveyor(client, settings.namespace, told)
        if settings.watch:
            await follow(
                "status",
                partial(_look, surveyor),
                lambda found: _show(found, settings, sys.stdout),
                sys.stdout,
                POLL,
            )
        situation = await surveyor.survey(timestamp())
    admit("status", situation.unread)
    found = overview(situation)
    _show(found, settings, sys.stdout)
    return 0 if found.well else WRONG


async def _look(surveyor: Surveyor) -> Overview:
    return overview(await surveyor.survey(timestamp()))


def _show(found: Overview, settings: StatusSettings, out: TextIO) -> None:
    if settings.output == "json":
        print(as_json(found, settings.subject, settings.pool), file=out)
    else:
        print_overview(found, settings.subject, settings.pool, out)
