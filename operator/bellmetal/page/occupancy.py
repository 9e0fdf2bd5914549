"""In what state each address is that is not simply free: held, orphaned, reserved or cooling.

May live here: what `diagnosis.pool.tally` counts, address by address. May not: how it is drawn.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.config import Pool
from bellmetal.diagnosis.overview import AddressRow, address_rows
from bellmetal.diagnosis.situation import Situation
from bellmetal.holdings import seconds_between


class Place(enum.Enum):
    """What an address is; the more telling ones last."""

    FREE = "free"
    NEVER = "never"  # avoidBuggyIPs keeps it back
    COOLING = "cooling"
    RESERVED = "reserved"
    HELD = "held"
    ORPHANED = "orphaned"  # in use, and its pool does not allow that any more


@dataclass(frozen=True, slots=True)
class Occupancy:
    """By pool, and under ``""`` what no pool allows: address → what it is.

    ``rows``: the addresses in use, as `status` has them.
    """

    places: Mapping[str, Mapping[IPAddress, Place]]
    rows: Mapping[IPAddress, AddressRow]

    def of(self, pool: str) -> Mapping[IPAddress, Place]:
        """What is not free in a pool."""
        return self.places.get(pool, {})


def occupancy(situation: Situation) -> Occupancy:
    """Of all pools."""
    config = situation.cluster.config
    users = {row.address: row for row in address_rows(situation)}
    granted = situation.allocations.granted.values()
    orphans = {address for item in granted for address, _ in item.orphaned}
    places: dict[str, dict[IPAddress, Place]] = {pool.name: {} for pool in config.pools}
    for address in users:
        pool = config.pool_of(address)
        place = Place.ORPHANED if address in orphans or pool is None else Place.HELD
        places.setdefault(pool.name if pool else "", {})[address] = place
    for pool in config.pools:
        for address in pool.reserved:
            if address not in users and pool.allows(address):
                places[pool.name][address] = Place.RESERVED
    for holding in situation.held.values():
        pool = config.pool_of(holding.address)
        if pool is not None and holding.address not in places[pool.name]:
            freed_at = holding.last(situation.now)[1]
            if _cools(pool, freed_at, situation.now):
                places[pool.name][holding.address] = Place.COOLING
    return Occupancy(places, users)


def _cools(pool: Pool, freed_at: str, now: str) -> bool:
    return bool(freed_at) and seconds_between(freed_at, now) < pool.cool_down


def count(places: Iterable[Place]) -> dict[str, int]:
    """How many there are of each that there is one of."""
    found: dict[str, int] = {}
    for place in places:
        found[place.value] = found.get(place.value, 0) + 1
    return found
