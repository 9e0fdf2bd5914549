"""The state machine of a connection: every pair has an answer, and which RFC says so."""

from __future__ import annotations

import itertools

import pytest

from bellmetal.facts import SessionState
from bellmetal_bgp.fsm import REST, TABLE, Action, Event, Transition, follow

IDLE, CONNECT, ACTIVE, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED = SessionState
E = Event

PAIRS = list(itertools.product(SessionState, Event))


def name(pair: tuple[SessionState, Event]) -> str:
    return f"{pair[0].value}-{pair[1].name}"


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_every_pair_of_state_and_event_has_a_transition(pair: tuple[SessionState, Event]) -> None:
    transition = follow(*pair)
    assert isinstance(transition, Transition)
    assert isinstance(transition.state, SessionState)


# --- RFC 4271, section 8.2.2, and RFC 9687, section 3.2 ------------------------------------------
#
# Into which state (a letter: I C A S O E), and what is said on the way: `o` OPEN, `k` KEEPALIVE,
# `n` the NOTIFICATION of the cause, `f` Finite State Machine Error (RFC 6608). `!` counts a failure
# (the RFC's ConnectRetryCounter), `+` opens a connection, `x` drops it.

LETTERS = dict(zip("ICASOE", SessionState, strict=True))
MARKS = {
    Action.SEND_OPEN: "o",
    Action.SEND_KEEPALIVE: "k",
    Action.NOTIFY: "n",
    Action.DISORDER: "f",
    Action.CLOSE: "x",
    Action.CONNECT: "+",
    Action.FAILED: "!",
}

RFC: dict[Event, str] = {
    #                  Idle Connect Active OpenSent OpenConfirm Established
    E.START:                  "C+   C    A    S     O     E",
    E.START_PASSIVE:          "A    C    A    S     O     E",
    E.STOP:                   "I    Ix   Ix   Inx   Inx   Inx",
    E.CONNECT_RETRY_EXPIRES:  "I    Cx+  Cx+  Ifx!  Ifx!  Ifx!",
    E.HOLD_EXPIRES:           "I    Ix!  Ix!  Inx!  Inx!  Inx!",
    E.KEEPALIVE_EXPIRES:      "I    Ix!  Ix!  Ifx!  Ok    Ek",
    E.CONNECTED:              "I    So   So   Ifx!  Ifx!  Ifx!",
    E.TCP_FAILS:              "I    Ax!  Ix!  Ax!   Ix!   Ix!",
    E.OPEN:                   "I    Ix!  Ix!  Ok    Ifx!  Ifx!",
    E.HEADER_ERROR:           "I    Ix!  Ix!  Inx!  Inx!  Inx!",
    E.OPEN_ERROR:             "I    Ix!  Ix!  Inx!  Inx!  Ifx!",
    E.COLLISION:              "I    Ix!  Ix!  Inx   Inx   Inx",
    E.NOTIFICATION:           "I    Ix!  Ix!  Ix!   Ix!   Ix!",
    E.KEEPALIVE:              "I    Ix!  Ix!  Ifx!  E     E",
    E.UPDATE:                 "I    Ix!  Ix!  Ifx!  Ifx!  E",
    E.UPDATE_ERROR:           "I    Ix!  Ix!  Ifx!  Ifx!  Inx!",
    E.SEND_HOLD_EXPIRES:      "I    Ix!  Ix!  Inx!  Inx!  Inx!",
    E.ROUTE_REFRESH:          "I    Ix!  Ix!  Ifx!  Ifx!  E",
}  # fmt: skip

# Where the cell is not the RFC's, and why.
OTHERWISE = {
    (CONNECT, E.TCP_FAILS): "as with a DelayOpenTimer: it listens on and tries again",
    (OPEN_SENT, E.TCP_FAILS): "as the RFC has it, and counted, so that the next try is later",
    (OPEN_SENT, E.NOTIFICATION): "a NOTIFICATION is never answered by one (section 6.4)",
    (OPEN_SENT, E.COLLISION): "the collision is none of the peer's faults: not counted",
    (OPEN_CONFIRM, E.OPEN): "a second OPEN on one connection is no collision",
    (ESTABLISHED, E.HEADER_ERROR): "section 6.1 names the NOTIFICATION, 8.2.2 another one",
}


@pytest.mark.parametrize("event", Event)
def test_the_table_is_the_rfcs(event: Event) -> None:
    found = {state: follow(state, event) for state in SessionState}
    for state, cell in zip(SessionState, RFC[event].split(), strict=True):
        transition = found[state]
        marks = "".join(mark for action, mark in MARKS.items() if action in transition.actions)
        assert transition.state is LETTERS[cell[0]], (state, event)
        assert sorted(marks) == sorted(cell[1:]), (state, event)


def test_what_is_otherwise_is_a_cell() -> None:
    assert set(OTHERWISE) <= set(PAIRS)


# --- what holds of all cells ---------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_a_cell_makes_sense(pair: tuple[SessionState, Event]) -> None:
    state, _ = pair
    new, actions = follow(*pair).state, follow(*pair).actions
    said = [*map(actions.index, {Action.NOTIFY, Action.DISORDER} & set(actions))]
    if Action.CLOSE in actions:
        assert all(at < actions.index(Action.CLOSE) for at in said), "said before it is closed"
    else:
        assert not said
    if new is IDLE and state is not IDLE:
        assert Action.CLOSE in actions
    if Action.CONNECT in actions:
        assert actions.index(Action.RETRY) < actions.index(Action.CONNECT)
    if state in (CONNECT, ACTIVE, IDLE):
        assert not said, "nobody is there to be told"
    if new is ESTABLISHED and state is not ESTABLISHED:
        assert Action.UP in actions
    else:
        assert Action.UP not in actions


def test_only_what_the_peer_says_keeps_the_session() -> None:
    heard = {event for event in Event if Action.HEARD in follow(ESTABLISHED, event).actions}
    assert heard == {E.KEEPALIVE, E.UPDATE, E.ROUTE_REFRESH}


def test_the_rest_is_of_every_state() -> None:
    assert set(REST) == set(TABLE) == set(SessionState)
