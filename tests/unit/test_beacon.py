"""Beacons ⇄ bytes, signed; and the frame around them, with scapy as the referee."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from bellmetal.facts import ClaimOrder
from bellmetal.keyring import key_id
from bellmetal_layer2 import beacon
from bellmetal_layer2.beacon import Beacon, ClaimNews, DecodeError, UnknownKeyError
from bellmetal_layer2.claims import ClaimSet

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
MAC = bytes.fromhex("02aabbccddee")

NUMBERS = st.integers(0, 2**64 - 1)
ADDRESSES = st.ip_addresses()
ORDERS = st.builds(ClaimOrder, NUMBERS, st.booleans(), st.integers(0, 2**32 - 1))
NEWS = st.builds(ClaimNews, ADDRESSES, ORDERS, quiet=st.booleans()) | st.builds(
    ClaimNews, ADDRESSES, st.none(), st.booleans()
)
BEACONS = st.builds(
    Beacon,
    node=st.text(max_size=60),
    boot=NUMBERS,
    counter=NUMBERS,
    digest=NUMBERS,
    interval=st.integers(0, 65535).map(lambda number: number / 1000),
    settled=st.booleans(),
    leaving=st.booleans(),
    reset=st.booleans(),
    apart=st.booleans(),
    ask=st.text(max_size=60),
    claims=st.lists(NEWS, max_size=5).map(tuple),
    echoes=st.lists(NUMBERS, max_size=8).map(tuple),
)

CLAIMS = (
    ClaimNews(ipaddress.ip_address("192.0.2.10"), ClaimOrder(3, True, 1)),
    ClaimNews(ipaddress.ip_address("2001:db8::10"), None),
)
SAMPLE = Beacon("n1", 7, 42, 99, 0.1, ask="n2", claims=CLAIMS)
DATA = beacon.encode(SAMPLE, KEY)
FRAME = beacon.wrap(DATA, MAC)


def signed(body: bytes) -> bytes:
    return body + hmac.digest(KEY, body, "sha256")[:16]


# --- the payload ---------------------------------------------------------------------------------


@given(BEACONS)
def test_what_is_encoded_decodes_to_the_same(item: Beacon) -> None:
    assert beacon.decode(beacon.encode(item, KEY), KEY) == item


@given(st.binary(max_size=120))
def test_any_bytes_under_the_key_are_a_beacon_or_a_decode_error(body: bytes) -> None:
    """The tag is right, so that the reading itself is tried."""
    body = beacon.MAGIC + b"\x01" + key_id(KEY) + body
    with contextlib.suppress(DecodeError):
        assert isinstance(beacon.decode(signed(body), KEY), Beacon)


@given(st.integers(9, len(DATA) - 1), st.integers(1, 255))
def test_one_changed_byte_is_found(position: int, change: int) -> None:
    tampered = bytearray(DATA)
    tampered[position] ^= change
    with pytest.raises(DecodeError, match="the tag is not of the members' key"):
        beacon.decode(bytes(tampered), KEY)


BODY = DATA[:-16]
ODD = [
    pytest.param(b"", "no beacon of version 1", id="nothing"),
    pytest.param(DATA[:4], "it ends too early", id="the magic alone"),
    pytest.param(DATA[:7], "it ends too early", id="half an id"),
    pytest.param(DATA[:9], "the tag is not of the members' key", id="no tag"),
    pytest.param(b"BMB1\x04" + bytes(99), "4 keys are more than 3", id="too many keys"),
    pytest.param(
        signed(BODY.replace(b"\x02n2", b"\x02n2\x09", 1)), "9 echoes are more than 8", id="echoes"
    ),
    pytest.param(b"BMB2" + DATA[4:], "no beacon of version 1", id="another version"),
    pytest.param(DATA[:-1], "the tag is not of the members' key", id="truncated"),
    pytest.param(DATA + b"x", "the tag is not of the members' key", id="longer"),
    pytest.param(signed(BODY[:-1]), "it ends too early", id="a claim cut off"),
    pytest.param(signed(BODY + b"x"), "bytes are left behind the claims", id="trailing bytes"),
    pytest.param(
        signed(BODY.replace(b"\x02n1", b"\x02\xff\xfe")), "a name is not UTF-8", id="name"
    ),
    pytest.param(
        signed(BODY.replace(b"\x04\xc0\x00\x02\x0a", b"\x05\xc0\x00\x02\x0a")),
        "address family 5 is unknown",
        id="family",
    ),
]


@pytest.mark.parametrize(("data", "message"), ODD)
def test_odd_payloads_are_refused_in_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        beacon.decode(data, KEY)
    assert str(caught.value) == message


@pytest.mark.parametrize("keys", [[OTHER_KEY], [b""], []])
def test_a_beacon_of_another_key_tells_but_a_name(keys: list[bytes]) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        beacon.decode(DATA, *keys)
    assert caught.value.node == "n1"
    assert str(caught.value) == "it is signed with none of the members' keys that are known here"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"BMB1\x01abcd" + bytes(20), id="too short for a name"),
        pytest.param(b"BMB1\x00" + bytes(20), id="no key at all"),
        pytest.param(beacon.encode(SAMPLE, OTHER_KEY)[:40], id="cut off"),
    ],
)
def test_of_another_key_and_broken(data: bytes) -> None:
    with pytest.raises(DecodeError, match="it ends too early"):
        beacon.decode(data, KEY)


def test_a_tag_of_a_known_id_has_to_be_right() -> None:
    """Whoever knows the id, which is no secret, does not know the key."""
    forged = DATA[:-16] + bytes(16)
    with pytest.raises(DecodeError, match="the tag is not of the members' key"):
        beacon.decode(forged, KEY)


BOTH = beacon.encode(SAMPLE, OTHER_KEY, KEY)


@pytest.mark.parametrize(
    "keys", [[KEY], [OTHER_KEY], [KEY, OTHER_KEY], [OTHER_KEY, KEY], [b"n" * 32, KEY]]
)
def test_a_beacon_with_two_tags_is_understood_by_who_knows_either_key(keys: list[bytes]) -> None:
    assert beacon.decode(BOTH, *keys) == SAMPLE


@given(st.integers(0, len(BOTH) - 33), st.integers(1, 255))
def test_neither_tag_lets_a_change_pass(position: int, change: int) -> None:
    tampered = bytearray(BOTH)
    tampered[position] ^= change
    for key in (KEY, OTHER_KEY):
        with pytest.raises(DecodeError):
            beacon.decode(bytes(tampered), key)


def test_challenges_differ_by_node_boot_and_counter() -> None:
    others = [replace(SAMPLE, node="n2"), replace(SAMPLE, boot=8), replace(SAMPLE, counter=43)]
    assert len({item.challenge for item in [SAMPLE, *others]}) == 4
    assert replace(SAMPLE, settled=False, claims=()).challenge == SAMPLE.challenge


def test_claims_are_cut_into_portions_that_fit_into_a_frame() -> None:
    longest = "n" * 253
    address = ipaddress.ip_address("2001:db8::")
    claims = [ClaimNews(address + n, ClaimOrder(2**40, True, 2)) for n in range(101)]
    portions = beacon.chunks(claims)
    assert [len(portion) for portion in portions] == [18, 18, 18, 18, 18, 11]
    assert [news for portion in portions for news in portion] == claims
    full = replace(SAMPLE, node=longest, ask=longest, claims=portions[0], echoes=(2**63,) * 8)
    assert len(beacon.wrap(beacon.encode(full, KEY, OTHER_KEY, b"3" * 32), MAC)) - 14 <= 1280


def test_no_claims_are_one_empty_portion() -> None:
    assert beacon.chunks([]) == [()]


@given(st.dictionaries(ADDRESSES, ORDERS, max_size=6), st.randoms())
def test_the_digest_does_not_depend_on_the_order(claims, dice) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(claims.items())
    dice.shuffle(shuffled)
    one, other = ClaimSet(), ClaimSet()
    for address, order in claims.items():
        one.put(address, order)
    for address, order in shuffled:
        other.put(address, ClaimOrder(1, False, 1))
        other.put(address, order)
    assert one.digest == other.digest
    for address in claims:
        other.put(address, None)
    assert other == ClaimSet()


def test_every_part_of_a_claim_counts_in_the_digest() -> None:
    address = ipaddress.ip_address("192.0.2.10")
    digests = set()
    for order in (
        ClaimOrder(1, True, 0),
        ClaimOrder(2, True, 0),
        ClaimOrder(1, False, 0),
        ClaimOrder(1, True, 1),
    ):
        claims = ClaimSet()
        claims.put(address, order)
        digests.add(claims.digest)
    assert len(digests) == 4


# --- the frame -----------------------------------------------------------------------------------


def test_the_frame_carries_the_payload() -> None:
    assert beacon.unwrap(FRAME) == DATA


def test_padding_behind_the_datagram_is_not_payload() -> None:
    assert beacon.unwrap(FRAME + bytes(8)) == DATA


@given(st.binary(max_size=200))
def test_any_frame_is_a_payload_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert isinstance(beacon.unwrap(data), bytes)


def test_scapy_dissects_the_frame_and_agrees_on_the_checksum() -> None:
    packet = Ether(FRAME)
    assert (packet.dst, packet.src) == ("33:33:00:00:00:01", "02:aa:bb:cc:dd:ee")
    ip, udp = packet[IPv6], packet[UDP]
    assert (ip.src, ip.dst, ip.hlim) == ("fe80::aa:bbff:fecc:ddee", "ff02::1", 255)
    assert (udp.sport, udp.dport, bytes(udp.payload)) == (7947, 7947, DATA)
    given_checksum = udp.chksum
    del udp.chksum
    assert Ether(bytes(packet))[UDP].chksum == given_checksum


@given(st.binary(max_size=64))
def test_the_checksum_is_right_for_any_payload(payload: bytes) -> None:
    packet = Ether(beacon.wrap(payload, MAC))
    given_checksum = packet[UDP].chksum
    del packet[UDP].chksum
    assert Ether(bytes(packet))[UDP].chksum == given_checksum != 0


def built(**changes: object) -> bytes:
    """A beacon's frame as scapy builds it, with one thing that is not as it should be."""
    fields = {"dst": "ff02::1", "hlim": 255, "dport": 7947} | changes
    ip = IPv6(src="fe80::1", dst=fields["dst"], hlim=fields["hlim"])
    return bytes(
        Ether(src="02:00:00:00:00:01") / ip / UDP(sport=7947, dport=fields["dport"]) / DATA
    )


def test_we_unwrap_what_scapy_builds() -> None:
    assert beacon.unwrap(built()) == DATA


ODD_FRAMES = [
    pytest.param(FRAME[:61], "too short for a beacon", id="too short"),
    pytest.param(built(hlim=254), "hop limit 254: it was routed", id="routed"),
    pytest.param(built(dst="ff02::2"), "not UDP to all nodes of the link", id="routers"),
    pytest.param(built(dport=7946), "a datagram of another port or length", id="port"),
    pytest.param(FRAME[:-1], "a datagram of another port or length", id="truncated"),
    pytest.param(FRAME[:20] + b"\x06" + FRAME[21:], "not UDP to all nodes of the link", id="TCP"),
    pytest.param(FRAME[:14] + b"\x45" + FRAME[15:], "not UDP to all nodes of the link", id="IPv4"),
    pytest.param(
        FRAME[:58] + b"\x00\x09" + FRAME[60:], "a datagram of another port or length", id="length"
    ),
]


@pytest.mark.parametrize(("frame", "message"), ODD_FRAMES)
def test_odd_frames_are_refused_in_a_sentence(frame: bytes, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        beacon.unwrap(frame)
    assert str(caught.value) == message
