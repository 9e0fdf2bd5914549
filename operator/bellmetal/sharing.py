"""Who uses an address, and who else may: MetalLB's rules of allow-shared-ip.

A Service may use an address that others use if all of this holds:

=====  ========================================================================================
rule   what it says
=====  ========================================================================================
1      its sharing key (the annotation) is theirs, and not empty
2      its backend key is theirs: empty for externalTrafficPolicy Cluster, else the selector
3      none of its ports (protocol and number) is one of theirs
=====  ========================================================================================

Whoever is the only user may change its terms as it likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.cluster import Sharing
from bellmetal.intents import RefusedReason

NOTHING: Mapping[str, Sharing] = {}


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a Service may not use an address that others use."""

    reason: RefusedReason
    message: str


class Users:
    """Every address in use: by whom (Service keys), on which terms."""

    def __init__(self) -> None:
        self._users: dict[IPAddress, dict[str, Sharing]] = {}
        self._by_terms: dict[tuple[str, str], set[IPAddress]] = {}
        self.numbers: dict[int, set[int]] = {4: set(), 6: set()}  # IP version → those in use

    def __contains__(self, address: IPAddress) -> bool:
        return address in self._users

    def of(self, address: IPAddress) -> Mapping[str, Sharing]:
        """Its users and their terms."""
        return self._users.get(address, NOTHING)

    def add(self, address: IPAddress, key: str, terms: Sharing) -> None:
        """From now on that Service uses it."""
        self._users.setdefault(address, {})[key] = terms
        self.numbers[address.version].add(int(address))
        if terms.key:
            self._by_terms.setdefault((terms.key, terms.backend), set()).add(address)

    def remove(self, address: IPAddress, key: str) -> None:
        """That Service uses it no more."""
        users = self._users[address]
        del users[key]
        if not users:
            del self._users[address]
            self.numbers[address.version].discard(int(address))

    def shareable(self, terms: Sharing) -> Iterable[IPAddress]:
        """Addresses whose users have the same keys; the ports are still to be looked at."""
        found = self._by_terms.get((terms.key, terms.backend), ()) if terms.key else ()
        return [address for address in found if address in self._users]

    def clash(self, address: IPAddress, key: str, terms: Sharing) -> Clash | None:
        """What is against a Service using it; None if nothing is."""
        if address not in self._users:
            return None
        others = {name: item for name, item in self.of(address).items() if name != key}
        differing = sorted(name for name, item in others.items() if not item.agrees(terms))
        if differing:
            why = _difference(terms, differing[0], others[differing[0]])
            names = ",".join(sorted(others))
            message = f'can\'t change sharing key for "{key}", address also in use by {names}'
            wants_to = terms.key or others[differing[0]].key
            reason = RefusedReason.SHARING if wants_to else RefusedReason.ADDRESS_TAKEN
            return Clash(reason, f"{message} ({address}: {why})")
        for name, item in sorted(others.items()):
            for port in sorted(terms.ports & item.ports):
                message = f'port {port} is already in use on "{address}"'
                detail = f'by {name}, sharing key "{item.key}"'
                return Clash(RefusedReason.PORT_IN_USE, f"{message} ({detail})")
        return None


def _difference(terms: Sharing, name: str, other: Sharing) -> str:
    if not terms.key and not other.key:
        return "neither has the annotation metallb.io/allow-shared-ip"
    if not terms.key:
        return "this Service has no annotation metallb.io/allow-shared-ip"
    if not other.key:
        return f"{name} has no annotation metallb.io/allow-shared-ip"
    if terms.key != other.key:
        return f'its sharing key "{terms.key}" is not "{other.key}" of {name}'
    return f"externalTrafficPolicy or, where it is Local, the selector differs from {name}"
