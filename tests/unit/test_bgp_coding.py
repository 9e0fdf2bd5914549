"""Attributes as intended → as one peer is told them: a table of attributes and agreements."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from bellmetal.config import Community
from bellmetal.intents import Attributes
from bellmetal_bgp.agreement import Agreement
from bellmetal_bgp.attributes import PathAttributes
from bellmetal_bgp.coding import coder, next_hop, path
from bellmetal_bgp.effects import Place
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family

EBGP = Agreement(False, True, 64512, 64513, 90, 30.0, (IPV4_UNICAST, IPV6_UNICAST))
IBGP = replace(EBGP, ibgp=True, peer_asn=64512)
PLAIN, LARGE = Community((64512, 1)), Community((1, 2, 3))
SHUTDOWN = Community((65535, 0))


@pytest.mark.parametrize(
    ("attributes", "agreement", "told"),
    [
        (Attributes(), EBGP, PathAttributes(as_path=(64512,))),
        (Attributes(), IBGP, PathAttributes(local_pref=100)),
        (Attributes(local_pref=50), EBGP, PathAttributes(as_path=(64512,))),
        (Attributes(local_pref=50), IBGP, PathAttributes(local_pref=50)),
        (Attributes(med=0), EBGP, PathAttributes(as_path=(64512,), med=0)),
        (Attributes(med=7), IBGP, PathAttributes(med=7, local_pref=100)),
        (Attributes(prepend=2), EBGP, PathAttributes(as_path=(64512,) * 3)),
        (Attributes(prepend=2), IBGP, PathAttributes(local_pref=100)),
        (
            Attributes(communities=(PLAIN, LARGE)),
            EBGP,
            PathAttributes((64512,), communities=((64512, 1),), large_communities=((1, 2, 3),)),
        ),
        (
            Attributes(local_pref=300, communities=(SHUTDOWN,)),
            IBGP,
            PathAttributes(local_pref=0, communities=((65535, 0),)),
        ),
        (
            Attributes(communities=(SHUTDOWN,)),
            EBGP,
            PathAttributes((64512,), communities=((65535, 0),)),
        ),
        (Attributes(), replace(EBGP, local_asn=65001), PathAttributes(as_path=(65001,))),
    ],
)
def test_the_path(attributes: Attributes, agreement: Agreement, told: PathAttributes) -> None:
    assert path(attributes, agreement) == told


FOUR, SIX = IPv4Address("192.0.2.10"), IPv6Address("2001:db8::10")
LINK = IPv6Address("fe80::10")
PLACE = Place("192.0.2.10", "192.0.2.1", FOUR, ipv4=FOUR, ipv6=(SIX,))
ONLY4, ONLY6 = replace(PLACE, ipv6=()), replace(PLACE, ipv4=None)
UNNUMBERED = replace(PLACE, ipv6=(LINK,), unnumbered=True)
CROSSING = replace(EBGP, ipv6_next_hop=True)
HOP4, HOP6 = ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address("2001:db8::77")


@pytest.mark.parametrize(
    ("wanted", "family", "agreement", "place", "hop"),
    [
        (None, IPV4_UNICAST, EBGP, PLACE, FOUR.packed),
        (None, IPV6_UNICAST, EBGP, PLACE, SIX.packed),
        (None, IPV6_UNICAST, EBGP, replace(PLACE, ipv6=(SIX, LINK)), SIX.packed + LINK.packed),
        (None, IPV6_UNICAST, EBGP, ONLY4, None),
        (None, IPV4_UNICAST, EBGP, ONLY6, None),
        (None, IPV4_UNICAST, CROSSING, ONLY6, SIX.packed),
        (None, IPV4_UNICAST, CROSSING, PLACE, FOUR.packed),
        (None, IPV4_UNICAST, CROSSING, UNNUMBERED, LINK.packed),
        (None, IPV4_UNICAST, EBGP, UNNUMBERED, FOUR.packed),
        (HOP4, IPV4_UNICAST, EBGP, PLACE, HOP4.packed),
        (HOP6, IPV6_UNICAST, EBGP, PLACE, HOP6.packed),
        (HOP6, IPV4_UNICAST, EBGP, PLACE, FOUR.packed),
        (HOP4, IPV6_UNICAST, EBGP, PLACE, SIX.packed),
        (HOP4, IPV4_UNICAST, EBGP, ONLY6, HOP4.packed),
        (HOP6, IPV6_UNICAST, EBGP, ONLY4, HOP6.packed),
    ],
)
def test_the_next_hop(
    wanted: IPv4Address | IPv6Address | None,
    family: Family,
    agreement: Agreement,
    place: Place,
    hop: bytes | None,
) -> None:
    assert next_hop(Attributes(next_hop=wanted), family, agreement, place) == hop


def test_what_has_no_next_hop_is_not_coded() -> None:
    assert coder(IPV6_UNICAST, EBGP, ONLY4)(Attributes()) is None


def test_each_set_of_attributes_is_coded_once() -> None:
    code = coder(IPV4_UNICAST, EBGP, PLACE)
    assert code(Attributes(med=1)) is code(Attributes(med=1))
    assert code(Attributes(med=1)) != code(Attributes(med=2))


def test_a_peer_without_four_octet_numbers() -> None:
    old = replace(EBGP, asn4=False, local_asn=4200000000)
    coded = coder(IPV4_UNICAST, old, PLACE)(Attributes())
    assert coded is not None
    assert b"\x40\x02\x04\x02\x01\x5b\xa0" in coded.path.head, "AS_TRANS"
    assert b"\xc0\x11\x06\x02\x01\xfa\x56\xea\x00" in coded.path.tail, "AS4_PATH"
