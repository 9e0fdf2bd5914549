"""Texts, addresses and ranges."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from bellmetal.addresses import (
    AddressError,
    IPAddress,
    Range,
    block_of,
    count_buggy,
    is_buggy,
    parse_address,
    parse_range,
)

T = TypeVar("T")

ADDRESS = st.ip_addresses()
NEARLY = st.text(alphabet="0123456789abcdef.:/- %", max_size=40)
NETWORK = st.builds(
    lambda address, less: ipaddress.ip_network(
        (address, max(0, address.max_prefixlen - less)), strict=False
    ),
    ADDRESS,
    st.integers(0, 32),
)


@st.composite
def small_ranges(draw: st.DrawFn) -> Range:
    """IPv4 ranges of at most 2,000 addresses."""
    first = draw(st.integers(0, 2**32 - 2000))
    last = first + draw(st.integers(0, 1999))
    return Range(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))


def attempt(parse: Callable[[str], T], text: str) -> tuple[str, T | None]:
    """Why it cannot be parsed, or what it is; any other exception is a failure."""
    try:
        return "", parse(text)
    except AddressError as error:
        return str(error), None


@given(st.text() | NEARLY)
def test_any_text_is_a_range_or_an_address_error(text: str) -> None:
    sentence, entry = attempt(parse_range, text)
    if entry is None:
        assert f'"{text}"' in sentence
    else:
        assert int(entry.first) <= int(entry.last)
        assert entry.first.version == entry.last.version


@given(st.text() | NEARLY)
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    sentence, address = attempt(parse_address, text)
    if address is None:
        assert sentence == f'"{text}" is not an IP address'
    else:
        assert parse_address(str(address)) == address


@given(ADDRESS)
def test_an_address_and_its_text_say_the_same(address: IPAddress) -> None:
    assert parse_address(str(address)) == address


@given(ADDRESS, ADDRESS)
def test_a_range_and_its_text_say_the_same(one: IPAddress, other: IPAddress) -> None:
    if one.version == other.version:
        entry = Range(*sorted([one, other], key=int))
        assert parse_range(str(entry)) == entry


@given(NETWORK)
def test_a_cidr_covers_its_network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    entry = parse_range(str(network))
    assert (entry.first, entry.last) == (network[0], network[-1])


@given(small_ranges())
def test_counting_buggy_addresses_and_looking_at_each_give_the_same(entry: Range) -> None:
    assert count_buggy(entry) == sum(is_buggy(address) for address in entry)


@given(small_ranges(), small_ranges())
def test_ranges_overlap_when_an_address_is_in_both(one: Range, other: Range) -> None:
    near = Range(one.last, one.last + 5) if int(one.last) < 2**32 - 6 else one
    for second in (other, near):
        shared = set(one) & set(second)
        assert one.overlaps(second) == second.overlaps(one) == bool(shared)


@given(ADDRESS)
def test_an_address_is_in_its_block_and_all_of_the_block_share_it(address: IPAddress) -> None:
    block = block_of(address)
    assert address in block
    assert block.num_addresses == 32
    assert block_of(block[0]) == block_of(block[-1]) == block
