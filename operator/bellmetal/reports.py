"""What a speaker writes: its SpeakerReport, ServiceL2Status objects, events, metrics.

Facts in, writes out, and only those that change something.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Gauge

from bellmetal import resources
from bellmetal.addresses import IPAddress
from bellmetal.api import ApiError, Client
from bellmetal.events import Events, timestamp
from bellmetal.facts import ClaimOrder, Doubt, DoubtKind, Facts
from bellmetal.follow import L2_STATUSES, Follower
from bellmetal.intents import Announcement, ServiceId
from bellmetal.metrics import ANNOUNCED, FOREIGN_HOLDERS, NOT_SEEN

log = logging.getLogger(__name__)

REPORT_VERSION = 1
STATUS_PAUSE = 0.02  # seconds between two ServiceL2Status writes: they are for people
MOST_DOUBTS = 100  # in a report; `proved` counts all
LABEL_NODE = "metallb.io/node"
LABEL_NAME = "metallb.io/service-name"
LABEL_NAMESPACE = "metallb.io/service-namespace"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who reports: node, boot id, gossip address."""

    node: str
    boot: int
    address: str


class Reports:
    """The reports of one speaker."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        identity: Identity,
        events: Events,
        changed: Callable[[], None],
    ) -> None:
        self._client, self._identity, self._events = client, identity, events
        self._reports = f"/apis/bellmetal.io/v1alpha1/namespaces/{namespace}/speakerreports"
        ours = f"{LABEL_NODE}={identity.node}"
        self.statuses = Follower(client, L2_STATUSES, namespace, changed, ours)
        self._written: dict[str, Any] | None = None
        self._told: dict[tuple[IPAddress, str], ClaimOrder] = {}
        self._doubts: dict[Doubt, str] = {}  # since when, in RFC 3339

    async def publish(self, facts: Facts, announcements: Mapping[IPAddress, Announcement]) -> None:
        """Writes what differs from what was written; raises ApiError."""
        self._tell(facts, announcements)
        self._tell_doubts(facts.doubts, announcements)
        await asyncio.sleep(0)  # with thousands of addresses each step takes its time
        await self._write_report(facts)
        await self._write_statuses(facts, announcements)

    # --- events and metrics ----------------------------------------------------------------------

    def _tell(self, facts: Facts, announcements: Mapping[IPAddress, Announcement]) -> None:
        now: dict[tuple[IPAddress, str], ClaimOrder] = {}
        for address, owned in facts.owned.items():
            announcement = announcements.get(address)
            for service in announcement.services if announcement else ():
                now[address, service.key] = owned.order
                if (address, service.key) not in self._told:
                    self._tell_assigned(service, owned.order)
                    self._announced(service.key, address).set(1)
        for address, key in self._told.keys() - now.keys():
            ANNOUNCED.remove(key, "layer2", self._identity.node, str(address))
        self._told = now

    def _tell_doubts(
        self, doubts: Iterable[Doubt], announcements: Mapping[IPAddress, Announcement]
    ) -> None:
        """An event on each Service of an address that is newly in doubt, and the gauges."""
        before, now = self._doubts, timestamp()
        self._doubts = {doubt: before.get(doubt, now) for doubt in doubts}
        for doubt in before.keys() - self._doubts.keys():
            with contextlib.suppress(KeyError):
                _gauge(doubt).remove(str(doubt.address))
        for doubt in self._doubts:
            _gauge(doubt).labels(str(doubt.address)).set(1)
            announcement = announcements.get(doubt.address)
            if doubt in before or announcement is None:
                continue
            for service in announcement.services:
                self._events.record(_about(service), doubt.kind.reason, doubt.message, warning=True)

    def _tell_assigned(self, service: ServiceId, order: ClaimOrder) -> None:
        about = _about(service)
        message = f'announcing from node "{self._identity.node}" with protocol "layer2"'
        key = f"{order.term}/{order.epoch}"  # the same claim is told once, also over a restart
        self._events.record(about, "nodeAssigned", message, once=key)

    def _announced(self, service: str, address: IPAddress) -> Any:
        return ANNOUNCED.labels(service, "layer2", self._identity.node, str(address))

    # --- SpeakerReport ---------------------------------------------------------------------------

    async def _write_report(self, facts: Facts) -> None:
        status = self._report(facts)
        if status == self._written:
            return
        name = self._identity.node
        try:
            await self._client.patch(
                resources.SpeakerReport, f"{self._reports}/{name}", {"status": status}
            )
        except ApiError as error:
            if not error.gone:
                raise
            body = {
                "apiVersion": "bellmetal.io/v1alpha1",
                "kind": "SpeakerReport",
                "metadata": {"name": name, "labels": {"app": "metallb"}},
                "status": status,
            }
            await self._client.create(resources.SpeakerReport, self._reports, body)
        self._written = status

    def _report(self, facts: Facts) -> dict[str, Any]:
        """The status as plain values: every field is there, so that a merge replaces it."""
        doubts = dict(itertools.islice(self._doubts.items(), MOST_DOUBTS))
        return {
            "version": REPORT_VERSION,
            "bootID": str(self._identity.boot),
            "address": self._identity.address,
            "claims": [
                {
                    "address": str(claim.address),
                    "term": claim.order.term,
                    "epoch": claim.order.epoch,
                    "firm": claim.order.firm,
                }
                for claim in sorted(facts.claims, key=lambda claim: int(claim.address))
            ],
            "interfaces": [
                {
                    "name": item.name,
                    "mac": item.mac.hex(":"),
                    "up": item.up,
                    "subnets": list(item.subnets),
                    "gateways": list(item.gateways),
                }
                for item in facts.interfaces
            ],
            "findings": [
                *({"code": f.code, "message": f.message} for f in facts.findings),
                *({"code": d.kind.value, "message": d.message} for d in doubts),
            ],
            "proved": {"asked": facts.proved.asked, "seen": facts.proved.seen},
            "doubts": [
                {
                    "address": str(doubt.address),
                    "kind": doubt.kind.value,
                    "interface": doubt.interface,
                    "owner": doubt.owner,
                    "macs": list(doubt.macs),
                    "since": since,
                }
                for doubt, since in doubts.items()
            ],
        }

    # --- ServiceL2Status -------------------------------------------------------------------------

    async def _write_statuses(
        self, facts: Facts, announcements: Mapping[IPAddress, Announcement]
    ) -> None:
        """Our rows become what we own; those that somebody changed or deleted come back."""
        if not self.statuses.listed.is_set():
            return
        shown = {item.metadata.name: item for item in self.statuses.collection.nouns.values()}
        wanted = self._statuses_wanted(facts, announcements)
        for name, item in shown.items():
            if name not in wanted:
                await self._client.delete(f"{self.statuses.path}/{name}")
                self.statuses.collection.remove(item.key)
                await asyncio.sleep(STATUS_PAUSE)
        for name, status in wanted.items():
            if name not in shown or shown[name].status != status:
                written = await self._write_status(name, status, create=name not in shown)
                self.statuses.collection.take(written)
                await asyncio.sleep(STATUS_PAUSE)

    def _statuses_wanted(
        self, facts: Facts, announcements: Mapping[IPAddress, Announcement]
    ) -> dict[str, resources.ServiceL2StatusStatus]:
        wanted = {}
        for address, owned in facts.owned.items():
            announcement = announcements.get(address)
            for service in announcement.services if announcement else ():
                names = [resources.InterfaceName(name) for name in sorted(owned.interfaces)]
                wanted[self._status_name(service)] = resources.ServiceL2StatusStatus(
                    self._identity.node, service.name, service.namespace, names or None
                )
        return wanted

    def _status_name(self, service: ServiceId) -> str:
        text = f"{service.key}/{self._identity.node}"
        return "l2-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    async def _write_status(
        self, name: str, status: resources.ServiceL2StatusStatus, create: bool
    ) -> resources.ServiceL2Status:
        if create:
            labels = {
                LABEL_NODE: status.node,
                LABEL_NAME: status.service_name,
                LABEL_NAMESPACE: status.service_namespace,
            }
            body = resources.ServiceL2Status(
                api_version="metallb.io/v1beta1",
                kind="ServiceL2Status",
                metadata=resources.Metadata(name=name, labels=labels),
            )
            try:
                await self._client.create(resources.ServiceL2Status, self.statuses.path, body)
            except ApiError as error:
                if not error.conflict:
                    raise
        return await self._client.patch(
            resources.ServiceL2Status, f"{self.statuses.path}/{name}/status", {"status": status}
        )


def _about(service: ServiceId) -> resources.ObjectReference:
    return resources.ObjectReference("v1", "Service", service.namespace, service.name, service.uid)


def _gauge(doubt: Doubt) -> Gauge:
    foreign = (DoubtKind.HELD, DoubtKind.CONTESTED, DoubtKind.FOREIGN)
    return FOREIGN_HOLDERS if doubt.kind in foreign else NOT_SEEN


def reported_claims(facts: Iterable[Facts]) -> list[resources.ReportedClaim]:
    """All claims that a speaker remembers over a restart: of everything that it owns."""
    return [
        resources.ReportedClaim(str(address), item.order.term, item.order.epoch, item.order.firm)
        for one in facts
        for address, item in one.owned.items()
    ]
