"""Prometheus names, types and labels: dashboards and alerts for MetalLB must go on working."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bellmetal import metrics
from bellmetal.addresses import parse_address
from bellmetal.allocation import Allocations
from bellmetal.config import Pool
from bellmetal.counters import count, measure
from bellmetal.intents import Allocation
from bellmetal.resources import IPAddressPoolStatus
from bellmetal.speaker import Counts
from builders import addresses, allocation, pool

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
    "bellmetal_layer2_foreign_holders": (metrics.FOREIGN_HOLDERS, ["192.0.2.1"]),
    "bellmetal_layer2_not_seen": (metrics.NOT_SEEN, ["192.0.2.1"]),
    "bellmetal_layer2_proofs_total": (metrics.PROOFS, ["seen"]),
    "bellmetal_layer2_ignored_total": (metrics.IGNORED, ["malformed"]),
}
TALLIES = (metrics.REQUESTS_RECEIVED, metrics.RESPONSES_SENT, metrics.GRATUITOUS_SENT)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    for tally in TALLIES:
        tally.clear()
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
    "bellmetal_addresses_orphaned": set(),
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
    "bellmetal_layer2_foreign_holders": {"ip"},
    "bellmetal_layer2_not_seen": {"ip"},
    "bellmetal_layer2_proofs_total": {"result"},
    "bellmetal_layer2_last_proof_timestamp_seconds": set(),
    "bellmetal_layer2_ignored_total": {"reason"},
}


def test_names_and_labels_are_those_of_metallb_and_there_are_no_others() -> None:
    for metric, labels in LABELLED.values():
        metric.labels(*labels)
    for tally in TALLIES:
        tally.add(parse_address("192.0.2.1"), 1)
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
        "bellmetal_layer2_proofs_total",
        "bellmetal_layer2_ignored_total",
    }


def test_counts_on_the_wire_are_counted_by_address() -> None:
    counts = Counts()
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


def counted(pools: list[Pool], granted: dict[str, Allocation]) -> dict[str, IPAddressPoolStatus]:
    counts = count(pools, Allocations(granted))
    measure(pools, counts)
    return counts


def test_pools_are_counted() -> None:
    pools = [pool("main", "192.0.2.0/30"), pool("empty", "192.0.3.0/30")]
    granted = {
        "shop/a": allocation("shop/a", "192.0.2.1"),
        "shop/b": allocation("shop/b", "192.0.2.2"),
    }
    counted(pools, granted)
    found = scraped()
    main, empty = (("pool", "main"),), (("pool", "empty"),)
    assert found["metallb_allocator_addresses_total"] == {main: 4.0, empty: 4.0}
    assert found["metallb_allocator_addresses_in_use_total"] == {main: 2.0, empty: 0.0}


def test_a_pool_that_is_gone_is_counted_no_more() -> None:
    counted([pool()], {})
    counted([], {})
    assert "metallb_allocator_addresses_total" not in scraped()


@pytest.mark.parametrize(
    ("entry", "granted", "expected"),
    [
        pytest.param(pool(), [], (0, 256, 0, 0), id="nothing is assigned"),
        pytest.param(pool(), ["192.0.2.1"], (1, 255, 0, 0), id="one is"),
        pytest.param(pool(), ["198.51.100.1"], (0, 256, 0, 0), id="one that it allows no more"),
        pytest.param(pool(draining=True), ["192.0.2.1"], (1, 0, 0, 0), id="it is draining"),
        pytest.param(
            pool(reserved=dict.fromkeys(addresses("192.0.2.1", "192.0.2.2"), "")),
            ["192.0.2.1"],
            (1, 254, 0, 0),
            id="one of two that are reserved",
        ),
        pytest.param(pool(avoid_buggy=True), [], (0, 254, 0, 0), id="avoided ones do not count"),
        pytest.param(pool("main", "192.0.2.0/32", avoid_buggy=True), [], (0, 0, 0, 0), id="none"),
        pytest.param(
            pool("main", "2001:db8::/32"), ["2001:db8::1"], (0, 0, 1, 2**63 - 1), id="very many"
        ),
    ],
)
def test_the_status_of_a_pool(
    entry: Pool, granted: list[str], expected: tuple[int, int, int, int]
) -> None:
    allocations = {"shop/web": allocation("shop/web", *granted)} if granted else {}
    status = count([entry], Allocations(allocations))["main"]
    assert (
        status.assigned_ipv4,
        status.available_ipv4,
        status.assigned_ipv6,
        status.available_ipv6,
    ) == expected


def test_an_address_that_is_shared_counts_once_and_an_invalid_pool_is_not_counted() -> None:
    shared = {key: allocation(key, "192.0.2.1") for key in ("shop/a", "shop/b")}
    pools = [pool(), pool("broken", broken=True)]
    counts = count(pools, Allocations(shared))
    assert counts["main"].assigned_ipv4 == 1
    assert "broken" not in counts
