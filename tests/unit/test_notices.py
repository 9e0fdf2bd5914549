"""What people are told, once per change of mind."""

from __future__ import annotations

import logging

import pytest

from bellmetal import metrics, resources
from bellmetal.addresses import parse_address
from bellmetal.allocation import Allocations
from bellmetal.cluster import Service
from bellmetal.intents import Refused, RefusedReason, Withheld, WithheldReason
from bellmetal.notices import PATIENCE, Notices
from bellmetal.world import World
from bellmetal.writer import not_announced, service_patches
from builders import (
    allocation,
    holder,
    pool_object,
    service,
    service_object,
)
from noted import Noted

NONE_LEFT = Refused("shop/web", RefusedReason.NO_ADDRESS_LEFT, "no available IPs")
NO_ENDPOINTS = Withheld(
    "shop/web",
    parse_address("192.0.2.1"),
    WithheldReason.NO_ENDPOINTS,
    "the Service has no endpoint that serves",
)


class Told:
    """Notices about a world with Service shop/web in it."""

    def __init__(self, shown: str = "") -> None:
        self.world, self.events = World("", False), Noted()
        self.world.services.take(service_object(ingress=[shown] if shown else []))
        self.notices = Notices(self.world, self.events)
        self.later: list[float] = []

    def patched(self, *given: str, refused: Refused | None = None, **fields: object) -> list[str]:
        granted = {"shop/web": allocation("shop/web", *given)} if given else {}
        noun = service("shop/web", **fields)  # type: ignore[arg-type]
        refusals = {"shop/web": refused} if refused else {}
        for patch in service_patches({"shop/web": noun}, Allocations(granted, refusals)):
            self.notices.patched(patch)
        return self.news()

    def withheld(self, now: float, *items: Withheld) -> list[str]:
        self.notices.withheld(items, now, self.later.append)
        return self.news()

    def problems(self, *entries: str) -> list[str]:
        self.world.pools.take(pool_object("main", *entries))
        self.notices.problems(self.world.validated().problems)
        return self.news()

    def orphans(self, *orphaned: str) -> list[str]:
        lost = ((parse_address("192.0.2.1"), ""),)
        granted = {key: allocation(key, "192.0.2.1", orphaned=lost) for key in orphaned}
        self.notices.allocated(Allocations(granted))
        return self.news()

    def news(self) -> list[str]:
        lines, self.events.lines = self.events.lines, []
        return lines


# --- Services ------------------------------------------------------------------------------------


def test_an_address_that_is_given() -> None:
    assert Told().patched("192.0.2.1") == [
        'Service/web Normal IPAllocated: Assigned IP ["192.0.2.1"]'
    ]


def test_an_address_that_is_given_instead_of_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = Told().patched("192.0.2.1", shown="192.0.2.9", shown_pool="main")
    assert told == ['Service/web Normal IPAllocated: Assigned IP ["192.0.2.1"]']
    assert caplog.messages == ['assigned ["192.0.2.1"] instead of ["192.0.2.9"]']


def test_a_pool_of_another_name_is_no_news() -> None:
    assert Told().patched("192.0.2.1", shown="192.0.2.1", shown_pool="old") == []


def test_an_address_that_is_given_in_addition() -> None:
    told = Told().patched("192.0.2.1", "2001:db8::1", shown="192.0.2.1", shown_pool="main")
    assert told == ['Service/web Normal IPAllocated: Assigned additional IP "2001:db8::1"']


def test_an_address_of_two_that_is_given_back_is_no_news_of_the_other() -> None:
    both = ["192.0.2.1", "2001:db8::1"]
    assert Told().patched("192.0.2.1", shown=both, shown_pool="main") == []


def test_deprecated_annotations_are_told_with_the_address() -> None:
    told = Told().patched("192.0.2.1", deprecated=("metallb.universe.tf/address-pool",))
    assert told[1:] == [
        "Service/web Warning deprecatedAnnotation:"
        " Service uses deprecated annotation metallb.universe.tf/address-pool"
    ]


