"""``bellmetal status ready``: whether all is at work, in three sentences. Only reads."""

from __future__ import annotations

import asyncio
import json

from bellmetal.addresses import printable
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.readiness import Readiness, read_readiness
from bellmetal.cli.voice import failed
from bellmetal.inquiries import StatusReadySettings
from bellmetal.settings import SettingsError

VERSION = 1
POLL = 1.0  # seconds between two looks


def main(settings: StatusReadySettings) -> int:
    """Prints it; the exit status is in the help."""
    try:
        found = asyncio.run(_run(settings))
    except (SettingsError, ApiError, OSError) as error:
        return failed("status ready", error, 1)
    except KeyboardInterrupt:
        return 130
    print(as_json(found) if settings.output == "json" else as_text(found))
    return found.exit_status


async def _run(settings: StatusReadySettings) -> Readiness:
    async with Client(find_access()) as client:
        return await wait_ready(client, settings)


async def wait_ready(client: Client, settings: StatusReadySettings) -> Readiness:
    """Looks until all is well, or patience ends; the last look."""
    clock = asyncio.get_running_loop()
    end = clock.time() + settings.timeout
    while True:
        found = await read_readiness(client, settings)
        if not found.exit_status or clock.time() >= end:
            return found
        await asyncio.sleep(POLL)


def as_text(found: Readiness) -> str:
    """For people."""
    verdict = "ready" if not found.exit_status else "not ready"
    return "\n".join([*map(printable, found.sentences()), verdict])


def as_json(found: Readiness) -> str:
    """For scripts; keys may be added as long as the version is 1."""
    row = found.row
    body = {
        "version": VERSION,
        "ready": not found.exit_status,
        "controllers": dict(found.controllers),
        "leader": found.leader,
        "speakers": dict(found.speakers),
        "pools": found.pools,
        "addresses": [str(address) for address in row.then.addresses],
        "refused": row.refused.message if row.refused and not row.then.addresses else "",
        "sentences": list(found.sentences()),
    }
    return json.dumps(body, indent=2, ensure_ascii=False)
