"""Capabilities of the OPEN message (RFC 5492) ⇄ bytes, and in words."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bellmetal_bgp.codes import CapabilityCode, capability_name
from bellmetal_bgp.families import AFI_IPV4, AFI_IPV6, Family
from bellmetal_bgp.notifications import Code, DecodeError, OpenError

RECEIVE, SEND, BOTH = 1, 2, 3  # modes of ADD-PATH (RFC 7911, section 4)
_MODES = {RECEIVE: "receive", SEND: "send", BOTH: "send and receive"}

_MULTIPROTOCOL = struct.Struct("!HxB")  # RFC 4760, section 8
_NEXT_HOP = struct.Struct("!HHH")  # RFC 8950, section 4: the SAFI has two octets
_FAMILY_AND_OCTET = struct.Struct("!HBB")  # RFC 4724, section 3; RFC 7911, section 4
_RESTARTING, _NOTIFICATION, _TIME = 0x8000, 0x4000, 0x0FFF
_FORWARDING = 0x80


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """RFC 4724, section 3; RFC 8538, section 2.

    ``restarting``: the R bit. ``notification``: the N bit, NOTIFICATION messages keep routes too.
    ``time`` in seconds, up to 4095. ``families``: whether forwarding state was kept, for each.
    """

    restarting: bool = False
    notification: bool = False
    time: int = 0
    families: Mapping[Family, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a speaker says that it can. ``families`` empty: IPv4 unicast alone (RFC 4760).

    ``asn4``: its AS number, where it knows those of four octets (RFC 6793).
    ``extended_next_hop``: families with the AFI of next hops that it takes for them (RFC 8950).
    ``unknown``: codes that mean nothing to us, ascending; they are decoded, never encoded.
    """

    families: frozenset[Family] = frozenset()
    route_refresh: bool = False
    enhanced_refresh: bool = False
    asn4: int | None = None
    extended_messages: bool = False
    graceful_restart: GracefulRestart | None = None
    extended_next_hop: frozenset[tuple[Family, int]] = frozenset()
    add_path: Mapping[Family, int] = field(default_factory=dict)
    unknown: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """One after the other, as the value of one optional parameter, ascending by code."""
        said = [
            _tlv(CapabilityCode.MULTIPROTOCOL, _MULTIPROTOCOL.pack(*f)) for f in _in_order(self)
        ]
        if self.route_refresh:
            said.append(_tlv(CapabilityCode.ROUTE_REFRESH))
        if self.extended_next_hop:
            hops = (_NEXT_HOP.pack(*family, afi) for family, afi in sorted(self.extended_next_hop))
            said.append(_tlv(CapabilityCode.EXTENDED_NEXT_HOP, b"".join(hops)))
        if self.extended_messages:
            said.append(_tlv(CapabilityCode.EXTENDED_MESSAGES))
        if self.graceful_restart is not None:
            said.append(_tlv(CapabilityCode.GRACEFUL_RESTART, _restart(self.graceful_restart)))
        if self.asn4 is not None:
            said.append(_tlv(CapabilityCode.ASN4, self.asn4.to_bytes(4, "big")))
        if self.add_path:
            modes = (_FAMILY_AND_OCTET.pack(*f, mode) for f, mode in sorted(self.add_path.items()))
            said.append(_tlv(CapabilityCode.ADD_PATH, b"".join(modes)))
        if self.enhanced_refresh:
            said.append(_tlv(CapabilityCode.ENHANCED_ROUTE_REFRESH))
        return b"".join(said)

    def words(self) -> tuple[str, ...]:
        """For people: ``IPv4 unicast``, ``route refresh``, ``graceful restart 120 s`` …"""
        said = [str(family) for family in _in_order(self)]
        said += ["route refresh"] * self.route_refresh
        said += ["enhanced route refresh"] * self.enhanced_refresh
        said += ["4-octet AS"] * (self.asn4 is not None)
        said += ["extended messages"] * self.extended_messages
        if self.graceful_restart is not None:
            said += _restart_words(self.graceful_restart)
        for family, afi in sorted(self.extended_next_hop):
            said.append(f"{family} with {_AFIS.get(afi, f'AFI {afi}')} next hop")
        said += [f"ADD-PATH {f} ({_MODES[mode]})" for f, mode in sorted(self.add_path.items())]
        said += [capability_name(code) for code in self.unknown]
        return tuple(said)


_AFIS = {AFI_IPV4: "IPv4", AFI_IPV6: "IPv6"}


def _in_order(capabilities: Capabilities) -> list[Family]:
    return sorted(capabilities.families)


def _tlv(code: CapabilityCode, value: bytes = b"") -> bytes:
    return bytes([code, len(value)]) + value


def _restart(item: GracefulRestart) -> bytes:
    if not 0 <= item.time <= _TIME:
        raise ValueError(f"graceful restart: {item.time} s are not 0 to {_TIME}")
    head = item.time | _RESTARTING * item.restarting | _NOTIFICATION * item.notification
    said = head.to_bytes(2, "big")
    for family, kept in sorted(item.families.items()):
        said += _FAMILY_AND_OCTET.pack(*family, _FORWARDING * kept)
    return said


