"""L2Advertisements and BGPAdvertisements, each by itself. An invalid one is left out.

A pool or a peer that is not there is a problem that leaves the rest of the advertisement in force:
it may come later, and MetalLB ignores it. A community that is not there makes a BGPAdvertisement
invalid, as it keeps MetalLB from loading it: a route without the community that should hold it
back may go where it must not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bellmetal.config import (
    ANNOUNCE_EVERY,
    ANY_SUBNET,
    COMMUNITIES,
    MED,
    NEXT_HOP,
    PREPEND,
    BGPAdvertisement,
    Community,
    L2Advertisement,
    PreferredNodes,
)
from bellmetal.resources import BGPAdvertisement as BGPAdvertisementObject
from bellmetal.resources import BGPAdvertisementSpec, PreferredNodeSelector
from bellmetal.resources import L2Advertisement as L2AdvertisementObject
from bellmetal.validation.annotations import read_annotations
from bellmetal.validation.communities import Aliases
from bellmetal.validation.literals import CommunityError
from bellmetal.validation.report import (
    Report,
    Reports,
    check_known,
    check_unique,
    oldest_first,
)
from bellmetal.validation.selectors import read_selector, read_selectors

MOST_COMMUNITIES = 63
EXCLUSIVE = (
    "serviceSelectors and aggregationLength are mutually exclusive, can only be used together with"
    " default aggregationLength (32) and aggregationLengthV6 (128)"
)


# --- layer 2 -------------------------------------------------------------------------------------


def read_l2_advertisements(
    bodies: Iterable[L2AdvertisementObject], pools: Collection[str], reports: Reports
) -> list[L2Advertisement]:
    """The sound ones; ``pools`` are the names of all pools, invalid ones too."""
    found = []
    for body in oldest_first(bodies):
        report = reports.of("L2Advertisement", body)
        advertisement = _l2_advertisement(body, report)
        check_known(
            body.spec.ip_address_pools or [],
            "spec.ipAddressPools",
            "IPAddressPool",
            pools,
            report,
        )
        if report.sound:
            found.append(advertisement)
    return found


def _l2_advertisement(body: L2AdvertisementObject, report: Report) -> L2Advertisement:
    spec = body.spec
    asked = read_annotations("L2Advertisement", body.metadata.annotations, report)
    check_unique(spec.ip_address_pools or [], "spec.ipAddressPools", "ipAddressPools", report)
    return L2Advertisement(
        name=body.metadata.name,
        preferred=_preferred(spec.preferred_node_selectors or [], report),
        pools=frozenset(spec.ip_address_pools or []),
        pool_selectors=read_selectors(
            spec.ip_address_pool_selectors, "spec.ipAddressPoolSelectors", report
        ),
        node_selectors=read_selectors(spec.node_selectors, "spec.nodeSelectors", report),
        service_selectors=read_selectors(spec.service_selectors, "spec.serviceSelectors", report),
        interfaces=frozenset(spec.interfaces or []),
        any_subnet=asked.get(ANY_SUBNET, False),
        refresh=asked.get(ANNOUNCE_EVERY, 0),
    )


def _preferred(items: list[PreferredNodeSelector], report: Report) -> tuple[PreferredNodes, ...]:
    """Preferences; the same may be said twice, as their weights add up."""
    preferred = []
    for index, item in enumerate(items):
        path = f"spec.preferredNodeSelectors[{index}]"
        if not 1 <= item.weight <= 100:
            report.add(f"{path}.weight", f"{item.weight} is not between 1 and 100")
        chosen = read_selector(item.preference, f"{path}.preference", report, repeats=True)
        preferred.append(PreferredNodes(item.weight, chosen))
    return tuple(preferred)


# --- BGP -----------------------------------------------------------------------------------------


def read_bgp_advertisements(
    bodies: Iterable[BGPAdvertisementObject],
    pools: Collection[str],
    peers: Collection[str],
    aliases: Aliases,
    reports: Reports,
) -> list[tuple[BGPAdvertisement, Report]]:
    """All of them, oldest first, with their reports: others have still to be agreed with."""
    found = []
    for body in oldest_first(bodies):
        report = reports.of("BGPAdvertisement", body)
        found.append((_bgp_advertisement(body, aliases, report), report))
        named = body.spec.ip_address_pools or []
        check_known(named, "spec.ipAddressPools", "IPAddressPool", pools, report)
        check_known(body.spec.peers or [], "spec.peers", "BGPPeer", peers, report)
    return found


def _bgp_advertisement(
    body: BGPAdvertisementObject, aliases: Aliases, report: Report
) -> BGPAdvertisement:
    spec = body.spec
    asked = read_annotations("BGPAdvertisement", body.metadata.annotations, report)
    length, length_v6 = _lengths(spec, report)
    if not 0 <= spec.local_pref < 2**32:
        report.add("spec.localPref", f"{spec.local_pref} is not between 0 and {2**32 - 1}")
    pools, peers = spec.ip_address_pools or [], spec.peers or []
    check_unique(pools, "spec.ipAddressPools", "ipAddressPools", report)
    check_unique(peers, "spec.peers", "peers", report)
    return BGPAdvertisement(
        name=body.metadata.name,
        pools=frozenset(pools),
        pool_selectors=read_selectors(
            spec.ip_address_pool_selectors, "spec.ipAddressPoolSelectors", report
        ),
        node_selectors=read_selectors(spec.node_selectors, "spec.nodeSelectors", report),
        service_selectors=read_selectors(spec.service_selectors, "spec.serviceSelectors", report),
        peers=frozenset(peers),
        aggregation_length=length,
        aggregation_length_v6=length_v6,
        local_pref=spec.local_pref,
        communities=_communities(spec.communities or [], asked, aliases, report),
        med=asked.get(MED),
        prepend=asked.get(PREPEND, 0),
        next_hops=asked.get(NEXT_HOP, ()),
    )


def _lengths(spec: BGPAdvertisementSpec, report: Report) -> tuple[int, int]:
    lengths = []
    for given, most, name, family in (
        (spec.aggregation_length, 32, "aggregationLength", "IPv4"),
        (spec.aggregation_length_v6, 128, "aggregationLengthV6", "IPv6"),
    ):
        length = most if given is None else given
        if not 1 <= length <= most:
            message = f"invalid aggregation length {length} for {family}: must be 1 to {most}"
            report.add(f"spec.{name}", message)
        lengths.append(length)
    if spec.service_selectors and lengths != [32, 128]:
        report.add("spec.serviceSelectors", EXCLUSIVE)
    return lengths[0], lengths[1]


def _communities(
    texts: list[str], asked: Mapping[str, Any], aliases: Aliases, report: Report
) -> tuple[Community, ...]:
    check_unique(texts, "spec.communities", "community", report)
    found: set[Community] = set(asked.get(COMMUNITIES, ()))
    for index, text in enumerate(texts):
        try:
            found.add(aliases.resolve(text))
        except CommunityError as error:
            report.add(f"spec.communities[{index}]", str(error))
    if len(found) > MOST_COMMUNITIES:
        message = f"max supported communities is {MOST_COMMUNITIES}, got {len(found)}"
        report.add("spec.communities", message)
    return tuple(sorted(found))
