"""What a session tells its peer: tables, refreshes, limits; and nothing twice."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from bellmetal.intents import Attributes
from bellmetal_bgp.capabilities import RECEIVE, Capabilities
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import Keepalive, RouteRefresh
from bellmetal_bgp.outbound import Tables
from bellmetal_bgp.paths import path_id
from bellmetal_bgp.prefixes import encode_prefix
from bgp_facts import peer
from bgp_sessions import (
    BOTH,
    CAPABLE,
    THEIR_OPEN,
    Learned,
    Lone,
    table,
)

ONE, TWO, SIX = "198.51.100.1/32", "198.51.100.2/32", "2001:db8::1/128"
DUAL = replace(CAPABLE, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))
ENHANCED = replace(CAPABLE, enhanced_refresh=True)
REQUEST = RouteRefresh(IPV4_UNICAST)


class Told:
    """What a peer has learned, and in how many UPDATEs."""

    def __init__(self, it: Lone) -> None:
        self.it, self.learned = it, Learned()

    def more(self) -> int:
        """How many UPDATEs came since the last time."""
        return len(self.learned.feed(self.it.octets()))

    def prefixes(self) -> set[str]:
        self.more()
        return self.learned.prefixes()


def up(tables: Tables | None = None, **fields: object) -> tuple[Lone, Told]:
    it = Lone(peer(**fields))
    if tables is not None:
        it.do(it.it.want(tables))
    it.start().connected().said()
    it.hear(THEIR_OPEN, Keepalive())
    assert it.it.established
    return it, Told(it)


def want(it: Lone, tables: Tables) -> None:
    it.do(it.it.want(tables))


# --- tables --------------------------------------------------------------------------------------


def test_nothing_is_said_before_the_first_complete_table() -> None:
    it, told = up()
    assert told.more() == 0
    want(it, table(ONE))
    assert told.more() == 2
    assert told.prefixes() == {ONE}
    assert told.learned.ended == [IPV4_UNICAST]


def test_an_empty_table_is_complete_too() -> None:
    _, told = up(table())
    assert told.more() == 1
    assert told.learned.ended == [IPV4_UNICAST]


def test_the_end_of_rib_comes_once() -> None:
    it, told = up(table(ONE))
    told.more()
    want(it, table(TWO))
    told.more()
    assert told.learned.ended == [IPV4_UNICAST]


def test_only_what_changed_is_said() -> None:
    it, told = up(table(ONE, TWO))
    told.more()
    want(it, table(ONE, TWO))
    assert told.more() == 0
    want(it, table(TWO))
    assert told.more() == 1
    assert told.prefixes() == {TWO}
    both = table(ONE, TWO)
    want(it, both)
    want(it, both)
    assert told.more() == 1


def test_what_is_gone_is_withdrawn_before_anything_is_announced() -> None:
    it, told = up(table(ONE))
    told.more()
    want(it, table(TWO))
    gone, there = told.learned.feed(it.octets())
    assert (bool(gone.withdrawn), bool(gone.announced)) == (True, False)
    assert (bool(there.withdrawn), bool(there.announced)) == (False, True)


def test_after_a_new_start_all_is_told_again() -> None:
    it, told = up(table(ONE, TWO))
    assert told.prefixes() == {ONE, TWO}
    it.lose()
    assert it.it.sent() == {}
    assert it.facts.prefixes_sent == 0
    it.wait(1)
    it.connected().said()
    it.hear(THEIR_OPEN, Keepalive())
    assert Told(it).prefixes() == {ONE, TWO}


def test_families_that_were_not_agreed_on_are_not_sent() -> None:
    it, told = up(table(ONE, SIX))
    assert told.prefixes() == {ONE}
    assert it.it.sent().keys() == {IPV4_UNICAST}


def test_both_families_over_one_transport() -> None:
    it = Lone(peer(dual_stack=True), BOTH).start().connected()
    want(it, table(ONE, SIX))
    it.said()
    it.hear(replace(THEIR_OPEN, capabilities=DUAL), Keepalive())
    told = Told(it)
    assert told.prefixes() == {ONE, SIX}
    assert set(told.learned.ended) == {IPV4_UNICAST, IPV6_UNICAST}


def test_routes_without_a_next_hop_are_kept_back_and_said_so() -> None:
    it = Lone(peer(dual_stack=True)).start().connected()  # the node has no IPv6 there
    want(it, table(ONE, SIX))
    it.said()
    it.hear(replace(THEIR_OPEN, capabilities=DUAL), Keepalive())
    assert Told(it).prefixes() == {ONE}
    assert it.facts.prefixes_sent == 1
    assert it.facts.warnings == (
        "1 IPv6 unicast prefixes are not sent: this node has no next hop of that family towards"
        " the peer",
    )
    want(it, table(ONE))
    assert it.facts.warnings == ()
    assert it.facts.prefixes_pending == 0


# --- at most so many -----------------------------------------------------------------------------


def test_at_most_so_many_prefixes() -> None:
    prefixes = [f"198.51.100.{n}/32" for n in range(5)]
    it, told = up(table(*prefixes), max_prefixes=3)
    assert told.prefixes() == set(prefixes[:3])
    assert it.facts.warnings == ("2 of 5 IPv4 unicast prefixes are not sent: 3 at most",)
    want(it, table(*prefixes[1:]))
    assert told.prefixes() == set(prefixes[1:4]), "those that were told stay"
    for most, number in ((4, 4), (0, 4), (1, 1), (2, 2)):
        it.do(it.it.change(replace(it.it.plan, max_prefixes=most), it.now))
        assert len(told.prefixes()) == number, most
        assert it.facts.prefixes_sent == number
        assert it.facts.prefixes_pending == 0
    assert it.it.established


# --- a peer that reads slowly --------------------------------------------------------------------


def test_while_the_peer_does_not_read_nothing_is_added() -> None:
    it, told = up(table(ONE))
    told.more()
    it.it.blocked(it.number, it.now)
    for n in range(10):
        want(it, table(f"198.51.100.{n}/32"))
    assert told.more() == 0
    assert it.facts.prefixes_pending == 2
    assert it.facts.warnings == it.facts.warnings == ()
    assert it.facts.prefixes_sent == 1
    it.do(it.it.unblocked(it.number))
    assert told.prefixes() == {"198.51.100.9/32"}
    assert it.facts.prefixes_pending == 0


def test_what_was_blocked_is_not_after_a_new_start() -> None:
    it, _ = up(table(ONE))
    it.it.blocked(it.number, it.now)
    it.lose()
    it.wait(1)
    it.connected().said()
    it.hear(THEIR_OPEN, Keepalive())
    assert Told(it).prefixes() == {ONE}


# --- route refresh (RFC 2918, RFC 7313) ----------------------------------------------------------


@pytest.mark.parametrize(("theirs", "framed"), [(CAPABLE, []), (ENHANCED, [1, 2])])
def test_a_refresh_tells_all_again(theirs: Capabilities, framed: list[int]) -> None:
    it = Lone().up(replace(THEIR_OPEN, capabilities=theirs), table(ONE, TWO))
    told = Told(it)
    it.hear(REQUEST)
    assert told.prefixes() == {ONE, TWO}
    assert told.learned.refreshes == framed
    assert it.facts.counters["route_refresh_sent"] == len(framed)


@pytest.mark.parametrize(
    "said", [RouteRefresh(IPV6_UNICAST), RouteRefresh(Family(25, 70)), RouteRefresh((1, 1), 1),
             RouteRefresh((1, 1), 2), RouteRefresh((1, 1), 99)],
)  # fmt: skip
def test_refreshes_that_ask_for_nothing(said: RouteRefresh) -> None:
    it, told = up(table(ONE))
    told.more()
    it.hear(RouteRefresh(Family(*said.family), said.subtype))
    assert it.octets() == b""
    assert it.it.established


def test_a_refresh_tells_what_is_wanted_now() -> None:
    it, told = up(table(ONE))
    told.more()
    it.it.blocked(it.number, it.now)
    want(it, table(TWO))
    it.hear(REQUEST)
    it.do(it.it.unblocked(it.number))
    assert told.prefixes() == {TWO}


def test_before_the_first_table_a_refresh_waits() -> None:
    """An empty answer would make a peer that kept our routes forget them (RFC 7313, section 4)."""
    it = Lone().up(replace(THEIR_OPEN, capabilities=ENHANCED))
    it.hear(REQUEST)
    assert it.octets() == b""
    want(it, table(ONE))
    told = Told(it)
    assert told.prefixes() == {ONE}
    assert told.learned.ended == [IPV4_UNICAST]
    assert told.learned.refreshes == [1, 2]


def test_the_first_table_answers_a_refresh_of_a_peer_that_expects_no_frame_around_it() -> None:
    it = Lone().up(replace(THEIR_OPEN, capabilities=CAPABLE))
    it.hear(REQUEST)
    want(it, table(ONE))
    assert Told(it).more() == 2, "the route and the End-of-RIB"


def test_many_refreshes_are_answered_once() -> None:
    it, told = up(table(*(f"198.51.{n}.0/24" for n in range(100))))
    assert told.more() == 2
    it.hear(*[REQUEST] * 700)
    assert told.more() == 1


def test_refreshes_of_a_peer_that_does_not_read_are_answered_once_it_does() -> None:
    it, told = up(table(ONE))
    told.more()
    it.it.blocked(it.number, it.now)
    for _ in range(100):
        it.hear(*[REQUEST] * 100)
    assert told.more() == 0
    it.do(it.it.unblocked(it.number))
    assert told.more() == 1
    want(it, table(ONE))
    assert told.more() == 0


def test_a_refresh_is_forgotten_with_its_session() -> None:
    it, _ = up(table(ONE))
    it.it.blocked(it.number, it.now)
    it.hear(REQUEST)
    it.lose()
    it.wait(1)
    it.connected().said()
    it.hear(THEIR_OPEN, Keepalive())
    assert Told(it).more() == 2


# --- several paths of a prefix (RFC 7911) --------------------------------------------------------

HERE, THERE = Attributes(next_hop=None), Attributes(next_hop=ipaddress.ip_address("192.0.2.77"))


def with_ids(prefix: str = ONE) -> Tables:
    nlri = encode_prefix(ipaddress.ip_network(prefix))
    ways = {path_id(item).to_bytes(4, "big") + nlri: item for item in (HERE, THERE)}
    return {IPV4_UNICAST: ways}


@pytest.mark.parametrize("takes", [True, False])
def test_path_ids_are_for_those_that_take_them(takes: bool) -> None:
    theirs = replace(CAPABLE, add_path={IPV4_UNICAST: RECEIVE} if takes else {})
    it = Lone(peer(add_path=True)).start().connected()
    want(it, with_ids())
    it.said()
    it.hear(replace(THEIR_OPEN, capabilities=theirs), Keepalive())
    learned = Learned([IPV4_UNICAST] if takes else [])
    learned.feed(it.octets())
    hops = {path.next_hop for path in learned.routes.values()}
    assert hops == {bytes([192, 0, 2, n]) for n in ((10, 77) if takes else (10,))}
    assert it.facts.prefixes_sent == (2 if takes else 1)
    assert (it.facts.warnings, it.facts.prefixes_pending) == ((), 0)
    want(it, with_ids())
    assert it.octets() == b""
    want(it, {IPV4_UNICAST: {}})
    learned.feed(it.octets())
    assert learned.routes == {}
