"""What the controller writes: Service status (one PATCH each), pools' status, slices.

May live here: turning decisions into writes, and only those that change something.
May not: deciding.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bellmetal import kube, resources
from bellmetal.addresses import IPAddress
from bellmetal.allocation import Allocations
from bellmetal.api import JSON_PATCH, STRATEGIC_MERGE, ApiError, Client
from bellmetal.cluster import Condition, Service
from bellmetal.events import timestamp
from bellmetal.follow import Collection
from bellmetal.intents import Allocation, Refused, Withheld
from bellmetal.packing import SliceChanges
from bellmetal.turns import side_by_side

log = logging.getLogger(__name__)

IN_FLIGHT = 32  # writes at the same time


@dataclass(frozen=True, slots=True)
class ServicePatch:
    """One PATCH of a Service's status, and what it says."""

    service: Service
    body: dict[str, Any]
    allocation: Allocation | None
    refused: Refused | None

    @property
    def added(self) -> tuple[IPAddress, ...]:
        """Addresses that are shown now and were not before."""
        before = self.service.shown.addresses
        given = self.allocation.addresses if self.allocation else ()
        return tuple(address for address in given if address not in before)

    @property
    def shows(self) -> bool:
        """Whether it writes addresses, or takes them away."""
        return "loadBalancer" in self.body.get("status", {})

    def without_addresses(self) -> ServicePatch | None:
        """The rest of it; None if nothing is left."""
        conditions = self.body.get("status", {}).get("conditions")
        if not conditions:
            return None
        return replace(self, body={"status": {"conditions": conditions}}, allocation=None)

    @property
    def removed(self) -> tuple[IPAddress, ...]:
        """Addresses that were shown and are not any more."""
        given = self.allocation.addresses if self.allocation else ()
        shown = self.service.shown.addresses if self.shows else ()
        return tuple(address for address in shown if address not in given)

    def brought_news(self, now: Service) -> bool:
        """Whether the answer to it tells of more than what it wrote: no watch tells that again."""
        before = self.service.shown
        given = self.allocation.addresses if self.allocation else ()
        expected = given if self.shows else before.addresses
        return replace(now, shown=before) != self.service or now.shown.addresses != expected

    @property
    def refuses(self) -> bool:
        """Whether it tells of a refusal that was not shown before."""
        wanted = _allocated(self.allocation, self.refused)
        return self.refused is not None and wanted not in self.service.shown.conditions


def service_patches(
    services: Mapping[str, Service], allocations: Allocations
) -> list[ServicePatch]:
    """The PATCHes that make every Service of ours show what was decided."""
    patches = []
    for key, service in services.items():
        if not service.ours:
            continue
        allocation, refused = allocations.granted.get(key), allocations.refused.get(key)
        body: dict[str, Any] = {}
        _show_addresses(service, allocation, body)
        _show_condition(service, kube.ALLOCATED, _allocated(allocation, refused), body)
        if body:
            patches.append(ServicePatch(service, body, allocation, refused))
    return patches


def _show_addresses(service: Service, allocation: Allocation | None, body: dict[str, Any]) -> None:
    shown = service.shown
    if allocation is None:
        if not shown.pool:  # what we did not give is not ours to take away
            return
        ingress: list[dict[str, str]] | None = None
        pool: str | None = None
    else:
        if shown.addresses == allocation.addresses and shown.pool == allocation.pool:
            return
        ingress = [{"ip": str(a), "ipMode": "VIP"} for a in allocation.addresses]
        pool = allocation.pool
    body["metadata"] = {"annotations": {kube.POOL_ANNOTATION: pool}}
    body["status"] = {"loadBalancer": {"ingress": ingress}}


def condition_patches(
    services: Mapping[str, Service],
    type_: str,
    wanted: Mapping[str, Condition],
    undecided: Container[str] = (),
) -> list[ServicePatch]:
    """The PATCHes that make Services show the ``wanted`` conditions of a type, and no others.

    What an ``undecided`` Service shows stays.
    """
    patches = []
    for key, service in services.items():
        if not service.ours or (key not in wanted and key in undecided):
            continue
        body: dict[str, Any] = {}
        _show_condition(service, type_, wanted.get(key), body)
        if body:
            patches.append(ServicePatch(service, body, None, None))
    return patches


def not_announced(withheld: Withheld) -> Condition:
    """That an address of a Service is not announced."""
    return Condition(kube.ANNOUNCED, "False", withheld.reason.value, withheld.sentence)


def _allocated(allocation: Allocation | None, refused: Refused | None) -> Condition | None:
    """What is wrong with a Service's addresses."""
    if refused is not None and not refused.additional:
        return Condition(kube.ALLOCATED, "False", refused.reason.value, refused.message)
    if allocation is not None and allocation.orphaned:
        return Condition(kube.ALLOCATED, "True", "AddressOrphaned", kube.orphan_message(allocation))
    return None


def _show_condition(
    service: Service, type_: str, wanted: Condition | None, body: dict[str, Any]
) -> None:
    if wanted is None and not service.shown.conditions:
        return  # as with nearly all
    shown = next((item for item in service.shown.conditions if item.type == type_), None)
    if shown == wanted:
        return
    if wanted is None:
        patch: dict[str, Any] = {"type": type_, "$patch": "delete"}
    else:
        patch = {
            "type": type_,
            "status": wanted.status,
            "reason": wanted.reason,
            "message": wanted.message,
            "lastTransitionTime": timestamp(),
        }
    body.setdefault("status", {})["conditions"] = [patch]


