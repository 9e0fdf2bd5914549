"""Rows with thousands of Services on a real API server, 200 node objects and three real speakers.

``python -m bench.scale [--runs N] [--only NAME,…] [--output json]``, with PYTHONPATH=tests, as
root. ``BELLMETAL_BENCH_SERVICES`` (10,000): a smaller number tries the rows themselves.

Another implementation can stand in our place: ``BELLMETAL_BENCH_START=FILE`` names a program that
is started as ``FILE controller`` and ``FILE speaker NODE`` with KUBECONFIG, in the namespaces that
ours would be started in. What is measured is what any client of the API sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

from bellmetal.api import MERGE
from bellmetal.follow import L2_STATUSES
from bench import play
from bench.figures import cpu, percentile, rss
from bench.load import ENDPOINT_SLICES, MAKERS, Load, each
from bench.rows import Row, Values
from bench.table import COUNT, MEGABYTES, MILLISECONDS, PERCENT, SECONDS, TIMES, Wish
from lab.bare import Bare
from lab.endpoints import endpoint_slice
from lab.processes import Process
from lab.programs import NAMESPACE, Programs
from lab.waiting import until

MOST = int(os.environ.get("BELLMETAL_BENCH_SERVICES", "10000"))
HALF = MOST // 2
NODES = 200  # node objects; three of them have speakers
CHURNED = MOST // 10  # Services whose endpoints change
CHANGES = 100  # of endpoints, a second
AWAY = 5.0  # seconds without an API server
SINGLES = 30  # Services that are made one after the other
PAUSE = 3.0  # seconds between those: each comes to a controller that is at rest
REST = 30.0  # seconds at rest, over which the processor's time is taken
QUIET = 5.0  # seconds after which everything is told that there is to tell
START = os.environ.get("BELLMETAL_BENCH_START", "")
CHANGED = ("PATCH", "PUT", "APPLY")  # verbs that change what is there
Requests: TypeAlias = dict[tuple[str, str], int]  # verb and resource → how often


class Programmed(Programs):
    """Ours, or another implementation's."""

    def controller(self, name: str = "controller-1", *flags: str) -> Process:
        if not START:
            return super().controller(name, *flags)
        env = {"KUBECONFIG": str(self.lab.kubeconfig())}
        return self.lab.control_plane_host.spawn([START, "controller"], env, name)

    def speaker(self, node: str, *flags: str, env: Any = None) -> Process:
        if not START:
            return super().speaker(node, *flags, env=env)
        own = {"KUBECONFIG": str(self.lab.kubeconfig())}
        return self.lab.node(node).spawn([START, "speaker", node], own, "speaker")


class Thousands:
    """A cluster of 200 node objects, three speakers, and a controller that comes and goes."""

    title: ClassVar[str] = f"a control plane with {NODES} nodes, three of them with speakers"

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Thousands]:
        with Bare(nodes=3, clients=1, kube_proxy=False, controller_manager=False) as lab:
            yield cls(lab)

    def __init__(self, lab: Bare) -> None:
        self.lab, self.programs = lab, Programmed(lab)
        for number in range(4, NODES + 1):
            lab.rest.post("/api/v1/nodes", _node(number))
        self.programs.pool("bench", f"{lab.address(128, 0)}/17")
        self.programs.advertise()
        self.speakers = {node: self.programs.speaker(node) for node in lab.node_names}
        self.controller: Process | None = None
        self.serving = {node: lab.pod_address(node, 5) for node in lab.node_names}
        self.made = 0

    def start(self) -> Process:
        self.controller = self.programs.controller("controller-1")
        return self.controller

    def stop(self) -> None:
        if self.controller is not None and self.controller.alive:
            self.controller.signal(15)
            until(lambda: not (self.controller and self.controller.alive), "it ends", 30)
        self.controller = None

    def names(self, count: int) -> list[str]:
        """Names that no Service has had."""
        first, self.made = self.made, self.made + count
        return [f"s{number:06}" for number in range(first, self.made)]

    def requests(self) -> Requests:
        """What the API server has been asked for: verb and resource → how often."""
        return counted(self.lab.rest.get("/metrics")["text"])


