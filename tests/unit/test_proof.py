"""Whether the LAN sees what other nodes own: asked, compared, judged; on a LAN in memory."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from dataclasses import replace

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.facts import Doubt, DoubtKind, Proved
from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.kin import Kin
from bellmetal_layer2.probes import Ask, Defend, Forbid, Tallied
from bellmetal_layer2.proof import ANSWER, CALM, DOUBTFUL, EVERY, SPREAD, Proof
from bellmetal_layer2.proxies import Proxies
from layer2_lan import LAN0, N2, N3, STRANGER, Device, Lan

IP, IP6 = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv6Address("2001:db8::10")
BOTH = pytest.mark.parametrize("address", [IP, IP6], ids=["IPv4", "IPv6"])
BEGIN = 2 * CALM + SPREAD + 4.0  # until it is asked for, and judged in doubt


def lan(address: IPAddress, *devices: Device, owner: str = "n2") -> Lan:
    """n2 owns the address, and it is our turn to ask for it."""
    it = Lan(*devices)
    it.owners[address] = owner
    it.watch.want({address: frozenset()}, (), it.now)
    return it


def results(it: Lan) -> Counter[str]:
    return Counter(e.kind for e in it.did(Tallied) if isinstance(e, Tallied))


@BOTH
def test_what_the_owner_answers_for_is_seen_and_asked_for_once_a_minute(
    address: IPAddress,
) -> None:
    it = lan(address, Device(N2, {address}))
    it.wait(10 * EVERY)
    assert it.watch.doubts == ()
    assert it.watch.proved == Proved(1, 1)
    assert 9 <= len(it.did(Ask)) <= 11
    assert results(it).keys() == {"seen"}
    assert it.told == []


def test_the_question_changes_nobodys_cache() -> None:
    it = lan(IP, Device(N2, {IP}))
    it.wait(BEGIN)
    (ask,) = it.did(Ask)
    assert isinstance(ask, Ask)
    assert arp.decode(ask.frame) == arp.probe(IP, LAN0.mac)


def test_in_ipv6_it_comes_from_the_link_local_address() -> None:
    it = lan(IP6, Device(N2, {IP6}))
    it.wait(BEGIN)
    (ask,) = it.did(Ask)
    assert isinstance(ask, Ask)
    question = ndp.decode(ask.frame)
    assert question.source == ipaddress.IPv6Address("fe80::a")


def test_without_one_it_is_not_asked() -> None:
    it = lan(IP6, Device(N2, {IP6}))
    it.watch.interfaces((replace(LAN0, subnets=()),))
    it.wait(BEGIN)
    assert it.did(Ask) == []
    assert it.watch.proved == Proved(0, 0)


@BOTH
def test_the_first_question_waits_for_calm_but_once(address: IPAddress) -> None:
    it = lan(address, Device(N2, {address}))
    it.wait(CALM + SPREAD + ANSWER + 0.2)
    assert it.watch.proved == Proved(1, 1)


@BOTH
def test_three_misses_are_a_doubt_and_one_answer_ends_it(address: IPAddress) -> None:
    owner = Device(N2)
    it = lan(address, owner)
    it.wait(BEGIN)
    assert len(it.did(Ask)) == 3
    doubt = Doubt(address, DoubtKind.UNSEEN, "lan0", "n2")
    assert it.watch.doubts == (doubt,)
    said = f"{address} is announced by n2, but asked for on lan0 nobody answers"
    assert it.told == [said]
    owner.holds.add(address)
    it.wait(DOUBTFUL + 1.0)
    assert it.watch.doubts == ()
    assert it.told[1:] == [f"no doubt any more: {said}"]


def test_one_miss_is_none() -> None:
    owner = Device(N2)
    it = lan(IP, owner)
    while not it.did(Ask):
        it.wait(0.1)
    owner.holds.add(IP)
    it.wait(10.0)
    assert it.told == []
    assert results(it) == {"unseen": 1, "seen": 1}


@BOTH
def test_a_stranger_that_answers_instead_is_reported_and_not_fought(address: IPAddress) -> None:
    it = lan(address, Device(STRANGER, {address}))
    it.wait(BEGIN + 3.0)
    (doubt,) = it.watch.doubts
    assert (doubt.kind, doubt.macs) == (DoubtKind.FOREIGN, ("02:00:00:00:00:09",))
    assert it.watch.proved == Proved(1, 0)
    assert it.did(Defend) == it.did(Forbid) == []


@BOTH
def test_a_node_that_answers_for_what_it_does_not_own_is_reported(address: IPAddress) -> None:
    it = lan(address, Device(N2, {address}), Device(N3, {address}))
    it.wait(BEGIN)
    (doubt,) = it.watch.doubts
    assert (doubt.kind, doubt.macs) == (DoubtKind.OTHER_NODE, ("n3 (02:00:00:00:00:03)",))
    assert doubt.kind.reason == "AnsweredByOtherNode"


@BOTH
def test_a_proxy_beside_the_owner_is_no_stranger(address: IPAddress) -> None:
    it = lan(address, Device(STRANGER, proxy=True), Device(N2, {address}))
    it.wait(BEGIN)
    assert it.watch.doubts == ()
    assert it.watch.proved == Proved(1, 1)


@BOTH
def test_a_proxy_alone_does_not_make_it_seen(address: IPAddress) -> None:
    it = lan(address, Device(STRANGER, proxy=True))
    it.wait(BEGIN + 3.0)
    assert [doubt.kind for doubt in it.watch.doubts] == [DoubtKind.UNSEEN]


# --- when nothing is judged -----------------------------------------------------------------------


def test_nothing_is_asked_where_it_is_not_our_turn() -> None:
    it = lan(IP, owner="")
    it.wait(EVERY)
    assert it.did(Ask) == []


def test_nothing_is_asked_where_the_owner_is_not_heard() -> None:
    it = lan(IP, owner="n9")
    it.wait(EVERY)
    assert it.did(Ask) == []
    assert it.watch.proved == Proved(0, 0)


def test_nothing_is_judged_for_three_seconds_after_the_owner_has_changed() -> None:
    it = lan(IP, Device(N2))
    it.wait(BEGIN)
    assert len(it.watch.doubts) == 1
    it.owners[IP] = "n3"
    while it.watch.doubts:
        it.wait(0.1)
    moved = it.now
    it.done.clear()
    it.wait(CALM - 1.0)
    assert it.watch.doubts == ()
    it.wait(10.0)
    assert [doubt.owner for doubt in it.watch.doubts] == ["n3"]
    assert all(at - moved > 0 for at in it.times(Ask))


def test_what_was_asked_before_a_pause_is_not_judged() -> None:
    it = lan(IP, Device(N2))
    while len(it.did(Ask)) < 3:
        it.wait(0.1)
    it.watch.unsettle(it.now)
    it.wait(2.0)
    assert it.watch.doubts == ()


def test_what_is_ours_now_is_not_judged() -> None:
    it = lan(IP, Device(N2))
    it.wait(BEGIN)
    it.owners[IP] = ""
    it.wait(DOUBTFUL + 1.0)
    assert it.watch.doubts == ()


# --- taking over ----------------------------------------------------------------------------------


def test_an_address_that_a_stranger_was_seen_to_have_is_not_fought_for_when_we_take_it_over() -> (
    None
):
    it = lan(IP, Device(STRANGER, {IP}))
    it.wait(BEGIN + 3.0)
    assert it.watch.distrusts(IP)
    it.own(IP, fresh=False)
    assert it.did(Forbid) == [Forbid(IP)]
    assert DoubtKind.HELD in [doubt.kind for doubt in it.watch.doubts]


def test_if_the_owner_answered_too_it_is() -> None:
    it = lan(IP, Device(STRANGER, {IP}), Device(N2, {IP}))
    it.wait(BEGIN + 3.0)
    assert [doubt.kind for doubt in it.watch.doubts] == [DoubtKind.FOREIGN]
    assert not it.watch.distrusts(IP)


# --- many -----------------------------------------------------------------------------------------


def test_thousands_are_asked_for_in_turn_ten_a_second_at_most() -> None:
    many = [ipaddress.IPv4Address("10.0.0.0") + n for n in range(2000)]
    it = Lan(Device(N2, set(many)))
    it.owners |= dict.fromkeys(many, "n2")
    it.watch.want(dict.fromkeys(many, frozenset()), (), it.now)
    it.wait(2.0 * CALM + SPREAD + 2000 / 8)
    times = it.times(Ask)
    assert {arp.decode(ask.frame).target for ask in it.did(Ask)} == set(many)
    most = max(Counter(int(at) for at in times).values())
    assert most <= 11
    assert len(set(times)) <= 1.1 * len(times) / 10  # ten at a time
    assert it.watch.proved == Proved(2000, 2000)


def test_thousands_that_are_others_to_ask_for_take_one_turn_of_the_loop_in_a_second() -> None:
    proof = Proof("n1", Kin("n1"), Proxies(random.Random(1), ()), lambda _: "")
    many = [ipaddress.IPv4Address("10.0.0.0") + n for n in range(10_000)]
    proof.want(dict.fromkeys(many, frozenset()), 0.0)
    turns, due = 0, proof.deadline()
    while due is not None and due < 60.0:
        assert proof.tick(due) == []
        turns, due = turns + 1, proof.deadline()
    assert turns <= 60


def test_a_doubt_about_one_of_thousands_waits_for_no_other() -> None:
    many = [ipaddress.IPv4Address("10.0.0.0") + n for n in range(3000)]
    silent = many[1234]
    it = Lan(Device(N2, set(many) - {silent}))
    it.owners |= dict.fromkeys(many, "n2")
    it.watch.want(dict.fromkeys(many, frozenset()), (), it.now)
    asked: list[float] = []
    while not it.watch.doubts and it.now < 1000.0:
        it.wait(1.0)
        asked += [it.now for ask in it.did(Ask) if arp.decode(ask.frame).target == silent]
        it.done.clear()
    assert [doubt.address for doubt in it.watch.doubts] == [silent]
    assert len(asked) == 3
    assert it.now - asked[0] <= 10.0
