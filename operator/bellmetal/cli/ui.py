"""``bellmetal ui``: the page, by the rights of whoever runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import webbrowser

from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.voice import failed
from bellmetal.page.lookout import Lookout
from bellmetal.page.server import Page
from bellmetal.page.sources import Survey
from bellmetal.settings import SettingsError
from bellmetal.survey import Told
from bellmetal.viewing import UiSettings

NAME = "bellmetal ui"


class PortTakenError(Exception):
    """Somebody else listens there."""


def main(settings: UiSettings) -> int:
    """Serves until Ctrl-C; the exit status is in the help."""
    try:
        asyncio.run(_serve(settings))
    except (SettingsError, ApiError, PortTakenError, OSError) as error:
        return failed("ui", error, 1)
    return 0


async def _serve(settings: UiSettings) -> None:
    told = None if settings.lb_class is None else Told(settings.lb_class)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Client(find_access()) as client:
        lookout = Lookout(Survey(client, settings.namespace, NAME, told), loop.time)
        await lookout.view()  # what cannot work is said here, not in a browser
        page = Page(lookout, key=secrets.token_urlsafe(16))
        try:
            where = await _start(page, settings.port)
            print(f"{where}\nserved to this machine alone until Ctrl-C", flush=True)
            if settings.browser:
                await _open(where)
            await stop.wait()
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await page.stop()


async def _start(page: Page, port: int) -> str:
    try:
        return await page.start(port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        said = f"port {port}: {why}: choose another one with --port (0: any)"
        raise PortTakenError(said) from error


async def _open(where: str) -> None:
    if not await asyncio.to_thread(webbrowser.open, where):
        print("there is no browser here: open that address yourself", flush=True)
