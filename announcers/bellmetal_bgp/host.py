"""What this node's network looks like when a session is opened, by netlink: asked, not watched."""

from __future__ import annotations

import asyncio
import ipaddress
import zlib
from asyncio import AbstractEventLoop, Task
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from weakref import WeakKeyDictionary

from pyroute2 import AsyncIPRoute

from bellmetal.addresses import Family as Version
from bellmetal.addresses import IPAddress, IPNetwork
from bellmetal_bgp.effects import Place

TENTATIVE, SECONDARY = 0x40, 0x01  # linux/if_addr.h
RT_TABLE_MAIN = 254  # linux/rtnetlink.h


@dataclass(frozen=True, slots=True)
class Port:
    """An interface with its addresses, the primary ones first; ``mac`` may be empty.

    ``networks``: the subnets that it is in, link-local ones left out.
    """

    name: str
    index: int
    mac: bytes
    ipv4: tuple[IPv4Address, ...] = ()
    ipv6: tuple[IPv6Address, ...] = ()
    link_local: IPv6Address | None = None
    networks: tuple[IPNetwork, ...] = ()


Ports = tuple[Port, ...]


async def ports() -> Ports:
    """All interfaces, as they are after the call. Raises OSError and pyroute2's NetlinkError."""
    loop = asyncio.get_running_loop()
    questions = _questions.setdefault(loop, _Questions())
    return await asyncio.shield(questions.ask())


class _Questions:
    """Who asks while the kernel is being asked shares the next answer with all who do.

    On a node with a hundred pods an answer costs ten milliseconds, and when a speaker starts all
    its peers want one.
    """

    def __init__(self) -> None:
        self._running: Task[Ports] | None = None
        self._next: Task[Ports] | None = None

    def ask(self) -> Task[Ports]:
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._after(self._running))
            self._next.add_done_callback(_taken_note_of)
        return self._next

    async def _after(self, other: Task[Ports] | None) -> Ports:
        if other is not None:
            await asyncio.wait([other])
        self._running, self._next = self._next, None
        return await _dump()


_questions: WeakKeyDictionary[AbstractEventLoop, _Questions] = WeakKeyDictionary()


def _taken_note_of(task: Task[Ports]) -> None:
    """Who asked may have been stopped meanwhile, and nobody is left to hear of a failure."""
    if not task.cancelled():
        task.exception()


async def _dump() -> Ports:
    async with AsyncIPRoute() as netlink:
        links = [link async for link in await netlink.link("dump")]
        addresses = [item async for item in await netlink.addr("dump")]
    return tuple(_port(link, addresses) for link in links)


def _port(link: Any, addresses: Iterable[Any]) -> Port:
    mine = [item for item in addresses if item["index"] == link["index"]]
    mine = [item for item in mine if not (item.get("flags") or 0) & TENTATIVE]
    mine.sort(key=lambda item: (item.get("flags") or 0) & SECONDARY)
    found = [ipaddress.ip_address(item.get("local") or item.get("address")) for item in mine]
    networks = [
        ipaddress.ip_network(f"{address}/{item['prefixlen']}", strict=False)
        for address, item in zip(found, mine, strict=True)
        if not address.is_link_local
    ]
    mac = (link.get("address") or "").replace(":", "")
    return Port(
        name=link.get("ifname"),
        index=link["index"],
        mac=bytes.fromhex(mac) if len(mac) == 12 else b"",
        ipv4=tuple(a for a in found if isinstance(a, IPv4Address) and not a.is_loopback),
        ipv6=tuple(
            a
            for a in found
            if isinstance(a, IPv6Address) and not (a.is_link_local or a.is_loopback)
        ),
        link_local=next((a for a in found if isinstance(a, IPv6Address) and a.is_link_local), None),
        networks=tuple(networks),
    )


async def gateway(version: Version) -> tuple[IPAddress, str] | None:
    """The default gateway and the interface to it; None if there is no default route."""
    family = 2 if version is Version.IPV4 else 10  # AF_INET, AF_INET6
    async with AsyncIPRoute() as netlink:
        routes = [r async for r in await netlink.route("dump", family=family, table=RT_TABLE_MAIN)]
        links = {link["index"]: link.get("ifname") async for link in await netlink.link("dump")}
    found = [r for r in routes if not r["dst_len"] and r.get("gateway")]
    if not found:
        return None
    best = min(found, key=lambda route: route.get("priority") or 0)
    return ipaddress.ip_address(best.get("gateway")), links.get(best.get("oif"), "")


def place(local: IPAddress, remote: IPAddress, known: Iterable[Port], node: str) -> Place:
    """What a connection between two addresses offers as router ID and next hops.

    The router ID is an IPv4 address of the interface, or made of the node's name as MetalLB's is.
    """
    port = next((item for item in known if _has(item, local)), Port("", 0, b""))
    ipv4 = local if isinstance(local, IPv4Address) else next(iter(port.ipv4), None)
    if isinstance(local, IPv6Address) and not local.is_link_local:
        ipv6: tuple[IPv6Address, ...] = (local,)
    elif isinstance(local, IPv6Address):
        ipv6 = (*port.ipv6[:1], local)
    else:
        ipv6 = port.ipv6[:1]
    return Place(
        local=str(local),
        remote=str(remote),
        router_id=ipv4 or hashed(node),
        ipv4=ipv4,
        ipv6=ipv6,
        unnumbered=remote.is_link_local,
        direct=remote.is_link_local or any(remote in network for network in port.networks),
        interface=port.name,
    )


def _has(port: Port, address: IPAddress) -> bool:
    return address in port.ipv4 or address in port.ipv6 or address == port.link_local


def address_of(text: str) -> IPAddress:
    """An address out of what a socket calls it, which may have a scope; IPv4 in IPv6 is IPv4."""
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def hashed(node: str) -> IPv4Address:
    """A router ID for a node without IPv4: the CRC of its name, octets in reverse, never zero."""
    return IPv4Address((zlib.crc32(node.encode()) or 1).to_bytes(4, "little"))
