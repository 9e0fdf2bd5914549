"""What people are told, once per change of mind: events on Services and configuration, logs.

May live here: when and how something is said. May not: why (the decisions carry their sentences).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bellmetal import controller_metrics, kube, metrics
from bellmetal.addresses import IPAddress, IPNetwork, printable
from bellmetal.allocation import Allocations
from bellmetal.cluster import Condition, Service
from bellmetal.config import Problem
from bellmetal.events import Events
from bellmetal.holdings import Holder
from bellmetal.intents import Allocation, Refused, RefusedReason, Withheld, WithheldReason
from bellmetal.resources import ObjectReference
from bellmetal.world import World
from bellmetal.writer import ServicePatch, not_announced

log = logging.getLogger(__name__)

MOST_AT_ONCE = 20  # events about one object
PATIENCE = 5.0  # seconds that an address may be withheld (endpoints come later) before we say so


class Notices:
    """Remembers what was said, so that it is said once. Times are of one monotonic clock."""

    def __init__(self, world: World, events: Events) -> None:
        self._world, self._events = world, events
        self._problems: frozenset[Problem] = frozenset()
        self._withheld: dict[str, tuple[Withheld, float]] = {}
        self._withheld_told: dict[str, Withheld] = {}
        self._first_pass = True
        self._told_before: Mapping[str, tuple[Condition, ...]] = {}
        self._orphaned: Mapping[str, str] = {}
        self._lacking: Mapping[str, str] = {}
        self._rivals: Mapping[str, str] = {}
        self._wrong: Mapping[str, str] = {}
        self._unnamed: Mapping[IPNetwork, int] = {}

    def begin(self) -> None:
        """The world is complete and nothing was written yet."""
        self._told_before = {
            key: told.service.shown.conditions
            for key, told in self._world.services.nouns.items()
            if told.service.shown.conditions
        }

    def problems(self, problems: Iterable[Problem]) -> None:
        """Invalid configuration: an event on the object at fault, and one line of log."""
        now = frozenset(problems)
        told: Counter[tuple[str, str]] = Counter()
        for problem in sorted(now - self._problems, key=str):
            told[problem.kind, problem.name] += 1
            if told[problem.kind, problem.name] > MOST_AT_ONCE:
                continue  # all stand in the ConfigurationState
            text = printable(str(problem))
            log.error(text, extra={"op": "validate", "event": "invalidConfiguration"})
            about = self._world.reference(problem)
            if about is not None:
                message = printable(f"{problem.path}: {problem.message}")
                self._events.record(
                    about, "InvalidConfiguration", message, warning=True, once="problem"
                )
        for problem in sorted(self._problems - now, key=str):
            log.info("solved: %s", printable(str(problem)), extra={"op": "validate"})
        self._problems = now
        metrics.CONFIG_LOADED.set(1)
        metrics.CONFIG_STALE.set(1 if now else 0)

    def services(self, services: Iterable[Service]) -> None:
        """Annotations of Services that are unknown or wrong."""
        now = {
            service.key: printable("; ".join(service.problems))
            for service in services
            if service.problems and service.ours and service.wants_address
        }
        self._wrong = self._tell_new(self._wrong, now, "InvalidConfiguration", warning=True)

    def patched(self, patch: ServicePatch) -> None:
        """A Service's status was written."""
        told = self._world.services.nouns.get(patch.service.key)
        if told is None:
            return
        if patch.allocation and patch.added:
            self._tell_given(told.reference, patch.service, patch.allocation, patch.added)
        if patch.refused and patch.refuses:
            self._tell_refused(told.reference, patch.service, patch.refused)

    def _tell_given(
        self,
        about: ObjectReference,
        service: Service,
        allocation: Allocation,
        added: tuple[IPAddress, ...],
    ) -> None:
        extra: dict[str, object] = {"op": "allocate", "service": service.key}
        extra["ips"] = [str(address) for address in allocation.addresses]
        extra["pool"] = allocation.pool
        text, before = kube.shown_list(allocation.addresses), service.shown.addresses
        if set(added) != set(allocation.addresses):
            for address in added:
                log.info("assigned additional %s", address, extra=extra)
                self._events.record(about, "IPAllocated", f'Assigned additional IP "{address}"')
        else:
            if before:
                log.info("assigned %s instead of %s", text, kube.shown_list(before), extra=extra)
            else:
                log.info("assigned %s from %s", text, allocation.pool, extra=extra)
            self._events.record(about, "IPAllocated", f"Assigned IP {text}")
        for key in service.deprecated:
            sentence = f"Service uses deprecated annotation {key}"
            self._events.record(about, "deprecatedAnnotation", sentence, warning=True, once=key)

    def _tell_refused(self, about: ObjectReference, service: Service, refused: Refused) -> None:
        reason, sentence = "AllocationFailed", f'Failed to allocate IP for "{service.key}"'
        malformed = refused.reason in (RefusedReason.BAD_REQUEST, RefusedReason.FAMILY_MISMATCH)
        if malformed and service.shown.addresses:
            reason, sentence = "LoadBalancerFailed", "invalid requested loadbalancer IPs"
        elif refused.reason is RefusedReason.NOT_ENOUGH_CLUSTER_IPS:
            reason, sentence = "not enough clusterips", ""
        sentence = f"{sentence}: {refused.message}" if sentence else refused.message
        extra = {"op": "allocate", "service": service.key, "reason": refused.reason.value}
        log.warning(sentence, extra=extra)
        self._events.record(about, reason, sentence, warning=True)

    def allocated(self, allocations: Allocations) -> None:
        """What no PATCH tells: addresses that were lost, kept as orphans, not had in addition."""
        for key, why in sorted(allocations.cleared.items()):
            sentence = f'current IP for "{key}" not allowed by config,'
            sentence = f"{sentence} will attempt for new IP assignment: {why}"
            self._tell(key, "ClearAssignment", sentence)
        orphans = {
            key: kube.orphan_message(item)
            for key, item in allocations.granted.items()
            if item.orphaned
        }
        self._orphaned = self._tell_new(self._orphaned, orphans, "AddressOrphaned", warning=True)
        lacking = {
            key: f"cannot assign additional IP{_in_prefer(self._world, key)}: {item.message}"
            for key, item in allocations.refused.items()
            if item.additional
        }
        self._lacking = self._tell_new(self._lacking, lacking, "AdditionalAssignFailed")
        controller_metrics.ADDRESSES_ORPHANED.set(
            sum(len(item.orphaned) for item in allocations.granted.values())
        )

    def order(self, key: str, reason: str, sentence: str, warning: bool = False) -> None:
        """What became of a person's order; every order is told of, also one that comes again."""
        extra = {"op": "plan", "service": key, "event": reason}
        log.log(logging.WARNING if warning else logging.INFO, sentence, extra=extra)
        told = self._world.services.nouns.get(key)
        if told is not None:
            self._events.record(told.reference, reason, sentence, warning=warning)

    def rivals(self, messages: Mapping[str, str]) -> None:
        """Somebody else writes the status of these Services, too."""
        self._rivals = self._tell_new(self._rivals, messages, "RivalController", warning=True)
        controller_metrics.SERVICES_RIVALLED.set(len(messages))

    def _tell_new(
        self, before: Mapping[str, str], now: Mapping[str, str], reason: str, warning: bool = False
    ) -> Mapping[str, str]:
        for key, sentence in sorted(now.items()):
            if before.get(key) != sentence:
                self._tell(key, reason, sentence, warning)
        return now

    def _tell(self, key: str, reason: str, sentence: str, warning: bool = False) -> None:
        extra = {"op": "allocate", "service": key, "event": reason}
        log.log(logging.WARNING if warning else logging.INFO, sentence, extra=extra)
        told = self._world.services.nouns.get(key)
        if told is not None:
            self._events.record(told.reference, reason, sentence, warning=warning, once="problem")

    def freed(self, released: Iterable[tuple[Holder, IPAddress]], allocations: Allocations) -> None:
        """Addresses that the ledger has taken back, of Services that get no other instead.

        Not seen from their status: the API server clears it itself when the type changes.
        """
        lost: dict[tuple[str, str], list[IPAddress]] = {}
        for holder, address in released:
            lost.setdefault((holder.key, holder.uid), []).append(address)
        for (key, uid), addresses in lost.items():
            told = self._world.services.nouns.get(key)
            has = allocations.granted[key].addresses if key in allocations.granted else ()
            if told is not None and set(has) - set(told.service.shown.addresses):
                continue  # what it gets instead is told
            text = kube.shown_list(addresses)
            extra = {"op": "allocate", "service": key, "ips": [str(item) for item in addresses]}
            log.info("freed %s", text, extra=extra)
            if told is not None and told.service.uid == uid:
                self._events.record(told.reference, "IPFreed", f"Freed IP {text}")

    def unnamed(self, unnamed: Mapping[IPNetwork, int]) -> None:
        """Prefixes with more Services than a slice names: the others have no ServiceBGPStatus."""
        for prefix, count in unnamed.items():
            if self._unnamed.get(prefix) != count:
                message = "%s is announced for %d Services more than its route names"
                log.warning(message, prefix, count, extra={"op": "plan"})
        self._unnamed = unnamed

    @property
    def unannounced(self) -> Mapping[str, Withheld]:
        """Service key → why an address of it is not announced, where that has lasted."""
        return self._withheld_told

    def withheld(
        self, withheld: Iterable[Withheld], now: float, later: Callable[[float], None]
    ) -> None:
        """Addresses that are not announced; said when it lasts. ``later(seconds)`` calls again.

        What a condition said when this process began was told by the process before: not again.
        """
        current = {item.service: item for item in withheld}
        if self._first_pass:
            self._first_pass = False
            said = {key: item for key, item in current.items() if self._was_known(item)}
            self._withheld = {key: (item, now) for key, item in said.items()}
            self._withheld_told = said
        for key in [key for key in self._withheld if key not in current]:
            del self._withheld[key]
            if self._withheld_told.pop(key, None) and key in self._world.services.nouns:
                log.info("announced again", extra={"op": "plan", "service": key})
        for key, item in current.items():
            known, since = self._withheld.get(key, (None, now))
            if known != item:
                since = now
                self._withheld[key] = item, since
                later(PATIENCE)
            if now - since >= PATIENCE * 0.99 and self._withheld_told.get(key) != item:
                self._tell_withheld(item)
        told = Counter(item.reason.value for item in self._withheld_told.values())
        reasons = {reason.value: told[reason.value] for reason in WithheldReason}
        metrics.show(controller_metrics.SERVICES_WITHHELD, reasons)

    def _was_known(self, item: Withheld) -> bool:
        return not_announced(item) in self._told_before.get(item.service, ())

    def _tell_withheld(self, item: Withheld) -> None:
        self._withheld_told[item.service] = item
        sentence = f"{item.sentence} ({item.reason.value})"
        log.warning(
            sentence, extra={"op": "plan", "service": item.service, "reason": item.reason.value}
        )
        told = self._world.services.nouns.get(item.service)
        if told is not None:
            self._events.record(
                told.reference, "notAnnounced", sentence, warning=True, once="problem"
            )


def _in_prefer(world: World, key: str) -> str:
    """MetalLB's words, where they are true."""
    told = world.services.nouns.get(key)
    prefers = told is None or told.service.family_policy == "PreferDualStack"
    return " in PreferDualStack" if prefers else ""
