"""docs/monitoring.md says what the programs export and the alerts say, word for word."""

from __future__ import annotations

import re
from pathlib import Path

from bellmetal import metrics
from bellmetal.controller_metrics import CONTROLLER
from bellmetal.session_metrics import SessionCollector
from bellmetal.speaker_metrics import SPEAKER, MembersCollector
from bgp_facts import bfd, up
from metric_names import ALL, BOTH
from prometheus_rules import rules

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()


def helps() -> dict[str, str]:
    """Name → what /metrics says of it."""
    collectors = (
        SessionCollector(lambda: [up(bfd=bfd())]),
        MembersCollector(lambda: {"alive": 1}),
    )
    for collector in collectors:
        SPEAKER.register(collector)
    try:
        text = metrics.exposition(CONTROLLER, SPEAKER).decode()
    finally:
        for collector in collectors:
            SPEAKER.unregister(collector)
    lines = [line.split(" ", 3) for line in text.splitlines() if line.startswith("# HELP ")]
    return {name: said.rstrip(".") for _, _, name, said in lines}


def metric_table() -> str:
    said = helps()
    rows = ["| metric | of | type | labels | |", "|---|---|---|---|---|"]
    for name, item in ALL.items():
        who = "both" if item.who == BOTH else item.who
        labels = ", ".join(f"`{label}`" for label in sorted(item.labels))
        rows.append(f"| `{name}` | {who} | {item.type} | {labels} | {said[name]} |")
    return "\n".join(rows)


def alert_table() -> str:
    rows = ["| alert | severity | after | what it means | what to do |", "|---|---|---|---|---|"]
    for rule in rules():
        note, severity = rule["annotations"], rule["labels"]["severity"]
        said = plain(f"{note['summary']} {note['description']} | {note['next_step']}")
        rows.append(f"| `{rule['alert']}` | {severity} | {rule.get('for', 'at once')} | {said} |")
    return "\n".join(rows)


def plain(text: str) -> str:
    """A sentence with NAMES where Prometheus puts in labels, and N where it puts in a figure."""
    text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: found[1].upper(), text)
    return re.sub(r"{{[^}]*\$value }}", "N", text)


def test_every_metric_stands_there() -> None:
    assert metric_table() in PAGE, metric_table()


def test_every_alert_stands_there() -> None:
    assert alert_table() in PAGE, alert_table()
