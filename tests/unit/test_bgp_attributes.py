"""Path attributes: those that we send, and what RFC 7606 makes of those that come in."""

from __future__ import annotations

import pytest

from bellmetal_bgp import attributes
from bellmetal_bgp.attributes import EncodedPath, Origin, PathAttributes
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST
from bellmetal_bgp.messages import DecodeError, Decoding, Notification, Update, decode
from bgp_bytes import (
    AS_PATH,
    LOCAL_PREF,
    MED,
    NEXT_HOP,
    ORIGIN,
    PATH,
    A,
    attribute,
    counted,
    number,
    reach,
    unreach,
    update,
)

# --- sending -------------------------------------------------------------------------------------

BIG = 4200000000
FIRST = "40010100"  # ORIGIN IGP
SENT = [
    (PathAttributes(), True, FIRST + "400200", ""),
    (PathAttributes((65001,)), True, FIRST + "4002060201" "0000fde9", ""),
    (PathAttributes((65001,)), False, FIRST + "4002040201" "fde9", ""),
    (PathAttributes((65001, BIG)), True, FIRST + "40020a0202" "0000fde9" "fa56ea00", ""),
    (PathAttributes((65001, BIG)), False, FIRST + "4002060202" "fde9" "5ba0",
     "c0110a0202" "0000fde9" "fa56ea00"),
    (PathAttributes(origin=Origin.INCOMPLETE), True, "40010102" "400200", ""),
    (PathAttributes(med=0), True, FIRST + "400200", "800404" "00000000"),
    (PathAttributes(local_pref=2**32 - 1), True, FIRST + "400200", "400504" "ffffffff"),
    (PathAttributes(communities=((65535, 0), (1, 2), (1, 2))), True, FIRST + "400200",
     "c00808" "00010002" "ffff0000"),
    (PathAttributes(large_communities=((BIG, 1, 2),)), True, FIRST + "400200",
     "c0200c" "fa56ea00" "00000001" "00000002"),
    (PathAttributes(extended_communities=(bytes(range(8)),)), True, FIRST + "400200",
     "c01008" "0001020304050607"),
    (PathAttributes((BIG,), Origin.EGP, 1, 2, ((3, 4),), (bytes(8),), ((5, 6, 7),)), False,
     "40010101" "4002040201" "5ba0",
     "800404" "00000001" "400504" "00000002" "c00804" "00030004" "c01008" "0000000000000000"
     "c011060201" "fa56ea00" "c0200c" "000000050000000600000007"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "asn4", "head", "tail"), SENT)
def test_what_we_send(path: PathAttributes, asn4: bool, head: str, tail: str) -> None:
    said = attributes.encode(path, asn4)
    assert said == EncodedPath(bytes.fromhex(head), bytes.fromhex(tail))


def test_lengths_above_255_have_two_octets() -> None:
    for count, head in ((63, "c008fc"), (64, "d0080100")):
        said = attributes.encode(
            PathAttributes(communities=tuple((1, n) for n in range(count))), True
        )
        assert said.tail.hex().startswith(head + "00010000")
        assert len(said.tail) == count * 4 + len(head) // 2


def test_a_long_path_has_several_segments() -> None:
    path = attributes.encode(PathAttributes((1,) * 256), asn4=False).head
    assert path[4:] == bytes.fromhex("50020204") + b"\2\xff" + b"\0\1" * 255 + b"\2\1\0\1"
    got = decode(update(b"", path + NEXT_HOP, A))
    assert got == Update({IPV4_UNICAST: 1}, {}, (1, 2, 3))


# --- receiving -----------------------------------------------------------------------------------

EBGP4 = Decoding(asn4=True, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))
IBGP4 = Decoding(asn4=True, ibgp=True, families=EBGP4.families)
EBGP2 = Decoding(asn4=False, families=EBGP4.families)


def judged(path: bytes, negotiated: Decoding, nlri: bytes = A) -> Update:
    got = decode(update(b"", path, nlri), negotiated)
    assert isinstance(got, Update)
    return got


