"""``bellmetal status bgp``: the sessions of all nodes, and why one is not up. Only reads."""

from __future__ import annotations

import asyncio
import datetime
import sys
from typing import TextIO

from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli import following
from bellmetal.cli.owners import NotFoundError
from bellmetal.cli.session_table import as_json, print_sessions
from bellmetal.cli.sessions import Sessions, read_sessions
from bellmetal.cli.voice import failed
from bellmetal.inquiries import StatusBGPSettings
from bellmetal.settings import SettingsError

POLL = 1.0  # seconds between two looks


def main(settings: StatusBGPSettings) -> int:
    """Prints them; the exit status is in the help."""
    try:
        return asyncio.run(_run(settings))
    except BrokenPipeError:  # of our own output: nobody reads it any more
        raise
    except NotFoundError as error:
        return failed("status bgp", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("status bgp", error, 1)
    except KeyboardInterrupt:
        return 130


async def _run(settings: StatusBGPSettings) -> int:
    async with Client(find_access()) as client:
        if settings.watch:
            await follow(client, settings, sys.stdout)
        found = await read_sessions(client, settings)
    show(found, settings, sys.stdout)
    return found.exit_status


async def follow(client: Client, settings: StatusBGPSettings, out: TextIO) -> None:
    """Prints them again whenever they change, for ever; an API that is away is waited for."""
    await following.follow(
        "status bgp",
        lambda: read_sessions(client, settings),
        lambda found: show(found, settings, out),
        out,
        POLL,
    )


def show(found: Sessions, settings: StatusBGPSettings, out: TextIO) -> None:
    """As a table or as JSON."""
    if settings.output == "json":
        print(as_json(found), file=out)
    else:
        now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - ages, for people
        print_sessions(found, now, out)
