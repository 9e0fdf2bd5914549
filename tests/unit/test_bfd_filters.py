"""The programs for the kernel, run by an interpreter."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal_bgp.bfd import filters
from bellmetal_bgp.bfd.filters import KNOWN, STRANGERS
from bellmetal_bgp.bfd.packets import Packet, State
from bpf import run

PEER, OTHER = "10.0.0.2", "10.0.0.3"
PEER6, OTHER6 = "fd00::1:0:2", "fd00::1:0:3"
UP = Packet(State.UP, 3, 9, 77, 50_000, 50_000).encode()


def header(source: str, ttl: int) -> bytes:
    """An IP header, as far as it is looked at."""
    address = ipaddress.ip_address(source)
    if address.version == 4:
        return bytes(8) + bytes([ttl]) + bytes(3) + address.packed + bytes(4)
    return bytes(7) + bytes([ttl]) + address.packed + bytes(16)


@pytest.mark.parametrize("peers", [[PEER], [OTHER, PEER], [PEER6], [PEER6, OTHER6]])
def test_only_peers_are_let_in(peers: list[str]) -> None:
    program = filters.sources([ipaddress.ip_address(peer).packed for peer in peers])
    for source in (
        (PEER, OTHER, "10.0.0.4", "0.0.0.2")
        if "." in peers[0]
        else (
            PEER6,
            OTHER6,
            "fd00::2:0:2",
            "fd01::1:0:2",
            "fe80::1:0:2",
        )
    ):
        assert bool(run(program, header(source, 255), UP)) is (source in peers)


@pytest.mark.parametrize(
    ("source", "one_hop", "ttl", "data", "queue"),
    [
        (PEER, True, 255, UP, KNOWN),
        (PEER6, True, 255, UP, KNOWN),
        (PEER, True, 254, UP, STRANGERS),
        (PEER6, True, 64, UP, STRANGERS),
        (PEER, False, 64, UP, KNOWN),
        (PEER, True, 255, b"\x40" + UP[1:], STRANGERS),
        (PEER, True, 255, UP[:11] + b"\x4e" + UP[12:], STRANGERS),
        (PEER, True, 255, UP[:8] + bytes(4) + UP[12:], STRANGERS),
        *((PEER, True, 255, UP[:length], STRANGERS) for length in range(12)),
    ],
)
def test_who_knows_a_discriminator_has_a_queue_of_its_own(
    source: str, one_hop: bool, ttl: int, data: bytes, queue: int
) -> None:
    length = len(ipaddress.ip_address(source).packed)
    program = filters.queues([5, 77, 2**32 - 1], length, one_hop)
    assert run(program, header(source, ttl), data) == queue


def test_a_thousand_sessions_are_not_too_many_for_a_program() -> None:
    assert len(filters.queues(range(1, 1001), 4, True)) // 8 < 4096  # BPF_MAXINSNS