def _node(number: int) -> dict[str, Any]:
    name = f"n{number}"
    addresses = [{"type": "InternalIP", "address": f"10.200.{number // 250}.{number % 250 + 1}"}]
    ready = {"type": "Ready", "status": "True", "reason": "BenchSaysSo"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"addresses": addresses, "conditions": [ready]},
    }


def counted(text: str) -> Requests:
    """Out of the API server's metrics: verb and resource of all that it was asked, how often."""
    found: Requests = {}
    for line in text.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels, _, value = line[len("apiserver_request_total{") :].rpartition("} ")
        pairs = dict(item.split("=", 1) for item in labels.split(",") if "=" in item)
        key = pairs["verb"].strip('"'), pairs["resource"].strip('"')
        found[key] = found.get(key, 0) + int(float(value))
    return found


# --- rows -----------------------------------------------------------------------------------------


def _played(once: Any) -> Any:
    """A row's run: its coroutine with a client; nothing is left behind."""

    def run(at: Thousands, number: int) -> Values:
        async def inside() -> Values:
            async with Load.opened(at.lab.kubeconfig()) as load:
                try:
                    found: Values = await once(at, load)
                    return found
                finally:
                    await load.clear()
                    await _at_rest(load)
                    at.stop()

        return asyncio.run(inside())

    return run


async def waiting(at: Thousands, load: Load) -> Values:
    """Services wait; a controller starts; then the same client does as many plain requests."""
    names = at.names(HALF)
    await load.services(names)
    await load.endpoints(names, at.serving)
    telling = asyncio.create_task(load.events("IPAllocated", HALF))
    began = time.monotonic()
    controller = at.start()
    first = await load.wait(lambda: bool(load.shown), "the first address")
    last = await load.wait(lambda: len(load.shown) == HALF, "all addresses")
    await telling
    told = time.monotonic()
    await asyncio.sleep(QUIET)
    memory = rss(controller.pid)
    at.stop()
    plain = await load.patch_as_many(names)
    return {
        "visible": last - began,
        "first": first - began,
        "against": (told - first) / plain,
        "memory": memory,
    }


async def created(at: Thousands, load: Load) -> Values:
    """Services are made as fast as the API takes them, while the controller runs."""
    at.start()
    at.programs.wait_leading("controller-1")
    names = at.names(HALF)
    await load.endpoints(names, at.serving)  # so that there is nothing to tell but the address
    before, began = at.requests(), time.monotonic()
    await load.services(names)
    rate = HALF / (time.monotonic() - began)
    await load.wait(lambda: len(load.shown) == HALF, "all addresses")
    await asyncio.sleep(QUIET)
    patches = _written("services", before, at.requests(), ("PATCH",))
    waits = [load.shown[name] - load.made[name] for name in names]
    return {
        "rate": rate,
        "wait": percentile(waits, 0.5),
        "wait99": percentile(waits, 0.99),
        "writes": patches / HALF,
    }


async def churned(at: Thousands, load: Load) -> Values:
    """Endpoints change, a hundred times a second; meanwhile one more Service, again and again."""
    controller = at.start()
    names = at.names(CHURNED)
    await load.endpoints(names, at.serving)
    await load.services(names)
    await load.wait(lambda: len(load.shown) == CHURNED, "all addresses")
    await _at_rest(load)
    before, spent, began = at.requests(), cpu(controller.pid), time.monotonic()
    received = {node: _received(at, node) for node in at.speakers}
    churning = asyncio.create_task(_churn(at, load, names))
    waits = await _singles(at, load)
    made = await churning
    took, after = time.monotonic() - began, at.requests()
    came = max(_received(at, node) - received[node] for node in at.speakers)
    return {
        "changes": made / took,
        "during": waits,
        "during99": percentile(waits, 0.99),
        "busy": (cpu(controller.pid) - spent) / took,
        "slices": _written("announcementslices", before, after, (*CHANGED, "POST")) / took,
        "came": came / took,
    }


async def _churn(at: Thousands, load: Load, names: list[str]) -> int:
    """For as long as singles take: of each Service in turn one node's endpoint goes, or comes."""
    few = dict(list(at.serving.items())[:2])
    end, count = time.monotonic() + SINGLES * PAUSE, 0

    async def one(number: int) -> None:
        nonlocal count
        if time.monotonic() > end:
            return
        due = began + number / CHANGES
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        name, nodes = names[number % CHURNED], few if number // CHURNED % 2 == 0 else at.serving
        body = {"endpoints": endpoint_slice(name, nodes)["endpoints"]}
        await load.client.request("PATCH", f"{ENDPOINT_SLICES}/{name}-1", body, content_type=MERGE)
        count += 1

    began = time.monotonic()
    await each(one, int(SINGLES * PAUSE * CHANGES), MAKERS)
    return count


