"""Rows with thousands of Services on a real API server, 200 node objects and three real speakers.

``python -m bench.scale [--runs N] [--only NAME,…] [--output json]``, with PYTHONPATH=tests, as
root. ``BELLMETAL_BENCH_SERVICES`` (10,000): a smaller number tries the rows themselves, and nothing
is wished of it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from bellmetal.api import MERGE
from bellmetal.follow import L2_STATUSES
from bench import play
from bench.figures import cpu, percentile, rss
from bench.load import ENDPOINT_SLICES, MAKERS, Load, each
from bench.rows import Row, Values
from bench.table import COUNT, MEGABYTES, MILLISECONDS, PERCENT, SECONDS, TIMES, Wish
from bench.thousands import (
    CHANGED,
    MOST,
    NODES,
    USUAL,
    Thousands,
    node_object,
    received,
    since,
    written,
)
from lab.endpoints import endpoint_slice
from lab.programs import NAMESPACE

HALF = MOST // 2
CHURNED = MOST // 10  # Services whose endpoints change
CHANGES = 100  # of endpoints, a second
LEAVES = 1.0  # seconds between two nodes that leave; each is back after as long again
AWAY = 5.0  # seconds without an API server
SINGLES = 30  # Services that are made one after the other
PAUSE = 3.0  # seconds between those: each comes to a controller that is at rest
REST = 30.0  # seconds at rest, over which the processor's time is taken
QUIET = 5.0  # seconds after which everything is told that there is to tell


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
    patches = written("services", before, at.requests(), ("PATCH",))
    waits = [load.shown[name] - load.made[name] for name in names]
    return {
        "rate": rate,
        "wait": percentile(waits, 0.5),
        "wait99": percentile(waits, 0.99),
        "writes": patches / HALF,
    }


async def churned(at: Thousands, load: Load) -> Values:
    """Endpoints change, a hundred times a second; meanwhile one more Service, again and again."""
    names = await _announced(at, load)
    return await _during(at, load, lambda end: _churn(load, at.serving, names, end))


async def noded(at: Thousands, load: Load) -> Values:
    """Nodes leave the cluster and come back, two changes a second; the same meanwhile."""
    await _announced(at, load)
    return await _during(at, load, lambda end: _come_and_go(load, end))


async def _announced(at: Thousands, load: Load) -> list[str]:
    """Services with endpoints that all is told of."""
    at.start()
    names = at.names(CHURNED)
    await load.endpoints(names, at.serving)
    await load.services(names)
    await load.wait(lambda: len(load.shown) == CHURNED, "all addresses")
    await _at_rest(load)
    return names


async def _during(
    at: Thousands, load: Load, change: Callable[[float], Coroutine[Any, Any, int]]
) -> dict[str, Any]:
    """What singles wait for, and all else that ``change(end)``, which counts its changes, costs."""
    assert at.controller is not None
    pid = at.controller.pid
    before, spent, began = at.requests(), cpu(pid), time.monotonic()
    came = {node: received(at, node) for node in at.speakers}
    changing = asyncio.create_task(change(began + SINGLES * PAUSE))
    waits = await _singles(at, load)
    made = await changing
    took, after = time.monotonic() - began, at.requests()
    return {
        "changes": made / took,
        "during": waits,
        "during99": percentile(waits, 0.99),
        "busy": (cpu(pid) - spent) / took,
        "slices": written("announcementslices", before, after, (*CHANGED, "POST")) / took,
        "came": max(since(came[node], received(at, node)) for node in at.speakers) / took,
    }


async def _come_and_go(load: Load, end: float) -> int:
    """Nodes without a speaker leave and come back, until ``end``; how many changes that were."""
    dice, count = random.Random(1), 0
    while time.monotonic() < end:
        number = dice.randrange(4, NODES + 1)
        await load.client.request("DELETE", f"/api/v1/nodes/n{number}")
        await asyncio.sleep(LEAVES)
        await load.client.request("POST", "/api/v1/nodes", node_object(number))
        count += 2
    return count


async def _churn(load: Load, serving: Mapping[str, str], names: list[str], end: float) -> int:
    """Of each Service in turn one node's endpoint goes, or comes, until ``end``; how many did."""
    few, count = dict(list(serving.items())[:2]), 0

    async def one(number: int) -> None:
        nonlocal count
        if time.monotonic() > end:
            return
        due = began + number / CHANGES
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        name, nodes = names[number % CHURNED], few if number // CHURNED % 2 == 0 else serving
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
        await _all_told(at)
        await _at_rest(load)
        found |= await _again(at, load, "half" if count == HALF else "all")
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
    writes = written("services", before, at.requests())
    memory = rss(controller.pid)
    return {f"again_{which}": until_then, f"writes_{which}": writes - 1, f"memory_{which}": memory}


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
    writes = written("services", {}, at.requests())  # it counts from its start
    return {"back": shown - back, "back_writes": writes - 1}


async def _at_rest(load: Load) -> None:
    """Until people have been told all: a row for each Service is written slowly."""
    await _steady(lambda: load.count(L2_STATUSES.path(NAMESPACE)), QUIET)


async def _all_told(at: Thousands) -> None:
    """Until no Service is written any more: people are told slowly, and not by who starts next."""

    async def count() -> int:
        return written("services", {}, at.requests())

    await _steady(count, 2 * QUIET)


async def _steady(count: Callable[[], Awaitable[int]], pause: float) -> None:
    """Until it says the same twice, ``pause`` seconds apart."""
    before = -1
    while (now := await count()) != before:
        before = now
        await asyncio.sleep(pause)


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
    before = {node: received(at, node) for node in at.speakers}
    names = list(load.shown)[:100]
    for number in range(300):  # ten a second
        path = f"{ENDPOINT_SLICES}/{names[number % len(names)]}-1"
        body = {"metadata": {"annotations": {"example.com/changed": str(number)}}}
        await load.client.request("PATCH", path, body, content_type=MERGE)
        await asyncio.sleep(0.1)
    came = max(since(before[node], received(at, node)) for node in at.speakers)
    return {"speaker": most, "cpu": used, "bytes": came * 120}


def _unwished(wishes: Mapping[str, Wish]) -> dict[str, Wish]:
    """The same figures, of which nothing is wished: with another number they say other things."""
    return {name: replace(wish, most=None, p50=None) for name, wish in wishes.items()}


THESE = f"{HALF:,}"
DURING = {
    "during": Wish("one more Service meanwhile: POST to address", MILLISECONDS, p50=0.040),
    "during99": Wish("the same: 99 % within", MILLISECONDS, most=0.150),
    "busy": Wish("controller: share of a core", PERCENT),
    "slices": Wish("slices written, a second", COUNT),
    "came": Wish("bytes to each speaker, a second", COUNT),
}
ROWS: tuple[Row, ...] = (
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
            **DURING,
        },
        _played(churned),
        0.15,
        130,
        Thousands,
    ),
    Row(
        "noded",
        {
            "changes": Wish(f"of {NODES} nodes one leaves or comes: a second", COUNT),
            **DURING,
        },
        _played(noded),
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
if MOST != USUAL:
    ROWS = tuple(replace(row, wishes=_unwished(row.wishes)) for row in ROWS)

if __name__ == "__main__":
    sys.exit(play.main("bench.scale", ROWS))
