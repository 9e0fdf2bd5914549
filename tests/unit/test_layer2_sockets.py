"""Packet sockets: which frames are a link's own. What they do on a wire is in the lab's tests."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from bellmetal_layer2 import filters
from bellmetal_layer2.sockets import FRAMES_INTERFACE, FRAMES_KIND, own

MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS, linux/bpf_common.h
ETH0, VLAN = 2, 7
FRAMES = [
    pytest.param(ETH0, socket.PACKET_HOST, True, id="to us"),
    pytest.param(ETH0, socket.PACKET_BROADCAST, True, id="to everybody"),
    pytest.param(ETH0, socket.PACKET_MULTICAST, True, id="to a group"),
    pytest.param(ETH0, socket.PACKET_OUTGOING, False, id="what we sent"),
    pytest.param(ETH0, socket.PACKET_OTHERHOST, False, id="of a VLAN without an interface"),
    pytest.param(VLAN, socket.PACKET_BROADCAST, False, id="of a VLAN with one"),
]


@pytest.mark.parametrize(("came_by", "kind", "ours"), FRAMES)
def test_what_a_link_is_asked(came_by: int, kind: int, ours: bool) -> None:
    """Runs the program as the kernel does; whoever gets behind its end is let in."""
    known = {FRAMES_KIND: kind, FRAMES_INTERFACE: came_by}
    program, at, accumulator = own(ETH0), 0, 0
    while at < len(program):
        code, if_true, if_false, operand = program[at]
        at += 1
        if code == 0x20:
            accumulator = known[operand]
        elif code == 0x15:
            at += if_true if accumulator == operand else if_false
        else:
            assert (code, operand) == (0x06, 0)
            assert not ours
            return
    assert at == len(program)
    assert ours


def test_the_longest_filters_fit_behind_it() -> None:
    far_apart = [ipaddress.IPv4Address(number << 12) for number in range(2000)]
    far_apart6 = [ipaddress.IPv6Address(number << 64 | 1) for number in range(2000)]
    for program in (filters.arp_about(far_apart), filters.neighbours_about(far_apart6)):
        assert len(own(ETH0)) + len(program) <= MOST_INSTRUCTIONS
