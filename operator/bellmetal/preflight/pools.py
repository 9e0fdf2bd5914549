"""Pools against the networks around them: nodes, pods, Services, subnets; and who selects them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from bellmetal.addresses import (
    AddressError,
    IPAddress,
    IPNetwork,
    Range,
    parse_address,
    parse_range,
)
from bellmetal.config import Pool
from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import INSTALLED, POOLS, REPORTED, Check, Finding
from bellmetal.preflight.objects import Node
from bellmetal.preflight.seen import Seen
from bellmetal.preflight.words import MOST, few

# --- that there are any, and selected ------------------------------------------------------------


def none(seen: Seen) -> Iterator[Finding]:
    """A fresh installation: addresses have to be named."""
    if seen.installed and not seen.config.pools:
        yield Finding(
            Code.NO_POOL,
            f"Namespace/{seen.namespace}",
            "there is no IPAddressPool: no Service gets an address",
            "apply an IPAddressPool and an L2Advertisement or BGPAdvertisement (README, Install)",
        )


def stray(seen: Seen) -> Iterator[Finding]:
    """Pools, advertisements and peers of other namespaces than ours."""
    for body in seen.strays:
        meta = body.metadata
        yield Finding(
            Code.STRAY,
            f"{body.kind}/{meta.namespace}/{meta.name}",
            f"it is in namespace {meta.namespace}, and {seen.namespace} alone counts",
            f"apply it with metadata.namespace {seen.namespace}, and delete this one",
        )


def not_advertised(seen: Seen) -> Iterator[Finding]:
    """Services get addresses out of it that nobody answers for."""
    config = seen.config
    advertisements = (*config.l2_advertisements, *config.bgp_advertisements)
    for pool in config.pools:
        if not any(item.selects_pool(pool.name, pool.labels) for item in advertisements):
            names = ", ".join(sorted(item.name for item in advertisements)) or "there is none"
            yield Finding(
                Code.NOT_ADVERTISED,
                _about(pool),
                f"no L2Advertisement or BGPAdvertisement selects it ({names}): Services get its"
                " addresses, and nobody answers for them",
                f"an L2Advertisement with spec.ipAddressPools: [{pool.name}]",
            )


def selects_no_node(seen: Seen) -> Iterator[Finding]:
    """An advertisement for nodes that there are not."""
    kinds = (
        ("L2Advertisement", seen.config.l2_advertisements),
        ("BGPAdvertisement", seen.config.bgp_advertisements),
    )
    labels = [node.metadata.labels or {} for node in seen.nodes]
    for kind, items in kinds:
        for item in items:
            if labels and not any(map(item.selects_node, labels)):
                yield Finding(
                    Code.SELECTS_NO_NODE,
                    f"{kind}/{item.name}",
                    f"its spec.nodeSelectors match none of {len(labels)} nodes: it announces"
                    " nothing",
                    "kubectl get nodes --show-labels",
                )


# --- what they overlap with ----------------------------------------------------------------------


def overlaps_node(seen: Seen) -> Iterator[Finding]:
    """Addresses of nodes: given to a Service, the node would be cut off."""
    for pool in _sound(seen):
        found = [
            f"{address} of node {node.name}"
            for node in seen.nodes
            for address in node_addresses(node)
            if pool.allows(address)
        ]
        if found:
            yield Finding(
                Code.OVERLAPS_NODE,
                _about(pool),
                f"it has {few(found)}: it is given last, and cuts the node off when it is",
                f"take it out of spec.addresses, or kubectl -n {seen.namespace} annotate"
                f" ipaddresspool {pool.name} bellmetal.io/exclude={_excluded(found)}",
            )


def overlaps_pods(seen: Seen) -> Iterator[Finding]:
    """Addresses that pods have or may get."""
    networks = dict.fromkeys(seen.pod_cidrs)
    for node in seen.nodes:
        networks |= dict.fromkeys(node.spec.pod_cidrs or [node.spec.pod_cidr])
    yield from _overlaps(seen, networks, Code.OVERLAPS_PODS, "pods have addresses of")


def overlaps_services(seen: Seen) -> Iterator[Finding]:
    """Addresses that cluster IPs are given out of."""
    networks = dict.fromkeys(seen.service_cidrs)
    yield from _overlaps(seen, networks, Code.OVERLAPS_SERVICES, "Services have cluster IPs of")


def _overlaps(seen: Seen, networks: Iterable[str], code: Code, who: str) -> Iterator[Finding]:
    for pool in _sound(seen):
        found = [
            text
            for text in networks
            if (other := _range(text)) and any(entry.overlaps(other) for entry in pool.ranges)
        ]
        if found:
            yield Finding(
                code,
                _about(pool),
                f"{who} {few(found)}, which overlaps with it: traffic to some addresses never"
                " reaches the LAN, or never comes back",
                "use addresses that nothing else uses",
            )


def unaligned(seen: Seen) -> Iterator[Finding]:
    """A CIDR whose address has bits behind the prefix: it is more than what was written."""
    for body in seen.pools:
        for index, text in enumerate(body.spec.addresses or []):
            entry = None if "-" in text else _range(text)
            address = text.partition("/")[0]
            if entry and address != str(entry.first) and parse_address(address) != entry.first:
                yield Finding(
                    Code.UNALIGNED,
                    f"IPAddressPool/{body.metadata.name}",
                    f"spec.addresses[{index}]: {text} is all of {entry}, {entry.size} addresses,"
                    f" those before {address} too",
                    f"write {_aligned(entry)}, or {address}-{entry.last}",
                )


# --- subnets, as speakers report them ------------------------------------------------------------


def gateways(seen: Seen) -> Iterator[Finding]:
    """A router's own address."""
    known = {
        gateway
        for report in seen.reports
        for item in report.status.interfaces
        for text in item.gateways
        if (gateway := _address(text))
    }
    for pool in _sound(seen):
        if found := [str(one) for one in sorted(known, key=int) if pool.allows(one)]:
            yield Finding(
                Code.HAS_GATEWAY,
                _about(pool),
                f"it has {few(found)}, which is the nodes' router: it is given last, and cuts the"
                " LAN off when it is",
                f"kubectl -n {seen.namespace} annotate ipaddresspool {pool.name}"
                f" bellmetal.io/exclude={found[0]}",
            )


