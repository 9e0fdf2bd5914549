"""The node's network interfaces, by netlink: which there are, and being told of every change."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import (
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV4_ROUTE,
    RTMGRP_IPV6_IFADDR,
    RTMGRP_IPV6_ROUTE,
    RTMGRP_LINK,
)

from bellmetal.facts import Interface

log = logging.getLogger(__name__)

ETHERNET = 1  # ARPHRD_ETHER
UP, BROADCAST, NO_ARP, LOWER_UP = 0x1, 0x2, 0x80, 0x10000  # linux/if.h
MAC_LENGTH = 6
RT_TABLE_MAIN = 254  # linux/rtnetlink.h
GROUPS = (
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE
)
SETTLE = 0.005  # seconds to wait for the rest of a burst of events
RETRY = 1.0


class Watcher:
    """Calls ``changed(interfaces)`` at the start and whenever the usable interfaces change."""

    def __init__(
        self,
        changed: Callable[[tuple[Interface, ...]], None],
        exclude: re.Pattern[str] | None = None,
    ) -> None:
        self._changed, self._exclude = changed, exclude
        self._known: tuple[Interface, ...] | None = None

    async def run(self) -> None:
        """For ever; a broken netlink socket is opened again."""
        while True:
            try:
                await self._follow()
            except (OSError, NetlinkError) as error:
                log.warning("netlink: %s; trying again", error)
            await asyncio.sleep(RETRY)

    async def _follow(self) -> None:
        async with AsyncIPRoute() as events, AsyncIPRoute() as queries:
            await events.bind(groups=GROUPS)
            await self._look(queries)
            while True:
                told = [matters(event) async for event in events.get()]
                if any(told):
                    await asyncio.sleep(SETTLE)
                    await self._look(queries)

    async def _look(self, queries: Any) -> None:
        links = [link async for link in await queries.link("dump")]
        addresses = [address async for address in await queries.addr("dump")]
        routes = [route async for route in await queries.route("dump", table=RT_TABLE_MAIN)]
        found = usable(links, addresses, routes, self._exclude)
        if found != self._known:
            self._known = found
            self._changed(found)


def matters(event: Any) -> bool:
    """Whether a netlink event is worth a look: of the many routes only the default ones."""
    return event["event"] not in ("RTM_NEWROUTE", "RTM_DELROUTE") or not event["dst_len"]


def usable(
    links: list[Any], addresses: list[Any], routes: list[Any], exclude: re.Pattern[str] | None
) -> tuple[Interface, ...]:
    """The interfaces that can announce: Ethernet, up, with carrier, no member of a bridge or bond,
    ARP not switched off, not excluded by name."""
    subnets: dict[int, list[str]] = {}
    for item in addresses:
        address = item.get("local") or item.get("address")
        subnets.setdefault(item["index"], []).append(f"{address}/{item['prefixlen']}")
    gateways: dict[int, set[str]] = {}
    for route in routes:
        if not route["dst_len"] and route.get("gateway"):
            gateways.setdefault(route.get("oif"), set()).add(route.get("gateway"))
    found = []
    for link in links:
        name, flags = link.get("ifname"), link["flags"]
        if exclude is not None and exclude.search(name):
            continue
        if link["ifi_type"] != ETHERNET or link.get("master") or flags & NO_ARP:
            continue
        if not (flags & UP and flags & LOWER_UP and flags & BROADCAST):
            continue
        mac = bytes.fromhex((link.get("address") or "").replace(":", ""))
        if len(mac) != MAC_LENGTH:
            continue
        where = tuple(sorted(subnets.get(link["index"], [])))
        ways = tuple(sorted(gateways.get(link["index"], ())))
        found.append(Interface(name, link["index"], mac, True, where, ways))
    return tuple(sorted(found, key=lambda item: item.name))
