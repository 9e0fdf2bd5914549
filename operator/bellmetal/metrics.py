"""Prometheus names and labels, MetalLB's where it has one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily

from bellmetal.addresses import IPAddress

disable_created_metrics()  # type: ignore[no-untyped-call]  # MetalLB has no such series
REGISTRY = CollectorRegistry()
SUFFIXED = re.compile(rb"\b(metallb_layer2_\w+)_total\b")


def forget(gauge: Gauge) -> None:
    """Drops all series of a gauge."""
    gauge.clear()


def exposition() -> bytes:
    """All of them in Prometheus' text format: MetalLB's layer-2 counters do not end in _total."""
    return SUFFIXED.sub(rb"\1", generate_latest(REGISTRY))


class Tally:
    """A counter by address, that an announcer adds to with every frame.

    Prometheus' own takes 20 µs for a label that is new, in which a host could have been answered.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self._name, self._documentation = name, documentation
        self._values: dict[IPAddress, int] = {}
        REGISTRY.register(self)

    def add(self, address: IPAddress, by: int) -> None:
        """So many more."""
        self._values[address] = self._values.get(address, 0) + by

    def clear(self) -> None:
        """Drops all series."""
        self._values.clear()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What a scrape shows."""
        family = CounterMetricFamily(self._name, self._documentation, labels=["ip"])
        for address, value in self._values.items():
            family.add_metric([str(address)], value)
        yield family


ADDRESSES_TOTAL = Gauge(
    "metallb_allocator_addresses_total",
    "Number of usable IP addresses, per pool",
    ["pool"],
    registry=REGISTRY,
)
ADDRESSES_IN_USE = Gauge(
    "metallb_allocator_addresses_in_use_total",
    "Number of IP addresses in use, per pool",
    ["pool"],
    registry=REGISTRY,
)
ADDRESSES_ORPHANED = Gauge(
    "bellmetal_addresses_orphaned",
    "Number of IP addresses that Services keep although no pool allows them any more",
    registry=REGISTRY,
)
IPV4_TOTAL = Gauge(
    "metallb_allocator_ipv4_addresses_total",
    "Number of usable IPv4 addresses, per pool",
    ["pool"],
    registry=REGISTRY,
)
IPV4_IN_USE = Gauge(
    "metallb_allocator_ipv4_addresses_in_use_total",
    "Number of IPv4 addresses in use, per pool",
    ["pool"],
    registry=REGISTRY,
)
IPV6_TOTAL = Gauge(
    "metallb_allocator_ipv6_addresses_total",
    "Number of usable IPv6 addresses, per pool",
    ["pool"],
    registry=REGISTRY,
)
IPV6_IN_USE = Gauge(
    "metallb_allocator_ipv6_addresses_in_use_total",
    "Number of IPv6 addresses in use, per pool",
    ["pool"],
    registry=REGISTRY,
)
UPDATES = Counter(
    "metallb_k8s_client_updates",
    "Number of changes of Kubernetes objects that have been processed",
    registry=REGISTRY,
)
UPDATE_ERRORS = Counter(
    "metallb_k8s_client_update_errors",
    "Number of passes over changed Kubernetes objects that failed",
    registry=REGISTRY,
)
CONFIG_LOADED = Gauge(
    "metallb_k8s_client_config_loaded_bool",
    "1 if the configuration was loaded at least once",
    registry=REGISTRY,
)
CONFIG_STALE = Gauge(
    "metallb_k8s_client_config_stale_bool",
    "1 if some object of the configuration is invalid and so not in force",
    registry=REGISTRY,
)
ANNOUNCED = Gauge(
    "metallb_speaker_announced",
    "1 while this node announces the address",
    ["service", "protocol", "node", "ip"],
    registry=REGISTRY,
)
REQUESTS_RECEIVED = Tally(
    "metallb_layer2_requests_received",
    "Number of ARP requests and neighbour solicitations for addresses that this node owns",
)
RESPONSES_SENT = Tally(
    "metallb_layer2_responses_sent",
    "Number of ARP replies and neighbour advertisements sent for addresses that this node owns",
)
GRATUITOUS_SENT = Tally(
    "metallb_layer2_gratuitous_sent",
    "Number of gratuitous ARP packets and unsolicited neighbour advertisements sent",
)
FOREIGN_HOLDERS = Gauge(
    "bellmetal_layer2_foreign_holders",
    "1 while a device that is no node has the address too, as this node sees it",
    ["ip"],
    registry=REGISTRY,
)
NOT_SEEN = Gauge(
    "bellmetal_layer2_not_seen",
    "1 while the LAN does not see the address where its owner announces it, asked by this node",
    ["ip"],
    registry=REGISTRY,
)
PROOFS = Counter(
    "bellmetal_layer2_proofs",
    "Number of questions to the LAN for addresses of other nodes, by what came of them",
    ["result"],
    registry=REGISTRY,
)
PROOF_TIME = Gauge(
    "bellmetal_layer2_last_proof_timestamp_seconds",
    "When this node last saw that the LAN sees another node's address, seconds since 1970",
    registry=REGISTRY,
)
IGNORED = Counter(
    "bellmetal_layer2_ignored",
    "Number of frames that seemed to claim one of our addresses and were not believed, by reason",
    ["reason"],
    registry=REGISTRY,
)
