"""Whether this node reaches an address: by TCP, and by the kernel's routes. The acts themselves.

May live here: what needs no announcer. May not: who may ask for it (`looking.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno

from bellmetal.node_files import NodeFiles
from bellmetal.sights import Look, Outcome, Sight, seen
from bellmetal.sockets import link_name

LOCAL = 2  # linux/rtnetlink.h: RTN_LOCAL
FILTERING = {0: "off", 1: "strict", 2: "loose"}  # rp_filter
_OUT_OF_REACH = frozenset([errno.EHOSTUNREACH, errno.ENETUNREACH])
# What routes say that drop what they are for: blackhole, prohibit.
_DROPPING = {errno.EINVAL: "blackhole", errno.EACCES: "prohibit"}


async def connect(look: Look) -> Sight:
    """Opens a TCP connection to the look's address and port, and closes it: nothing is sent."""
    loop = asyncio.get_running_loop()
    host, began = str(look.address), loop.time()
    try:
        async with asyncio.timeout(look.seconds):
            _, writer = await asyncio.open_connection(host, look.port)
    except OSError as error:  # TimeoutError is one
        return _not_connected(look, error, loop.time() - began)
    took = loop.time() - began
    writer.close()
    with contextlib.suppress(OSError):  # the other side may be done sooner
        await writer.wait_closed()
    return seen(look, Outcome.CONNECTED, f"{_where(look)} takes connections, {_ms(took)}")


def _not_connected(look: Look, error: OSError, took: float) -> Sight:
    code = error.errno or errno.ETIMEDOUT  # our own timeout has none
    name, where = errno.errorcode.get(code, str(code)), _where(look)
    if code == errno.ECONNREFUSED:
        message = f"{where} refuses connections ({name}, {_ms(took)}): nobody listens there"
        return seen(look, Outcome.REFUSED, message)
    if code == errno.ETIMEDOUT:
        message = f"{where} does not answer ({name}, {_ms(took)})"
        return seen(look, Outcome.TIMEOUT, message)
    if code in _OUT_OF_REACH:
        message = f"{where} cannot be reached from this node ({name}, {_ms(took)})"
        return seen(look, Outcome.UNREACHABLE, message)
    message = f"{where} cannot be connected to ({name}, {_ms(took)})"
    return seen(look, Outcome.FAILED, message)


def _where(look: Look) -> str:
    host = f"[{look.address}]" if look.address.version == 6 else str(look.address)
    return f"{host}:{look.port}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


async def route(look: Look, files: NodeFiles) -> Sight:
    """Which way the kernel would send a packet of this node's to the address."""
    # here, not above: a speaker that is never asked does not need it
    from pyroute2 import AsyncIPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        async with asyncio.timeout(look.seconds), AsyncIPRoute() as kernel:
            (way,) = await kernel.route("get", dst=str(look.address))
    except NetlinkError as error:
        return _no_route(look, error.code)
    except OSError as error:  # TimeoutError is one
        why = error.strerror or "no answer in time"
        return seen(look, Outcome.FAILED, f"the kernel could not be asked for the route: {why}")
    name = link_name(way.get("oif") or 0)
    if way["type"] == LOCAL:
        message = f"{look.address} is an address of this node itself"
        return seen(look, Outcome.LOCAL, message, interface=name)
    return seen(look, Outcome.ROUTED, _described(look, name, way, files), interface=name)


def _described(look: Look, name: str, way: dict[str, object], files: NodeFiles) -> str:
    gateway, source = way.get("gateway"), way.get("prefsrc")
    by = f" by {gateway}" if gateway else ""
    by += f", from {source}" if source else ""
    text = f"{look.address} is reached on {name}{by}"
    link = files.link(name)
    if link is None or look.address.version == 6:
        return text  # IPv6 has no such setting
    return f"{text}; rp_filter is {link.rp_filter} there ({FILTERING.get(link.rp_filter, '?')})"


def _no_route(look: Look, code: int) -> Sight:
    name = errno.errorcode.get(code, str(code))
    if code in _DROPPING:
        message = f"a route of this node ({_DROPPING[code]}) drops what is for {look.address}"
        return seen(look, Outcome.DROPPED, f"{message} ({name})")
    message = f"this node has no route to {look.address} ({name})"
    return seen(look, Outcome.UNREACHABLE, message)
