"""Custom resources → Config, or every Problem at once.

An invalid pool is `broken`: no new address comes out of it, what was given out of it stays.
An invalid advertisement is left out. The sound rest is in force.
Of two pools that overlap, the younger is the invalid one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bellmetal.addresses import AddressError, Family, Range, parse_range
from bellmetal.config import Config, L2Advertisement, Pool, PreferredNodes, Problem
from bellmetal.resources import (
    IPAddressPool,
    LabelSelector,
    Object,
)
from bellmetal.resources import (
    L2Advertisement as L2AdvertisementObject,
)
from bellmetal.selectors import OPERATORS, Requirement, Selector, any_matches


@dataclass(frozen=True, slots=True)
class Validated:
    """The configuration that holds, and what is wrong with the rest."""

    config: Config
    problems: tuple[Problem, ...]


class _Report:
    """Collects the problems of one object."""

    def __init__(self, kind: str, body: Object) -> None:
        self.kind, self.name, self.uid = kind, body.metadata.name, body.metadata.uid
        self.problems: list[Problem] = []

    def add(self, path: str, message: str) -> None:
        self.problems.append(Problem(self.kind, self.name, path, message, self.uid))


def validate(
    pools: Iterable[IPAddressPool],
    l2_advertisements: Iterable[L2AdvertisementObject],
    namespaces: Mapping[str, Mapping[str, str]],
) -> Validated:
    """The whole configuration at once; ``namespaces`` maps names to labels."""
    problems: list[Problem] = []
    older: list[Pool] = []  # with their ranges, also of the invalid: a typo hides no overlap
    everyone: list[Pool] = []
    for body in sorted(pools, key=_oldest_first):
        report = _Report("IPAddressPool", body)
        pool = _pool(body, namespaces, older, report)
        older.append(pool)
        problems += report.problems
        if report.problems:
            pool = replace(pool, broken=True, ranges=())
        everyone.append(pool)
    names = [pool.name for pool in everyone]
    advertisements: list[L2Advertisement] = []
    for item in sorted(l2_advertisements, key=_oldest_first):
        report = _Report("L2Advertisement", item)
        advertisement = _l2_advertisement(item, report)
        if not report.problems:
            advertisements.append(advertisement)
        _check_pool_names(item, names, report)
        problems += report.problems
    config = Config(
        pools=tuple(sorted(everyone, key=lambda pool: pool.name)),
        l2_advertisements=tuple(sorted(advertisements, key=lambda item: item.name)),
    )
    return Validated(config, tuple(problems))


def _oldest_first(body: Object) -> tuple[str, str]:
    return body.metadata.creation_timestamp or "", body.metadata.name


# --- pools ---------------------------------------------------------------------------------------


def _pool(
    body: IPAddressPool,
    namespaces: Mapping[str, Mapping[str, str]],
    older: list[Pool],
    report: _Report,
) -> Pool:
    spec = body.spec
    pool = Pool(
        name=body.metadata.name,
        ranges=_ranges(spec.addresses or [], older, report),
        labels=body.metadata.labels or {},
        auto_assign=spec.auto_assign,
        avoid_buggy=spec.avoid_buggy_ips,
    )
    allocation = spec.service_allocation
    if allocation is None:
        return pool
    path = "spec.serviceAllocation"
    chosen: frozenset[str] | None = None
    by_labels = _selectors(allocation.namespace_selectors, f"{path}.namespaceSelectors", report.add)
    if allocation.namespaces or by_labels:
        matched = {name for name, labels in namespaces.items() if any_matches(by_labels, labels)}
        chosen = frozenset(allocation.namespaces or []) | matched
    services = _selectors(allocation.service_selectors, f"{path}.serviceSelectors", report.add)
    if chosen is None and not services:
        services = (Selector(),)  # a priority alone pins the pool to all Services
    return replace(
        pool, priority=allocation.priority, namespaces=chosen, service_selectors=services
    )


def _ranges(entries: list[str], older: list[Pool], report: _Report) -> tuple[Range, ...]:
    if not entries:
        report.add("spec.addresses", "is empty: give at least one CIDR or range")
    ranges: list[Range] = []
    for index, text in enumerate(entries):
        path = f"spec.addresses[{index}]"
        try:
            entry = parse_range(text)
        except AddressError as error:
            report.add(path, str(error))
            continue
        if entry.family is Family.IPV6:
            report.add(path, f'"{text}" is IPv6, which this release does not announce')
        for other in ranges:
            if entry.overlaps(other):
                report.add(path, f'"{text}" overlaps with "{other}" of the same pool')
        for pool in older:
            if any(entry.overlaps(taken) for taken in pool.ranges):
                message = f'"{entry}" overlaps with IPAddressPool/{pool.name}, which is older'
                report.add(path, message)
        ranges.append(entry)
    return tuple(ranges)


# --- advertisements ------------------------------------------------------------------------------


def _l2_advertisement(body: L2AdvertisementObject, report: _Report) -> L2Advertisement:
    spec = body.spec
    preferred = []
    for index, item in enumerate(spec.preferred_node_selectors or []):
        path = f"spec.preferredNodeSelectors[{index}]"
        if not 1 <= item.weight <= 100:
            report.add(f"{path}.weight", f"{item.weight} is not between 1 and 100")
        chosen = _selector(item.preference, f"{path}.preference", report.add)
        preferred.append(PreferredNodes(item.weight, chosen))
    return L2Advertisement(
        name=body.metadata.name,
        pools=frozenset(spec.ip_address_pools or []),
        pool_selectors=_selectors(
            spec.ip_address_pool_selectors, "spec.ipAddressPoolSelectors", report.add
        ),
        node_selectors=_selectors(spec.node_selectors, "spec.nodeSelectors", report.add),
        service_selectors=_selectors(spec.service_selectors, "spec.serviceSelectors", report.add),
        preferred=tuple(preferred),
        interfaces=frozenset(spec.interfaces or []),
    )


def _check_pool_names(body: L2AdvertisementObject, names: list[str], report: _Report) -> None:
    for index, name in enumerate(body.spec.ip_address_pools or []):
        if name in names:
            continue
        near = difflib.get_close_matches(name, names, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else _known(names)
        report.add(f"spec.ipAddressPools[{index}]", f'there is no IPAddressPool "{name}"{hint}')


def _known(names: list[str]) -> str:
    if not names:
        return "; there is no pool at all"
    return "; there are " + ", ".join(f'"{name}"' for name in sorted(names)[:5])


# --- selectors -----------------------------------------------------------------------------------


Add = Callable[[str, str], None]


def _selectors(items: list[LabelSelector] | None, path: str, add: Add) -> tuple[Selector, ...]:
    return tuple(_selector(item, f"{path}[{index}]", add) for index, item in enumerate(items or []))


def _selector(item: LabelSelector, path: str, add: Add) -> Selector:
    found = [
        Requirement(key, "In", frozenset([value]))
        for key, value in sorted((item.match_labels or {}).items())
    ]
    for index, expression in enumerate(item.match_expressions or []):
        where = f"{path}.matchExpressions[{index}]"
        values = frozenset(expression.values or [])
        takes_values = expression.operator in ("In", "NotIn")
        if expression.operator not in OPERATORS:
            add(f"{where}.operator", f'"{expression.operator}" is none of {", ".join(OPERATORS)}')
        elif takes_values and not values:
            add(f"{where}.values", f"{expression.operator} needs at least one value")
        elif values and not takes_values:
            add(f"{where}.values", f"{expression.operator} takes no values")
        found.append(Requirement(expression.key, expression.operator, values))
    return Selector(tuple(found))
