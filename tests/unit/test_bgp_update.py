"""UPDATE messages: packed for sending, counted when they come in."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal_bgp import update as updates
from bellmetal_bgp.attributes import PathAttributes, encode
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import Decoding, Update, decode
from bellmetal_bgp.prefixes import encode_prefix
from bgp_bytes import AS_PATH, NEXT_HOP, ORIGIN, PATH, SIX, A, B, number, reach, unreach, update

BOTH = Decoding(asn4=True, extended=True, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))
EXTERNAL = encode(PathAttributes((65001,)), asn4=True)
HOP, HOP6 = b"\xc0\0\2\1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\1"
TAIL = encode(PathAttributes((65001,), communities=((65001, 1),), med=7), asn4=True)

HOSTS = [encode_prefix(ipaddress.ip_network((0x0A000000 + n, 32))) for n in range(10_000)]
HOSTS6 = [encode_prefix(ipaddress.ip_network(((0x20010DB8 << 96) + n, 128))) for n in range(10_000)]


def counts(messages: list[bytes]) -> tuple[int, int]:
    """How many are announced and withdrawn, in all."""
    got = [decode(raw, BOTH) for raw in messages]
    assert all(isinstance(item, Update) and not item.treat_as_withdraw for item in got)
    announced = sum(sum(item.announced.values()) for item in got if isinstance(item, Update))
    return announced, sum(sum(item.withdrawn.values()) for item in got if isinstance(item, Update))


def test_ipv4_is_announced_in_the_classic_field() -> None:
    assert updates.announcements(IPV4_UNICAST, EXTERNAL, HOP, [A, B]) == [update(b"", PATH, A + B)]


def test_next_hop_stands_between_what_is_below_and_above() -> None:
    (raw,) = updates.announcements(IPV4_UNICAST, TAIL, HOP, [A])
    assert decode(raw, BOTH) == Update({IPV4_UNICAST: 1}, {}, (1, 2, 3, 4, 8))


def test_ipv6_is_announced_in_mp_reach_first_of_all() -> None:
    (raw,) = updates.announcements(IPV6_UNICAST, EXTERNAL, HOP6, [SIX])
    short = reach(SIX, HOP6)
    assert raw == update(b"", b"\x80\x0e" + short[3:] + ORIGIN + AS_PATH)


@pytest.mark.parametrize("hop", [HOP6, HOP6 + b"\xfe\x80" + bytes(13) + b"\1"])
def test_ipv4_with_a_next_hop_of_ipv6(hop: bytes) -> None:
    """RFC 8950."""
    (raw,) = updates.announcements(IPV4_UNICAST, EXTERNAL, hop, [A, B])
    said = reach(A + B, hop, (1, 1))
    assert raw == update(b"", b"\x80\x0e" + said[3:] + ORIGIN + AS_PATH)
    assert decode(raw, BOTH) == Update({IPV4_UNICAST: 2}, {}, (14, 1, 2))


def test_withdrawals() -> None:
    assert updates.withdrawals(IPV4_UNICAST, [A, B]) == [update(A + B)]
    assert updates.withdrawals(IPV6_UNICAST, [SIX]) == [update(b"", b"\x80\x0f" + unreach(SIX)[3:])]


def test_nothing_is_no_message() -> None:
    assert updates.withdrawals(IPV4_UNICAST, []) == []
    assert updates.withdrawals(IPV6_UNICAST, iter(())) == []
    assert updates.announcements(IPV4_UNICAST, EXTERNAL, HOP, []) == []
    assert updates.announcements(IPV6_UNICAST, EXTERNAL, HOP6, []) == []


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
def test_end_of_rib(family: Family) -> None:
    got = decode(updates.end_of_rib(family), BOTH)
    assert isinstance(got, Update)
    assert got.end_of_rib == family
    assert (got.announced, got.withdrawn) == ({}, {})


MARKERS = [
    ("empty", update(), IPV4_UNICAST),
    ("MP_UNREACH_NLRI for IPv4", update(b"", unreach(b"", (1, 1))), IPV4_UNICAST),
    ("MP_UNREACH_NLRI for IPv6", update(b"", unreach(b"")), IPV6_UNICAST),
    ("of a family of others", update(b"", unreach(b"", (25, 70))), Family(25, 70)),
    ("with an attribute", update(b"", unreach(b"") + ORIGIN), None),
    ("with withdrawn routes", update(A, unreach(b"")), None),
    ("that withdraws", update(b"", unreach()), None),
    ("that announces", update(b"", unreach(b"") + PATH, A), None),
    ("withdrawn routes", update(A), None),
]


@pytest.mark.parametrize(("raw", "family"), [row[1:] for row in MARKERS],
                         ids=[row[0] for row in MARKERS])  # fmt: skip
def test_what_is_an_end_of_rib(raw: bytes, family: Family | None) -> None:
    got = decode(raw, BOTH)
    assert isinstance(got, Update)
    assert got.end_of_rib == family


PACKED = [
    # 4,096 - 23 - 21 octets of attributes, five octets a prefix
    ("IPv4", IPV4_UNICAST, HOP, HOSTS, 4096, -(-10_000 // 810)),
    ("IPv4, extended", IPV4_UNICAST, HOP, HOSTS, 65535, 1),
    # 4,096 - 23 - 14 - 25 octets, 17 a prefix
    ("IPv6", IPV6_UNICAST, HOP6, HOSTS6, 4096, -(-10_000 // 237)),
    ("IPv6, extended", IPV6_UNICAST, HOP6, HOSTS6, 65535, -(-10_000 // 3851)),
]


@pytest.mark.parametrize(
    ("family", "hop", "nlri", "limit", "messages"),
    [row[1:] for row in PACKED],
    ids=[r[0] for r in PACKED],
)
def test_ten_thousand_routes_are_packed_tightly(
    family: Family, hop: bytes, nlri: list[bytes], limit: int, messages: int
) -> None:
    said = updates.announcements(family, EXTERNAL, hop, nlri, limit)
    assert len(said) == messages
    assert max(map(len, said)) <= limit
    assert counts(said) == (10_000, 0)
    gone = updates.withdrawals(family, nlri, limit)
    assert max(map(len, gone)) <= limit
    assert counts(gone) == (0, 10_000)
    assert len(gone) <= messages


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
@pytest.mark.parametrize("limit", range(100, 140))
def test_a_message_is_filled_to_the_last_octet_that_is_of_use(family: Family, limit: int) -> None:
    hop, nlri = (HOP, HOSTS[:40]) if family == IPV4_UNICAST else (HOP6, HOSTS6[:40])
    extra = 1 if family == IPV6_UNICAST else 0  # a length of two octets is allowed for
    for said in (
        updates.announcements(family, EXTERNAL, hop, nlri, limit),
        updates.withdrawals(family, nlri, limit),
    ):
        *full, _ = map(len, said)
        assert full
        assert all(limit - len(nlri[0]) - extra < length <= limit for length in full)
        assert sum(counts(said)) == 40


def test_a_path_that_leaves_no_room_is_refused() -> None:
    path = encode(PathAttributes(communities=tuple((1, n) for n in range(1015))), asn4=True)
    with pytest.raises(ValueError, match="the attributes leave 0 octets for prefixes"):
        updates.announcements(IPV4_UNICAST, path, HOP, [A])
    assert len(updates.announcements(IPV4_UNICAST, path, HOP, [A], 65535)) == 1


def test_a_path_that_leaves_room_for_one_prefix() -> None:
    said = PathAttributes(med=1, local_pref=1, communities=tuple((1, n) for n in range(1009)))
    messages = updates.announcements(IPV4_UNICAST, encode(said, asn4=True), HOP, [A, A])
    assert [len(raw) for raw in messages] == [4096, 4096]
    assert counts(messages) == (2, 0)


def test_path_ids_are_counted() -> None:
    nlri = [encode_prefix(ipaddress.ip_network("10.0.0.1/32"), n) for n in range(3)]
    (raw,) = updates.announcements(IPV4_UNICAST, EXTERNAL, HOP, nlri)
    add_path = Decoding(asn4=True, add_path=frozenset({IPV4_UNICAST}))
    assert decode(raw, add_path) == Update({IPV4_UNICAST: 3}, {}, (1, 2, 3))


def test_everything_at_once_is_counted_by_family() -> None:
    path = reach(SIX * 3) + unreach(SIX * 2) + PATH
    assert decode(update(A, path, A + B), BOTH) == Update(
        {IPV4_UNICAST: 2, IPV6_UNICAST: 3}, {IPV4_UNICAST: 1, IPV6_UNICAST: 2}, (14, 15, 1, 2, 3)
    )
    both_ways = reach(A, HOP, (1, 1)) + unreach(A, (1, 1)) + PATH
    assert decode(update(A, both_ways, B), BOTH) == Update(
        {IPV4_UNICAST: 2}, {IPV4_UNICAST: 2}, (14, 15, 1, 2, 3)
    )


def test_what_is_treated_as_withdrawn_counts_as_withdrawn() -> None:
    path = reach(SIX) + ORIGIN + NEXT_HOP
    assert decode(update(A, path, A + B), BOTH) == Update(
        {}, {IPV4_UNICAST: 3, IPV6_UNICAST: 1}, (14, 1, 3), None, "AS_PATH is missing"
    )


def test_a_long_message_of_junk_makes_few_words() -> None:
    """What is said of a message does not grow with it."""
    many = b"\x80\x63\0" * 20_000
    got = decode(update(b"", PATH + many, A), BOTH)
    assert isinstance(got, Update)
    assert (len(got.discarded), len(got.attributes)) == (1, 4)
    assert number(len(many), 2)
