"""Planned moves lose nothing: drain, order, rolling restart, the last local endpoint.

Clients connect every 10 ms in both families: one that keeps its neighbours, and one that asks the
LAN for every connection. A sniffer says for how long two answered at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from lab.bare import Bare
from lab.capture import TALK, Capture, contest
from lab.fixtures import require
from lab.prober import PATIENCE, Prober
from lab.programs import BELLMETAL, NAMESPACE
from lab.scene import Scene
from lab.waiting import until

pytestmark = pytest.mark.lab

IN_FLIGHT = 0.01  # seconds before and after a change, in which an attempt may begin and fail
# A client that asks while nobody answers is served by the new owner's announcement: that is no
# failure, but a wait.
LONG = 0.3  # seconds that an attempt may wait
# A client that asks while nobody answers is served by the new owner's announcement: that is no
# failure, but a wait.
LONG = 0.3  # seconds that an attempt may wait
BOTH = 0.1  # seconds for which two may answer at once
ENOUGH = 1000  # attempts of each client, over all changes of a kind
SPAN = 10.5  # seconds that these take


@dataclass(frozen=True)
class Change:
    """One change as the LAN saw it: when the new owner began to answer, how long two did."""

    at: float
    both: float


class Watched:
    """Clients at work while something moves, and the sniffer."""

    def __init__(self, scene: Scene, capture: Capture, probers: list[Prober]) -> None:
        self._scene, self._capture, self._probers = scene, capture, probers
        self._began: list[float] = []  # of every change

    def make(self, change: Callable[[], object], rest: float) -> None:
        """Makes a change and lets the clients go on for ``rest`` seconds."""
        self._began.append(time.monotonic())
        change()
        time.sleep(max(0.0, self._began[-1] + rest - time.monotonic()))

    def tried(self) -> int:
        """How often the laziest client has tried since the first change."""
        return min(len(item.attempts(self._began[0])) for item in self._probers)

    def changes(self, address: str) -> list[Change]:
        """All changes of who answers for an address."""
        said = self._capture.said(address)
        ends = [*self._began[1:], float("inf")]
        found = []
        for began, end in zip(self._began, ends, strict=True):
            before = [word.mac for word in said if word.at < began]
            words = [word for word in said if began <= word.at < end]
            winner = words[-1].mac if words else ""
            if before and winner and winner != before[-1]:
                first = next(word.at for word in words if word.mac == winner)
                found.append(Change(first, contest(words)))
        return found

    def lost(self) -> list[str]:
        """Attempts that failed though they were not in flight around a change, as sentences."""
        found = []
        for prober in self._probers:
            moments = [item.at for item in self.changes(prober.address)]
            for item in prober.attempts(self._began[0]):
                nearest = min((item.at - at for at in moments), key=abs, default=float("inf"))
                if (not item.ok or item.took > LONG) and abs(nearest) > IN_FLIGHT:
                    what = f"{prober.name}: {item.why or 'late'} after {item.took:.2f} s"
                    found.append(f"{what}, {nearest * 1e3:+.0f} ms from a change")
        return found


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with Bare(nodes=3, clients=2) as lab:
        yield Scene(lab)


@contextmanager
def watched(scene: Scene) -> Iterator[Watched]:
    """All clients at work."""
    with ExitStack() as stack:
        probers = [
            *stack.enter_context(scene.clients()),
            *stack.enter_context(scene.clients(fresh=True)),
        ]
        capture = stack.enter_context(scene.lab.capture("lan", TALK))
        yield Watched(scene, capture, probers)


def nothing_is_lost(scene: Scene, changes: list[Callable[[], object]], moves: int) -> None:
    """Makes the changes under the clients, of which at least so many must move the addresses."""
    with watched(scene) as seen:
        time.sleep(0.3)
        for change in changes:
            seen.make(change, SPAN / len(changes))
        until(lambda: seen.tried() >= ENOUGH, f"{ENOUGH} attempts of each client", 60, every=0.2)
        time.sleep(PATIENCE + 0.1)  # until the last attempts have ended
        lost, found = seen.lost(), {item: seen.changes(item) for item in scene.addresses}
    assert lost == []
    for address, seen_there in found.items():
        assert len(seen_there) >= moves, address
        assert max(item.both for item in seen_there) <= BOTH, address


def bellmetal(scene: Scene, *arguments: str) -> str:
    """What a person types, with the administrator's kubeconfig; what it prints."""
    environment = {"KUBECONFIG": str(scene.lab.kubeconfig()), "METALLB_NAMESPACE": NAMESPACE}
    command = [*BELLMETAL, *arguments]
    done = scene.lab.control_plane_host.run(command, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_rolling_restart_of_all_speakers(scene: Scene) -> None:
    def restart(node: str) -> None:
        scene.running[node].terminate()
        assert scene.running[node].wait() == 0
        scene.start_speaker(node)

    nothing_is_lost(scene, [partial(restart, node) for node in scene.lab.node_names], 1)


def test_an_order_to_move(scene: Scene) -> None:
    first = scene.owner()
    nodes = [*scene.others(first), first]
    told: list[str] = []

    def move(node: str) -> None:
        told.append(bellmetal(scene, "move", scene.addresses[0], node))

    nothing_is_lost(scene, [partial(move, node) for node in nodes], 3)
    assert all("moved: default/web" in text for text in told)
    events = [
        message
        for reason, message in scene.programs.events("Service", "web")
        if reason == "AddressMoved"
    ]
    v4 = scene.addresses[0]
    asked = "asked for by bellmetal.io/move-to"
    assert f"{v4} moved from {first} to {nodes[0]}: {asked}" in events
    assert len(events) == 6


def test_an_order_that_cannot_be_carried_out_is_refused_and_withdrawn(scene: Scene) -> None:
    owner = scene.owner()
    annotation = "bellmetal.io/move-to=n9"
    scene.lab.kubectl("annotate", "service", "web", annotation)
    message = scene.programs.wait_event("Service", "web", "MoveRefused", count=2)
    withdrawn = "the cluster has no node n9; the order (bellmetal.io/move-to) is withdrawn"
    assert message.startswith("not moved to n9: ")
    assert message.endswith(f"stays on {owner}: {withdrawn}")
    assert scene.owner() == owner
    text = scene.lab.kubectl(
        "get", "service", "web", "-o", "jsonpath={.metadata.annotations}"
    ).stdout
    assert "move-to" not in text


def test_a_drain(scene: Scene) -> None:
    def drain() -> None:
        owner = scene.owner()
        bellmetal(scene, "drain", owner)
        assert scene.owner() != owner
        bellmetal(scene, "drain", owner, "--undo")

    nothing_is_lost(scene, [drain] * 3, 3)
    shard = scene.lab.kubectl("get", "addressledgers", "-n", NAMESPACE, "-o", "json").stdout
    entries = [
        entry
        for item in json.loads(shard)["items"]
        for entry in item["spec"].get("entries", {}).values()
    ]
    assert all(entry["owners"][0]["why"].startswith("drain of n") for entry in entries)


def test_the_last_local_endpoint_goes(scene: Scene) -> None:
    """externalTrafficPolicy Local: the address leaves before the endpoint that is ending."""
    policy = '{"spec":{"externalTrafficPolicy":"%s"}}'
    scene.lab.kubectl("patch", "service", "web", "-p", policy % "Local")

    def end() -> None:
        owner = scene.owner()
        scene.endpoints(scene.lab.node_names, ending=owner)
        until(lambda: scene.owner() != owner, "the address has left", 10)
        scene.endpoints(scene.others(owner))
        time.sleep(1.0)
        scene.endpoints(scene.lab.node_names)

    try:
        nothing_is_lost(scene, [end] * 3, 3)
    finally:
        scene.lab.kubectl("patch", "service", "web", "-p", policy % "Cluster")
