"""`intents.Attributes` → the bytes that one peer is told: pure functions of what was agreed."""

from __future__ import annotations

from functools import lru_cache

from bellmetal.intents import Attributes
from bellmetal_bgp import attributes as paths
from bellmetal_bgp.agreement import Agreement
from bellmetal_bgp.attributes import PathAttributes
from bellmetal_bgp.effects import Place
from bellmetal_bgp.families import IPV4_UNICAST, Family
from bellmetal_bgp.rib import Coded, Coder

LOCAL_PREF = 100  # where none is asked for: what routers take for none
GRACEFUL_SHUTDOWN = (65535, 0)  # RFC 8326


def path(attributes: Attributes, agreement: Agreement) -> PathAttributes:
    """The path attributes. LOCAL_PREF is for internal peers (RFC 4271, section 5.1.5), the AS path
    for external ones: our own number in an internal peer's would be a loop."""
    standard = tuple((c.parts[0], c.parts[1]) for c in attributes.communities if not c.large)
    large = tuple((c.parts[0], c.parts[1], c.parts[2]) for c in attributes.communities if c.large)
    preference = attributes.local_pref or LOCAL_PREF
    if GRACEFUL_SHUTDOWN in standard:
        preference = 0  # RFC 8326, section 3.1
    own = (agreement.local_asn,) * (1 + attributes.prepend)
    return PathAttributes(
        as_path=() if agreement.ibgp else own,
        med=attributes.med,
        local_pref=preference if agreement.ibgp else None,
        communities=standard,
        large_communities=large,
    )


def next_hop(
    attributes: Attributes, family: Family, agreement: Agreement, place: Place
) -> bytes | None:
    """4, 16 or 32 octets; None where this side has no address that can be one."""
    wanted = attributes.next_hop
    if wanted is not None and Family.of(wanted) == family:
        return wanted.packed
    if family == IPV4_UNICAST:
        crossing = agreement.ipv6_next_hop  # RFC 8950
        if place.ipv4 is not None and not (crossing and place.unnumbered):
            return place.ipv4.packed
        if not crossing:
            return None
    return b"".join(address.packed for address in place.ipv6) or None


def coder(family: Family, agreement: Agreement, place: Place) -> Coder:
    """Codes a family's attributes for one session; each set once."""

    @lru_cache(maxsize=1024)
    def code(attributes: Attributes) -> Coded | None:
        hop = next_hop(attributes, family, agreement, place)
        if hop is None:
            return None
        return Coded(paths.encode(path(attributes, agreement), agreement.asn4), hop)

    return code
