"""BGPAdvertisements with pools, peers and each other. Of two that disagree the younger is invalid.

What is invalid by itself is not looked at here: it is not in force, and what it would disagree
with may change when it is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bellmetal.addresses import Family, Range
from bellmetal.config import BFDProfile, BGPAdvertisement, Peer, Pool
from bellmetal.validation.labelled import Index
from bellmetal.validation.report import Report

Judged = Sequence[tuple[BGPAdvertisement, Report]]


def check_agreement(
    judged: Judged,
    pools: Sequence[Pool],
    peers: Sequence[Peer],
    profiles: Iterable[BFDProfile],
    nodes: Index,
) -> None:
    """``peers`` and ``profiles`` are the sound ones; ``judged`` is oldest first."""
    echo = {profile.name for profile in profiles if profile.echo_mode}
    echoing = [peer for peer in peers if peer.bfd_profile in echo]
    stocks = {pool.name: _Stock(pool) for pool in pools}
    older: list[tuple[BGPAdvertisement, list[_Stock]]] = []
    for advertisement, report in judged:
        if not report.sound:
            continue
        chosen = [s for s in stocks.values() if _selects(advertisement, s.pool)]
        _check_lengths(advertisement, chosen, report)
        _check_echo(advertisement, chosen, echoing, report)
        _check_preference(advertisement, chosen, older, nodes, report)
        older.append((advertisement, chosen))


def _selects(advertisement: BGPAdvertisement, pool: Pool) -> bool:
    return advertisement.selects_pool(pool.name, pool.labels)


class _Stock:
    """A pool and its families; for each the entry whose largest CIDR is the smallest."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.families = frozenset(entry.family for entry in pool.ranges)
        self._worst: dict[Family, tuple[int, Range]] | None = None

    @property
    def worst(self) -> dict[Family, tuple[int, Range]]:
        """By family: prefix length and entry."""
        if self._worst is None:
            self._worst = {}
            for entry in self.pool.ranges:
                length = shortest_prefix(entry)
                if length > self._worst.get(entry.family, (-1, entry))[0]:
                    self._worst[entry.family] = length, entry
        return self._worst


def shortest_prefix(entry: Range) -> int:
    """The prefix length of the largest CIDR inside a range."""
    first, last = int(entry.first), int(entry.last)
    bits = (last - first + 1).bit_length() - 1
    while (-(-first >> bits) << bits) + (1 << bits) - 1 > last:
        bits -= 1
    return entry.first.max_prefixlen - bits


# --- rules ---------------------------------------------------------------------------------------


def _check_lengths(
    advertisement: BGPAdvertisement, chosen: Iterable[_Stock], report: Report
) -> None:
    """An aggregate must not be larger than the largest CIDR of an entry."""
    for family, name, default in (
        (Family.IPV4, "aggregationLength", 32),
        (Family.IPV6, "aggregationLengthV6", 128),
    ):
        length = advertisement.length(family)
        if length == default:
            continue
        for stock in chosen:
            prefix, entry = stock.worst.get(family, (0, None))
            if prefix > length:
                report.add(
                    f"spec.{name}",
                    f"invalid aggregation length {length}: prefix {prefix} in"
                    f" IPAddressPool/{stock.pool.name} is more specific than the aggregation"
                    f" length for addresses {entry}",
                )


def _check_echo(
    advertisement: BGPAdvertisement,
    chosen: Iterable[_Stock],
    echoing: Iterable[Peer],
    report: Report,
) -> None:
    """BFD's echo packets are IPv4 alone."""
    peer = next((peer for peer in echoing if advertisement.selects_peer(peer.name)), None)
    if peer is None:
        return
    for stock in chosen:
        if Family.IPV6 in stock.families:
            report.add(
                "spec.peers",
                f"pool {stock.pool.name} has bgpadvertisement {advertisement.name} which references"
                f" peer {peer.name} which has bfd echo enabled, which is not possible with IPv6",
            )


def _check_preference(
    advertisement: BGPAdvertisement,
    chosen: Sequence[_Stock],
    older: Iterable[tuple[BGPAdvertisement, list[_Stock]]],
    nodes: Index,
    report: Report,
) -> None:
    """Two that give a peer the same route of a node must give it the same local preference."""
    names = {stock.pool.name for stock in chosen}
    for other, others in older:
        if other.local_pref == advertisement.local_pref or _apart(advertisement, other, nodes):
            continue
        for stock in others:
            if stock.pool.name in names and _same_route(advertisement, other, stock.families):
                report.add(
                    "spec.localPref",
                    f"invalid local preference {advertisement.local_pref}: local preference"
                    f" {other.local_pref} was already set for the same type of BGP update by"
                    f" BGPAdvertisement/{other.name}, which is older, for"
                    f" IPAddressPool/{stock.pool.name}",
                )
                break


def _apart(one: BGPAdvertisement, other: BGPAdvertisement, nodes: Index) -> bool:
    """Whether no peer hears both from one node, or Services decide it (the planner's matter)."""
    if one.service_selectors or other.service_selectors:
        return True
    if one.peers and other.peers and not one.peers & other.peers:
        return True
    mine, theirs = nodes.matching(one.node_selectors), nodes.matching(other.node_selectors)
    return bool(nodes.items) and not mine & theirs


def _same_route(
    one: BGPAdvertisement, other: BGPAdvertisement, families: frozenset[Family]
) -> bool:
    return any(one.length(family) == other.length(family) for family in families)
