"""A namespace's kernel routes: as they are, and each change with the moment at which it was told.

Times are `time.monotonic()`'s, taken when netlink told of the change: a few tens of microseconds
after it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from lab import sockets
from lab.host import run

ROUTING = {"bgp", "bird", "zebra"}  # rtm_protocol, as `ip` names it
NETLINK_ROUTE, GROUPS = 0, 0x40 | 0x400 | 0x80000000  # IPv4 and IPv6 routes, next hop objects
RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNEXTHOP, RTM_DELNEXTHOP = 24, 25, 104, 105
RTA_DST = 1
_WORDS = {
    RTM_NEWROUTE: "new",
    RTM_DELROUTE: "gone",
    RTM_NEWNEXTHOP: "next hop new",
    RTM_DELNEXTHOP: "next hop gone",
}
_MESSAGE = struct.Struct("=IHHII")
ROOM = 64 << 20  # of the socket: tens of thousands of routes at once


def routes(namespace: str, v6: bool) -> Mapping[str, frozenset[str]]:
    """Routes of routing protocols: prefix → the addresses of all its next hops."""
    command = ["ip", "-n", namespace, "-6" if v6 else "-4", "-j", "route", "show"]
    rows = json.loads(run(command).stdout or "[]")
    found: dict[str, frozenset[str]] = {}
    for row in rows:
        if row.get("protocol") in ROUTING:
            prefix = str(ipaddress.ip_network(row["dst"]))
            ways = {_gateway(hop) for hop in row.get("nexthops", [row])}
            found[prefix] = found.get(prefix, frozenset()) | ways
    return found


def _gateway(hop: Mapping[str, object]) -> str:
    via = hop.get("via")
    if isinstance(via, dict):  # an IPv4 route by way of an IPv6 next hop
        return str(via["host"])
    return str(hop.get("gateway", hop.get("dev", "")))


@dataclass(frozen=True)
class Change:
    """One change: when it was told, `new`, `gone`, or `next hop …` of an object; the prefix."""

    at: float
    what: str
    prefix: str


class Watch:
    """Collects what netlink tells of routes in a namespace, in a thread of its own."""

    def __init__(self, namespace: str) -> None:
        self._socket = sockets.open_in(namespace, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, ROOM)  # SO_RCVBUFFORCE
        self._socket.bind((0, GROUPS))
        self._told: list[tuple[float, bytes]] = []
        self._ending, self._end = os.pipe()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it; what was told stays readable."""
        os.close(self._end)
        self._thread.join()
        os.close(self._ending)
        self._socket.close()

    def _collect(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._ending, select.POLLIN | select.POLLHUP)
        while all(number != self._ending for number, _ in poll.poll()):
            data = self._socket.recv(1 << 16)
            self._told.append((time.monotonic(), data))

    def changes(self) -> list[Change]:
        """All changes so far, in order."""
        return [change for at, data in list(self._told) for change in _changes(at, data)]

    def first(self, what: str, prefix: str, since: float = 0.0) -> float | None:
        """When that was first told of a prefix since a moment."""
        told = (c.at for c in self.changes() if (c.what, c.prefix) == (what, prefix))
        return next((at for at in told if at >= since), None)


def _changes(at: float, data: bytes) -> list[Change]:
    found, position = [], 0
    while position + _MESSAGE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, position)
        if length < _MESSAGE.size:
            break
        if kind in _WORDS:
            body = data[position + _MESSAGE.size : position + length]
            prefix = _prefix(body) if kind in (RTM_NEWROUTE, RTM_DELROUTE) else ""
            found.append(Change(at, _WORDS[kind], prefix))
        position += (length + 3) & ~3
    return found


def _prefix(body: bytes) -> str:
    """The destination in a `struct rtmsg` and its attributes (rtnetlink(7))."""
    family, size = body[0], body[1]
    width, position = (16 if family == socket.AF_INET6 else 4), 12
    address = bytes(width)
    while position + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, position)
        if length < 4:
            break
        if kind == RTA_DST:
            address = body[position + 4 : position + 4 + width]
        position += (length + 3) & ~3
    return f"{ipaddress.ip_address(address)}/{size}"
