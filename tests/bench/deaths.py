"""Rows in which the owner is gone at once: its node, its speaker or its link, with or without API.

Times are those of clients that connect every 10 ms. Who answers is said by a sniffer on the LAN.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

from bench.rows import Row, Values
from bench.table import COUNT, Wish
from lab.capture import Capture
from lab.prober import Prober, longest_wait, outage
from lab.scene import Scene
from lab.waiting import until

P50, MOST = 0.55, 1.0  # seconds that a client may be without an answer
LOOK = 2.0  # seconds after a fault, in which all is over
BEFORE_SPEAKER = 0.5  # seconds between the link's coming up and the start of the speaker


def outages(what: str) -> dict[str, Wish]:
    return {
        "IPv4": Wish(f"{what}: outage, IPv4", p50=P50, most=MOST),
        "IPv6": Wish(f"{what}: outage, IPv6", p50=P50, most=MOST),
    }


def waits(what: str) -> dict[str, Wish]:
    return {
        "known": Wish(f"{what}: client that knows the address waits", p50=P50, most=MOST),
        "asks": Wish(f"{what}: client that asks the LAN waits", p50=P50, most=MOST),
    }


def failed(probers: Iterable[Prober], since: float, until: float = float("inf")) -> int:
    """How many connections that began in a time failed."""
    return sum(
        not item.ok for prober in probers for item in prober.attempts(since) if item.at < until
    )


def by_family(probers: list[Prober], fault: float) -> dict[str, float]:
    """The outage that each family's client saw."""
    return {
        family: outage(prober.attempts(), fault)
        for family, prober in zip(("IPv4", "IPv6"), probers, strict=True)
    }


def waited(probers: Iterable[Prober], fault: float) -> float:
    """The longest wait of any of these clients."""
    return max(longest_wait(prober.attempts(), fault) for prober in probers)


def contested(scene: Scene, capture: Capture, since: float) -> float:
    """The longer of the two addresses' times with two answerers."""
    return max(capture.contested(address, since) for address in scene.addresses)


# --- the node -------------------------------------------------------------------------------------


def node_killed(scene: Scene, _: int) -> Values:
    """Power off; then power on, with the speaker half a second after the link."""
    dead = scene.owner()
    scene.leave_out(dead)
    with scene.clients() as probers, scene.lab.sniff_answers() as capture:
        fault = scene.lab.kill_node(dead)
        time.sleep(LOOK)
        found: dict[str, float] = by_family(probers, fault)
        linked = time.monotonic()
        scene.boot(dead)
        time.sleep(BEFORE_SPEAKER)
        began = scene.start_speaker(dead)
        time.sleep(LOOK)
        found["early"] = failed(probers, linked, began)
        found["failed"] = failed(probers, began)
    told = [capture.answerers(address, since=linked) for address in scene.addresses]
    heir = scene.owner()
    found["both"] = contested(scene, capture, fault)
    found["others"] = len({scene.lab.name_of(mac) for macs in told for mac in macs} - {heir})
    scene.endpoints(scene.lab.node_names)
    return found


KILLED = Row(
    "killed",
    outages("owner's node killed")
    | {
        "both": Wish("through death and return: two answer at once", most=0.1),
        "early": Wish("dead node's link is back, no speaker yet: failed connections", COUNT),
        "failed": Wish("dead node's speaker is back: failed connections", COUNT, most=0),
        "others": Wish("dead node is back: nodes that answer besides the heir", COUNT, most=0),
    },
    node_killed,
    seconds=8,
)


@contextlib.contextmanager
def no_api(scene: Scene, hang: bool) -> Iterator[None]:
    scene.lab.api_down(hang)
    try:
        yield
    finally:
        scene.lab.api_up()


def killed_without_api(scene: Scene, number: int) -> Values:
    """The API server hangs in every other run, and is gone in the others."""
    dead = scene.owner()
    scene.leave_out(dead)
    with scene.clients() as probers, no_api(scene, hang=number % 2 == 0):
        time.sleep(1.0)
        fault = scene.lab.kill_node(dead)
        time.sleep(LOOK)
        found = by_family(probers, fault)
    scene.boot(dead)
    scene.start_speaker(dead)
    until(lambda: scene.programs.leader(), "somebody leads")
    scene.owner()
    scene.endpoints(scene.lab.node_names)
    return found


WITHOUT_API = Row(
    "no-api",
    outages("owner's node killed while the API server is away"),
    killed_without_api,
    seconds=9,
)


# --- its speaker, its link ------------------------------------------------------------------------


def speaker_killed(scene: Scene, _: int) -> Values:
    """SIGKILL; the node goes on forwarding for those that know it as the owner."""
    owner = scene.owner()
    with scene.clients() as known, scene.clients(fresh=True) as asking:
        fault = time.monotonic()
        scene.running[owner].kill()
        time.sleep(LOOK)
        found = {"known": waited(known, fault), "asks": waited(asking, fault)}
    scene.start_speaker(owner)
    return found


CRASHED = Row("crashed", waits("owner's speaker killed, node alive"), speaker_killed, seconds=5)


def link_cut(scene: Scene, _: int) -> Values:
    """The cable is pulled and put back; no program ends."""
    owner = scene.owner()
    scene.leave_out(owner)
    with scene.clients() as probers, scene.lab.sniff_answers() as capture:
        fault = scene.lab.cut(owner)
        time.sleep(LOOK)
        found: dict[str, float] = by_family(probers, fault)
        joined = scene.lab.join(owner)
        time.sleep(LOOK)
        found["failed"] = failed(probers, joined)
    found["both"] = contested(scene, capture, fault)
    scene.owner()
    scene.endpoints(scene.lab.node_names)
    return found


CUT = Row(
    "cut",
    outages("owner's link cut")
    | {
        "both": Wish("link cut and put back: two answer at once", most=0.1),
        "failed": Wish("link put back: failed connections", COUNT, most=0),
    },
    link_cut,
    seconds=7,
)

ROWS = (KILLED, CRASHED, CUT, WITHOUT_API)
