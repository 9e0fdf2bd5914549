"""Thousands of objects, made and watched by the thin client: what the scale benchmarks do by hand.

All of it runs in one event loop of the benchmark's own process; whatever it costs, each figure and
its reference pay alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bellmetal.api import MERGE, ApiError, Client, read_kubeconfig
from bellmetal.resources import Event, Service
from lab.endpoints import endpoint_slice

SERVICES = "/api/v1/namespaces/default/services"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
EVENTS = "/api/v1/namespaces/default/events"
IN_FLIGHT = 32
MAKERS = 8  # requests in flight of whoever makes objects: as fast as the API takes them


async def each(work: Callable[[int], Awaitable[object]], count: int, at_once: int) -> None:
    """``work(0)`` … ``work(count - 1)``, so many at once."""
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one())


class Load:
    """One client, and what it makes. Times are seconds of the monotonic clock."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.made: dict[str, float] = {}  # Service → when the API had answered its creation
        self.shown: dict[str, float] = {}  # Service → when its first address was seen
        self.addresses: dict[str, str] = {}
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def opened(cls, kubeconfig: Path) -> AsyncIterator[Load]:
        """A client that watches Services all the time."""
        async with Client(read_kubeconfig(kubeconfig), timeout=60) as client:
            load = cls(client)
            _, version = await client.list(Service, SERVICES)
            watching = asyncio.create_task(load._watch(version))
            try:
                yield load
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, version: str) -> None:
        while True:
            try:
                async for event in self.client.watch(Service, SERVICES, version):
                    version = event.object.metadata.resource_version
                    if event.type != "BOOKMARK":
                        self._take(event.type, event.object)
            except ApiError as error:
                if error.code and not error.expired:
                    raise
                version = await self._again(version)

    async def _again(self, version: str) -> str:
        """All of them, once the API server is there again; the version to watch from."""
        try:
            found, version = await self.client.list(Service, SERVICES)
        except ApiError as error:
            if error.code not in (0, 429, 500, 503):
                raise
            await asyncio.sleep(0.2)
            return version
        for body in found:
            self._take("MODIFIED", body)
        return version

    def _take(self, kind: str, body: Service) -> None:
        name, ingress = body.metadata.name, body.status.load_balancer.ingress
        if kind == "DELETED":
            for known in (self.made, self.shown, self.addresses):
                known.pop(name, None)
        elif ingress and name not in self.shown:
            self.shown[name] = time.monotonic()
            self.addresses[name] = str(ingress[0].ip)
        self._news.set()

    async def wait(self, ready: Callable[[], bool], what: str, timeout: float = 300) -> float:
        """Until the watch has told enough; when that was."""
        try:
            async with asyncio.timeout(timeout):
                while not ready():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}") from error
        return time.monotonic()

    # --- objects ----------------------------------------------------------------------------------

    async def services(self, names: Iterable[str], at_once: int = MAKERS) -> None:
        """Services of type LoadBalancer that ask for nothing."""
        wanted = list(names)

        async def one(number: int) -> None:
            name = wanted[number]
            await self.client.request("POST", SERVICES, service(name))
            self.made[name] = time.monotonic()

        await each(one, len(wanted), at_once)

    async def endpoints(self, names: Iterable[str], nodes: Mapping[str, str]) -> None:
        """An EndpointSlice for each, with one endpoint on each of these nodes (name → address)."""
        wanted = list(names)

        async def one(number: int) -> None:
            body = endpoint_slice(wanted[number], nodes)
            await self.client.request("POST", ENDPOINT_SLICES, body)

        await each(one, len(wanted), MAKERS)

    async def patch_as_many(self, names: Iterable[str]) -> float:
        """The reference: a plain PATCH of each Service's status and an event about it, 32 in
        flight, the events after the rest; seconds."""
        wanted, began = list(names), time.monotonic()

        async def patch(number: int) -> None:
            body = {"metadata": {"annotations": {"example.com/seen": str(began)}}}
            body["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}}  # type: ignore[dict-item]
            await self.client.request(
                "PATCH", f"{SERVICES}/{wanted[number]}/status", body, content_type=MERGE
            )

        async def tell(number: int) -> None:
            await self.client.request("POST", EVENTS, event(wanted[number]))

        await each(patch, len(wanted), IN_FLIGHT)
        await each(tell, len(wanted), IN_FLIGHT)
        return time.monotonic() - began

    async def events(self, reason: str, count: int) -> None:
        """Until so many more events of a reason have been written."""
        fields = f"reason={reason}"
        known, version = await self.client.list(Event, EVENTS, fields=fields)
        seen = {item.metadata.name for item in known}
        most = len(seen) + count
        while len(seen) < most:
            async for item in self.client.watch(Event, EVENTS, version, fields=fields):
                version = item.object.metadata.resource_version
                if item.type == "ADDED":
                    seen.add(item.object.metadata.name)
                if len(seen) >= most:
                    break

    async def count(self, path: str) -> int:
        """How many objects of a kind there are."""
        raw = await self.client.request("GET", path, params={"limit": "1"})
        page = msgspec.json.decode(raw, type=dict)
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    async def clear(self) -> None:
        """All Services, their endpoints and events are gone."""
        for path in (ENDPOINT_SLICES, SERVICES, EVENTS):
            while await self.count(path):
                try:
                    await self.client.request("DELETE", path, timeout=600)
                except ApiError as error:
                    if error.code != 504:  # a minute was not enough: the rest is next
                        raise


def service(name: str) -> dict[str, Any]:
    spec = {
        "type": "LoadBalancer",
        "allocateLoadBalancerNodePorts": False,
        "ports": [{"port": 80}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def event(name: str) -> dict[str, Any]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{name}.", "namespace": "default"},
        "involvedObject": {"kind": "Service", "namespace": "default", "name": name},
        "reason": "Seen",
        "message": "as many words as an event of ours has, roughly",
        "type": "Normal",
        "source": {"component": "bench"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
