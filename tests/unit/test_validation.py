"""Custom resources → Config, or every Problem at once."""

from __future__ import annotations

import pytest

from bellmetal.config import Config, L2Advertisement, Labelled, Pool, Problem
from bellmetal.resources import (
    IPAddressPool,
    LabelSelector,
    MatchExpression,
    PreferredNodeSelector,
    ServiceAllocation,
)
from bellmetal.resources import (
    L2Advertisement as L2AdvertisementObject,
)
from bellmetal.selectors import Requirement, Selector
from bellmetal.validation import Objects, Validated, validate
from builders import (
    advertisement,
    advertisement_object,
    labelled,
    metadata,
    pool,
    pool_object,
    preferring,
    selector_object,
)

NAMESPACES = {
    "shop": Labelled("shop", {"team": "a"}),
    "bank": Labelled("bank", {"team": "b"}),
}


def check(*objects: IPAddressPool | L2AdvertisementObject) -> Validated:
    pools = [item for item in objects if isinstance(item, IPAddressPool)]
    advertisements = [item for item in objects if isinstance(item, L2AdvertisementObject)]
    return validate(Objects(tuple(pools), tuple(advertisements), namespaces=NAMESPACES))


def sentences(*objects: IPAddressPool | L2AdvertisementObject) -> list[str]:
    return [str(problem) for problem in check(*objects).problems]


def only_pool(**spec: object) -> Pool:
    validated = check(pool_object(**spec))
    assert validated.problems == ()
    [found] = validated.config.pools
    return found


def only_advertisement(**spec: object) -> L2Advertisement:
    validated = check(pool_object(), advertisement_object(**spec))
    assert validated.problems == ()
    [found] = validated.config.l2_advertisements
    return found


def expression(operator: str, *values: str) -> LabelSelector:
    return LabelSelector(match_expressions=[MatchExpression("zone", operator, list(values))])


def test_nothing_is_a_configuration() -> None:
    assert check() == Validated(Config(), ())


def test_sound_objects_become_nouns_sorted_by_name() -> None:
    objects = [
        pool_object("b", "192.0.2.0/25"),
        advertisement_object("y"),
        pool_object("a", "192.0.2.128/25", auto_assign=False, avoid_buggy_ips=True),
        advertisement_object("x", ip_address_pools=["a"], interfaces=["eth0"]),
    ]
    assert check(*objects) == Validated(
        Config(
            (
                pool("a", "192.0.2.128/25", auto_assign=False, avoid_buggy=True),
                pool("b", "192.0.2.0/25"),
            ),
            (advertisement("x", pools="a", interfaces=frozenset(["eth0"])), advertisement("y")),
        ),
        (),
    )


# --- pools ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "problems"),
    [
        pytest.param(
            [], ["spec.addresses: is empty: give at least one CIDR or range"], id="no addresses"
        ),
        pytest.param(
            ["192.0.2.9-192.0.2.1", "web"],
            [
                'spec.addresses[0]: "192.0.2.9-192.0.2.1" ends before it begins',
                'spec.addresses[1]: "web" is neither a CIDR nor a range',
            ],
            id="every bad entry is told",
        ),
        pytest.param(
            ["fe80::%eth0/64", "10.0.0.0/255.0.0.0", " 192.0.2.0/24", "192.0.2.1"],
            [
                'spec.addresses[0]: "fe80::%eth0/64" has a zone, which means nothing to other'
                " machines",
                'spec.addresses[1]: "10.0.0.0/255.0.0.0" is neither a CIDR nor a range',
                'spec.addresses[2]: " 192.0.2.0/24" is neither a CIDR nor a range',
                'spec.addresses[3]: "192.0.2.1" is neither a CIDR nor a range',
            ],
            id="what MetalLB does not take, or should not",
        ),
        pytest.param(
            ["10.0.0.1-fc00::1"],
            ['spec.addresses[0]: "10.0.0.1-fc00::1" mixes IPv4 and IPv6'],
            id="two families in a range",
        ),
        pytest.param(
            ["2001:db8::/64", "2001:db8::10-2001:db8::20"],
            [
                'spec.addresses[1]: "2001:db8::10-2001:db8::20" overlaps with'
                ' "2001:db8::-2001:db8::ffff:ffff:ffff:ffff" of the same pool'
            ],
            id="two entries of IPv6 overlap",
        ),
        pytest.param(
            ["192.0.2.0/28", "192.0.2.16/28", "192.0.2.8-192.0.2.40", "192.0.2.40/32"],
            [
                'spec.addresses[2]: "192.0.2.8-192.0.2.40" overlaps with'
                ' "192.0.2.16-192.0.2.31" of the same pool',
                'spec.addresses[3]: "192.0.2.40/32" overlaps with'
                ' "192.0.2.8-192.0.2.40" of the same pool',
            ],
            id="each entry that overlaps is told once",
        ),
        pytest.param(
            ["192.0.2.0/24", "192.0.2.8/30"],
            [
                'spec.addresses[1]: "192.0.2.8/30" overlaps with'
                ' "192.0.2.0-192.0.2.255" of the same pool'
            ],
            id="two entries overlap",
        ),
    ],
)
def test_problems_of_addresses(entries: list[str], problems: list[str]) -> None:
    validated = check(pool_object(addresses=entries))
    assert [str(item) for item in validated.problems] == [
        f"IPAddressPool/main {sentence}" for sentence in problems
    ]
    [broken] = validated.config.pools
    assert (broken.broken, broken.ranges) == (True, ())


