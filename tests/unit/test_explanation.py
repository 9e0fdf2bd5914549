"""Why a session is as it is, and the next step: every trouble has an answer."""

from __future__ import annotations

import pytest

from bellmetal.explanation import explain_session, is_well
from bellmetal.facts import BFDState, SessionFacts, SessionState, SessionTrouble
from bgp_facts import bfd, down, up


@pytest.mark.parametrize("trouble", SessionTrouble)
def test_every_trouble_has_a_sentence_and_a_next_step(trouble: SessionTrouble) -> None:
    cause = explain_session(down(trouble, peer="tor-1", remote="192.0.2.9", vrf="red", port=1179))
    assert cause.code == trouble.value
    assert len(cause.sentence) > 40
    assert not cause.sentence.endswith(".")
    assert cause.edit or cause.command or cause.router or trouble is SessionTrouble.STOPPED
    for text in (cause.sentence, cause.edit, cause.command, cause.router):
        assert "{" not in text


@pytest.mark.parametrize("state", [item for item in SessionState if item.value != "Established"])
def test_a_state_that_nothing_explains_is_said_so(state: SessionState) -> None:
    cause = explain_session(down(None, state=state))
    assert (cause.code, state.value in cause.sentence) == ("NotEstablished", True)


def test_what_is_typed_names_this_very_peer() -> None:
    cause = explain_session(down(peer="tor-1", remote="192.0.2.9", port=1179))
    assert cause.command == "nc -vz 192.0.2.9 1179"
    assert cause.edit == "BGPPeer/tor-1 spec.peerAddress and spec.peerPort"
    assert "TCP port 1179 of 192.0.2.9" in cause.sentence


def test_in_a_vrf_it_is_typed_there() -> None:
    found = explain_session(down(vrf="red"))
    assert found.command == "ip vrf exec red nc -vz 192.0.2.1 179"
    lost = explain_session(down(SessionTrouble.NO_VRF, vrf="red"))
    assert lost.command == "ip -brief link show type vrf"


ESTABLISHED = [
    pytest.param(up(), "NothingSent", "there is nothing to send", id="nothing to send"),
    pytest.param(up(prefixes_sent=3), "RoutesSent", "3 prefixes were sent", id="sent"),
    pytest.param(
        up(prefixes_sent=3, prefixes_pending=2),
        "RoutesPending",
        "2 prefixes wait to be sent; 3 prefixes were sent",
        id="on its way",
    ),
    pytest.param(up(prefixes_sent=1), "RoutesSent", "1 prefix was sent; ", id="one"),
    pytest.param(
        up(prefixes_pending=1),
        "RoutesPending",
        "1 prefix waits to be sent: the router does not read",
        id="one is on its way",
    ),
    pytest.param(
        up(prefixes_pending=2),
        "RoutesPending",
        "2 prefixes wait to be sent: the router does not read",
        id="the router does not read",
    ),
]


@pytest.mark.parametrize(("facts", "code", "begins"), ESTABLISHED)
def test_a_session_that_is_established(facts: SessionFacts, code: str, begins: str) -> None:
    cause = explain_session(facts)
    assert cause.code == code
    assert begins in cause.sentence


def test_a_node_that_drains_is_said_to_do_so_and_how_it_ends() -> None:
    facts = up(warnings=("this node is draining: its routes are withdrawn",))
    cause = explain_session(facts, "n1")
    assert (cause.code, cause.command) == ("NothingSent", "bellmetal drain n1 --undo")
    assert "the node is draining" in cause.sentence
    assert cause.evidence == facts.warnings


@pytest.mark.parametrize("trouble", [SessionTrouble.NO_ANSWER, SessionTrouble.WRONG_TTL])
def test_ttl_security_is_named_on_both_sides(trouble: SessionTrouble) -> None:
    cause = explain_session(down(trouble))
    assert "bellmetal.io/ttl-security" in cause.edit
    assert "ttl-security hops" in cause.router


def test_the_evidence_is_what_was_seen_once_each() -> None:
    facts = down(
        SessionTrouble.REJECTED,
        message="the router refuses",
        notification="Cease, Connection Rejected",
        error="the router refuses",
        flaps=2,
        bfd=bfd(BFDState.DOWN, diagnostic="Control Detection Time Expired"),
    )
    assert explain_session(facts).evidence == (
        "the router refuses",
        "the router sent the last NOTIFICATION: Cease, Connection Rejected",
        "BFD is Down: Control Detection Time Expired",
        "lost 2 times since the speaker knows the peer",
    )


def test_who_sent_the_notification_is_said() -> None:
    facts = down(notification="Bad Peer AS", notification_sent=True)
    assert "this node sent the last NOTIFICATION: Bad Peer AS" in explain_session(facts).evidence


WELL = [
    (up(prefixes_sent=1), True),
    (up(), True),
    (up(bfd=bfd()), True),
    (up(bfd=bfd(BFDState.INIT)), False),
    (up(prefixes_pending=1), False),
    (up(warnings=("too many",)), False),
    (down(), False),
]


@pytest.mark.parametrize(("facts", "expected"), WELL)
def test_what_is_well(facts: SessionFacts, expected: bool) -> None:
    assert is_well(facts) is expected
