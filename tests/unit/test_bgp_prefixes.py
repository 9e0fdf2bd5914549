"""NLRI: prefixes ⇄ bytes; what cannot be parsed is said so."""

from __future__ import annotations

import ipaddress

import pytest

from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.prefixes import PrefixError, count_prefixes, decode_prefixes, encode_prefix

ENCODED = [
    ("0.0.0.0/0", None, "00"),
    ("10.0.0.0/8", None, "080a"),
    ("10.128.0.0/9", None, "090a80"),
    ("192.0.2.1/32", None, "20c0000201"),
    ("192.0.2.1/32", 7, "0000000720c0000201"),
    ("::/0", None, "00"),
    ("2001:db8::/33", None, "2120010db800"),
    ("2001:db8::1/128", None, "8020010db8000000000000000000000001"),
    ("2001:db8::/32", 2**32 - 1, "ffffffff2020010db8"),
]


@pytest.mark.parametrize(("network", "path_id", "encoded"), ENCODED)
def test_a_prefix_has_the_octets_that_matter(
    network: str, path_id: int | None, encoded: str
) -> None:
    item = ipaddress.ip_network(network)
    data, family = encode_prefix(item, path_id), Family.of(item)
    assert data.hex() == encoded
    assert list(decode_prefixes(data, family, path_id is not None)) == [(item, path_id)]
    assert count_prefixes(data * 3, family, path_id is not None) == 3


def test_bits_behind_the_prefix_are_of_no_significance() -> None:
    (found,) = decode_prefixes(b"\x09\x0a\xff", IPV4_UNICAST)
    assert found == (ipaddress.ip_network("10.128.0.0/9"), None)


WRONG = [
    ("21c000020100", IPV4_UNICAST, False, "a prefix of 33 bits is longer than IPv4 unicast has"),
    ("080a21", IPV4_UNICAST, False, "a prefix of 33 bits is longer than IPv4 unicast has"),
    ("ff", IPV6_UNICAST, False, "a prefix of 255 bits is longer than IPv6 unicast has"),
    ("81" + "00" * 17, IPV6_UNICAST, False, "a prefix of 129 bits is longer than IPv6 unicast has"),
    ("20c00002", IPV4_UNICAST, False, "a prefix of 32 bits goes beyond the end"),
    ("080a18c0", IPV4_UNICAST, False, "a prefix of 24 bits goes beyond the end"),
    ("08", IPV4_UNICAST, False, "a prefix of 8 bits goes beyond the end"),
    ("0000000720c00002", IPV4_UNICAST, True, "a prefix of 32 bits goes beyond the end"),
    (
        "0000000721c000020100",
        IPV4_UNICAST,
        True,
        "a prefix of 33 bits is longer than IPv4 unicast has",
    ),
    ("00000007", IPV4_UNICAST, True, "4 octets at the end are no path ID and prefix"),
    ("00000007080a00", IPV4_UNICAST, True, "1 octets at the end are no path ID and prefix"),
]


@pytest.mark.parametrize(("data", "family", "add_path", "words"), WRONG)
def test_what_cannot_be_parsed(data: str, family: Family, add_path: bool, words: str) -> None:
    with pytest.raises(PrefixError) as caught:
        count_prefixes(bytes.fromhex(data), family, add_path)
    assert str(caught.value) == words
    with pytest.raises(PrefixError):
        decode_prefixes(bytes.fromhex(data), family, add_path)


def test_a_family_is_its_pair_of_numbers() -> None:
    assert Family(1, 1) == IPV4_UNICAST == (1, 1)
    assert Family.of(ipaddress.ip_address("2001:db8::1")) == IPV6_UNICAST
    assert [str(Family(*pair)) for pair in [(1, 1), (2, 1), (1, 128), (25, 70), (9, 9)]] == [
        "IPv4 unicast",
        "IPv6 unicast",
        "IPv4 VPN",
        "L2VPN EVPN",
        "AFI 9 SAFI 9",
    ]
