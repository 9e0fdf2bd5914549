"""Rows in which nodes do not hear each other, or one sleeps: for how long do two answer after it?

Somebody at the switch asks for each address every 5 ms, so whoever answers is seen to answer.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator

from bench.deaths import MOST, P50, contested, failed, waited
from bench.rows import Row, Values
from bench.table import COUNT, Wish
from lab import faults
from lab.capture import Capture, lingered
from lab.scene import WARM, Scene

JOINED = 1.0  # seconds for which two may answer once they can hear each other
SPLIT = (1.5, 4.5)  # seconds that a split lasts: at least, at most
SLEEP = 5.0
AFTER = 2.0  # seconds of looking after a split has ended
_dice = random.Random()

Cut = Callable[[Scene, str], None]


def both(what: str) -> Wish:
    return Wish(f"{what}: two answer after they can hear each other", most=JOINED)


def joined(what: str) -> dict[str, Wish]:
    """Of what is left of a split: see `after`."""
    told = f"{what}: addresses that a client has of another node then"
    return {"joined": both(what), "mistaken": Wish(told, COUNT, most=0)}


def after(scene: Scene, capture: Capture, healed: float) -> dict[str, float]:
    """What is left of the split: who answers, and whom a client that has asked before believes."""
    return {"joined": both_after(scene, capture, healed), "mistaken": mistaken(scene)}


def mistaken(scene: Scene) -> int:
    """Addresses that a client has of another node than the owner."""
    owner, client = scene.lab.node(scene.owner()).mac, scene.lab.client(WARM)
    found = 0
    for address in scene.addresses:
        [entry] = json.loads(client.run(["ip", "-j", "neigh", "show", "to", address]).stdout)
        found += entry["lladdr"] != owner
    return found


def both_after(scene: Scene, capture: Capture, healed: float) -> float:
    """Seconds from the healing to the last answer of anybody but the one that has it then."""
    return max(lingered(capture.said(a, healed), healed) for a in scene.addresses)


@contextlib.contextmanager
def lasting_neighbours(scene: Scene) -> Iterator[None]:
    """Nodes know each other's MACs for good: gossip must not end for want of ARP."""

    def each(action: str, state: str) -> None:
        for node in scene.lab.node_names:
            for other in map(scene.lab.node, scene.others(node)):
                for address in (other.address, other.address6):
                    command = ["ip", "neigh", action, address, "lladdr", other.mac, "dev", "eth0"]
                    scene.lab.node(node).run([*command, *state.split()])

    each("replace", "nud permanent")
    try:
        yield
    finally:
        each("replace", "nud stale")


def split(scene: Scene, cut: Cut) -> tuple[str, float, float, Capture]:
    """Cuts the owner off, for a random time and with a random phase, and joins it again.

    Who that was, when it was cut off and when joined, and what was said from then on.
    """
    owner = scene.owner()
    with scene.asking() as capture:
        time.sleep(_dice.uniform(0.3, 0.8))
        began = time.monotonic()
        cut(scene, owner)
        time.sleep(_dice.uniform(*SPLIT))
        scene.lab.heal()
        healed = time.monotonic()
        time.sleep(AFTER)
    return owner, began, healed, capture


# --- gossip alone, the LAN alone, one way ---------------------------------------------------------


def gossip_alone(scene: Scene, _: int) -> Values:
    """No gossip between the owner and the others: who is heard on the LAN lives."""

    def cut(scene: Scene, owner: str) -> None:
        scene.lab.partition({owner}, scene.others(owner), only=faults.GOSSIP)

    with scene.clients() as known, scene.clients(fresh=True) as asking:
        owner, began, _, capture = split(scene, cut)
        lost = failed([*known, *asking], began)
    told = set().union(*(capture.answerers(a, since=began) for a in scene.addresses))
    return {
        "both": contested(scene, capture, began),
        "others": len({scene.lab.name_of(mac) for mac in told} - {owner}),
        "failed": lost,
    }


def lan_alone(scene: Scene, _: int) -> Values:
    """No ARP, no neighbour discovery, no beacons between the owner and the others; but gossip."""

    def cut(scene: Scene, owner: str) -> None:
        scene.lab.partition({owner}, scene.others(owner), only=faults.NEIGHBOURS)

    with lasting_neighbours(scene), scene.clients():
        _, _, healed, capture = split(scene, cut)
        return after(scene, capture, healed)


def one_way(heard: bool) -> Callable[[Scene, int], Values]:
    """The owner hears the others and they do not hear it, or the other way round (``heard``)."""

    def cut(scene: Scene, owner: str) -> None:
        sides = (scene.others(owner), [owner]) if heard else ([owner], scene.others(owner))
        scene.lab.partition(*sides, oneway=True)

    def once(scene: Scene, _: int) -> Values:
        with scene.clients():
            _, began, healed, capture = split(scene, cut)
            during = max(contested_until(capture, a, began, healed) for a in scene.addresses)
            return {"during": during, **after(scene, capture, healed)}

    return once


