"""Rows of routes that come and go one by one: how soon one is there, and what else is told."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from bench.bgp_stages import POOL, Crowded, Routed
from bench.bgp_wire import Update, updates
from bench.rows import Row, Values
from bench.service import one_by_one, service
from bench.table import COUNT, TIMES, Wish
from lab.capture import WHOLE, Capture
from lab.endpoints import endpoint_slice
from lab.errors import LabError
from lab.routers.router import Family
from lab.waiting import until

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

# --- how soon -------------------------------------------------------------------------------------

AT_A_TIME = 10  # Services of one run, one after the other
SOON = 0.1  # seconds from the address to the route


def soon(stage: Routed, number: int) -> Values:
    """Each Service gets an address, then a route; times of the router's kernel."""
    names = [f"soon-{number}-{index}" for index in range(AT_A_TIME)]
    for name in names:
        stage.programs.endpoints(name, stage.lab.node_names)
    with (
        stage.routers["r1"].watch_kernel() as watch,
        stage.lab.capture("r1", "tcp port 179") as capture,
    ):
        waits, _, seen = asyncio.run(one_by_one(str(stage.lab.kubeconfig()), names))
        time.sleep(0.5)
        changes = watch.changes()
    for name in names:
        stage.lab.rest.request("DELETE", f"{SERVICES}/{name}")
        stage.lab.rest.request("DELETE", f"{SLICES}/{name}-1")
    until(lambda: not _there(stage), "all routes are gone again")
    told: dict[str, list[float]] = {}
    for change in changes:
        told.setdefault(change.prefix, []).append(change.at)
    if missing := [address for address in seen if f"{address}/32" not in told]:
        raise LabError(f"no route to {', '.join(missing)}")
    sent: dict[str, float] = {}
    for update in updates(capture.frames()):
        for prefix in update.announced:
            sent.setdefault(prefix, update.ended)
    firsts = [told[f"{address}/32"][0] - at for address, at in seen.items()]
    lasts = [told[f"{address}/32"][-1] - at for address, at in seen.items()]
    tellings = [sent[f"{address}/32"] - at for address, at in seen.items()]
    return {"address": waits, "sent": tellings, "first": firsts, "all": lasts}


def _there(stage: Routed) -> bool:
    head = POOL[: POOL.index(".", 4) + 1]
    routes = stage.routers["r1"].kernel_routes(Family.IPV4)
    return any(prefix.startswith(head) for prefix in routes)


LATENCY = Row(
    "latency",
    {
        "address": Wish("one Service: POST to its address in status"),
        "sent": Wish("address in status to the first UPDATE"),
        "first": Wish("address in status to the route in FRR's kernel", p50=SOON),
        "all": Wish("address in status to the last of three ways there"),
    },
    soon,
    share=0.25,
    seconds=8,
    stage=Routed,
)

# --- a thousand changes ---------------------------------------------------------------------------

EACH = 250  # Services: created, annotated, moved, deleted
QUIET = 1.5  # seconds without an UPDATE, after which all is told
PEERS = len(Crowded.kinds)
# of what the speakers count, one for each session
LOST = r"^(?:bellmetal_bgp_session_flaps_total|metallb_bfd_session_down_events)\{.*\} (\S+)$"


def thousand(stage: Crowded, number: int) -> Values:
    """So many Services with local traffic on n1; then moved to n2; then gone.

    Each phase waits until all is told, as of a Service that is made and deleted at once a
    speaker may rightly tell nothing.
    """
    names = [f"many-{number}-{index}" for index in range(EACH)]
    lost = _losses(stage)
    path = stage.lab.run.path / "captures" / f"changes-{number}.pcap"
    path.parent.mkdir(exist_ok=True)
    command = ["ip", "netns", "exec", f"{stage.lab.run.prefix}lan"]
    capture = Capture(command, "br0", "tcp port 179", path, stage.lab.run.records, WHOLE)
    began = time.monotonic()
    with capture:
        for act, ways in ((_create, 1), (_annotate, 1), (_move, 1), (_delete, 0)):
            for name in names:
                act(stage, name)
            _settle(stage, EACH * ways, capture)
    took = time.monotonic() - began
    if capture.dropped:
        raise LabError(f"the sniffer missed {capture.dropped} frames")
    told = _told(stage, updates(capture.frames()))
    changed = EACH * PEERS * 4  # made: told by n1; moved: by n1 and n2; gone: told by n2
    return {
        "took": took,
        "flaps": _losses(stage) - lost,
        "updates": len(told) / changed,
        "mentions": most_mentioned(told) / 2,  # by one node: told and withdrawn
        "missing": changed - sum(len(item.prefixes) for item in told),
    }


