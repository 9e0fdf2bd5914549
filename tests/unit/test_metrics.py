"""Prometheus names, types and labels: dashboards and alerts for MetalLB must go on working."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from bellmetal import controller_metrics, metrics, speaker_metrics
from bellmetal.addresses import parse_address
from bellmetal.allocation import Allocations
from bellmetal.config import Pool
from bellmetal.controller_metrics import CONTROLLER, OWNER_CHANGES, led
from bellmetal.counters import count, measure
from bellmetal.facts import Finding
from bellmetal.intents import Allocation, Refused, RefusedReason
from bellmetal.resources import IPAddressPoolStatus
from bellmetal.session_metrics import SessionCollector
from bellmetal.speaker_metrics import SPEAKER, Counts, MembersCollector, find, tally
from bgp_facts import bfd, up
from builders import addresses, allocation, pool
from metric_names import ALL, BOTH, DASHBOARD_20162, METALLB

LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
REGISTRIES = {"controller": CONTROLLER, "speaker": SPEAKER}
ADDRESS = parse_address("192.0.2.1")
TALLIES = (
    speaker_metrics.REQUESTS_RECEIVED,
    speaker_metrics.RESPONSES_SENT,
    speaker_metrics.GRATUITOUS_SENT,
)
LABELLED = (
    speaker_metrics.FOREIGN_HOLDERS,
    speaker_metrics.NOT_SEEN,
    speaker_metrics.PROOFS,
    speaker_metrics.IGNORED,
    speaker_metrics.FINDINGS,
)
Series = dict[tuple[tuple[str, str], ...], float]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    for metric in (*TALLIES, *LABELLED):
        metric.clear()
    speaker_metrics.ANNOUNCED.clear()
    led(False)


def scraped(*registries: CollectorRegistry) -> dict[str, Series]:
    """What a scrape shows: name → labels → value."""
    found: dict[str, Series] = {}
    for line in metrics.exposition(*registries).decode().splitlines():
        if not line.startswith("#"):
            name, labels, value = LINE.fullmatch(line).groups("")  # type: ignore[union-attr]
            found.setdefault(name, {})[tuple(LABEL.findall(labels))] = float(value)
    return found


def types(registry: CollectorRegistry) -> dict[str, str]:
    """What a scrape says of types: name → type."""
    lines = metrics.exposition(registry).decode().splitlines()
    return dict(line.split()[2:] for line in lines if line.startswith("# TYPE "))


@pytest.fixture
def busy() -> Iterator[None]:
    """Everything has a value: a pool, a refusal, an address on layer 2, a session with BFD."""
    members = MembersCollector(lambda: {"alive": 3})
    sessions = SessionCollector(lambda: [up(bfd=bfd())])
    for collector in (members, sessions):
        SPEAKER.register(collector)
    counted([pool()], {"shop/a": allocation("shop/a", "192.0.2.1")})
    metrics.show(controller_metrics.SERVICES_WITHHELD, {"noEndpoints": 1})
    led(True)
    OWNER_CHANGES.add(ADDRESS, 1)
    for each in TALLIES:
        each.add(ADDRESS, 1)
    speaker_metrics.ANNOUNCED.of("layer2", "n1", lambda: [("shop/web", "192.0.2.1")])
    for gauge in (speaker_metrics.FOREIGN_HOLDERS, speaker_metrics.NOT_SEEN):
        gauge.labels(str(ADDRESS)).set(1)
    tally("proofs", "seen")
    tally("ignored", "malformed")
    find([Finding("proxyArp", "")])
    yield
    for collector in (members, sessions):
        SPEAKER.unregister(collector)


@pytest.mark.parametrize("who", REGISTRIES)
def test_names_types_and_labels_are_in_the_table_and_there_are_no_others(
    busy: None, who: str
) -> None:
    found = scraped(REGISTRIES[who])
    shown = types(REGISTRIES[who])
    labels = {
        name: frozenset(key for labels in series for key, _ in labels)
        for name, series in found.items()
    }
    ours = {name: item for name, item in ALL.items() if item.who in (BOTH, who)}
    assert {name: (shown[name], labels[name]) for name in found} == {
        name: (item.type, item.labels) for name, item in ours.items()
    }


@pytest.mark.parametrize("who", REGISTRIES)
def test_metallbs_families_are_there_from_the_start(who: str) -> None:
    wanted = {name: item for name, item in METALLB.items() if item.who in (BOTH, who)}
    shown = types(REGISTRIES[who])
    assert {name: shown.get(name) for name in wanted} == {
        name: item.type for name, item in wanted.items()
    }


def test_all_that_dashboard_20162_asks_for_has_series_before_the_first_address() -> None:
    counted([pool()], {})
    found = scraped(CONTROLLER, SPEAKER)
    assert len(DASHBOARD_20162) == 13
    assert {name: found.get(name) for name in DASHBOARD_20162 if not found.get(name)} == {}


def test_counts_on_the_wire_are_counted_by_address() -> None:
    counts = Counts()
    assert scraped(SPEAKER)["metallb_layer2_requests_received"] == {(("ip", ""),): 0.0}
    counts("gratuitous_sent", ADDRESS, 2)
    counts("gratuitous_sent", ADDRESS)
    counts("requests_received", ADDRESS)
    counts("responses_sent", ADDRESS)
    found = scraped(SPEAKER)
    assert [
        found[f"metallb_layer2_{name}"]
        for name in ("gratuitous_sent", "requests_received", "responses_sent")
    ] == [{(("ip", "192.0.2.1"),): value} for value in (3.0, 1.0, 1.0)]


def test_of_addresses_that_are_announced_no_more_nothing_is_kept() -> None:
    counts, other = Counts(), ADDRESS + 1
    for address in (ADDRESS, other):
        counts("gratuitous_sent", address)
    counts.keep({other: "announced"})
    found = scraped(SPEAKER)["metallb_layer2_gratuitous_sent"]
    assert found == {(("ip", "192.0.2.2"),): 1.0}


def test_what_is_withdrawn_is_shown_no_more() -> None:
    announced = [("shop/web", "192.0.2.1"), ("shop/api", "192.0.2.2")]
    speaker_metrics.ANNOUNCED.of("layer2", "n1", lambda: announced)
    assert len(scraped(SPEAKER)["metallb_speaker_announced"]) == 2
    announced.pop()
    (labels,) = scraped(SPEAKER)["metallb_speaker_announced"]
    assert dict(labels)["service"] == "shop/web"
    announced.clear()
    assert "metallb_speaker_announced" not in scraped(SPEAKER)


def test_a_session_that_is_gone_leaves_no_series() -> None:
    sessions = [up(bfd=bfd())]
    collector = SessionCollector(lambda: sessions)
    SPEAKER.register(collector)
    try:
        assert "metallb_bfd_session_up" in scraped(SPEAKER)
        sessions.clear()
        assert not [name for name in scraped(SPEAKER) if "_bgp_" in name or "_bfd_" in name]
    finally:
        SPEAKER.unregister(collector)


def test_a_finding_that_is_mended_is_shown_no_more() -> None:
    find([Finding("proxyArp", "one"), Finding("proxyArp", "two"), Finding("keyLate", "")])
    found = scraped(SPEAKER)["bellmetal_speaker_findings"]
    assert found == {(("code", "proxyArp"),): 2.0, (("code", "keyLate"),): 1.0}
    find([])
    assert "bellmetal_speaker_findings" not in scraped(SPEAKER)


def test_who_leads_no_more_says_nothing_of_pools_and_services() -> None:
    led(True)
    counted([pool()], {})
    controller_metrics.ADDRESSES_ORPHANED.set(2)
    assert scraped(CONTROLLER)["bellmetal_controller_leading"] == {(): 1.0}
    led(False)
    found = scraped(CONTROLLER)
    assert found["bellmetal_controller_leading"] == found["bellmetal_addresses_orphaned"] == {(): 0}
    assert not [name for name in found if "allocator" in name or "refused" in name]


def test_a_pass_that_fails_is_counted() -> None:
    def errors() -> float:
        return scraped()["metallb_k8s_client_update_errors_total"][()]

    before = errors()
    with pytest.raises(ValueError, match="no"), metrics.errors_counted():
        raise ValueError("no")
    assert errors() == before + 1


def counted(
    pools: list[Pool],
    granted: dict[str, Allocation],
    refused: dict[str, Refused] | None = None,
) -> dict[str, IPAddressPoolStatus]:
    allocations = Allocations(granted, refused or {})
    counts = count(pools, allocations)
    measure(pools, counts, allocations)
    return counts


def test_pools_are_counted() -> None:
    pools = [pool("main", "192.0.2.0/30"), pool("empty", "192.0.3.0/30")]
    granted = {
        "shop/a": allocation("shop/a", "192.0.2.1"),
        "shop/b": allocation("shop/b", "192.0.2.2"),
    }
    counted(pools, granted)
    found = scraped(CONTROLLER)
    main, empty = (("pool", "main"),), (("pool", "empty"),)
    assert found["metallb_allocator_addresses_total"] == {main: 4.0, empty: 4.0}
    assert found["metallb_allocator_addresses_in_use_total"] == {main: 2.0, empty: 0.0}
    assert found["metallb_allocator_services_allocated_total"] == {main: 2.0, empty: 0.0}


def test_two_services_that_share_an_address_are_two_services() -> None:
    counted([pool()], {key: allocation(key, "192.0.2.1") for key in ("shop/a", "shop/b")})
    found = scraped(CONTROLLER)
    (in_use,) = found["metallb_allocator_addresses_in_use_total"].values()
    (services,) = found["metallb_allocator_services_allocated_total"].values()
    assert (in_use, services) == (1.0, 2.0)


def test_refusals_are_counted_by_reason_and_every_reason_is_shown() -> None:
    item = Refused("shop/a", RefusedReason.QUOTA, "no")
    more = Refused("shop/b", RefusedReason.NO_ADDRESS_LEFT, "no", additional=True)
    counted([], {}, {"shop/a": item, "shop/b": more})
    found = scraped(CONTROLLER)["bellmetal_services_refused"]
    assert {dict(labels)["reason"]: value for labels, value in found.items()} == {
        reason.value: float(reason is RefusedReason.QUOTA) for reason in RefusedReason
    }


def test_a_pool_that_is_gone_is_counted_no_more() -> None:
    counted([pool()], {})
    counted([], {})
    assert "metallb_allocator_addresses_total" not in scraped(CONTROLLER)


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
