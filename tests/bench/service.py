"""How long one Service waits for its address, and the LAN for its first ARP answer.

``python -m bench.service [RUNS]``, with PYTHONPATH=tests: one Service after another on an idle
cluster. The watching client is kubernetes-asyncio, so our own client is not its own judge.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable

from kubernetes_asyncio import client, config, watch

from bench.figures import line, rss
from bench.load import service
from lab.bare import Bare
from lab.programs import Programs

PAUSE = 0.2  # seconds between two Services


class Watcher:
    """Notes when each Service shows an address for the first time."""

    def __init__(self, api: client.CoreV1Api) -> None:
        self._api = api
        self.seen: dict[str, tuple[float, str]] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        async with watch.Watch() as stream:
            async for event in stream.stream(self._api.list_namespaced_service, "default"):
                body = event["object"]
                shown = body.status.load_balancer.ingress
                if shown and body.metadata.name not in self.seen:
                    self.seen[body.metadata.name] = time.monotonic(), shown[0].ip
                    self._news.set()

    async def wait(self, name: str) -> tuple[float, str]:
        async with asyncio.timeout(10):
            while name not in self.seen:
                self._news.clear()
                await self._news.wait()
        return self.seen[name]


async def one_by_one(
    kubeconfig: str, names: Iterable[str]
) -> tuple[list[float], list[float], dict[str, float]]:
    """Durations from POST to address, of the POST alone, and when each address was seen."""
    await config.load_kube_config(kubeconfig)
    async with client.ApiClient() as connection:
        api = client.CoreV1Api(connection)
        watcher = Watcher(api)
        watching = asyncio.create_task(watcher.run())
        await asyncio.sleep(1.0)
        waits, posts, seen = [], [], {}
        for name in names:
            began = time.monotonic()
            await api.create_namespaced_service("default", service(name))
            posts.append(time.monotonic() - began)
            at, address = await watcher.wait(name)
            waits.append(at - began)
            seen[address] = at
            await asyncio.sleep(PAUSE)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return waits, posts, seen


def main(runs: int) -> None:
    with Bare(nodes=3, clients=1, kube_proxy=False, controller_manager=False) as lab:
        programs = Programs(lab)
        running = programs.start()
        programs.pool("bench", f"{lab.address(200, 0)}/24")
        programs.advertise()
        names = [f"bench-{number}" for number in range(runs)]
        for name in names:
            programs.endpoints(name, lab.node_names)
        with lab.sniff_arp() as capture:
            waits, posts, seen = asyncio.run(one_by_one(str(lab.kubeconfig()), names))
            time.sleep(1.0)
            first = {}
            for arp in capture.arps():
                if arp.reply and arp.sender not in first:
                    first[arp.sender] = arp.at
        print(line("POST to address, as a watching client sees it", waits))
        print(line("  of which the POST itself", posts))
        print(line("address to first ARP answer", [first[a] - at for a, at in seen.items()]))
        for program, process in running.items():
            print(f"RSS of {program}: {rss(process.pid):.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
