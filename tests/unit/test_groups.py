"""Solicited-node groups: joined when the first address needs one, left when the last does not."""

from __future__ import annotations

import ipaddress

from bellmetal_layer2.groups import Groups, Join, Leave

ONE = ipaddress.IPv6Address("2001:db8::1")
OTHER = ipaddress.IPv6Address("2001:db8:ffff::1")  # the same last 24 bits
GROUP = ipaddress.IPv6Address("ff02::1:ff00:1")


def test_a_group_is_joined_once_where_it_is_needed() -> None:
    it = Groups()
    assert it.want(ONE, "eth0") == [Join("eth0", GROUP)]
    assert it.want(ONE, "eth1") == [Join("eth1", GROUP)]
    assert it.want(ONE, "eth0") == []


def test_it_is_left_where_it_is_needed_no_more() -> None:
    it = Groups()
    it.want(ONE, "eth0")
    it.want(ONE, "eth1")
    assert it.drop(ONE, "eth1") == [Leave("eth1", GROUP)]
    assert it.drop(ONE, "eth1") == []
    assert it.drop(ONE, "eth0") == [Leave("eth0", GROUP)]


def test_two_addresses_share_a_group() -> None:
    it = Groups()
    it.want(ONE, "eth0")
    assert it.want(OTHER, "eth0") == []
    assert it.drop(ONE, "eth0") == []
    assert it.drop(OTHER, "eth0") == [Leave("eth0", GROUP)]


def test_what_is_gone_with_its_interface_is_joined_again() -> None:
    it = Groups()
    for address in (ONE, OTHER):
        it.want(address, "eth0")
        it.want(address, "eth1")
    it.forget(frozenset({"eth0"}))
    assert it.drop(OTHER, "eth0") == []
    assert it.want(ONE, "eth0") == [Join("eth0", GROUP)]
    assert it.want(ONE, "eth1") == []
