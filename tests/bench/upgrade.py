"""What `helm upgrade` and `helm rollback` cost clients, beside a rollout that is none of ours.

``python -m bench.upgrade [RUNS]``, with PYTHONPATH=tests: in each run an upgrade (another image tag
and another value) and the rollback of it, each with a control: the rollout of a DaemonSet that does
nothing, for as long, under the same clients. What is lost in the controls is the lab's own loss.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lab.rollout_stage import AGAIN, Played, Stage, stage
from lab.screen import Screen
from lab.steps import SYSTEM

RELEASE = f"bellmetal --namespace {SYSTEM}"
UPGRADE = f"helm upgrade --set image.tag={AGAIN} --set speaker.gratuitousARPInterval=60 {RELEASE}"
TITLES = (
    "what", "seconds", "attempts", "failed on the LAN", "failed behind FRR", "routes gone",
    "machine stood still, s",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One rollout and what it cost."""

    what: str
    seconds: float
    attempts: int
    on_lan: int
    behind: int
    gone: int
    stood_still: float

    @property
    def text(self) -> str:
        """As a line of a table in Markdown."""
        counts = (self.attempts, self.on_lan, self.behind, self.gone)
        cells = (f"{self.seconds:.0f}", *map(str, counts), f"{self.stood_still:.2f}")
        return f"| {self.what} | " + " | ".join(cells) + " |"


def row(what: str, played: Played, behind: str) -> Row:
    """``behind`` is the name of the client behind the router."""
    lost = {name: len(rows) for name, rows in played.failed.items()}
    far = lost.pop(behind)
    gone = len(played.gone)
    near = sum(lost.values())
    return Row(what, played.seconds, played.attempts, near, far, gone, played.stood_still)


def sums(rows: Iterable[Row]) -> Iterator[Row]:
    """All rows of one kind in one."""
    by_kind: dict[str, list[Row]] = {}
    for item in rows:
        by_kind.setdefault(item.what, []).append(item)
    for what, items in by_kind.items():
        totals = [
            sum(getattr(item, name) for item in items)
            for name in ("attempts", "on_lan", "behind", "gone")
        ]
        seconds = sum(item.seconds for item in items) / len(items)
        still = max(item.stood_still for item in items)
        yield Row(f"{what}, {len(items)} runs", seconds, *totals, still)


def control(at_work: Stage, seconds: float) -> Callable[[], None]:
    """A rollout of a pod that does nothing, again and again for so long."""

    def rollout() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            at_work.run("kubectl rollout restart daemonset/idle")
            at_work.run("kubectl rollout status daemonset/idle --timeout=120s")

    return rollout


def rolled(at_work: Stage, line: str) -> Callable[[], None]:
    """A command line, until all pods are as it wants them."""

    def rollout() -> None:
        at_work.run(line)
        at_work.wait_rolled()

    return rollout


def measure(at_work: Stage, runs: int) -> Iterator[Row]:
    """A row for each rollout, as they happen."""
    lines = {"upgrade": f"{UPGRADE} helm/bellmetal", "rollback": f"helm rollback {RELEASE}"}
    for _ in range(runs):
        for what, line in lines.items():
            played = at_work.play(rolled(at_work, line))
            yield row(what, played, at_work.behind.name)
            beside = at_work.play(control(at_work, played.seconds))
            yield row(f"{what}: control", beside, at_work.behind.name)


def main(runs: int) -> None:
    """Prints a table."""
    rows = []
    with stage(Screen(io.StringIO())) as at_work:
        print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
        for found in measure(at_work, runs):
            print(found.text, flush=True)
            rows.append(found)
    for total in sums(rows):
        print(total.text)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
