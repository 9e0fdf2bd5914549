"""Which hardware addresses belong to the cluster."""

from __future__ import annotations

from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.kin import FORGIVEN, LATE, MOST, MOST_MEMBERS, RECENT, Kin

OURS, N2, OTHER = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\x09"


def beacon(counter: int, boot: int = 1, node: str = "n2") -> Beacon:
    return Beacon(node, boot, counter, 0, 0.1)


def kin() -> Kin:
    it = Kin("n1")
    it.ours({"lan0": OURS})
    it.heard(beacon(100), "lan0", N2, 10.0)
    return it


def test_members_and_our_own_interfaces_are_known_by_name() -> None:
    it = kin()
    assert [it.name_of(mac) for mac in (OURS, N2, OTHER)] == ["n1", "n2", ""]
    assert it.known(["n2"])
    assert not it.known(["n2", "n3"])


def test_where_a_node_is_heard_is_known_while_it_is_heard() -> None:
    it = kin()
    assert it.macs("n2", "lan0", 10.0 + RECENT / 2) == {N2}
    assert it.macs("n2", "lan0", 10.0 + RECENT) == frozenset()
    assert it.macs("n2", "lan1", 10.0) == it.macs("n3", "lan0", 10.0) == frozenset()
    assert it.name_of(N2) == "n2", "what it has sent may still be under way"


def test_the_same_beacon_by_two_interfaces_teaches_both() -> None:
    it = kin()
    it.heard(beacon(100), "lan0", OTHER, 10.0)
    assert it.macs("n2", "lan0", 10.0) == {N2, OTHER}


def test_a_recorded_beacon_teaches_nothing() -> None:
    it = kin()
    it.heard(beacon(100 - LATE - 1), "lan0", OTHER, 10.1)
    it.heard(beacon(5000, boot=0), "lan0", OTHER, 10.1)
    assert it.name_of(OTHER) == ""


def test_a_node_whose_clock_was_set_back_is_known_again_after_a_while() -> None:
    it = kin()
    it.heard(beacon(1, boot=0), "lan0", N2, 10.0 + FORGIVEN)
    assert it.macs("n2", "lan0", 10.0 + FORGIVEN) == {N2}


def test_our_own_beacon_from_elsewhere_teaches_nothing() -> None:
    it = kin()
    it.heard(beacon(1, node="n1"), "lan0", OTHER, 10.0)
    assert it.name_of(OTHER) == ""


def test_a_member_that_has_ever_new_addresses_fills_no_memory() -> None:
    it = kin()
    for number in range(1000):
        it.heard(beacon(101 + number), "lan0", b"\6" + number.to_bytes(5, "big"), 11.0 + number)
    now = 11.0 + 999
    assert len(it._members["n2"].macs["lan0"]) == MOST
    assert len(it._names) <= MOST + 1
    assert it.macs("n2", "lan0", now)


def test_invented_names_are_bounded_and_drive_out_the_one_unheard_for_longest() -> None:
    it = kin()
    for number in range(MOST_MEMBERS + 100):
        mac = b"\x06\0" + number.to_bytes(4, "big")
        it.heard(beacon(1, node=f"x{number}"), "lan0", mac, 20.0 + number)
        if number % 100 == 0:
            it.heard(beacon(101 + number), "lan0", N2, 20.0 + number)
    assert len(it._members) == MOST_MEMBERS
    assert len(it._names) == MOST_MEMBERS + 1
    assert it.name_of(N2) == "n2", "who is heard now and then stays"
    assert it.name_of(OURS) == "n1"
    assert not it.known(["x0"])