def reset(path: bytes, negotiated: Decoding = EBGP4, nlri: bytes = A) -> Notification:
    with pytest.raises(DecodeError) as caught:
        judged(path, negotiated, nlri)
    assert str(caught.value).startswith("UPDATE: ")
    return caught.value.notification


def mandatory(changed: bytes) -> bytes:
    """Those that must be there, one of them as it is given."""
    right = {item[1]: item for item in (ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF)}
    return b"".join((right | {changed[1]: changed}).values())


SEGMENT = b"\2\1" + number(65001, 4)
SEGMENT2 = b"\2\1" + number(65001, 2)
FINE = [
    ("ORIGIN IGP", EBGP4, attribute(0x40, 1, b"\0")),
    ("ORIGIN incomplete", EBGP4, attribute(0x40, 1, b"\2")),
    ("extended length without need", EBGP4, attribute(0x50, 1, b"\0")),
    ("partial bit, well-known", EBGP4, attribute(0x60, 1, b"\0")),
    ("reserved flags", EBGP4, attribute(0x4F, 1, b"\0")),
    ("AS_PATH empty", IBGP4, attribute(0x40, 2, b"")),
    ("AS_SET", EBGP4, attribute(0x40, 2, b"\1\1" + number(1, 4) + SEGMENT)),
    ("AS_PATH of two octets", EBGP2, attribute(0x40, 2, SEGMENT2)),
    ("confederation inside", IBGP4, attribute(0x40, 2, b"\3\1" + number(1, 4))),
    ("confederation's set inside", IBGP4, attribute(0x40, 2, b"\4\1" + number(1, 4))),
    ("zeros across two numbers", EBGP4, attribute(0x40, 2, b"\2\2\1\0\0\0\0\0\0\1")),
    ("NEXT_HOP below multicast", EBGP4, attribute(0x40, 3, b"\xdf\xff\xff\xff")),
    ("NEXT_HOP above multicast", EBGP4, attribute(0x40, 3, b"\xf0\0\0\1")),
    ("MED", EBGP4, MED),
    ("ATOMIC_AGGREGATE", EBGP4, attribute(0x40, 6, b"")),
    ("ATOMIC_AGGREGATE with a long length", EBGP4, attribute(0x50, 6, b"")),
    ("AGGREGATOR", EBGP4, attribute(0xC0, 7, number(1, 4) + bytes(4))),
    ("AGGREGATOR of two octets", EBGP2, attribute(0xC0, 7, number(1, 2) + bytes(4))),
    ("COMMUNITIES", EBGP4, attribute(0xC0, 8, bytes(8))),
    ("COMMUNITIES, partial", EBGP4, attribute(0xE0, 8, bytes(8))),
    ("ORIGINATOR_ID", IBGP4, attribute(0x80, 9, bytes(4))),
    ("CLUSTER_LIST", IBGP4, attribute(0x80, 10, bytes(8))),
    ("EXTENDED_COMMUNITIES", EBGP4, attribute(0xC0, 16, bytes(16))),
    ("AS4_PATH", EBGP2, attribute(0xC0, 17, SEGMENT)),
    ("AS4_PATH with a confederation", EBGP2, attribute(0xC0, 17, b"\3\1" + number(1, 4))),
    ("AS4_AGGREGATOR", EBGP2, attribute(0xC0, 18, number(1, 4) + bytes(4))),
    ("IPV6_EXTENDED_COMMUNITIES", EBGP4, attribute(0xC0, 25, bytes(20))),
    ("LARGE_COMMUNITIES", EBGP4, attribute(0xC0, 32, bytes(24))),
    ("unknown, optional", EBGP4, attribute(0x80, 99, b"abc")),
    ("unknown, optional and transitive", EBGP4, attribute(0xC0, 99, b"")),
]


