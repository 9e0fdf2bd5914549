from __future__ import annotations

import pytest

from bellmetal_bgp.bfd import wishes
from bellmetal_bgp.bfd.session import Timers
from bellmetal_bgp.bfd.wishes import Close, Forget, Order, Reach, Told, Want, WordError

WANT = Want(7, Reach("10.0.0.2", "", "eth0", False, ""), Timers(50_000, 60_000, 3, True), 250)
TOLD = Told(7, 3, 1, 12.25, 1, 7, 50_000, 150_000, 3, "it fell silent", {"input": 4, "output": 5})


@pytest.mark.parametrize(
    "order",
    [
        WANT,
        Want(2**32 - 1, Reach("fd00::2", "fd00::1", "", True, "red"), Timers(echo_us=50_000), 1),
        Forget(7),
        Close(),
    ],
)
def test_orders_arrive_as_they_were_given(order: Order) -> None:
    assert wishes.decode(wishes.encode(order)) == order


@pytest.mark.parametrize("told", [TOLD, TOLD._replace(message="", counters={})])
def test_what_is_told_arrives_as_it_was_said(told: Told) -> None:
    assert wishes.decode_told(wishes.encode_told(told)) == told


LINE = wishes.encode(WANT)


@pytest.mark.parametrize("length", range(len(LINE)))
def test_no_truncation_is_another_order(length: int) -> None:
    try:
        found = wishes.decode(LINE[:length])
    except WordError:
        return
    assert isinstance(found, Want)  # the last number lost a digit; nothing else can be lost
    assert found._replace(minimum_ttl=250) == WANT


ODD = [
    (b"", "order: '' is neither want nor forget nor close"),
    (b"give 7", "order: 'give' is neither want nor forget nor close"),
    (b"forget", "number: is missing"),
    (b"forget x", "number: 'x' is no number between 0 and 4294967295"),
    (b"forget -1", "number: '-1' is no number between 0 and 4294967295"),
    (b"forget 4294967296", "number: '4294967296' is no number between 0 and 4294967295"),
    (b"forget 1 2", "line: 1 words too many"),
    (b"forget\n1", "line: has characters that cannot be printed"),
    (b"\xff", "order: '\ufffd' is neither want nor forget nor close"),
    (LINE.replace(b" 3 1 0 ", b" 0 1 0 "), "detect_mult: '0' is no number between 1 and 255"),
    (LINE.replace(b" 50000 ", b" 0 "), "transmit_us: '0' is no number between 1 and 4294967295"),
]


@pytest.mark.parametrize(("line", "message"), ODD)
def test_odd_orders_are_refused_in_a_sentence(line: bytes, message: str) -> None:
    with pytest.raises(WordError) as caught:
        wishes.decode(line)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"7 4", "state: '4' is no number between 0 and 3"),
        (b"7 3 1 soon", "since: 'soon' is no time"),
        (b"7 3 1 nan", "since: 'nan' is no time"),
        (b"7 3 1 -2", "since: '-2' is no time"),
        (b"7 3 1 0 0 0 0 0 3 99", "counters: '99' is no number between 0 and 32"),
    ],
)
def test_odd_news_is_refused_in_a_sentence(line: bytes, message: str) -> None:
    with pytest.raises(WordError) as caught:
        wishes.decode_told(line)
    assert str(caught.value) == message