async def held(at: Thousands, load: Load) -> Values:
    """A controller is started again over what is held; one more Service, again and again."""
    at.start()
    at.programs.wait_leading("controller-1")
    await asyncio.sleep(QUIET)
    found: dict[str, Any] = {"speaker1": max(rss(one.pid) for one in at.speakers.values())}
    for count in (HALF, MOST):
        names = at.names(count - len(load.shown))
        await load.services(names)
        await load.endpoints(names, at.serving)
        await load.wait(lambda count=count: len(load.shown) == count, "all addresses")  # type: ignore[misc]
        await asyncio.sleep(2 * QUIET)
        found |= await _again(at, load, "half" if count == HALF else "all")
    await _at_rest(load)
    found |= await _one_more(at, load)
    found |= await _speakers(at, load)
    return found | await _relisted(at, load)


async def _again(at: Thousands, load: Load, which: str) -> dict[str, Any]:
    """The controller ends and is started again; one more Service says when it decides."""
    at.stop()
    [canary] = at.names(1)
    await load.endpoints([canary], at.serving)
    await load.services([canary])
    before, began = at.requests(), time.monotonic()
    controller = at.start()
    until_then = await load.wait(lambda: canary in load.shown, "it decides again") - began
    await asyncio.sleep(2 * QUIET)
    written = _written("services", before, at.requests())
    memory = rss(controller.pid)
    return {f"again_{which}": until_then, f"writes_{which}": written - 1, f"memory_{which}": memory}


def _written(
    resource: str, before: Requests, after: Requests, verbs: tuple[str, ...] = CHANGED
) -> int:
    return sum(after.get((verb, resource), 0) - before.get((verb, resource), 0) for verb in verbs)


async def _relisted(at: Thousands, load: Load) -> dict[str, Any]:
    """The API server is away for a while, and forgets all watches; then a Service is made."""
    at.lab.api_down()
    await asyncio.sleep(AWAY)
    await asyncio.to_thread(at.lab.api_up)
    back = time.monotonic()
    [canary] = at.names(1)
    await load.endpoints([canary], at.serving)
    await load.services([canary])
    shown = await load.wait(lambda: canary in load.shown, "it decides again")
    await asyncio.sleep(2 * QUIET)
    written = _written("services", {}, at.requests())  # it counts from its start
    return {"back": shown - back, "back_writes": written - 1}


async def _at_rest(load: Load) -> None:
    """Until people have been told all: a row for each Service is written slowly."""
    before = -1
    while (now := await load.count(L2_STATUSES.path(NAMESPACE))) != before:
        before = now
        await asyncio.sleep(QUIET)


async def _one_more(at: Thousands, load: Load) -> dict[str, Any]:
    """Singles: from the POST to the address, from that to its first ARP announcement or reply."""
    answers = []
    with at.lab.sniff_arp() as capture:
        known = set(load.shown)
        waits = await _singles(at, load)
        new = [name for name in load.shown if name not in known]
        seen = {load.addresses[name]: load.shown[name] for name in new}
        for arp in capture.arps():
            if arp.sender in seen:
                answers.append(max(0.0, arp.at - seen.pop(arp.sender)))
    never = [float("inf")] * len(seen)
    return {"one": waits, "one99": percentile(waits, 0.99), "answer": answers + never}


async def _singles(at: Thousands, load: Load) -> list[float]:
    """Services made one after the other: from the POST to the address."""
    waits = []
    for name in at.names(SINGLES):
        await load.endpoints([name], at.serving)
        began = time.monotonic()
        await load.services([name], 1)
        shown = await load.wait(lambda name=name: name in load.shown, name)  # type: ignore[misc]
        waits.append(shown - began)
        await asyncio.sleep(PAUSE)
    return waits


