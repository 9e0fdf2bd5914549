"""Steps of a walkthrough: the very command lines, run by a shell, and what they must show."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

from lab import processes
from lab.cluster import Cluster
from lab.errors import LabError, Timeout
from lab.paths import REPOSITORY
from lab.screen import Screen
from lab.waiting import until

CLI = "PYTHONPATH=tests .venv/bin/python -m lab.cli"
SYSTEM = "metallb-system"


class StepFailed(LabError):
    """A step did not show what it must; says what was expected and seen, and where to look."""

    def __init__(self, step: str, expected: str, seen: str, look: str) -> None:
        self.step, self.expected, self.seen, self.look = step, expected, seen.rstrip(), look
        seen_lines = "\n".join(f"    {line}" for line in (self.seen or "nothing").splitlines())
        super().__init__(
            f"{step} did not happen\n  expected: {expected}\n  seen:\n{seen_lines}\n"
            f"  look at: {look}"
        )


class Steps:
    """Runs command lines in a cluster, shows them, and compares."""

    def __init__(self, lab: Cluster, screen: Screen) -> None:
        self.lab, self.screen = lab, screen
        self._step = "the beginning"

    def step(self, number: str, sentence: str) -> None:
        """What is done next, and what it shall show."""
        self._step = number
        self.screen.step(number, sentence)

    def run(
        self,
        line: str,
        wanted: Callable[[str], bool] | None = None,
        expected: str = "success",
        look: str = f"kubectl logs -n {SYSTEM} -l app=metallb --tail=-1",
        *,
        on: str = "",
        limit: int | None = None,
        within: float = 0.0,
    ) -> str:
        """Runs a line on the host, or on a host of the lab; again until its output is as wanted.

        Without ``wanted`` it must succeed. What is shown is the last output.
        """
        end = time.monotonic() + within
        with self.screen.waiting(line.splitlines()[0], tell=False):
            while True:
                done = self._sh(line, on)
                output = done.stdout
                right = wanted(output) if wanted else done.returncode == 0
                if right or time.monotonic() > end:
                    break
                time.sleep(0.1)
        prompt = {"": "$", "c1": "client$"}.get(on, f"{on}$")
        self.screen.command(prompt, line, output, limit)
        self.expect(right, expected, output, look)
        return output

    def expect(self, right: bool, expected: str, seen: str, look: str) -> None:
        """Ends the story if this is not so."""
        if not right:
            raise StepFailed(self._step, expected, seen, look)

    def wait(
        self, condition: Callable[[], object], expected: str, look: str, timeout: float
    ) -> None:
        """Waits for something; ends the story if it does not come."""
        try:
            until(condition, expected, timeout, every=0.1)
        except Timeout:
            self.expect(False, f"{expected}, within {timeout:.0f} s", "it was not so", look)

    def quietly(self, line: str) -> str:
        """The output of a line that is not worth showing."""
        return self._sh(line, "").stdout.strip()

    def _sh(self, line: str, on: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-c", line]
        environment = self.lab.environment() | {
            "PATH": f"{self.lab.binaries}:{os.environ['PATH']}",
        }
        return subprocess.run(
            self.lab.host(on).command(command) if on else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            env=processes.environment(environment),
            timeout=180,
            check=False,
        )
