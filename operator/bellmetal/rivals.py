"""Who else writes the addresses of our Services: noticed, named, and not fought for ever.

Somebody may put right by hand what we show; we put it back. Whoever does it again and again is a
rival (a cloud's or a distribution's own load balancer): we wait, longer each time, then stop.
May live here: when to write and when to wait. May not: the writing (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from bellmetal import kube, resources
from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.cluster import Condition, Service
from bellmetal.writer import ServicePatch

OFTEN = 3  # times that somebody else wrote within
WINDOW = 60.0  # seconds: that is a rival
BACK_OFF = 30.0  # seconds until the next try, twice as long each time
TRIES = 5  # after which we leave it to the rival
OURS = "bellmetal"  # our field manager, as `api.py` calls itself


@dataclass(slots=True)
class Quarrel:
    """What was written to one Service and by whom it was written over."""

    uid: str
    wrote: tuple[IPAddress, ...]
    overwritten: list[float] = field(default_factory=list)  # when, the latest last
    tries: int = 0
    wait_until: float = 0.0
    rival: str = ""  # its field manager, once there is one
    theirs: tuple[IPAddress, ...] = ()

    def at_peace(self, service: Service, now: float) -> bool:
        """Whether it shows what it should, and has for a while."""
        tried_at = self.wait_until - BACK_OFF * 2**self.tries
        return service.shown.addresses == self.wrote and now - tried_at > WINDOW

    def message(self) -> str:
        """About the rival, in a sentence."""
        theirs = ", ".join(str(address) for address in self.theirs) or "nothing"
        return (
            f'field manager "{self.rival}" writes {theirs} into status.loadBalancer again and'
            " again: switch it off, or tell the Services apart by spec.loadBalancerClass"
        )


class Rivals:
    """Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._quarrels: dict[str, Quarrel] = {}

    def leave_out(self, patches: Iterable[ServicePatch], now: float) -> list[ServicePatch]:
        """The patches, without the addresses that are not to be written now."""
        found = []
        for patch in patches:
            left: ServicePatch | None = patch
            if patch.shows and patch.allocation is not None:
                addresses = patch.allocation.addresses
                if not self.may_write(patch.service, addresses, now):
                    left = patch.without_addresses()
            if left is not None:
                found.append(left)
        return found

    def wrote(self, patch: ServicePatch) -> None:
        """A patch was carried out."""
        if not patch.shows:
            return
        service, key = patch.service, patch.service.key
        if patch.allocation is None:
            self._quarrels.pop(key, None)
            return
        known, addresses = self._quarrels.get(key), patch.allocation.addresses
        if known is None or (known.uid, known.wrote) != (service.uid, addresses):
            self._quarrels[key] = Quarrel(service.uid, addresses)

    def may_write(self, service: Service, addresses: tuple[IPAddress, ...], now: float) -> bool:
        """Whether to put a Service's addresses (back) into its status."""
        known = self._quarrels.get(service.key)
        if known is None or (known.uid, known.wrote) != (service.uid, addresses):
            return True
        if not known.rival:
            known.overwritten = [at for at in known.overwritten if now - at < WINDOW] + [now]
            if len(known.overwritten) < OFTEN:
                return True
            known.rival, known.theirs = "?", service.shown.addresses
            known.wait_until = now + BACK_OFF
            return False
        if now < known.wait_until or known.tries >= TRIES:
            return False
        known.tries += 1
        known.wait_until = now + BACK_OFF * 2**known.tries
        return True

    def unnamed(self) -> list[str]:
        """Keys of Services whose rival has no name yet."""
        return [key for key, item in self._quarrels.items() if item.rival == "?"]

    def name(self, key: str, manager: str) -> None:
        """The rival of a Service is this field manager."""
        self._quarrels[key].rival = manager

    def next_try(self, now: float) -> float | None:
        """Seconds until a Service may be written to again."""
        waits = [
            item.wait_until - now
            for item in self._quarrels.values()
            if item.rival and item.tries < TRIES
        ]
        return max(0.0, min(waits)) if waits else None

    def conditions(
        self, services: Mapping[str, Service], allocations: Allocations, now: float
    ) -> dict[str, Condition]:
        """What is said of Services with a rival; forgets those that are at peace or gone."""
        found = {}
        for key, known in list(self._quarrels.items()):
            service, allocation = services.get(key), allocations.granted.get(key)
            if service is None or allocation is None or service.uid != known.uid:
                del self._quarrels[key]
            elif known.rival and known.at_peace(service, now):
                self._quarrels[key] = Quarrel(known.uid, known.wrote)
            elif known.rival:
                found[key] = Condition(kube.SHOWN, "False", "RivalController", known.message())
        return found


def rival_of(managed: Iterable[resources.ManagedFields]) -> str:
    """The field manager that wrote the load balancer's status last, and is not ours."""
    found = [
        (item.time or "", item.manager)
        for item in managed
        if item.manager != OURS and _has_load_balancer(item.fields)
    ]
    return max(found)[1] if found else "unknown"


def _has_load_balancer(fields: msgspec.Raw) -> bool:
    return b'"f:loadBalancer"' in bytes(fields)
