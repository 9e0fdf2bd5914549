"""BGP messages ⇄ octets; each error with the NOTIFICATION that the peer is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

import pytest

from bellmetal_bgp.capabilities import Capabilities, GracefulRestart
from bellmetal_bgp.codes import MessageType
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.framing import frame
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
from bgp_bytes import (
    KEEPALIVE,
    NOTIFICATION,
    OPEN,
    PATH,
    ROUTE_REFRESH,
    UPDATE,
    A,
    B,
    capability,
    message,
    number,
    opened,
    parameter,
    update,
)

ROUTER_ID = ipaddress.IPv4Address("10.0.0.1")
ASN4 = Decoding(asn4=True)
EXTENDED = Decoding(asn4=True, extended=True)


def refused(raw: bytes, negotiated: Decoding = ASN4) -> Notification:
    with pytest.raises(DecodeError) as caught:
        decode(raw, negotiated)
    assert str(caught.value)
    return caught.value.notification


def again(raw: bytes) -> bytes:
    """With a header that says how long it is."""
    return message(raw[18], raw[19:])


# --- what is right -------------------------------------------------------------------------------

FULL = Capabilities(
    families=frozenset({IPV4_UNICAST, IPV6_UNICAST}),
    route_refresh=True,
    asn4=4200000000,
    graceful_restart=GracefulRestart(time=120),
)
FULL_OPEN = opened(
    parameter(
        capability(1, b"\0\1\0\1")
        + capability(1, b"\0\2\0\1")
        + capability(2)
        + capability(64, b"\0\x78")
        + capability(65, number(4200000000, 4))
    ),
    asn=23456,
)
MESSAGES: list[tuple[Open | Keepalive | Notification | RouteRefresh, bytes]] = [
    (Open(65001, 90, ROUTER_ID), opened()),
    (Open(65535, 0, ROUTER_ID), opened(asn=65535, hold_time=0)),
    (Open(4200000000, 90, ROUTER_ID, FULL), FULL_OPEN),
    (Keepalive(), message(KEEPALIVE)),
    (Notification(6, 2, b"\x04gone"), message(NOTIFICATION, b"\x06\x02\x04gone")),
    (Notification(4), message(NOTIFICATION, b"\x04\x00")),
    (Notification(200, 201), message(NOTIFICATION, b"\xc8\xc9")),
    (RouteRefresh(IPV6_UNICAST), message(ROUTE_REFRESH, b"\0\2\0\1")),
    (RouteRefresh(IPV4_UNICAST, 2), message(ROUTE_REFRESH, b"\0\1\2\1")),
    (RouteRefresh(Family(9, 8), 77), message(ROUTE_REFRESH, b"\0\x09\x4d\x08")),
]


@pytest.mark.parametrize(("item", "raw"), MESSAGES)
def test_a_message_and_its_octets(
    item: Open | Keepalive | Notification | RouteRefresh, raw: bytes
) -> None:
    assert encode(item) == raw
    assert decode(raw) == item


def test_parameters_may_come_one_by_one_and_repeat_one_another() -> None:
    raw = opened(
        parameter(capability(2))
        + parameter(b"")
        + parameter(capability(65, number(70000, 4)) + capability(2)),
        asn=23456,
    )
    capabilities = Capabilities(route_refresh=True, asn4=70000)
    assert decode(raw) == Open(70000, 90, ROUTER_ID, capabilities)


def extended(parameters: bytes, length: int = 255, off: int = 0) -> bytes:
    """An OPEN as RFC 9072 has it; what it says as its length does not matter."""
    plain = opened()
    size = number(len(parameters) + off, 2)
    return message(OPEN, plain[19:28] + bytes([length, 255]) + size + parameters)


def wide(value: bytes, kind: int = 2, off: int = 0) -> bytes:
    return bytes([kind]) + number(len(value) + off, 2) + value


@pytest.mark.parametrize("length", [1, 4, 254, 255])
def test_extended_parameters_are_understood(length: int) -> None:
    raw = extended(wide(capability(2)) + wide(capability(6)), length)
    capabilities = Capabilities(route_refresh=True, extended_messages=True)
    assert decode(raw) == Open(65001, 90, ROUTER_ID, capabilities)


@pytest.mark.parametrize(("families", "long"), [(42, False), (43, True), (600, True)])
def test_parameters_are_extended_where_they_must(families: int, long: bool) -> None:
    said = Capabilities(frozenset(Family(afi, 1) for afi in range(1, families + 1)))
    raw = encode(Open(65001, 90, ROUTER_ID, said))
    assert (raw[28:30] == b"\xff\xff") == long
    assert decode(raw).capabilities == said  # type: ignore[union-attr]


def test_data_of_a_notification_are_cut_to_what_it_can_carry() -> None:
    assert len(encode(Notification(3, 9, bytes(5000)))) == 4096


def test_no_message_is_longer_than_its_length_can_say() -> None:
    assert frame(MessageType.UPDATE, bytes(65516))[16:18] == b"\xff\xff"
    with pytest.raises(ValueError, match="UPDATE: 65536 octets are too many for a message"):
        frame(MessageType.UPDATE, bytes(65517))


# --- headers -------------------------------------------------------------------------------------

HEADERS = [
    pytest.param(b"\xfe" + message(KEEPALIVE)[1:], Notification(1, 1), id="marker, first octet"),
    pytest.param(message(KEEPALIVE)[:15] + b"\0" + message(KEEPALIVE)[16:], Notification(1, 1),
                 id="marker, last octet"),
    pytest.param(message(0), Notification(1, 3, b"\0"), id="type 0"),
    pytest.param(message(6), Notification(1, 3, b"\6"), id="type 6"),
    pytest.param(message(255), Notification(1, 3, b"\xff"), id="type 255"),
    pytest.param(message(6, length=18), Notification(1, 2, b"\0\x12"), id="length before type"),
    *(
        pytest.param(message(kind, length=length), Notification(1, 2, number(length, 2)),
                     id=f"type {kind}, length {length}")
        for kind, lengths in {
            OPEN: (0, 18, 28, 4097),
            UPDATE: (0, 18, 22, 4097),
            NOTIFICATION: (0, 18, 20, 4097),
            KEEPALIVE: (0, 18, 20, 4096, 65535),
            ROUTE_REFRESH: (0, 18, 4097),
        }.items()
        for length in lengths
    ),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "notification"), HEADERS)
def test_a_header_that_is_wrong(raw: bytes, notification: Notification) -> None:
    assert refused(raw) == notification
    stream = Stream()
    stream.feed(raw)
    for _ in range(2):  # for good
        with pytest.raises(DecodeError) as caught:
            next(stream.messages())
        assert caught.value.notification == notification


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        (OPEN, False),
        (UPDATE, True),
        (NOTIFICATION, True),
        (KEEPALIVE, False),
        (ROUTE_REFRESH, True),
    ],
)
def test_which_messages_may_be_extended(kind: int, allowed: bool) -> None:
    """RFC 8654, section 4."""
    stream = Stream(extended=True)
    stream.feed(message(kind, length=4097))
    if allowed:
        assert list(stream.messages()) == []
        return
    with pytest.raises(DecodeError) as caught:
        list(stream.messages())
    assert caught.value.notification == Notification(1, 2, number(4097, 2))


# --- OPEN ----------------------------------------------------------------------------------------

UNSPECIFIC = Notification(2, 0)
OPENS = [
    ("version 3", opened(version=3), Notification(2, 1, b"\0\4")),
    ("version 5", opened(version=5), Notification(2, 1, b"\0\4")),
    ("AS 0", opened(asn=0), Notification(2, 2)),
    ("4-octet AS 0", opened(parameter(capability(65, bytes(4)))), Notification(2, 2)),
    ("identifier 0", opened(router_id=bytes(4)), Notification(2, 3)),
    ("hold time 1", opened(hold_time=1), Notification(2, 6)),
    ("hold time 2", opened(hold_time=2), Notification(2, 6)),
    ("authentication", opened(parameter(b"\0", 1)), Notification(2, 4)),
    ("parameter 3", opened(parameter(b"", 3)), Notification(2, 4)),
    ("parameter 255 later", opened(parameter(b"") + parameter(b"", 255)), Notification(2, 4)),
    ("parameter 255 extended", extended(wide(b"", 255)), Notification(2, 4)),
    ("extended, cut", message(OPEN, opened()[19:28] + b"\x03\xff\0"), UNSPECIFIC),
    ("extended, length + 1", extended(wide(capability(2)), off=1), UNSPECIFIC),
    ("extended, length - 1", extended(wide(capability(2)), off=-1), UNSPECIFIC),
    ("extended, parameter + 1", extended(wide(capability(2), off=1)), UNSPECIFIC),
    ("extended, parameter - 1", extended(wide(capability(2), off=-1)), UNSPECIFIC),
    ("length + 1", opened(parameter(capability(2)), off=1), UNSPECIFIC),
    ("length - 1", opened(parameter(capability(2)), off=-1), UNSPECIFIC),
    ("no parameters, length 1", opened(off=1), UNSPECIFIC),
    ("more behind", message(OPEN, opened()[19:] + b"\0"), UNSPECIFIC),
    ("parameter + 1", opened(parameter(capability(2), off=1)), UNSPECIFIC),
    ("parameter - 1", opened(parameter(capability(2), off=-1)), UNSPECIFIC),
    ("capability + 1", opened(parameter(capability(65, number(1, 4), off=1))), UNSPECIFIC),
    ("capability - 1", opened(parameter(capability(65, number(1, 4), off=-1))), UNSPECIFIC),
]


@pytest.mark.parametrize(("raw", "notification"), [row[1:] for row in OPENS],
                         ids=[row[0] for row in OPENS])  # fmt: skip
def test_an_open_that_is_wrong(raw: bytes, notification: Notification) -> None:
    assert refused(raw, Decoding()) == notification


# --- truncated at every octet --------------------------------------------------------------------

WHOLE_UPDATE = update(A, PATH, B + A)
LATER = len(WHOLE_UPDATE) - len(A)  # where the second prefix of the NLRI starts
BEGIN = message(ROUTE_REFRESH, b"\0\1\1\1")


Answer = Callable[[bytes], Notification | None]


def too_short(raw: bytes) -> Notification:
    return Notification(1, 2, number(len(raw), 2))


def cut_open(raw: bytes) -> Notification:
    return too_short(raw) if len(raw) < 29 else UNSPECIFIC


def cut_update(raw: bytes) -> Notification | None:
    if len(raw) < 23:
        return too_short(raw)
    if len(raw) < 19 + 2 + len(A) + 2 + len(PATH):
        return Notification(3, 1)
    fits = (LATER, LATER - len(B))  # nothing is announced, or one prefix of two
    return None if len(raw) in fits else Notification(3, 10)


def cut_notification(raw: bytes) -> Notification | None:
    return too_short(raw) if len(raw) < 21 else None


def cut_refresh(raw: bytes) -> Notification:
    return too_short(raw) if len(raw) < 22 else Notification(7, 1, raw)


CUTS = [
    pytest.param(FULL_OPEN, cut_open, id="OPEN"),
    pytest.param(extended(wide(capability(2))), cut_open, id="OPEN, extended"),
    pytest.param(WHOLE_UPDATE, cut_update, id="UPDATE"),
    pytest.param(message(NOTIFICATION, b"\6\2\4gone"), cut_notification, id="NOTIFICATION"),
    pytest.param(message(KEEPALIVE), too_short, id="KEEPALIVE"),
    pytest.param(message(ROUTE_REFRESH, b"\0\1\0\1"), too_short, id="ROUTE-REFRESH"),
    pytest.param(BEGIN, cut_refresh, id="ROUTE-REFRESH, begin"),
]


@pytest.mark.parametrize(("raw", "answer"), CUTS)
def test_truncated_at_every_octet(raw: bytes, answer: Answer) -> None:
    assert isinstance(decode(raw, ASN4), Message)
    for end in range(19, len(raw)):
        cut = again(raw[:end])
        expected = answer(cut)
        if expected is None:
            assert isinstance(decode(cut, ASN4), Message), end
        else:
            assert refused(cut) == expected, end


@pytest.mark.parametrize(("raw", "answer"), CUTS)
def test_truncated_at_every_octet_by_the_network(raw: bytes, answer: Answer) -> None:
    """Nothing is wrong with it yet: the rest is waited for."""
    for end in range(len(raw)):
        stream = Stream()
        stream.feed(raw[:end])
        assert list(stream.messages()) == []
        stream.feed(raw[end:])
        assert list(stream.messages()) == [raw]
        assert refused(raw[:end]) == Notification(1, 2, number(len(raw) if end >= 19 else end, 2))


@pytest.mark.parametrize(("raw", "answer"), CUTS)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_header_whose_length_is_off_by_one(raw: bytes, answer: Answer, off: int) -> None:
    """Either at once, or in the next header, which is not where it should be."""
    wrong = message(raw[18], raw[19:], len(raw) + off)
    stream = Stream()
    stream.feed(wrong + message(KEEPALIVE) * 2)
    with pytest.raises(DecodeError) as caught:
        list(stream.messages())
    keepalive = Notification(1, 2, number(len(raw) + off, 2))
    assert caught.value.notification == (keepalive if raw[18] == KEEPALIVE else Notification(1, 1))


# --- ROUTE-REFRESH -------------------------------------------------------------------------------

REFRESHES = [
    (message(ROUTE_REFRESH, b"\0\1\0\1\0"), Notification(1, 2, b"\0\x18")),
    (message(ROUTE_REFRESH, b"\0\1\1\1\0"), None),
    (message(ROUTE_REFRESH, b"\0\1\2"), None),
    (message(ROUTE_REFRESH, b"\0\1\3\1\0"), Notification(1, 2, b"\0\x18")),
]


@pytest.mark.parametrize(("raw", "notification"), REFRESHES)
def test_a_refresh_of_a_wrong_length(raw: bytes, notification: Notification | None) -> None:
    """That of the enhanced kind is answered with all of it (RFC 7313, section 5)."""
    assert refused(raw) == (notification or Notification(7, 1, raw))


# --- UPDATE --------------------------------------------------------------------------------------


def lengths(withdrawn: int = 0, path: int = 0) -> bytes:
    """An UPDATE whose lengths are that much off."""
    body = number(len(A) + withdrawn, 2) + A + number(len(PATH) + path, 2) + PATH + B
    return message(UPDATE, body)


UPDATES = [
    # A and one octet; then the attributes' length is 28 * 256 + 64
    pytest.param(lengths(withdrawn=1), Notification(3, 1), id="withdrawn routes + 1"),
    # A without its last octet, which makes the attributes' length 256
    pytest.param(lengths(withdrawn=-1), Notification(3, 1), id="withdrawn routes - 1"),
    # one octet of NLRI is no attribute; what is left of NLRI starts with 198 bits
    pytest.param(lengths(path=1), Notification(3, 10), id="attributes + 1"),
    # NEXT_HOP is cut off, NLRI starts with its last octet: 1 bit, 0x18; then 198 bits
    pytest.param(lengths(path=-1), Notification(3, 10), id="attributes - 1"),
    pytest.param(message(UPDATE, b"\xff\xff\0\0"), Notification(3, 1), id="more than there is"),
    pytest.param(message(UPDATE, b"\0\0\xff\xff"), Notification(3, 1), id="more attributes"),
    pytest.param(message(UPDATE, b"\0\1\0\0"), Notification(3, 1), id="no room for attributes"),
    pytest.param(update(b"\x21" + bytes(5)), Notification(3, 10), id="withdrawn: 33 bits"),
    pytest.param(update(A[:-1]), Notification(3, 10), id="withdrawn: cut off"),
    pytest.param(update(b"", PATH, b"\x21" + bytes(5)), Notification(3, 10), id="NLRI: 33 bits"),
    pytest.param(update(b"", PATH, A[:-1]), Notification(3, 10), id="NLRI: cut off"),
]


@pytest.mark.parametrize(("raw", "notification"), UPDATES)
def test_an_update_whose_fields_are_wrong(raw: bytes, notification: Notification) -> None:
    assert refused(raw) == notification


# --- the stream ----------------------------------------------------------------------------------


def drained(stream: Stream) -> list[bytes]:
    return list(stream.messages())


SEVERAL = [FULL_OPEN, message(KEEPALIVE), WHOLE_UPDATE, message(KEEPALIVE), update()]


@pytest.mark.parametrize("size", [1, 2, 7, 19, 20, 64, 1000])
def test_a_stream_in_pieces(size: int) -> None:
    stream, got, data = Stream(), list[bytes](), b"".join(SEVERAL)
    for at in range(0, len(data), size):
        stream.feed(data[at : at + size])
        got += drained(stream)
    assert got == SEVERAL


def test_who_stops_halfway_goes_on() -> None:
    stream = Stream()
    stream.feed(b"".join(SEVERAL))
    assert next(stream.messages()) == FULL_OPEN
    assert drained(stream) == SEVERAL[1:]


def test_longer_messages_may_be_allowed_between_two() -> None:
    long = message(UPDATE, bytes(5000))
    stream = Stream()
    stream.feed(message(KEEPALIVE) + long)
    taken = stream.messages()
    assert next(taken) == message(KEEPALIVE)
    stream.extended = True
    assert list(taken) == [long]


def test_what_is_wrong_comes_after_what_is_right() -> None:
    stream = Stream()
    stream.feed(message(KEEPALIVE) + bytes(19) + message(KEEPALIVE))
    taken = stream.messages()
    assert next(taken) == message(KEEPALIVE)
    with pytest.raises(DecodeError):
        next(taken)


def test_a_header_is_judged_before_the_rest_is_there() -> None:
    stream = Stream()
    stream.feed(message(UPDATE, length=4097)[:18])
    assert drained(stream) == []
    stream.feed(bytes([UPDATE]))
    with pytest.raises(DecodeError):
        drained(stream)


def test_a_stream_keeps_less_than_a_message() -> None:
    stream = Stream(extended=True)
    for _ in range(100):
        stream.feed(message(UPDATE, bytes(65516)))
        assert len(drained(stream)) == 1
    stream.feed(message(UPDATE, bytes(65515))[:-1])
    drained(stream)
    assert len(stream._buffer) < 65535
    stream.feed(b"\0" * 100)  # the message's last octet, and no marker
    with pytest.raises(DecodeError):
        drained(stream)
    stream.feed(bytes(100_000))
    assert len(stream._buffer) == 0


def kinds(items: Iterable[bytes]) -> list[type]:
    return [type(decode(item, ASN4)) for item in items]


def test_what_comes_out_can_be_decoded() -> None:
    stream = Stream()
    stream.feed(b"".join(SEVERAL))
    assert kinds(stream.messages()) == [Open, Keepalive, Update, Keepalive, Update]
