"""The beacon: a node's authenticated sign of life on the LAN, with its claims. Codec only.

It travels as UDP in IPv6 to all nodes of the link (ff02::1, hop limit 255, from the interface's
link-local address): switches flood that group, and a frame from another link cannot have that
hop limit. It is made and read as a whole Ethernet frame, so no firewall of the host and no missing
IPv6 address is in its way.

============  ======  ==============================================================================
field         bytes   meaning
============  ======  ==============================================================================
magic         4       ``BMB1``: beacon, version 1
keys          1 + 4n  ids of the keys that it is signed with (`bellmetal.keyring`: one, or two for
                      some minutes after the secret was changed); they tell nothing of the keys
flags         1       SETTLED, LEAVING, RESET (what follows replaces all claims heard before),
                      APART (by gossip alone: it has no interface to be heard on)
interval      2       milliseconds until the next beacon
boot          8       rises with every start of the process
counter       8       rises with every beacon of this boot
digest        8       of all claims of the node: what the listener should know by now
name          1 + n   the node, UTF-8
ask           1 + n   the node that is asked for all its claims; ``*`` everybody, empty nobody
echoes        1 + 8n  the challenges of those that have asked this node: it is no recording
claims        2 + …   address family (1), address (4 or 16), term (8), epoch (4), flags (1)
tags          16 n    HMAC-SHA256 of all the above with each of those keys, truncated
============  ======  ==============================================================================
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder
from bellmetal.keyring import MOST, key_id
from bellmetal_layer2.ipv6 import (
    ALL_NODES,
    ALL_NODES_MAC,
    ETHERNET,
    ETHERTYPE,
    HEADER,
    HOP_LIMIT,
    checksum,
)

MAGIC = b"BMB1"
PORT = 7947
_UDP_NUMBER = 17
EVERYBODY = "*"
TAG, KEY_ID = 16, 4
MOST_KEYS = MOST
MOST_ECHOES = 8
CLAIMS_PER_BEACON = 18  # of either family, with the longest names, within 1,280 bytes

SETTLED, LEAVING, RESET, APART = 1, 2, 4, 8
_FIRM, _RELEASED, _UNABLE, _QUIET = 1, 2, 4, 8
_HEAD = struct.Struct("!BHQQQ")
_CLAIM_TAIL = struct.Struct("!QIB")
_UDP = struct.Struct("!HHHH")
OVERHEAD = ETHERNET.size + HEADER.size + _UDP.size


class DecodeError(ValueError):
    """Bytes that are no beacon of a member; the message says why."""


class UnknownKeyError(DecodeError):
    """A beacon that is signed by none of our keys; ``node`` is who it says it is from."""

    def __init__(self, node: str) -> None:
        super().__init__("it is signed with none of the members' keys that are known here")
        self.node = node


@dataclass(frozen=True, slots=True)
class ClaimNews:
    """One claim in a beacon; ``order`` None: released, ``unable``: as it cannot be announced.

    ``quiet``: claimed and not answered for, as a foreign device has it.
    """

    address: IPAddress
    order: ClaimOrder | None
    unable: bool = False
    quiet: bool = False


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
    apart: bool = False
    ask: str = ""
    claims: tuple[ClaimNews, ...] = ()
    echoes: tuple[int, ...] = ()

    @property
    def challenge(self) -> int:
        """What a node that this beacon asks is to echo; no two beacons have the same."""
        data = struct.pack("!QQ", self.boot, self.counter) + self.node.encode()
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def encode(beacon: Beacon, *keys: bytes) -> bytes:
    """The payload, signed with each of the keys."""
    flags = beacon.settled * SETTLED | beacon.leaving * LEAVING
    flags |= beacon.reset * RESET | beacon.apart * APART
    name, ask = beacon.node.encode(), beacon.ask.encode()
    interval = min(0xFFFF, round(beacon.interval * 1000))
    parts = [
        MAGIC,
        bytes([len(keys)]),
        *map(key_id, keys),
        _HEAD.pack(flags, interval, beacon.boot, beacon.counter, beacon.digest),
        bytes([len(name)]),
        name,
        bytes([len(ask)]),
        ask,
        struct.pack(f"!B{len(beacon.echoes)}Q", len(beacon.echoes), *beacon.echoes),
        struct.pack("!H", len(beacon.claims)),
    ]
    for news in beacon.claims:
        order = news.order or ClaimOrder(0, False, 0)
        state = (order.firm * _FIRM) | ((news.order is None) * _RELEASED)
        state |= news.unable * _UNABLE | news.quiet * _QUIET
        parts.append(bytes([news.address.version]))
        parts.append(news.address.packed)
        parts.append(_CLAIM_TAIL.pack(order.term, order.epoch, state))
    data = b"".join(parts)
    return data + b"".join(_tag(data, key) for key in keys)


def decode(data: bytes, *keys: bytes) -> Beacon:
    """A beacon out of its payload, if it is signed with any of the keys; that is checked first.

    Raises DecodeError, UnknownKeyError.
    """
    if not data.startswith(MAGIC):
        raise DecodeError("no beacon of version 1")
    reader = _Reader(data, len(MAGIC))
    ids = [reader.take(KEY_ID) for _ in range(reader.upto(MOST_KEYS, "keys"))]
    end = len(data) - TAG * len(ids)
    known = [(ids.index(key_id(key)), key) for key in keys if key_id(key) in ids]
    if not known:
        raise UnknownKeyError(_named(data[:end], reader.at))
    number, key = known[0]
    body, tag = data[:end], data[end + TAG * number : end + TAG * (number + 1)]
    if not hmac.compare_digest(tag, _tag(body, key)):
        raise DecodeError("the tag is not of the members' key")
    return _read(_Reader(body, reader.at))


def _named(body: bytes, at: int) -> str:
    """Who an unreadable beacon says that it is from; nothing of it can be believed."""
    return _Reader(body, at + _HEAD.size).text()


def _read(reader: _Reader) -> Beacon:
    flags, interval, boot, counter, digest = _HEAD.unpack(reader.take(_HEAD.size))
    beacon = Beacon(
        node=reader.text(),
        boot=boot,
        counter=counter,
        digest=digest,
        interval=interval / 1000,
        settled=bool(flags & SETTLED),
        leaving=bool(flags & LEAVING),
        reset=bool(flags & RESET),
        apart=bool(flags & APART),
        ask=reader.text(),
        echoes=tuple(reader.number("!Q") for _ in range(reader.upto(MOST_ECHOES, "echoes"))),
        claims=tuple(reader.claim() for _ in range(reader.number("!H"))),
    )
    if reader.at != len(reader.data):
        raise DecodeError("bytes are left behind the claims")
    return beacon


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

    def upto(self, most: int, what: str) -> int:
        number = self.number("!B")
        if number > most:
            raise DecodeError(f"{number} {what} are more than {most}")
        return number

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
        unable = order is None and bool(state & _UNABLE)
        return ClaimNews(address, order, unable, order is not None and bool(state & _QUIET))


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
    places = source.packed, ALL_NODES.packed
    found = checksum(*places, datagram, _UDP_NUMBER) or 0xFFFF  # 0 says that there is none
    datagram = _UDP.pack(PORT, PORT, length, found) + payload
    header = HEADER.pack(6 << 28, length, _UDP_NUMBER, HOP_LIMIT, *places)
    return ETHERNET.pack(ALL_NODES_MAC, mac, ETHERTYPE) + header + datagram


def unwrap(frame: bytes) -> bytes:
    """The payload of a beacon's frame; raises DecodeError if it is none or came from afar."""
    if len(frame) < OVERHEAD:
        raise DecodeError("too short for a beacon")
    head, length, next_header, hop_limit, _, destination = HEADER.unpack_from(frame, ETHERNET.size)
    if head >> 28 != 6 or next_header != _UDP_NUMBER or destination != ALL_NODES.packed:
        raise DecodeError("not UDP to all nodes of the link")
    if hop_limit != HOP_LIMIT:
        raise DecodeError(f"hop limit {hop_limit}: it was routed")
    _, port, udp_length, _ = _UDP.unpack_from(frame, ETHERNET.size + HEADER.size)
    start = ETHERNET.size + HEADER.size
    if port != PORT or udp_length != length or len(frame) < start + length or length < _UDP.size:
        raise DecodeError("a datagram of another port or length")
    return frame[start + _UDP.size : start + length]


def link_local(mac: bytes) -> ipaddress.IPv6Address:
    """The link-local address that belongs to a MAC (RFC 4291, appendix A)."""
    identifier = bytes([mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]])
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier)
