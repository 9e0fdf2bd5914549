"""Logs as MetalLB's users know them: one JSON object a line on standard output; or plain lines.

Keys of every line: ts (RFC 3339, UTC), level, caller (file:line), msg. Where it applies: op, event,
error, service, ips, pool, protocol, reason.
"""

from __future__ import annotations

import datetime
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

MOST_LINES = 100  # of what happens at once: a line costs more than a decision
ANNOUNCED, WITHDRAWN = "serviceAnnounced", "serviceWithdrawn"  # MetalLB's names
LEVELS = {
    "all": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "none": logging.CRITICAL + 1,
}


def set_up(level: str, plain: bool = False) -> None:
    """Everything that logs, also libraries, writes through one handler. ``plain``: for a person
    who looks on."""
    handler = _Watched(sys.stdout) if plain else logging.StreamHandler(sys.stdout)
    handler.setFormatter(_plain() if plain else _json())
    logging.addLevelName(logging.WARNING, "warn")
    for number, name in ((10, "debug"), (20, "info"), (40, "error"), (50, "critical")):
        logging.addLevelName(number, name)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for chatty in ("kopf", "asyncio", "aiohttp", "pyroute2"):
        logging.getLogger(chatty).setLevel(max(LEVELS[level], logging.WARNING))


class _Watched(logging.StreamHandler[TextIO]):
    """For a person who looks on: when nobody does any more (``| head``), the program ends."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            super().handleError(record)


def _plain() -> logging.Formatter:
    return logging.Formatter("{asctime} {levelname:<5} {message}", "%H:%M:%S", style="{")


class _Json(JsonFormatter):
    """An error that is an argument of the message also stands by itself."""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        errors = [item for item in _arguments(record) if isinstance(item, BaseException)]
        if errors:
            log_data.setdefault("error", str(errors[0]) or type(errors[0]).__name__)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        line = log_data.pop("lineno")
        log_data["caller"] = f"{log_data['caller']}:{line}"
        return log_data


def _arguments(record: logging.LogRecord) -> Sequence[object]:
    args = record.args
    return tuple(args.values()) if isinstance(args, Mapping) else args or ()


def _json() -> logging.Formatter:
    return _Json(
        "{asctime}{levelname}{filename}{lineno}{message}",
        style="{",
        rename_fields={
            "asctime": "ts",
            "levelname": "level",
            "filename": "caller",
            "message": "msg",
        },
    )


def tell_services(
    log: logging.Logger, event: str, protocol: str, news: Sequence[tuple[str, str]]
) -> None:
    """A line for each Service and what is announced of it (where that is known), as far as there
    are not too many."""
    said = "announcing %s" if event == ANNOUNCED else "not announcing %s any more"
    for service, place in news[:MOST_LINES]:
        extra = {"op": "announce", "event": event, "service": service, "protocol": protocol}
        log.info(said, place or service, extra=extra | ({"ips": [place]} if place else {}))
    if len(news) > MOST_LINES:
        more = len(news) - MOST_LINES
        extra = {"op": "announce", "event": event, "protocol": protocol}
        log.info("… and %d more like these", more, extra=extra)
