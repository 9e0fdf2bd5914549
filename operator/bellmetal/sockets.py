"""Sockets of the core. The only file of it that knows them; who talks HTTP has aiohttp."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

SIOCGIFCONF = 0x8912  # linux/sockios.h
ROW, NAME = 40, 16  # bytes of a struct ifreq, and of the name that it begins with


def count_addresses(link: str) -> int:
    """How many IPv4 addresses an interface of this node has; raises OSError.

    By one call of the kernel for all there are: with IPVS there may be thousands.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        size = _list(asked, 0, 0) + 64 * ROW  # some may come meanwhile
        rows = array.array("B", bytes(size))
        filled = _list(asked, size, rows.buffer_info()[0])
    whole, wanted = rows.tobytes()[:filled], link.encode()
    names = (whole[at : at + NAME].partition(b"\0")[0] for at in range(0, filled, ROW))
    return sum(name == wanted for name in names)


def _list(asked: socket.socket, size: int, where: int) -> int:
    """Fills memory with rows; how many bytes it took, or (nowhere) would take."""
    told = fcntl.ioctl(asked, SIOCGIFCONF, struct.pack("iL", size, where))
    filled: int = struct.unpack("iL", told)[0]
    return filled


def link_name(index: int) -> str:
    """The name of an interface of this node; empty if it is gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""