@pytest.mark.parametrize(
    ("negotiated", "item"), [row[1:] for row in FINE], ids=[r[0] for r in FINE]
)
def test_what_is_fine(negotiated: Decoding, item: bytes) -> None:
    path = mandatory(item) if negotiated.ibgp or item[1] != 2 else ORIGIN + item + NEXT_HOP
    if not negotiated.ibgp:
        path = path.replace(LOCAL_PREF, b"")
    if not negotiated.asn4 and item[1] != 2:
        path = path.replace(AS_PATH, attribute(0x40, 2, SEGMENT2))
    got = judged(path, negotiated)
    assert (got.announced, got.withdrawn) == ({IPV4_UNICAST: 1}, {})
    assert (got.treat_as_withdraw, got.discarded) == ("", ())
    assert item[1] in got.attributes


E4, E5 = 4, 5  # subcodes: attribute flags, attribute length
WITHDRAWN = [
    ("ORIGIN optional", attribute(0xC0, 1, b"\0"), "ORIGIN: flags 0xc0", E4),
    ("ORIGIN not transitive", attribute(0x00, 1, b"\0"), "ORIGIN: flags 0x00", E4),
    ("ORIGIN empty", attribute(0x40, 1, b""), "ORIGIN: 0 octets", E5),
    ("ORIGIN long", attribute(0x40, 1, b"\0\0"), "ORIGIN: 2 octets", E5),
    ("ORIGIN 3", attribute(0x40, 1, b"\3"), "ORIGIN: value 3", 6),
    ("AS_PATH optional", attribute(0xC0, 2, SEGMENT), "AS_PATH: flags 0xc0", E4),
    ("AS_PATH type 0", attribute(0x40, 2, b"\0\1" + bytes(4)), "AS_PATH: segment of type 0", 11),
    ("AS_PATH type 3", attribute(0x40, 2, b"\3\1" + bytes(4)), "AS_PATH: segment of type 3", 11),
    ("AS_PATH type 5", attribute(0x40, 2, b"\5\1" + bytes(4)), "AS_PATH: segment of type 5", 11),
    ("AS_PATH empty segment", attribute(0x40, 2, b"\2\0"), "AS_PATH: empty segment", 11),
    ("AS_PATH type alone", attribute(0x40, 2, SEGMENT + b"\2"), "AS_PATH: empty segment", 11),
    ("AS_PATH overrun", attribute(0x40, 2, b"\2\2" + SEGMENT[2:]),
     "AS_PATH: a segment goes beyond the end", 11),
    ("AS_PATH underrun", attribute(0x40, 2, SEGMENT + b"\0"), "AS_PATH: segment of type 0", 11),
    ("AS_PATH with AS 0", attribute(0x40, 2, b"\2\2" + SEGMENT[2:] + bytes(4)),
     "AS_PATH: AS number 0", 11),
    ("NEXT_HOP optional", attribute(0xC0, 3, NEXT_HOP[3:]), "NEXT_HOP: flags 0xc0", E4),
    ("NEXT_HOP short", attribute(0x40, 3, b"\1\2\3"), "NEXT_HOP: 3 octets", E5),
    ("NEXT_HOP of IPv6", attribute(0x40, 3, bytes(16)), "NEXT_HOP: 16 octets", E5),
    ("NEXT_HOP 0.0.0.0", attribute(0x40, 3, bytes(4)),
     "NEXT_HOP: 0.0.0.0 is no host's address", 8),
    ("NEXT_HOP loopback", attribute(0x40, 3, b"\x7f\0\0\1"),
     "NEXT_HOP: 127.0.0.1 is no host's address", 8),
    ("NEXT_HOP multicast", attribute(0x40, 3, b"\xe0\0\0\5"),
     "NEXT_HOP: 224.0.0.5 is no host's address", 8),
    ("NEXT_HOP multicast, the last", attribute(0x40, 3, b"\xef\xff\xff\xff"),
     "NEXT_HOP: 239.255.255.255 is no host's address", 8),
    ("NEXT_HOP broadcast", attribute(0x40, 3, b"\xff" * 4),
     "NEXT_HOP: 255.255.255.255 is no host's address", 8),
    ("MED transitive", attribute(0xC0, 4, bytes(4)), "MULTI_EXIT_DISC: flags 0xc0", E4),
    ("MED well-known", attribute(0x40, 4, bytes(4)), "MULTI_EXIT_DISC: flags 0x40", E4),
    ("MED empty", attribute(0x80, 4, b""), "MULTI_EXIT_DISC: 0 octets", E5),
    ("MED long", attribute(0x80, 4, bytes(5)), "MULTI_EXIT_DISC: 5 octets", E5),
    ("COMMUNITIES well-known", attribute(0x40, 8, bytes(4)), "COMMUNITIES: flags 0x40", E4),
    ("COMMUNITIES empty", attribute(0xC0, 8, b""), "COMMUNITIES: 0 octets", E5),
    ("COMMUNITIES odd", attribute(0xC0, 8, bytes(5)), "COMMUNITIES: 5 octets", E5),
    ("EXTENDED_COMMUNITIES flags", attribute(0x80, 16, bytes(8)),
     "EXTENDED_COMMUNITIES: flags 0x80", E4),
    ("EXTENDED_COMMUNITIES empty", attribute(0xC0, 16, b""), "EXTENDED_COMMUNITIES: 0 octets", E5),
    ("EXTENDED_COMMUNITIES odd", attribute(0xC0, 16, bytes(9)),
     "EXTENDED_COMMUNITIES: 9 octets", E5),
    ("IPV6_EXTENDED_COMMUNITIES odd", attribute(0xC0, 25, bytes(19)),
     "IPV6_EXTENDED_COMMUNITIES: 19 octets", E5),
    ("LARGE_COMMUNITIES flags", attribute(0x40, 32, bytes(12)),
     "LARGE_COMMUNITIES: flags 0x40", E4),
    ("LARGE_COMMUNITIES empty", attribute(0xC0, 32, b""), "LARGE_COMMUNITIES: 0 octets", E5),
    ("LARGE_COMMUNITIES odd", attribute(0xC0, 32, bytes(13)), "LARGE_COMMUNITIES: 13 octets", E5),
]  # fmt: skip
INSIDE = [
    ("LOCAL_PREF optional", attribute(0xC0, 5, bytes(4)), "LOCAL_PREF: flags 0xc0", E4),
    ("LOCAL_PREF short", attribute(0x40, 5, bytes(3)), "LOCAL_PREF: 3 octets", E5),
    ("ORIGINATOR_ID transitive", attribute(0xC0, 9, bytes(4)), "ORIGINATOR_ID: flags 0xc0", E4),
    ("ORIGINATOR_ID long", attribute(0x80, 9, bytes(5)), "ORIGINATOR_ID: 5 octets", E5),
    ("CLUSTER_LIST transitive", attribute(0xC0, 10, bytes(4)), "CLUSTER_LIST: flags 0xc0", E4),
    ("CLUSTER_LIST empty", attribute(0x80, 10, b""), "CLUSTER_LIST: 0 octets", E5),
    ("CLUSTER_LIST odd", attribute(0x80, 10, bytes(6)), "CLUSTER_LIST: 6 octets", E5),
]
SPOILT = [(name, EBGP4, *rest) for name, *rest in WITHDRAWN] + [
    (name, IBGP4, *rest) for name, *rest in INSIDE
]


