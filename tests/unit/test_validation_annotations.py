"""What annotations under bellmetal.io/ ask for, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.addresses import parse_address
from bellmetal.config import Labelled, OnOrphan
from bellmetal.validation.annotations import service_wishes
from bellmetal.validation.durations import parse_duration
from builders import advertisement_object, pool_object, ranges
from configuration import (
    bgp_object,
    check,
    community_object,
    peer_object,
    profile_object,
    sentences,
)

KNOWN = ", ".join(
    f'"bellmetal.io/{name}"' for name in ("cool-down", "drain", "exclude", "on-orphan", "reserve")
)


def annotated(*entries: str, buggy: bool = False, **annotations: str) -> Any:
    """A pool with annotations (`_` for `-`)."""
    found = {f"bellmetal.io/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return pool_object("main", *entries, meta={"annotations": found}, avoid_buggy_ips=buggy)


def test_what_a_pool_may_be_asked() -> None:
    validated = check(
        annotated(
            "192.0.2.0/24",
            "2001:db8::/64",
            exclude="192.0.2.1, 192.0.2.8/30,2001:db8::1-2001:db8::f",
            reserve="192.0.2.20=shop/web,192.0.2.21, 2001:DB8::21",
            cool_down="1h30m",
            drain="true",
            on_orphan="renumber",
        )
    )
    assert validated.problems == ()
    [pool] = validated.config.pools
    assert pool.excluded == ranges("192.0.2.1/32", "192.0.2.8/30", "2001:db8::1-2001:db8::f")
    assert pool.reserved == {
        parse_address("192.0.2.20"): "shop/web",
        parse_address("192.0.2.21"): "",
        parse_address("2001:db8::21"): "",
    }
    assert (pool.cool_down, pool.draining, pool.on_orphan) == (5400.0, True, OnOrphan.RENUMBER)


def test_what_a_pool_is_if_nothing_is_asked() -> None:
    [pool] = check(annotated(exclude="", reserve=" ", drain="false")).config.pools
    assert (pool.excluded, pool.reserved, pool.cool_down) == ((), {}, 0.0)
    assert (pool.broken, pool.draining, pool.on_orphan) == (False, False, None)


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        ("exclude", "web", ['"web" is not an IP address']),
        ("exclude", "192.0.2.1,,", ['"" is not an IP address', '"" is not an IP address']),
        ("exclude", "192.0.2.9-192.0.2.1", ['"192.0.2.9-192.0.2.1" ends before it begins']),
        ("exclude", "192.0.2.0/33", ['"192.0.2.0/33" is neither a CIDR nor a range']),
        ("exclude", "fe80::1%eth0", ['"fe80::1%eth0" is not an IP address']),
        ("exclude", "10.0.0.1", ['"10.0.0.1" excludes nothing: the pool has none of it']),
        (
            "exclude",
            "10.0.0.0/30,2001:db8::1",
            [
                '"10.0.0.0-10.0.0.3" excludes nothing: the pool has none of it',
                '"2001:db8::1" excludes nothing: the pool has none of it',
            ],
        ),
        ("exclude", "192.0.0.0/16", []),
        ("reserve", "192.0.2", ['"192.0.2" is not an IP address']),
        ("reserve", "192.0.3.1", ['"192.0.3.1" is not in the pool']),
        ("reserve", "192.0.2.1,192.0.2.1=shop/web", ['"192.0.2.1" is reserved twice']),
        ("reserve", "192.0.2.1=web", ['"web" is not the namespace/name of a Service']),
        ("reserve", "192.0.2.1=", ['"" is not the namespace/name of a Service']),
        ("reserve", "192.0.2.1=a/b/c", ['"a/b/c" is not the namespace/name of a Service']),
        ("cool-down", "10", ['"10" is not a duration such as 90s, 10m or 1h30m']),
        ("cool-down", "-1s", ['"-1s" is not a duration such as 90s, 10m or 1h30m']),
        ("cool-down", "", ['"" is not a duration such as 90s, 10m or 1h30m']),
        ("drain", "yes", ['"yes" is neither "true" nor "false"']),
        ("on-orphan", "Keep", ['"Keep" is neither "keep" nor "renumber"']),
        ("exclud", "x", ['unknown annotation; did you mean "bellmetal.io/exclude"?']),
        ("zzz", "x", [f"unknown annotation; there are {KNOWN}"]),
    ],
)
def test_problems_of_a_pools_annotations(name: str, text: str, problems: list[str]) -> None:
    validated = check(annotated(**{name: text}))
    path = f"IPAddressPool/main metadata.annotations[bellmetal.io/{name}]"
    assert [str(item) for item in validated.problems] == [f"{path}: {item}" for item in problems]
    assert validated.config.pools[0].broken is bool(problems)


def test_what_is_excluded_cannot_be_reserved() -> None:
    assert sentences(annotated(exclude="192.0.2.0/30", reserve="192.0.2.1")) == [
        "IPAddressPool/main metadata.annotations[bellmetal.io/reserve]: "
        '"192.0.2.1" is excluded by bellmetal.io/exclude'
    ]


def test_what_the_pool_leaves_out_cannot_be_reserved() -> None:
    assert sentences(annotated(buggy=True, reserve="192.0.2.255")) == [
        "IPAddressPool/main metadata.annotations[bellmetal.io/reserve]: "
        '"192.0.2.255" is left out by spec.avoidBuggyIPs'
    ]


def test_of_a_pool_that_cannot_be_read_nothing_is_said_to_lie_outside() -> None:
    assert [
        problem.path for problem in check(annotated("192.0.2.0", exclude="192.0.2.1")).problems
    ] == ["spec.addresses[0]"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            bgp_object,
            'did you mean "bellmetal.io/med"?',
        ),
        (peer_object, 'did you mean "bellmetal.io/passive"?'),
    ],
)
def test_a_typo_leaves_kinds_of_bgp_in_force(make: Any, message: str) -> None:
    typo = "meds" if make is bgp_object else "pasive"
    validated = check(make("x", meta={"annotations": {f"bellmetal.io/{typo}": "1"}}))
    [no] = validated.problems
    assert no.message == f"unknown annotation; {message}"
    assert [*validated.config.bgp_advertisements, *validated.config.peers]


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("BFDProfile", profile_object),
        ("Community", community_object),
    ],
)
def test_kinds_that_have_no_annotation_of_ours_stay_in_force(kind: str, make: Any) -> None:
    meta = {"annotations": {"bellmetal.io/drain": "true", "example.com/drain": "true"}}
    validated = check(make("x", meta=meta))
    assert [str(item) for item in validated.problems] == [
        f"{kind}/x metadata.annotations[bellmetal.io/drain]: unknown annotation; none is for a"
        f" {kind}"
    ]
    config = validated.config
    nouns = [config.l2_advertisements, config.bgp_advertisements, config.peers]
    assert any([*nouns, config.bfd_profiles, kind == "Community"])


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("drain", "true", ""),
        ("drain", "false", ""),
        ("drain", "yes", '"yes" is neither "true" nor "false"'),
        ("drian", "true", 'unknown annotation; did you mean "bellmetal.io/drain"?'),
    ],
)
def test_a_node_may_be_drained(name: str, text: str, problem: str) -> None:
    told = sentences(Labelled("n1", {}, {f"bellmetal.io/{name}": text}))
    path = f"Node/n1 metadata.annotations[bellmetal.io/{name}]"
    assert told == ([f"{path}: {problem}"] if problem else [])


# --- L2Advertisements ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds", "problem"),
    [
        ("30s", 30, ""),
        ("24h", 86_400, ""),
        ("1s", 1, ""),
        ("0s", 0, '"0s" is not between 1s and 24h'),
        ("24h1s", 0, '"24h1s" is not between 1s and 24h'),
        ("1.5s", 0, '"1.5s" is not a number of whole seconds'),
        ("often", 0, '"often" is not a duration such as 30s, 5m or 1h30m'),
    ],
)
def test_how_often_to_announce(text: str, seconds: int, problem: str) -> None:
    name = "bellmetal.io/announce-every"
    validated = check(advertisement_object("x", meta={"annotations": {name: text}}))
    told = [str(item) for item in validated.problems]
    assert told == (
        [f"L2Advertisement/x metadata.annotations[{name}]: {problem}"] if problem else []
    )
    found = [item.refresh for item in validated.config.l2_advertisements]
    assert found == [seconds]


@pytest.mark.parametrize(("text", "sound"), [("true", True), ("false", True), ("no", False)])
def test_any_subnet(text: str, sound: bool) -> None:
    name = "bellmetal.io/any-subnet"
    validated = check(advertisement_object("x", meta={"annotations": {name: text}}))
    found = [item.any_subnet for item in validated.config.l2_advertisements]
    assert found == [text == "true"]
    assert len(validated.problems) == (not sound)


def test_an_unknown_annotation_leaves_an_advertisement_in_force() -> None:
    validated = check(
        advertisement_object("x", meta={"annotations": {"bellmetal.io/any-subnets": "1"}})
    )
    assert [str(item) for item in validated.problems] == [
        "L2Advertisement/x metadata.annotations[bellmetal.io/any-subnets]: unknown annotation;"
        ' did you mean "bellmetal.io/any-subnet"?'
    ]
    assert len(validated.config.l2_advertisements) == 1


# --- quotas --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("5", 5),
        ("0", None),
        ("-1", None),
        ("", None),
        ("five", None),
        ("٣", None),
        ("9" * 50, None),
    ],
)
def test_a_quota_that_cannot_be_understood_lets_nothing_through(
    text: str, quota: int | None
) -> None:
    shop = Labelled("shop", {}, {"bellmetal.io/address-quota": text}, "uid-shop")
    validated = check(namespaces={"shop": shop, "bank": Labelled("bank")})
    assert validated.config.quotas == {"shop": quota or 0}
    path = "Namespace/shop metadata.annotations[bellmetal.io/address-quota]"
    expected = [] if quota else [f'{path}: "{text}" is not a positive number']
    assert [str(item) for item in validated.problems] == expected


def test_an_unknown_annotation_of_a_namespace_is_told_and_limits_nothing() -> None:
    shop = Labelled("shop", {}, {"bellmetal.io/adress-quota": "5"})
    validated = check(namespaces={"shop": shop})
    assert validated.config.quotas == {}
    assert [str(item) for item in validated.problems] == [
        "Namespace/shop metadata.annotations[bellmetal.io/adress-quota]: unknown annotation;"
        ' did you mean "bellmetal.io/address-quota"?'
    ]


# --- Services ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "problems"),
    [
        ({}, []),
        ({"bellmetal.io/addresses-per-family": "16", "metallb.io/x": "y"}, []),
        ({"bellmetal.io/addresses-per-family": "17"}, ['"17" is not a number from 1 to 16']),
        ({"bellmetal.io/addresses-per-family": "0"}, ['"0" is not a number from 1 to 16']),
        (
            {"bellmetal.io/addresses-per-familiy": "2"},
            ['unknown annotation; did you mean "bellmetal.io/addresses-per-family"?'],
        ),
    ],
)
def test_problems_of_a_services_annotations(
    annotations: dict[str, str], problems: list[str]
) -> None:
    found = service_wishes(annotations)
    [path] = [f"metadata.annotations[{name}]: " for name in annotations][:1] or [""]
    assert list(found.problems) == [path + message for message in problems]


def test_a_typo_is_told_and_a_wrong_value_lets_nothing_change() -> None:
    typo = service_wishes({"bellmetal.io/addresses": "2"})
    wrong = service_wishes({"bellmetal.io/addresses-per-family": "x"})
    assert (len(typo.problems), typo.fault) == (1, "")
    assert wrong.problems == (wrong.fault,)


# --- durations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("+3s", 3.0),
        ("-3s", -3.0),
        ("250ms", 0.25),
        ("1us", 1e-6),
        ("1µs1μs", 2e-6),
        ("7ns", 7e-9),
        ("", None),
        ("s", None),
        (".s", None),
        ("5", None),
        ("5 s", None),
        ("5s ", None),
        ("5d", None),
        ("٣s", None),
        ("9" * 50 + "s", None),
    ],
)
def test_durations_as_go_reads_them(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("metallb.io/loadBalancerIP", "loadBalancerIPs"),
        ("metallb.io/adress-pool", "address-pool"),
        ("metallb.universe.tf/allow-shared-ips", "allow-shared-ip"),
        ("metallb.io/address-pool", ""),
        ("metallb.io/something-else", ""),
        ("example.com/adress-pool", ""),
    ],
)
def test_metallbs_annotations_that_are_nearly_right(name: str, hint: str) -> None:
    found = service_wishes({name: "x"})
    sentence = (
        f'metadata.annotations[{name}]: unknown annotation; did you mean "metallb.io/{hint}"?'
    )
    assert found.problems == ((sentence,) if hint else ())
    assert found.fault == ""
