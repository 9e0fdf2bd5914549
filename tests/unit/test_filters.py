"""The kernel's filters, run by a small interpreter of classic BPF."""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellmetal.addresses import IPNetwork
from bellmetal_layer2 import arp, beacon, filters, ndp
from bellmetal_layer2.arp import ArpFrame
from bellmetal_layer2.filters import Instruction

MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS, linux/bpf_common.h
MAC = bytes.fromhex("02000000000a")


def accepts(program: list[Instruction], packet: bytes) -> bool:
    """Runs a program as the kernel does; a load behind the end drops the packet."""
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20 | 0x28 | 0x30:
                form = {0x20: "!I", 0x28: "!H", 0x30: "!B"}[code]
                if operand + struct.calcsize(form) > len(packet):
                    return False
                (accumulator,) = struct.unpack_from(form, packet, operand)
            case 0x05:
                at += operand
            case 0x54:
                accumulator &= operand
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x06:
                return operand > 0
            case _:
                pytest.fail(f"unknown instruction {code:#x}")


def ip(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(text)


def says(sender: ipaddress.IPv4Address, operation: int = arp.REPLY) -> bytes:
    """Somebody's answer to another host."""
    other = ip("203.0.113.9")
    return ArpFrame(MAC, MAC, operation, MAC, sender, MAC, other).encode()


NOBODY = ip("0.0.0.0")


def asks(target: ipaddress.IPv4Address, operation: int = arp.REQUEST) -> bytes:
    return ArpFrame(arp.BROADCAST, MAC, operation, MAC, ip("192.0.2.1"), bytes(6), target).encode()


WANTED = [ip("192.0.2.10"), ip("192.0.2.11"), ip("198.51.100.7")]
REQUESTS = [
    pytest.param(asks(ip("192.0.2.10")), True, id="wanted"),
    pytest.param(asks(ip("192.0.2.11")), True, id="wanted, next to it"),
    pytest.param(asks(ip("198.51.100.7")), True, id="wanted, of another net"),
    pytest.param(asks(ip("192.0.2.9")), False, id="one below"),
    pytest.param(asks(ip("192.0.2.12")), False, id="one above"),
    pytest.param(asks(ip("192.0.2.10"), arp.REPLY), False, id="a reply to it"),
    pytest.param(asks(ip("192.0.2.10"), 3), False, id="reverse ARP"),
    pytest.param(says(ip("192.0.2.10")), True, id="a reply from it"),
    pytest.param(says(ip("192.0.2.11"), arp.REQUEST), True, id="a request from it"),
    pytest.param(says(ip("192.0.2.12")), False, id="a reply of one above"),
    pytest.param(says(ip("192.0.2.12"), arp.REQUEST), False, id="a request of one above"),
    pytest.param(
        arp.reply_to(arp.probe(ip("203.0.113.1"), MAC), MAC).encode(), True, id="a probe's answer"
    ),
    pytest.param(arp.probe(ip("192.0.2.10"), MAC).encode(), True, id="a probe"),
    pytest.param(arp.probe(ip("203.0.113.1"), MAC).encode(), False, id="a probe of another"),
    pytest.param(asks(ip("192.0.2.10"))[:30], False, id="truncated"),
]


@pytest.mark.parametrize(("frame", "passes"), REQUESTS)
def test_exactly_the_requests_for_the_addresses_pass(frame: bytes, passes: bool) -> None:
    assert accepts(filters.arp_about(WANTED), frame) is passes


def test_without_addresses_nothing_passes() -> None:
    assert not accepts(filters.arp_about([]), asks(WANTED[0]))


def test_a_whole_pool_is_few_instructions() -> None:
    pool = [ip("10.0.0.0") + n for n in range(4096)]
    assert len(filters.arp_about(pool)) == 8 + 2 * 4 + 1


def scattered(count: int) -> list[ipaddress.IPv4Address]:
    dice = random.Random(1)
    return [ipaddress.IPv4Address(dice.getrandbits(24) | 0x0A000000) for _ in range(count)]


@pytest.mark.parametrize("count", [254, 255, 256, 511, 1001, 3000])
def test_many_scattered_addresses_are_covered_within_the_kernels_limit(count: int) -> None:
    wanted = scattered(count)
    program = filters.arp_about(wanted)
    assert len(program) <= MOST_INSTRUCTIONS
    covered = filters.cover(wanted, filters.MAX_PREFIXES)
    for address in wanted[::17]:
        assert accepts(program, asks(address))
        assert accepts(program, says(address))
    assert all(any(address in prefix for prefix in covered) for address in wanted[::17])
    assert not accepts(program, asks(ip("192.0.2.10")))
    assert not accepts(program, says(ip("192.0.2.10")))


def size(prefixes: Iterable[IPNetwork]) -> int:
    return sum(prefix.num_addresses for prefix in prefixes)


def test_what_is_covered_beside_them_is_as_little_as_can_be() -> None:
    """Two that are near are joined; the one that is far stays alone."""
    wanted = [ip("10.0.0.1"), ip("10.0.0.2"), ip("10.200.0.1")]
    assert [str(p) for p in filters.cover(wanted, 2)] == ["10.0.0.0/30", "10.200.0.1/32"]


ADDRESSES = st.lists(st.integers(0, 255).map(lambda n: ip("192.0.2.0") + n), max_size=40)


@given(ADDRESSES)
def test_if_there_is_room_exactly_the_addresses_are_covered(
    wanted: list[ipaddress.IPv4Address],
) -> None:
    covered = filters.cover(wanted, 1000)
    assert sorted(a for prefix in covered for a in prefix) == sorted(set(wanted))
    assert covered == list(ipaddress.collapse_addresses(wanted))


@given(
    st.lists(st.integers(0, 2**32 - 1), max_size=30),
    st.lists(st.integers(0, 32), min_size=30, max_size=30),
    st.integers(1, 2**32 - 1),
)
def test_prefixes_of_all_lengths_let_through_what_they_contain(
    numbers: list[int], lengths: list[int], probe: int
) -> None:
    prefixes = [
        ipaddress.IPv4Network((n, length), strict=False)
        for n, length in zip(numbers, lengths, strict=False)
    ]
    program = [*filters._any_of(38, prefixes), (0x06, 0, 0, 0)]
    for target in [probe, *(n ^ 1 for n in numbers)]:
        address = ipaddress.IPv4Address(target)
        expected = any(address in prefix for prefix in prefixes)
        assert accepts(program, asks(address)) is expected


@given(ADDRESSES.filter(bool), st.integers(1, 5))
def test_never_more_prefixes_than_allowed_and_none_overlaps(
    wanted: list[ipaddress.IPv4Address], most: int
) -> None:
    covered = filters.cover(wanted, most)
    assert len(covered) <= most
    assert all(any(address in prefix for prefix in covered) for address in wanted)
    assert size(ipaddress.collapse_addresses(covered)) == size(covered)


# --- neighbour solicitations ----------------------------------------------------------------------

HOST6 = ipaddress.IPv6Address("fe80::1")


def ip6(text: str) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(text)


def solicits(target: ipaddress.IPv6Address) -> bytes:
    group = ndp.solicited_node(target)
    return ndp.Solicitation(ndp.group_mac(group), MAC, HOST6, group, target, MAC).encode()


def advertises(target: ipaddress.IPv6Address) -> bytes:
    return ndp.unsolicited(target, MAC).encode()


DECOY = 0xD_0000_000E
WANTED6 = [ip6("2001:db8::10"), ip6("2001:db8::11"), ip6("fd00:7::1:0:7")]
ASKED6 = solicits(WANTED6[0])
SOLICITATIONS = [
    pytest.param(ASKED6, True, id="wanted"),
    pytest.param(solicits(ip6("2001:db8::11")), True, id="wanted, next to it"),
    pytest.param(solicits(ip6("fd00:7::1:0:7")), True, id="wanted, of another net"),
    pytest.param(solicits(ip6("2001:db8::f")), False, id="one below"),
    pytest.param(solicits(ip6("2001:db8::12")), False, id="one above"),
    pytest.param(solicits(ip6("2001:db8:1::10")), False, id="another net, the same end"),
    pytest.param(advertises(WANTED6[0]), True, id="an advertisement"),
    pytest.param(advertises(ip6("2001:db8::12")), False, id="an advertisement of one above"),
    pytest.param(advertises(ip6("2001:db8:7::d:0:e")), True, id="… of the decoy, in any net"),
    pytest.param(advertises(ip6("2001:db8:7::d:0:f")), False, id="… of one above the decoy"),
    pytest.param(advertises(ip6("2001:db8:7::c:0:e")), False, id="… of another low word"),
    pytest.param(solicits(ip6("2001:db8:7::d:0:e")), False, id="who asks for the decoy"),
    pytest.param(ASKED6[:20] + b"\x11" + ASKED6[21:], False, id="UDP"),
    pytest.param(ASKED6[:70], False, id="truncated"),
    pytest.param(beacon.wrap(b"payload", MAC), False, id="a beacon"),
]


@pytest.mark.parametrize(("frame", "passes"), SOLICITATIONS)
def test_exactly_the_neighbours_about_the_addresses_pass(frame: bytes, passes: bool) -> None:
    assert accepts(filters.neighbours_about(WANTED6, DECOY), frame) is passes


@pytest.mark.parametrize("count", [0, 1, 400, 401, 5000])
@pytest.mark.parametrize("bits", [40, 64, 128])
def test_random_targets_are_covered_within_the_kernels_limit(count: int, bits: int) -> None:
    dice = random.Random(count + bits)
    net = int(ip6("2001:db8::"))
    wanted = [ipaddress.IPv6Address(net ^ dice.getrandbits(bits)) for _ in range(count)]
    program = filters.neighbours_about(wanted)
    assert len(program) <= MOST_INSTRUCTIONS
    assert all(accepts(program, solicits(address)) for address in wanted[::37])
    covered = filters.cover(wanted, filters.MAX_PREFIXES6)
    for _ in range(50):
        other = ipaddress.IPv6Address(net ^ dice.getrandbits(bits))
        expected = any(other in prefix for prefix in covered)
        assert accepts(program, solicits(other)) is expected


@given(st.integers(0, 128), st.integers(0, 2**128 - 1), st.integers(0, 127))
def test_a_prefix_of_any_length_lets_through_what_it_contains(
    length: int, number: int, bit: int
) -> None:
    prefix = ipaddress.IPv6Network((number, length), strict=False)
    program = [*filters._targets_in(prefix), (0x06, 0, 0, 0)]
    for target in (number, number ^ 1 << bit):
        address = ipaddress.IPv6Address(target)
        frame = bytes(62) + address.packed
        assert accepts(program, frame) is (address in prefix)


# --- beacons --------------------------------------------------------------------------------------

SIGN = beacon.wrap(b"payload", MAC)
FRAMES = [
    pytest.param(SIGN, True, id="a beacon"),
    pytest.param(SIGN[:20] + b"\x06" + SIGN[21:], False, id="TCP"),
    pytest.param(SIGN[:38] + b"\xfe\x80\x00\x00" + SIGN[42:], False, id="unicast"),
    pytest.param(SIGN[:56] + b"\x00\x35" + SIGN[58:], False, id="another port"),
    pytest.param(SIGN[:40], False, id="truncated"),
]


@pytest.mark.parametrize(("frame", "passes"), FRAMES)
def test_only_beacons_pass_the_beacons_filter(frame: bytes, passes: bool) -> None:
    assert accepts(filters.beacons(), frame) is passes