@pytest.mark.parametrize(
    ("negotiated", "item", "words", "subcode"),
    [row[1:] for row in SPOILT],
    ids=[r[0] for r in SPOILT],
)
def test_what_is_treated_as_withdrawn(
    negotiated: Decoding, item: bytes, words: str, subcode: int
) -> None:
    path = mandatory(item)
    got = judged(path, negotiated)
    assert got.treat_as_withdraw == words
    assert (got.announced, got.withdrawn) == ({}, {IPV4_UNICAST: 1})


@pytest.mark.parametrize(
    ("negotiated", "item", "words", "subcode"),
    [row[1:] for row in SPOILT],
    ids=[r[0] for r in SPOILT],
)
def test_without_routes_the_same_is_a_reset(
    negotiated: Decoding, item: bytes, words: str, subcode: int
) -> None:
    """RFC 7606, section 5.2: nobody knows which routes it was about."""
    data = b"" if subcode == 11 else item
    expected = Notification(3, subcode, data)
    assert reset(mandatory(item), negotiated, b"") == expected
    assert reset(unreach() + mandatory(item), negotiated, b"") == expected


OUTSIDE = "of an external peer"
AS4 = "of a peer that knows 4-octet AS numbers"
DISCARDED = [
    ("LOCAL_PREF from outside", EBGP4, LOCAL_PREF, f"LOCAL_PREF {OUTSIDE}"),
    ("LOCAL_PREF from outside, wrong", EBGP4, attribute(0xC0, 5, b""), f"LOCAL_PREF {OUTSIDE}"),
    ("ORIGINATOR_ID from outside", EBGP4, attribute(0x80, 9, bytes(4)),
     f"ORIGINATOR_ID {OUTSIDE}"),
    ("CLUSTER_LIST from outside", EBGP4, attribute(0x80, 10, b"\0"), f"CLUSTER_LIST {OUTSIDE}"),
    ("ATOMIC_AGGREGATE long", EBGP4, attribute(0x40, 6, b"\0"), "ATOMIC_AGGREGATE: 1 octets"),
    ("ATOMIC_AGGREGATE flags", EBGP4, attribute(0xC0, 6, b""), "ATOMIC_AGGREGATE: flags 0xc0"),
    ("AGGREGATOR flags", EBGP4, attribute(0x40, 7, b"\1" * 8), "AGGREGATOR: flags 0x40"),
    ("AGGREGATOR of two octets", EBGP4, attribute(0xC0, 7, b"\1" * 6), "AGGREGATOR: 6 octets"),
    ("AGGREGATOR empty", EBGP4, attribute(0xC0, 7, b""), "AGGREGATOR: 0 octets"),
    ("AGGREGATOR of AS 0", EBGP4, attribute(0xC0, 7, bytes(8)), "AGGREGATOR: AS number 0"),
    ("AGGREGATOR of four octets", EBGP2, attribute(0xC0, 7, b"\1" * 8), "AGGREGATOR: 8 octets"),
    ("AS4_PATH where none belongs", EBGP4, attribute(0xC0, 17, SEGMENT), f"AS4_PATH: {AS4}"),
    ("AS4_AGGREGATOR where none belongs", EBGP4, attribute(0xC0, 18, b"\1" * 8),
     f"AS4_AGGREGATOR: {AS4}"),
    ("AS4_PATH flags", EBGP2, attribute(0x80, 17, SEGMENT), "AS4_PATH: flags 0x80"),
    ("AS4_PATH empty", EBGP2, attribute(0xC0, 17, b""), "AS4_PATH: 0 octets"),
    ("AS4_PATH short", EBGP2, attribute(0xC0, 17, b"\2\1\0\0"), "AS4_PATH: 4 octets"),
    ("AS4_PATH odd", EBGP2, attribute(0xC0, 17, SEGMENT + b"\0"), "AS4_PATH: 7 octets"),
    ("AS4_PATH empty segment", EBGP2, attribute(0xC0, 17, SEGMENT + b"\2\0"),
     "AS4_PATH: empty segment"),
    ("AS4_PATH type 9", EBGP2, attribute(0xC0, 17, b"\x09" + SEGMENT[1:]),
     "AS4_PATH: segment of type 9"),
    ("AS4_PATH overrun", EBGP2, attribute(0xC0, 17, b"\2\2" + SEGMENT[2:]),
     "AS4_PATH: a segment goes beyond the end"),
    ("AS4_PATH with AS 0", EBGP2, attribute(0xC0, 17, b"\2\1" + bytes(4)),
     "AS4_PATH: AS number 0"),
    ("AS4_AGGREGATOR short", EBGP2, attribute(0xC0, 18, bytes(6)), "AS4_AGGREGATOR: 6 octets"),
    ("AS4_AGGREGATOR of AS 0", EBGP2, attribute(0xC0, 18, bytes(8)),
     "AS4_AGGREGATOR: AS number 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("negotiated", "item", "words"), [row[1:] for row in DISCARDED], ids=[r[0] for r in DISCARDED]
)
def test_what_is_discarded(negotiated: Decoding, item: bytes, words: str) -> None:
    """The routes stay, and without any it is no reset either (RFC 7606, section 5.2)."""
    path = PATH if negotiated.asn4 else ORIGIN + attribute(0x40, 2, SEGMENT2) + NEXT_HOP
    for nlri, announced in ((A, {IPV4_UNICAST: 1}), (b"", {})):
        got = judged(path + item, negotiated, nlri)
        assert got.discarded == (words,)
        assert (got.announced, got.withdrawn, got.treat_as_withdraw) == (announced, {}, "")


def test_one_is_what_it_was_the_first_time() -> None:
    """RFC 7606, section 3, g: the other ones are discarded, however wrong they are."""
    for item in (ORIGIN, AS_PATH, NEXT_HOP, MED, attribute(0xC0, 99, b"")):
        wrong = bytes([0x00]) + item[1:]
        got = judged(PATH + MED + attribute(0xC0, 99, b"") + wrong * 3, EBGP4)
        assert got.announced == {IPV4_UNICAST: 1}
        assert [text.endswith("appears twice") for text in got.discarded] == [True]


def test_the_order_does_not_matter() -> None:
    right = [ORIGIN, AS_PATH, NEXT_HOP, MED, reach()]
    for start in range(len(right)):
        path = b"".join(right[start:] + right[:start])
        got = judged(path, EBGP4)
        assert got.announced == {IPV4_UNICAST: 1, IPV6_UNICAST: 1}
        assert sorted(got.attributes) == [1, 2, 3, 4, 14]


MISSING = [
    ("ORIGIN", EBGP4, PATH.replace(ORIGIN, b""), A, "ORIGIN is missing"),
    ("AS_PATH", EBGP4, PATH.replace(AS_PATH, b""), A, "AS_PATH is missing"),
    ("NEXT_HOP", EBGP4, PATH.replace(NEXT_HOP, b""), A, "NEXT_HOP is missing"),
    ("LOCAL_PREF", IBGP4, PATH, A, "LOCAL_PREF is missing"),
    ("all, the first is told", IBGP4, b"", A, "ORIGIN is missing"),
    ("AS_PATH beside MP_REACH_NLRI", EBGP4, reach() + ORIGIN, b"", "AS_PATH is missing"),
    ("NEXT_HOP is not missed by MP_REACH_NLRI", EBGP4, reach() + ORIGIN + AS_PATH, b"", ""),
    ("nothing is missed where nothing is announced", IBGP4, MED, b"", ""),
]


@pytest.mark.parametrize(
    ("negotiated", "path", "nlri", "words"),
    [row[1:] for row in MISSING],
    ids=[r[0] for r in MISSING],
)
def test_what_must_be_there(negotiated: Decoding, path: bytes, nlri: bytes, words: str) -> None:
    assert judged(path, negotiated, nlri).treat_as_withdraw == words


CUT_OFF = "attributes are cut off"
LENGTHS = [
    ("flags alone", PATH + b"\x80", CUT_OFF),
    ("no length", PATH + b"\x80\x04", CUT_OFF),
    ("half of a long length", PATH + b"\x90\x04\x00", CUT_OFF),
    ("MED + 1", PATH + attribute(0x80, 4, bytes(4), off=1),
     "MULTI_EXIT_DISC goes beyond the end of the attributes"),
    ("unknown + 200", PATH + attribute(0x80, 99, bytes(4), off=200),
     "attribute 99 goes beyond the end of the attributes"),
    ("long length + 1", PATH + attribute(0x90, 4, bytes(4), off=1),
     "MULTI_EXIT_DISC goes beyond the end of the attributes"),
    ("MED - 1", PATH + attribute(0x80, 4, bytes(4), off=-1), "MULTI_EXIT_DISC: 3 octets"),
    ("NEXT_HOP + 1, last", ORIGIN + AS_PATH + attribute(0x40, 3, NEXT_HOP[3:], off=1),
     "NEXT_HOP goes beyond the end of the attributes"),
    ("NEXT_HOP - 1, last", ORIGIN + AS_PATH + attribute(0x40, 3, NEXT_HOP[3:], off=-1),
     "NEXT_HOP: 3 octets"),
    # it swallows the flags of AS_PATH: what follows starts with 0x02, 0x06
    ("ORIGIN + 1", attribute(0x40, 1, b"\0", off=1) + AS_PATH + NEXT_HOP, "ORIGIN: 2 octets"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "words"), [row[1:] for row in LENGTHS], ids=[r[0] for r in LENGTHS]
)
def test_lengths_that_do_not_fit(path: bytes, words: str) -> None:
    """RFC 7606, section 4: where the NLRI start is known all the same."""
    got = judged(path, EBGP4)
    assert got.treat_as_withdraw == words
    assert got.withdrawn == {IPV4_UNICAST: 1}
    assert reset(path, EBGP4, b"").code == 3


def test_a_swallowed_origin_that_makes_an_unknown_attribute() -> None:
    # ORIGIN - 1 leaves 00 40 02: well-known attribute 64 of two octets
    path = attribute(0x40, 1, b"\0", off=-1) + AS_PATH + NEXT_HOP
    assert reset(path) == Notification(3, 2, bytes.fromhex("0040020602"))


@pytest.mark.parametrize("flags", [0x00, 0x40, 0x60])
def test_what_others_know_well_is_a_reset(flags: int) -> None:
    item = attribute(flags, 99, b"abc")
    for nlri in (A, b""):
        assert reset(PATH + item, EBGP4, nlri) == Notification(3, 2, item)


def test_truncated_at_every_octet() -> None:
    """The attributes' own length is right, so the routes are known: withdrawn, never a reset."""
    path = PATH + MED + attribute(0xC0, 8, bytes(8))
    whole = {len(PATH), len(PATH + MED)}
    for end in range(len(path)):
        got = judged(path[:end], EBGP4)
        assert (got.treat_as_withdraw == "") == (end in whole), end
        assert got.announced == ({IPV4_UNICAST: 1} if end in whole else {})


# --- multiprotocol -------------------------------------------------------------------------------

RIGHT = ORIGIN + AS_PATH
REACHES = [
    ("IPv6", reach(), IPV6_UNICAST, 1),
    ("IPv6, link-local too", reach(hop=bytes(32)), IPV6_UNICAST, 1),
    ("IPv4, next hop of IPv6", reach(A + A, bytes(16), (1, 1)), IPV4_UNICAST, 2),
    ("IPv4, link-local too", reach(A, bytes(32), (1, 1)), IPV4_UNICAST, 1),
    ("IPv4, next hop of IPv4", reach(A, bytes(4), (1, 1)), IPV4_UNICAST, 1),
    ("short length", bytes([0x80, 14, len(reach()) - 4]) + reach()[4:], IPV6_UNICAST, 1),
]


@pytest.mark.parametrize(
    ("item", "family", "count"), [row[1:] for row in REACHES], ids=[r[0] for r in REACHES]
)
def test_routes_in_mp_reach(item: bytes, family: object, count: int) -> None:
    got = judged(item + RIGHT, EBGP4, b"")
    assert (got.announced, got.treat_as_withdraw, got.discarded) == ({family: count}, "", ())


def mp(kind: int, value: bytes, flags: int = 0x90) -> bytes:
    return attribute(flags, kind, value)


V6 = b"\0\2\1"
RESETS = [
    ("MP_REACH_NLRI transitive", mp(14, reach()[4:], 0xD0)),
    ("MP_REACH_NLRI well-known", mp(14, reach()[4:], 0x50)),
    ("MP_UNREACH_NLRI transitive", mp(15, unreach()[4:], 0xD0)),
    *((f"MP_REACH_NLRI of {n}", mp(14, (V6 + bytes(9))[:n])) for n in range(5)),
    *((f"MP_UNREACH_NLRI of {n}", mp(15, V6[:n])) for n in range(3)),
    ("next hop of 0", mp(14, V6 + counted(b"") + b"\0")),
    ("next hop of 4 for IPv6", reach(hop=bytes(4))),
    ("next hop of 24 for IPv6", reach(hop=bytes(24))),
    ("next hop of 8 for IPv4", reach(A, bytes(8), (1, 1))),
    ("next hop + 1", mp(14, V6 + counted(bytes(16), off=1) + b"\0" + b"\0")),
    ("next hop - 1", mp(14, V6 + counted(bytes(16), off=-1) + b"\0" + b"\0")),
    ("next hop beyond the end", mp(14, V6 + counted(bytes(15), off=1) + b"\0")),
    ("no reserved octet", mp(14, V6 + counted(bytes(16)))),
    ("next hop of an unknown family beyond the end", mp(14, b"\0\x19\x46\xff\0\0")),
    ("NLRI of 129 bits", reach(b"\x81" + bytes(17))),
    ("NLRI cut off", reach(b"\x80" + bytes(15))),
    ("withdrawn, 129 bits", unreach(b"\x81" + bytes(17))),
    ("withdrawn, cut off", unreach(b"\x08")),
    ("IPv4 of 33 bits", reach(b"\x21" + bytes(5), bytes(16), (1, 1))),
]


@pytest.mark.parametrize("item", [row[1] for row in RESETS], ids=[row[0] for row in RESETS])
def test_what_is_wrong_with_multiprotocol_attributes_is_a_reset(item: bytes) -> None:
    """RFC 7606, sections 5.3 and 7.11; RFC 4760, section 7."""
    assert reset(item + RIGHT, EBGP4, b"") == Notification(3, 9, item)


def test_multiprotocol_attributes_come_once() -> None:
    for item in (reach(), unreach()):
        assert reset(item + RIGHT + item, EBGP4, b"") == Notification(3, 1)


def test_multiprotocol_attributes_beyond_the_end() -> None:
    for item in (reach(), unreach()):
        assert reset(RIGHT + item[:-1], EBGP4, b"") == Notification(3, 1)
        assert reset(PATH + item[:-1], EBGP4, A) == Notification(3, 1)


def test_routes_of_a_family_that_is_not_the_sessions() -> None:
    for negotiated, item, words in (
        (Decoding(asn4=True), reach(), "IPv6 unicast"),
        (EBGP4, reach(b"\xff\xff", b"\0", (25, 70)), "L2VPN EVPN"),
        (EBGP4, unreach(b"\xff\xff", (1, 128)), "IPv4 VPN"),
    ):
        got = judged(item + RIGHT, negotiated, b"")
        assert (got.announced, got.withdrawn) == ({}, {})
        assert got.discarded == (f"routes of {words}, which is not the session's",)


def test_ipv4_where_it_is_not_the_sessions() -> None:
    only = Decoding(asn4=True, families=frozenset({IPV6_UNICAST}))
    got = judged(PATH, only)
    assert (got.announced, got.treat_as_withdraw) == ({}, "")
    assert got.discarded == ("routes of IPv4 unicast, which is not the session's",)
    assert reset(PATH, only, b"\xff") == Notification(3, 10)


def test_with_add_path() -> None:
    negotiated = Decoding(
        asn4=True, families=EBGP4.families, add_path=frozenset({IPV4_UNICAST, IPV6_UNICAST})
    )
    pair = number(1, 4) + A + number(2, 4) + A
    got = judged(reach(number(7, 4) + b"\0") + PATH, negotiated, pair)
    assert got.announced == {IPV4_UNICAST: 2, IPV6_UNICAST: 1}
    assert reset(PATH, negotiated, pair[:-1]) == Notification(3, 10)


def test_the_worst_is_what_counts() -> None:
    """RFC 7606, section 3, h."""
    bad = attribute(0xC0, 8, b"\0")
    got = judged(PATH + bad + attribute(0x40, 6, b"\0"), EBGP4)
    assert (got.treat_as_withdraw, got.discarded) == (
        "COMMUNITIES: 1 octets",
        ("ATOMIC_AGGREGATE: 1 octets",),
    )
    assert reset(PATH + bad + attribute(0x40, 99, b"")) == Notification(3, 2, b"\x40\x63\0")
