"""Logs as MetalLB's users know them: one JSON object a line on standard output."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

LEVELS = {
    "all": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "none": logging.CRITICAL + 1,
}


def set_up(level: str) -> None:
    """Everything that logs, also libraries, writes through one handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{lineno}{message}",
            style="{",
            rename_fields={
                "asctime": "ts",
                "levelname": "level",
                "name": "caller",
                "lineno": "line",
                "message": "msg",
            },
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    logging.addLevelName(logging.WARNING, "warn")
    for number, name in ((10, "debug"), (20, "info"), (40, "error"), (50, "critical")):
        logging.addLevelName(number, name)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for chatty in ("kopf", "asyncio", "aiohttp", "pyroute2"):
        logging.getLogger(chatty).setLevel(max(LEVELS[level], logging.WARNING))
