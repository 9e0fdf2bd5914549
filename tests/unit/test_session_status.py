"""Sessions as BGPSessionStatus says them, and what can be read out of it again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bellmetal.facts import BFDState, SessionFacts, SessionState, SessionTrouble
from bellmetal.resources import BGPSessionStatusStatus, SessionBFD
from bellmetal.session_status import LONGEST, facts_of, session_name, status_of
from bgp_facts import bfd, down, up

SAID = [
    pytest.param(up(prefixes_sent=3, prefixes_pending=1, prefixes_received=2), id="established"),
    pytest.param(up(bfd=bfd(multiplier=3, multi_hop=True), warnings=("too many",)), id="with BFD"),
    pytest.param(
        down(SessionTrouble.REJECTED, notification="Cease", error="reset", flaps=7, vrf="red"),
        id="down",
    ),
    pytest.param(down(None, notification="Cease", notification_sent=True), id="without a reason"),
]


@pytest.mark.parametrize("facts", SAID)
def test_what_is_written_can_be_read(facts: SessionFacts) -> None:
    found = facts_of(status_of("n1", facts, str))
    then = replace(facts.bfd, since=0.0) if facts.bfd else None
    assert found == replace(facts, uid="", since=0.0, bfd=then)


def test_words_of_another_release_count_as_not_said() -> None:
    status = BGPSessionStatusStatus(state="Warm", reason="Tired", bfd=SessionBFD(state="Asleep"))
    found = facts_of(status)
    assert (found.state, found.trouble) == (SessionState.IDLE, None)
    assert found.bfd is not None
    assert found.bfd.state is BFDState.DOWN


def test_what_a_router_says_is_made_printable_and_not_too_long() -> None:
    nasty = "\x1b[31mred\n" + "\U0001f600\ufff0" * 4000
    status = status_of("n1", down(message=nasty, notification=nasty, error=nasty), str)
    for text in (status.message, status.last_error, status.last_notification.message):  # type: ignore[union-attr]
        assert text.isprintable()
        assert len(text) <= LONGEST


def test_zeros_are_said() -> None:
    import msgspec

    body = msgspec.to_builtins(status_of("n1", down(), str))
    assert body["prefixes"] == {"sent": 0, "pending": 0, "received": 0}


def test_names_tell_sessions_apart_and_can_be_names() -> None:
    names = [
        session_name("n1", up("router")),
        session_name("n1", up("router", vrf="red")),
        session_name("n1-router", up("router")),
        session_name("n" * 253, up("r" * 253)),
        session_name("a." * 50 + "b", up("x")),
    ]
    assert len(set(names)) == len(names)
    assert names[0].startswith("n1-router-")
    for name in names:
        assert len(name) <= 253
        assert all(label[0].isalnum() and label[-1].isalnum() for label in name.split("."))


def test_bfd_that_the_router_has_switched_off_does_not_look_like_a_failure() -> None:
    off = bfd(BFDState.DOWN, remote_state=BFDState.ADMIN_DOWN)
    found = status_of("n1", up(bfd=off), str).bfd
    assert found is not None
    assert found.message == "the router has switched BFD off"
