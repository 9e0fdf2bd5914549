"""The command line: ``bellmetal controller``, ``speaker``, and what a person types.

Imports the program that it starts only when it starts it: a speaker does not pay for Kopf.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path

from bellmetal import __version__
from bellmetal.errands import DrainSettings, MoveSettings
from bellmetal.inquiries import (
    ExplainSettings,
    PreflightSettings,
    StatusBGPSettings,
    StatusReadySettings,
    StatusSettings,
)
from bellmetal.logs import set_up
from bellmetal.moving import SETTINGS
from bellmetal.settings import (
    ControllerSettings,
    PlanSettings,
    SettingsError,
    SpeakerSettings,
    parse,
)
from bellmetal.viewing import UiSettings

log = logging.getLogger(__name__)

MENDABLE = (SettingsError, OSError)  # said in a sentence, without a traceback


PLUGIN = "kubectl-bellmetal"  # the same program, where kubectl looks for it
CUT_OFF = 141  # as of a program that SIGPIPE has ended


def main() -> int:
    """Starts a program; its exit status (2: the command line is wrong, 1: it cannot work)."""
    try:
        try:
            return _main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        # what is still to be written has to go somewhere, or Python complains at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_OFF


def _main() -> int:
    settings = parse(sys.argv[1:], os.environ, __version__, _typed())
    if isinstance(settings, PlanSettings):
        if settings.lose or settings.drain:
            import bellmetal.cli.plan_absence

            return bellmetal.cli.plan_absence.main(settings)
        import bellmetal.cli.plan

        return bellmetal.cli.plan.main(settings)
    if isinstance(settings, MoveSettings):
        import bellmetal.cli.move

        return bellmetal.cli.move.main(settings)
    if isinstance(settings, DrainSettings):
        import bellmetal.cli.drain

        return bellmetal.cli.drain.main(settings)
    if isinstance(settings, ExplainSettings):
        import bellmetal.cli.explain

        return bellmetal.cli.explain.main(settings)
    if isinstance(settings, PreflightSettings):
        import bellmetal.cli.preflight

        return bellmetal.cli.preflight.main(settings)
    if isinstance(settings, StatusSettings):
        import bellmetal.cli.status

        return bellmetal.cli.status.main(settings)
    if isinstance(settings, StatusReadySettings):
        import bellmetal.cli.status_ready

        return bellmetal.cli.status_ready.main(settings)
    if isinstance(settings, StatusBGPSettings):
        import bellmetal.cli.status_bgp

        return bellmetal.cli.status_bgp.main(settings)
    if isinstance(settings, UiSettings):
        import bellmetal.cli.ui

        return bellmetal.cli.ui.main(settings)
    if isinstance(settings, SETTINGS):
        import bellmetal.cli.migrate.main

        return bellmetal.cli.migrate.main.run(settings)
    set_up(settings.common.log_level, plain=_stands_alone(settings))
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


def _typed() -> str:
    """What was typed: kubectl starts ``kubectl-bellmetal`` for ``kubectl bellmetal``."""
    return "kubectl bellmetal" if Path(sys.argv[0]).name == PLUGIN else "bellmetal"


def _stands_alone(settings: ControllerSettings | SpeakerSettings) -> bool:
    return isinstance(settings, SpeakerSettings) and settings.intents is not None


def _program(settings: ControllerSettings | SpeakerSettings) -> Coroutine[None, None, int]:
    if isinstance(settings, ControllerSettings):
        import bellmetal.controller

        return bellmetal.controller.main(settings)
    if _stands_alone(settings):
        import bellmetal.standalone

        return bellmetal.standalone.main(settings)
    import bellmetal.speaker

    return bellmetal.speaker.main(settings)


if __name__ == "__main__":
    sys.exit(main())
