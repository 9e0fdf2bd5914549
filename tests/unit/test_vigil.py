"""Whether somebody else has our addresses: the stories of rule 8, on a LAN in memory."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.facts import Doubt, DoubtKind
from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.probes import Allow, Ask, Defend, Forbid, Tallied
from bellmetal_layer2.vigil import AGAIN, DEFEND_EVERY, GONE, ONCE_MORE
from layer2_lan import LAN0, N2, N3, STRANGER, Device, Lan, announced

IP, IP6 = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv6Address("2001:db8::10")
BOTH = pytest.mark.parametrize("address", [IP, IP6], ids=["IPv4", "IPv6"])
WHO = "02:00:00:00:00:09"


def lan(*devices: Device) -> Lan:
    it = Lan(*devices)
    it.watch.want({IP: frozenset(), IP6: frozenset()}, (), it.now)
    return it


def held(address: IPAddress) -> Doubt:
    return Doubt(address, DoubtKind.HELD, "lan0", "n1", (WHO,))


def wish(address: IPAddress, mac: bytes) -> bytes:
    if isinstance(address, ipaddress.IPv6Address):
        return ndp.probe(address, mac).encode()
    return arp.probe(address, mac).encode()


@BOTH
def test_a_new_address_is_probed_three_times_and_then_left_in_peace(address: IPAddress) -> None:
    it = lan()
    it.own(address)
    it.wait(60.0)
    assert it.times(Ask) == pytest.approx([100.0, 100.1, 100.2])
    assert {ask.frame for ask in it.did(Ask)} == {wish(address, LAN0.mac)}
    assert it.watch.doubts == ()


def test_a_takeover_is_not_probed() -> None:
    it = lan(Device(STRANGER, {IP}))
    it.own(IP, fresh=False)
    it.wait(60.0)
    assert it.did(Ask) == it.did(Forbid) == []


@BOTH
def test_a_stranger_that_has_it_ends_it_within_half_a_second(address: IPAddress) -> None:
    it = lan(Device(STRANGER, {address}))
    it.own(address)
    it.wait(0.5)
    assert it.did(Forbid) == [Forbid(address)]
    assert it.watch.doubts == (held(address),)
    why = f"{address} is held by {WHO} on lan0, which is no node of this cluster"
    assert it.told == [f"{why}: not announcing it"]


@BOTH
def test_when_the_stranger_is_gone_for_three_probes_it_is_announced_again(
    address: IPAddress,
) -> None:
    stranger = Device(STRANGER, {address})
    it = lan(stranger)
    it.own(address)
    it.wait(3 * AGAIN)
    assert it.did(Allow) == []
    it.done.clear()
    stranger.holds.clear()
    it.wait(AGAIN + GONE * ONCE_MORE + 0.5)
    assert it.did(Allow) == [Allow(address)]
    assert len(it.did(Ask)) == GONE
    assert it.watch.doubts == ()
    assert it.told == [f"{address} is held by {WHO} no more"]


def test_one_that_is_there_again_between_two_probes_is_not_gone() -> None:
    stranger = Device(STRANGER, {IP})
    it = lan(stranger)
    it.own(IP)
    it.wait(1.0)
    stranger.holds.clear()
    it.wait(AGAIN + ONCE_MORE * 0.8)
    stranger.holds.add(IP)
    it.wait(2 * AGAIN)
    assert it.did(Allow) == []


@BOTH
def test_who_wants_it_while_it_is_probed_gets_it_not_we(address: IPAddress) -> None:
    it = lan()
    it.own(address)
    it.wait(0.1)
    it.say(wish(address, STRANGER))
    it.wait(0.5)
    assert it.did(Forbid) == [Forbid(address)]


@BOTH
def test_who_wants_it_later_is_answered_and_nothing_else(address: IPAddress) -> None:
    it = lan()
    it.own(address)
    it.wait(1.0)
    it.say(wish(address, STRANGER))
    it.wait(1.0)
    assert it.did(Forbid) == it.did(Defend) == []
    assert it.did(Tallied) == [Tallied("ignored", "noClaim")]


@BOTH
@pytest.mark.parametrize("mac", [N2, N3, LAN0.mac], ids=["n2", "n3", "our own"])
def test_nodes_are_no_strangers(address: IPAddress, mac: bytes) -> None:
    it = lan(Device(mac, {address}))
    it.own(address)
    it.wait(0.2)
    it.say(announced(address, mac))
    it.wait(2.0)
    assert it.did(Forbid) == it.did(Defend) == []
    assert it.watch.doubts == ()


def test_while_a_node_was_never_heard_nobody_is_a_stranger() -> None:
    it = lan()
    it.own(IP)
    it.say(announced(IP, STRANGER), strangers=True)
    it.wait(2.0)
    assert it.did(Forbid) == []
    assert it.did(Tallied) == [Tallied("ignored", "unknownMembers")]


@BOTH
def test_who_answers_for_anything_holds_nothing(address: IPAddress) -> None:
    it = lan(Device(STRANGER, proxy=True))
    it.own(address)
    it.wait(5.0)
    assert it.did(Forbid) == []
    (finding,) = it.watch.findings
    assert finding.code == "proxyArp"
    assert finding.message.startswith(f"{WHO} on lan0 answers for any address")
    it.say(announced(address, STRANGER))
    it.wait(1.0)
    assert it.did(Defend) == []


@BOTH
def test_a_holder_behind_a_proxy_is_found(address: IPAddress) -> None:
    other = bytes.fromhex("020000000008")
    it = lan(Device(STRANGER, proxy=True), Device(other, {address}))
    it.own(address)
    it.wait(2.0)
    assert it.did(Forbid) == [Forbid(address)]
    assert it.watch.doubts[0].macs == ("02:00:00:00:00:08",)


# --- later ----------------------------------------------------------------------------------------


@BOTH
def test_a_stranger_that_comes_later_is_defended_against_once_in_ten_seconds(
    address: IPAddress,
) -> None:
    it = lan()
    it.own(address, fresh=False)
    for _ in range(250):
        it.say(announced(address, STRANGER))
        it.wait(0.1)
    assert it.did(Forbid) == []
    assert len(it.did(Defend)) == 3
    gaps = [b - a for a, b in zip(it.times(Defend), it.times(Defend)[1:], strict=False)]
    assert all(gap >= DEFEND_EVERY for gap in gaps)
    (doubt,) = it.watch.doubts
    assert (doubt.kind, doubt.macs) == (DoubtKind.CONTESTED, (WHO,))
    assert len(it.told) == 1


def test_a_request_that_is_sent_from_our_address_is_a_claim() -> None:
    it = lan()
    it.own(IP, fresh=False)
    other = ipaddress.IPv4Address("192.0.2.1")
    it.say(arp.ArpFrame(arp.BROADCAST, STRANGER, 1, STRANGER, IP, bytes(6), other).encode())
    it.wait(1.0)
    assert len(it.did(Defend)) == 1


def test_when_it_is_heard_no_more_there_is_no_doubt_any_more() -> None:
    it = lan()
    it.own(IP, fresh=False)
    it.say(announced(IP, STRANGER))
    it.wait(1.0)
    assert len(it.watch.doubts) == 1
    it.wait(AGAIN + GONE * ONCE_MORE + 1.0)
    assert it.watch.doubts == ()
    assert it.did(Allow) == []


def test_what_is_not_owned_is_nobodys_business() -> None:
    it = lan()
    it.say(announced(IP, STRANGER))
    it.wait(1.0)
    assert it.did(Defend) == []
    assert it.did(Tallied) == [Tallied("ignored", "notOurs")]


def test_a_stranger_that_turns_out_to_be_a_node_is_forgiven() -> None:
    n4 = bytes.fromhex("020000000004")
    it = lan(Device(n4, {IP}))
    it.own(IP)
    it.wait(1.0)
    assert it.did(Forbid) == [Forbid(IP)]
    from bellmetal_layer2.beacon import Beacon, wrap

    it.watch.heard(Beacon("n4", 1, 1, 0, 0.1), "lan0", wrap(b"", n4), it.now)
    it.wait(AGAIN + 1.0)
    assert it.did(Allow) == [Allow(IP)]


# --- what ends and begins it ----------------------------------------------------------------------


def test_what_is_given_up_is_forgotten() -> None:
    it = lan(Device(STRANGER, {IP}))
    it.own(IP)
    it.wait(1.0)
    it.watch.disown(IP, paused=False)
    assert it.watch.doubts == ()
    it.done.clear()
    it.wait(30.0)
    assert it.done == []


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    it = lan(Device(STRANGER, {IP}))
    it.own(IP)
    it.wait(1.0)
    it.watch.want({}, [IP], it.now)
    assert it.watch.doubts == ()


def test_a_pause_does_not_give_it_back_to_us() -> None:
    it = lan(Device(STRANGER, {IP}))
    it.own(IP)
    it.wait(1.0)
    it.watch.disown(IP, paused=True)
    assert it.watch.doubts == (held(IP),)


def test_probing_that_a_pause_cut_short_begins_anew() -> None:
    it = lan(Device(STRANGER, {IP}))
    it.own(IP)
    it.watch.disown(IP, paused=True)
    it.wait(1.0)
    assert it.did(Forbid) == []
    it.own(IP, fresh=False)
    it.wait(1.0)
    assert it.did(Forbid) == [Forbid(IP)]


def test_thousands_of_new_addresses_are_probed_in_turn() -> None:
    many = [ipaddress.IPv4Address("10.0.0.0") + n for n in range(2000)]
    it = lan()
    it.watch.want(dict.fromkeys(many, frozenset()), (), it.now)
    for address in many:
        it.own(address)
    it.wait(1.0)
    assert len(it.did(Ask)) <= 1100
    it.wait(8.0)
    assert len(it.did(Ask)) == 3 * len(many)


def test_a_lan_full_of_liars_fills_no_memory_and_convicts_nobody_unheard() -> None:
    it = lan()
    it.own(IP, fresh=False)
    for number in range(5000):
        it.say(announced(IP, b"\x02" + number.to_bytes(5, "big")))
    it.wait(5.0)
    assert len(it.watch.doubts) == 1
    assert len(it.did(Defend)) == 1
