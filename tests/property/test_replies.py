"""The short way from question to answer says the same as the codecs, for all bytes."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellmetal.addresses import IPAddress
from bellmetal_layer2 import arp, ipv6, ndp
from bellmetal_layer2.arp import ArpFrame
from bellmetal_layer2.ndp import Solicitation
from bellmetal_layer2.replies import Replies

MAC, OTHER_MAC = bytes.fromhex("02000000000a"), bytes.fromhex("020000000001")
IP, IP6 = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv6Address("2001:db8::10")
GROUP = ndp.solicited_node(IP6)

REPLIES = Replies(MAC)
REPLIES.add(IP)
REPLIES.add(IP6)


def by_the_codecs(frame: bytes) -> tuple[bytes, IPAddress] | None:
    """The answer as RFC 826 and 4861 have it; None for what gets none (RFC 5227, section 3)."""
    try:
        if frame[12:14] == b"\x86\xdd":
            return _solicited(ndp.decode(frame))
        request = arp.decode(frame)
    except (arp.DecodeError, ndp.DecodeError):
        return None
    if request.operation != arp.REQUEST or request.target != IP:
        return None
    if request.destination not in (arp.BROADCAST, MAC) or request.sender == request.target:
        return None
    return arp.reply_to(request, MAC).encode(), IP


def _solicited(asked: Solicitation | ndp.Advertisement) -> tuple[bytes, IPAddress] | None:
    if not isinstance(asked, Solicitation) or asked.target != IP6:
        return None
    if asked.destination not in (IP6, GROUP):
        return None
    if asked.destination_mac not in (MAC, ndp.group_mac(GROUP)):
        return None
    return ndp.answer_to(asked, MAC).encode(), IP6


MACS = st.sampled_from([MAC, OTHER_MAC, arp.BROADCAST, ndp.group_mac(GROUP), bytes(6)]) | st.binary(
    min_size=6, max_size=6
)
IPS = st.sampled_from([IP, IP + 1]) | st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
IPS6 = st.sampled_from([IP6, IP6 + 1, GROUP, ndp.UNSPECIFIED, ipv6.ALL_NODES]) | st.integers(
    0, 2**128 - 1
).map(ipaddress.IPv6Address)
REQUESTS = st.builds(ArpFrame, MACS, MACS, st.sampled_from([1, 1, 2, 9]), MACS, IPS, MACS, IPS)
QUESTIONS = st.builds(Solicitation, MACS, MACS, IPS6, IPS6, IPS6, st.none() | MACS)
TO_US = st.builds(
    Solicitation,
    st.sampled_from([MAC, ndp.group_mac(GROUP)]),
    MACS,
    IPS6,
    st.sampled_from([IP6, GROUP]),
    st.just(IP6),
    st.none() | MACS,
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Whole ones, cut ones, longer ones, and ones of which some bytes are others."""
    frame = bytearray(draw(st.one_of(REQUESTS, QUESTIONS, TO_US)).encode())
    for _ in range(draw(st.integers(0, 2))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        frame = frame[: draw(st.integers(0, len(frame)))]
    return bytes(frame) + draw(st.binary(max_size=20))


@given(frames())
def test_an_answer_is_the_codecs_or_left_to_them(frame: bytes) -> None:
    answer = REPLIES.answer(frame)
    assert answer in (None, by_the_codecs(frame))


@given(REQUESTS, st.binary(max_size=20))
def test_every_request_is_answered_the_short_way(request: ArpFrame, rest: bytes) -> None:
    frame = request.encode()[: arp.LENGTH] + rest
    assert REPLIES.answer(frame) == by_the_codecs(frame)


def test_an_announcement_is_no_question() -> None:
    frame = arp.gratuitous(IP, OTHER_MAC, arp.REQUEST).encode()
    assert REPLIES.answer(frame) is None


@given(TO_US, st.binary(max_size=20))
def test_every_solicitation_with_its_sources_mac_too(asked: Solicitation, rest: bytes) -> None:
    expected = by_the_codecs(asked.encode() + rest)
    if asked.link_address is not None and expected is not None:
        assert REPLIES.answer(asked.encode() + rest) == expected


@given(st.binary(max_size=100))
def test_any_bytes_are_answered_or_not(frame: bytes) -> None:
    assert REPLIES.answer(frame) in (None, by_the_codecs(frame))


PLAIN = Solicitation(
    ndp.group_mac(GROUP), OTHER_MAC, ipaddress.IPv6Address("fe80::1"), GROUP, IP6, OTHER_MAC
)
LEFT = [
    pytest.param(replace(PLAIN, link_address=None).encode(), id="without the source's MAC"),
    pytest.param(replace(PLAIN, source=ndp.UNSPECIFIED, link_address=None).encode(), id="a probe"),
]


@pytest.mark.parametrize("frame", LEFT)
def test_what_is_not_plain_is_left_to_the_codecs(frame: bytes) -> None:
    assert REPLIES.answer(frame) is None
    assert by_the_codecs(frame) is not None


def test_what_is_removed_is_not_answered() -> None:
    it = Replies(MAC)
    it.add(IP6)
    assert it.answer(PLAIN.encode()) is not None
    it.remove(IP6)
    assert it.answer(PLAIN.encode()) is None
