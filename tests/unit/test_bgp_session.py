"""One session's life: how it comes up, what ends it, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bellmetal.facts import SessionState, SessionTrouble
from bellmetal_bgp.capabilities import Capabilities, GracefulRestart
from bellmetal_bgp.connection import SEND_HOLD
from bellmetal_bgp.effects import Changed, Close, Connect, Failure, Send
from bellmetal_bgp.families import IPV4_UNICAST
from bellmetal_bgp.messages import Keepalive, Message, Notification, Open
from bellmetal_bgp.notifications import Cease, Code, OpenError, hard, shutdown
from bellmetal_bgp.session import LONGEST_WAIT, RESTARTING
from bgp_bytes import KEEPALIVE, UPDATE, capability, message, opened, parameter
from bgp_bytes import update as update_bytes
from bgp_sessions import CAPABLE, HELPER, OURS, THEIR_OPEN, Lone, table

REFUSED = Failure(SessionTrouble.REFUSED, "nobody listens there")
STOPPED = Failure(SessionTrouble.STOPPED, "its BGPPeer is gone")
RESET = Notification(Code.CEASE, Cease.OTHER_CONFIGURATION_CHANGE)
SHUTDOWN = shutdown("maintenance")


# --- how it comes up -----------------------------------------------------------------------------


def test_it_connects_says_open_and_is_up_when_the_peer_says_so_too() -> None:
    it = Lone()
    assert it.it.state is SessionState.IDLE
    it.start()
    assert (it.it.state, it.connects()) == (SessionState.CONNECT, 1)
    assert it.facts.trouble is SessionTrouble.CONNECTING
    it.connected()
    assert it.it.state is SessionState.OPEN_SENT
    (said,) = it.said()
    assert isinstance(said, Open)
    assert (said.asn, said.hold_time, str(said.router_id)) == (OURS, 90, "192.0.2.10")
    it.hear(THEIR_OPEN)
    assert (it.it.state, it.said()) == (SessionState.OPEN_CONFIRM, [Keepalive()])
    it.hear(Keepalive())
    assert it.it.state is SessionState.ESTABLISHED
    assert it.said() == [], "nothing before the first complete table"
    facts = it.facts
    assert (facts.trouble, facts.message, facts.since) == (None, "", it.now)
    assert facts.negotiated is not None
    assert (facts.negotiated.hold_time, facts.negotiated.keepalive_time) == (90, 30.0)


def test_open_and_keepalive_may_come_in_one_segment() -> None:
    assert Lone().up().it.established


def test_a_message_may_come_octet_by_octet() -> None:
    it = Lone().start().connected()
    for octet in opened(parameter(capability(65, b"\0\0\xfc\x01"))) + message(KEEPALIVE):
        it.hear(bytes([octet]))
    assert it.it.established


@pytest.mark.parametrize(
    "end",
    [
        Notification(Code.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN),
        message(9),
        update_bytes(path=b"\x40\x0f\x03\0\1\1"),
        message(UPDATE, b"\xff\xff"),
        THEIR_OPEN,
        b"\0" * 19,
    ],
    ids=["cease", "unknown type", "wrong attribute", "wrong length", "open again", "no marker"],
)
@pytest.mark.parametrize("called", [False, True], ids=["by us", "by the peer"])
def test_it_may_end_in_the_segment_in_which_it_came_up(end: Message | bytes, called: bool) -> None:
    it = Lone(passive=called)
    it.do(it.it.want(table("198.51.100.1/32")))
    it.start()
    number = it.call() if called else it.connected().number
    it.hear(THEIR_OPEN, Keepalive(), end, Keepalive(), number=number)
    assert not it.it.established
    assert it.facts.flaps == 1
    assert it.facts.trouble in (SessionTrouble.PROTOCOL_ERROR, SessionTrouble.SHUTDOWN_BY_PEER)
    assert number in it.closed()
    it.wait(LONGEST_WAIT)
    assert it.it.state is (SessionState.ACTIVE if called else SessionState.CONNECT)


def test_a_passive_one_waits_for_the_peer() -> None:
    it = Lone(passive=True).start()
    it.wait(1000)
    assert (it.it.state, it.connects()) == (SessionState.ACTIVE, 0)
    assert it.facts.trouble is SessionTrouble.WAITING
    number = it.call()
    assert it.it.state is SessionState.OPEN_SENT
    it.hear(THEIR_OPEN, Keepalive(), number=number)
    assert it.it.established
    it.lose(number)
    assert it.it.state is SessionState.IDLE
    it.wait(LONGEST_WAIT)
    assert it.it.state is SessionState.ACTIVE, "and waits for him again"
    assert it.connects() == 0


def test_calls_are_refused_while_it_is_idle() -> None:
    it = Lone(passive=True)
    number = it.call()
    assert it.effects == [Close(number)]
    it.start().hear(THEIR_OPEN, Keepalive(), number=number)
    assert it.it.state is SessionState.ACTIVE


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(4))
def test_stopped_it_stays_so(steps: int) -> None:
    it = Lone()
    for step in (it.start, it.connected, lambda: it.hear(THEIR_OPEN, Keepalive()))[:steps]:
        step()
    it.said()
    it.stop(RESET, STOPPED)
    assert it.it.state is SessionState.IDLE
    assert it.it.deadline() is None
    assert it.said() == ([RESET] if steps >= 2 else [])
    assert (it.facts.trouble, it.facts.message) == (STOPPED.trouble, STOPPED.message)
    it.wait(1000)
    assert it.it.state is SessionState.IDLE


def test_stopped_without_a_word() -> None:
    it = Lone(graceful_restart=True).up(replace(THEIR_OPEN, capabilities=HELPER))
    assert it.it.keeps_routes
    it.stop(None, STOPPED)
    assert it.said() == []
    assert it.closed() == [it.number]


@pytest.mark.parametrize(
    ("ours", "theirs", "keeps", "told"),
    [
        (True, HELPER, True, hard(SHUTDOWN)),
        (True, replace(CAPABLE, graceful_restart=GracefulRestart()), True, SHUTDOWN),
        (True, CAPABLE, False, SHUTDOWN),
        (False, HELPER, False, SHUTDOWN),
    ],
)
def test_who_keeps_routes_and_how_it_is_told_not_to(
    ours: bool, theirs: Capabilities, keeps: bool, told: Notification
) -> None:
    it = Lone(graceful_restart=ours).up(replace(THEIR_OPEN, capabilities=theirs))
    assert it.it.keeps_routes is keeps
    assert it.it.for_good(SHUTDOWN) == told


@pytest.mark.parametrize(("after", "restarting"), [(0, True), (RESTARTING + 1, False)])
def test_its_open_says_that_the_speaker_has_restarted(after: float, restarting: bool) -> None:
    it = Lone(graceful_restart=True)
    it.now += after
    (said,) = it.start().connected().said()
    assert isinstance(said, Open)
    told = said.capabilities.graceful_restart
    assert told is not None
    assert (told.restarting, told.notification) == (restarting, True)
    assert told.families == {IPV4_UNICAST: True}


def test_bfd_ends_it_and_it_is_tried_again() -> None:
    it = Lone().up()
    it.do(it.it.bfd_down("BFD: control detection time expired", it.now))
    assert it.said() == [Notification(Code.CEASE, Cease.BFD_DOWN)]
    assert it.facts.trouble is SessionTrouble.BFD_DOWN
    assert it.facts.message == "BFD: control detection time expired"
    it.wait(1)
    assert it.it.state is SessionState.CONNECT


def test_bfd_ends_nothing_that_is_not_up() -> None:
    it = Lone().start().connected()
    assert it.it.bfd_down("BFD is down", it.now) == []
    assert it.it.state is SessionState.OPEN_SENT


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (SHUTDOWN, SessionTrouble.SHUTDOWN_BY_PEER),
        (hard(SHUTDOWN), SessionTrouble.SHUTDOWN_BY_PEER),
        (Notification(Code.CEASE, Cease.PEER_DECONFIGURED), SessionTrouble.SHUTDOWN_BY_PEER),
        (Notification(Code.CEASE, Cease.BFD_DOWN), SessionTrouble.BFD_DOWN),
        (Notification(Code.CEASE, Cease.MAXIMUM_PREFIXES), SessionTrouble.REJECTED),
        (Notification(Code.OPEN, OpenError.BAD_PEER_AS), SessionTrouble.WRONG_ASN),
        (Notification(Code.OPEN, OpenError.BAD_BGP_IDENTIFIER), SessionTrouble.WRONG_ROUTER_ID),
        (Notification(Code.OPEN, OpenError.AUTHENTICATION_FAILURE), SessionTrouble.WRONG_PASSWORD),
        (Notification(Code.HOLD_TIMER_EXPIRED), SessionTrouble.HOLD_TIMER),
        (Notification(Code.UPDATE, 3), SessionTrouble.REJECTED),
        (Notification(200, 201, b"?"), SessionTrouble.REJECTED),
    ],
    ids=str,
)
def test_the_peers_last_word(said: Notification, trouble: SessionTrouble) -> None:
    it = Lone().up()
    it.hear(said)
    facts = it.facts
    assert facts.trouble is trouble
    assert facts.message == f"the peer ended it: {said}"
    assert (facts.notification, facts.notification_sent) == (str(said), False)
    assert it.said() == [], "a NOTIFICATION is not answered"
    assert it.closed() == [it.number]


def test_a_connection_that_ends_without_a_word() -> None:
    it = Lone().up()
    it.lose()
    assert it.facts.trouble is SessionTrouble.RESET
    assert it.facts.error == it.facts.message == "the other side has gone"
    assert it.facts.flaps == 1


def test_what_comes_after_the_end_is_nobodys() -> None:
    it = Lone().up()
    number = it.number
    it.hear(SHUTDOWN)
    it.forget()
    assert it.hear(Keepalive(), update_bytes(), THEIR_OPEN, number=number) == []
    it.lose(number)
    assert it.effects == []


def test_connections_that_nobody_asked_for() -> None:
    it = Lone().up()
    it.forget()
    it.do(it.it.connected(77, it.place, it.now))
    assert it.effects == [Close(77)]
    it.forget()
    it.lose(77)
    it.do(it.it.failed(77, REFUSED, it.now))
    it.hear(Keepalive(), number=77)
    it.it.blocked(77, it.now)
    it.do(it.it.unblocked(77))
    assert it.effects == []
    assert it.it.established


def test_a_connection_that_comes_after_it_was_stopped_is_closed() -> None:
    it = Lone().start()
    number = it.number
    it.stop(RESET, STOPPED)
    it.forget()
    it.number = number
    it.connected()
    assert it.effects == [Close(number)]


# --- a peer that does not read (RFC 9687) --------------------------------------------------------


def test_a_peer_that_does_not_read_is_given_up() -> None:
    it = Lone().up()
    it.it.blocked(it.number, it.now)
    it.wait(SEND_HOLD - 1, keepalives=True)
    assert it.it.established
    it.said()
    it.wait(2, keepalives=True)
    assert Notification(Code.SEND_HOLD_TIMER_EXPIRED) in it.said()
    assert it.facts.trouble is SessionTrouble.PROTOCOL_ERROR
    assert it.facts.message == "we ended it: send hold timer expired"


def test_a_peer_that_reads_again_stays() -> None:
    it = Lone().up()
    for _ in range(10):
        it.it.blocked(it.number, it.now)
        it.wait(SEND_HOLD - 1, keepalives=True)
        it.do(it.it.unblocked(it.number))
    assert it.it.established


@pytest.mark.parametrize("steps", range(3))
def test_a_connection_that_is_gone_blocks_nothing(steps: int) -> None:
    it = Lone().up()
    number = it.number
    it.lose()
    for _ in range(steps):
        it.wait((it.it.deadline() or it.now) - it.now)
        it.fail(REFUSED)
    it.it.blocked(number, it.now)
    it.wait(2 * SEND_HOLD)
    assert it.it.state is not SessionState.ESTABLISHED


# --- what is told --------------------------------------------------------------------------------


def test_every_change_of_state_is_told_and_dated() -> None:
    it = Lone()
    for step in (it.start, it.connected, lambda: it.hear(THEIR_OPEN), lambda: it.hear(Keepalive())):
        it.now += 5
        it.forget()
        step()
        assert it.effects.count(Changed()) == 1
        assert it.facts.since == it.now
    it.forget()
    it.hear(Keepalive())
    assert not it.changed


def test_what_went_over_the_wire_is_counted() -> None:
    it = Lone().up(tables=table("198.51.100.1/32"))
    it.hear(update_bytes(), message(5, b"\0\1\0\1"))
    it.hear(SHUTDOWN)
    assert it.facts.counters == {
        "opens_sent": 1,
        "opens_received": 1,
        "notifications_sent": 0,
        "notifications_received": 1,
        "updates_sent": 3,  # the route, the End-of-RIB, the route again
        "updates_received": 1,
        "keepalives_sent": 1,
        "keepalives_received": 1,
        "route_refresh_sent": 0,
        "route_refresh_received": 1,
        "total_sent": 5,
        "total_received": 5,
    }


def test_effects_are_only_those_that_an_edge_knows() -> None:
    it = Lone().up(tables=table("198.51.100.1/32"))
    it.hear(update_bytes(), SHUTDOWN)
    it.wait(10)
    assert {type(effect) for effect in it.effects} == {Connect, Send, Close, Changed}
