"""What the annotations of BGPAdvertisements and BGPPeers say: text → what is asked for.

May live here: what a text alone says. May not: what the object has to do with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bellmetal.addresses import AddressError, IPAddress, family_of
from bellmetal.config import (
    ADD_PATH,
    ADDRESS_FROM,
    ASN_FROM,
    COMMUNITIES,
    DRAIN_TIME,
    MAX_PREFIXES,
    MED,
    NEXT_HOP,
    PASSIVE,
    PREFIX,
    PREPEND,
    TCP_AO,
    TTL_SECURITY,
    Community,
    Gateway,
)
from bellmetal.validation.durations import parse_duration
from bellmetal.validation.literals import CommunityError, parse_community
from bellmetal.validation.ranges import read_address
from bellmetal.validation.report import hint
from bellmetal.validation.selectors import is_key

MOST_PREPENDED = 10
MOST_HOPS = 254
LONGEST_DRAIN = 600.0  # seconds
DRAIN_SECONDS = 10.0
MOST = 2**32 - 1
DIGITS = re.compile(r"[0-9]{1,10}")
HIGH = 65535  # the first half of well-known communities
WELL_KNOWN = {  # RFC 1997, RFC 3765, RFC 7999, RFC 8326
    "no-export": Community((HIGH, 65281)),
    "no-advertise": Community((HIGH, 65282)),
    "no-export-subconfed": Community((HIGH, 65283)),
    "no-peer": Community((HIGH, 65284)),
    "blackhole": Community((HIGH, 666)),
    "graceful-shutdown": Community((HIGH, 0)),
}

Fault: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A label or an annotation (``what``) of nodes that says what is asked for."""

    what: str
    key: str

    def __str__(self) -> str:
        return f'{self.what} "{self.key}"'


def number(least: int, most: int, otherwise: int | None = 0) -> Callable[[str, Fault], int | None]:
    """A parser of whole numbers; what is none is ``otherwise``."""

    def parse(text: str, fault: Fault) -> int | None:
        if DIGITS.fullmatch(text) and least <= int(text) <= most:
            return int(text)
        fault(f'"{text}" is not a number from {least} to {most}')
        return otherwise

    return parse


def parse_yes(text: str, fault: Fault) -> bool:
    """``true`` or ``false``; what is neither is false."""
    if text not in ("true", "false"):
        fault(f'"{text}" is neither "true" nor "false"')
    return text == "true"


def parse_next_hops(text: str, fault: Fault) -> tuple[IPAddress, ...]:
    """One address, or one of each family; what is wrong is left out."""
    found: list[IPAddress] = []
    for part in map(str.strip, text.split(",")):
        try:
            address = read_address(part)
        except AddressError as error:
            fault(str(error))
            continue
        if address.is_unspecified or address.is_multicast or address.is_loopback:
            fault(f'"{part}" cannot be a next hop')
        elif family_of(address) in map(family_of, found):
            fault(f'"{part}" is a second next hop for {family_of(address).value}')
        else:
            found.append(address)
    return tuple(found)


def parse_communities(text: str, fault: Fault) -> tuple[Community, ...]:
    """Names of well-known communities, or literal ones."""
    found = []
    for part in map(str.strip, text.split(",")):
        if part in WELL_KNOWN:
            found.append(WELL_KNOWN[part])
        elif ":" not in part:
            fault(f'"{part}" is no well-known community{hint(part, WELL_KNOWN, "")}')
        else:
            try:
                found.append(parse_community(part))
            except CommunityError as error:
                fault(str(error))
    return tuple(found)


def parse_drain_time(text: str, fault: Fault) -> float:
    """Seconds, from none to ten minutes."""
    seconds = parse_duration(text)
    if seconds is None:
        fault(f'"{text}" is not a duration such as 5s, 90s or 2m')
    elif not 0 <= seconds <= LONGEST_DRAIN:
        fault(f'"{text}" is not between 0s and 10m')
    else:
        return seconds
    return DRAIN_SECONDS


def parse_asn_from(text: str, fault: Fault) -> Source | None:
    """``node-label/KEY`` or ``node-annotation/KEY``; an annotation under our own prefix."""
    first, _, key = text.partition("/")
    if first not in ("node-label", "node-annotation") or not is_key(key):
        fault(f'"{text}" is neither node-label/KEY nor node-annotation/KEY')
        return None
    if first == "node-annotation" and not key.startswith(PREFIX):
        fault(f'"{key}" does not begin with {PREFIX}: other annotations of nodes are not looked at')
        return None
    return Source(first.removeprefix("node-"), key)


def parse_address_from(text: str, fault: Fault) -> Source | Gateway | None:
    """The same, or ``default-gateway`` or ``default-gateway-v6``."""
    gateways = {item.value: item for item in Gateway}
    if text in gateways:
        return gateways[text]
    if not text.startswith("node-"):
        names = ", ".join(gateways)
        fault(f'"{text}" is none of {names}, node-label/KEY, node-annotation/KEY')
        return None
    return parse_asn_from(text, fault)


ADVERTISEMENT: Mapping[str, Callable[[str, Fault], Any]] = {
    MED: number(0, MOST, None),
    PREPEND: number(1, MOST_PREPENDED),
    NEXT_HOP: parse_next_hops,
    COMMUNITIES: parse_communities,
}
PEER: Mapping[str, Callable[[str, Fault], Any]] = {
    PASSIVE: parse_yes,
    TTL_SECURITY: number(1, MOST_HOPS),
    TCP_AO: parse_yes,
    ADDRESS_FROM: parse_address_from,
    ASN_FROM: parse_asn_from,
    DRAIN_TIME: parse_drain_time,
    MAX_PREFIXES: number(1, MOST),
    ADD_PATH: parse_yes,
}
# Those that leave their object in force without them when they are wrong: its routes are worth
# more. Without the others it would say, or trust, what it must not.
OPTIONAL = frozenset([MED, PREPEND, NEXT_HOP, PASSIVE, DRAIN_TIME, MAX_PREFIXES, ADD_PATH])
