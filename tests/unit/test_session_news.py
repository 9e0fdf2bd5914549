"""What is new about sessions, and how often it is told."""

from __future__ import annotations

import pytest

from bellmetal.facts import BFDFacts, BFDState, SessionFacts, SessionState, SessionTrouble
from bellmetal.session_news import EVENTS, LINES, Pace, compare, compare_bfd
from bgp_facts import bfd, down, up

ANEW = "its configuration was changed: connecting anew"
AGREED = "with AS 64513 (hold time 9 s, keepalive every 3 s)"


def told(before: SessionFacts | None, now: SessionFacts | None) -> list[tuple[str, str]]:
    """Reason and sentence; a warning has a mark of exclamation, what is for the log alone a dot."""
    news = compare([before] if before else [], [now] if now else [])
    marks = {(True, False): "!", (False, True): ".", (False, False): ""}
    return [(marks[item.warning, item.quiet] + item.reason, item.sentence) for item in news]


CASES = [
    pytest.param(
        None,
        up(),
        [("BGPSessionEstablished", f"router (192.0.2.1): established {AGREED}")],
        id="established at the first look",
    ),
    pytest.param(up(), up(prefixes_sent=7), [], id="what it sends is no transition"),
    pytest.param(
        down(),
        up(vrf=""),
        [("BGPSessionEstablished", f"router (192.0.2.1): established {AGREED}")],
        id="established",
    ),
    pytest.param(
        up(),
        up(flaps=1, since=101.0),
        [("BGPSessionEstablished", f"router (192.0.2.1): established again {AGREED}")],
        id="lost and back between two looks",
    ),
    pytest.param(
        up(),
        down(SessionTrouble.HOLD_TIMER, message="nothing heard for 9 s"),
        [("!HoldTimerExpired", "router (192.0.2.1): the session is lost: nothing heard for 9 s")],
        id="lost, with a reason",
    ),
    pytest.param(
        up(),
        down(SessionTrouble.CONNECTING, message="connecting", notification="Cease, reset"),
        [("!BGPSessionDown", "router (192.0.2.1): the session is lost: connecting; Cease, reset")],
        id="lost and being opened again",
    ),
    pytest.param(
        up(),
        down(SessionTrouble.CONNECTING, message=ANEW),
        [("BGPSessionReset", f"router (192.0.2.1): {ANEW}")],
        id="begun anew by ourselves",
    ),
    pytest.param(
        None,
        down(SessionTrouble.CONNECTING, message=ANEW),
        [("BGPSessionReset", f"router (192.0.2.1): {ANEW}")],
        id="begun anew at another address",
    ),
    pytest.param(
        down(),
        down(SessionTrouble.CONNECTING, message=ANEW),
        [(".Connecting", f"router (192.0.2.1): {ANEW}")],
        id="what was not up is not reset",
    ),
    pytest.param(
        up(),
        down(SessionTrouble.STOPPED, message=""),
        [(".Stopped", "router (192.0.2.1): the session is lost: Stopped")],
        id="stopped by ourselves",
    ),
    pytest.param(
        None,
        down(SessionTrouble.CONNECTING, message="connecting"),
        [(".Connecting", "router (192.0.2.1): connecting")],
        id="nothing is wrong yet",
    ),
    pytest.param(
        down(SessionTrouble.CONNECTING),
        down(message="Connection refused"),
        [("!ConnectionRefused", "router (192.0.2.1): Connection refused")],
        id="nobody listens",
    ),
    pytest.param(
        down(),
        down(state=SessionState.CONNECT, since=105.0),
        [],
        id="the steps of connecting are no news",
    ),
    pytest.param(
        down(),
        down(SessionTrouble.NO_ROUTE, message=""),
        [("!NoRouteToPeer", "router (192.0.2.1): NoRouteToPeer")],
        id="another trouble",
    ),
    pytest.param(
        up(),
        up(warnings=("2 prefixes too many",)),
        [("!BGPSessionWarning", "router (192.0.2.1): 2 prefixes too many")],
        id="what does not end it",
    ),
    pytest.param(
        up(vrf="red"),
        None,
        [(".BGPSessionGone", "router (192.0.2.1, VRF red): no session any more")],
        id="gone",
    ),
    pytest.param(down(SessionTrouble.STOPPED), None, [], id="gone after it was stopped"),
]


@pytest.mark.parametrize(("before", "now", "expected"), CASES)
def test_transitions(
    before: SessionFacts | None, now: SessionFacts | None, expected: list[tuple[str, str]]
) -> None:
    assert told(before, now) == expected


# --- BFD -----------------------------------------------------------------------------------------

BFD_CASES = [
    pytest.param(None, bfd(), "BFD is Up", id="up at the first look"),
    pytest.param(
        bfd(BFDState.DOWN),
        bfd(detect_us=150_000),
        "BFD is Up, a loss is seen within 150 ms",
        id="comes up",
    ),
    pytest.param(bfd(), bfd(), None, id="stays up"),
    pytest.param(None, bfd(BFDState.DOWN), None, id="is not up yet"),
    pytest.param(bfd(BFDState.DOWN), bfd(BFDState.INIT), None, id="steps are no news"),
    pytest.param(
        bfd(),
        bfd(BFDState.DOWN, diagnostic="Control Detection Time Expired"),
        "BFD is Down: Control Detection Time Expired",
        id="goes down",
    ),
    pytest.param(bfd(), None, None, id="is not wanted any more"),
]


@pytest.mark.parametrize(("before", "now", "sentence"), BFD_CASES)
def test_bfd(before: BFDFacts | None, now: BFDFacts | None, sentence: str | None) -> None:
    found = compare_bfd([up(bfd=before)], [up(bfd=now)])
    expected = [] if sentence is None else [f"router (192.0.2.1): {sentence}"]
    assert [said for _, said in found] == expected


