"""What programs hold while things come and go for an hour: it must not grow.

``python -m bench.soak [MINUTES] [SERVICES]`` (60, 500), with PYTHONPATH=tests, as root. Twice a
second a Service goes and another comes, ten times a second an EndpointSlice changes, every two
seconds one of 200 nodes changes. Every half minute: memory, open files and threads of each program,
and how many objects of ours there are. Exit status 1 if something is higher in the last third of
the time than in the second one, 2 if that was too short to say.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import cycle

from bellmetal.api import MERGE, ApiError
from bench.figures import cpu, rss
from bench.load import ENDPOINT_SLICES, SERVICES, Load
from bench.thousands import NODES, Thousands
from lab.arguments import count, positive
from lab.endpoints import endpoint_slice

SAMPLE = 30.0  # seconds
SERVICE_PACE, ENDPOINT_PACE, NODE_PACE = 0.5, 0.1, 2.0  # seconds between two changes
ALLOWED = 1.05  # times what it was after a third, and a few of what is counted
FEW = 3.0
ENOUGH = 9  # samples
OURS = {
    "slices": "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/announcementslices",
    "ledger shards": "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/addressledgers",
    "ServiceL2Status": "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicel2statuses",
    "SpeakerReport": "/apis/bellmetal.io/v1alpha1/namespaces/metallb-system/speakerreports",
}
Series = dict[str, list[float]]


class Soak:
    """The churn, and the samples."""

    def __init__(self, at: Thousands, load: Load) -> None:
        self.at, self.load, self.series = at, load, Series()
        self.random = random.Random(1)
        self.names: list[str] = []

    async def begin(self, services: int) -> None:
        self.names = self.at.names(services)
        await self.load.services(self.names)
        await self.load.endpoints(self.names, self.at.serving)
        await self.load.wait(lambda: len(self.load.shown) >= services, "all addresses")

    async def services(self) -> None:
        while True:
            [new] = self.at.names(1)
            old = self.names.pop(self.random.randrange(len(self.names)))
            for path in (f"{SERVICES}/{old}", f"{ENDPOINT_SLICES}/{old}-1"):
                await self.load.client.request("DELETE", path)
            await self.load.services([new], 1)
            await self.load.endpoints([new], self.at.serving)
            self.names.append(new)
            await asyncio.sleep(SERVICE_PACE)

    async def endpoints(self) -> None:
        """One more node, one fewer: a change that each program has to look at."""
        nodes = list(self.at.serving)
        for number in cycle(range(len(nodes))):
            name = self.random.choice(self.names)
            some = {node: self.at.serving[node] for node in nodes if node != nodes[number]}
            body = {"endpoints": endpoint_slice(name, some)["endpoints"]}
            path = f"{ENDPOINT_SLICES}/{name}-1"
            try:
                await self.load.client.request("PATCH", path, body, content_type=MERGE)
            except ApiError as error:
                if not error.gone:
                    raise
            await asyncio.sleep(ENDPOINT_PACE)

    async def nodes(self) -> None:
        """Labels that come and go, of nodes without a speaker."""
        for number in cycle(range(4, NODES + 1)):
            labels = {"example.com/turn": str(self.random.randrange(3))}
            path = f"/api/v1/nodes/n{number}"
            body = {"metadata": {"labels": labels}}
            await self.load.client.request("PATCH", path, body, content_type=MERGE)
            await asyncio.sleep(NODE_PACE)

    async def sample(self) -> None:
        """A row of figures, every half minute."""
        assert self.at.controller is not None
        programs = {"controller": self.at.controller} | self.at.speakers
        spent = dict.fromkeys(programs, 0.0)
        began = time.monotonic()
        while True:
            found: dict[str, float] = {}
            for name, process in programs.items():
                pid = process.pid
                found[f"{name} MB"] = rss(pid)
                found[f"{name} files"] = len(os.listdir(f"/proc/{pid}/fd"))
                found[f"{name} threads"] = len(os.listdir(f"/proc/{pid}/task"))
                used, spent[name] = cpu(pid) - spent[name], cpu(pid)
                if self.series:
                    found[f"{name} % of a core"] = 100 * used / SAMPLE
            for name, path in OURS.items():
                found[name] = await self.load.count(path)
            for name, value in found.items():
                self.series.setdefault(name, []).append(value)
            shown = ", ".join(
                f"{name} {value:.0f}" for name, value in found.items() if "MB" in name
            )
            print(f"{(time.monotonic() - began) / 60:5.1f} min  {shown}", flush=True)
            await asyncio.sleep(SAMPLE)

    async def play(self, minutes: float) -> None:
        work = (self.services, self.endpoints, self.nodes, self.sample)
        tasks = [asyncio.create_task(one()) for one in work]
        done, _ = await asyncio.wait(
            tasks, timeout=minutes * 60, return_when=asyncio.FIRST_COMPLETED
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


def grown(series: Series) -> dict[str, tuple[float, float]]:
    """What is higher in the last third than in the second one: medians of both."""
    found = {}
    for name, values in series.items():
        middle, last = _thirds(values)
        if middle and last and "% of" not in name:
            before, after = statistics.median(middle), statistics.median(last)
            if after > before * ALLOWED + FEW:
                found[name] = before, after
    return found


def _thirds(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    third = len(values) // 3
    return values[third : 2 * third], values[2 * third :]


async def soak(at: Thousands, minutes: float, services: int) -> int:
    async with Load.opened(at.lab.kubeconfig()) as load:
        at.start()
        at.programs.wait_leading("controller-1")
        it = Soak(at, load)
        await it.begin(services)
        await it.play(minutes)
        at.stop()
    print("\n| what | first | after a third | last third |\n|---|---|---|---|")
    for name, values in it.series.items():
        middle, last = (statistics.median(part or values) for part in _thirds(values))
        print(f"| {name} | {values[0]:.0f} | {middle:.0f} | {last:.0f} |")
    if max(map(len, it.series.values()), default=0) < ENOUGH:
        least = ENOUGH * SAMPLE / 60
        print(f"too short: nothing is judged by less than {least:.1f} minutes", file=sys.stderr)
        return 2
    found = grown(it.series)
    for name, (before, after) in found.items():
        print(f"GROWN: {name} from {before:.0f} to {after:.0f}")
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("minutes", nargs="?", type=positive, default=60.0)
    parser.add_argument("services", nargs="?", type=count, default=500, help="that are there")
    options = parser.parse_args(arguments)
    with Thousands.opened() as at:
        return asyncio.run(soak(at, options.minutes, options.services))


if __name__ == "__main__":
    sys.exit(main())
