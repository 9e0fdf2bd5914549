"""A real Prometheus on a host of the lab, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from lab.errors import LabError
from lab.host import Host
from lab.processes import Process
from lab.waiting import until

Json = dict[str, Any]
LISTEN = "127.0.0.1:9090"  # of its host's namespace
EVERY = "1s"


class Prometheus:
    """Scrapes ``targets`` (name → address:port) every second and judges ``rules`` as often.

    A target's name becomes its label ``instance``. No rule waits: what an alert's ``for`` says is
    left out, so that a test need not wait either.
    """

    def __init__(self, host: Host, targets: Mapping[str, str], rules: Iterable[Json]) -> None:
        self._host, self._targets = host, targets
        self._rules = [{key: part for key, part in rule.items() if key != "for"} for rule in rules]
        self.process: Process | None = None

    def start(self) -> None:
        """Until it answers."""
        folder = self._host.dir / "prometheus"
        folder.mkdir(parents=True)
        group = {"name": "bellmetal", "interval": EVERY, "rules": self._rules}
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
        found = [
            {"targets": [address], "labels": {"instance": name}}
            for name, address in self._targets.items()
        ]
        config = {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY},
            "rule_files": [str(folder / "rules.yaml")],
            "scrape_configs": [
                {"job_name": "bellmetal", "honor_labels": True, "static_configs": found}
            ],
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        argv = ["prometheus", f"--config.file={folder / 'config.yaml'}"]
        argv += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={LISTEN}"]
        self.process = self._host.spawn(argv, log="prometheus", cwd=folder)
        until(self._ready, "Prometheus answers", every=0.1)

    def _ready(self) -> bool:
        return self._ask("-/ready").returncode == 0

    def _ask(self, path: str, **parameters: str) -> Any:
        words = ["curl", "-sSf", "-m", "5", "-G", f"http://{LISTEN}/{path}"]
        for name, value in parameters.items():
            words += ["--data-urlencode", f"{name}={value}"]
        return self._host.run(words, check=False)

    def _api(self, path: str, **parameters: str) -> Json:
        done = self._ask(f"api/v1/{path}", **parameters)
        if done.returncode:
            raise LabError(f"Prometheus, {path} {parameters}: {done.stderr}{done.stdout}")
        data: Json = json.loads(done.stdout)["data"]
        return data

    def query(self, expr: str) -> list[Json]:
        """The series that a query gives now; raises LabError if it cannot be asked."""
        found: list[Json] = self._api("query", query=expr)["result"]
        return found

    def alerts(self) -> dict[str, list[Json]]:
        """What fires now: name → its alerts, with labels and annotations."""
        found: dict[str, list[Json]] = {}
        for alert in self._api("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def unhealthy(self) -> list[str]:
        """Rules that were not evaluated yet, or that could not be."""
        return [
            f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}"
            for group in self._api("rules")["groups"]
            for rule in group["rules"]
            if rule["health"] != "ok"
        ]
