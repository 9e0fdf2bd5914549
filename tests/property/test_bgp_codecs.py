"""BGP codecs: what is said is read as it was; any octets are a value or a DecodeError."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from bellmetal.addresses import IPNetwork
from bellmetal_bgp import capabilities as caps
from bellmetal_bgp import update as updates
from bellmetal_bgp.attributes import Origin, PathAttributes
from bellmetal_bgp.attributes import encode as encode_path
from bellmetal_bgp.capabilities import Capabilities, GracefulRestart
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import (
    DecodeError,
    Decoding,
    Keepalive,
    Message,
    Notification,
    Open,
    RouteRefresh,
    Stream,
    Update,
    decode,
    encode,
)
from bellmetal_bgp.notifications import hard, reset, shutdown, words
from bellmetal_bgp.prefixes import PrefixError, count_prefixes, decode_prefixes, encode_prefix
from bgp_bytes import message, update

OCTET, PAIR, FOUR = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
FAMILIES = st.builds(Family, PAIR, OCTET)
RESTARTS = st.builds(
    GracefulRestart,
    st.booleans(),
    st.booleans(),
    st.integers(0, 4095),
    st.dictionaries(FAMILIES, st.booleans(), max_size=20),
)
CAPABILITIES = st.builds(
    Capabilities,
    families=st.frozensets(FAMILIES, max_size=80),
    route_refresh=st.booleans(),
    enhanced_refresh=st.booleans(),
    asn4=st.none() | st.integers(1, 2**32 - 1),
    extended_messages=st.booleans(),
    graceful_restart=st.none() | RESTARTS,
    extended_next_hop=st.frozensets(st.tuples(st.builds(Family, PAIR, PAIR), PAIR), max_size=9),
    add_path=st.dictionaries(FAMILIES, st.integers(1, 3), max_size=20),
)
ROUTER_IDS = st.integers(1, 2**32 - 1).map(ipaddress.IPv4Address)
HOLD_TIMES = st.just(0) | st.integers(3, 2**16 - 1)


@st.composite
def opens(draw: st.DrawFn) -> Open:
    said = draw(CAPABILITIES)
    asn = draw(st.integers(1, 2**16 - 1)) if said.asn4 is None else said.asn4
    return Open(asn, draw(HOLD_TIMES), draw(ROUTER_IDS), said)


NOTIFICATIONS = st.builds(Notification, OCTET, OCTET, st.binary(max_size=300))
SAID = st.one_of(
    opens(),
    st.just(Keepalive()),
    NOTIFICATIONS,
    st.builds(RouteRefresh, FAMILIES, OCTET),
)
FOURS = st.builds(lambda n, bits: ipaddress.IPv4Network((n, bits), strict=False), FOUR,
                  st.integers(0, 32))  # fmt: skip
SIXES = st.builds(lambda n, bits: ipaddress.IPv6Network((n, bits), strict=False),
                  st.integers(0, 2**128 - 1), st.integers(0, 128))  # fmt: skip
NETWORKS = st.lists(FOURS, max_size=300) | st.lists(SIXES, max_size=300)
DECODINGS = st.builds(
    Decoding,
    asn4=st.booleans(),
    extended=st.booleans(),
    ibgp=st.booleans(),
    families=st.frozensets(st.sampled_from([IPV4_UNICAST, IPV6_UNICAST])),
    add_path=st.frozensets(st.sampled_from([IPV4_UNICAST, IPV6_UNICAST])),
)


E = TypeVar("E", bound=ValueError)


def said_of(call: Callable[[], object], kind: type[E]) -> E | None:
    """The error of that kind, if there is one; any other goes through."""
    try:
        call()
    except kind as error:
        return error
    return None


@given(SAID)
def test_a_message_is_read_as_it_was_said(
    item: Open | Keepalive | Notification | RouteRefresh,
) -> None:
    raw = encode(item)
    assert decode(raw) == item
    assert encode(item) == raw
    stream = Stream()
    stream.feed(raw)
    assert list(stream.messages()) == [raw]


@given(CAPABILITIES)
def test_capabilities_have_words(said: Capabilities) -> None:
    assert len(said.words()) >= len(said.families)
    assert caps.decode(said.encode()) == said


@given(NETWORKS, st.booleans(), st.data())
def test_prefixes_are_read_as_they_were_said(
    networks: list[IPNetwork], add_path: bool, data: st.DataObject
) -> None:
    ids = [data.draw(FOUR) if add_path else None for _ in networks]
    family = Family.of(networks[0]) if networks else IPV4_UNICAST
    said = [encode_prefix(*pair) for pair in zip(networks, ids, strict=True)]
    assert list(decode_prefixes(b"".join(said), family, add_path)) == list(
        zip(networks, ids, strict=True)
    )


@given(st.binary(max_size=60), st.sampled_from([IPV4_UNICAST, IPV6_UNICAST]), st.booleans())
def test_counting_and_reading_agree(data: bytes, family: Family, add_path: bool) -> None:
    if wrong := said_of(lambda: count_prefixes(data, family, add_path), PrefixError):
        assert str(wrong)
        return
    found = list(decode_prefixes(data, family, add_path))
    assert len(found) == count_prefixes(data, family, add_path)
    assert all(Family.of(network) == family for network, _ in found)


PATHS = st.builds(
    PathAttributes,
    as_path=st.lists(st.integers(1, 2**32 - 1), max_size=300).map(tuple),
    origin=st.sampled_from(Origin),
    med=st.none() | FOUR,
    local_pref=FOUR,
    communities=st.lists(st.tuples(PAIR, PAIR), max_size=90).map(tuple),
    extended_communities=st.lists(st.binary(min_size=8, max_size=8), max_size=5).map(tuple),
    large_communities=st.lists(st.tuples(FOUR, FOUR, FOUR), max_size=30).map(tuple),
)


@given(PATHS, NETWORKS, st.booleans(), st.sampled_from([4096, 65535]), st.booleans())
def test_routes_are_counted_as_they_were_said(
    path: PathAttributes, networks: list[IPNetwork], asn4: bool, limit: int, crossed: bool
) -> None:
    """Whatever their path is, it is fine by RFC 7606."""
    family = Family.of(networks[0]) if networks else IPV4_UNICAST
    hop = bytes([32, 1] * 8) if crossed or family == IPV6_UNICAST else b"\xc0\0\2\1"
    nlri = [encode_prefix(network) for network in networks]
    families = frozenset({family})
    negotiated = Decoding(asn4, limit > 4096, True, families)
    for messages, announced in (
        (updates.announcements(family, encode_path(path, asn4), hop, nlri, limit), True),
        (updates.withdrawals(family, nlri, limit), False),
    ):
        total = 0
        for raw in messages:
            assert len(raw) <= limit
            got = decode(raw, negotiated)
            assert isinstance(got, Update)
            assert (got.treat_as_withdraw, got.discarded, got.end_of_rib) == ("", (), None)
            assert not (got.withdrawn if announced else got.announced)
            total += (got.announced if announced else got.withdrawn)[family]
        assert total == len(networks)


def value_or_error(raw: bytes, negotiated: Decoding) -> Message | None:
    error = said_of(lambda: decode(raw, negotiated), DecodeError)
    if error is None:
        return decode(raw, negotiated)
    assert str(error).isprintable()
    assert words(error.notification).isprintable()
    assert decode(encode(error.notification)) == error.notification
    return None


@given(st.binary(max_size=80), DECODINGS)
def test_any_octets_are_a_message_or_an_error(data: bytes, negotiated: Decoding) -> None:
    value_or_error(data, negotiated)
    for kind in range(1, 6):
        value_or_error(message(kind, data), negotiated)


@given(st.binary(max_size=20), st.binary(max_size=80), st.binary(max_size=20), DECODINGS)
def test_any_fields_are_an_update_or_an_error(
    withdrawn: bytes, path: bytes, nlri: bytes, negotiated: Decoding
) -> None:
    got = value_or_error(update(withdrawn, path, nlri), negotiated)
    assert got is None or isinstance(got, Update)
    if isinstance(got, Update) and got.treat_as_withdraw:
        assert not got.announced


@given(st.binary(max_size=200), st.booleans(), st.data())
def test_a_stream_is_the_same_in_any_pieces(
    tail: bytes, extended: bool, data: st.DataObject
) -> None:
    whole = b"".join(encode(item) for item in data.draw(st.lists(SAID, max_size=5))) + tail

    def taken(pieces: list[bytes]) -> list[bytes | str]:
        stream, got = Stream(extended), list[bytes | str]()
        for piece in pieces:
            stream.feed(piece)
            try:
                for raw in stream.messages():
                    got.append(raw)
            except DecodeError as error:
                return [*got, str(error)]
        return got

    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert taken(pieces) == taken([whole])


@given(st.text(max_size=300))
def test_a_reason_is_told_and_read(text: str) -> None:
    for said in (shutdown(text), hard(reset(text))):
        assert words(said).isprintable()
        assert len(said.data) <= 258
    assert words(shutdown("gone")).endswith('"gone"')
