"""Prometheus names, types and labels: dashboards and alerts for MetalLB must go on working."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bellmetal import metrics
from bellmetal.addresses import parse_address
from bellmetal.allocation import Allocations
from bellmetal.notices import count_pools
from bellmetal.speaker import _Counts
from bellmetal.world import World
from builders import allocation, pool_object

LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
LABELLED = {
    "metallb_allocator_addresses_total": (metrics.ADDRESSES_TOTAL, ["main"]),
    "metallb_allocator_addresses_in_use_total": (metrics.ADDRESSES_IN_USE, ["main"]),
    "metallb_allocator_ipv4_addresses_total": (metrics.IPV4_TOTAL, ["main"]),
    "metallb_allocator_ipv4_addresses_in_use_total": (metrics.IPV4_IN_USE, ["main"]),
    "metallb_allocator_ipv6_addresses_total": (metrics.IPV6_TOTAL, ["main"]),
    "metallb_allocator_ipv6_addresses_in_use_total": (metrics.IPV6_IN_USE, ["main"]),
    "metallb_speaker_announced": (metrics.ANNOUNCED, ["shop/web", "layer2", "n1", "192.0.2.1"]),
    "metallb_layer2_requests_received": (metrics.REQUESTS_RECEIVED, ["192.0.2.1"]),
    "metallb_layer2_responses_sent": (metrics.RESPONSES_SENT, ["192.0.2.1"]),
    "metallb_layer2_gratuitous_sent": (metrics.GRATUITOUS_SENT, ["192.0.2.1"]),
}


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    for metric, _ in LABELLED.values():
        metric.clear()


def scraped() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """What a scrape shows: name → labels → value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for line in metrics.exposition().decode().splitlines():
        if not line.startswith("#"):
            name, labels, value = LINE.fullmatch(line).groups("")  # type: ignore[union-attr]
            found.setdefault(name, {})[tuple(LABEL.findall(labels))] = float(value)
    return found


def types() -> dict[str, str]:
    """What a scrape says of types: name → type."""
    lines = metrics.exposition().decode().splitlines()
    return dict(line.split()[2:] for line in lines if line.startswith("# TYPE "))


NAMES = {
    "metallb_allocator_addresses_total": {"pool"},
    "metallb_allocator_addresses_in_use_total": {"pool"},
    "metallb_allocator_ipv4_addresses_total": {"pool"},
    "metallb_allocator_ipv4_addresses_in_use_total": {"pool"},
    "metallb_allocator_ipv6_addresses_total": {"pool"},
    "metallb_allocator_ipv6_addresses_in_use_total": {"pool"},
    "metallb_k8s_client_updates_total": set(),
    "metallb_k8s_client_update_errors_total": set(),
    "metallb_k8s_client_config_loaded_bool": set(),
    "metallb_k8s_client_config_stale_bool": set(),
    "metallb_speaker_announced": {"service", "protocol", "node", "ip"},
    "metallb_layer2_requests_received": {"ip"},
    "metallb_layer2_responses_sent": {"ip"},
    "metallb_layer2_gratuitous_sent": {"ip"},
}


def test_names_and_labels_are_those_of_metallb_and_there_are_no_others() -> None:
    for metric, labels in LABELLED.values():
        metric.labels(*labels)
    found = {
        name: {key for labels in samples for key, _ in labels}
        for name, samples in scraped().items()
    }
    assert found == NAMES


def test_types_are_those_of_metallb() -> None:
    counters = {name for name, type_ in types().items() if type_ == "counter"}
    assert types().keys() == NAMES.keys()
    assert counters == {
        "metallb_k8s_client_updates_total",
        "metallb_k8s_client_update_errors_total",
        "metallb_layer2_requests_received",
        "metallb_layer2_responses_sent",
        "metallb_layer2_gratuitous_sent",
    }


def test_counts_on_the_wire_are_counted_by_address() -> None:
    counts = _Counts()
    address = parse_address("192.0.2.1")
    counts("gratuitous_sent", address, 2)
    counts("gratuitous_sent", address)
    counts("requests_received", address)
    counts("responses_sent", address)
    key = (("ip", "192.0.2.1"),)
    found = scraped()
    assert [
        found[f"metallb_layer2_{name}"][key]
        for name in ("gratuitous_sent", "requests_received", "responses_sent")
    ] == [3.0, 1.0, 1.0]


def test_pools_are_counted() -> None:
    world = World("", False)
    world.pools.take_all(
        [pool_object("main", "192.0.2.0/30"), pool_object("empty", "192.0.3.0/30")]
    )
    granted = {
        "shop/a": allocation("shop/a", "192.0.2.1"),
        "shop/b": allocation("shop/b", "192.0.2.2"),
    }
    count_pools(world, Allocations(granted))
    found = scraped()
    main, empty = (("pool", "main"),), (("pool", "empty"),)
    assert found["metallb_allocator_addresses_total"] == {main: 4.0, empty: 4.0}
    assert found["metallb_allocator_addresses_in_use_total"] == {main: 2.0, empty: 0.0}


def test_a_pool_that_is_gone_is_counted_no_more() -> None:
    world = World("", False)
    world.pools.take_all([pool_object("main")])
    count_pools(world, Allocations())
    world.pools.take_all([])
    count_pools(world, Allocations())
    assert "metallb_allocator_addresses_total" not in scraped()
