"""Solicited-node groups: joined when the first address needs one, left when the last does not."""

from __future__ import annotations

import ipaddress

from bellmetal_layer2.groups import Groups, Join, Leave

ONE = ipaddress.IPv6Address("2001:db8::1")
OTHER = ipaddress.IPv6Address("2001:db8:ffff::1")  # the same last 24 bits
GROUP = ipaddress.IPv6Address("ff02::1:ff00:1")
NOWHERE: frozenset[str] = frozenset()
ETH0, BOTH = frozenset({"eth0"}), frozenset({"eth0", "eth1"})


def test_a_group_is_joined_once_where_it_is_needed() -> None:
    it = Groups()
    assert it.want(ONE, BOTH) == [Join("eth0", GROUP), Join("eth1", GROUP)]
    assert it.want(ONE, BOTH) == []


def test_it_is_left_where_it_is_needed_no_more() -> None:
    it = Groups()
    it.want(ONE, BOTH)
    assert it.want(ONE, ETH0) == [Leave("eth1", GROUP)]
    assert it.want(ONE, NOWHERE) == [Leave("eth0", GROUP)]
    assert it.want(ONE, NOWHERE) == []


def test_two_addresses_share_a_group() -> None:
    it = Groups()
    it.want(ONE, ETH0)
    assert it.want(OTHER, ETH0) == []
    assert it.want(ONE, NOWHERE) == []
    assert it.want(OTHER, NOWHERE) == [Leave("eth0", GROUP)]


def test_what_is_gone_with_its_interface_is_joined_again() -> None:
    it = Groups()
    it.want(ONE, BOTH)
    it.want(OTHER, BOTH)
    it.forget(ETH0)
    assert it.want(ONE, BOTH) == [Join("eth0", GROUP)]
    assert it.want(OTHER, BOTH) == []
    assert it.want(ONE, NOWHERE) == []
    assert it.want(OTHER, NOWHERE) == [Leave("eth0", GROUP), Leave("eth1", GROUP)]