@pytest.mark.parametrize(
    ("refused", "shown", "news"),
    [
        pytest.param(
            Refused("shop/web", RefusedReason.BAD_REQUEST, "what?"),
            "192.0.2.1",
            "LoadBalancerFailed: invalid requested loadbalancer IPs: what?",
            id="a request that cannot be understood, of one that has an address",
        ),
        pytest.param(
            Refused("shop/web", RefusedReason.BAD_REQUEST, "what?"),
            "",
            'AllocationFailed: Failed to allocate IP for "shop/web": what?',
            id="and of one that has none",
        ),
        pytest.param(
            Refused("shop/web", RefusedReason.NOT_ENOUGH_CLUSTER_IPS, "Service requires two"),
            "",
            "not enough clusterips: Service requires two",
            id="too few cluster IPs",
        ),
    ],
)
def test_refusals_by_metallbs_reasons(refused: Refused, shown: str, news: str) -> None:
    has = [shown] if shown else []
    told = Told().patched(*has, refused=refused, shown=has, shown_pool="main" if has else "")
    assert told == [f"Service/web Warning {news}"]


def test_an_address_that_it_loses_and_one_that_it_lacks_are_told_once() -> None:
    told = Told()
    told.world.services.take(service_object(ip_family_policy="PreferDualStack"))
    lacking = Refused("shop/web", RefusedReason.NO_ADDRESS_LEFT, "no IPv6", additional=True)
    granted = {"shop/web": allocation("shop/web", "192.0.2.1")}
    cleared = {"shop/web": "pool main not compatible for ip assignment"}
    told.notices.allocated(Allocations(granted, {"shop/web": lacking}, cleared))
    assert told.news() == [
        'Service/web Normal ClearAssignment: current IP for "shop/web" not allowed by config,'
        " will attempt for new IP assignment: pool main not compatible for ip assignment",
        "Service/web Normal AdditionalAssignFailed:"
        " cannot assign additional IP in PreferDualStack: no IPv6",
    ]
    told.notices.allocated(Allocations(granted, {"shop/web": lacking}))
    assert told.news() == []


def test_a_refusal() -> None:
    assert Told().patched(refused=NONE_LEFT) == [
        'Service/web Warning AllocationFailed: Failed to allocate IP for "shop/web":'
        " no available IPs"
    ]


@pytest.mark.parametrize(
    ("loser", "has", "news"),
    [
        pytest.param(
            service("shop/web"),
            [],
            ['Service/web Normal IPFreed: Freed IP ["192.0.2.1"]'],
            id="it is told",
        ),
        pytest.param(
            service("shop/web"), ["192.0.2.2"], [], id="but not to one that has another now"
        ),
        pytest.param(service("shop/gone"), [], [], id="nor to one that is gone"),
        pytest.param(
            service("shop/web", uid="former"), [], [], id="nor to another one of that name"
        ),
    ],
)
def test_an_address_that_the_ledger_takes_back(
    loser: Service, has: list[str], news: list[str]
) -> None:
    told = Told()
    granted = {"shop/web": allocation("shop/web", *has)} if has else {}
    losses = [(holder(loser), parse_address("192.0.2.1"))]
    told.notices.freed(losses, Allocations(granted))
    assert told.news() == news


def test_a_status_that_is_cleared_is_no_news() -> None:
    assert Told().patched(shown="192.0.2.1", shown_pool="main") == []


def test_a_service_that_is_gone_is_told_nothing() -> None:
    told = Told()
    told.world.services.remove("shop/web")
    assert told.patched("192.0.2.1") == []


ORPHANED = (
    'Service/web Warning AddressOrphaned: no IPAddressPool allows ["192.0.2.1"] any more;'
    " the Service keeps it"
)


def test_an_orphan_is_told_once_per_change_of_mind() -> None:
    told = Told()
    assert told.orphans("shop/web") == [ORPHANED]
    assert told.orphans("shop/web") == []
    assert told.orphans() == []
    assert told.orphans("shop/web") == [ORPHANED]


def test_an_orphan_whose_service_is_gone_has_no_event() -> None:
    assert Told().orphans("shop/gone") == []


# --- withheld ------------------------------------------------------------------------------------

