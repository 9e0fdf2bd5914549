"""Packet sockets (AF_PACKET) and multicast groups. The only file here that knows sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import ipaddress
import logging
import socket
import struct
from collections.abc import Callable, Sequence

from bellmetal_layer2.filters import Instruction
from bellmetal_layer2.ipv6 import HOP_LIMIT

log = logging.getLogger(__name__)

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
FRAMES_KIND, FRAMES_INTERFACE = 0xFFFFF004, 0xFFFFF008  # linux/filter.h: SKF_AD_OFF + …
MOST_PER_TURN = 64  # frames read before the loop gets its turn
TURN = 0.005  # seconds after which it gets it in any case
LONGEST = 2048
IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP = 20, 21  # linux/in6.h
FROM_OURSELVES = 5  # linux/if_packet.h: PACKET_LOOPBACK
ICMP6_FILTER, BLOCK_ALL = 1, b"\xff" * 32  # linux/icmpv6.h, RFC 3542, section 3.2
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENETDOWN, errno.ENETUNREACH)
FULL = (errno.ENOMEM, errno.ENOBUFS)  # a socket's joins are limited by net.core.optmem_max


class PacketSocket:
    """Frames of one EtherType on one interface, filtered by the kernel."""

    def __init__(self, interface: str, ethertype: int, program: Sequence[Instruction]) -> None:
        self.interface = interface
        self._index = socket.if_nametoindex(interface)
        # Protocol 0 receives nothing: bound and filtered first, so no foreign frame slips in.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setblocking(False)
            self.filter(program)
            self._socket.bind((interface, ethertype))
        except OSError:
            self._socket.close()
            raise
        self._receive: Callable[[str, bytes], None] | None = None

    def filter(self, program: Sequence[Instruction]) -> None:
        """Replaces the filter, atomically; frames of other networks never get as far as it."""
        whole = [*own(self._index), *program]
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in whole)
        buffer = ctypes.create_string_buffer(code)
        head = struct.pack("HL", len(whole), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)

    def listen(self, receive: Callable[[str, bytes], None]) -> None:
        """Calls ``receive(interface, frame)`` on the event loop for every frame."""
        self._receive = receive
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def _readable(self) -> None:
        assert self._receive is not None
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN
        for _ in range(MOST_PER_TURN):
            try:
                frame = self._socket.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                # ENETDOWN: the interface went down; netlink tells us when it is back
                if error.errno != errno.ENETDOWN:
                    log.warning("reading from %s: %s", self.interface, error.strerror)
                return
            self._receive(self.interface, frame)
            if loop.time() > end:
                return

    def flush(self) -> None:
        """Throws away what is queued."""
        with contextlib.suppress(OSError):  # BlockingIOError: empty; ENETDOWN: nothing to read
            while True:
                self._socket.recv(LONGEST)

    def send(self, frame: bytes) -> bool:
        """Sends a whole frame; False if the interface would not take it."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENOBUFS, errno.ENXIO):
                log.warning("sending on %s: %s", self.interface, error.strerror)
            return False
        return True

    def close(self) -> None:
        """Closes it."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


def own(index: int) -> list[Instruction]:
    """Goes on behind itself for frames of an interface's own network that were not sent by us.

    A socket on a trunk is also given the frames of its VLANs, without their tags: with the index of
    the VLAN's interface, or as another host's where there is none. They are not ours to answer.
    """
    return [
        (LOAD_WORD, 0, 0, FRAMES_KIND),
        (JUMP_EQUAL, 4, 0, socket.PACKET_OUTGOING),
        (JUMP_EQUAL, 3, 0, socket.PACKET_OTHERHOST),
        (JUMP_EQUAL, 2, 0, FROM_OURSELVES),
        (LOAD_WORD, 0, 0, FRAMES_INTERFACE),
        (JUMP_EQUAL, 1, 0, index),
        (RETURN, 0, 0, 0),
    ]


class OwnKernel:
    """Tells this node's own kernel what all others on an interface's link are told; it hears no
    frame that we send.

    What it forwards out of the interface it came from it tells the sender of by a Redirect (RFC
    4861, section 8.2), with the MAC that it believes in. If that was the former owner's, a client
    that sends again on an old connection would go back there, though it had heard of the new one.
    A multicast of the scope of one interface is looped back, and never sent (RFC 4291, 2.7).
    """

    def __init__(self, index: int) -> None:
        self._to = "ff01::1", 0, 0, index
        self._socket: socket.socket | None = None

    def tell(self, advertisement: bytes) -> None:
        """An ICMPv6 message. A node without IPv6 forwards none, and misleads nobody."""
        try:
            self._socket = self._socket or self._open()
            self._socket.sendto(advertisement, self._to)
        except OSError as error:
            if error.errno not in NO_IPV6:
                log.warning("telling the node's own kernel: %s", error.strerror)

    def _open(self) -> socket.socket:
        found = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            found.setblocking(False)
            found.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, BLOCK_ALL)
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._to[3])
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        except OSError:
            found.close()
            raise
        return found

    def close(self) -> None:
        """Closes it."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


class Memberships:
    """The multicast groups that are joined on one interface.

    A join tells switches by MLD to forward the group, and the kernel tells the network card to let
    it in, as PACKET_ADD_MEMBERSHIP would. One socket holds some thousand joins: then another one
    is opened.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._sockets: list[socket.socket] = []
        self._joined: dict[ipaddress.IPv6Address, socket.socket] = {}

    def join(self, group: ipaddress.IPv6Address) -> None:
        """Joins a group; raises OSError if the kernel does not want to."""
        if group in self._joined:
            return
        try:
            self._join(group, self._sockets[-1] if self._sockets else self._another())
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._join(group, self._another())

    def leave(self, group: ipaddress.IPv6Address) -> None:
        """Leaves a group, if it was joined."""
        found = self._joined.pop(group, None)
        if found is not None:
            with contextlib.suppress(OSError):  # the interface is gone, and IPv6 with it
                found.setsockopt(socket.IPPROTO_IPV6, IPV6_LEAVE_GROUP, self._request(group))

    def close(self) -> None:
        """Leaves all of them."""
        for item in self._sockets:
            item.close()
        self._sockets.clear()
        self._joined.clear()

    def _another(self) -> socket.socket:
        self._sockets.append(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        return self._sockets[-1]

    def _join(self, group: ipaddress.IPv6Address, where: socket.socket) -> None:
        where.setsockopt(socket.IPPROTO_IPV6, IPV6_JOIN_GROUP, self._request(group))
        self._joined[group] = where

    def _request(self, group: ipaddress.IPv6Address) -> bytes:
        return group.packed + struct.pack("@i", self._index)
