"""TCP sockets as BGP wants them: signed, bound, with a TTL. The only file here that knows sockets.

Signatures: RFC 2385 (MD5) and RFC 5925 (AO); TTL: RFC 5082. BFD has its own (`bfd/sockets.py`).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import TypeAlias

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Password

Socket: TypeAlias = socket.socket

TCP_MD5SIG = 14  # linux/tcp.h
TCP_AO_ADD_KEY = 38
AO_ALGORITHM, AO_MAC_LENGTH, AO_KEY_ID = b"hmac(sha1)", 12, 100  # RFC 5926, section 3.2
LONGEST_KEY = 80  # of either
IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73  # linux/in.h, linux/in6.h
MOST_TTL = 255
BACKLOG = 16
_MD5 = struct.Struct("=128sBBHi80s")  # struct tcp_md5sig
_AO = struct.Struct("=128s64siIHBBBBBB80s")  # struct tcp_ao_add
_SOCKADDR = 128


@dataclass(frozen=True, slots=True)
class Target:
    """Where a peer is, and how it is to be spoken with.

    ``interface``: of a link-local address. ``hops``: away at most (RFC 5082); 0: not checked.
    """

    address: IPAddress
    port: int
    interface: str = ""
    source: IPAddress | None = None
    vrf: str = ""
    hops: int = 0
    password: Password | None = field(default=None)
    ao: bool = False

    @property
    def remote(self) -> str:
        """For people: ``192.0.2.1``, ``fe80::1%eth0``."""
        return f"{self.address}%{self.interface}" if self.interface else str(self.address)

    @property
    def where(self) -> str:
        """For people: ``192.0.2.1 port 179``."""
        return f"{self.remote} port {self.port}"

    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As the socket calls take it; raises OSError if the interface is not there."""
        if self.address.version == 4:
            return str(self.address), self.port
        scope = socket.if_nametoindex(self.interface) if self.interface else 0
        return str(self.address), self.port, 0, scope


class SignatureError(OSError):
    """The kernel does not take the signature; the message says which and why."""


def tcp(target: Target) -> socket.socket:
    """A socket that can be connected to the target; raises OSError, SignatureError.

    What fails says so by ``filename``: ``vrf``, ``source`` or nothing.
    """
    family = socket.AF_INET if target.address.version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.vrf:
            _bind_to_device(opened, target.vrf)
        if target.hops:
            limit_hops(opened, target.hops)
        if target.password is not None:
            sign(opened, target.address, target.password, target.ao)
        if target.source is not None:
            _bind(opened, target.source)
    except OSError:
        opened.close()
        raise
    return opened


def _bind_to_device(opened: socket.socket, vrf: str) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf.encode() + b"\0")
    except OSError as error:
        raise OSError(error.errno, error.strerror, "vrf") from error


def _bind(opened: socket.socket, source: IPAddress) -> None:
    try:
        opened.bind((str(source), 0))
    except OSError as error:
        raise OSError(error.errno, error.strerror, "source") from error


def limit_hops(opened: socket.socket, hops: int) -> None:
    """Sends with the highest TTL, and drops what has come further than so many hops (RFC 5082)."""
    least = MOST_TTL - hops + 1
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, MOST_TTL)
        opened.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, MOST_TTL)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)


def sign(opened: socket.socket, peer: IPAddress, password: Password | None, ao: bool) -> None:
    """Signs what is sent to a peer and drops what it does not sign, from now on, also on a
    connection that is up. No password: not any more. Raises SignatureError."""
    key = password.value if password is not None else b""
    if len(key) > LONGEST_KEY:
        raise SignatureError(errno.EINVAL, f"the password is longer than {LONGEST_KEY} octets")
    try:
        if ao:
            _sign_ao(opened, peer, key)
        else:
            _sign_md5(opened, peer, key)
    except OSError as error:
        kind = "TCP-AO (RFC 5925)" if ao else "TCP's MD5 signature (RFC 2385)"
        if error.errno in (errno.ENOPROTOOPT, errno.EOPNOTSUPP):
            raise SignatureError(error.errno, f"this node's kernel has no {kind}") from error
        raise SignatureError(error.errno, f"{kind}: {error.strerror}") from error


def _sign_md5(opened: socket.socket, peer: IPAddress, key: bytes) -> None:
    place = _place(opened, peer)
    if key:
        data = _MD5.pack(place, 0, 0, len(key), 0, key)
        opened.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, data)
        return
    try:
        opened.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, _MD5.pack(place, 0, 0, 0, 0, b""))
    except OSError as error:
        if error.errno != errno.ENOENT:  # there was none
            raise


