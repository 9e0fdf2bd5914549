"""Routes → the tables of peers: who is told what, united, drained; what stays the same object."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from bellmetal.config import Community
from bellmetal.intents import Attributes, Route
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST
from bellmetal_bgp.outbound import Tables
from bellmetal_bgp.paths import path_id, unite, without_ids
from bellmetal_bgp.prefixes import encode_prefix
from bellmetal_bgp.views import Phase, Views, shutting_down
from bgp_facts import peer, prefix, route

A, B, SIX = "198.51.100.1/32", "198.51.100.2/32", "2001:db8::/64"
BLUE, RED = Community((64512, 1)), Community((64512, 2))
LARGE = Community((1, 2, 3))
SHUTDOWN = Community((65535, 0))


def views(*routes: Route) -> Views:
    made = Views()
    made.take(routes)
    return made


def announced(_: str) -> Phase:
    return Phase.NONE


def tables(made: Views, name: str = "router", **fields: object) -> Tables:
    return made.tables(replace(peer(name), **fields), announced)  # type: ignore[arg-type]


def shown(found: Tables) -> dict[str, Attributes]:
    """Prefix → attributes, of both families."""
    nlri = {encode_prefix(prefix(text)): text for text in (A, B, SIX)}
    return {nlri[key]: item for table in found.values() for key, item in table.items()}


# --- who is told what ----------------------------------------------------------------------------


def test_each_family_has_its_table() -> None:
    found = tables(views(route(A), route(SIX)))
    assert found[IPV4_UNICAST].keys() == {b"\x20\xc6\x33\x64\x01"}
    assert found[IPV6_UNICAST].keys() == {encode_prefix(prefix(SIX))}


@pytest.mark.parametrize(
    ("peers", "told"),
    [((), True), (("router",), True), (("router", "other"), True), (("other",), False)],
)
def test_a_route_may_be_for_some_peers_alone(peers: tuple[str, ...], told: bool) -> None:
    made = views(route(A, peers=frozenset(peers)))
    assert shown(tables(made)).keys() == ({A} if told else set())


def test_peers_that_are_told_the_same_share_a_table() -> None:
    made = views(route(A), route(B, peers=frozenset({"x"})))
    assert tables(made, "one") is tables(made, "two")
    assert tables(made, "x") is not tables(made, "one")
    assert tables(made, "one")[IPV4_UNICAST] is tables(made, "two")[IPV4_UNICAST]


def test_what_does_not_concern_a_peer_leaves_its_table_as_it_is() -> None:
    one, other = route(A), route(B, peers=frozenset({"x"}))
    made = views(one, other)
    before, theirs = tables(made, "one"), tables(made, "x")
    made.forget()
    made.take([replace(other, attributes=Attributes(med=7)), one])
    assert tables(made, "one") is before
    assert tables(made, "x") is not theirs
    made.forget()
    made.take([route(A), other])
    assert tables(made, "one") is before, "equal routes are as good as the same ones"


def test_equal_attributes_are_one_object() -> None:
    made = views(route(A, attributes=Attributes(med=1)), route(B, attributes=Attributes(med=1)))
    first, second = shown(tables(made)).values()
    assert first is second


def test_the_network_of_an_nlri() -> None:
    made = views(route(A), route(SIX))
    nlri = encode_prefix(prefix(A))
    assert made.network(IPV4_UNICAST, nlri) is None, "of no table yet"
    tables(made)
    assert made.network(IPV4_UNICAST, nlri) == prefix(A)
    assert made.network(IPV6_UNICAST, nlri) is None
    made.take([])
    tables(made)
    assert made.network(IPV4_UNICAST, nlri) is None


# --- several routes to one prefix ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "best"),
    [
        ({"local_pref": 50}, {"local_pref": 100}, {"local_pref": 100}),
        ({"med": 7}, {"med": 5}, {"med": 5}),
        ({"med": 7}, {}, {}),
        ({"prepend": 2}, {"prepend": 1}, {"prepend": 1}),
        ({"local_pref": 50, "med": 1}, {"local_pref": 60, "med": 9}, {"local_pref": 60, "med": 9}),
        ({"communities": (RED,)}, {"communities": (BLUE,)}, {"communities": (BLUE, RED)}),
        (
            {"communities": (RED,), "local_pref": 1},
            {"communities": (BLUE, RED)},
            {"communities": (BLUE, RED), "local_pref": 1},
        ),
        ({"med": 0}, {}, {"med": 0}),
    ],
)
def test_they_are_united(
    one: dict[str, object], other: dict[str, object], best: dict[str, object]
) -> None:
    """In either order: what is sent must not change with it."""
    first, second, wanted = (Attributes(**item) for item in (one, other, best))  # type: ignore[arg-type]
    assert unite(first, second) == unite(second, first) == wanted
    for routes in ([first, second], [second, first]):
        made = views(*(route(A, attributes=item) for item in routes))
        assert shown(tables(made)) == {A: wanted}


def test_a_peer_is_told_of_the_routes_that_are_for_it() -> None:
    made = views(
        route(A, attributes=Attributes(communities=(RED,))),
        route(A, attributes=Attributes(communities=(BLUE,)), peers=frozenset({"x"})),
    )
    assert shown(tables(made, "x"))[A].communities == (BLUE, RED)
    assert shown(tables(made, "y"))[A].communities == (RED,)


HOP = ipaddress.ip_address("192.0.2.77")


def test_path_ids_tell_next_hops_apart() -> None:
    here, there = Attributes(), Attributes(next_hop=HOP)
    made = views(route(A, attributes=here), route(A, attributes=there))
    found = tables(made, add_path=True)[IPV4_UNICAST]
    nlri = encode_prefix(prefix(A))
    assert found == {path_id(item).to_bytes(4, "big") + nlri: item for item in (here, there)}
    assert {made.network(IPV4_UNICAST, key) for key in found} == {prefix(A)}
    assert made.network(IPV4_UNICAST, nlri) == prefix(A), "for a peer that takes no path IDs"
    assert without_ids(found) == tables(made)[IPV4_UNICAST]


def test_a_path_id_is_never_zero_and_always_the_same() -> None:
    assert path_id(Attributes(next_hop=HOP)) == path_id(Attributes(next_hop=HOP, med=3))
    assert all(path_id(item) for item in (Attributes(), Attributes(next_hop=HOP)))


# --- drains (RFC 8326) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "told"),
    [
        (Phase.NONE, {A: (), B: ()}),
        (Phase.SHUTTING_DOWN, {A: (SHUTDOWN,), B: ()}),
        (Phase.GONE, {B: ()}),
    ],
)
def test_a_node_set_that_is_given_up(phase: Phase, told: dict[str, tuple[Community, ...]]) -> None:
    made = views(route(A, node_set="old"), route(B, node_set="new"))
    found = made.tables(peer(), lambda name: phase if name == "old" else Phase.NONE)
    assert {text: item.communities for text, item in shown(found).items()} == told


def test_a_drain_and_its_end_change_the_table_and_change_it_back() -> None:
    made = views(route(A))
    before = tables(made)
    gone = made.tables(peer(), lambda _: Phase.GONE)
    assert not gone[IPV4_UNICAST]
    assert tables(made) is before


def test_of_two_node_sets_the_other_one_stays() -> None:
    made = views(route(A, node_set="old"), route(A, node_set="new"))
    for phase, told in ((Phase.SHUTTING_DOWN, (SHUTDOWN,)), (Phase.GONE, ())):
        found = made.tables(
            peer(),
            lambda name, phase=phase: phase if name == "old" else Phase.NONE,  # type: ignore[misc]
        )
        assert shown(found)[A].communities == told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), (SHUTDOWN,)),
        ((SHUTDOWN,), (SHUTDOWN,)),
        ((BLUE, LARGE), tuple(sorted((BLUE, LARGE, SHUTDOWN)))),
    ],
)
def test_graceful_shutdown_is_added_once(
    before: tuple[Community, ...], after: tuple[Community, ...]
) -> None:
    assert shutting_down(Attributes(communities=before)).communities == after
