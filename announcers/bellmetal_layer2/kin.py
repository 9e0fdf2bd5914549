"""Which hardware addresses belong to the cluster. What is learned, no protocol.

Learned from the members' own beacons: what is not signed teaches nothing. A beacon that somebody
recorded and sends again from another hardware address teaches nothing either, unless it comes
within a few beacons of the true one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bellmetal_layer2.beacon import Beacon

RECENT = 2.0  # seconds after a beacon for which its sender is known to be on that LAN
LATE = 2  # beacons by which one may come late: by another interface, or overtaken
FORGIVEN = 5.0  # seconds after which the numbers of a node may start anew
MOST = 8  # hardware addresses of one node on one LAN
MOST_MEMBERS = 2048  # who lies under many names leaves the one unheard for longest forgotten


@dataclass(slots=True)
class Member:
    """One node as its beacons show it; ``macs``: by our interface, and when heard last."""

    boot: int = 0
    counter: int = 0
    at: float = float("-inf")
    macs: dict[str, dict[bytes, float]] = field(default_factory=dict)


class Kin:
    """Times are seconds of one monotonic clock."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._own: Mapping[str, bytes] = {}
        self._members: dict[str, Member] = {}
        self._names: dict[bytes, str] = {}

    def ours(self, macs: Mapping[str, bytes]) -> None:
        """This node's interfaces. One that is gone stays known: it may answer once more."""
        self._own = macs
        self._names |= dict.fromkeys(macs.values(), self._me)

    def heard(self, beacon: Beacon, interface: str, mac: bytes, now: float) -> None:
        """A member's beacon came in on an interface from that hardware address."""
        if beacon.node == self._me:
            return
        member = self._members.get(beacon.node) or self._new(beacon.node)
        if (beacon.boot, beacon.counter + LATE) < (member.boot, member.counter):
            if now - member.at < FORGIVEN:
                return
            member.boot, member.counter = beacon.boot, beacon.counter
        member.boot, member.counter = max(
            (member.boot, member.counter), (beacon.boot, beacon.counter)
        )
        known = member.macs.setdefault(interface, {})
        if mac not in known:
            if len(known) >= MOST:
                oldest = min(known, key=known.__getitem__)
                del known[oldest]
                self._names.pop(oldest, None)
            self._names.setdefault(mac, beacon.node)
        known[mac] = member.at = now

    def _new(self, name: str) -> Member:
        if len(self._members) >= MOST_MEMBERS:
            oldest = min(self._members, key=lambda one: self._members[one].at)
            for macs in self._members.pop(oldest).macs.values():
                for mac in macs:
                    if self._names.get(mac) == oldest:
                        del self._names[mac]
        self._members[name] = Member()
        return self._members[name]

    def name_of(self, mac: bytes) -> str:
        """The node that has a hardware address; empty if it is foreign."""
        return self._names.get(mac, "")

    def known(self, names: Iterable[str]) -> bool:
        """Whether all these nodes were heard on some LAN: else a stranger may be one of them."""
        return all(name in self._members for name in names)

    def macs(self, node: str, interface: str, now: float) -> frozenset[bytes]:
        """Where a node's beacons have come from lately, on one of our interfaces."""
        member = self._members.get(node)
        heard = member.macs.get(interface, {}) if member else {}
        return frozenset(mac for mac, at in heard.items() if now - at < RECENT)