def most_mentioned(told: Iterable[Update]) -> int:
    """How often one node has told one router of one prefix, at most."""
    counted = Counter((u.source, u.target, prefix) for u in told for prefix in u.prefixes)
    return max(counted.values(), default=0)


def _told(stage: Crowded, seen: Iterable[Update]) -> list[Update]:
    """What nodes have told, without the ends of tables."""
    nodes = {stage.lab.node(name).address for name in stage.lab.node_names}
    return [update for update in seen if update.source in nodes and update.prefixes]


def _settle(stage: Crowded, wanted: int, capture: Capture) -> None:
    for name, router in stage.routers.items():
        what = f"{wanted} prefixes at {name}"
        until(partial(_has, router.sessions, wanted), what, 60, every=0.1)
    counts: list[int] = []

    def quiet() -> bool:
        counts.append(len(_told(stage, updates(capture.frames()))))
        return len(counts) > 1 and counts[-1] == counts[-2]

    until(quiet, "no more UPDATEs", 60, every=QUIET)


def _has(sessions: Callable[[], Mapping[str, Any]], wanted: int) -> bool:
    return sum(one.received.get(Family.IPV4, 0) for one in sessions().values()) == wanted


def _create(stage: Crowded, name: str) -> None:
    stage.lab.rest.post(SLICES, _endpoints(stage, name, "n1"))
    body = service(name)
    body["spec"]["externalTrafficPolicy"] = "Local"
    stage.lab.rest.post(SERVICES, body)


def _annotate(stage: Crowded, name: str) -> None:
    annotations = {"example.com/of-no-concern": "yes"}
    stage.lab.rest.patch(f"{SERVICES}/{name}", {"metadata": {"annotations": annotations}})


def _move(stage: Crowded, name: str) -> None:
    body = _endpoints(stage, name, "n2")
    stage.lab.rest.request("PUT", f"{SLICES}/{name}-1", body)


def _delete(stage: Crowded, name: str) -> None:
    stage.lab.rest.request("DELETE", f"{SERVICES}/{name}")
    stage.lab.rest.request("DELETE", f"{SLICES}/{name}-1")


def _endpoints(stage: Crowded, name: str, node: str) -> dict[str, Any]:
    return endpoint_slice(name, {node: stage.lab.pod_address(node, 5)})


def _losses(stage: Crowded) -> int:
    """BGP and BFD sessions that were lost since the speakers began, by their own count."""
    found = [
        value
        for node in stage.lab.node_names
        for value in re.findall(LOST, stage.metrics(node), re.MULTILINE)
    ]
    if len(found) < len(stage.lab.node_names) * (PEERS + len(stage.bfd)):
        raise LabError("the speakers do not show flaps of all sessions")
    return int(sum(map(float, found)))


CHANGES = Row(
    "changes",
    {
        "took": Wish("1,000 changes of Services, one after the other", "s"),
        "flaps": Wish("meanwhile: sessions lost, BGP and BFD, of two nodes", COUNT, most=0),
        "updates": Wish("UPDATEs for each changed prefix and peer", TIMES, most=1.0),
        "mentions": Wish("a prefix is told to a peer, for each change, at most", TIMES, most=1.0),
        "missing": Wish("changes that were not told", COUNT, most=0),
    },
    thousand,
    share=0.1,
    seconds=60,
    stage=Crowded,
)

ROWS = (LATENCY, CHANGES)
