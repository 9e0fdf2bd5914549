"""What must hold for any octets that a BGP peer sends: the stream, the messages, the UPDATEs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import (
    DecodeError,
    Decoding,
    Message,
    Notification,
    Open,
    Stream,
    Update,
    decode,
    encode,
)
from bellmetal_bgp.notifications import words
from fuzz.choices import Choices

FAMILIES = [IPV4_UNICAST, IPV6_UNICAST]
KINDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 32, 99]
FLAGS = [0x40, 0x80, 0xC0, 0x50, 0x90, 0xD0, 0x00, 0xE0]
MOST_WORDS = 600  # sentences of one UPDATE: two for each type of attribute, and some


def stream(data: bytes) -> None:
    """However it is cut: the same messages, and the same error at the same place."""
    choices = Choices(data)
    negotiated = _decoding(choices)
    sizes = [1 + choices.number() for _ in range(4)]
    whole = choices.rest()
    if _bare(whole):
        whole = b"".join(_framed(Choices(whole)))
    at_once = _taken([whole], negotiated.extended)
    assert _taken(list(_pieces(whole, sizes)), negotiated.extended) == at_once
    for raw in at_once:
        if isinstance(raw, bytes):
            _message(raw, negotiated)


def _bare(whole: bytes) -> bool:
    """Whether it has no marker of its own: then it is made into messages."""
    return not whole.startswith(b"\xff" * 4)


def _framed(choices: Choices) -> Iterator[bytes]:
    while choices.left:
        kind, off = choices.number(), choices.of([0, 0, 0, 0, 0, 0, 1, -1])
        body = choices.octets(choices.number())
        yield b"\xff" * 16 + (19 + len(body) + off).to_bytes(2, "big") + bytes([kind % 7]) + body


def _pieces(whole: bytes, sizes: list[int]) -> Iterator[bytes]:
    at, number = 0, 0
    while at < len(whole):
        size = sizes[number % len(sizes)]
        yield whole[at : at + size]
        at, number = at + size, number + 1


def _taken(pieces: list[bytes], extended: bool) -> list[bytes | Notification]:
    it, got = Stream(extended), list[bytes | Notification]()
    for piece in pieces:
        it.feed(piece)
        try:
            for raw in it.messages():
                assert raw.startswith(b"\xff" * 16)
                assert 19 <= len(raw) <= (65535 if extended else 4096)
                got.append(raw)
        except DecodeError as error:
            _told(error)
            assert error.notification.code == 1
            assert not it._buffer
            return [*got, error.notification]
        assert len(it._buffer) < 65535
    return got


def _told(error: DecodeError) -> None:
    """An error can be said to the peer and to people."""
    raw = encode(error.notification)
    assert len(raw) <= 4096
    assert decode(raw) == replace(error.notification, data=error.notification.data[:4075])
    assert str(error).isprintable()
    assert words(error.notification).isprintable()


def _message(raw: bytes, negotiated: Decoding) -> Message | None:
    try:
        item = decode(raw, negotiated)
    except DecodeError as error:
        _told(error)
        assert error.notification.data in raw or error.notification.code == 2
        return None
    match item:
        case Update():
            _update(item, len(raw))
        case Open():
            assert item.asn > 0
            assert item.hold_time not in (1, 2)
            assert all(word.isprintable() for word in item.capabilities.words())
            known = replace(item, capabilities=replace(item.capabilities, unknown=()))
            if len(known.capabilities.extended_next_hop) <= 42:  # one capability has no more room
                assert decode(encode(known)) == known
        case _:
            assert decode(encode(item)) == item
            assert not isinstance(item, Notification) or words(item).isprintable()
    return item


def _update(item: Update, length: int) -> None:
    total = sum(item.announced.values()) + sum(item.withdrawn.values())
    assert total <= length - 23
    assert {*item.announced, *item.withdrawn} <= {*FAMILIES}
    assert not (item.treat_as_withdraw and item.announced)
    assert item.end_of_rib is None or not total
    assert len(set(item.attributes)) == len(item.attributes)
    assert len(item.discarded) <= MOST_WORDS
    assert all(text.isprintable() for text in (item.treat_as_withdraw, *item.discarded))


def update(data: bytes) -> None:
    """Fields and attributes of any kind: judged, and told where it must be."""
    choices = Choices(data)
    negotiated = _decoding(choices)
    withdrawn = choices.octets(choices.number() % 64)
    nlri = choices.octets(choices.number() % 64)
    path = b"".join(_attributes(choices)) if choices.flag() else choices.rest()
    body = len(withdrawn).to_bytes(2, "big") + withdrawn
    body += len(path).to_bytes(2, "big") + path + nlri
    raw = b"\xff" * 16 + (19 + len(body)).to_bytes(2, "big") + b"\2" + body
    first = _message(raw, negotiated)
    assert _message(raw, negotiated) == first
    if isinstance(first, Update):
        for family in FAMILIES:  # what is not the session's is not counted
            without = negotiated.families - {family}
            other = _message(raw, replace(negotiated, families=without))
            assert not isinstance(other, Update) or family not in {
                *other.announced,
                *other.withdrawn,
            }


def _attributes(choices: Choices) -> Iterator[bytes]:
    while choices.left:
        flags, kind = choices.of(FLAGS), choices.of(KINDS)
        value = _value(choices, kind)
        off = choices.of([0] * 14 + [1, -1])
        length = max(0, len(value) + off)
        yield bytes([flags, kind]) + length.to_bytes(2 if flags & 0x10 else 1, "big") + value


def _value(choices: Choices, kind: int) -> bytes:
    """Often of a length that can be."""
    size = choices.number() % 48
    if kind in (14, 15) and choices.flag():
        family = choices.of([*FAMILIES, Family(25, 70)])
        value = family.afi.to_bytes(2, "big") + bytes([family.safi])
        if kind == 14:
            length = choices.of([16, 32, 4, 0, 24])
            value += bytes([length]) + choices.octets(length).ljust(length, b"\0") + b"\0"
        return value + choices.octets(size)
    return choices.octets(choices.of([size, size // 4 * 4, 4, 1, size // 8 * 8]))


def _decoding(choices: Choices) -> Decoding:
    bits = choices.number(2)
    return Decoding(
        asn4=bool(bits & 1),
        extended=bool(bits & 2),
        ibgp=bool(bits & 4),
        families=frozenset(f for n, f in enumerate(FAMILIES) if not bits >> 3 + n & 1),
        add_path=frozenset(f for n, f in enumerate(FAMILIES) if bits >> 5 + n & 1),
    )
