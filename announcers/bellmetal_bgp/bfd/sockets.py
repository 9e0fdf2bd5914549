"""UDP sockets for BFD (RFC 5881, 5883, 5082), and the pair that joins speaker and process.

The only file here that knows sockets. Imported by the small process that keeps time, so it imports
next to nothing.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from bellmetal_bgp.bfd import filters

if TYPE_CHECKING:
    import random

SINGLE_HOP, MULTI_HOP = 3784, 4784  # UDP ports
FIRST_SOURCE, LAST_SOURCE = 49152, 65535  # RFC 5881, section 4
TTL = 255
NETWORK_CONTROL = 0xC0  # DSCP CS6
LONGEST = 256  # bytes of a datagram that are looked at
LONGEST_NOTE = 65536  # of what crosses the pair
MOST_SOURCES = 200  # in a filter; with more there is none

IP_PKTINFO, IP_RECVTTL, IP_TTL = 8, 12, 2  # linux/in.h
SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_DETACH_FILTER = 25, 26, 27  # asm-generic/socket.h
SO_ATTACH_REUSEPORT_CBPF = 51
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, in6.h
ETHERTYPE_IPV4 = 0x0800
ERRORS_KEPT = 4096  # bytes of what ICMP said

ICMP = (errno.ECONNREFUSED, errno.EHOSTUNREACH)
_ANCILLARY = socket.CMSG_SPACE(20) + socket.CMSG_SPACE(4)


class Door(NamedTuple):
    """Where packets come in: one of the ports, of one family, in one VRF (empty: in none)."""

    family: int
    port: int
    vrf: str


class Arrival(NamedTuple):
    """A datagram with all that is known of its way; addresses are text without a scope."""

    data: bytes
    remote: str
    local: str
    ttl: int
    interface: int  # its index


def canonical(address: str) -> str:
    """An address as sockets tell it; raises OSError for what is none."""
    family = family_of(address)
    return socket.inet_ntop(family, socket.inet_pton(family, address))


def family_of(address: str) -> int:
    """By its looks."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def index_of(interface: str) -> int:
    """An interface's index; 0 if there is none of that name."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


class Receiver:
    """All datagrams that come in at a door. Raises OSError.

    Two sockets: a flood of what anybody can make up fills the buffer of one, and those who know a
    discriminator of ours are heard on the other. Ports are not shared with other programs: one of
    the two would hear nothing.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._programs: tuple[bytes, bytes] = b"", b""
        _free(door)
        opened = [_receiving(door)]
        try:
            opened.append(_receiving(door))  # in the order of STRANGERS, KNOWN
        except OSError:
            opened[0].close()
            raise
        self.strangers, self.known = (Queue(one, door.family) for one in opened)

    def expect(self, remotes: Iterable[str], discriminators: Iterable[int]) -> None:
        """Lets the kernel throw away what comes from anybody else, and sort what does not."""
        packed = [socket.inet_pton(self._door.family, one) for one in sorted(set(remotes))]
        length = 4 if self._door.family == socket.AF_INET else 16
        one_hop = self._door.port == SINGLE_HOP
        programs = (
            filters.sources(packed) if len(packed) <= MOST_SOURCES else b"",
            filters.queues(discriminators, length, one_hop),
        )
        if programs != self._programs:
            self._programs = programs
            for queue in (self.strangers, self.known):
                queue.attach(SO_ATTACH_FILTER if programs[0] else SO_DETACH_FILTER, programs[0])
            self.known.attach(SO_ATTACH_REUSEPORT_CBPF, programs[1])

    def close(self) -> None:
        """Closes both."""
        self.strangers.close()
        self.known.close()


def _free(door: Door) -> None:
    """Raises OSError if another program has the port, even one that would share it."""
    with socket.socket(door.family, socket.SOCK_DGRAM) as tried:
        _prepare(tried, door)
        tried.bind(("", door.port))


def _receiving(door: Door) -> socket.socket:
    opened = socket.socket(door.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        _prepare(opened, door)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(("", door.port))
    except OSError:
        opened.close()
        raise
    return opened


def _prepare(opened: socket.socket, door: Door) -> None:
    if door.vrf:
        opened.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, door.vrf.encode())
    if door.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


class Queue:
    """One of a receiver's sockets."""

    def __init__(self, opened: socket.socket, family: int) -> None:
        self._socket, self._family = opened, family

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def attach(self, option: int, program: bytes) -> None:
        """Hands a program to the kernel."""
        _attach(self._socket, option, program)

    def receive(self) -> Arrival | None:
        """The next datagram; None if there is none."""
        try:
            data, notes, _, source = self._socket.recvmsg(LONGEST, _ANCILLARY)
        except (BlockingIOError, InterruptedError):
            return None
        ttl, local, interface = -1, "", 0
        for _level, kind, note in notes:
            if kind in (IP_TTL, socket.IPV6_HOPLIMIT):
                ttl = struct.unpack_from("i", note)[0]
            elif self._family == socket.AF_INET:
                interface = struct.unpack_from("i", note)[0]
                local = socket.inet_ntop(self._family, note[8:12])
            else:
                interface = struct.unpack_from("i", note, 16)[0]
                local = socket.inet_ntop(self._family, note[:16])
        return Arrival(data, source[0].partition("%")[0], local, ttl, interface)

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


