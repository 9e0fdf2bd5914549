"""ARP frames ⇄ values; scapy and the kernel are the referees."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import ARP, Ether

from bellmetal_layer2 import arp
from bellmetal_layer2.arp import ArpFrame

CAPTURES = Path(__file__).parent.parent / "captures"
A, B = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
IP_A, IP_B = ipaddress.IPv4Address("192.0.2.1"), ipaddress.IPv4Address("192.0.2.2")

REQUEST = ArpFrame(arp.BROADCAST, A, arp.REQUEST, A, IP_A, bytes(6), IP_B)
REPLY = ArpFrame(A, B, arp.REPLY, B, IP_B, A, IP_A)

MACS = st.binary(min_size=6, max_size=6)
IPS = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
FRAMES = st.builds(ArpFrame, MACS, MACS, st.integers(0, 0xFFFF), MACS, IPS, MACS, IPS)


def text(mac: bytes) -> str:
    return mac.hex(":")


@given(FRAMES)
def test_what_is_encoded_decodes_to_the_same(frame: ArpFrame) -> None:
    assert arp.decode(frame.encode()) == frame


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(arp.DecodeError):
        assert isinstance(arp.decode(data), ArpFrame)


@pytest.mark.parametrize(("name", "frame"), [("request", REQUEST), ("reply", REPLY)])
def test_the_kernels_frames_decode(name: str, frame: ArpFrame) -> None:
    captured = (CAPTURES / f"arp-{name}.bin").read_bytes()
    assert arp.decode(captured) == frame
    assert frame.encode().startswith(captured)


def test_the_answer_is_the_kernels() -> None:
    request = arp.decode((CAPTURES / "arp-request.bin").read_bytes())
    reply = (CAPTURES / "arp-reply.bin").read_bytes()
    assert arp.reply_to(request, B).encode().startswith(reply)


GOOD = REQUEST.encode()
ODD = [
    pytest.param(b"", "0 bytes are too short for ARP", id="nothing"),
    pytest.param(GOOD[:41], "41 bytes are too short for ARP", id="truncated"),
    pytest.param(GOOD[:12] + b"\x08\x00" + GOOD[14:], "EtherType 0x0800 is not ARP", id="IPv4"),
    pytest.param(GOOD[:14] + b"\x00\x06" + GOOD[16:], "not IPv4 over Ethernet", id="token ring"),
    pytest.param(GOOD[:16] + b"\x86\xdd" + GOOD[18:], "not IPv4 over Ethernet", id="IPv6"),
    pytest.param(GOOD[:18] + b"\x08" + GOOD[19:], "not IPv4 over Ethernet", id="long MAC"),
    pytest.param(GOOD[:19] + b"\x10" + GOOD[20:], "not IPv4 over Ethernet", id="long address"),
]


@pytest.mark.parametrize(("data", "message"), ODD)
def test_odd_frames_are_refused_in_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(arp.DecodeError) as caught:
        arp.decode(data)
    assert str(caught.value) == message


def test_frames_are_padded_to_ethernets_minimum() -> None:
    assert len(GOOD) == 60


@pytest.mark.parametrize("frame", [REQUEST, REPLY])
def test_we_decode_what_scapy_builds(frame: ArpFrame) -> None:
    built = Ether(src=text(frame.source), dst=text(frame.destination)) / ARP(
        op=frame.operation,
        hwsrc=text(frame.sender_mac),
        psrc=str(frame.sender),
        hwdst=text(frame.target_mac),
        pdst=str(frame.target),
    )
    assert arp.decode(bytes(built)) == frame


@pytest.mark.parametrize(
    "frame",
    [
        REQUEST,
        arp.reply_to(REQUEST, B),
        arp.gratuitous(IP_A, A, arp.REQUEST),
        arp.gratuitous(IP_A, A, arp.REPLY),
    ],
)
def test_scapy_dissects_what_we_encode(frame: ArpFrame) -> None:
    packet = Ether(frame.encode())
    assert (packet.src, packet.dst) == (text(frame.source), text(frame.destination))
    fields = packet[ARP]
    assert (fields.hwtype, fields.ptype, fields.hwlen, fields.plen) == (1, 0x0800, 6, 4)
    assert (fields.op, fields.psrc, fields.pdst) == (
        frame.operation,
        str(frame.sender),
        str(frame.target),
    )
    assert (fields.hwsrc, fields.hwdst) == (text(frame.sender_mac), text(frame.target_mac))


@pytest.mark.parametrize("operation", [arp.REQUEST, arp.REPLY])
def test_gratuitous_arp_names_the_address_twice_and_goes_to_everybody(operation: int) -> None:
    frame = arp.gratuitous(IP_A, A, operation)
    assert frame.sender == frame.target == IP_A
    assert frame.destination == arp.BROADCAST
    assert frame.sender_mac == frame.source == A


def test_a_probe_without_an_address_is_answered_to_its_mac() -> None:
    """RFC 5227, section 1.1: the sender of an ARP probe is 0.0.0.0."""
    probe = ArpFrame(arp.BROADCAST, A, arp.REQUEST, A, ipaddress.IPv4Address(0), bytes(6), IP_B)
    answer = arp.reply_to(probe, B)
    assert (answer.destination, answer.target_mac, str(answer.target)) == (A, A, "0.0.0.0")
