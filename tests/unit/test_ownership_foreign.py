"""Ownership where a foreign device has an address: who keeps the claim, who is quiet."""

from __future__ import annotations

from tests.unit.test_ownership import IP, Story, announcement, of, settled

from bellmetal.announcer import Liveness
from bellmetal.facts import ClaimOrder
from bellmetal_layer2.beacon import ClaimNews
from bellmetal_layer2.messages import Emit, Heard, Own, Yield

FIRM = ClaimOrder(1, True, 0)


def test_what_is_forbidden_is_not_answered_for_and_the_claim_stays() -> None:
    story = settled("n1")
    effects = story.take(story.machine.forbid(IP, story.now))
    assert of(Yield, effects) == [Yield(IP, "")]
    assert (story.answers, story.claim) == (False, FIRM)
    story.wait(5.0, "n2", "n3")
    assert (story.answers, story.claim) == (False, FIRM)


def test_a_gap_of_the_loop_does_not_make_it_answer() -> None:
    story = settled("n1")
    story.machine.forbid(IP, story.now)
    story.now += 1.0
    story.wait(3.0, "n2", "n3")
    assert story.machine.settled
    assert not story.answers


def test_when_it_is_allowed_again_it_is_answered_for_and_is_nothing_new() -> None:
    story = settled("n1")
    story.machine.forbid(IP, story.now)
    assert of(Own, story.machine.allow(IP, story.now)) == [Own(IP, fresh=False)]
    assert story.answers


def test_if_another_has_claimed_it_meanwhile_it_is_not() -> None:
    story = settled("n1")
    story.machine.forbid(IP, story.now)
    effects = story.hear("n2", ClaimOrder(1, True, 1))
    assert of(Yield, effects) == [Yield(IP, "n2")], "so that nobody looks after it any more"
    assert of(Own, story.machine.allow(IP, story.now)) == []
    assert not story.answers


def test_what_is_given_up_is_forbidden_no_more() -> None:
    story = settled("n1")
    story.machine.forbid(IP, story.now)
    assert of(Yield, story.want()) == [Yield(IP, "")]
    assert of(Own, story.want(announcement("n1"))) == [Own(IP, fresh=True)]


def test_an_address_that_nobody_has_claimed_is_fresh() -> None:
    assert of(Own, settled("n1").all) == [Own(IP, fresh=True)]


def test_one_that_was_ours_before_a_restart_is_not() -> None:
    story = settled("n1", remembered=ClaimOrder(1, True, 3))
    assert of(Own, story.all) == [Own(IP, fresh=False)]


def test_one_that_is_taken_over_is_not() -> None:
    story = settled("n2")
    story.gossip("n2", Liveness.DEAD)
    effects = story.wait(1.0, "n3")
    assert of(Own, effects) == [Own(IP, fresh=False)]


def test_one_that_is_moved_here_is_not() -> None:
    story = settled("n2")
    assert Own(IP, fresh=False) in story.want(announcement("n1", term=2))


def test_who_holds_an_address_is_told_while_it_is_clear() -> None:
    story = settled("n2")
    assert story.machine.holder(IP) == "n2"
    story.now += 1.0
    story.machine.tick(story.now)
    assert story.machine.holder(IP) == "", "we have not listened"
    assert Story("n1").machine.holder(IP) == ""


def quiet(story: Story, name: str) -> None:
    story.receive(Heard(story.others[name].beacon(ClaimNews(IP, FIRM, quiet=True)), "eth0"))


def test_others_are_told_that_it_is_claimed_and_not_answered_for() -> None:
    story = settled("n1")
    for whether, effects in (
        (True, story.machine.forbid(IP, story.now)),
        (False, story.machine.allow(IP, story.now)),
    ):
        news = [item for emit in of(Emit, effects) for item in emit.beacon.claims]
        assert ClaimNews(IP, FIRM, quiet=whether) in news


def test_what_its_owner_does_not_answer_for_is_fresh_to_who_takes_it_over() -> None:
    story = settled("n2")
    quiet(story, "n2")
    assert story.machine.quiet(IP)
    story.gossip("n2", Liveness.DEAD)
    assert of(Own, story.wait(1.0, "n3")) == [Own(IP, fresh=True)]


def test_and_to_whom_it_is_moved() -> None:
    story = settled("n2")
    quiet(story, "n2")
    assert Own(IP, fresh=True) in story.want(announcement("n1", term=2))


def test_what_is_answered_for_again_is_not() -> None:
    story = settled("n2")
    quiet(story, "n2")
    story.hear("n2", FIRM)
    assert not story.machine.quiet(IP)
    assert Own(IP, fresh=False) in story.want(announcement("n1", term=2))
