"""Rows in which one node owns 5,000 addresses and dies: how long until the last one is announced.

No controller runs: slices are written as it would write them, by its own packing. Somebody at the
switch goes on asking for all of them in random order. Times are the sniffer's.
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import msgspec

from bellmetal.addresses import IPAddress
from bellmetal.intents import Announcement, Intents, NodeSet, rank
from bellmetal.packing import pack
from bench.figures import percentile
from bench.rows import Row, Values
from bench.table import COUNT, MILLISECONDS, SECONDS, Wish
from lab.asker import Asker
from lab.bare import Bare
from lab.capture import TALK, Capture, Frame
from lab.errors import LabError
from lab.programs import NAMESPACE, Programs
from lab.scene import Speakers
from lab.waiting import until

ADDRESSES = 5000
LAST = 3.0  # seconds until the last first announcement
REPEATS = 5.0  # seconds for which announcements are repeated
LOOK = 6.0  # seconds of looking after the death
ASK = 0.002  # seconds between two questions
PATIENCE = 0.5  # seconds within which an announced address should be answered for
URL = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/announcementslices"


class Crowd(Speakers):
    """Three nodes with speakers, and no controller but this."""

    options: ClassVar[Mapping[str, Any]] = {
        "clients": 0,
        "kube_proxy": False,
        "controller_manager": False,
    }

    def __init__(self, lab: Bare) -> None:
        super().__init__(lab, Programs(lab))
        nodes = {name: lab.node(name).address for name in lab.node_names}
        self._all = NodeSet("all", nodes)
        self._term = 0
        self._write([])
        self.start()

    def addresses(self, family: int) -> list[IPAddress]:
        """So many of a family, out of the hosts' way."""
        first = self.lab.address(200, 0) if family == 4 else self.lab.address6(0xA000)
        start = ipaddress.ip_address(first)
        return [start + number for number in range(ADDRESSES)]

    def order(self, owner: str, addresses: Iterable[IPAddress]) -> None:
        """Names the owner of these addresses, in a higher term, and takes back all others."""
        self._term += 1
        self._write([self._announcement(address, owner) for address in addresses])

    def _announcement(self, address: IPAddress, owner: str) -> Announcement:
        ranked = sorted(self.others(owner), key=partial(rank, address), reverse=True)
        return Announcement(address, self._term, owner, self._all.name, tuple(ranked[:2]))

    def _write(self, announcements: list[Announcement]) -> None:
        for item in pack(Intents(tuple(announcements), (self._all,)), {}).write:
            path = f"{URL}/{item.metadata.name}?fieldManager=bench&force=true"
            body = msgspec.to_builtins(item)
            self.lab.rest.request("PATCH", path, body, "application/apply-patch+yaml")


# --- reading what was sniffed ---------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One frame about an address: a question, an answer to it, or an announcement."""

    at: float
    address: str
    mac: str
    kind: str  # "asked", "answered", "announced"


def seen(capture: Capture) -> list[Seen]:
    """All frames about addresses, in order."""
    found = []
    for arp in capture.arps():
        if arp.gratuitous:
            found.append(Seen(arp.at, arp.sender, arp.sender_mac, "announced"))
        elif arp.reply:
            found.append(Seen(arp.at, arp.sender, arp.sender_mac, "answered"))
        else:
            found.append(Seen(arp.at, arp.target, arp.sender_mac, "asked"))
    for said in capture.advertisements():
        kind = "answered" if said.solicited else "announced"
        found.append(Seen(said.at, said.target, said.source_mac, kind))
    found += [asked for frame in capture.frames() if (asked := _solicitation(frame))]
    return sorted(found, key=lambda item: item.at)


def _solicitation(frame: Frame) -> Seen | None:
    """RFC 4861, section 4.3."""
    data = frame.data
    if len(data) < 78 or data[12:14] != b"\x86\xdd" or (data[20], data[54]) != (58, 135):
        return None
    return Seen(frame.at, str(ipaddress.IPv6Address(data[62:78])), frame.source, "asked")


def first_announced(frames: Iterable[Seen], since: float, without: str) -> dict[str, float]:
    """When each address was first announced by anybody but one MAC."""
    found: dict[str, float] = {}
    for item in frames:
        if item.kind == "announced" and item.at >= since and item.mac != without:
            found.setdefault(item.address, item.at)
    return found


