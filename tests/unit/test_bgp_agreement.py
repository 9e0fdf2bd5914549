"""What both OPEN messages come to; what is refused is in test_bgp_session.py."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from bellmetal.config import Gateway
from bellmetal.intents import PeerPlan
from bellmetal_bgp.agreement import Agreement, agree, families, in_words, our_open
from bellmetal_bgp.capabilities import BOTH, RECEIVE, SEND, Capabilities, GracefulRestart
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import Open
from bgp_facts import peer

ME, HIM = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.1")
V4, V6 = IPV4_UNICAST, IPV6_UNICAST
SIX = ipaddress.ip_address("2001:db8::1")


@pytest.mark.parametrize(
    ("fields", "carried"),
    [
        ({}, (V4,)),
        ({"address": SIX}, (V6,)),
        ({"dual_stack": True}, (V4, V6)),
        ({"address": SIX, "dual_stack": True}, (V4, V6)),
        ({"address": None, "interface": "eth0"}, (V4, V6)),
        ({"address": None, "gateway": Gateway.IPV4}, (V4,)),
        ({"address": None, "gateway": Gateway.IPV6}, (V6,)),
        ({"address": None, "gateway": Gateway.IPV6, "dual_stack": True}, (V4, V6)),
    ],
)
def test_the_families_of_a_peer(fields: dict[str, object], carried: tuple[Family, ...]) -> None:
    assert families(replace(peer(), **fields)) == carried  # type: ignore[arg-type]


# --- our OPEN ------------------------------------------------------------------------------------


def said(restarting: bool = False, **fields: object) -> Open:
    return our_open(replace(peer(), **fields), ME, restarting)  # type: ignore[arg-type]


def test_our_open() -> None:
    assert said() == Open(
        64512,
        90,
        ME,
        Capabilities(
            families=frozenset({V4}),
            route_refresh=True,
            enhanced_refresh=True,
            asn4=64512,
            extended_messages=True,
        ),
    )


def test_our_open_says_what_is_asked_for() -> None:
    assert said(local_asn=65001).asn == 65001
    assert said(local_asn=65001).capabilities.asn4 == 65001
    assert said(my_asn=4200000000).capabilities.asn4 == 4200000000
    assert said(hold_time=0).hold_time == 0
    assert said(hold_time=180).hold_time == 180
    assert said(add_path=True).capabilities.add_path == {V4: SEND}
    assert said().capabilities.extended_next_hop == frozenset()
    both = said(dual_stack=True).capabilities
    assert both.extended_next_hop == {(V4, V6.afi)}
    kept = said(restarting=True, dual_stack=True, graceful_restart=True).capabilities
    assert kept.graceful_restart == GracefulRestart(True, True, 120, {V4: True, V6: True})


# --- both ----------------------------------------------------------------------------------------

CAPABLE = Capabilities(families=frozenset({V4, V6}), route_refresh=True, asn4=64513)


def agreed(plan: dict[str, object], **theirs: object) -> Agreement:
    mine = replace(peer(), **({"dual_stack": True} | plan))  # type: ignore[arg-type]
    his = Open(64513, 90, HIM, replace(CAPABLE, **theirs))  # type: ignore[arg-type]
    return agree(mine, our_open(mine, ME, False), his)


def test_what_is_agreed_without_more() -> None:
    assert agreed({}) == Agreement(False, True, 64512, 64513, 90, 30.0, (V4, V6))


KEEPS = GracefulRestart(notification=True, families={V4: False})


@pytest.mark.parametrize(
    ("plan", "theirs", "holds"),
    [
        ({}, {"asn4": None}, {"asn4": False}),
        ({}, {"extended_messages": True}, {"extended": True}),
        ({}, {"enhanced_refresh": True}, {"enhanced_refresh": True}),
        ({}, {"extended_next_hop": frozenset({(V4, 2)})}, {"ipv6_next_hop": True}),
        ({}, {"extended_next_hop": frozenset({(V6, 1)})}, {"ipv6_next_hop": False}),
        ({}, {"families": frozenset({V6})}, {"families": (V6,)}),
        ({}, {"families": frozenset()}, {"families": (V4,)}),
        ({}, {"families": frozenset({V6, Family(25, 70)})}, {"families": (V6,)}),
        ({"add_path": True}, {"add_path": {V4: RECEIVE}}, {"add_path": frozenset({V4})}),
        ({"add_path": True}, {"add_path": {V4: SEND, V6: BOTH}}, {"add_path": frozenset({V6})}),
        ({}, {"add_path": {V4: BOTH}}, {"add_path": frozenset()}),
        ({}, {"graceful_restart": KEEPS}, {"keeps_routes": False, "soft": False}),
        (
            {"graceful_restart": True},
            {"graceful_restart": KEEPS},
            {"keeps_routes": True, "soft": True},
        ),
        (
            {"graceful_restart": True},
            {"graceful_restart": GracefulRestart()},
            {"keeps_routes": True, "soft": False},
        ),
        (
            {"graceful_restart": True, "dual_stack": False},
            {"graceful_restart": GracefulRestart(families={V6: True})},
            {"keeps_routes": False},
        ),
        ({"graceful_restart": True}, {}, {"keeps_routes": False, "soft": False}),
        ({"my_asn": 64513}, {}, {"ibgp": True}),
        ({"local_asn": 64513}, {}, {"ibgp": True, "local_asn": 64513}),
    ],
)
def test_what_is_agreed(
    plan: dict[str, object], theirs: dict[str, object], holds: dict[str, object]
) -> None:
    found = agreed(plan, **theirs)
    assert {name: getattr(found, name) for name in holds} == holds


def test_how_the_peers_messages_are_read() -> None:
    decoding = agreed({"my_asn": 64513, "add_path": True}, add_path={V4: BOTH}).decoding()
    assert (decoding.asn4, decoding.ibgp, decoding.extended) == (True, True, False)
    assert decoding.families == {V4, V6}
    assert decoding.add_path == frozenset(), "we send several paths, and take one"


# --- in words ------------------------------------------------------------------------------------


def test_in_words() -> None:
    plan: PeerPlan = replace(peer(), graceful_restart=True, keepalive_time=7)
    ours = our_open(plan, ME, False)
    told = replace(CAPABLE, graceful_restart=GracefulRestart(time=180), unknown=(99,))
    theirs = Open(64513, 60, HIM, told)
    found = in_words(agree(plan, ours, theirs), ours, theirs, ("192.0.2.10", "192.0.2.1"))
    assert (found.hold_time, found.keepalive_time) == (60, 7.0)
    assert (found.local_asn, found.peer_asn) == (64512, 64513)
    assert (found.local_address, found.peer_address) == ("192.0.2.10", "192.0.2.1")
    assert (found.local_router_id, found.peer_router_id) == ("192.0.2.10", "192.0.2.1")
    assert found.capabilities[:3] == ("IPv4 unicast", "route refresh", "4-octet AS")
    assert "extended messages" not in found.capabilities, "the peer has none"
    assert any(word.startswith("graceful restart") for word in found.capabilities)
