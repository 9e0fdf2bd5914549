"""What a frame says about who has an address."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.testimony import Unheard, Word, read

IP, OTHER = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv4Address("192.0.2.1")
IP6, OTHER6 = ipaddress.IPv6Address("2001:db8::10"), ipaddress.IPv6Address("fe80::1")
MAC, US = bytes.fromhex("020000000009"), bytes.fromhex("02000000000a")
GROUP = bytes.fromhex("010000000009")
HAS, WANTS = Word("lan0", IP, MAC, MAC), Word("lan0", IP, MAC, MAC, wish=True)
HAS6, WANTS6 = Word("lan0", IP6, MAC, MAC), Word("lan0", IP6, MAC, MAC, wish=True)

REQUEST = arp.ArpFrame(arp.BROADCAST, MAC, arp.REQUEST, MAC, IP, bytes(6), OTHER)
ARP = [
    pytest.param(arp.gratuitous(IP, MAC, arp.REQUEST), HAS, id="gratuitous request"),
    pytest.param(arp.gratuitous(IP, MAC, arp.REPLY), HAS, id="gratuitous reply"),
    pytest.param(REQUEST, HAS, id="a request for another address, from it"),
    pytest.param(arp.reply_to(arp.probe(IP, US), MAC), HAS, id="an answer to a probe"),
    pytest.param(arp.probe(IP, MAC), WANTS, id="a probe"),
    pytest.param(replace(arp.probe(IP, MAC), operation=2), Unheard.NO_CLAIM, id="of nobody"),
    pytest.param(replace(REQUEST, operation=3), Unheard.NO_CLAIM, id="reverse ARP"),
    pytest.param(replace(REQUEST, sender_mac=GROUP), Unheard.BAD_MAC, id="a group's MAC"),
    pytest.param(replace(REQUEST, sender_mac=bytes(6)), Unheard.BAD_MAC, id="no MAC"),
]
ASKED = ndp.question(IP6, MAC, OTHER6)
ANSWER = ndp.answer_to(ndp.question(IP6, US, OTHER6), MAC)
NDP = [
    pytest.param(ndp.unsolicited(IP6, MAC), HAS6, id="unsolicited"),
    pytest.param(ANSWER, HAS6, id="solicited"),
    pytest.param(replace(ANSWER, link_address=None), HAS6, id="without the option"),
    pytest.param(ndp.probe(IP6, MAC), WANTS6, id="a probe for duplicates"),
    pytest.param(ASKED, Unheard.NO_CLAIM, id="a question"),
    pytest.param(replace(ndp.probe(IP6, MAC), source_mac=GROUP), Unheard.BAD_MAC, id="group"),
]


@pytest.mark.parametrize(("frame", "expected"), [*ARP, *NDP])
def test_what_a_frame_says(
    frame: arp.ArpFrame | ndp.Solicitation | ndp.Advertisement, expected: object
) -> None:
    assert read("lan0", frame.encode()) == expected


@given(st.binary(max_size=120), st.sampled_from([b"\x08\x06", b"\x86\xdd", b""]))
def test_rubbish_says_nothing(data: bytes, kind: bytes) -> None:
    found = read("lan0", data[:12] + kind + data[12:])
    assert isinstance(found, Unheard | Word)


def test_a_frame_that_is_cut_off_is_malformed() -> None:
    assert read("lan0", REQUEST.encode()[:30]) is Unheard.MALFORMED
    assert read("lan0", ASKED.encode()[:60]) is Unheard.MALFORMED