def usurper(scene: Scene, _: int) -> Values:
    """A node that owns nothing hears nobody, and is heard: it cannot know that the owner lives."""

    def cut(scene: Scene, owner: str) -> None:
        deaf = scene.others(owner)[0]
        scene.lab.partition([*{*scene.lab.node_names} - {deaf}], [deaf], oneway=True)

    with scene.clients():
        owner, began, healed, capture = split(scene, cut)
        told = set().union(*(capture.answerers(a, since=began) for a in scene.addresses))
        moved = int(scene.owner() != owner)
        return {"answered": len(told), "moved": moved, **after(scene, capture, healed)}


def contested_until(capture: Capture, address: str, since: float, end: float) -> float:
    """Seconds from the first word of a second node to the last word of the first one, in a time."""
    words = [word for word in capture.said(address, since) if word.at < end]
    if not words:
        return 0.0
    second = [word.at for word in words if word.mac != words[0].mac]
    if not second:
        return 0.0
    return max([0.0, *(word.at - second[0] for word in words if word.mac == words[0].mac)])


# --- everything -----------------------------------------------------------------------------------


def everything(scene: Scene, _: int) -> Values:
    """The owner on one side; clients, the API and the other two nodes on the other one."""

    def cut(scene: Scene, owner: str) -> None:
        scene.lab.partition({owner}, {*scene.lab.hosts} - {owner})

    scene.leave_out(scene.owner())
    with scene.clients() as known:
        _, began, healed, capture = split(scene, cut)
        found = {
            "outage": waited(known, began),
            **after(scene, capture, healed),
            "failed": failed(known, healed),
        }
    scene.owner()
    scene.endpoints(scene.lab.node_names)
    return found


# --- a sleeper ------------------------------------------------------------------------------------


def sleeper(scene: Scene, _: int) -> Values:
    """SIGSTOP for five seconds: the speaker wakes up with questions and beacons in its sockets."""
    owner = scene.owner()
    speaker, mac = scene.running[owner], scene.lab.node(owner).mac
    with scene.clients(fresh=True) as asking, scene.asking() as capture:
        time.sleep(_dice.uniform(0.3, 0.8))
        fault = time.monotonic()
        speaker.pause()
        time.sleep(SLEEP)
        woke = time.monotonic()
        speaker.resume()
        time.sleep(AFTER)
        waiting = waited(asking, fault)
    words = [capture.said(address, woke) for address in scene.addresses]
    return {
        "waits": waiting,
        "answers": max(sum(word.mac == mac for word in said) for said in words),
        "joined": both_after(scene, capture, woke),
    }


ROWS = (
    Row(
        "split",
        {
            "outage": Wish("owner cut off from all: outage", p50=P50, most=MOST),
            **joined("owner cut off from all"),
            "failed": Wish("after it is joined again: failed connections", COUNT),
        },
        everything,
        share=0.5,
        seconds=10,
    ),
    Row(
        "gossip",
        {
            "both": Wish("gossip alone cut: two answer at once", most=0),
            "others": Wish("gossip alone cut: nodes that answer besides the owner", COUNT, most=0),
            "failed": Wish("gossip alone cut: failed connections", COUNT, most=0),
        },
        gossip_alone,
        share=0.25,
        seconds=9,
    ),
    Row("lan", joined("LAN alone cut, gossip goes on"), lan_alone, 0.25, 8),
    Row(
        "unheard",
        {
            "during": Wish("others do not hear the owner: two answer meanwhile", most=JOINED),
            **joined("others did not hear the owner"),
        },
        one_way(heard=False),
        share=0.25,
        seconds=7,
    ),
    Row(
        "deaf",
        {
            "during": Wish("owner does not hear the others: two answer meanwhile", most=JOINED),
            **joined("owner did not hear the others"),
        },
        one_way(heard=True),
        share=0.25,
        seconds=7,
    ),
    Row(
        "usurper",
        {
            "answered": Wish("another node does not hear the owner: nodes that answer", COUNT),
            "moved": Wish("the same: the owner is another one then", COUNT, most=0),
            **joined("another node did not hear the owner"),
        },
        usurper,
        share=0.25,
        seconds=7,
    ),
    Row(
        "sleeper",
        {
            "waits": Wish("owner's speaker stopped (SIGSTOP): client that asks waits", most=MOST),
            "answers": Wish("sleeper wakes up: its answers for one address", COUNT, most=1),
            "joined": both("sleeper wakes up"),
        },
        sleeper,
        share=0.25,
        seconds=9,
    ),
)
