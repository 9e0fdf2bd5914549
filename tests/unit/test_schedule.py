"""Who is announced when: firsts before repeats, longest waiting first, within the budget."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal.addresses import IPAddress
from bellmetal_layer2.schedule import BURST, FRAMES, LATE, REPEATS, Schedule

IP, IP6 = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv6Address("2001:db8::10")
COST = 2  # frames


def many(count: int) -> list[IPAddress]:
    return [IP + number for number in range(count)]


def said(it: Schedule, now: float) -> list[IPAddress]:
    """All that may be said now."""
    found = []
    while (address := it.next(now)) is not None:
        it.pay(COST)
        found.append(address)
    return found


def follow(it: Schedule, until: float) -> list[tuple[float, IPAddress]]:
    """All that is said until then, each at the moment at which it may be."""
    found: list[tuple[float, IPAddress]] = []
    while (due := it.deadline()) is not None and due <= until:
        found += [(due, address) for address in said(it, due)]
    return found


def begun(count: int) -> Schedule:
    it = Schedule(0.0)
    for address in many(count):
        it.announce(address)
    return it


def test_a_burst_slows_down_and_ends() -> None:
    assert [at for at, _ in follow(begun(1), 1e9)] == pytest.approx([0.0, *REPEATS])


def test_both_families_stand_in_one_schedule() -> None:
    it = begun(1)
    it.announce(IP6)
    assert {address for _, address in follow(it, 1e9)} == {IP, IP6}


def test_what_is_said_at_once_is_bounded() -> None:
    assert said(begun(1000), 0.0) == many(BURST // COST)


def test_the_budget_is_kept_second_by_second() -> None:
    it = begun(5000)
    times = [at for at, _ in follow(it, 20.0)]
    for second in range(10):
        frames = COST * sum(second <= at < second + 1 for at in times)
        assert frames <= FRAMES + BURST + COST


def test_first_ones_come_before_repeats_and_in_their_order() -> None:
    heard = [address for _, address in follow(begun(5000), 1.95)]
    assert heard == many(5000)[: len(heard)]
    assert len(heard) >= 4900


def test_the_last_of_five_thousand_is_said_within_three_seconds() -> None:
    it = begun(5000)
    it_is_said = {address: at for at, address in reversed(follow(it, 20.0))}
    assert set(it_is_said) == set(many(5000))
    assert max(it_is_said.values()) <= 3.0


@pytest.mark.slow
def test_every_one_of_five_thousand_is_repeated_and_nothing_piles_up() -> None:
    heard = follow(begun(5000), 1e9)
    times = [[at for at, address in heard if address == one] for one in many(5000)[::500]]
    assert all(2 <= len(item) <= 1 + len(REPEATS) for item in times)
    assert all(item[-1] - item[0] <= REPEATS[-1] + LATE for item in times)


def test_repeats_that_come_late_are_said_once() -> None:
    it = begun(1)
    said(it, 0.0)
    assert said(it, 3.0) == [IP]
    assert it.deadline() == pytest.approx(3.3)


def test_and_after_all_of_them_never() -> None:
    it = begun(1)
    said(it, 0.0)
    assert said(it, REPEATS[-1] + LATE + 0.1) == []
    assert it.deadline() is None


def test_who_waits_already_keeps_its_place() -> None:
    it = begun(100)
    it.announce(many(100)[30])
    assert [address for _, address in follow(it, 0.05)] == many(100)


def test_an_address_that_is_given_up_leaves_the_queue() -> None:
    it = begun(100)
    gone = many(100)[60]
    it.give_up(gone)
    firsts = [address for at, address in follow(it, 0.05)]
    assert firsts == [*(item for item in many(100) if item != gone), gone], "it comes last, once"
    assert gone not in {address for _, address in follow(it, 1e9)}


def test_one_that_comes_back_before_that_is_not_given_up() -> None:
    it = begun(100)
    back = many(100)[60]
    it.give_up(back)
    it.announce(back)
    assert [address for _, address in follow(it, 0.05)].count(back) == 1


def test_announcing_anew_begins_a_new_burst() -> None:
    it = begun(1)
    follow(it, 2.0)
    it.announce(IP)
    assert [at for at, _ in follow(it, 1e9)][1:] == pytest.approx(
        [follow_at + 1.1 for follow_at in REPEATS]
    )


# --- at rest -------------------------------------------------------------------------------------


def resting(count: int, seconds: int) -> Schedule:
    it = begun(count)
    for address in many(count):
        it.every(address, seconds, 0.0)
    follow(it, 10.0)
    return it


def test_at_rest_each_has_its_own_moment_and_keeps_it() -> None:
    heard = follow(resting(100, 60), 10.0 + 180)
    assert len(heard) == 300
    for address in many(100):
        first, *others = [at for at, which in heard if which == address]
        assert others == pytest.approx([first + 60, first + 120])
    seconds = [int(at) % 60 for at, _ in heard[:100]]
    assert max(seconds.count(number) for number in range(60)) <= 8, "they are spread"


def test_the_moment_does_not_depend_on_when_it_was_announced() -> None:
    it, late = resting(1, 30), Schedule(17.3)
    late.every(IP, 30, 17.3)
    assert follow(it, 100.0)[-3:] == follow(late, 100.0)[-3:]


def test_during_its_burst_an_address_is_not_repeated_beyond_it() -> None:
    it = begun(1)
    it.every(IP, 1, 0.0)
    assert len(follow(it, REPEATS[-1])) == 1 + len(REPEATS)


@pytest.mark.slow
def test_at_rest_is_last_and_does_not_pile_up() -> None:
    it = resting(3000, 1)
    it.announce(IP6)
    heard = follow(it, 12.0)
    assert heard[0][1] == IP6
    assert COST * len(heard) <= 2 * FRAMES + BURST + COST
    assert len(follow(it, 14.0)) >= 3000, "each has its turn all the same"


def test_how_often_may_end() -> None:
    it = resting(1, 30)
    it.every(IP, 0, 10.0)
    assert it.deadline() is None


def test_nothing_is_due_before_its_deadline() -> None:
    it = resting(50, 7)
    while (due := it.deadline()) is not None and due < 30.0:
        assert said(it, due - 1e-6) == []
        assert said(it, due) != []
