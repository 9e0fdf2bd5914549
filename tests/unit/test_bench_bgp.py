"""What the benchmarks of BGP make of what they saw: frames, files of routes, counts."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network

import pytest

from bench import mrt
from bench.bgp_routes import most_mentioned
from bench.bgp_table import ROUTES, routes
from bench.bgp_wire import Update, updates
from lab.capture import Frame
from lab.errors import LabError

ROUTER, NODE = ("10.0.0.1", 179), ("10.0.0.2", 40000)
SYN, ACK = 0x02, 0x10
KEEPALIVE = b"\xff" * 16 + b"\x00\x13\x04"


def frame(
    at: float, data: bytes, sequence: int = 1, source=NODE, target=ROUTER, flags: int = ACK
) -> Frame:
    """An Ethernet frame with a TCP segment."""
    tcp = struct.pack("!HHIIBBHHH", source[1], target[1], sequence, 0, 5 << 4, flags, 0, 0, 0)
    length = 20 + len(tcp) + len(data)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, 6, 0)
    ip += IPv4Address(source[0]).packed + IPv4Address(target[0]).packed
    return Frame(at, bytes(12) + b"\x08\x00" + ip + tcp + data)


def update(announced: tuple[str, ...] = (), withdrawn: tuple[str, ...] = ()) -> bytes:
    """An UPDATE with ORIGIN alone, by hand (RFC 4271, section 4.3)."""

    def listed(prefixes: tuple[str, ...]) -> bytes:
        networks = [IPv4Network(text) for text in prefixes]
        return b"".join(
            bytes([n.prefixlen]) + n.network_address.packed[: (n.prefixlen + 7) // 8]
            for n in networks
        )

    gone, said = listed(withdrawn), b"\x40\x01\x01\x00" if announced else b""
    body = struct.pack("!H", len(gone)) + gone + struct.pack("!H", len(said)) + said
    body += listed(announced)
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), 2) + body


ONE, TWO = update(("198.51.100.1/32", "10.0.0.0/9")), update((), ("198.51.100.1/32",))
ENDS = (NODE[0], ROUTER[0])
FIRST, SECOND = ("198.51.100.1/32", "10.0.0.0/9"), ("198.51.100.1/32",)


def told(first: tuple[float, float], second: tuple[float, float]) -> list[Update]:
    return [Update(*first, *ENDS, announced=FIRST), Update(*second, *ENDS, withdrawn=SECOND)]


def test_messages_of_one_segment() -> None:
    assert updates([frame(1.0, ONE + KEEPALIVE + TWO)]) == told((1, 1), (1, 1))


def test_a_message_begins_with_its_first_byte_and_ends_with_its_last() -> None:
    both = ONE + TWO
    cut = len(ONE) + 5
    frames = [frame(1.0, both[:3], 1), frame(2.0, both[3:cut], 4), frame(3.0, both[cut:], 1 + cut)]
    assert updates(frames) == told((1, 2), (2, 3))


def test_what_comes_twice_or_too_early_counts_once() -> None:
    both = ONE + TWO
    cut = len(ONE) + 5
    frames = [
        frame(1.0, both[cut:], 1 + cut),
        frame(1.5, both[:cut], 1),
        frame(1.6, both[2:cut], 3),
        frame(1.7, both, 1),
    ]
    opening = frame(0.5, b"", 0, flags=SYN)
    assert updates([opening, *frames]) == told((1.5, 1.5), (1.5, 1.5))


def test_sequence_numbers_begin_again_at_zero() -> None:
    start = 2**32 - 4
    opening = frame(0.5, b"", start - 1, flags=SYN)
    frames = [frame(1.0, ONE[:10], start), frame(2.0, ONE[10:] + TWO, 6)]
    assert updates([opening, *frames]) == told((1, 2), (2, 2))


def test_a_new_connection_begins_anew() -> None:
    half = frame(1.0, ONE[:-1], 1)
    opening = frame(2.0, b"", 99, flags=SYN)
    assert updates([half, opening, frame(3.0, ONE + TWO, 100)]) == told((3, 3), (3, 3))


def test_both_directions_are_told_apart() -> None:
    there, back = frame(1.0, ONE), frame(1.0, ONE, source=ROUTER, target=NODE)
    assert [(u.source, u.target) for u in updates([there, back])] == [ENDS, ENDS[::-1]]


@pytest.mark.parametrize(
    "data", [b"", bytes(60), frame(1.0, ONE, target=("10.0.0.1", 80)).data], ids=str
)
def test_other_frames_are_nothing(data: bytes) -> None:
    assert updates([Frame(1.0, data)]) == []


def test_an_end_of_rib_has_no_prefixes() -> None:
    assert [item.prefixes for item in updates([frame(1.0, update())])] == [()]


def test_a_frame_that_was_cut_off_is_no_measurement() -> None:
    whole = frame(1.0, ONE)
    with pytest.raises(LabError, match=r"has kept 60 bytes of a frame of \d+"):
        updates([Frame(1.0, whole.data[:60])])


def test_how_often_one_node_told_one_router_of_a_prefix() -> None:
    rows = [
        Update(1, 1, "n1", "r1", announced=("a", "b")),
        Update(2, 2, "n1", "r1", withdrawn=("a",)),
        Update(2, 2, "n1", "r2", withdrawn=("a",)),
        Update(2, 2, "n2", "r1", announced=("a",)),
    ]
    assert most_mentioned(rows) == 2
    assert most_mentioned([]) == 0


# --- routes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sets", "distinct"), [(1, 1), (100, 100)])
def test_routes_of_a_table(sets: int, distinct: int) -> None:
    told = list(routes(sets))
    assert len({prefix for prefix, _ in told}) == ROUTES
    assert len({tuple(said) for _, said in told}) == distinct


def test_a_file_of_routes() -> None:
    """RFC 6396, sections 2, 4.3.1, 4.3.2, by hand."""
    text = mrt.dump(64512, "10.0.0.2", [("198.51.100.1/32", ["65000:7"]), ("10.0.0.0/9", [])])
    index = "0a000002 0000 0001 02 0a000002 0a000002 0000fc00"
    said = "40010100 400200 4003040a000002"
    first = "00000000 20c6336401 0001 0000 00000000 0015 40010100 400200 4003040a000002"
    second = f"00000001 090a00 0001 0000 00000000 000e {said}"
    records = [(1, index), (2, f"{first} c00804fde80007"), (2, second)]
    wanted = b""
    for kind, body in records:
        data = bytes.fromhex(body)
        wanted += struct.pack("!IHHI", 0, 13, kind, len(data)) + data
    assert text == wanted
