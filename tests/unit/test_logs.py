"""Lines of the log: MetalLB's keys, one JSON object a line."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bellmetal import logs

Json = dict[str, Any]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"  # RFC 3339


class Log:
    """What was written."""

    def __init__(self) -> None:
        self.out = io.StringIO()

    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def last(self) -> Json:
        return self.lines()[-1]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = {number: logging.getLevelName(number) for number in (10, 20, 30, 40, 50)}
    found = Log()
    monkeypatch.setattr("sys.stdout", found.out)
    logs.set_up("info")
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, name in names.items():
        logging.addLevelName(number, name)


ours = logging.getLogger("bellmetal.test")


def test_every_line_says_when_how_bad_where_and_what(log: Log) -> None:
    ours.warning("no answer in %d s", 3, extra={"op": "load", "service": "shop/web"})
    said = log.last()
    assert re.fullmatch(TIME, said.pop("ts"))
    assert re.fullmatch(r"test_logs\.py:\d+", said.pop("caller"))
    assert said == {
        "level": "warn",
        "msg": "no answer in 3 s",
        "op": "load",
        "service": "shop/web",
    }


@pytest.mark.parametrize("level", ["info", "error", "critical"])
def test_levels_are_metallbs(log: Log, level: str) -> None:
    getattr(ours, level)("x")
    assert log.last()["level"] == level


def test_an_error_in_a_sentence_also_stands_by_itself(log: Log) -> None:
    ours.error("%s cannot be read: %s", "file", OSError("no such file"))
    assert log.last()["error"] == "no such file"
    assert log.last()["msg"] == "file cannot be read: no such file"
    ours.error("it timed out: %s", TimeoutError())
    assert log.last()["error"] == "TimeoutError"
    ours.error("a sentence alone")
    assert "error" not in log.last()


def test_what_is_announced_is_told_by_service(log: Log) -> None:
    logs.tell_services(ours, logs.ANNOUNCED, "layer2", [("shop/web", "192.0.2.1")])
    logs.tell_services(ours, logs.WITHDRAWN, "bgp", [("shop/web", "")])
    first, second = ({k: v for k, v in line.items() if k != "ts"} for line in log.lines())
    del first["caller"], second["caller"]
    assert first == {
        "level": "info",
        "msg": "announcing 192.0.2.1",
        "op": "announce",
        "event": "serviceAnnounced",
        "service": "shop/web",
        "ips": ["192.0.2.1"],
        "protocol": "layer2",
    }
    assert second == {
        "level": "info",
        "msg": "not announcing shop/web any more",
        "op": "announce",
        "event": "serviceWithdrawn",
        "service": "shop/web",
        "protocol": "bgp",
    }


def test_thousands_at_once_are_told_as_a_number(log: Log) -> None:
    news = [(f"shop/s{number}", f"192.0.2.{number}") for number in range(150)]
    logs.tell_services(ours, logs.ANNOUNCED, "layer2", news)
    assert len(log.lines()) == logs.MOST_LINES + 1
    assert log.last()["msg"] == "… and 50 more like these"
