from __future__ import annotations

import pytest
from scapy.contrib.bfd import BFD

from bellmetal_bgp.bfd import packets
from bellmetal_bgp.bfd.packets import DecodeError, Diagnostic, Packet, State, Wrong

PACKET = Packet(
    state=State.UP,
    detect_mult=3,
    my_discriminator=0x01020304,
    your_discriminator=0x0A0B0C0D,
    desired_min_tx_us=50_000,
    required_min_rx_us=60_000,
    required_min_echo_rx_us=70_000,
    diagnostic=Diagnostic.NEIGHBOR_SIGNALED_DOWN,
    poll=True,
)
GOOD = PACKET.encode()


def test_the_layout_is_section_4_1() -> None:
    words = "23 e0 03 18 01020304 0a0b0c0d 0000c350 0000ea60 00011170"
    assert bytes.fromhex(words.replace(" ", "")) == GOOD


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("flag", ["poll", "final", "independent", "demand"])
def test_what_is_encoded_decodes(state: State, flag: str) -> None:
    packet = PACKET._replace(state=state, poll=False)._replace(**{flag: True})
    assert packets.decode(packet.encode()) == packet


def test_scapy_reads_what_we_encode() -> None:
    read = BFD(GOOD)
    assert (read.version, read.diag, read.sta, read.flags) == (1, 3, 3, "P")
    assert (read.detect_mult, read.len) == (3, 24)
    assert (read.my_discriminator, read.your_discriminator) == (0x01020304, 0x0A0B0C0D)
    intervals = (read.min_tx_interval, read.min_rx_interval, read.echo_rx_interval)
    assert intervals == (50_000, 60_000, 70_000)


def test_we_read_what_scapy_builds() -> None:
    built = BFD(sta=2, flags="F", detect_mult=5, my_discriminator=7, your_discriminator=8)
    read = packets.decode(bytes(built))
    assert (read.state, read.final, read.poll) == (State.INIT, True, False)
    assert (read.detect_mult, read.my_discriminator, read.your_discriminator) == (5, 7, 8)


def test_what_follows_the_packet_is_not_looked_at() -> None:
    assert packets.decode(GOOD + b"more") == PACKET


@pytest.mark.parametrize("length", range(24))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(DecodeError, match=f"^{length} bytes are too short for BFD$") as caught:
        packets.decode(GOOD[:length])
    assert caught.value.wrong is Wrong.TRUNCATED


def changed(at: int, value: int, more: bytes = b"") -> bytes:
    return GOOD[:at] + bytes([value]) + GOOD[at + 1 :] + more


SIGNED = 0xE0 | 4
ODD = [
    pytest.param(changed(0, 0x03), Wrong.VERSION, "version 0 is not BFD version 1", id="version 0"),
    pytest.param(changed(0, 0x43), Wrong.VERSION, "version 2 is not BFD version 1", id="version 2"),
    pytest.param(
        changed(3, 23),
        Wrong.LENGTH,
        "length 23 is not between 24 and the datagram's 24",
        id="length below the header",
    ),
    pytest.param(
        changed(3, 25),
        Wrong.LENGTH,
        "length 25 is not between 24 and the datagram's 24",
        id="length beyond the datagram",
    ),
    pytest.param(
        changed(1, SIGNED, b"\1\2"),
        Wrong.LENGTH,
        "length 24 is not between 26 and the datagram's 26",
        id="no room for authentication",
    ),
    pytest.param(changed(2, 0), Wrong.MULTIPLIER, "Detect Mult is zero", id="multiplier"),
    pytest.param(changed(1, 0xC1), Wrong.MULTIPOINT, "the Multipoint bit is set", id="multipoint"),
    pytest.param(
        GOOD[:4] + bytes(4) + GOOD[8:],
        Wrong.MY_DISCRIMINATOR,
        "My Discriminator is zero",
        id="my discriminator",
    ),
    pytest.param(
        GOOD[:8] + bytes(4) + GOOD[12:],
        Wrong.YOUR_DISCRIMINATOR,
        "Your Discriminator is zero in state UP",
        id="your discriminator, Up",
    ),
    pytest.param(
        PACKET._replace(state=State.INIT, your_discriminator=0).encode(),
        Wrong.YOUR_DISCRIMINATOR,
        "Your Discriminator is zero in state INIT",
        id="your discriminator, Init",
    ),
]


@pytest.mark.parametrize(("data", "wrong", "message"), ODD)
def test_odd_packets_are_refused_by_name(data: bytes, wrong: Wrong, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        packets.decode(data)
    assert (caught.value.wrong, str(caught.value)) == (wrong, message)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (1, "a simple password"),
        (2, "keyed MD5"),
        (5, "meticulous keyed SHA1"),
        (0, "a reserved type"),
        (9, "the unknown type 9"),
    ],
)
def test_authentication_is_refused_by_its_name(kind: int, name: str) -> None:
    data = changed(1, SIGNED, bytes([kind, 3, 1]))
    data = data[:3] + bytes([27]) + data[4:]
    with pytest.raises(DecodeError) as caught:
        packets.decode(data)
    expected = f"the packet is authenticated by {name}, which is not supported"
    assert (caught.value.wrong, str(caught.value)) == (Wrong.AUTHENTICATED, expected)


@pytest.mark.parametrize("state", [State.DOWN, State.ADMIN_DOWN])
def test_a_first_packet_knows_no_discriminator_of_ours(state: State) -> None:
    packet = PACKET._replace(state=state, your_discriminator=0)
    assert packets.decode(packet.encode()) == packet


def test_every_diagnostic_has_its_words() -> None:
    words = [packets.in_words(code) for code in range(32)]
    assert words[0] == "No Diagnostic"
    assert words[1] == "Control Detection Time Expired"
    assert words[8] == "Reverse Concatenated Path Down"
    assert words[9] == "reserved diagnostic 9"
    assert len(set(words)) == 32


def test_the_names_of_diagnostics_and_their_words_agree() -> None:
    for code in list(Diagnostic)[1:]:
        told = packets.in_words(code).lower().replace(" ", "_")
        assert code.name.lower().split("_")[0] in told