def _sign_ao(opened: socket.socket, peer: IPAddress, key: bytes) -> None:
    bits = 32 if peer.version == 4 else 128
    current_and_next = 3
    data = _AO.pack(
        *(_place(opened, peer), AO_ALGORITHM, 0, current_and_next, 0),
        *(bits, AO_KEY_ID, AO_KEY_ID, AO_MAC_LENGTH, 0, len(key), key),
    )
    opened.setsockopt(socket.IPPROTO_TCP, TCP_AO_ADD_KEY, data)


def _place(opened: socket.socket, peer: IPAddress) -> bytes:
    """A sockaddr_storage of the socket's own family."""
    if opened.family == socket.AF_INET6:
        mapped = peer if peer.version == 6 else ipaddress.IPv6Address(f"::ffff:{peer}")
        head = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, mapped.packed, 0)
    else:
        head = struct.pack("=HH4s", socket.AF_INET, 0, peer.packed)
    return head.ljust(_SOCKADDR, b"\0")


class Listener:
    """Takes calls on a port, of both families, in one VRF or in none."""

    def __init__(self, port: int, vrf: str) -> None:
        self.port, self.vrf = port, vrf
        self.sockets: list[socket.socket] = []
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                self.sockets.append(self._open(family))
        except OSError:
            self.close()
            raise

    def _open(self, family: socket.AddressFamily) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if self.vrf:
                _bind_to_device(opened, self.vrf)
            opened.bind(("" if family == socket.AF_INET else "::", self.port))
            opened.listen(BACKLOG)
        except OSError:
            opened.close()
            raise
        return opened

    def sign(self, target: Target) -> None:
        """From now on a peer's calls must be signed, or need not be; raises SignatureError."""
        family = socket.AF_INET if target.address.version == 4 else socket.AF_INET6
        for opened in self.sockets:
            if opened.family == family:
                sign(opened, target.address, target.password, target.ao)

    def accept(self, opened: socket.socket) -> tuple[socket.socket, str] | None:
        """One call and who it is of; None: there is none any more."""
        try:
            called, name = opened.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return None
            raise
        called.setblocking(False)
        called.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return called, str(name[0])

    def close(self) -> None:
        """No more calls."""
        for opened in self.sockets:
            opened.close()
        self.sockets.clear()


def ends(opened: socket.socket) -> tuple[IPAddress, IPAddress]:
    """This side's and the other side's address of a connection; raises OSError if it has gone."""
    here, there = opened.getsockname()[0], opened.getpeername()[0]
    return (
        ipaddress.ip_address(here.partition("%")[0]),
        ipaddress.ip_address(there.partition("%")[0]),
    )


# --- Router Advertisements, for peers that are found on an interface ------------------------------

ICMP6_FILTER, ROUTER_ADVERTISEMENT = 1, 134  # linux/icmpv6.h
ALL_NODES = "ff02::1"
LONGEST = 1500


class AdvertisementSocket:
    """ICMPv6 on one interface: Router Advertisements in, Router Advertisements out."""

    def __init__(self, interface: str) -> None:
        self._index = socket.if_nametoindex(interface)
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            self._socket.setblocking(False)
            device = interface.encode() + b"\0"
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            blocked = bytearray(b"\xff" * 32)  # a bit each for the types that are kept out
            blocked[ROUTER_ADVERTISEMENT // 8] &= ~(1 << ROUTER_ADVERTISEMENT % 8) & 0xFF
            words = struct.unpack(">8I", bytes(blocked[::-1]))[::-1]
            self._socket.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *words))
            for option in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
                self._socket.setsockopt(socket.IPPROTO_IPV6, option, MOST_TTL)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def receive(self) -> tuple[bytes, str, int] | None:
        """A message, whose it is, and its hop limit; None: there is none."""
        try:
            data, control, _, name = self._socket.recvmsg(LONGEST, 64)
        except OSError:  # nothing there, or the interface went
            return None
        hops = 0
        for level, kind, value in control:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT):
                hops = int(struct.unpack("=i", value[:4])[0])
        return data, str(name[0]).partition("%")[0], hops

    def send(self, data: bytes) -> None:
        """To all nodes of the link; the kernel adds the checksum. Raises OSError."""
        self._socket.sendto(data, (ALL_NODES, 0, 0, self._index))

    def close(self) -> None:
        """Closes it."""
        self._socket.close()