class Writer:
    """Carries writes out, IN_FLIGHT at a time; one that fails stops no other."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        slices: Collection[resources.AnnouncementSlice, resources.AnnouncementSlice],
    ) -> None:
        self._client, self._known = client, slices
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._changed: set[str] = set()  # slices that were not stored as they were written
        self._slices = f"/apis/bellmetal.io/v1alpha1/namespaces/{namespace}/announcementslices"
        self._pools = f"/apis/metallb.io/v1beta1/namespaces/{namespace}/ipaddresspools"

    async def patch_services(
        self, patches: Iterable[ServicePatch]
    ) -> tuple[list[tuple[ServicePatch, resources.Service]], list[ApiError]]:
        """What was written, with the Service as it is then, and what failed."""
        done: list[tuple[ServicePatch, resources.Service]] = []
        failed: list[ApiError] = []

        async def one(patch: ServicePatch) -> None:
            service = patch.service
            path = f"/api/v1/namespaces/{service.namespace}/services/{service.name}/status"
            body = patch.body | {"metadata": {"uid": service.uid} | patch.body.get("metadata", {})}
            try:
                answer = await self._client.patch(
                    resources.Service, path, body, kind=STRATEGIC_MERGE
                )
                done.append((patch, answer))
            except ApiError as error:
                # gone, or another Service by that name (409: the uid differs): news will come
                if not error.gone and not error.conflict:
                    failed.append(error)

        await side_by_side((one(patch) for patch in patches), self._slots)
        return done, failed

    async def take_away(
        self, annotation: str, values: Iterable[tuple[Service, str]]
    ) -> list[resources.Service | ApiError | None]:
        """Removes an annotation of each Service while it still says that value; the Services in
        this order, as they are then.

        None: it says something else by now, or the Service is gone. The right to write its status
        is enough: the API server takes annotations from such a write, too.
        """
        where = "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")

        async def one(service: Service, value: str) -> resources.Service | ApiError | None:
            path = f"/api/v1/namespaces/{service.namespace}/services/{service.name}/status"
            body = [
                {"op": "test", "path": "/metadata/uid", "value": service.uid},
                {"op": "test", "path": where, "value": value},
                {"op": "remove", "path": where},
            ]
            try:
                return await self._client.patch(resources.Service, path, body, kind=JSON_PATCH)
            except ApiError as error:
                if error.gone or error.conflict or error.code == 422:  # 422: a test of it failed
                    return None
                return error

        return await side_by_side((one(service, value) for service, value in values), self._slots)

    async def patch_pools(
        self, statuses: Mapping[str, resources.IPAddressPoolStatus]
    ) -> tuple[list[resources.IPAddressPool], list[ApiError]]:
        """Writes the status of pools, by name."""
        done: list[resources.IPAddressPool] = []
        failed: list[ApiError] = []

        async def one(name: str, status: resources.IPAddressPoolStatus) -> None:
            path = f"{self._pools}/{name}/status"
            try:
                done.append(
                    await self._client.patch(resources.IPAddressPool, path, {"status": status})
                )
            except ApiError as error:
                if not error.gone:
                    failed.append(error)

        await side_by_side((one(name, status) for name, status in statuses.items()), self._slots)
        return done, failed

    async def managed_fields(
        self, services: Iterable[Service]
    ) -> list[list[resources.ManagedFields]]:
        """Who wrote what of each Service, in this order; nobody if it is gone."""

        async def one(service: Service) -> list[resources.ManagedFields]:
            path = f"/api/v1/namespaces/{service.namespace}/services/{service.name}"
            try:
                return (await self._client.get(resources.Managed, path)).metadata.managed_fields
            except ApiError as error:
                if not error.gone:
                    raise
                return []

        return await side_by_side((one(service) for service in services), self._slots)

    @property
    def slices(self) -> dict[str, resources.AnnouncementSlice]:
        """The slices as last read, written or watched, by name."""
        return {item.metadata.name: item for item in self._known.nouns.values()}

    async def write_slices(self, changes: SliceChanges) -> None:
        """Node sets first, what something has left later, deletions last; raises ApiError."""
        for sets in [item for item in changes.write if item.spec.node_sets]:
            await self._write_slice(sets)
        rest = [item for item in changes.write if not item.spec.node_sets]
        await side_by_side((self._write_slice(item) for item in rest), self._slots)
        await side_by_side((self._write_slice(item) for item in changes.vacate), self._slots)
        for item in changes.delete:
            name = item.metadata.name
            await self._client.delete(f"{self._slices}/{name}")
            self._known.remove(item.key)

    async def _write_slice(self, item: resources.AnnouncementSlice) -> None:
        name = item.metadata.name
        if item.metadata.resource_version:
            written = await self._client.replace(
                resources.AnnouncementSlice, f"{self._slices}/{name}", item
            )
        else:
            written = await self._client.create(resources.AnnouncementSlice, self._slices, item)
        self._known.take(written)
        if written.spec != item.spec and name not in self._changed:
            self._changed.add(name)
            message = "AnnouncementSlice/%s is not stored as it was written: apply the new CRDs"
            log.error(message, name, extra={"op": "slices"})
