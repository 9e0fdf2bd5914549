"""A client that connects again and again, as a program of its own: one line of JSON per attempt.

Attempts begin at fixed times, however long the ones before take, so an outage is measured by what
a new client would have seen: the time from the last attempt that succeeded to the next one that
did. Times are CLOCK_MONOTONIC, which all processes of a machine share.

A fresh client forgets its neighbour before each attempt, so that it asks the LAN every time.
"""

from __future__ import annotations

import asyncio
import errno
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.host import Host
from lab.neighbours import Neighbours
from lab.processes import Process

PATIENCE = 1.0  # seconds that one attempt may take


@dataclass(frozen=True)
class Attempt:
    """One connection: when it began, whether it was answered, how long that took (seconds).

    ``why`` it was not: the error's name, `ETIMEDOUT` also where patience ended.
    """

    at: float
    ok: bool
    took: float
    why: str = ""


class Prober:
    """Connects from a host of the lab to an address, every ``interval`` seconds, until stopped."""

    def __init__(
        self,
        host: Host,
        address: str,
        port: int = 80,
        interval: float = 0.01,
        fresh: bool = False,
    ) -> None:
        self.address = address
        self.name = f"{host.name} to {address}" + (", fresh" if fresh else "")
        script = [sys.executable, "-m", "lab.prober", address, str(port), str(interval)]
        self._process: Process = host.spawn(
            [*script, *(["fresh"] if fresh else [])],
            env={"PYTHONPATH": str(Path(__file__).parents[1])},
            log=f"prober-{address}" + ("-fresh" if fresh else ""),
        )
        self._read = self._process.log_path.stat().st_size  # an earlier one's lines are not ours
        self._found: list[Attempt] = []

    def attempts(self, since: float = 0.0) -> list[Attempt]:
        """All attempts that have ended and began at or after a moment."""
        with self._process.log_path.open("rb") as log:
            log.seek(self._read)
            lines, _, _ = log.read().rpartition(b"\n")
        self._read += len(lines) + bool(lines)
        self._found += [Attempt(**json.loads(row)) for row in lines.splitlines() if row[:1] == b"{"]
        self._found.sort(key=lambda item: item.at)
        return [item for item in self._found if item.at >= since]

    def broken(self, since: float) -> list[str]:
        """Those that failed since a moment: how many seconds after it, why, and after how long."""
        failed = [item for item in self.attempts(since) if not item.ok]
        return [f"{a.at - since:.3f} s: {a.why} after {a.took:.3f} s" for a in failed]

    def refused(self, since: float) -> list[str]:
        """Those that a router or a host refused in so many words (no route, no listener)."""
        untold = ("EHOSTUNREACH", "ETIMEDOUT")
        return [told for told in self.broken(since) if not any(word in told for word in untold)]

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


def longest_wait(attempts: Iterable[Attempt], fault: float) -> float:
    """Seconds for which a client had to wait at most after a fault.

    Not only `outage`: who asks the LAN anew waits with its question, and may yet succeed.
    """
    after = [item for item in attempts if item.at >= fault]
    return max([outage(after, fault), *(item.took for item in after if item.ok)])


async def _attempt(address: str, port: int) -> None:
    began = time.monotonic()
    why = ""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
            writer.transport.abort()
    except TimeoutError:
        why = "ETIMEDOUT"
    except OSError as error:
        why = errno.errorcode.get(error.errno or 0, str(error))
    took = time.monotonic() - began
    row = {"at": round(began, 4), "ok": not why, "took": round(took, 4), "why": why}
    print(json.dumps(row), flush=True)


async def _main(address: str, port: int, interval: float, fresh: bool) -> None:
    running: set[asyncio.Task[None]] = set()
    neighbours = Neighbours() if fresh else None
    due = time.monotonic()
    while True:
        if neighbours and not running:  # one that waits for the answer must not lose its question
            neighbours.forget(address)
        task = asyncio.create_task(_attempt(address, port))
        running.add(task)
        task.add_done_callback(running.discard)
        due += interval
        await asyncio.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), "fresh" in sys.argv))
