"""The beacon: a node's authenticated sign of life on the LAN, with its claims. Codec only.

It travels as UDP in IPv6 to all nodes of the link (ff02::1, hop limit 255, from the interface's
link-local address): switches flood that group, and a frame from another link cannot have that
hop limit. It is made and read as a whole Ethernet frame, so no firewall of the host and no missing
IPv6 address is in its way.

============  ======  ==============================================================================
field         bytes   meaning
============  ======  ==============================================================================
magic         4       ``BMB1``: beacon, version 1
flags         1       SETTLED, LEAVING, RESET (what follows replaces all claims heard before)
interval      2       milliseconds until the next beacon
boot          8       rises with every start of the process
counter       8       rises with every beacon of this boot
digest        8       of all claims of the node: what the listener should know by now
name          1 + n   the node, UTF-8
ask           1 + n   the node that is asked for all its claims; ``*`` everybody, empty nobody
claims        2 + …   address family (1), address (4 or 16), term (8), epoch (4), flags (1)
tag           16      HMAC-SHA256 of all the above with the members' key, truncated
============  ======  ==============================================================================
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder

MAGIC = b"BMB1"
PORT = 7947
ALL_NODES = ipaddress.IPv6Address("ff02::1")
ALL_NODES_MAC = bytes.fromhex("333300000001")  # RFC 2464, section 7
HOP_LIMIT = 255
ETHERTYPE_IPV6 = 0x86DD
EVERYBODY = "*"
TAG = 16
CLAIMS_PER_BEACON = 22  # of either family, with the longest names, within 1,280 bytes

SETTLED, LEAVING, RESET = 1, 2, 4
_FIRM, _RELEASED = 1, 2
_HEAD = struct.Struct("!4sBHQQQ")
_CLAIM_TAIL = struct.Struct("!QIB")
_IPV6 = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")
_ETHERNET = struct.Struct("!6s6sH")
OVERHEAD = _ETHERNET.size + _IPV6.size + _UDP.size


class DecodeError(ValueError):
    """Bytes that are no beacon of a member; the message says why."""


@dataclass(frozen=True, slots=True)
class ClaimNews:
    """One claim in a beacon; ``order`` None: released."""

    address: IPAddress
    order: ClaimOrder | None


@dataclass(frozen=True, slots=True)
class Beacon:
    """One beacon; ``interval`` in seconds."""

    node: str
    boot: int
    counter: int
    digest: int
    interval: float
    settled: bool = True
    leaving: bool = False
    reset: bool = False
    ask: str = ""
    claims: tuple[ClaimNews, ...] = ()


def encode(beacon: Beacon, key: bytes) -> bytes:
    """The payload, signed."""
    flags = beacon.settled * SETTLED | beacon.leaving * LEAVING | beacon.reset * RESET
    name, ask = beacon.node.encode(), beacon.ask.encode()
    interval = min(0xFFFF, round(beacon.interval * 1000))
    parts = [
        _HEAD.pack(MAGIC, flags, interval, beacon.boot, beacon.counter, beacon.digest),
        bytes([len(name)]),
        name,
        bytes([len(ask)]),
        ask,
        struct.pack("!H", len(beacon.claims)),
    ]
    for news in beacon.claims:
        order = news.order or ClaimOrder(0, False, 0)
        state = (order.firm * _FIRM) | ((news.order is None) * _RELEASED)
        parts.append(bytes([news.address.version]))
        parts.append(news.address.packed)
        parts.append(_CLAIM_TAIL.pack(order.term, order.epoch, state))
    data = b"".join(parts)
    return data + _tag(data, key)


def decode(data: bytes, key: bytes) -> Beacon:
    """A beacon out of its payload; raises DecodeError. Checks the tag before all else."""
    if len(data) < _HEAD.size + TAG or not data.startswith(MAGIC):
        raise DecodeError("no beacon of version 1")
    body, tag = data[:-TAG], data[-TAG:]
    if not hmac.compare_digest(tag, _tag(body, key)):
        raise DecodeError("the tag is not of the members' key")
    _, flags, interval, boot, counter, digest = _HEAD.unpack_from(body)
    reader = _Reader(body, _HEAD.size)
    name, ask = reader.text(), reader.text()
    claims = tuple(reader.claim() for _ in range(reader.number("!H")))
    if reader.at != len(body):
        raise DecodeError("bytes are left behind the claims")
    return Beacon(
        node=name,
        boot=boot,
        counter=counter,
        digest=digest,
        interval=interval / 1000,
        settled=bool(flags & SETTLED),
        leaving=bool(flags & LEAVING),
        reset=bool(flags & RESET),
        ask=ask,
        claims=claims,
    )


def _tag(data: bytes, key: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")[:TAG]


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, length: int) -> bytes:
        piece = self.data[self.at : self.at + length]
        if len(piece) != length:
            raise DecodeError("it ends too early")
        self.at += length
        return piece

    def number(self, form: str) -> int:
        value = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return int(value)

    def text(self) -> str:
        try:
            return self.take(self.number("!B")).decode()
        except UnicodeDecodeError:
            raise DecodeError("a name is not UTF-8") from None

    def claim(self) -> ClaimNews:
        version = self.number("!B")
        if version not in (4, 6):
            raise DecodeError(f"address family {version} is unknown")
        address = ipaddress.ip_address(self.take(4 if version == 4 else 16))
        term, epoch, state = _CLAIM_TAIL.unpack(self.take(_CLAIM_TAIL.size))
        order = None if state & _RELEASED else ClaimOrder(term, bool(state & _FIRM), epoch)
        return ClaimNews(address, order)


def chunks(claims: Iterable[ClaimNews]) -> list[tuple[ClaimNews, ...]]:
    """Claims in portions that fit into a beacon; at least one portion."""
    everything = list(claims)
    cut = range(0, len(everything), CLAIMS_PER_BEACON)
    return [tuple(everything[at : at + CLAIMS_PER_BEACON]) for at in cut] or [()]


# --- the frame around it -------------------------------------------------------------------------


def wrap(payload: bytes, mac: bytes) -> bytes:
    """An Ethernet frame from the interface with that MAC to all nodes of the link."""
    source = link_local(mac)
    length = _UDP.size + len(payload)
    datagram = _UDP.pack(PORT, PORT, length, 0) + payload
    checksum = _checksum(source.packed, ALL_NODES.packed, datagram)
    datagram = _UDP.pack(PORT, PORT, length, checksum) + payload
    header = _IPV6.pack(6 << 28, length, 17, HOP_LIMIT, source.packed, ALL_NODES.packed)
    return _ETHERNET.pack(ALL_NODES_MAC, mac, ETHERTYPE_IPV6) + header + datagram


def unwrap(frame: bytes) -> bytes:
    """The payload of a beacon's frame; raises DecodeError if it is none or came from afar."""
    if len(frame) < OVERHEAD:
        raise DecodeError("too short for a beacon")
    head, length, next_header, hop_limit, _, destination = _IPV6.unpack_from(frame, _ETHERNET.size)
    if head >> 28 != 6 or next_header != 17 or destination != ALL_NODES.packed:
        raise DecodeError("not UDP to all nodes of the link")
    if hop_limit != HOP_LIMIT:
        raise DecodeError(f"hop limit {hop_limit}: it was routed")
    _, port, udp_length, _ = _UDP.unpack_from(frame, _ETHERNET.size + _IPV6.size)
    start = _ETHERNET.size + _IPV6.size
    if port != PORT or udp_length != length or len(frame) < start + length or length < _UDP.size:
        raise DecodeError("a datagram of another port or length")
    return frame[start + _UDP.size : start + length]


def link_local(mac: bytes) -> ipaddress.IPv6Address:
    """The link-local address that belongs to a MAC (RFC 4291, appendix A)."""
    identifier = bytes([mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]])
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def _checksum(source: bytes, destination: bytes, datagram: bytes) -> int:
    """UDP's checksum with IPv6's pseudo header (RFC 8200, section 8.1)."""
    data = source + destination + struct.pack("!II", len(datagram), 17) + datagram
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF) or 0xFFFF
