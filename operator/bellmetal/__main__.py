"""The command line: ``bellmetal controller``, ``speaker``, ``plan``, ``move``, ``drain``.

Imports the program that it starts only when it starts it: a speaker does not pay for Kopf.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine

from bellmetal import __version__
from bellmetal.errands import DrainSettings, MoveSettings
from bellmetal.logs import set_up
from bellmetal.settings import (
    ControllerSettings,
    PlanSettings,
    SettingsError,
    SpeakerSettings,
    parse,
)

log = logging.getLogger(__name__)

MENDABLE = (SettingsError, OSError)  # said in a sentence, without a traceback


def main() -> int:
    """Starts a program; its exit status (2: the command line is wrong, 1: it cannot work)."""
    settings = parse(sys.argv[1:], os.environ, __version__)
    if isinstance(settings, PlanSettings):
        import bellmetal.cli.plan

        return bellmetal.cli.plan.main(settings)
    if isinstance(settings, MoveSettings):
        import bellmetal.cli.move

        return bellmetal.cli.move.main(settings)
    if isinstance(settings, DrainSettings):
        import bellmetal.cli.drain

        return bellmetal.cli.drain.main(settings)
    set_up(settings.common.log_level)
    try:
        return asyncio.run(_program(settings))
    except MENDABLE as error:
        log.error("cannot start: %s", error)
        return 1
    except BaseExceptionGroup as group:
        mendable, rest = group.split(MENDABLE)
        if mendable is None or rest is not None:
            raise
        log.error("ended: %s", "; ".join(str(error) for error in mendable.exceptions))
        return 1


def _program(settings: ControllerSettings | SpeakerSettings) -> Coroutine[None, None, int]:
    if isinstance(settings, ControllerSettings):
        import bellmetal.controller

        return bellmetal.controller.main(settings)
    import bellmetal.speaker

    return bellmetal.speaker.main(settings)


if __name__ == "__main__":
    sys.exit(main())