def _restart_words(item: GracefulRestart) -> list[str]:
    said = [f"graceful restart {item.time} s"]
    said += ["graceful restart after NOTIFICATION"] * item.notification
    return said


# --- decoding ------------------------------------------------------------------------------------


def decode(data: bytes) -> Capabilities:
    """Out of the values of all capability parameters, joined; raises DecodeError (2/0).

    What is recognised and malformed is an error of its optional parameter (RFC 4271, section 6.2);
    what is not recognised is ignored (RFC 5492, section 3).
    """
    seen = _Seen()
    for code, value in _tlvs(data):
        read = _READERS.get(code)
        if read is None:
            seen.unknown.add(code)
            continue
        size, repeated = _SIZES[code]
        if (
            (len(value) - size) % repeated
            if repeated and len(value) >= size
            else len(value) != size
        ):
            raise _malformed(f"{capability_name(code)} of {len(value)} octets")
        read(seen, value)
    return Capabilities(
        families=frozenset(seen.families),
        route_refresh=CapabilityCode.ROUTE_REFRESH in seen.flags,
        enhanced_refresh=CapabilityCode.ENHANCED_ROUTE_REFRESH in seen.flags,
        asn4=seen.asn4,
        extended_messages=CapabilityCode.EXTENDED_MESSAGES in seen.flags,
        graceful_restart=seen.graceful_restart,
        extended_next_hop=frozenset(seen.next_hops),
        add_path=seen.add_path,
        unknown=tuple(sorted(seen.unknown)),
    )


class _Seen:
    """What was read so far; of a capability that comes twice the last one counts (RFC 4724, 3)."""

    def __init__(self) -> None:
        self.families: set[Family] = set()
        self.flags: set[int] = set()
        self.asn4: int | None = None
        self.graceful_restart: GracefulRestart | None = None
        self.next_hops: set[tuple[Family, int]] = set()
        self.add_path: dict[Family, int] = {}
        self.unknown: set[int] = set()


def _tlvs(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise _malformed("a capability goes beyond the end")
        yield data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]


def _malformed(text: str) -> DecodeError:
    return DecodeError(f"OPEN: {text}", Code.OPEN, OpenError.UNSPECIFIC)


def _read_family(seen: _Seen, value: bytes) -> None:
    seen.families.add(Family(*_MULTIPROTOCOL.unpack(value)))


def _flag(code: CapabilityCode) -> Callable[[_Seen, bytes], None]:
    return lambda seen, _: seen.flags.add(code)


def _read_next_hops(seen: _Seen, value: bytes) -> None:
    for afi, safi, next_hop in _NEXT_HOP.iter_unpack(value):
        seen.next_hops.add((Family(afi, safi), next_hop))


def _read_restart(seen: _Seen, value: bytes) -> None:
    head = int.from_bytes(value[:2], "big")
    families = {
        Family(afi, safi): bool(flags & _FORWARDING)
        for afi, safi, flags in _FAMILY_AND_OCTET.iter_unpack(value[2:])
    }
    seen.graceful_restart = GracefulRestart(
        bool(head & _RESTARTING), bool(head & _NOTIFICATION), head & _TIME, families
    )


def _read_asn4(seen: _Seen, value: bytes) -> None:
    seen.asn4 = int.from_bytes(value, "big")


def _read_add_path(seen: _Seen, value: bytes) -> None:
    modes = {Family(afi, safi): mode for afi, safi, mode in _FAMILY_AND_OCTET.iter_unpack(value)}
    if modes.keys() and set(modes.values()) <= _MODES.keys():
        seen.add_path = modes
    else:
        # "treated as not understood and ignored" (RFC 7911, section 4)
        seen.unknown.add(CapabilityCode.ADD_PATH)


_READERS: Mapping[int, Callable[[_Seen, bytes], None]] = {
    CapabilityCode.MULTIPROTOCOL: _read_family,
    CapabilityCode.ROUTE_REFRESH: _flag(CapabilityCode.ROUTE_REFRESH),
    CapabilityCode.EXTENDED_NEXT_HOP: _read_next_hops,
    CapabilityCode.EXTENDED_MESSAGES: _flag(CapabilityCode.EXTENDED_MESSAGES),
    CapabilityCode.GRACEFUL_RESTART: _read_restart,
    CapabilityCode.ASN4: _read_asn4,
    CapabilityCode.ADD_PATH: _read_add_path,
    CapabilityCode.ENHANCED_ROUTE_REFRESH: _flag(CapabilityCode.ENHANCED_ROUTE_REFRESH),
}
# Octets that a value has, and of what it may repeat after them (0: nothing).
_SIZES: Mapping[int, tuple[int, int]] = {
    CapabilityCode.MULTIPROTOCOL: (4, 0),
    CapabilityCode.ROUTE_REFRESH: (0, 0),
    CapabilityCode.EXTENDED_NEXT_HOP: (0, 6),
    CapabilityCode.EXTENDED_MESSAGES: (0, 0),
    CapabilityCode.GRACEFUL_RESTART: (2, 4),
    CapabilityCode.ASN4: (4, 0),
    CapabilityCode.ADD_PATH: (0, 4),
    CapabilityCode.ENHANCED_ROUTE_REFRESH: (0, 0),
}
