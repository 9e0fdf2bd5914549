"""The kernel's neighbour table of the network namespace that this process is in.

A netlink message by hand: a process of `ip` for each would cost milliseconds.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct

_DELNEIGH, _REQUEST, _ACK, _ERROR = 29, 0x1, 0x4, 0x2  # rtnetlink(7), netlink(7)
_DST = 1  # NDA_DST
_HEAD = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ENTRY = struct.Struct("=BxxxiHBB")  # family, interface, state, flags, type
_ATTRIBUTE = struct.Struct("=HH")  # length, type


class Neighbours:
    """Forgets what the kernel knows of an address on one interface."""

    def __init__(self, interface: str = "eth0") -> None:
        self._index = socket.if_nametoindex(interface)
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def forget(self, address: str) -> None:
        """The next packet to that address asks the LAN anew. OSError if the kernel refuses."""
        self._kernel.send(forget_message(address, self._index))
        answer = self._kernel.recv(4096)
        kind = _HEAD.unpack_from(answer)[1]
        code = -struct.unpack_from("=i", answer, _HEAD.size)[0] if kind == _ERROR else 0
        if code not in (0, errno.ENOENT):
            raise OSError(code, f"neighbour {address}: {os.strerror(code)}")


def forget_message(address: str, interface: int) -> bytes:
    """RTM_DELNEIGH for that address on an interface, to be acknowledged."""
    packed = ipaddress.ip_address(address).packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    body = _ENTRY.pack(family, interface, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _DST) + packed
    return _HEAD.pack(_HEAD.size + len(body), _DELNEIGH, _REQUEST | _ACK, 1, 0) + body
