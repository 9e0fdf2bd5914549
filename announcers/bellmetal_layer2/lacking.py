"""What this node's interfaces lack for addresses that it should own: findings, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bellmetal.addresses import IPAddress
from bellmetal.facts import Finding, Interface
from bellmetal.intents import Announcement
from bellmetal_layer2.places import has_ipv6

MOST_NAMED = 5  # addresses in a finding


def lacking(unable: Iterable[Announcement], here: Sequence[Interface]) -> list[Finding]:
    """Addresses that none of the interfaces can answer for, by what these lack."""
    found: dict[str, list[IPAddress]] = {}
    for item in unable:
        found.setdefault(_lack(item, here), []).append(item.address)
    return [Finding("noInterface", f"{text}: {_shortened(which)}") for text, which in found.items()]


def _lack(item: Announcement, here: Sequence[Interface]) -> str:
    able = [one for one in here if not item.interfaces or one.name in item.interfaces]
    if not able:
        names = ", ".join(sorted(item.interfaces))
        return f"none of the interfaces {names} is here" if names else "no usable interface"
    if item.address.version == 6 and not any(map(has_ipv6, able)):
        return "no interface has an IPv6 link-local address"
    return "no interface has an address in the subnet"


def _shortened(addresses: list[IPAddress]) -> str:
    """The first of them, and how many there are."""
    text = ", ".join(map(str, addresses[:MOST_NAMED]))
    rest = len(addresses) - MOST_NAMED
    return f"{text} and {rest} more" if rest > 0 else text
