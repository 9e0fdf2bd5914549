"""A client that connects again and again, as a program of its own: one line of JSON per attempt.

Attempts begin at fixed times, however long the ones before take, so an outage is measured by what
a new client would have seen: the time from the last attempt that succeeded to the next one that
did. Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.host import Host
from lab.processes import Process

PATIENCE = 1.0  # seconds that one attempt may take


@dataclass(frozen=True)
class Attempt:
    """One connection: when it began, whether it was answered, how long that took (seconds)."""

    at: float
    ok: bool
    took: float


class Prober:
    """Connects from a host of the lab to an address, every ``interval`` seconds, until stopped."""

    def __init__(self, host: Host, address: str, port: int = 80, interval: float = 0.01) -> None:
        script = [sys.executable, "-m", "lab.prober", address, str(port), str(interval)]
        self._process: Process = host.spawn(
            script, env={"PYTHONPATH": str(Path(__file__).parents[1])}, log=f"prober-{address}"
        )

    def attempts(self, since: float = 0.0) -> list[Attempt]:
        """All attempts that have ended and began at or after a moment."""
        lines = self._process.log().splitlines()
        found = [Attempt(**json.loads(line)) for line in lines if line.endswith("}")]
        return sorted((item for item in found if item.at >= since), key=lambda item: item.at)

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()


def outage(attempts: Iterable[Attempt], fault: float) -> float:
    """Seconds from a fault until attempts succeed for good; 0.0 if none failed."""
    after = [item for item in attempts if item.at >= fault]
    failed = [item.at for item in after if not item.ok]
    if not failed:
        return 0.0
    good = [item.at for item in after if item.ok and item.at > failed[-1]]
    return (good[0] if good else float("inf")) - fault


async def _attempt(address: str, port: int) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
            writer.transport.abort()
        ok = True
    except (OSError, TimeoutError):
        ok = False
    took = time.monotonic() - began
    print(json.dumps({"at": round(began, 4), "ok": ok, "took": round(took, 4)}), flush=True)


async def _main(address: str, port: int, interval: float) -> None:
    running: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while True:
        task = asyncio.create_task(_attempt(address, port))
        running.add(task)
        task.add_done_callback(running.discard)
        due += interval
        await asyncio.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
