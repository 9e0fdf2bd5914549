"""NOTIFICATION messages in words, and those that we make."""

from __future__ import annotations

import pytest

from bellmetal_bgp import notifications
from bellmetal_bgp.notifications import Notification, words

WORDS = [
    (Notification(1, 0), "message header error"),
    (Notification(1, 1), "message header error: connection not synchronized"),
    (Notification(1, 2, b"\0\x12"), "message header error: bad message length: 18 octets"),
    (Notification(1, 3, b"\x09"), "message header error: bad message type: type 9"),
    (Notification(2, 1, b"\0\4"), "OPEN error: unsupported version: version 4 is supported"),
    (Notification(2, 2), "OPEN error: bad peer AS"),
    (Notification(2, 2, b"\xfd\xe9"), "OPEN error: bad peer AS: AS 65001"),
    (Notification(2, 2, b"\xfa\x56\xea\0"), "OPEN error: bad peer AS: AS 4200000000"),
    (Notification(2, 2, b"abc"), "OPEN error: bad peer AS: data 616263"),
    (Notification(2, 3, b"\x0a\0\0\1"), "OPEN error: bad BGP identifier: 10.0.0.1"),
    (Notification(2, 4, b"\1"), "OPEN error: unsupported optional parameter: parameter 1"),
    (Notification(2, 6, b"\0\1"), "OPEN error: unacceptable hold time: 1 s"),
    (Notification(2, 7, bytes.fromhex("010400020001" "4104000000ff" "c800")),
     "OPEN error: unsupported capability: IPv6 unicast, 4-octet AS, capability 200"),
    (Notification(2, 7, b"\1"), "OPEN error: unsupported capability: data 01"),
    (Notification(2, 11), "OPEN error: role mismatch"),
    (Notification(3, 1), "UPDATE error: malformed attribute list"),
    (Notification(3, 2, b"\x40\x63\x00"),
     "UPDATE error: unrecognized well-known attribute: attribute 99"),
    (Notification(3, 3, b"\x03"), "UPDATE error: missing well-known attribute: NEXT_HOP"),
    (Notification(3, 4, b"\xc0\x01\x01\x00"), "UPDATE error: attribute flags: ORIGIN"),
    (Notification(3, 5, b"\x40\x05\x01\x00"), "UPDATE error: attribute length: LOCAL_PREF"),
    (Notification(3, 8, b"\x40\x03\x04\0\0\0\0"), "UPDATE error: invalid NEXT_HOP: NEXT_HOP"),
    (Notification(3, 9, b"\x80\x0e\x01\0"), "UPDATE error: optional attribute: MP_REACH_NLRI"),
    (Notification(3, 9, b"\x80"), "UPDATE error: optional attribute: data 80"),
    (Notification(3, 10), "UPDATE error: invalid network field"),
    (Notification(3, 11), "UPDATE error: malformed AS_PATH"),
    (Notification(4, 0), "hold timer expired"),
    (Notification(4, 3), "hold timer expired: subcode 3"),
    (Notification(5, 2, b"\2"),
     "message unexpected in this state: in OpenConfirm: message of type 2"),
    (Notification(6, 0), "Cease"),
    (Notification(6, 1, bytes.fromhex("00010100000064")),
     "Cease: maximum prefixes: IPv4 unicast, at most 100"),
    (Notification(6, 2), "Cease: administrative shutdown"),
    (Notification(6, 2, b"\0"), "Cease: administrative shutdown"),
    (Notification(6, 2, b"\x04gone"), 'Cease: administrative shutdown: "gone"'),
    (Notification(6, 2, b"\x02gone"), 'Cease: administrative shutdown: "go"'),
    (Notification(6, 4, b"\x03\xe2\x82\xac"), 'Cease: administrative reset: "€"'),
    (Notification(6, 2, b"\x05gone"),
     "Cease: administrative shutdown: a text of 5 octets that is cut off, data 05676f6e65"),
    (Notification(6, 2, b"\x02\xe2\x82"),
     "Cease: administrative shutdown: a text that is not UTF-8, data 02e282"),
    (Notification(6, 2, b"\x0ba\x1b[2J\r\n\xe2\x80\xaeb"),
     'Cease: administrative shutdown: "a\\x1b[2J\\r\\n\\u202eb"'),
    (Notification(6, 7), "Cease: connection collision"),
    (Notification(6, 9), "Cease: hard reset"),
    (Notification(6, 9, b"\x06\x02\x03bye"), 'hard reset: Cease: administrative shutdown: "bye"'),
    (Notification(6, 9, b"\x06\x09\x06\x09"), "Cease: hard reset: data 06090609"),
    (Notification(6, 9, b"\x06"), "Cease: hard reset: data 06"),
    (Notification(6, 10), "Cease: BFD down"),
    (Notification(6, 99), "Cease: subcode 99"),
    (Notification(7, 1, bytes(40)),
     f"ROUTE-REFRESH error: invalid message length: data {'00' * 32}…"),
    (Notification(8, 0), "send hold timer expired"),
    (Notification(42, 3, b"a"), "error 42/3: data 61"),
]  # fmt: skip


@pytest.mark.parametrize(("notification", "said"), WORDS)
def test_in_words(notification: Notification, said: str) -> None:
    assert words(notification) == said == str(notification)


def test_whatever_comes_has_words_that_can_be_printed() -> None:
    for code in range(256):
        for subcode in (*range(13), 255):
            for data in (b"", b"\xff", b"\x02\x1b\x07", bytes(4075)):
                said = words(Notification(code, subcode, data))
                assert said.isprintable()
                assert 0 < len(said) < 600


def test_a_reason_is_told_with_its_length() -> None:
    assert notifications.shutdown("gone") == Notification(6, 2, b"\x04gone")
    assert notifications.reset() == Notification(6, 4, b"\0")


def test_a_long_reason_is_cut_between_two_characters() -> None:
    said = notifications.shutdown("€" * 100)
    assert said.data == b"\xff" + b"\xe2\x82\xac" * 85
    assert notifications.shutdown("a" + "€" * 100).data == b"\xfda" + b"\xe2\x82\xac" * 84
    assert words(said).endswith('€"')


def test_a_hard_reset_says_why() -> None:
    said = notifications.hard(notifications.shutdown("gone"))
    assert said == Notification(6, 9, b"\x06\x02\x04gone")


def test_what_has_no_octets_in_utf_8_is_a_question_mark() -> None:
    assert notifications.shutdown("\ud800").data == b"\x01?"
