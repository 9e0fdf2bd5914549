"""Asks `bellmetal explain` in a bare lab, as an admin of the cluster does."""

from __future__ import annotations

import json
import sys

from lab.errors import Timeout
from lab.floor import Floor
from lab.programs import BELLMETAL, NAMESPACE
from lab.rest import Json
from lab.waiting import until


class Asked:
    """Explanations of one lab."""

    def __init__(self, lab: Floor) -> None:
        self.lab = lab

    def ask(self, *words: str) -> tuple[int, Json]:
        """What it says, and its exit status."""
        argv = [*BELLMETAL, "explain", *words, "--namespace", NAMESPACE, "--output", "json"]
        env = {"KUBECONFIG": str(self.lab.kubeconfig())}
        done = self.lab.control_plane_host.run(argv, check=False, env=env)
        assert done.returncode in (0, 3), done.stderr
        return done.returncode, json.loads(done.stdout)

    def explain(self, name: str, *flags: str) -> Json:
        """The explanation of a Service of `default`."""
        status, found = self.ask("service", f"default/{name}", *flags)
        assert (status == 0) is found["ok"]
        return found

    def code(self, name: str, *flags: str) -> str | None:
        """Why it does not work; None: it does."""
        found = self.explain(name, *flags)
        return found["cause"]["code"] if found["cause"] else None

    def notes(self, name: str) -> list[str]:
        """The codes of what is worth a note."""
        links = self.explain(name)["links"]
        return [link["cause"]["code"] for link in links if link["state"] == "note"]

    def wait_code(self, name: str, code: str | None, *flags: str, timeout: float = 30) -> Json:
        """Until it is explained by this cause (None: nothing is wrong)."""
        seen: list[Json] = []

        def there() -> bool:
            seen.append(self.explain(name, *flags))
            cause = seen[-1]["cause"]
            return (cause["code"] if cause else None) == code

        try:
            until(there, f"{name} is explained by {code}", timeout, every=0.5)
        except Timeout:
            print(json.dumps(seen[-1], indent=1), file=sys.stderr)
            raise
        return seen[-1]