def test_of_two_pools_that_overlap_the_younger_is_invalid() -> None:
    older = pool_object(
        "zebra", "192.0.2.0/24", meta={"creation_timestamp": "2026-01-01T00:00:00Z"}
    )
    younger = pool_object(
        "ant", "192.0.2.9/32", meta={"creation_timestamp": "2026-01-02T00:00:00Z"}
    )
    validated = check(younger, older)
    assert [str(item) for item in validated.problems] == [
        'IPAddressPool/ant spec.addresses[0]: "192.0.2.9-192.0.2.9" overlaps with'
        " IPAddressPool/zebra, which is older"
    ]
    assert [(item.name, item.broken) for item in validated.config.pools] == [
        ("ant", True),
        ("zebra", False),
    ]


def test_of_two_pools_of_one_age_the_first_by_name_is_sound() -> None:
    validated = check(pool_object("b"), pool_object("a"))
    assert [(item.name, item.broken) for item in validated.config.pools] == [
        ("a", False),
        ("b", True),
    ]


def test_a_typo_in_an_older_pool_does_not_bring_a_younger_one_that_overlaps_into_force() -> None:
    older = pool_object("a", "192.0.2.0/24", "web")
    younger = pool_object("b", "192.0.2.0/25")
    validated = check(older, younger)
    assert [str(item) for item in validated.problems] == [
        'IPAddressPool/a spec.addresses[1]: "web" is neither a CIDR nor a range',
        'IPAddressPool/b spec.addresses[0]: "192.0.2.0-192.0.2.127" overlaps with'
        " IPAddressPool/a, which is older",
    ]
    assert [item.broken for item in validated.config.pools] == [True, True]


def test_an_overlap_is_told_of_its_own_entry_although_another_is_no_range() -> None:
    younger = pool_object("b", "web", "192.0.2.0/25")
    assert sentences(pool_object("a"), younger) == [
        'IPAddressPool/b spec.addresses[0]: "web" is neither a CIDR nor a range',
        'IPAddressPool/b spec.addresses[1]: "192.0.2.0-192.0.2.127" overlaps with'
        " IPAddressPool/a, which is older",
    ]


def test_a_problem_carries_the_uid_of_its_object() -> None:
    [problem] = check(pool_object(addresses=["web"])).problems
    assert problem.uid == "uid-metallb-system-main"


@pytest.mark.parametrize(
    ("allocation", "priority", "namespaces", "selectors"),
    [
        pytest.param(ServiceAllocation(7), 7, None, (Selector(),), id="a priority pins to all"),
        pytest.param(
            ServiceAllocation(namespaces=["shop"]), 0, frozenset(["shop"]), (), id="by name"
        ),
        pytest.param(
            ServiceAllocation(namespace_selectors=[selector_object(team="b")]),
            0,
            frozenset(["bank"]),
            (),
            id="by label",
        ),
        pytest.param(
            ServiceAllocation(namespaces=["shop"], namespace_selectors=[selector_object(team="b")]),
            0,
            frozenset(["shop", "bank"]),
            (),
            id="by name or label",
        ),
        pytest.param(
            ServiceAllocation(namespace_selectors=[selector_object(team="c")]),
            0,
            frozenset(),
            (),
            id="for nobody, as long as no namespace matches",
        ),
        pytest.param(
            ServiceAllocation(service_selectors=[selector_object(tier="web")]),
            0,
            None,
            (labelled(tier="web"),),
            id="by the labels of Services",
        ),
    ],
)
def test_for_whom_a_pool_is(
    allocation: ServiceAllocation,
    priority: int,
    namespaces: frozenset[str] | None,
    selectors: tuple[Selector, ...],
) -> None:
    found = only_pool(service_allocation=allocation)
    assert found == pool(priority=priority, namespaces=namespaces, service_selectors=selectors)


