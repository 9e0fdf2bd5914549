"""Ranges, families, blocks."""

from __future__ import annotations

import pytest

from bellmetal.addresses import (
    AddressError,
    Family,
    block_of,
    count_buggy,
    family_of,
    is_buggy,
    parse_address,
    parse_range,
    printable,
    quoted,
)
from builders import addresses, ranges


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        pytest.param("192.0.2.0/24", "192.0.2.0", "192.0.2.255", id="a CIDR is all of its net"),
        pytest.param("192.0.2.9/24", "192.0.2.0", "192.0.2.255", id="host bits are dropped"),
        pytest.param("192.0.2.7/32", "192.0.2.7", "192.0.2.7", id="a /32 is one address"),
        pytest.param("192.0.2.1-192.0.2.5", "192.0.2.1", "192.0.2.5", id="both ends are in it"),
        pytest.param("192.0.2.1 - 192.0.2.5", "192.0.2.1", "192.0.2.5", id="blanks are allowed"),
        pytest.param("192.0.2.5-192.0.2.5", "192.0.2.5", "192.0.2.5", id="one address is a range"),
        pytest.param("2001:db8::/120", "2001:db8::", "2001:db8::ff", id="IPv6 has CIDRs too"),
        pytest.param("0.0.0.0/0", "0.0.0.0", "255.255.255.255", id="everything is a range"),
    ],
)
def test_what_a_range_covers(text: str, first: str, last: str) -> None:
    entry = parse_range(text)
    assert (str(entry.first), str(entry.last)) == (first, last)
    assert entry.size == int(entry.last) - int(entry.first) + 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", '"" is neither a CIDR nor a range', id="nothing"),
        pytest.param("192.0.2.1", '"192.0.2.1" is neither a CIDR nor a range', id="one address"),
        pytest.param(
            "192.0.2.0/33", '"192.0.2.0/33" is neither a CIDR nor a range', id="a long prefix"
        ),
        pytest.param(
            " 192.0.2.0/24", '" 192.0.2.0/24" is neither a CIDR nor a range', id="a leading blank"
        ),
        pytest.param(
            "192.0.2.9-192.0.2.1",
            '"192.0.2.9-192.0.2.1" ends before it begins',
            id="the end comes first",
        ),
        pytest.param(
            "192.0.2.9-2001:db8::1", '"192.0.2.9-2001:db8::1" mixes IPv4 and IPv6', id="families"
        ),
        pytest.param(
            "192.0.2.1-x", '"192.0.2.1-x" is not a range: "x" is not an IP address', id="a bad end"
        ),
        pytest.param(
            "-192.0.2.1", '"-192.0.2.1" is not a range: "" is not an IP address', id="no beginning"
        ),
        pytest.param(
            "192.0.2.1-192.0.2.2-192.0.2.3",
            '"192.0.2.1-192.0.2.2-192.0.2.3" is not a range:'
            ' "192.0.2.2-192.0.2.3" is not an IP address',
            id="three ends",
        ),
    ],
)
def test_what_is_no_range(text: str, sentence: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_range(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.256", "192.0.2.01", " 192.0.2.1", "web"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert str(caught.value) == f'"{text}" is not an IP address'


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        pytest.param("192.0.2.0/25", "192.0.2.128/25", False, id="neighbours do not overlap"),
        pytest.param("192.0.2.0/24", "192.0.2.128/25", True, id="a part overlaps with its whole"),
        pytest.param("192.0.2.1-192.0.2.9", "192.0.2.9-192.0.2.12", True, id="one shared end"),
        pytest.param("0.0.0.0/0", "::/0", False, id="families never overlap"),
    ],
)
def test_overlaps(one: str, other: str, overlap: bool) -> None:
    [a, b] = ranges(one, other)
    assert (a.overlaps(b), b.overlaps(a)) == (overlap, overlap)


def test_a_range_is_iterated_in_ascending_order() -> None:
    [entry] = ranges("192.0.2.254-192.0.3.1")
    assert tuple(entry) == addresses("192.0.2.254", "192.0.2.255", "192.0.3.0", "192.0.3.1")


def test_a_range_contains_no_address_of_the_other_family() -> None:
    [everything] = ranges("0.0.0.0/0")
    [address] = addresses("::1")
    assert address not in everything


@pytest.mark.parametrize(
    ("address", "family", "buggy"),
    [
        pytest.param("192.0.2.0", Family.IPV4, True, id=".0 is buggy"),
        pytest.param("192.0.2.255", Family.IPV4, True, id=".255 is buggy"),
        pytest.param("192.0.2.1", Family.IPV4, False, id=".1 is not"),
        pytest.param("2001:db8::", Family.IPV6, False, id="IPv6 never is"),
    ],
)
def test_families_and_buggy_addresses(address: str, family: Family, buggy: bool) -> None:
    parsed = parse_address(address)
    assert (family_of(parsed), is_buggy(parsed)) == (family, buggy)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("192.0.2.0/24", 2, id="two in a /24"),
        pytest.param("192.0.2.1-192.0.2.254", 0, id="none inside"),
        pytest.param("192.0.2.255-192.0.3.0", 2, id="two at a border"),
        pytest.param("10.0.0.0/8", 131072, id="two for each /24 of a /8"),
        pytest.param("2001:db8::/64", 0, id="none in IPv6"),
    ],
)
def test_how_many_addresses_are_buggy(text: str, count: int) -> None:
    assert count_buggy(parse_range(text)) == count


@pytest.mark.parametrize(
    ("address", "block"),
    [("192.0.2.77", "192.0.2.64/27"), ("2001:db8::1:23", "2001:db8::1:20/123")],
)
def test_a_block_holds_32_addresses(address: str, block: str) -> None:
    assert str(block_of(parse_address(address))) == block


def test_texts_are_quoted_as_in_the_sentences_of_metallb() -> None:
    assert quoted(["192.0.2.1", "192.0.2.2"]) == '["192.0.2.1" "192.0.2.2"]'


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("plain words", "plain words"),
        ("two\nlines\x1b[31m\x00", "two\\nlines\\x1b[31m\\x00"),
        ("Zürich", "Zürich"),
        ("x" * 2000, "x" * 1000 + "…"),
    ],
)
def test_a_sentence_that_quotes_anything_stays_on_one_line(sentence: str, shown: str) -> None:
    assert printable(sentence) == shown
