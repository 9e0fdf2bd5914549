"""Which advertisements select a Service's address, and what keeps each node from announcing it."""

from __future__ import annotations

from dataclasses import replace

from bellmetal.addresses import IPAddress
from bellmetal.cluster import Cluster, Service
from bellmetal.config import Advertisement, BGPAdvertisement
from bellmetal.eligibility import Eligibility
from bellmetal.planning import lacks


def selecting(cluster: Cluster, service: Service, pool: str) -> list[Advertisement]:
    """The advertisements of both kinds that select the Service's addresses of a pool."""
    found = cluster.config.pool(pool)
    labels = found.labels if found else {}
    every: list[Advertisement] = [
        *cluster.config.l2_advertisements,
        *cluster.config.bgp_advertisements,
    ]
    return [
        item
        for item in every
        if item.selects_pool(pool, labels) and item.selects_service(service.labels)
    ]


def lacking(cluster: Cluster, service: Service, pool: str, address: IPAddress) -> dict[str, str]:
    """Node → why it may announce the address neither on layer 2 nor by BGP, for those that may not.

    Empty where nothing selects the address: that is no node's fault.
    """
    # where its endpoints are is another link's
    service = replace(service, local_only=False)
    chosen = selecting(cluster, service, pool)
    by_bgp = [item for item in chosen if isinstance(item, BGPAdvertisement)]
    selection = Eligibility(cluster).selection(service, pool)
    found = {}
    for name in sorted(cluster.nodes):
        reasons = []
        if selection:
            reasons.append(lacks(cluster, selection, service, address, name))
        if by_bgp:
            reasons.append(_lacks_route(cluster, by_bgp, name))
        if reasons and all(reasons):
            why = "; ".join(dict.fromkeys(reasons))
            found[name] = why if why.startswith(name) else f"{name}: {why}"
    return found


def _lacks_route(cluster: Cluster, advertisements: list[BGPAdvertisement], name: str) -> str:
    """What keeps a node from announcing anything by BGP; empty: nothing."""
    node = cluster.nodes[name]
    if node.network_unavailable:
        return f"{name} has no network"
    if node.excluded and not cluster.ignore_exclude_label:
        return f"{name} has the label {node.EXCLUDED}"
    if not any(item.selects_node(node.labels) for item in advertisements):
        names = ", ".join(item.name for item in advertisements)
        return f"BGPAdvertisement {names} does not select {name}"
    return ""
