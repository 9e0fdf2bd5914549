"""Both families: what dual-stack Services get, keep and give back."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import Family
from bellmetal.allocation import allocate
from bellmetal.cluster import Cluster
from bellmetal.holdings import Holdings
from builders import NOW, cluster, held, holding, pool, service

FOUR, SIX = Family.IPV4, Family.IPV6
V4 = pool("four", "192.0.2.1-192.0.2.2")
V6 = pool("six", "2001:db8::1-2001:db8::2")
DUAL = pool("dual", "198.51.100.1-198.51.100.2", "2001:db8:1::1-2001:db8:1::2")
PREFER: dict[str, Any] = {"families": (FOUR, SIX), "family_policy": "PreferDualStack"}
REQUIRE: dict[str, Any] = {"families": (FOUR, SIX), "family_policy": "RequireDualStack"}
SINGLE: dict[str, Any] = {"family_policy": "SingleStack"}


def given(world: Cluster, ledger: Holdings | None = None) -> str:
    found = allocate(world, ledger or {}, NOW).granted.get("shop/web")
    if found is None:
        return ""
    return f"{' '.join(map(str, found.addresses))} {found.pool}"


def refusal(world: Cluster, ledger: Holdings | None = None) -> str:
    found = allocate(world, ledger or {}, NOW).refused.get("shop/web")
    if found is None:
        return ""
    return f"additional: {found.message}" if found.additional else found.message


@pytest.mark.parametrize(
    ("wants", "pools", "expected"),
    [
        pytest.param({}, [DUAL], "198.51.100.1 dual", id="single IPv4"),
        pytest.param({"families": (SIX,)}, [V4, DUAL], "2001:db8:1::1 dual", id="single IPv6"),
        pytest.param(PREFER, [DUAL], "198.51.100.1 2001:db8:1::1 dual", id="both, out of one pool"),
        pytest.param(
            PREFER | {"families": (SIX, FOUR)},
            [DUAL],
            "198.51.100.1 2001:db8:1::1 dual",
            id="IPv4 stands first whatever is primary",
        ),
        pytest.param(
            PREFER,
            [V4, V6, pool("z", "203.0.113.1/32", "2001:db8:9::1/128")],
            "203.0.113.1 2001:db8:9::1 z",
            id="one pool with both comes before two",
        ),
        pytest.param(PREFER, [V4, V6], "192.0.2.1 2001:db8::1 four,six", id="out of two pools"),
        pytest.param(REQUIRE, [V4, V6], "192.0.2.1 2001:db8::1 four,six", id="required, two pools"),
        pytest.param(PREFER, [V4], "192.0.2.1 four", id="preferred, IPv4 alone is there"),
        pytest.param(PREFER, [V6], "2001:db8::1 six", id="preferred, IPv6 alone is there"),
        pytest.param(REQUIRE, [V4], "", id="required, IPv4 alone is there"),
        pytest.param(
            PREFER | {"pool": "dual"}, [V4, DUAL], "198.51.100.1 2001:db8:1::1 dual", id="by pool"
        ),
        pytest.param(PREFER | {"pool": "four"}, [V4, V6], "192.0.2.1 four", id="a pool with one"),
        pytest.param(REQUIRE | {"pool": "four"}, [V4, V6], "", id="required of a pool with one"),
        pytest.param(
            PREFER | {"ip": ["198.51.100.2", "2001:db8:1::2"]},
            [DUAL],
            "198.51.100.2 2001:db8:1::2 dual",
            id="both by address",
        ),
        pytest.param(
            PREFER | {"ip": ["2001:db8::2", "192.0.2.2"]},
            [V4, V6],
            "2001:db8::2 192.0.2.2 six,four",
            id="by address out of two pools, in the order of the request",
        ),
    ],
)
def test_what_a_new_service_gets(wants: dict[str, Any], pools: list[Any], expected: str) -> None:
    assert given(cluster(service("shop/web", **wants), pools=pools)) == expected


@pytest.mark.parametrize(
    ("wants", "pools", "message"),
    [
        pytest.param(
            PREFER,
            [V4],
            "additional: no available IPs (ipv6): four: no IPv6",
            id="preferred, one is missing",
        ),
        pytest.param(REQUIRE, [V4], "no available IPs (ipv6): four: no IPv6", id="required"),
        pytest.param(
            PREFER | {"pool": "four"},
            [V4],
            "additional: no available IPs in pool four for ipv6 IPFamily",
            id="by pool",
        ),
        pytest.param(
            PREFER | {"pool": "six"},
            [pool("six", "2001:db8::/120", draining=True)],
            "pool six gives no new addresses: bellmetal.io/drain",
            id="by pool, which drains",
        ),
        pytest.param(
            PREFER | {"ip": "192.0.2.1"},
            [V4, V6],
            'requested loadBalancer IP(s) ["192.0.2.1"] does not match the ipFamily of the service:'
            " it wants IPv4 and IPv6",
            id="one address for two families",
        ),
        pytest.param(
            {"ip": ["192.0.2.1", "2001:db8::1"]},
            [V4, V6],
            'requested loadBalancer IP(s) ["192.0.2.1" "2001:db8::1"]'
            " does not match the ipFamily of the service: it wants IPv4",
            id="two addresses for one family",
        ),
        pytest.param(
            PREFER | {"ip": ["192.0.2.1", "192.0.2.2"]},
            [V4],
            'IPFamilyForAddresses: same address family ["192.0.2.1" "192.0.2.2"]:'
            " for several see bellmetal.io/addresses-per-family",
            id="two of one family",
        ),
        pytest.param(
            PREFER | {"ip": ["192.0.2.1", "192.0.2.1"]},
            [V4],
            'IPFamilyForAddresses: same address family ["192.0.2.1" "192.0.2.1"]:'
            " one stands there twice",
            id="one twice",
        ),
        pytest.param(
            PREFER | {"ip": ["192.0.2.1", "2001:db8::1", "2001:db8::2"]},
            [V4, V6],
            'IPFamilyForAddresses: invalid ips length 3 ["192.0.2.1" "2001:db8::1" "2001:db8::2"]',
            id="three",
        ),
        pytest.param(
            PREFER | {"ip": ["192.0.2.1", "2001:db8:7::1"]},
            [V4, V6],
            '["2001:db8:7::1"] is not allowed in config: no IPAddressPool contains it',
            id="one of two is in no pool",
        ),
        pytest.param(
            PREFER | {"ip": ["192.0.2.1", "2001:db8::1"], "pool": "four"},
            [V4, V6],
            'requested loadBalancer IP(s) ["2001:db8::1"] is not compatible with requested'
            " address pool four: it is in six",
            id="one of two is in another pool than asked for",
        ),
    ],
)
def test_what_is_refused(wants: dict[str, Any], pools: list[Any], message: str) -> None:
    assert refusal(cluster(service("shop/web", **wants), pools=pools)) == message


def has(*texts: str, pool: str = "dual") -> Holdings:
    return held(*(holding(text, "shop/web", pool=pool) for text in texts))


@pytest.mark.parametrize(
    ("wants", "ledger", "expected"),
    [
        pytest.param(
            PREFER,
            has("198.51.100.2"),
            "198.51.100.2 2001:db8:1::1 dual",
            id="a family that came later, out of the same pool",
        ),
        pytest.param(
            PREFER,
            has("192.0.2.2", pool="four"),
            "192.0.2.2 2001:db8:1::1 four,dual",
            id="out of another, where the pool has none",
        ),
        pytest.param(
            SINGLE, has("198.51.100.2", "2001:db8:1::2"), "198.51.100.2 dual", id="one that went"
        ),
        pytest.param(
            {"families": (SIX,)},
            has("198.51.100.2", "2001:db8:1::2"),
            "2001:db8:1::2 dual",
            id="the other one that went",
        ),
        pytest.param(
            PREFER | {"pool": "dual"},
            has("192.0.2.2", "2001:db8:1::2"),
            "2001:db8:1::2 198.51.100.1 dual",
            id="of a pool that is asked for later, only what is not in it moves",
        ),
        pytest.param(
            PREFER | {"pool": "nowhere"},
            has("198.51.100.2", "2001:db8:1::2"),
            "198.51.100.2 2001:db8:1::2 dual",
            id="a pool that does not exist changes nothing",
        ),
        pytest.param(
            REQUIRE | {"pool": "four"},
            has("198.51.100.2", "2001:db8:1::2"),
            "198.51.100.2 2001:db8:1::2 dual",
            id="nor does one that has not both",
        ),
    ],
)
def test_what_a_service_has_and_gets(
    wants: dict[str, Any], ledger: Holdings, expected: str
) -> None:
    pools = [V4, DUAL]
    assert given(cluster(service("shop/web", **wants), pools=pools), ledger) == expected


def test_an_address_added_later_stays_where_the_pool_is_by_hand() -> None:
    by_hand = pool("hand", "198.51.100.0/24", "2001:db8:1::/120", auto_assign=False)
    world = cluster(service("shop/web", **PREFER), pools=[by_hand])
    assert given(world, has("198.51.100.9", pool="hand")) == "198.51.100.9 2001:db8:1:: hand"


# --- several addresses of a family ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("wants", "ledger", "expected"),
    [
        pytest.param({"per_family": 2}, {}, "198.51.100.1 198.51.100.2 dual", id="two"),
        pytest.param({"per_family": 3}, {}, "198.51.100.1 198.51.100.2 dual", id="what there is"),
        pytest.param(
            PREFER | {"per_family": 2},
            {},
            "198.51.100.1 198.51.100.2 2001:db8:1::1 2001:db8:1::2 dual",
            id="of both families",
        ),
        pytest.param(
            {"per_family": 2}, has("198.51.100.2"), "198.51.100.2 198.51.100.1 dual", id="one more"
        ),
        pytest.param({}, has("198.51.100.2", "198.51.100.1"), "198.51.100.1 dual", id="one less"),
        pytest.param(
            {"per_family": 2, "ip": ["198.51.100.2", "198.51.100.1"]},
            {},
            "198.51.100.2 198.51.100.1 dual",
            id="by address",
        ),
    ],
)
def test_several_addresses(wants: dict[str, Any], ledger: Holdings, expected: str) -> None:
    assert given(cluster(service("shop/web", **wants), pools=[DUAL]), ledger) == expected


def test_a_policy_that_is_satisfied_is_left_alone() -> None:
    world = cluster(service("shop/web", **REQUIRE), pools=[])
    ledger = has("198.51.100.2", "2001:db8:1::2")
    assert given(world, ledger) == "198.51.100.2 2001:db8:1::2 dual"
    assert refusal(world, ledger) == ""


def test_an_only_cluster_ip_is_no_dual_stack_but_what_is_held_stays() -> None:
    lone = service("shop/web", family_policy="RequireDualStack", cluster_ips='["10.0.0.1"]')
    assert given(cluster(lone, pools=[DUAL]), has("198.51.100.2")) == "198.51.100.2 dual"
