"""One other node, by its beacons and by gossip: whether it lives, and what it claims."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import Beacon, ClaimNews
from bellmetal_layer2.claims import ClaimSet
from bellmetal_layer2.peers import GOSSIPLESS, GRACE, PATIENCE, Life, Peer
from bellmetal_layer2.places import ANYWHERE
from bellmetal_layer2.roster import STEADY, Roster

IP: IPAddress = ipaddress.ip_address("192.0.2.10")
FIRM = ClaimOrder(1, True, 0)
ALIVE, SILENT, DEAD, UNSEEN = Life.ALIVE, Life.SILENT, Life.DEAD, Life.UNSEEN


def digest(*claims: ClaimNews) -> int:
    known = ClaimSet()
    for news in claims:
        known.put(news.address, news.order)
    return known.digest


def beacon(counter: int, *news: ClaimNews, all_claims: tuple[ClaimNews, ...] = ()) -> Beacon:
    return Beacon("n2", 1, counter, digest(*(all_claims or news)), 0.1, claims=news)


def heard(at: float = 10.0) -> Peer:
    peer = Peer("n2")
    peer.hear(beacon(1), at, on="eth0")
    return peer


# --- judging: heard at 10 s, so silent after 10.35 s ---------------------------------------------

JUDGED = [
    pytest.param(10.3, Liveness.ALIVE, ALIVE, id="heard"),
    pytest.param(10.3, Liveness.DEAD, ALIVE, id="heard, whatever gossip says"),
    pytest.param(10.35, Liveness.ALIVE, SILENT, id="three beacons missed"),
    pytest.param(99.0, Liveness.ALIVE, SILENT, id="silent for long, alive by gossip"),
    pytest.param(10.35, Liveness.DEAD, DEAD, id="silent, and dead by gossip"),
    pytest.param(10.35, Liveness.LEFT, DEAD, id="silent, and gone by gossip"),
    pytest.param(10.35, Liveness.UNKNOWN, SILENT, id="silent, unknown to gossip"),
    pytest.param(10.1 + GOSSIPLESS, Liveness.UNKNOWN, DEAD, id="the same for two seconds"),
]


@pytest.mark.parametrize(("now", "gossip", "life"), JUDGED)
def test_a_node_that_was_heard(now: float, gossip: Liveness, life: Life) -> None:
    peer = heard()
    peer.gossip = gossip
    assert peer.judge(ANYWHERE, now, listened=now, others_heard=True) is life


UNHEARD = [
    pytest.param(1.0, Liveness.UNKNOWN, True, UNSEEN, id="too early to tell"),
    pytest.param(PATIENCE + 0.1, Liveness.UNKNOWN, True, DEAD, id="never seen for five seconds"),
    pytest.param(1.0, Liveness.DEAD, True, DEAD, id="dead by gossip"),
    pytest.param(1.0, Liveness.LEFT, True, DEAD, id="gone by gossip"),
    pytest.param(1.0, Liveness.ALIVE, True, ALIVE, id="alive by gossip, may speak soon"),
    pytest.param(9.0, Liveness.ALIVE, True, SILENT, id="alive by gossip, others are heard"),
    pytest.param(9.0, Liveness.ALIVE, False, ALIVE, id="alive by gossip, nobody is heard"),
]


@pytest.mark.parametrize(("now", "gossip", "others_heard", "life"), UNHEARD)
def test_a_node_that_was_never_heard(
    now: float, gossip: Liveness, others_heard: bool, life: Life
) -> None:
    assert Peer("n2", gossip=gossip).judge(ANYWHERE, now, now, others_heard) is life


def test_a_node_that_says_that_it_has_no_carrier_is_silent_not_unheard() -> None:
    peer = Peer("n2", gossip=Liveness.ALIVE)
    peer.hear(replace(beacon(1), apart=True), 10.0, on="")
    assert peer.judge(ANYWHERE, 10.1, listened=99.0, others_heard=False) is SILENT


def test_who_says_goodbye_is_gone_and_who_starts_again_is_back() -> None:
    peer = heard()
    peer.hear(replace(beacon(2), leaving=True), 10.1, on="eth0")
    assert peer.judge(ANYWHERE, 10.1, 99.0, True) is DEAD
    peer.hear(replace(beacon(1), boot=2), 10.2, on="eth0")
    assert peer.judge(ANYWHERE, 10.2, 99.0, True) is ALIVE


def test_judging_at_the_very_moment_of_silence_says_silent() -> None:
    """Else a loop that wakes at the deadline would find nothing and wake again."""
    for at in (0.1, 0.7, 1e6 + 0.3, 123456.789):
        peer = heard(at)
        assert peer.judge(ANYWHERE, peer.silent_at(), 99.0, True) is SILENT


def test_our_own_deafness_is_excused_for_those_that_lived() -> None:
    peer = heard()
    peer.lives[ANYWHERE] = ALIVE
    peer.excuse(20.0)
    assert peer.silent_at() == pytest.approx(20.0 - GRACE + 0.35)
    gone = heard()
    gone.lives[ANYWHERE] = DEAD
    gone.excuse(20.0)
    assert gone.silent_at() == pytest.approx(10.35)


def test_a_whisper_is_no_sign_of_life_on_the_lan() -> None:
    peer = heard()
    peer.hear(beacon(2), 10.3, on="")
    assert peer.silent_at() == pytest.approx(10.35)
    assert peer.told_at == pytest.approx(10.3)


# --- learning ------------------------------------------------------------------------------------

FRESH = [
    pytest.param(1, 2, True, id="next"),
    pytest.param(1, 99, True, id="some were lost"),
    pytest.param(2, 1, True, id="started again"),
    pytest.param(1, 1, False, id="the same again"),
    pytest.param(0, 99, False, id="of a process before"),
]


@pytest.mark.parametrize(("boot", "counter", "fresh"), FRESH)
def test_which_beacons_are_fresh(boot: int, counter: int, fresh: bool) -> None:
    assert heard().fresh(replace(beacon(counter), boot=boot)) is fresh


CLAIMS = tuple(ClaimNews(IP + n, FIRM) for n in range(3))


def test_claims_are_learnt_from_news_and_known_when_the_digest_fits() -> None:
    peer = heard()
    peer.hear(beacon(2, CLAIMS[0], all_claims=CLAIMS), 10.1, False)
    assert not peer.known
    assert peer.hear(beacon(3, *CLAIMS[1:], all_claims=CLAIMS), 10.2, False) == {IP + 1, IP + 2}
    assert peer.known
    assert peer.claims == {IP: FIRM, IP + 1: FIRM, IP + 2: FIRM}


def test_a_release_is_learnt() -> None:
    peer = heard()
    peer.hear(beacon(2, CLAIMS[0]), 10.1, False)
    assert peer.hear(beacon(3, ClaimNews(IP, None)), 10.2, False) == {IP}
    assert peer.claims == {}
    assert peer.known


def test_a_dump_replaces_everything_when_it_is_whole_and_nothing_before() -> None:
    peer = heard()
    peer.hear(beacon(2, *CLAIMS), 10.1, False)
    rest = CLAIMS[1:]
    touched = peer.hear(replace(beacon(3, rest[0], all_claims=rest), reset=True), 10.2, False)
    assert touched == {IP + 1}
    assert IP in peer.claims
    touched = peer.hear(beacon(4, rest[1], all_claims=rest), 10.2, False)
    assert touched == {IP + 2, IP}
    assert peer.claims == {IP + 1: FIRM, IP + 2: FIRM}
    assert peer.known


def test_a_dump_of_which_a_part_is_lost_leaves_it_unknown() -> None:
    peer = heard()
    peer.hear(beacon(2, *CLAIMS), 10.1, False)
    rest = (*CLAIMS[1:], ClaimNews(IP + 9, FIRM))
    peer.hear(replace(beacon(3, rest[0], all_claims=rest), reset=True), 10.2, False)
    peer.hear(beacon(5, rest[2], all_claims=rest), 10.2, False)
    assert not peer.known
    peer.hear(replace(beacon(6, *rest), reset=True), 10.3, False)
    assert peer.known


def test_another_process_knows_nothing_of_the_claims_before() -> None:
    peer = heard()
    peer.hear(beacon(2, *CLAIMS), 10.1, False)
    touched = peer.hear(replace(beacon(1), boot=2), 10.2, False)
    assert touched == {IP, IP + 1, IP + 2}
    assert peer.claims == {}


@pytest.mark.parametrize("change", [{"settled": False}, {"leaving": True}])
def test_a_change_of_its_state_touches_all_its_claims(change: dict[str, bool]) -> None:
    peer = heard()
    peer.hear(beacon(2, *CLAIMS), 10.1, False)
    changed = replace(beacon(3, all_claims=CLAIMS), **change)
    assert peer.hear(changed, 10.2, False) == {IP, IP + 1, IP + 2}
    again = replace(beacon(4, all_claims=CLAIMS), **change)
    assert peer.hear(again, 10.3, False) == set()


# --- all of them together ------------------------------------------------------------------------


def test_the_roster_finds_who_claims_an_address() -> None:
    roster = Roster("n1", 0.0)
    n2, n3 = roster.peer("n2"), roster.peer("n3")
    roster.hear(n2, beacon(1, CLAIMS[0]), 1.0, "eth0")
    roster.hear(n3, beacon(1, CLAIMS[0]), 1.0, "eth0")
    assert {peer.name for peer, _ in roster.claims_on(IP)} == {"n2", "n3"}
    roster.hear(n2, beacon(2, ClaimNews(IP, None)), 1.1, "eth0")
    assert [peer.name for peer, _ in roster.claims_on(IP)] == ["n3"]
    roster.hear(n3, replace(beacon(1), boot=2), 1.2, "eth0")
    assert list(roster.claims_on(IP)) == []


MAJORITIES = [
    pytest.param(("n1", "n2"), True, id="all of two"),
    pytest.param(("n1", "n2", "n3"), True, id="two of three"),
    pytest.param(("n1", "n3"), False, id="half is not most"),
    pytest.param(("n3", "n4", "n1"), False, id="one of three"),
]


@pytest.mark.parametrize(("nodes", "most"), MAJORITIES)
def test_whether_most_of_a_set_live(nodes: tuple[str, ...], most: bool) -> None:
    roster = Roster("n1", 0.0)
    n2 = roster.peer("n2")
    roster.hear(n2, beacon(1), 1.0, "eth0")
    roster.judge(n2, 1.0)
    assert roster.most_live(nodes, ANYWHERE, 1.0 + STEADY) is most


def test_a_node_that_came_back_just_now_does_not_count_yet() -> None:
    roster = Roster("n1", 0.0)
    n2 = roster.peer("n2")
    roster.hear(n2, beacon(1), 1.0, "eth0")
    roster.judge(n2, 1.0)
    assert not roster.most_live(("n1", "n2"), ANYWHERE, 1.0)
    assert not roster.most_live(("n1", "n2"), ANYWHERE, 1.0 + STEADY - 0.01)
    assert roster.most_live(("n1", "n2"), ANYWHERE, 1.0 + STEADY)


def test_a_death_changes_the_majority() -> None:
    roster = Roster("n1", 0.0)
    n2 = roster.peer("n2")
    roster.hear(n2, beacon(1), 1.0, "eth0")
    assert roster.judge(n2, 1.0)
    assert roster.most_live(("n1", "n2", "n3"), ANYWHERE, 1.0 + STEADY)
    n2.gossip = Liveness.DEAD
    assert roster.judge(n2, 2.0)
    assert not roster.most_live(("n1", "n2", "n3"), ANYWHERE, 2.0)
