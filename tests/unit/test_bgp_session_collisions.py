"""Two connections with one peer: which of them stays (RFC 4271, section 6.8; RFC 6286, 2.3)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from bellmetal.facts import SessionState, SessionTrouble
from bellmetal_bgp.agreement import peers_call_stays
from bellmetal_bgp.effects import Close
from bellmetal_bgp.messages import Keepalive, Notification, Open
from bellmetal_bgp.notifications import Cease, Code
from bgp_facts import peer
from bgp_sessions import CAPABLE, HELPER, OURS, THEIR_OPEN, THEIRS, Lone, table

COLLISION = Notification(Code.CEASE, Cease.CONNECTION_COLLISION)
LOW = THEIR_OPEN  # 192.0.2.1, we are 192.0.2.10
HIGH = replace(THEIR_OPEN, router_id=IPv4Address("192.0.2.200"))


@pytest.mark.parametrize(
    ("ours", "theirs", "peers"),
    [
        ((10, 1), (9, 1), False),
        ((10, 1), (11, 1), True),
        ((10, 1), (10, 2), True),
        ((10, 2), (10, 1), False),
        ((2**32 - 1, 1), (1, 2), False),
        ((9, 4200000000), (10, 1), True),
    ],
)
def test_whose_connection_stays(
    ours: tuple[int, int], theirs: tuple[int, int], peers: bool
) -> None:
    mine, his = (Open(asn, 90, IPv4Address(number)) for number, asn in (ours, theirs))
    assert peers_call_stays(mine, his) is peers


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize(("opened", "stays"), [(LOW, "ours"), (HIGH, "theirs")])
def test_of_two_the_one_of_the_higher_identifier_stays(
    opened: Open, stays: str, first: str
) -> None:
    """Whichever of them the peer's OPEN comes on first."""
    it = Lone().start().connected()
    numbers = {"ours": it.number, "theirs": it.call()}
    order = [first, *({"ours", "theirs"} - {first})]
    for name in order:
        it.hear(opened, number=numbers[name])
    goes = "theirs" if stays == "ours" else "ours"
    assert it.it.state is SessionState.OPEN_CONFIRM
    assert it.closed() == [numbers[goes]]
    assert COLLISION in it.said(numbers[goes])
    it.hear(Keepalive(), number=numbers[stays])
    assert it.it.established
    assert it.facts.notification == "", "a collision is nothing that a person must know"
    assert it.it.sent() == {(1, 1): {}}
    it.said(numbers[stays])
    it.do(it.it.want(table("198.51.100.1/32")))
    assert it.said(numbers[stays]), "its routes go out on the one that stays"


def test_equal_identifiers_of_two_as_numbers() -> None:
    same = replace(THEIR_OPEN, router_id=IPv4Address("192.0.2.10"))
    assert OURS < THEIRS
    it = Lone().start().connected()
    called = it.call()
    it.hear(same)
    it.hear(same, number=called)
    assert it.closed() == [it.number], "the peer's AS number is the higher one"


def test_a_call_while_we_are_still_connecting() -> None:
    it = Lone().start()
    called = it.call()
    it.hear(THEIR_OPEN, Keepalive(), number=called)
    assert it.it.established
    assert it.closed() == [it.number], "our attempt is given up"
    it.do(it.it.connected(it.number, it.place, it.now))
    assert it.closed() == [it.number, it.number], "should it be there all the same"
    assert it.it.established


def test_a_call_between_two_attempts() -> None:
    it = Lone().start()
    it.lose()
    assert it.it.state is SessionState.ACTIVE
    called = it.call()
    it.hear(THEIR_OPEN, Keepalive(), number=called)
    assert it.it.established
    asked = it.connects()
    it.wait(60, keepalives=False)
    assert it.connects() == asked, "no attempt any more"


def test_a_second_call_takes_the_place_of_the_first() -> None:
    it = Lone(passive=True).start()
    first = it.call()
    second = it.call()
    assert it.closed() == [first]
    assert COLLISION in it.said(first)
    it.hear(THEIR_OPEN, Keepalive(), number=second)
    assert it.it.established


def test_a_peer_that_calls_again_and_again_has_one_connection() -> None:
    it = Lone(passive=True).start()
    numbers = [it.call() for _ in range(1000)]
    assert it.closed() == numbers[:-1]


def test_a_call_while_it_is_up_is_refused_after_its_open() -> None:
    it = Lone().up(tables=table("198.51.100.1/32"))
    called = it.call()
    it.hear(LOW, number=called)
    assert it.said(called)[-1] == COLLISION
    assert it.closed() == [called]
    assert it.it.established
    assert it.facts.flaps == 0


def test_a_call_while_it_is_up_that_says_nothing() -> None:
    it = Lone().up()
    called = it.call()
    it.wait(30, keepalives=True)
    assert it.closed() == [called]
    assert it.it.established
    assert (it.facts.trouble, it.facts.message) == (None, "")


def test_a_peer_that_restarts_calls_and_keeps_routes() -> None:
    """RFC 4724, section 4.2: the old connection goes without a word."""
    plan, helper = peer(graceful_restart=True), replace(LOW, capabilities=HELPER)
    it = Lone(plan).up(helper, table("198.51.100.1/32"))
    old = it.number
    called = it.call()
    it.hear(helper, number=called)
    assert it.closed() == [old]
    assert it.said(old) == []
    it.hear(Keepalive(), number=called)
    assert it.it.established
    assert it.facts.flaps == 1
    assert len(it.said(called)) == 2 + 2, "OPEN, KEEPALIVE, the route, End-of-RIB"
    it.wait(60)
    assert it.connects() == 1, "it tries nothing beside it"


def test_a_peer_that_restarts_and_does_not_keep_routes() -> None:
    it = Lone(graceful_restart=True).up(replace(LOW, capabilities=CAPABLE))
    called = it.call()
    it.hear(LOW, number=called)
    assert it.closed() == [called]


def test_after_a_call_that_came_up_collisions_are_judged_as_before() -> None:
    """The connection that was the peer's is ours the next time."""
    it = Lone().start()
    called = it.call()
    it.hear(THEIR_OPEN, Keepalive(), number=called)
    it.lose(called)
    it.wait(1)
    assert it.it.state is SessionState.CONNECT
    it.connected()
    again = it.call()
    it.hear(LOW, number=again)
    it.hear(LOW)
    assert it.closed()[-1] == again
    assert it.it.state is SessionState.OPEN_CONFIRM


@pytest.mark.parametrize("steps", range(4))
def test_stopped_both_end(steps: int) -> None:
    it = Lone().start().connected()
    called = it.call()
    if steps:
        it.hear(*[LOW, Keepalive()][: steps - 1], number=called)
    it.do(it.it.stop(None, it.it.history.failure, it.now))
    assert set(it.closed()) == {it.number, called}
    assert it.it.state is SessionState.IDLE
    it.forget()
    assert it.call() not in (called, it.number)
    assert [type(effect) for effect in it.effects] == [Close]


def test_one_ends_and_the_other_goes_on() -> None:
    it = Lone().start().connected()
    called = it.call()
    it.hear(Notification(Code.CEASE, Cease.CONNECTION_REJECTED))
    assert it.facts.trouble is SessionTrouble.REJECTED
    it.hear(LOW, Keepalive(), number=called)
    assert it.it.established
    asked = it.connects()
    it.wait(60)
    assert it.connects() == asked
