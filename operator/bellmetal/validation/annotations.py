"""The annotations under ``bellmetal.io/``: which there are, for which kind, and what they say.

May live here: names, and what a text alone says. May not: what the object has to do with it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from bellmetal.addresses import AddressError, IPAddress, Range
from bellmetal.config import (
    ANNOUNCE_EVERY,
    ANY_SUBNET,
    COOL_DOWN,
    DRAIN,
    EXCLUDE,
    MOVE_TO,
    ON_ORPHAN,
    PER_FAMILY,
    PREFIX,
    QUOTA,
    RESERVE,
    OnOrphan,
)
from bellmetal.validation.bgp_annotations import ADVERTISEMENT, OPTIONAL, PEER
from bellmetal.validation.durations import parse_duration
from bellmetal.validation.ranges import read_address, read_entry
from bellmetal.validation.report import Report, hint

MOST_PER_FAMILY = 16
MOST_STRANGE = 20  # unknown (or deprecated) annotations of a Service that are told of
DAY = 86_400.0  # seconds

METALLB = ("metallb.io", "metallb.universe.tf")
METALLB_WORDS = ("address-pool", "loadBalancerIPs", "allow-shared-ip", "ip-allocated-from-pool")
PREFIXED = re.compile(r"(?:bellmetal\.io|metallb\.io|metallb\.universe\.tf)/")

NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
DIGITS = re.compile(r"[0-9]{1,9}")

Fault: TypeAlias = Callable[[str], None]
Parser: TypeAlias = Callable[[str, Fault], Any]


def read_annotations(
    kind: str,
    annotations: Mapping[str, str] | None,
    report: Report,
    others: Container[str] = (),
) -> dict[str, Any]:
    """What the annotations of an object of that kind ask for, by their names.

    One that is invalid makes the object invalid, but for an L2Advertisement, whose addresses would
    be withdrawn, and those of BGP that are optional. So does one that is unknown on a pool, where
    it takes nothing from anybody; elsewhere it leaves the object in force: a typo withdraws
    nothing. ``others`` are known to somebody else.
    """
    known = KNOWN.get(kind, {})
    stranger = report.add if kind == "IPAddressPool" else report.note
    found: dict[str, Any] = {}
    for name, text in sorted((annotations or {}).items()):
        path = path_of(name)
        if name in known:
            lenient = kind == "L2Advertisement" or name in OPTIONAL
            wrong = report.note if lenient else report.add
            found[name] = known[name](text, partial(wrong, path))
        elif name.startswith(PREFIX) and name not in others:
            stranger(path, f"unknown annotation{_hint(kind, name)}")
    return found


def _hint(kind: str, name: str) -> str:
    names = [item.removeprefix(PREFIX) for item in KNOWN.get(kind, {})]
    return hint(name.removeprefix(PREFIX), names, f"none is for a {kind}", PREFIX)


def path_of(name: str) -> str:
    """Where an annotation stands."""
    return f"metadata.annotations[{name}]"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a Service's annotations under our prefix ask for.

    ``problems``: what is wrong with them; ``fault``: the first one that cannot be overlooked.
    """

    per_family: int = 1
    move_to: str = ""
    problems: tuple[str, ...] = ()
    fault: str = ""


def service_wishes(annotations: Mapping[str, str]) -> Wishes:
    """What the annotations of a Service ask for."""
    if not any(PREFIXED.match(name) for name in annotations):
        return NO_WISHES
    report = Report("Service", "", "")
    known = KNOWN["Service"].keys()
    strange = sorted(
        name
        for name in annotations
        if PREFIXED.match(name) and name not in known and not _is_metallbs(name)
    )
    looked = strange[:MOST_STRANGE]
    wanted = {name: text for name, text in annotations.items() if name in known}
    found = read_annotations("Service", wanted | dict.fromkeys(looked, ""), report)
    for name in looked:
        _look_for_misspelt(name, report)
    if left := len(strange) - len(looked):
        report.note("metadata.annotations", f"{left} more of these prefixes are not looked at")
    problems = tuple(f"{item.path}: {item.message}" for item in report.problems)
    fault = "" if report.sound else problems[0]
    return Wishes(found.get(PER_FAMILY, 1), found.get(MOVE_TO, ""), problems, fault)


NO_WISHES = Wishes()


def _is_metallbs(name: str) -> bool:
    prefix, _, word = name.partition("/")
    return prefix in METALLB and word in METALLB_WORDS