WITHHELD = (
    "Service/web Warning notAnnounced: 192.0.2.1 is not announced:"
    " the Service has no endpoint that serves (noEndpoints)"
)


def begun() -> Told:
    """Notices that have seen a first pass with nothing withheld."""
    told = Told()
    told.withheld(0.0)
    return told


def test_an_address_that_is_withheld_is_told_only_when_it_lasts() -> None:
    told = begun()
    assert told.withheld(100.0, NO_ENDPOINTS) == []
    assert told.later == [PATIENCE]
    assert told.withheld(100.0 + PATIENCE / 2, NO_ENDPOINTS) == []
    assert told.withheld(100.0 + PATIENCE, NO_ENDPOINTS) == [WITHHELD]
    assert told.withheld(100.0 + PATIENCE * 2, NO_ENDPOINTS) == []
    assert told.later == [PATIENCE]


def test_what_a_condition_says_was_told_by_the_process_before() -> None:
    told = Told(shown="192.0.2.1")
    condition = not_announced(NO_ENDPOINTS)
    shown = resources.Condition(condition.type, "False", condition.reason, condition.message)
    told.world.services.take(service_object(ingress=["192.0.2.1"], conditions=[shown]))
    told.notices.begin()
    assert told.withheld(100.0, NO_ENDPOINTS) == []
    assert told.withheld(200.0, NO_ENDPOINTS) == []
    told.withheld(300.0)
    told.withheld(400.0, NO_ENDPOINTS)
    assert told.withheld(405.0, NO_ENDPOINTS) == [WITHHELD]


def test_a_service_that_was_there_before_the_first_process_is_told_what_it_lacks() -> None:
    told = Told()
    told.notices.begin()
    assert told.withheld(100.0, NO_ENDPOINTS) == []
    assert told.withheld(105.0, NO_ENDPOINTS) == [WITHHELD]


def test_an_address_that_is_withheld_for_a_moment_is_no_news() -> None:
    told = begun()
    assert told.withheld(100.0, NO_ENDPOINTS) == []
    assert told.withheld(101.0) == []
    assert told.withheld(100.0 + PATIENCE, NO_ENDPOINTS) == []


def test_another_reason_is_news_when_it_lasts() -> None:
    told = begun()
    other = Withheld(
        "shop/web", NO_ENDPOINTS.address, WithheldReason.NO_NODES, "no usable node is selected"
    )
    told.withheld(100.0, NO_ENDPOINTS)
    assert told.withheld(105.0, NO_ENDPOINTS) == [WITHHELD]
    assert told.withheld(106.0, other) == []
    assert told.withheld(111.0, other) == [
        "Service/web Warning notAnnounced: 192.0.2.1 is not announced:"
        " no usable node is selected (noEligibleNodes)"
    ]


def test_the_end_of_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = begun()
    told.withheld(100.0, NO_ENDPOINTS)
    told.withheld(105.0, NO_ENDPOINTS)
    told.withheld(106.0)
    assert caplog.messages[-1] == "announced again"


# --- configuration -------------------------------------------------------------------------------

BAD = (
    "IPAddressPool/main Warning InvalidConfiguration:"
    ' spec.addresses[0]: "web" is neither a CIDR nor a range'
)


def test_a_problem_is_told_once_and_again_after_it_was_solved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    told = Told()
    assert told.problems("web") == [BAD]
    assert told.problems("web") == []
    assert told.problems("192.0.2.0/24") == []
    assert told.problems("web") == [BAD]
    sentence = 'IPAddressPool/main spec.addresses[0]: "web" is neither a CIDR nor a range'
    assert caplog.messages == [sentence, f"solved: {sentence}", sentence]


@pytest.mark.parametrize(
    ("entry", "stale"),
    [pytest.param("192.0.2.0/24", 0, id="sound"), pytest.param("web", 1, id="not sound")],
)
def test_what_the_metrics_say_of_the_configuration(entry: str, stale: int) -> None:
    Told().problems(entry)
    text = metrics.exposition().decode()
    assert "metallb_k8s_client_config_loaded_bool 1.0" in text
    assert f"metallb_k8s_client_config_stale_bool {stale}.0" in text