async def _speakers(at: Thousands, load: Load) -> dict[str, Any]:
    """Memory, processor at rest, and what comes of endpoints that change no decision."""
    most = max(rss(one.pid) for one in at.speakers.values())
    spent = {node: cpu(one.pid) for node, one in at.speakers.items()}
    await asyncio.sleep(REST)
    used = max(cpu(one.pid) - spent[node] for node, one in at.speakers.items()) / REST
    before = {node: _received(at, node) for node in at.speakers}
    names = list(load.shown)[:100]
    for number in range(300):  # ten a second
        path = f"{ENDPOINT_SLICES}/{names[number % len(names)]}-1"
        body = {"metadata": {"annotations": {"example.com/changed": str(number)}}}
        await load.client.request("PATCH", path, body, content_type=MERGE)
        await asyncio.sleep(0.1)
    came = max(_received(at, node) - before[node] for node in at.speakers)
    return {"speaker": most, "cpu": used, "bytes": came * 120}


def _received(at: Thousands, node: str) -> int:
    """Bytes that a node's programs have received from the API server."""
    said = at.lab.node(node).run(["ss", "-tinH", "dport", "=", ":6443"]).stdout
    words = [word for word in said.split() if word.startswith("bytes_received:")]
    return sum(int(word.partition(":")[2]) for word in words)


THESE = f"{HALF:,}"
ROWS = (
    Row(
        "waiting",
        {
            "visible": Wish(
                f"{THESE} Services wait, controller starts: all visible", SECONDS, most=10
            ),
            "first": Wish("of that: until the first address", SECONDS),
            "against": Wish(
                "its writes against as many plain ones of one client", TIMES, most=1.43
            ),
            "memory": Wish(
                f"controller with {THESE} Services and EndpointSlices: RSS", MEGABYTES, most=220
            ),
        },
        _played(waiting),
        0.15,
        80,
        Thousands,
    ),
    Row(
        "created",
        {
            "rate": Wish(f"{THESE} Services made as fast as the API takes them: a second", COUNT),
            "wait": Wish("each has its address after its creation: median", MILLISECONDS),
            "wait99": Wish("the same: 99 % within", MILLISECONDS, most=1.0),
            "writes": Wish("writes of a Service for each", TIMES, most=1.0),
        },
        _played(created),
        0.15,
        60,
        Thousands,
    ),
    Row(
        "churned",
        {
            "changes": Wish(f"endpoints of {CHURNED:,} Services change: a second", COUNT),
            "during": Wish("one more Service meanwhile: POST to address", MILLISECONDS, p50=0.040),
            "during99": Wish("the same: 99 % within", MILLISECONDS, most=0.150),
            "busy": Wish("controller: share of a core", PERCENT),
            "slices": Wish("slices written, a second", COUNT),
            "came": Wish("bytes to each speaker, a second", COUNT),
        },
        _played(churned),
        0.15,
        130,
        Thousands,
    ),
    Row(
        "held",
        {
            "again_half": Wish(
                f"{THESE} held, controller restarted: decides again after", SECONDS, most=3
            ),
            "writes_half": Wish("writes of Services then", COUNT, most=0),
            "memory_half": Wish("RSS with as many EndpointSlices", MEGABYTES, most=220),
            "again_all": Wish(
                f"{MOST:,} held, controller restarted: decides again after", SECONDS, most=6
            ),
            "writes_all": Wish("writes of Services then", COUNT, most=0),
            "memory_all": Wish("RSS with as many EndpointSlices", MEGABYTES, most=350),
            "one": Wish(f"one more among {MOST:,}: POST to address", MILLISECONDS, p50=0.040),
            "one99": Wish("the same: 99 % within", MILLISECONDS, most=0.150),
            "answer": Wish("its address to the first ARP", MILLISECONDS, p50=0.100),
            "speaker1": Wish("speaker with no Service: RSS", MEGABYTES),
            "speaker": Wish(f"speaker with {MOST:,} Services: RSS", MEGABYTES, most=95),
            "cpu": Wish("speaker at rest: share of a core", PERCENT, most=0.005),
            "bytes": Wish("bytes an hour from the API while endpoints change, ten a second", COUNT),
            "back": Wish(f"API server away for {AWAY:.0f} s: decides again after", SECONDS),
            "back_writes": Wish("writes of Services then", COUNT, most=0),
        },
        _played(held),
        0.05,
        400,
        Thousands,
    ),
)

if __name__ == "__main__":
    sys.exit(play.main("bench.scale", ROWS))
