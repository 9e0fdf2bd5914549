"""Neighbour discovery ⇄ values; scapy is the referee."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    in6_chksum,
)
from scapy.layers.l2 import Ether

from bellmetal_layer2 import ipv6, ndp
from bellmetal_layer2.ndp import Advertisement, Solicitation


def ip(text: str) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(text)


A, B = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
HOST = ip("fe80::a")
TARGET = ip("2001:db8::12:3456")
GROUP = ip("ff02::1:ff12:3456")
GROUP_MAC = bytes.fromhex("3333ff123456")
EVERYBODY_MAC = bytes.fromhex("333300000001")

ASKED = Solicitation(GROUP_MAC, A, HOST, GROUP, TARGET, A)
DIRECT = Solicitation(B, A, HOST, TARGET, TARGET)
PROBE = Solicitation(GROUP_MAC, A, ndp.UNSPECIFIED, GROUP, TARGET)
SAID = Advertisement(A, B, TARGET, HOST, TARGET, B, solicited=True, override=True)

MACS = st.binary(min_size=6, max_size=6)
UNICAST_MACS = MACS.map(lambda mac: bytes([mac[0] & 0xFE]) + mac[1:])
UNICAST = st.integers(1, (0xFF << 120) - 1).map(ipaddress.IPv6Address)
ANY = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
LINK = st.none() | UNICAST_MACS
FRAMES = st.one_of(
    st.builds(Solicitation, MACS, MACS, UNICAST, ANY, UNICAST, LINK),
    UNICAST.map(
        lambda target: replace(PROBE, target=target, destination=ndp.solicited_node(target))
    ),
    st.builds(Advertisement, MACS, MACS, UNICAST, UNICAST, UNICAST, LINK, *[st.booleans()] * 3),
    st.builds(Advertisement, MACS, MACS, UNICAST, ANY, UNICAST, LINK, st.booleans()),
)


@given(FRAMES)
def test_what_is_encoded_decodes_to_the_same(frame: Solicitation | Advertisement) -> None:
    assert ndp.decode(frame.encode()) == frame


@given(FRAMES)
def test_the_checksum_is_scapys(frame: Solicitation | Advertisement) -> None:
    encoded = frame.encode()
    bare = encoded[54:56] + b"\0\0" + encoded[58:]
    header = IPv6(src=str(frame.source), dst=str(frame.destination), nh=58)
    assert int.from_bytes(encoded[56:58], "big") == in6_chksum(58, header, bare)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(ndp.DecodeError):
        ndp.decode(data)


def fixed(frame: bytes) -> bytes:
    """The frame with the checksum that its bytes call for."""
    length = int.from_bytes(frame[18:20], "big")
    icmp = frame[54:56] + b"\0\0" + frame[58 : 54 + length]
    header = IPv6(src=str(ip6(frame[22:38])), dst=str(ip6(frame[38:54])))
    return frame[:56] + in6_chksum(58, header, icmp).to_bytes(2, "big") + frame[58:]


def ip6(packed: bytes) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(packed)


@given(st.sampled_from([ASKED, DIRECT, PROBE, SAID]), st.data())
def test_a_frame_with_changed_bytes_is_a_value_or_a_decode_error(
    frame: Solicitation | Advertisement, data: st.DataObject
) -> None:
    """With a right checksum, so that what is behind it is reached."""
    content = bytearray(frame.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content += data.draw(st.binary(max_size=40))
    with contextlib.suppress(ndp.DecodeError):
        ndp.decode(fixed(bytes(content)))


def odd(at: int, value: bytes, frame: Solicitation | Advertisement = ASKED) -> bytes:
    """A frame with other bytes at a place, and the right checksum."""
    encoded = frame.encode()
    return fixed(encoded[:at] + value + encoded[at + len(value) :])


def carrying(options: bytes, frame: Solicitation | Advertisement = DIRECT) -> bytes:
    """A frame with other options, and the right length and checksum."""
    encoded = frame.encode()[: ndp.LENGTH]
    length = (ndp.LENGTH - 54 + len(options)).to_bytes(2, "big")
    return fixed(encoded[:18] + length + encoded[20:] + options)


NEITHER = "neither a neighbour solicitation nor an advertisement"
MULTICAST = ip("ff02::9").packed
INVALID = [  # RFC 4861, sections 7.1.1 and 7.1.2, and what they build on
    pytest.param(b"", "0 bytes are too short for neighbour discovery", id="nothing"),
    pytest.param(
        DIRECT.encode()[:-1], "77 bytes are too short for neighbour discovery", id="truncated"
    ),
    pytest.param(odd(12, b"\x08\x00"), "not IPv6", id="EtherType"),
    pytest.param(odd(14, b"\x40"), "not IPv6", id="version"),
    pytest.param(odd(20, b"\x11"), NEITHER, id="UDP"),
    pytest.param(odd(54, b"\x85"), NEITHER, id="router solicitation"),
    pytest.param(odd(21, b"\xfe"), "hop limit 254: it was routed", id="hop limit"),
    pytest.param(odd(55, b"\x01"), "ICMP code 1 is not 0", id="code"),
    pytest.param(
        ASKED.encode()[:56] + b"\1\2" + ASKED.encode()[58:], "the checksum is wrong", id="checksum"
    ),
    pytest.param(odd(18, b"\x00\x10"), "a payload of 16 bytes does not fit", id="too short"),
    pytest.param(odd(18, b"\x00\x28"), "a payload of 40 bytes does not fit", id="too long"),
    pytest.param(odd(18, b"\x00\x1f"), "a payload of 31 bytes does not fit", id="odd length"),
    pytest.param(odd(62, MULTICAST), "the target is a multicast address", id="target"),
    pytest.param(odd(22, MULTICAST), "the source is a multicast address", id="source"),
    pytest.param(carrying(b"\x01\x00" + A), "an option of 0 bytes does not fit", id="empty option"),
    pytest.param(
        carrying(b"\x01\x02" + A), "an option of 16 bytes does not fit", id="option over the end"
    ),
    pytest.param(
        carrying(b"\x01\x02" + A + bytes(8)),
        "a link-layer address option of 16 bytes is not Ethernet's",
        id="option of another medium",
    ),
    pytest.param(
        carrying(b"\x01\x01" + GROUP_MAC), "the link-layer address is a group's", id="group's MAC"
    ),
    pytest.param(
        carrying(b"\x01\x01" + A, PROBE),
        "a source link-layer address without a source",
        id="probe with option",
    ),
    pytest.param(
        odd(38, TARGET.packed, PROBE),
        "without a source, and not to a solicited-node group",
        id="probe by unicast",
    ),
    pytest.param(
        replace(SAID, destination=ipv6.ALL_NODES).encode(), "solicited, and to a group", id="NA"
    ),
]


@pytest.mark.parametrize(("data", "message"), INVALID)
def test_what_is_not_valid_is_refused_in_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ndp.DecodeError) as caught:
        ndp.decode(data)
    assert str(caught.value) == message


NONCE = b"\x0e\x01nonce!"
VALID = [
    pytest.param(ASKED.encode() + b"padding", ASKED, id="padded"),
    pytest.param(odd(58, b"\xff\xff\xff\xff"), ASKED, id="reserved bits are ignored"),
    pytest.param(odd(14, b"\x6f\xff\xff\xff"), ASKED, id="so are traffic class and flow label"),
    pytest.param(carrying(NONCE), DIRECT, id="and unknown options"),
    pytest.param(carrying(b"\x02\x01" + B), DIRECT, id="and those of an advertisement"),
    pytest.param(carrying(NONCE, PROBE), PROBE, id="a probe with a nonce (RFC 7527)"),
    pytest.param(
        carrying(NONCE + b"\x01\x01" + A), replace(DIRECT, link_address=A), id="MAC behind another"
    ),
    pytest.param(
        carrying(b"\x01\x01" + A + b"\x01\x01" + B), replace(DIRECT, link_address=A), id="the first"
    ),
]


@pytest.mark.parametrize(("data", "value"), VALID)
def test_what_is_valid(data: bytes, value: Solicitation) -> None:
    assert ndp.decode(data) == value


def mac(raw: bytes) -> str:
    return raw.hex(":")


@pytest.mark.parametrize("frame", [ASKED, DIRECT, PROBE, SAID, ndp.unsolicited(TARGET, B)])
def test_scapy_dissects_what_we_encode(frame: Solicitation | Advertisement) -> None:
    packet = Ether(frame.encode())
    assert (packet.src, packet.dst) == (mac(frame.source_mac), mac(frame.destination_mac))
    assert (packet[IPv6].src, packet[IPv6].dst) == (str(frame.source), str(frame.destination))
    assert (packet[IPv6].hlim, packet[IPv6].plen) == (255, len(frame.encode()) - 54)
    asking = isinstance(frame, Solicitation)
    body = packet[ICMPv6ND_NS if asking else ICMPv6ND_NA]
    assert (body.code, body.tgt) == (0, str(frame.target))
    if isinstance(frame, Advertisement):
        assert (frame.router, frame.solicited, frame.override) == (body.R, body.S, body.O)
    option = packet.getlayer(ICMPv6NDOptSrcLLAddr if asking else ICMPv6NDOptDstLLAddr)
    assert (option and option.lladdr) == (frame.link_address and mac(frame.link_address))


@pytest.mark.parametrize("frame", [ASKED, DIRECT, PROBE, SAID])
def test_we_decode_what_scapy_builds(frame: Solicitation | Advertisement) -> None:
    built = Ether(src=mac(frame.source_mac), dst=mac(frame.destination_mac))
    built /= IPv6(src=str(frame.source), dst=str(frame.destination))
    if isinstance(frame, Advertisement):
        flags = {"R": frame.router, "S": frame.solicited, "O": frame.override}
        built /= ICMPv6ND_NA(tgt=str(frame.target), **flags)
        built /= ICMPv6NDOptDstLLAddr(lladdr=mac(frame.link_address or b""))
    else:
        built /= ICMPv6ND_NS(tgt=str(frame.target))
        if frame.link_address:
            built /= ICMPv6NDOptSrcLLAddr(lladdr=mac(frame.link_address))
    assert ndp.decode(bytes(built)) == frame


# --- what is answered (RFC 4861, section 7.2.4) ---------------------------------------------------

TO_ALL = Advertisement(EVERYBODY_MAC, B, TARGET, ipv6.ALL_NODES, TARGET, B, override=True)
ANSWERS = [
    pytest.param(ASKED, SAID, id="by multicast"),
    pytest.param(DIRECT, SAID, id="by unicast, without its MAC: where it came from"),
    pytest.param(
        replace(ASKED, link_address=B),
        replace(SAID, destination_mac=B),
        id="at the MAC that it says, not where it came from",
    ),
    pytest.param(PROBE, TO_ALL, id="a probe: unsolicited, to all nodes"),
]


@pytest.mark.parametrize(("question", "answer"), ANSWERS)
def test_the_answer(question: Solicitation, answer: Advertisement) -> None:
    assert ndp.answer_to(question, B) == answer


def test_an_announcement_overrides_and_is_nobodys_answer() -> None:
    assert ndp.unsolicited(TARGET, B) == TO_ALL


def test_the_group_of_an_address_and_its_mac() -> None:
    assert ndp.solicited_node(TARGET) == GROUP
    assert ndp.group_mac(GROUP) == GROUP_MAC
    assert ndp.group_mac(ipv6.ALL_NODES) == EVERYBODY_MAC