def _attach(opened: socket.socket, option: int, program: bytes) -> None:
    """Without ctypes: array knows where its memory is, and the kernel copies what is there."""
    held = array.array("B", program)
    address, length = held.buffer_info()
    head = struct.pack("HL", length // 8, address)
    try:
        opened.setsockopt(socket.SOL_SOCKET, option, head)
    except FileNotFoundError:  # there was none to detach
        return


class Echoes:
    """Echo packets that return, on any interface. Raises OSError; needs NET_RAW.

    A packet socket: the kernel drops what comes from outside with an address of its own.
    """

    def __init__(self, port: int) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        # What slips in before the filter does not decode.
        self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(ETHERTYPE_IPV4))
        try:
            _attach(self._socket, SO_ATTACH_FILTER, filters.echoes(port))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next IPv4 packet; None if there is none."""
        try:
            return self._socket.recv(LONGEST)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # it is told once, for any interface
                raise
            return None

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


class EchoSender:
    """Whole IPv4 packets to a peer's hardware, whatever address is in them. Needs NET_RAW."""

    def __init__(self, remote: str, device: str) -> None:
        self._remote = remote
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_INET, kind, socket.IPPROTO_RAW)
        if device:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
            except OSError:
                self._socket.close()
                raise
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ERRORS_KEPT)

    def send(self, packet: bytes) -> int:
        """Sends it; 0, or an errno."""
        try:
            self._socket.sendto(packet, (self._remote, 0))
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


def packed(address: str) -> bytes:
    """An address as packets carry it."""
    return socket.inet_pton(family_of(address), address)


class Sender:
    """Datagrams to one peer, always from the same source port (RFC 5881, section 4).

    Connected, so that the kernel says which source address it takes, and what ICMP says of us.
    ``device``: an interface or a VRF, or empty. Raises OSError.
    """

    def __init__(
        self, remote: str, door: Door, local: str, device: str, dice: random.Random
    ) -> None:
        family, port = door.family, door.port
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._prepare(family, device)
            self._bind(local, dice)
            scope = index_of(device) if family == socket.AF_INET6 and device else 0
            there = (remote, port) if family == socket.AF_INET else (remote, port, 0, scope)
            self._socket.connect(there)
            self.local: str = self._socket.getsockname()[0].partition("%")[0]
        except OSError:
            self._socket.close()
            raise

    def _prepare(self, family: int, device: str) -> None:
        opened = self._socket
        if device:
            opened.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
        # Connected, it would be told of refusals alone; hosts that are not there are news, too.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ERRORS_KEPT)
        if family == socket.AF_INET:
            opened.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, NETWORK_CONTROL)
        else:
            opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, TTL)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, NETWORK_CONTROL)

    def _bind(self, local: str, dice: random.Random) -> None:
        """To a port of the range that is free; it is nobody's business which."""
        for _ in range(64):
            port = dice.randint(FIRST_SOURCE, LAST_SOURCE)
            try:
                self._socket.bind((local, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return
        raise OSError(errno.EADDRINUSE, "no free source port in 49152 to 65535")

    def send(self, data: bytes) -> int:
        """Sends it; 0, or the errno of why not, or of what ICMP said of an earlier one.

        No exception is kept: with its traceback it would be a cycle, and nobody collects those.
        """
        said = 0
        for _ in range(2):  # what ICMP said is told instead of sending: then once more
            try:
                self._socket.send(data)
            except OSError as error:
                said = error.errno or errno.EIO
                if said in ICMP:
                    continue
            return said
        return said

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


class Notes:
    """One end of the pair: whole messages, both ways, never waiting. An end of file is b""."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        opened.setblocking(False)

    def fileno(self) -> int:
        """For poll and for asyncio."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next message; b"" when the other end is closed; None if there is none."""
        try:
            return self._socket.recv(LONGEST_NOTE)
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionResetError:  # closed before it has read all
            return b""

    def send(self, data: bytes) -> bool:
        """Whether there was room for it; what cannot be said as nobody listens counts as said."""
        try:
            self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        return True

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


def pair() -> tuple[Notes, Notes]:
    """Both ends; neither is inherited by programs, but for the one that it is handed to."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Notes(ours), Notes(theirs)


def inherited(descriptor: int) -> Notes:
    """The end that this process was started with."""
    return Notes(socket.socket(fileno=os.dup(descriptor)))
