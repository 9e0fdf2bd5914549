"""What is seen in a quiet time, and what of it is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seen:
    """One look at the cluster, the LAN and the router.

    ``shown``: addresses by Service; ``asked``: how many each wants. ``held``: who has an address,
    by the ledger. ``owners``: by the slices, ``told``: by ServiceL2Status, for each Service of
    ``on_lan``. ``answering``: who answers for the addresses that are asked for. ``broken``: clients
    that are not served.
    """

    nodes: frozenset[str]
    asked: Mapping[str, int]
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    on_lan: frozenset[str] = frozenset()
    owners: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Set[str]] = field(default_factory=dict)
    answering: Mapping[str, Set[str]] = field(default_factory=dict)
    by_bgp: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    reported: frozenset[str] = frozenset()
    hops: Mapping[str, Set[str]] = field(default_factory=dict)
    leader: str = ""
    leaders: frozenset[str] = frozenset()
    broken: tuple[str, ...] = ()


def lacking(seen: Seen) -> tuple[str, ...]:
    """What is not as it should be, a sentence each; empty: all agree."""
    return (*_addresses(seen), *_lan(seen), *_bgp(seen), *_rest(seen))


def _addresses(seen: Seen) -> Iterator[str]:
    for service, count in seen.asked.items():
        found = seen.shown.get(service, ())
        if len(found) != count:
            yield f"{service} shows {len(found)} addresses of {count}"
    shown = {a: service for service, found in seen.shown.items() for a in found}
    for address in sorted({*shown} ^ {*seen.held}):
        by, held = shown.get(address, "nobody"), seen.held.get(address, "nobody")
        yield f"{address}: shown by {by}, held by {held} in the ledger"
    for address in sorted({*shown} & {*seen.held}):
        if shown[address] != seen.held[address]:
            yield f"{address}: shown by {shown[address]}, held by {seen.held[address]}"


def _lan(seen: Seen) -> Iterator[str]:
    for service in sorted(seen.on_lan):
        named = {seen.owners.get(address, "") for address in seen.shown.get(service, ())}
        for address in seen.shown.get(service, ()):
            owner = seen.owners.get(address, "")
            answer = seen.answering.get(address, {owner})
            if owner not in seen.nodes:
                yield f"no slice names an owner of {address}"
            elif answer != {owner}:
                who = ", ".join(sorted(answer)) or "nobody"
                yield f"{address}: {owner} by its slice, {who} answers"
        if (told := seen.told.get(service, set())) != named:
            yield f"{service}: statuses name {_names(told)}, slices {_names(named)}"


def _bgp(seen: Seen) -> Iterator[str]:
    for node in sorted(seen.nodes - seen.sessions):
        yield f"{node} has no session with the router"
    for node in sorted(seen.nodes - seen.reported):
        yield f"{node} does not report its session as Established"
    for service in sorted(seen.by_bgp):
        for address in seen.shown.get(service, ()):
            if (hops := seen.hops.get(address, set())) != seen.nodes:
                yield f"{address}: the router sends it to {_names(hops)}"


def _rest(seen: Seen) -> Iterator[str]:
    if seen.leader not in seen.leaders:
        yield f"{seen.leader or 'nobody'} leads"
    for client in seen.broken:
        yield f"{client} is not served"


def _names(found: Set[str]) -> str:
    return ", ".join(sorted(found)) or "nobody"