def ends(seen: Seen) -> Iterator[Finding]:
    """Network and broadcast addresses of subnets."""
    for pool in _sound(seen):
        found = [
            str(address)
            for network in sorted(subnets(seen), key=str)
            if network.version == 4 and network.prefixlen < 31
            for address in (network[0], network[-1])
            if pool.allows(address)
        ]
        if found:
            yield Finding(
                Code.HAS_ENDS,
                _about(pool),
                f"it has {few(found)}, the first or last address of a subnet: many devices do not"
                " speak to it; it is given last",
                "spec.avoidBuggyIPs: true, or a range without it",
            )


def dhcp(seen: Seen) -> Iterator[Finding]:
    """A pool in the nodes' subnet is as it should be, as long as no other takes from it."""
    for pool in _for_layer2(seen):
        inside = [str(net) for net in sorted(subnets(seen), key=str) if _inside(pool, net)]
        if inside:
            yield Finding(
                Code.DHCP,
                _about(pool),
                f"it is in {few(inside)}, where the nodes are",
                "keep it out of the range that DHCP gives out there",
            )


def outside(seen: Seen) -> Iterator[Finding]:
    """Only layer 2 announces it, and nobody on the LAN would ask for it."""
    known = subnets(seen)
    by_bgp = seen.config.bgp_advertisements
    for pool in _for_layer2(seen):
        if any(item.selects_pool(pool.name, pool.labels) for item in by_bgp):
            continue
        versions = {net.version for net in known}
        out = [
            entry
            for entry in pool.ranges
            if entry.first.version in versions and not any(_meets(entry, net) for net in known)
        ]
        if out:
            yield Finding(
                Code.OUTSIDE,
                _about(pool),
                f"{few(map(str, out))} is in no subnet of any node ({few(map(str, known))}), and"
                " only an L2Advertisement selects it: who is on the LAN asks a router for it",
                "use addresses of the nodes' subnet, give the router a route to it, or announce it"
                " by BGP",
            )