def answer_times(frames: Iterable[Seen], first: dict[str, float]) -> list[float]:
    """How long each question waited that was asked for an address once it was announced.

    Infinite where no answer came within PATIENCE; questions of the last moments are left out.
    """
    items = list(frames)
    waiting: dict[str, list[float]] = {}
    times = []
    for item in items:
        if item.kind == "asked" and item.at >= first.get(item.address, float("inf")):
            waiting.setdefault(item.address, []).append(item.at)
        elif item.kind == "answered":
            times += [item.at - asked for asked in waiting.pop(item.address, [])]
    end = items[-1].at - PATIENCE
    lost = [asked for left in waiting.values() for asked in left if asked < end]
    return times + [float("inf")] * len(lost)


# --- one run --------------------------------------------------------------------------------------


def give_all(crowd: Crowd, owner: str, addresses: list[IPAddress]) -> tuple[float, int]:
    """Names a node owner of all, and lets it announce them until it is quiet.

    Seconds from the last slice to the last first announcement, and how many addresses others
    announced after it had: without a fault nobody should take any.
    """
    names, mac = {str(address) for address in addresses}, crowd.lab.node(owner).mac

    def taken(capture: Capture) -> bool:
        return names <= {item.address for item in seen(capture) if item.mac == mac}

    with crowd.lab.capture("lan", TALK) as capture:
        began = time.monotonic()
        crowd.order(owner, addresses)
        written = time.monotonic()
        until(partial(taken, capture), f"{owner} announces all", 30, every=0.5)
        time.sleep(REPEATS)
    told = [item for item in seen(capture) if item.kind == "announced" and item.at >= began]
    first: dict[str, float] = {}
    for item in told:
        if item.mac == mac:
            first.setdefault(item.address, item.at)
    stolen = {t.address for t in told if t.mac != mac and t.at > first.get(t.address, t.at)}
    return max(0.0, max(first.values()) - written), len(stolen)


def owner_of_many_dies(family: int) -> Callable[[Crowd, int], Values]:
    """The rows' run for an address family."""

    def once(crowd: Crowd, number: int) -> Values:
        lab, addresses = crowd.lab, crowd.addresses(family)
        owner = lab.node_names[number % len(lab.node_names)]
        mac = lab.node(owner).mac
        moved, stolen = give_all(crowd, owner, addresses)
        asked = [str(address) for address in addresses]
        names = {*asked}
        random.Random(number).shuffle(asked)
        with lab.capture("lan", TALK) as capture, Asker(lab, asked, ASK):
            time.sleep(0.5)
            fault = lab.kill_node(owner)
            time.sleep(LOOK)
        if capture.dropped:
            raise LabError(f"the sniffer missed {capture.dropped} frames")
        frames = seen(capture)
        first = first_announced(frames, fault, mac)
        times = answer_times([item for item in frames if item.at >= fault], first)
        lab.boot_node(owner)
        crowd.start_speaker(owner)
        return {
            "ordered": moved,
            "stolen": stolen,
            "last": max(first.values()) - fault if names <= first.keys() else float("inf"),
            "half": percentile(list(first.values()), 0.5) - fault if first else float("inf"),
            "missing": len(names - first.keys()),
            "answer": percentile(times, 0.99) if times else float("inf"),
            "unanswered": sum(item > PATIENCE for item in times),
        }

    return once


def wishes(what: str) -> dict[str, Wish]:
    return {
        "ordered": Wish(f"{what} given to one node: the last is announced after", SECONDS),
        "stolen": Wish(f"{what} of one node that lives: taken by others", COUNT, most=0),
        "last": Wish(f"{what}, their node killed: the last is announced", SECONDS, most=LAST),
        "half": Wish(f"{what}, their node killed: half are announced", SECONDS),
        "missing": Wish(f"{what}: not announced within {LOOK:.0f} s", COUNT, most=0),
        "answer": Wish(f"{what}: 99 % of questions meanwhile are answered within", MILLISECONDS),
        "unanswered": Wish(f"{what}: questions unanswered for {PATIENCE} s", COUNT, most=0),
    }


ROWS = (
    Row("many", wishes("5,000 IPv4"), owner_of_many_dies(4), 0.15, 25, stage=Crowd),
    Row("many6", wishes("5,000 IPv6"), owner_of_many_dies(6), 0.15, 25, stage=Crowd),
)