def test_problems_in_the_selectors_of_a_pool() -> None:
    allocation = ServiceAllocation(
        namespace_selectors=[selector_object(team="a"), expression("in", "x")],
        service_selectors=[expression("In")],
    )
    assert sentences(pool_object(service_allocation=allocation)) == [
        "IPAddressPool/main spec.serviceAllocation.namespaceSelectors[1].matchExpressions[0]"
        '.operator: "in" is none of In, NotIn, Exists, DoesNotExist',
        "IPAddressPool/main spec.serviceAllocation.serviceSelectors[0].matchExpressions[0]"
        ".values: In needs at least one value",
    ]


def test_a_pool_may_be_of_both_families() -> None:
    found = only_pool(addresses=["192.0.2.0/24", "2001:db8::/64", "2001:db8:1::5-2001:db8:1::9"])
    assert found == pool("main", "192.0.2.0/24", "2001:db8::/64", "2001:db8:1::5-2001:db8:1::9")


def test_a_namespace_is_named_once() -> None:
    allocation = ServiceAllocation(namespaces=["shop", "bank", "shop"])
    assert sentences(pool_object(service_allocation=allocation)) == [
        "IPAddressPool/main spec.serviceAllocation.namespaces[2]: duplicate definition of"
        ' namespaces "shop"'
    ]


def test_an_overlap_with_several_pools_names_one_of_them() -> None:
    objects = [pool_object("a", "192.0.2.0/25"), pool_object("b", "192.0.2.64/26")]
    objects += [pool_object("c", "192.0.2.0/24"), pool_object("d", "192.0.2.200/32")]
    assert sentences(*objects) == [
        'IPAddressPool/b spec.addresses[0]: "192.0.2.64-192.0.2.127" overlaps with'
        " IPAddressPool/a, which is older",
        'IPAddressPool/c spec.addresses[0]: "192.0.2.0-192.0.2.255" overlaps with'
        " IPAddressPool/a, which is older",
        'IPAddressPool/d spec.addresses[0]: "192.0.2.200-192.0.2.200" overlaps with'
        " IPAddressPool/c, which is older",
    ]


def test_an_object_that_cannot_be_read_is_told_and_its_pool_is_broken() -> None:
    problem = Problem("IPAddressPool", "main", "spec.addresses", "cannot be read", "uid")
    named = advertisement_object(ip_address_pools=["main"])
    validated = validate(Objects(l2_advertisements=(named,), unreadable=(problem,)))
    assert validated.problems == (problem,)
    assert validated.config.pools == (Pool("main", (), broken=True),)
    assert len(validated.config.l2_advertisements) == 1


# --- selectors -----------------------------------------------------------------------------------


def twice(*expressions: MatchExpression) -> LabelSelector:
    return LabelSelector(match_expressions=list(expressions))


@pytest.mark.parametrize(
    ("selectors", "problems"),
    [
        pytest.param(
            [expression("In", "b", "a"), expression("In", "a", "b")],
            ['[1]: duplicate definition of nodeSelectors "zone in (a,b)"'],
            id="two that say the same",
        ),
        pytest.param(
            [expression("In", "a"), selector_object(zone="a")], [], id="two that mean the same"
        ),
        pytest.param(
            [expression("In", "a", "a")],
            [
                "[0].matchExpressions[0].values[1]: duplicate definition of match expression value"
                ' in label selector "a"'
            ],
            id="a value twice",
        ),
        pytest.param(
            [twice(MatchExpression("zone", "Exists"), MatchExpression("zone", "Exists"))],
            ['[0].matchExpressions[1]: duplicate definition of match expressions "zone"'],
            id="an expression twice",
        ),
        pytest.param(
            [selector_object(**{"a b": "c", "ok": "-"})],
            [
                '[0].matchLabels[a b]: "a b" cannot be the key of a label',
                '[0].matchLabels[ok]: "-" cannot be the value of a label',
            ],
            id="labels that cannot be",
        ),
        pytest.param(
            [twice(MatchExpression("EXAMPLE.com/x", "NotIn", ["a", "b/c"]))],
            [
                '[0].matchExpressions[0].key: "EXAMPLE.com/x" cannot be the key of a label',
                '[0].matchExpressions[0].values[1]: "b/c" cannot be the value of a label',
            ],
            id="expressions about labels that cannot be",
        ),
        pytest.param(
            [selector_object(**{"kubernetes.io/hostname": "n1", "empty": ""})], [], id="usual ones"
        ),
    ],
)
def test_problems_of_selectors(selectors: list[LabelSelector], problems: list[str]) -> None:
    assert sentences(advertisement_object(node_selectors=selectors)) == [
        f"L2Advertisement/all spec.nodeSelectors{sentence}" for sentence in problems
    ]


def test_preferences_may_say_the_same_twice() -> None:
    preferred = PreferredNodeSelector(10, expression("In", "a", "a"))
    advertised = only_advertisement(preferred_node_selectors=[preferred, preferred])
    assert len(advertised.preferred) == 2


