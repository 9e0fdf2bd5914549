"""What the controller alone exports to Prometheus: pools, Services, who leads.

All but `LEADING` is the leader's word: a controller that leads no more shows nothing of it.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from bellmetal.metrics import Tally

CONTROLLER = CollectorRegistry()


def _gauge(name: str, documentation: str, *labels: str) -> Gauge:
    return Gauge(name, documentation, labels, registry=CONTROLLER)


LEADING = _gauge("bellmetal_controller_leading", "1 while this controller leads and decides")
ADDRESSES_TOTAL = _gauge(
    "metallb_allocator_addresses_total", "Number of usable IP addresses, per pool", "pool"
)
ADDRESSES_IN_USE = _gauge(
    "metallb_allocator_addresses_in_use_total", "Number of IP addresses in use, per pool", "pool"
)
IPV4_TOTAL = _gauge(
    "metallb_allocator_ipv4_addresses_total", "Number of usable IPv4 addresses, per pool", "pool"
)
IPV4_IN_USE = _gauge(
    "metallb_allocator_ipv4_addresses_in_use_total",
    "Number of IPv4 addresses in use, per pool",
    "pool",
)
IPV6_TOTAL = _gauge(
    "metallb_allocator_ipv6_addresses_total", "Number of usable IPv6 addresses, per pool", "pool"
)
IPV6_IN_USE = _gauge(
    "metallb_allocator_ipv6_addresses_in_use_total",
    "Number of IPv6 addresses in use, per pool",
    "pool",
)
SERVICES_ALLOCATED = _gauge(
    "metallb_allocator_services_allocated_total",
    "Number of Services with an address of the pool",
    "pool",
)
ADDRESSES_ORPHANED = _gauge(
    "bellmetal_addresses_orphaned",
    "Number of IP addresses that Services keep although no pool allows them any more",
)
SERVICES_REFUSED = _gauge(
    "bellmetal_services_refused",
    "Number of Services that are refused the address that they ask for, by reason",
    "reason",
)
SERVICES_WITHHELD = _gauge(
    "bellmetal_services_withheld",
    "Number of Services with an address that is not announced, or not in every way, by reason",
    "reason",
)
SERVICES_RIVALLED = _gauge(
    "bellmetal_services_rivalled", "Number of Services whose status somebody else writes too"
)
NODES_UNSTEADY = _gauge(
    "bellmetal_nodes_unsteady",
    "Number of nodes that came and went too often and get no new addresses for a while",
)
OWNER_CHANGES = Tally(
    "bellmetal_layer2_owner_changes",
    "Number of times that an address got another node as its owner on layer 2",
    CONTROLLER,
)
BY_LABEL = (
    ADDRESSES_TOTAL,
    ADDRESSES_IN_USE,
    IPV4_TOTAL,
    IPV4_IN_USE,
    IPV6_TOTAL,
    IPV6_IN_USE,
    SERVICES_ALLOCATED,
    SERVICES_REFUSED,
    SERVICES_WITHHELD,
)
WITHOUT = (ADDRESSES_ORPHANED, SERVICES_RIVALLED, NODES_UNSTEADY)


def led(leading: bool) -> None:
    """This controller leads from now on, or does no more: then others say how things are."""
    LEADING.set(1 if leading else 0)
    if leading:
        return
    for gauge in BY_LABEL:
        gauge.clear()
    for gauge in WITHOUT:
        gauge.set(0)
    OWNER_CHANGES.clear()
