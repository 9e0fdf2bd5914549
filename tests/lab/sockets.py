"""What is done from this process inside another network namespace: sockets, links by ioctl.

A socket belongs to the namespace in which it was made, wherever it is used afterwards. So a test
can ask from a client's namespace without a process there, and a link goes down in microseconds.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFHWADDR, IFF_UP = 0x8913, 0x8914, 0x8927, 0x1
NETNS = Path("/run/netns")

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Call `work` inside the network namespace of that name; its value, or what it raised."""
    values: list[T] = []
    problems: list[OSError] = []

    def there() -> None:  # a thread of its own: setns moves only the calling thread
        try:
            with (NETNS / namespace).open() as handle:
                if _libc.setns(handle.fileno(), CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, f"setns {namespace}: {os.strerror(number)}")
            values.append(work())
        except OSError as problem:
            problems.append(problem)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return values[0]


def open_in(namespace: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A new socket inside the network namespace of that name."""
    return inside(namespace, lambda: socket.socket(family, kind, protocol))


def sysctls(namespace: str, values: Mapping[str, str]) -> None:
    """Set sysctls (`net/ipv4/ip_forward`) of a network namespace."""

    def write() -> None:
        for key, value in values.items():
            Path("/proc/sys", key).write_text(value)

    inside(namespace, write)


def set_link(control: socket.socket, link: str, up: bool) -> None:
    """Set a link up or down, in the namespace of the socket."""
    name = link.encode()
    answer = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", name, 0))
    flags = struct.unpack_from("H", answer, 16)[0]
    flags = flags | IFF_UP if up else flags & ~IFF_UP
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name, flags))


def mac_of(control: socket.socket, link: str) -> str:
    """The hardware address of a link, as `02:00:…`, in the namespace of the socket."""
    answer = fcntl.ioctl(control, SIOCGIFHWADDR, struct.pack("16s16x", link.encode()))
    return answer[18:24].hex(":")