def subnets(seen: Seen) -> list[IPNetwork]:
    """The nodes' subnets, as their speakers report them."""
    found: set[IPNetwork] = set()
    for report in seen.reports:
        for item in report.status.interfaces:
            for text in item.subnets if item.up else ():
                try:
                    interface = ipaddress.ip_interface(text)
                except ValueError:  # its speaker is at fault
                    continue
                if not interface.is_link_local and not interface.is_loopback:
                    found.add(interface.network)
    return sorted(found, key=lambda net: (net.version, int(net.network_address)))


_POOLS, _LAN = (POOLS,), (POOLS, REPORTED)
CHECKS = (
    Check("there are pools", none, ("config", "deployments"), (INSTALLED,)),
    Check(
        "all configuration is in the right namespace",
        stray,
        ("strays", "deployments"),
        (INSTALLED,),
    ),
    Check("every pool is advertised", not_advertised, ("config",), _POOLS),
    Check("every advertisement has nodes", selects_no_node, ("config", "nodes"), _POOLS),
    Check("no pool has a node's address", overlaps_node, ("config", "nodes"), _POOLS),
    Check("no pool overlaps with pods' addresses", overlaps_pods, ("config", "nodes"), _POOLS),
    Check(
        "no pool overlaps with cluster IPs", overlaps_services, ("config", "service_cidrs"), _POOLS
    ),
    Check("every CIDR is aligned", unaligned, ("pools",), _POOLS),
    Check("no pool has a router's address", gateways, ("config", "reports"), _LAN),
    Check("no pool has a subnet's first or last address", ends, ("config", "reports"), _LAN),
    Check("no pool is where DHCP may be", dhcp, ("config", "reports"), _LAN),
    Check("pools for layer 2 are in the nodes' subnets", outside, ("config", "reports"), _LAN),
)


# --- ranges --------------------------------------------------------------------------------------


def node_addresses(node: Node) -> list[IPAddress]:
    """What its status says, names left out."""
    found = (_address(item.address) for item in node.status.addresses)
    return [address for address in found if address]


def _sound(seen: Seen) -> list[Pool]:
    """What is broken is a problem already."""
    return [pool for pool in seen.config.pools if not pool.broken]


def _for_layer2(seen: Seen) -> Iterator[Pool]:
    for pool in _sound(seen):
        selecting = [
            item
            for item in seen.config.l2_advertisements
            if item.selects_pool(pool.name, pool.labels)
        ]
        if selecting and not any(item.any_subnet for item in selecting):
            yield pool


def _inside(pool: Pool, network: IPNetwork) -> bool:
    return any(_meets(entry, network) for entry in pool.ranges)


def _meets(entry: Range, network: IPNetwork) -> bool:
    return entry.overlaps(Range(network[0], network[-1]))


def _range(text: str) -> Range | None:
    try:
        return parse_range(text)
    except AddressError:  # whose it is has its own problem
        return None


def _address(text: str) -> IPAddress | None:
    try:
        return parse_address(text)
    except AddressError:
        return None


def _aligned(entry: Range) -> str:
    return str(next(ipaddress.summarize_address_range(entry.first, entry.last)))


def _excluded(found: list[str]) -> str:
    return ",".join(text.partition(" ")[0] for text in found[:MOST])


def _about(pool: Pool) -> str:
    return f"IPAddressPool/{pool.name}"
