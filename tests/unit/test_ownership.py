"""Layer-2 ownership, one sentence per rule: one node under test, the others are their beacons."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TypeVar

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import Claim, ClaimOrder, Interface
from bellmetal.intents import Announcement, NodeSet, rank
from bellmetal_layer2.beacon import EVERYBODY, Beacon, ClaimNews, chunks
from bellmetal_layer2.claims import ClaimSet
from bellmetal_layer2.deciding import MOVE
from bellmetal_layer2.messages import (
    Effect,
    Emit,
    Flush,
    GossipSays,
    Heard,
    Own,
    Reassert,
    Said,
    Usable,
    Whisper,
    Yield,
)
from bellmetal_layer2.ownership import Ownership
from bellmetal_layer2.peers import PATIENCE, Life
from bellmetal_layer2.roster import STEADY
from bellmetal_layer2.settling import ALONE
from bellmetal_layer2.succession import HELD_AGAINST, SPEAK_UP

T = TypeVar("T")

ETH0 = Interface("eth0", 2, bytes(6), up=True, subnets=("192.0.2.1/24", "fe80::1/64"))
IP: IPAddress = ipaddress.ip_address("192.0.2.10")
FIRM, PROVISIONAL = ClaimOrder(1, True, 0), ClaimOrder(1, False, 1)


def announcement(owner: str, term: int = 1, address: IPAddress = IP) -> Announcement:
    successors = tuple(name for name in ("n1", "n2", "n3") if name != owner)
    return Announcement(address, term, owner, "all", successors)


class Other:
    """Another node, as far as its beacons show it."""

    def __init__(self, name: str) -> None:
        self.name, self.boot, self.counter = name, 1, 0
        self.settled, self.leaving = True, False
        self.claims = ClaimSet()

    def beacon(self, *news: ClaimNews, reset: bool = False, ask: str = "") -> Beacon:
        for item in news:
            self.claims.put(item.address, item.order)
        return self.repeat(*news, reset=reset, ask=ask)

    def repeat(self, *news: ClaimNews, reset: bool = False, ask: str = "") -> Beacon:
        self.counter += 1
        return Beacon(
            node=self.name,
            boot=self.boot,
            counter=self.counter,
            digest=self.claims.digest,
            interval=0.1,
            settled=self.settled,
            leaving=self.leaving,
            reset=reset,
            ask=ask,
            claims=news,
        )


class Story:
    """n1 under test, its clock, n2 and n3 that speak when they are told to, or all the time."""

    def __init__(self, owner: str, remembered: ClaimOrder | None = None) -> None:
        self.now = 50.0
        self.others = {name: Other(name) for name in ("n2", "n3")}
        self.machine = Ownership("n1", 7, self.now)
        if remembered:
            self.machine.remember([Claim(IP, "n1", remembered)])
        self.sets = {"all": NodeSet("all", dict.fromkeys(("n1", "n2", "n3"), ""))}
        self.all: list[Effect] = []
        self.want(announcement(owner))

    def take(self, effects: list[Effect]) -> list[Effect]:
        self.all += effects
        return effects

    def want(self, *items: Announcement) -> list[Effect]:
        return self.take(self.machine.want(items, self.sets, self.now))

    def hear(
        self, name: str, order: ClaimOrder | None = None, by_gossip: bool = False
    ) -> list[Effect]:
        """A beacon of a node; with a claim of IP if it is given."""
        news = [ClaimNews(IP, order)] if order else []
        return self.receive(Heard(self.others[name].beacon(*news), "" if by_gossip else "eth0"))

    def receive(self, message: Heard | GossipSays | Usable) -> list[Effect]:
        return self.take(self.machine.receive(message, self.now))

    def gossip(self, name: str, liveness: Liveness) -> list[Effect]:
        return self.receive(GossipSays(name, liveness))

    def wait(self, seconds: float, *speaking: str) -> list[Effect]:
        """Time goes by, in turns of the loop; these nodes send their beacons meanwhile."""
        out, until = [], self.now + seconds
        while self.now < until - 1e-9:
            self.now = min(until, self.now + 0.05)
            for name in speaking:
                out += self.hear(name)
            out += self.take(self.machine.tick(self.now))
        return out

    @property
    def answers(self) -> bool:
        return IP in self.machine.answering

    @property
    def claim(self) -> ClaimOrder | None:
        return self.machine.mine.get(IP)


def of(kind: type[T], effects: list[Effect]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def events(effects: list[Effect]) -> list[str]:
    return [item.event for item in of(Said, effects)]


def settled(owner: str, **kwargs: ClaimOrder) -> Story:
    """n1 after its start: it has exchanged claims with n2 and n3; n2, if it is the owner, holds."""
    story = Story(owner, **kwargs)
    for name in ("n2", "n3"):
        story.gossip(name, Liveness.ALIVE)
    story.wait(0.2, "n2", "n3")
    if owner != "n1":
        story.hear(owner, FIRM)
    return story


# --- rule 1: who answers -------------------------------------------------------------------------


def test_the_owner_that_the_slices_name_claims() -> None:
    story = settled("n1")
    assert story.answers
    assert story.claim == FIRM
    assert story.machine.claims() == [], "what the slices say need not be reported"


def test_others_do_not_answer_while_the_owner_holds() -> None:
    story = settled("n2")
    story.wait(3.0, "n2", "n3")
    assert not story.answers


def test_a_living_claim_beats_the_owner_that_the_slices_name() -> None:
    story = Story("n1")
    story.hear("n3", ClaimOrder(1, True, 1))
    story.wait(1.0, "n2", "n3")
    assert not story.answers


def test_what_left_all_slices_is_given_up_at_once() -> None:
    story = settled("n1")
    assert of(Yield, story.want()) == [Yield(IP, "")]
    assert story.claim is None


def test_an_unknown_set_keeps_the_last() -> None:
    story = settled("n1")
    story.sets = {}
    story.want(announcement("n1"), announcement("n1", address=IP + 1))
    story.wait(1.0, "n2", "n3")
    assert story.machine.answering == {IP, IP + 1}


# --- rules 2 and 3: who follows ------------------------------------------------------------------


def test_the_first_successor_claims_provisionally_when_the_owner_falls_silent() -> None:
    story = settled("n2")
    effects = story.wait(0.5, "n3")
    assert of(Own, effects) == [Own(IP)]
    assert story.claim == PROVISIONAL
    assert [c.order for c in story.machine.claims()] == [PROVISIONAL]


def test_a_claim_is_told_at_once() -> None:
    story = settled("n2")
    effects = story.wait(0.5, "n3")
    first = effects[effects.index(Own(IP)) :]
    assert ClaimNews(IP, PROVISIONAL) in of(Emit, first)[0].beacon.claims


def test_the_silence_is_three_beacons_long() -> None:
    story = settled("n2")
    story.wait(0.34, "n3")
    assert not story.answers
    story.wait(0.05, "n3")
    assert story.answers


def test_the_second_successor_leaves_it_to_the_first() -> None:
    story = settled("n3")
    story.want(replace(announcement("n3"), successors=("n2", "n1")))
    story.wait(1.0, "n2")
    assert not story.answers


def test_without_successors_the_highest_rank_of_the_living_follows() -> None:
    story = settled("n3")
    story.want(replace(announcement("n3"), successors=()))
    story.wait(1.0, "n2")
    assert story.answers is (rank(IP, "n1") > rank(IP, "n2"))


def test_it_becomes_firm_when_gossip_says_dead_too_and_most_live() -> None:
    story = settled("n2")
    story.wait(0.5, "n3")
    story.gossip("n2", Liveness.DEAD)
    assert story.claim == ClaimOrder(1, True, 1)


def test_it_stays_provisional_where_half_or_fewer_live() -> None:
    story = settled("n2")
    story.wait(0.5)
    story.gossip("n2", Liveness.DEAD)
    story.gossip("n3", Liveness.DEAD)
    story.wait(1.0)
    assert story.claim == PROVISIONAL


def test_a_healing_partition_makes_no_claim_firm_because_one_node_is_heard_first() -> None:
    """Cut off from n2 and n3, n1 keeps what the controller has given to n2 meanwhile."""
    story = settled("n1")
    for name in ("n2", "n3"):
        story.gossip(name, Liveness.DEAD)
    story.wait(1.0)
    story.want(announcement("n2", term=2))
    assert story.claim == ClaimOrder(2, False, 1)
    for _ in range(3):
        story.hear("n3")
        story.wait(0.05)
        assert not story.claim.firm
    story.hear("n2", ClaimOrder(2, True, 0))
    assert not story.answers


def test_it_becomes_firm_when_the_former_holder_is_back_and_claims_nothing() -> None:
    story = settled("n2")
    story.wait(0.5)
    n2 = story.others["n2"]
    n2.boot, n2.counter, n2.claims = 2, 0, ClaimSet()
    story.wait(1.0, "n2")
    assert story.claim == ClaimOrder(1, True, 1)


@pytest.mark.parametrize("liveness", [Liveness.DEAD, Liveness.LEFT])
def test_who_is_heard_lives_whatever_gossip_says(liveness: Liveness) -> None:
    story = settled("n2")
    story.gossip("n2", liveness)
    story.wait(2.0, "n2", "n3")
    assert not story.answers


def test_suspect_counts_as_alive_so_a_short_silence_alone_makes_no_firm_claim() -> None:
    story = settled("n2")
    story.wait(HELD_AGAINST + 0.3, "n3")
    assert story.claim == PROVISIONAL


def test_a_silence_that_lasts_makes_it_firm_where_most_live_though_gossip_says_alive() -> None:
    """The owner is cut off from this LAN alone: it takes nothing from the majority afterwards."""
    story = settled("n2")
    story.wait(HELD_AGAINST + 1.5, "n3")
    assert story.claim == ClaimOrder(1, True, 1)
    story.hear("n2", FIRM)
    assert story.answers


def test_a_lasting_silence_makes_nothing_firm_without_a_majority() -> None:
    story = settled("n2")
    story.gossip("n3", Liveness.ALIVE)
    story.wait(30.0)
    assert story.claim == PROVISIONAL


def test_the_epoch_is_above_all_that_were_told_provisional_ones_too() -> None:
    story = settled("n3")
    story.hear("n2", ClaimOrder(1, False, 1))
    story.wait(0.3)
    story.hear("n2")
    story.others["n2"].leaving = True
    story.wait(0.2, "n2")
    assert story.claim == ClaimOrder(1, False, 2)


def test_a_node_out_of_the_set_claims_nothing_and_loses_to_a_member() -> None:
    story = settled("n1")
    story.sets = {"all": NodeSet("all", {"n2": "", "n3": ""})}
    story.want(announcement("n2", term=2))
    assert story.answers, "until a node of the set has claimed it"
    story.hear("n2", ClaimOrder(2, True, 0))
    assert not story.answers


def test_a_holder_that_is_out_of_the_set_is_followed() -> None:
    story = settled("n3")
    story.sets = {"all": NodeSet("all", {"n1": "", "n2": ""})}
    story.wait(STEADY, "n2", "n3")
    story.want(announcement("n3"))
    assert story.claim == ClaimOrder(1, True, 1)


def test_nobody_waits_for_ever_for_a_living_node_that_does_not_claim() -> None:
    story = Story("n2")
    story.wait(SPEAK_UP, "n2", "n3")
    assert not story.answers
    effects = story.wait(1.0, "n2", "n3")
    assert story.claim == ClaimOrder(1, True, 1), "all that n2 claims is known: it does not want it"
    assert "192.0.2.10 is ours: n2 lives but does not claim it" in [
        item.message for item in of(Said, effects)
    ]


def test_but_for_one_whose_claims_are_not_known_here_it_waits() -> None:
    story = Story("n2")
    story.others["n2"].claims.put(IP, FIRM)  # it says so only to those whom it hears
    story.wait(10 * SPEAK_UP, "n2", "n3")
    assert story.machine.settled
    assert not story.answers


# --- coming back ---------------------------------------------------------------------------------


def test_a_node_that_returns_takes_nothing() -> None:
    story = settled("n2")
    story.wait(0.5, "n3")
    n2 = story.others["n2"]
    n2.boot, n2.counter, n2.claims = 2, 0, ClaimSet()
    story.wait(2.0, "n2", "n3")
    assert story.answers


def test_claims_of_before_a_fast_restart_are_taken_up() -> None:
    remembered = ClaimOrder(1, True, 3)
    story = Story("n2", remembered)
    story.wait(0.2, "n2", "n3")
    assert story.answers
    assert story.claim == remembered


@pytest.mark.parametrize("order", [ClaimOrder(1, True, 4), ClaimOrder(1, False, 9)])
def test_they_are_not_taken_up_if_somebody_has_claimed_since(order: ClaimOrder) -> None:
    story = Story("n2", ClaimOrder(1, True, 3))
    story.hear("n3", order)
    story.wait(0.5, "n2", "n3")
    assert not story.answers


def test_what_was_remembered_is_forgotten_once_another_holds() -> None:
    story = Story("n2", ClaimOrder(1, True, 9))
    story.hear("n2", FIRM)
    story.wait(0.5, "n2", "n3")
    story.wait(0.5, "n3")
    assert story.claim == PROVISIONAL


# --- leaving (rule 9) ----------------------------------------------------------------------------


def test_a_leaver_answers_until_it_hears_the_new_claim() -> None:
    story = settled("n1")
    effects = story.take(story.machine.leave(story.now))
    assert of(Emit, effects)[0].beacon.leaving
    story.wait(0.3, "n2", "n3")
    assert story.answers
    effects = story.hear("n2", ClaimOrder(1, True, 1))
    assert of(Yield, effects) == [Yield(IP, "n2")]


def test_the_successor_of_a_leaver_claims_firmly_at_once() -> None:
    story = settled("n2")
    story.others["n2"].leaving = True
    effects = story.hear("n2")
    assert of(Own, effects) == [Own(IP)]
    assert story.claim == ClaimOrder(1, True, 1)


def test_a_leaver_yields_to_any_claim_of_one_that_stays() -> None:
    story = settled("n1")
    story.wait(0.1, "n2", "n3")
    story.take(story.machine.leave(story.now))
    assert of(Yield, story.hear("n2", ClaimOrder(1, False, 0))) == [Yield(IP, "n2")]


def test_a_leaver_claims_nothing_new() -> None:
    story = settled("n2")
    story.machine.leave(story.now)
    story.wait(1.0, "n3")
    assert not story.answers


def test_who_returns_with_a_lower_claim_stands_above_one_that_leaves() -> None:
    story = settled("n1")
    n2 = story.others["n2"]
    n2.leaving = True
    story.hear("n2", ClaimOrder(1, True, 5))
    assert story.answers
    assert story.claim is not None
    assert story.claim > ClaimOrder(1, True, 5)


# --- planned moves (rule 4) ----------------------------------------------------------------------


def test_on_a_planned_move_the_new_owner_answers_first() -> None:
    story = settled("n2")
    effects = story.want(announcement("n1", term=2))
    assert of(Own, effects) == [Own(IP)]
    assert story.claim == ClaimOrder(2, True, 0)


def test_on_a_planned_move_the_old_owner_yields_when_it_hears_the_new_one() -> None:
    story = settled("n1")
    story.want(announcement("n2", term=2))
    story.wait(1.0, "n2", "n3")
    assert story.answers
    effects = story.hear("n2", ClaimOrder(2, True, 0))
    assert of(Yield, effects) == [Yield(IP, "n2")]


def test_a_move_to_a_node_that_lives_and_does_not_claim_is_reported_once() -> None:
    story = settled("n1")
    story.want(announcement("n2", term=2))
    effects = story.wait(2 * MOVE, "n2", "n3")
    assert story.answers
    assert events(effects).count("moveStuck") == 1


def test_a_move_to_a_dead_node_keeps_the_address_in_the_new_term() -> None:
    story = settled("n1")
    story.gossip("n2", Liveness.DEAD)
    story.wait(0.5, "n3")
    story.want(announcement("n2", term=2))
    assert story.claim == ClaimOrder(2, True, 1)


def test_the_controllers_confirmation_changes_the_term_and_nothing_else() -> None:
    story = settled("n2")
    story.wait(0.5, "n3")
    effects = story.want(announcement("n1", term=2))
    assert story.claim == ClaimOrder(2, True, 0)
    assert of(Own, effects) + of(Yield, effects) == []


# --- two owners (rule 5) -------------------------------------------------------------------------

ORDERS = [
    pytest.param(ClaimOrder(1, True, 1), False, id="a higher epoch wins"),
    pytest.param(ClaimOrder(1, False, 9), True, id="firm beats provisional"),
    pytest.param(ClaimOrder(2, False, 0), False, id="a higher term wins"),
    pytest.param(FIRM, rank(IP, "n1") > rank(IP, "n2"), id="rank decides between equals"),
]


@pytest.mark.parametrize(("order", "keeps"), ORDERS)
def test_of_two_owners_the_higher_claim_stays(order: ClaimOrder, keeps: bool) -> None:
    story = settled("n1")
    story.wait(1.0, "n3")
    effects = story.hear("n2", order)
    assert story.answers is keeps
    assert bool(of(Reassert, effects)) is keeps


def test_a_lower_claim_is_answered_and_not_more_often_than_is_useful() -> None:
    story = settled("n1")
    lower = ClaimOrder(1, False, 1)
    effects = story.hear("n2", lower)
    assert of(Reassert, effects) == [Reassert(IP, "n2")]
    assert ClaimNews(IP, FIRM) in of(Emit, effects)[0].beacon.claims
    assert of(Reassert, story.hear("n2", lower)) == []
    story.wait(0.15)
    assert of(Reassert, story.hear("n2", lower)) == [Reassert(IP, "n2")]


def test_what_was_claimed_unheard_and_is_given_up_is_told_to_the_lan_again() -> None:
    """n2 was alone on its side of the LAN, and heard our claim before we heard of its own."""
    story = settled("n1")
    story.wait(1.0, "n3")
    effects = story.receive(Heard(story.others["n2"].beacon(ClaimNews(IP, None)), "eth0"))
    assert of(Reassert, effects) == [Reassert(IP, "n2")]


def test_so_is_what_was_claimed_against_us() -> None:
    """n2 was deaf: it may have answered for as long as it did not hear us."""
    story = settled("n1")
    story.hear("n2", PROVISIONAL)
    story.wait(2.0, "n2", "n3")
    gives_up = story.others["n2"].beacon(ClaimNews(IP, None))
    assert of(Reassert, story.receive(Heard(gives_up, "eth0"))) == [Reassert(IP, "n2")]
    again = story.others["n2"].repeat(ClaimNews(IP, None))
    assert of(Reassert, story.receive(Heard(again, "eth0"))) == []


def test_and_if_who_claimed_it_against_us_dies() -> None:
    story = settled("n1")
    story.hear("n2", PROVISIONAL)
    story.wait(0.2, "n2", "n3")
    story.gossip("n2", Liveness.DEAD)
    assert of(Reassert, story.wait(1.0, "n3")) == [Reassert(IP, "n2")]


@pytest.mark.parametrize(
    ("before", "news"),
    [
        pytest.param(FIRM, ClaimNews(IP, None), id="what it claimed was heard"),
        pytest.param(None, ClaimNews(IP, None, unable=True), id="it never could have it"),
    ],
)
def test_what_is_given_up_is_not_always(before: ClaimOrder | None, news: ClaimNews) -> None:
    story = settled("n2" if before else "n1")
    if before:  # a planned move: it was told of, and we announce it already
        story.want(announcement("n1", term=2))
    story.wait(0.5, "n2", "n3")
    effects = story.receive(Heard(story.others["n2"].beacon(news), "eth0"))
    assert of(Reassert, effects) == []
    story.wait(0.5, "n2", "n3")
    assert story.answers


def test_a_node_that_is_not_settled_is_not_answered_but_told() -> None:
    story = settled("n1")
    story.wait(0.6, "n2", "n3")
    story.others["n2"].settled = False
    effects = story.receive(
        Heard(story.others["n2"].beacon(ClaimNews(IP, PROVISIONAL), ask=EVERYBODY), "eth0")
    )
    assert of(Reassert, effects) == []
    assert of(Emit, effects)[-1].beacon.reset


def test_the_claim_of_one_that_is_not_settled_does_not_bind() -> None:
    story = settled("n1")
    story.others["n2"].settled = False
    story.hear("n2", ClaimOrder(1, True, 1))
    assert story.answers


# --- the loop (rule 6) ---------------------------------------------------------------------------


def test_after_a_start_nothing_is_answered_until_claims_are_exchanged() -> None:
    story = Story("n1")
    story.wait(1.9)
    assert not story.answers
    story.hear("n3")
    assert story.answers


def test_a_loop_that_had_no_turn_has_not_listened() -> None:
    """n2 may have spoken meanwhile: its beacon is still in the socket when the turn comes."""
    story = Story("n1")
    story.hear("n3")
    story.now += 0.2
    story.machine.tick(story.now)
    assert not story.machine.settled
    story.hear("n2", ClaimOrder(1, True, 1))
    story.wait(0.5, "n2", "n3")
    assert story.machine.settled
    assert not story.answers


def test_alone_it_starts_after_two_seconds() -> None:
    story = Story("n1")
    story.wait(ALONE + 0.1)
    assert story.answers


def test_where_nobody_else_may_own_anything_it_does_not_wait() -> None:
    machine = Ownership("n1", 1, 0.0)
    only = {"all": NodeSet("all", {"n1": ""})}
    machine.want([announcement("n1")], only, 0.0)
    machine.tick(0.0)
    assert machine.deadline() == pytest.approx(0.1)
    machine.tick(0.1)
    assert machine.deadline() == pytest.approx(0.15)
    assert Own(IP, fresh=True) in machine.tick(0.16)


def test_a_claim_that_is_not_told_whole_is_waited_for() -> None:
    story = Story("n1")
    n2 = story.others["n2"]
    n2.claims.put(IP, ClaimOrder(1, True, 1))
    story.wait(1.0, "n2")
    assert not story.machine.settled
    story.receive(Heard(n2.repeat(ClaimNews(IP, ClaimOrder(1, True, 1)), reset=True), "eth0"))
    assert story.machine.settled
    assert not story.answers


def test_after_a_gap_of_the_loop_nothing_is_answered_until_the_next_exchange() -> None:
    story = settled("n1")
    story.now += 0.26
    assert story.machine.stood_still(story.now)
    effects = story.take(story.machine.tick(story.now))
    assert of(Flush, effects) == [Flush("the loop stood still for 0.26 s")]
    assert of(Yield, effects) == [Yield(IP, "")]
    assert of(Emit, effects)[0].beacon.ask == EVERYBODY
    story.now += 0.01
    story.hear("n3")
    assert not story.answers, "n2 has not spoken yet, and may have taken over"
    effects = story.hear("n2")
    assert of(Own, effects) == [Own(IP)]


def test_after_a_gap_who_took_over_keeps() -> None:
    story = settled("n1")
    story.now += 1.0
    story.machine.tick(story.now)
    story.now += 0.01
    story.hear("n2", ClaimOrder(1, True, 1))
    story.wait(0.5, "n2", "n3")
    assert not story.answers


def test_a_gap_is_not_the_others_silence_but_does_not_wake_the_dead() -> None:
    story = settled("n2")
    story.wait(0.5, "n2")
    story.gossip("n3", Liveness.DEAD)
    story.now += 1.0
    effects = story.take(story.machine.tick(story.now))
    assert "member" not in events(effects)
    assert story.machine._roster.peer("n2").life() is Life.ALIVE
    assert story.machine._roster.peer("n3").life() is Life.DEAD


def test_a_loop_that_turns_in_time_has_no_gap() -> None:
    story = settled("n1")
    story.now += 0.24
    assert of(Flush, story.take(story.machine.tick(story.now))) == []


def test_applying_after_a_gap_is_no_way_around_it() -> None:
    story = settled("n1")
    story.now += 1.0
    assert of(Flush, story.want(announcement("n1"), announcement("n1", address=IP + 1)))
    assert story.machine.answering == set()


def test_without_carrier_it_owns_nothing_and_comes_back_unsettled() -> None:
    story = settled("n1")
    effects = story.receive(Usable(()))
    assert of(Yield, effects) == [Yield(IP, "")]
    assert story.claim is None
    story.wait(5.0)
    assert not story.answers
    effects = story.receive(Usable((ETH0,)))
    assert of(Flush, effects)
    assert not story.machine.settled
    story.hear("n2", ClaimOrder(1, True, 1))
    story.wait(0.5, "n2", "n3")
    assert story.machine.settled
    assert not story.answers


# --- never seen (rule 7) -------------------------------------------------------------------------


def test_never_seen_is_not_dead_until_five_seconds_have_passed() -> None:
    story = Story("n2")
    story.wait(PATIENCE - 0.1, "n3")
    assert not story.answers
    story.wait(0.2, "n3")
    assert story.answers


# --- telling all claims (rule 10) ----------------------------------------------------------------


def test_a_digest_that_does_not_fit_is_asked_about() -> None:
    story = settled("n2")
    n3 = story.others["n3"]
    n3.claims.put(IP + 1, FIRM)
    effects = story.wait(0.3, "n2", "n3")
    assert "n3" in [item.beacon.ask for item in of(Emit, effects)]
    story.receive(Heard(n3.repeat(*claims_of(n3), reset=True), "eth0"))
    assert story.machine._roster.peer("n3").known
    assert {item.beacon.ask for item in of(Emit, story.wait(1.0, "n2", "n3"))} == {""}


def claims_of(other: Other) -> list[ClaimNews]:
    return [ClaimNews(address, order) for address, order in other.claims.orders.items()]


@pytest.mark.parametrize("ask", ["n1", EVERYBODY])
def test_who_is_asked_tells_all_its_claims(ask: str) -> None:
    story = settled("n1")
    story.wait(0.6, "n2", "n3")
    effects = story.receive(Heard(story.others["n2"].beacon(ask=ask), "eth0"))
    (beacon,) = [item.beacon for item in of(Emit, effects)]
    assert beacon.reset
    assert beacon.claims == (ClaimNews(IP, FIRM),)


def test_many_questions_are_answered_together_and_none_is_forgotten() -> None:
    story = settled("n1")
    story.wait(0.6, "n2", "n3")
    asked = Heard(story.others["n2"].beacon(ask=EVERYBODY), "eth0")
    assert of(Emit, story.receive(asked))
    again = [Heard(story.others["n3"].beacon(ask=EVERYBODY), "eth0") for _ in range(3)]
    assert [of(Emit, story.receive(item)) for item in again] == [[], [], []]
    dumps = [e for e in of(Emit, story.wait(0.5, "n2", "n3")) if e.beacon.reset]
    assert len(dumps) == 1


def test_a_dump_in_several_parts_releases_nothing_in_between() -> None:
    """More claims than a beacon holds: the first part must not look like the release of the rest.

    The slices name n1, so it would take the address at once.
    """
    story = Story("n1")
    n2 = story.others["n2"]
    many = [ClaimNews(IP + n, ClaimOrder(1, True, 1)) for n in reversed(range(100))]
    for portion in chunks(many):
        n2.beacon(*portion)
    for _ in range(2):
        for number, portion in enumerate(chunks(many)):
            story.receive(Heard(n2.repeat(*portion, reset=number == 0), "eth0"))
            story.wait(0.1, "n3")
    assert story.machine.settled
    assert not story.answers
    assert of(Own, story.all) == []


def test_a_release_that_was_missed_is_learnt_from_the_dump() -> None:
    story = settled("n2")
    n2 = story.others["n2"]
    n2.claims.put(IP, None)
    story.receive(Heard(n2.repeat(reset=True), "eth0"))
    assert IP not in story.machine._roster.peer("n2").claims


# --- who speaks ----------------------------------------------------------------------------------


def test_old_and_repeated_beacons_are_ignored() -> None:
    story = settled("n2")
    n2 = story.others["n2"]
    old = n2.beacon()
    story.receive(Heard(old, "eth0"))
    story.wait(0.3, "n3")
    for replay in (old, replace(old, counter=1), replace(old, boot=0, counter=999)):
        assert of(Own, story.receive(Heard(replay, "eth0"))) == []
    story.wait(0.1, "n3")
    assert story.answers, "the repeated ones were no sign of life"


def test_another_speaker_of_our_name_is_reported_once() -> None:
    story = settled("n1")
    story.wait(1.0, "n2", "n3")
    twin = Other("n1")
    twin.boot = 99
    said = [of(Said, story.receive(Heard(twin.beacon(), "eth0"))) for _ in range(3)]
    assert said == [[Said("twin", "another speaker calls itself n1")], [], []]


def test_our_own_echo_is_no_twin() -> None:
    story = settled("n1")
    own = of(Emit, story.wait(2.0, "n2", "n3"))[-1].beacon
    assert of(Said, story.receive(Heard(own, "eth0"))) == []


def test_a_slow_lan_makes_no_silence() -> None:
    """Who says that its next beacon comes in 0.5 s is not silent after 0.35 s."""
    story = settled("n2")
    beacon = replace(story.others["n2"].beacon(), interval=0.5)
    story.receive(Heard(beacon, "eth0"))
    story.wait(1.5, "n3")
    assert not story.answers


def test_all_nodes_together_stay_within_the_lans_budget() -> None:
    machine = Ownership("n0", 1, 0.0)
    for number in range(99):
        machine.receive(Heard(Other(f"x{number}").beacon(), "eth0"), 0.01)
    (last,) = of(Emit, machine.tick(0.12))[-1:]
    assert last.beacon.interval == pytest.approx(0.2)


# --- gossip only (a LAN that drops multicast) ----------------------------------------------------


def whispered(owner: str) -> Story:
    story = Story(owner)
    story.wait(0.1)
    for name in ("n2", "n3"):
        story.gossip(name, Liveness.ALIVE)
        story.hear(name, by_gossip=True)
    story.wait(0.2)
    return story


def test_where_no_beacon_passes_gossip_alone_decides() -> None:
    story = whispered("n2")
    story.hear("n2", FIRM, by_gossip=True)
    story.wait(10.0)
    assert not story.answers, "silence on the LAN means nothing there"
    story.gossip("n2", Liveness.DEAD)
    assert story.claim == ClaimOrder(1, True, 1)


def test_claims_are_whispered_to_who_does_not_hear_us() -> None:
    story = whispered("n1")
    whispers = of(Whisper, story.all)
    assert {item.node for item in whispers} == {"n2", "n3"}
    assert ClaimNews(IP, FIRM) in [news for item in whispers for news in item.beacon.claims]


def test_a_lost_whisper_is_found_by_the_next_which_comes_every_second() -> None:
    story = whispered("n1")
    story.wait(1.0)
    assert len(of(Whisper, story.wait(4.0))) == 2 * 4


def test_nothing_is_whispered_to_who_is_heard() -> None:
    story = settled("n1")
    story.wait(1.0, "n2", "n3")
    assert of(Whisper, story.wait(3.0, "n2", "n3")) == []
