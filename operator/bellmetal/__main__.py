"""The command line: ``bellmetal controller``, ``bellmetal speaker``.

Imports the program that it starts only when it starts it: a speaker does not pay for Kopf.
"""

from __future__ import annotations

import asyncio
import os
import sys

from bellmetal import __version__
from bellmetal.logs import set_up
from bellmetal.settings import ControllerSettings, parse


def main() -> int:
    """Starts a program; its exit status."""
    settings = parse(sys.argv[1:], os.environ, __version__)
    set_up(settings.common.log_level)
    if isinstance(settings, ControllerSettings):
        from bellmetal import controller

        return asyncio.run(controller.main(settings))
    from bellmetal import speaker

    return asyncio.run(speaker.main(settings))


if __name__ == "__main__":
    sys.exit(main())
