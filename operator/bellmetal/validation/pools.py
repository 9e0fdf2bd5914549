"""IPAddressPools → Pools. An invalid one is ``broken``: it gives no new address, and what was given
out of it stays. Of two that overlap, the younger is the invalid one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bellmetal.addresses import AddressError, IPAddress, Range, is_buggy
from bellmetal.config import COOL_DOWN, DRAIN, EXCLUDE, ON_ORPHAN, RESERVE, Pool
from bellmetal.resources import IPAddressPool, ServiceAllocation
from bellmetal.selectors import Selector
from bellmetal.validation.annotations import path_of, read_annotations
from bellmetal.validation.labelled import Index
from bellmetal.validation.ranges import Taken, read_entry
from bellmetal.validation.report import Report, Reports, check_unique, oldest_first
from bellmetal.validation.selectors import read_selectors

KIND = "IPAddressPool"


def read_pools(bodies: Iterable[IPAddressPool], namespaces: Index, reports: Reports) -> list[Pool]:
    """All of them, the invalid as broken."""
    ground = _Ground()
    pools = []
    for body in oldest_first(bodies):
        report = reports.of(KIND, body)
        pool = _pool(body, namespaces, ground, report)
        pools.append(pool if report.sound else replace(pool, broken=True, ranges=()))
    return pools


class _Ground:
    """The addresses of older pools, the invalid ones among them: a typo hides no overlap."""

    def __init__(self) -> None:
        self._first, self._again = Taken(), Taken()  # those that were free; those that were not

    def owner(self, entry: Range) -> str | None:
        """An older pool that has addresses of ``entry``, the oldest if there is one such piece."""
        return self._first.find(entry) or self._again.find(entry)

    def add(self, entries: Iterable[Range], pool: str) -> None:
        """Takes in a pool once it was judged."""
        contested = [(entry, self.owner(entry) is not None) for entry in entries]
        for entry, taken in contested:
            (self._again if taken else self._first).add(entry, pool)


def _pool(body: IPAddressPool, namespaces: Index, ground: _Ground, report: Report) -> Pool:
    spec = body.spec
    ranges, own = _ranges(spec.addresses or [], ground, report)
    ground.add(ranges, body.metadata.name)
    pool = Pool(
        name=body.metadata.name,
        ranges=tuple(ranges),
        labels=body.metadata.labels or {},
        auto_assign=spec.auto_assign,
        avoid_buggy=spec.avoid_buggy_ips,
    )
    readable = len(ranges) == len(spec.addresses or [])
    asked = read_annotations(KIND, body.metadata.annotations, report)
    pool = _with_annotations(pool, asked, own if readable else None, report)
    if spec.service_allocation is None:
        return pool
    return _for_some(pool, spec.service_allocation, namespaces, report)


def _ranges(entries: list[str], ground: _Ground, report: Report) -> tuple[list[Range], Taken]:
    if not entries:
        report.add("spec.addresses", "is empty: give at least one CIDR or range")
    ranges: list[Range] = []
    own = Taken()
    for index, text in enumerate(entries):
        path = f"spec.addresses[{index}]"
        try:
            entry = read_entry(text)
        except AddressError as error:
            report.add(path, str(error))
            continue
        if (other := own.find(entry)) is not None:
            report.add(path, f'"{text}" overlaps with "{other}" of the same pool')
        if (pool := ground.owner(entry)) is not None:
            report.add(path, f'"{entry}" overlaps with IPAddressPool/{pool}, which is older')
        own.add(entry, str(entry))
        ranges.append(entry)
    return ranges, own


# --- spec.serviceAllocation ----------------------------------------------------------------------


def _for_some(pool: Pool, asked: ServiceAllocation, namespaces: Index, report: Report) -> Pool:
    path = "spec.serviceAllocation"
    named = asked.namespaces or []
    check_unique(named, f"{path}.namespaces", "namespaces", report)
    by_labels = read_selectors(asked.namespace_selectors, f"{path}.namespaceSelectors", report)
    chosen: frozenset[str] | None = None
    if named or by_labels:
        matched = namespaces.matching(by_labels) if by_labels else frozenset[str]()
        chosen = frozenset(named) | matched
    services = read_selectors(asked.service_selectors, f"{path}.serviceSelectors", report)
    if chosen is None and not services:
        services = (Selector(),)  # a priority alone pins the pool to all Services
    return replace(pool, priority=asked.priority, namespaces=chosen, service_selectors=services)


# --- annotations ---------------------------------------------------------------------------------


def _with_annotations(pool: Pool, asked: dict[str, Any], own: Taken | None, report: Report) -> Pool:
    """``own`` are the pool's addresses, None if some of them could not be read."""
    excluded: tuple[Range, ...] = asked.get(EXCLUDE, ())
    reserved: dict[IPAddress, str] = asked.get(RESERVE, {})
    if own is not None:
        _check_excluded(excluded, own, report)
        _check_reserved(reserved, pool, own, excluded, report)
    return replace(
        pool,
        excluded=excluded,
        reserved=reserved,
        cool_down=asked.get(COOL_DOWN, 0.0),
        draining=asked.get(DRAIN, False),
        on_orphan=asked.get(ON_ORPHAN),
    )


def _check_excluded(excluded: Iterable[Range], own: Taken, report: Report) -> None:
    for entry in excluded:
        if own.find(entry) is None:
            text = str(entry.first if entry.first == entry.last else entry)
            message = f'"{text}" excludes nothing: the pool has none of it'
            report.add(path_of(EXCLUDE), message)


def _check_reserved(
    reserved: Iterable[IPAddress],
    pool: Pool,
    own: Taken,
    excluded: Iterable[Range],
    report: Report,
) -> None:
    left_out = Taken()
    for entry in excluded:
        left_out.add(entry, "excluded")
    path = path_of(RESERVE)
    for address in reserved:
        one = Range(address, address)
        if own.find(one) is None:
            report.add(path, f'"{address}" is not in the pool')
        elif left_out.find(one) is not None:
            report.add(path, f'"{address}" is excluded by {EXCLUDE}')
        elif pool.avoid_buggy and is_buggy(address):
            report.add(path, f'"{address}" is left out by spec.avoidBuggyIPs')
