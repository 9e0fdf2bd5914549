"""What both programs export to Prometheus, by MetalLB's names where it has one; how it is written.

The rest is in `controller_metrics`, `speaker_metrics` and `session_metrics`: a program shows what
it knows, and no empty series of the other one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily

from bellmetal import __version__
from bellmetal.addresses import IPAddress

disable_created_metrics()  # type: ignore[no-untyped-call]  # MetalLB has no such series
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # process_resident_memory_bytes and the like, as Go's has
# Counters whose names do not end in _total, as Prometheus' own library wants it.
SUFFIXED = re.compile(
    rb"\b(metallb_layer2_\w+|metallb_bfd_\w+|metallb_bgp_updates_total_received"
    rb"|metallb_bgp_(?:opens|notifications|keepalives|route_refresh|total)_(?:sent|received))_total\b"
)


def exposition(*more: CollectorRegistry) -> bytes:
    """What both have and ``more``, in Prometheus' text format: some of MetalLB's counters do not
    end in _total."""
    return SUFFIXED.sub(rb"\1", b"".join(generate_latest(item) for item in (REGISTRY, *more)))


def show(gauge: Gauge, values: Mapping[str, float]) -> None:
    """A gauge with one label shows these values and no others."""
    gauge.clear()
    for label, value in values.items():
        gauge.labels(label).set(value)


class Tally:
    """A counter by address, that is added to with every frame.

    Prometheus' own takes 20 µs for a label that is new, in which a host could have been answered.
    Before the first address there is one series without any: so a dashboard finds the program.
    """

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name, self._documentation = name, documentation
        self._values: dict[IPAddress, int] = {}
        registry.register(self)

    def add(self, address: IPAddress, by: int) -> None:
        """So many more."""
        self._values[address] = self._values.get(address, 0) + by

    def keep(self, addresses: Container[IPAddress]) -> None:
        """Drops the series of all others: addresses come and go for months."""
        for address in [item for item in self._values if item not in addresses]:
            del self._values[address]

    def clear(self) -> None:
        """Drops all series."""
        self._values.clear()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What a scrape shows."""
        family = CounterMetricFamily(self._name, self._documentation, labels=["ip"])
        if not self._values:
            family.add_metric([""], 0)
        for address, value in self._values.items():
            family.add_metric([str(address)], value)
        yield family


BUILD = Gauge("bellmetal_build_info", "1; the version runs here", ["version"], registry=REGISTRY)
BUILD.labels(__version__).set(1)
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
EVENTS_DROPPED = Counter(
    "bellmetal_events_dropped",
    "Number of Kubernetes events that were not written: too many, or the API server refused them",
    registry=REGISTRY,
)


@contextlib.contextmanager
def errors_counted() -> Iterator[None]:
    """Counts a pass that fails; the error goes on."""
    try:
        yield
    except Exception:
        UPDATE_ERRORS.inc()
        raise