# --- advertisements ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ip_address_pool_selectors", "service_selectors"])
def test_an_advertisements_selectors_are_different(name: str) -> None:
    same = [selector_object(tier="web"), selector_object(tier="web")]
    [problem] = check(advertisement_object(**{name: same})).problems
    field = {"service_selectors": "serviceSelectors"}.get(name, "ipAddressPoolSelectors")
    assert problem.path == f"spec.{field}[1]"
    assert problem.message == f'duplicate definition of {field} "tier=web"'


def test_an_advertisement_names_a_pool_once() -> None:
    advertised = advertisement_object(ip_address_pools=["main", "main"])
    assert sentences(pool_object(), advertised) == [
        'L2Advertisement/all spec.ipAddressPools[1]: duplicate definition of ipAddressPools "main"'
    ]


def test_an_advertisement_becomes_a_noun() -> None:
    found = only_advertisement(
        ip_address_pools=["main"],
        ip_address_pool_selectors=[selector_object(zone="a")],
        node_selectors=[expression("NotIn", "b", "c")],
        service_selectors=[selector_object(tier="web")],
        preferred_node_selectors=[PreferredNodeSelector(80, selector_object(rack="7"))],
        interfaces=["eth0", "eth1"],
    )
    assert found == advertisement(
        pools="main",
        pool_selectors=(labelled(zone="a"),),
        node_selectors=(Selector((Requirement("zone", "NotIn", frozenset("bc")),)),),
        service_selectors=(labelled(tier="web"),),
        preferred=(preferring(80, rack="7"),),
        interfaces=frozenset(["eth0", "eth1"]),
    )


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        pytest.param(expression("Exists"), None, id="Exists without values"),
        pytest.param(
            expression("Exists", "a"), ".values: Exists takes no values", id="Exists with values"
        ),
        pytest.param(
            expression("NotIn"), ".values: NotIn needs at least one value", id="NotIn without"
        ),
        pytest.param(
            expression("Gt", "1"),
            '.operator: "Gt" is none of In, NotIn, Exists, DoesNotExist',
            id="an operator of other selectors",
        ),
        pytest.param(
            expression(""),
            '.operator: "" is none of In, NotIn, Exists, DoesNotExist',
            id="no operator",
        ),
    ],
)
def test_problems_of_expressions(selector: LabelSelector, problem: str | None) -> None:
    path = "L2Advertisement/all spec.nodeSelectors[0].matchExpressions[0]"
    expected = [] if problem is None else [path + problem]
    assert sentences(advertisement_object(node_selectors=[selector])) == expected


@pytest.mark.parametrize("weight", [0, 101, -1])
def test_a_weight_is_between_1_and_100(weight: int) -> None:
    bad = advertisement_object(
        preferred_node_selectors=[PreferredNodeSelector(1), PreferredNodeSelector(weight)]
    )
    assert sentences(bad) == [
        "L2Advertisement/all spec.preferredNodeSelectors[1].weight:"
        f" {weight} is not between 1 and 100"
    ]


def test_an_invalid_advertisement_is_left_out_and_the_rest_is_in_force() -> None:
    bad = advertisement_object("bad", node_selectors=[expression("In")])
    validated = check(pool_object(), bad, advertisement_object("good"))
    assert [item.name for item in validated.config.l2_advertisements] == ["good"]


@pytest.mark.parametrize(
    ("pools", "hint"),
    [
        pytest.param([], "; there is no pool at all", id="no pool"),
        pytest.param(["main"], '; did you mean "main"?', id="a similar name"),
        pytest.param(["x", "y"], '; there are "x", "y"', id="other names"),
        pytest.param(
            ["1", "2", "3", "4", "5", "6"],
            '; there are "1", "2", "3", "4", "5"',
            id="five names are enough",
        ),
    ],
)
def test_an_unknown_pool_is_told_and_the_rest_of_the_advertisement_holds(
    pools: list[str], hint: str
) -> None:
    objects = [pool_object(n, f"192.0.2.{i}/32") for i, n in enumerate(pools)]
    validated = check(*objects, advertisement_object(ip_address_pools=["man"]))
    assert [str(item) for item in validated.problems] == [
        f'L2Advertisement/all spec.ipAddressPools[0]: there is no IPAddressPool "man"{hint}'
    ]
    assert len(validated.config.l2_advertisements) == 1


def test_an_invalid_pool_can_be_named() -> None:
    named = advertisement_object(ip_address_pools=["main"])
    assert sentences(pool_object(addresses=["web"]), named) == [
        'IPAddressPool/main spec.addresses[0]: "web" is neither a CIDR nor a range'
    ]


def test_objects_without_any_metadata_are_validated_too() -> None:
    bare = IPAddressPool(metadata=metadata("main", creation_timestamp=None))
    assert sentences(bare) == [
        "IPAddressPool/main spec.addresses: is empty: give at least one CIDR or range"
    ]