def _look_for_misspelt(name: str, report: Report) -> None:
    """MetalLB's own: one that is nearly right is asked about, others may be anything."""
    prefix, _, word = name.partition("/")
    if prefix not in METALLB:
        return
    if near := difflib.get_close_matches(word, METALLB_WORDS, n=1, cutoff=0.8):
        message = f'unknown annotation; did you mean "metallb.io/{near[0]}"?'
        report.note(path_of(name), message)


# --- parsers: text → what it says, and a word about each fault ------------------------------------


def _items(text: str) -> list[str]:
    """The parts of a list; an empty text is an empty list."""
    return [part.strip() for part in text.split(",")] if text.strip() else []


def parse_excluded(text: str, fault: Fault) -> tuple[Range, ...]:
    """Addresses, CIDRs and ranges."""
    found = []
    for item in _items(text):
        try:
            if "/" in item or "-" in item:
                found.append(read_entry(item))
            else:
                address = read_address(item)
                found.append(Range(address, address))
        except AddressError as error:
            fault(str(error))
    return tuple(found)


def parse_reserved(text: str, fault: Fault) -> dict[IPAddress, str]:
    """``address`` (for whoever asks for it) or ``address=namespace/name``."""
    found: dict[IPAddress, str] = {}
    for item in _items(text):
        first, equals, service = (part.strip() for part in item.partition("="))
        try:
            address = read_address(first)
        except AddressError as error:
            fault(str(error))
            continue
        parts = service.split("/")
        if equals and not (len(parts) == 2 and all(NAME.fullmatch(part) for part in parts)):
            fault(f'"{service}" is not the namespace/name of a Service')
        elif address in found:
            fault(f'"{address}" is reserved twice')
        found[address] = service
    return found


def parse_cool_down(text: str, fault: Fault) -> float:
    """Seconds."""
    seconds = parse_duration(text)
    if seconds is None or seconds < 0:
        fault(f'"{text}" is not a duration such as 90s, 10m or 1h30m')
        return 0.0
    return seconds


def parse_drain(text: str, fault: Fault) -> bool:
    """``true`` or ``false``."""
    if text not in ("true", "false"):
        fault(f'"{text}" is neither "true" nor "false"')
    return text != "false"


def parse_any_subnet(text: str, fault: Fault) -> bool:
    """``true`` or ``false``; what is neither is false."""
    if text not in ("true", "false"):
        fault(f'"{text}" is neither "true" nor "false"')
    return text == "true"


def parse_announce_every(text: str, fault: Fault) -> int:
    """Whole seconds, from 1 s to a day; what is none is 0: never."""
    seconds = parse_duration(text)
    if seconds is None:
        fault(f'"{text}" is not a duration such as 30s, 5m or 1h30m')
    elif not 1 <= seconds <= DAY:
        fault(f'"{text}" is not between 1s and 24h')
    elif seconds != int(seconds):
        fault(f'"{text}" is not a number of whole seconds')
    else:
        return int(seconds)
    return 0


def parse_move_to(text: str, _: Fault) -> str:
    """The name of a node; whether there is one is seen when the order is carried out."""
    return text


def parse_on_orphan(text: str, fault: Fault) -> OnOrphan | None:
    """``keep`` or ``renumber``."""
    try:
        return OnOrphan(text)
    except ValueError:
        fault(f'"{text}" is neither "keep" nor "renumber"')
        return None


def parse_quota(text: str, fault: Fault) -> int:
    """A positive number; what is none is 0, so that it lets nothing through."""
    number = int(text) if DIGITS.fullmatch(text) else 0
    if not number:
        fault(f'"{text}" is not a positive number')
    return number


def parse_per_family(text: str, fault: Fault) -> int:
    """A number from 1 to 16."""
    number = int(text) if DIGITS.fullmatch(text) else 0
    if not 1 <= number <= MOST_PER_FAMILY:
        fault(f'"{text}" is not a number from 1 to {MOST_PER_FAMILY}')
        return 1
    return number


KNOWN: Mapping[str, Mapping[str, Parser]] = {
    "IPAddressPool": {
        EXCLUDE: parse_excluded,
        RESERVE: parse_reserved,
        COOL_DOWN: parse_cool_down,
        DRAIN: parse_drain,
        ON_ORPHAN: parse_on_orphan,
    },
    "L2Advertisement": {ANY_SUBNET: parse_any_subnet, ANNOUNCE_EVERY: parse_announce_every},
    "BGPAdvertisement": ADVERTISEMENT,
    "BGPPeer": PEER,
    "Namespace": {QUOTA: parse_quota},
    "Node": {DRAIN: parse_drain},
    "Service": {PER_FAMILY: parse_per_family, MOVE_TO: parse_move_to},
}
