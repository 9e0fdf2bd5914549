"""Ownership on nodes with several interfaces: what counts for an address is its own LAN."""

from __future__ import annotations

import ipaddress

from tests.unit.test_ownership import FIRM, IP, Story, announcement, events, of

from bellmetal.announcer import Liveness
from bellmetal.facts import MOST_AHEAD, ClaimOrder, Interface
from bellmetal.intents import NodeSet
from bellmetal_layer2.beacon import ClaimNews
from bellmetal_layer2.messages import Emit, Heard, Own, Usable, Yield
from bellmetal_layer2.succession import LAST_EPOCH, SPEAK_UP

ETH0 = Interface("eth0", 2, bytes(6), up=True, subnets=("203.0.113.1/24",))
ETH1 = Interface("eth1", 3, bytes(6), up=True, subnets=("192.0.2.1/24",))
LAN = (ipaddress.ip_network("192.0.2.0/24"),)


class TwoLans(Story):
    """n1 has eth0 and eth1; the address lives on eth1's LAN. Beacons come in on both."""

    def __init__(self, owner: str) -> None:
        self.on = ["eth0", "eth1"]
        super().__init__(owner)
        nodes = dict.fromkeys(("n1", "n2", "n3"), "")
        self.sets = {"all": NodeSet("all", nodes, LAN)}
        self.receive(Usable((ETH0, ETH1)))
        self.want(announcement(owner))
        for name in ("n2", "n3"):
            self.gossip(name, Liveness.ALIVE)
        self.wait(0.3, "n2", "n3")
        if owner != "n1":
            self.hear(owner, FIRM)

    def hear(self, name, order=None, by_gossip=False):  # type: ignore[no-untyped-def]
        news = [ClaimNews(IP, order)] if order else []
        beacon = self.others[name].beacon(*news)
        return [e for on in self.on for e in self.receive(Heard(beacon, on))]

    def says(self, name: str, *news: ClaimNews) -> list[object]:
        beacon = self.others[name].beacon(*news)
        return [e for on in self.on for e in self.receive(Heard(beacon, on))]


def test_one_beacon_is_a_sign_of_life_on_each_lan_it_comes_in_on() -> None:
    story = TwoLans("n2")
    story.wait(5.0, "n2", "n3")
    assert not story.answers


def test_a_beacon_repeated_on_the_same_lan_is_none() -> None:
    story = TwoLans("n2")
    beacon = story.others["n2"].beacon()
    for _ in range(10):
        story.receive(Heard(beacon, "eth1"))
        story.wait(0.05, "n3")
    assert story.answers


def test_who_is_silent_on_the_addresss_own_lan_is_followed_though_heard_on_another() -> None:
    story = TwoLans("n2")
    story.on = ["eth0"]  # the switch of the other LAN lost n2 and n3
    story.wait(0.5, "n2", "n3")
    assert story.answers
    assert story.machine.place(IP) == {"eth1"}


def test_who_is_silent_on_another_lan_alone_is_not() -> None:
    story = TwoLans("n2")
    story.on = ["eth1"]
    story.wait(5.0, "n2", "n3")
    assert not story.answers


def test_where_a_lan_drops_all_beacons_the_other_one_says_who_lives() -> None:
    story = TwoLans("n2")
    fresh = TwoLans.__new__(TwoLans)
    fresh.on = ["eth0"]
    Story.__init__(fresh, "n2")
    fresh.sets = story.sets
    fresh.receive(Usable((ETH0, ETH1)))
    fresh.want(announcement("n2"))
    fresh.wait(0.3, "n2", "n3")
    fresh.hear("n2", FIRM)
    fresh.wait(20.0, "n2", "n3")
    assert not fresh.answers


def test_an_owner_whose_interface_goes_gives_the_address_up_at_once_and_says_so() -> None:
    story = TwoLans("n1")
    assert story.answers
    effects = story.receive(Usable((ETH0,)))
    assert of(Yield, effects) == [Yield(IP, "")]
    news = [item for emit in of(Emit, effects) for item in emit.beacon.claims]
    assert ClaimNews(IP, None, unable=True) in news
    assert story.claim is None


def test_the_heir_of_one_that_cannot_does_not_wait() -> None:
    story = TwoLans("n2")
    effects = story.says("n2", ClaimNews(IP, None, unable=True))
    assert of(Own, effects) == [Own(IP, fresh=True)]
    assert story.claim == ClaimOrder(1, True, 1), "it said so itself: that is sure"


def test_one_that_just_gave_up_is_waited_for() -> None:
    story = TwoLans("n2")
    assert of(Own, story.says("n2", ClaimNews(IP, None))) == []
    story.wait(SPEAK_UP - 0.5, "n2", "n3")
    assert not story.answers


def test_a_node_that_is_named_and_cannot_says_so_once() -> None:
    story = TwoLans("n2")
    story.receive(Usable((ETH0,)))
    effects = [*story.want(announcement("n1", term=2)), *story.wait(0.05, "n2", "n3")]
    news = [item for emit in of(Emit, effects) for item in emit.beacon.claims]
    assert ClaimNews(IP, None, unable=True) in news
    late = story.wait(3.0, "n2", "n3")
    assert all(not emit.beacon.claims for emit in of(Emit, late)[15:])


def test_the_old_owner_keeps_what_should_go_to_a_node_that_cannot_have_it() -> None:
    story = TwoLans("n1")
    story.want(announcement("n2", term=2))
    story.says("n2", ClaimNews(IP, None, unable=True))
    assert story.answers
    assert story.claim == ClaimOrder(2, True, 1)


def test_what_is_back_in_place_may_be_owned_again_and_takes_nothing() -> None:
    story = TwoLans("n1")
    story.receive(Usable((ETH0,)))
    story.hear("n2", ClaimOrder(1, True, 1))
    story.receive(Usable((ETH0, ETH1)))
    story.wait(5.0, "n2", "n3")
    assert not story.answers
    story.gossip("n2", Liveness.DEAD)
    story.wait(0.5, "n3")
    assert story.answers


def test_an_interface_that_has_nothing_to_do_with_an_address_may_go() -> None:
    story = TwoLans("n1")
    effects = story.receive(Usable((ETH1,)))
    assert of(Yield, effects) == []
    assert story.answers
    assert "unsettled" not in events(story.wait(1.0, "n2", "n3"))


# --- members that lie ----------------------------------------------------------------------------


def test_the_last_epoch_has_no_next_one() -> None:
    story = TwoLans("n2")
    story.hear("n2", ClaimOrder(1, True, LAST_EPOCH))
    story.gossip("n2", Liveness.DEAD)
    story.wait(0.5, "n3")
    assert story.answers
    assert story.claim is not None
    assert story.claim.epoch == LAST_EPOCH


def test_a_claim_of_a_term_that_cannot_be_is_not_believed() -> None:
    story = TwoLans("n1")
    story.hear("n2", ClaimOrder(1 + MOST_AHEAD + 1, True, 0))
    assert story.answers
    story.hear("n2", ClaimOrder(1 + MOST_AHEAD, True, 0))
    assert not story.answers