# --- the pace ------------------------------------------------------------------------------------


class Talk:
    """Looks at sessions one after the other, and what is told of them."""

    def __init__(self, most: int = 1, quiet: bool = False) -> None:
        self.pace, self.before = Pace(most, quiet), list[SessionFacts]()

    def look(self, now: float, *sessions: SessionFacts) -> list[str]:
        news, self.before = compare(self.before, sessions), [*sessions]
        return [item.sentence for item in self.pace.offer(news, sessions, now)]


def flap(step: int) -> SessionFacts:
    """Ten times a second up or down."""
    if step % 2:
        return up(since=step / 10, flaps=step // 2)
    return down(SessionTrouble.RESET, message="reset", flaps=step // 2)


@pytest.mark.parametrize("most", [EVENTS, LINES])
def test_a_peer_that_flaps_ten_times_a_second_is_told_of_and_then_once_a_minute(most: int) -> None:
    talk, said = Talk(most), []
    for step in range(1, 1801):  # three minutes
        said += [(step / 10, text) for text in talk.look(step / 10, flap(step))]
    at_once = [text for now, text in said if now < 50]
    assert len(at_once) == 2 * most
    later = [(round(now), text) for now, text in said if now >= 50]
    assert [now for now, _ in later] == [60, 120]
    assert later[1][1].endswith("(lost 300 times in the last minute)")


def test_ten_times_a_minute_the_log_tells_at_once() -> None:
    talk = Talk(LINES)
    for number in range(20):
        assert len(talk.look(number * 3.1, flap(number + 1))) == 1
    assert talk.pace.deadline() is None


def test_each_reason_is_told_at_once_and_the_next_one_of_it_a_minute_later() -> None:
    talk = Talk()
    assert len(talk.look(0.0, down())) == 1
    assert len(talk.look(5.0, up())) == 1
    assert talk.pace.deadline() is None
    assert talk.look(10.0, down()) == []
    assert talk.pace.deadline() == 60.0
    assert talk.look(59.0, down()) == []
    lost = "router (192.0.2.1): the session is lost: it is ConnectionRefused"
    assert talk.look(60.0, down()) == [lost]
    assert talk.pace.deadline() is None


def test_another_reason_is_told_at_once_while_something_waits() -> None:
    talk = Talk()
    for second, facts in enumerate((down(), up(), down())):
        talk.look(second, facts)
    assert talk.look(3.0, down(SessionTrouble.WRONG_ASN)) == ["router (192.0.2.1): it is WrongASN"]
    assert talk.pace.deadline() is None, "what has waited is not so any more"
    assert talk.look(100.0, down(SessionTrouble.WRONG_ASN)) == []


def test_what_is_told_late_is_what_is_so_then() -> None:
    talk = Talk()
    for second, facts in enumerate((down(), up(), down(), up(flaps=1))):
        talk.look(second, facts)
    (late,) = talk.look(200.0, up(flaps=1))
    assert late.startswith("router (192.0.2.1): established again")
    assert late.endswith("(2 changes in the last minute)")


def test_what_is_quiet_is_no_event_but_makes_stale_what_waits() -> None:
    talk = Talk()
    for second, facts in enumerate((down(), up(), down(SessionTrouble.STOPPED), up())):
        talk.look(second, facts)
    assert talk.pace.deadline() is not None
    assert talk.look(5.0, down(SessionTrouble.STOPPED)) == []
    assert talk.pace.deadline() is None


def test_nothing_is_told_of_a_peer_that_was_deleted_meanwhile() -> None:
    talk = Talk()
    for second, facts in enumerate((down(), up(), down())):
        talk.look(second, facts)
    assert talk.look(5.0) == []
    assert talk.pace.deadline() is None
    assert talk.look(300.0) == []


def test_the_log_says_that_a_session_is_gone_whatever_was_before() -> None:
    talk = Talk(quiet=True)
    for second, facts in enumerate((down(), up(), down(), up())):
        talk.look(second, facts)
    assert talk.look(5.0) == [
        "router (192.0.2.1): no session any more (2 changes in the last minute)"
    ]
    talk.look(6.0, up())
    assert len(talk.look(7.0)) == 1


def test_a_peer_that_is_made_anew_is_told_of_at_once() -> None:
    talk = Talk()
    talk.look(0.0, down(uid="a"))
    talk.look(1.0)
    assert len(talk.look(2.0, down(uid="b"))) == 1


def test_a_warning_does_not_hide_what_the_session_does() -> None:
    talk = Talk()
    for second, facts in enumerate((down(), up(), down())):
        talk.look(second, facts)
    warned = down(warnings=("2 prefixes too many",))
    assert talk.look(3.0, warned) == ["router (192.0.2.1): 2 prefixes too many"]
    assert talk.pace.deadline() == 60.0
    assert len(talk.look(60.0, warned)) == 1


def test_a_warning_that_is_over_is_not_told_late() -> None:
    talk = Talk()
    for second, texts in enumerate((("a",), (), ("a",))):
        talk.look(second, up(warnings=texts))
    assert talk.pace.deadline() is not None
    assert talk.look(3.0, up()) == []
    assert talk.look(100.0, up()) == []


def test_peers_have_a_pace_each() -> None:
    said = Talk().look(0.0, down(peer="a"), down(peer="b"))
    assert [text[0] for text in said] == ["a", "b"]


def test_what_is_quiet_for_a_minute_is_forgotten() -> None:
    talk = Talk()
    talk.look(0.0, down())
    talk.look(60.0, up())
    assert len(talk.look(61.0, down())) == 1
