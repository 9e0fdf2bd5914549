from __future__ import annotations

import ipaddress
import random

import pytest
from scapy.layers.inet import IP, UDP

from bellmetal_bgp.bfd import echo, filters, packets
from bellmetal_bgp.bfd.echo import PATIENCE, Echo, Payload
from bellmetal_bgp.bfd.packets import Diagnostic, Packet, State
from bellmetal_bgp.bfd.session import Down, Send, Session, Timers
from bpf import run

LOCAL = ipaddress.ip_address("10.0.0.1").packed
PAYLOAD = Payload(7, 8, 2**64 - 1)


def test_what_is_encoded_decodes() -> None:
    assert echo.decode(echo.encode(PAYLOAD, LOCAL)) == PAYLOAD


def test_scapy_reads_a_packet_from_ourselves_to_ourselves() -> None:
    built = IP(echo.encode(PAYLOAD, LOCAL))
    assert (built.src, built.dst, built.ttl, built.proto) == ("10.0.0.1", "10.0.0.1", 255, 17)
    assert (built[UDP].sport, built[UDP].dport) == (3785, 3785)
    said = built[UDP].chksum
    del built[UDP].chksum
    assert IP(bytes(built))[UDP].chksum == said


def test_the_kernel_lets_in_what_returns_and_nothing_else() -> None:
    program, packet = filters.echoes(echo.PORT), echo.encode(PAYLOAD, LOCAL)
    assert run(program, b"", packet)
    assert not run(program, b"", packet[:15] + b"\2" + packet[16:])
    assert not run(program, b"", packet[:22] + b"\0\0" + packet[24:])
    assert not run(program, b"", packet[:9] + b"\6" + packet[10:])


@pytest.mark.parametrize("length", range(52))
def test_no_truncation_is_an_echo(length: int) -> None:
    assert echo.decode(echo.encode(PAYLOAD, LOCAL)[:length]) is None


def test_nothing_fails_before_one_has_returned() -> None:
    it = Echo(7, random.Random(1))
    it.run(50_000, 3, 0.0)
    sent = 0
    for step in range(400):
        sent += it.tick(step * 0.05) is not None
    assert it.failed_at is None
    assert it.unanswered
    assert PATIENCE < sent < 50  # from then on once a second


def test_too_many_that_do_not_return_are_a_failure() -> None:
    it = Echo(7, random.Random(1))
    it.run(50_000, 3, 0.0)
    payload = it.tick(0.0)
    assert payload is not None
    assert it.receive(payload, 0.001)
    assert it.failed_at == pytest.approx(0.151)
    assert it.deadline() == pytest.approx(0.05, abs=0.013)


def test_only_what_was_sent_counts_and_only_once() -> None:
    it = Echo(7, random.Random(1))
    it.run(50_000, 3, 0.0)
    first, second = it.tick(0.0), it.tick(0.05)
    assert first is not None
    assert second is not None
    for odd in (
        first._replace(nonce=first.nonce ^ 1),
        first._replace(discriminator=8),
        first._replace(sequence=3),
        first._replace(sequence=0),
    ):
        assert not it.receive(odd, 0.06)
    assert it.receive(second, 0.06)
    assert not it.receive(second, 0.07)
    assert not it.receive(first, 0.07)
    it.run(0, 3, 0.1)
    assert (it.proven, it.deadline(), it.tick(9.0)) == (False, None, None)
    it.run(50_000, 3, 0.2)
    assert not it.receive(second, 0.3)


def up(timers: Timers, echo_rx_us: int) -> Session:
    it = Session(1, timers, random.Random(1), 0.0)
    for state in (State.DOWN, State.INIT, State.UP):
        it.receive(Packet(state, 3, 2, 1, 50_000, 50_000, echo_rx_us, final=True), 0.0)
    return it


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(0, 50, 0), (50, 0, 0), (50, 50, 50), (50, 200, 200), (200, 50, 200)],
)
def test_the_pace_of_echoes_is_the_slower_of_both(ours: int, theirs: int, expected: int) -> None:
    timers = Timers(50_000, 50_000, 3, echo_us=ours * 1000)
    assert up(timers, theirs * 1000).echo_us == expected * 1000


def test_echoes_that_return_make_other_packets_rare() -> None:
    it = up(Timers(50_000, 50_000, 3, echo_us=50_000), 50_000)
    assert it.detect_us == 150_000
    assert it.echoing(True, 1.0)
    assert it.detect_us == 3_000_000
    assert it.echoing(True, 1.0) == []
    answer = Packet(State.UP, 3, 2, 1, 50_000, 50_000, 0, final=True)
    it.receive(answer, 1.0)
    it.echoing(False, 2.0)
    assert it.detect_us == 3_000_000  # until the peer has heard of it
    it.receive(answer, 2.0)
    assert it.detect_us == 150_000


def test_a_failed_echo_takes_it_down_and_says_so() -> None:
    it = up(Timers(50_000, 50_000, 3, echo_us=50_000), 50_000)
    assert it.fail(Diagnostic.ECHO_FAILED, 1.0)[0] == Down(Diagnostic.ECHO_FAILED)
    assert (it.state, it.diagnostic) == (State.DOWN, Diagnostic.ECHO_FAILED)
    assert it.fail(Diagnostic.ECHO_FAILED, 1.0) == []


def test_we_loop_nothing_back_and_say_so() -> None:
    it = Session(1, Timers(echo_us=50_000), random.Random(1), 0.0)
    (effect,) = it.tick(0.0)
    assert isinstance(effect, Send)
    assert packets.decode(effect.data).required_min_echo_rx_us == 0
