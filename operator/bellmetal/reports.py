"""What a speaker writes: its SpeakerReport, ServiceL2Status objects, events, metrics.

Facts in, writes out, and only those that change something.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Gauge

from bellmetal import resources
from bellmetal.addresses import IPAddress
from bellmetal.api import ApiError, Client
from bellmetal.events import Events, timestamp
from bellmetal.facts import ClaimOrder, Doubt, DoubtKind, Facts
from bellmetal.follow import L2_STATUSES
from bellmetal.intents import Announcement, ServiceId
from bellmetal.logs import ANNOUNCED, WITHDRAWN, tell_services
from bellmetal.rows import Rows, about, digest_of, row_name, service_labels
from bellmetal.speaker_metrics import ANNOUNCED as ANNOUNCEMENTS
from bellmetal.speaker_metrics import FOREIGN_HOLDERS, NOT_SEEN
from bellmetal.turns import by_turns

log = logging.getLogger(__name__)

REPORT_VERSION = 1
MOST_DOUBTS = 100  # in a report; `proved` counts all


@dataclass(frozen=True, slots=True)
class Identity:
    """Who reports: node, boot id, gossip address."""

    node: str
    boot: int
    address: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A ServiceL2Status as it should be. Thousands are kept: it is made when it is written."""

    service: ServiceId
    node: str
    interfaces: frozenset[str]

    @property
    def status(self) -> resources.ServiceL2StatusStatus:
        """The struct of its status."""
        names = [resources.InterfaceName(name) for name in sorted(self.interfaces)]
        return resources.ServiceL2StatusStatus(
            self.node, self.service.name, self.service.namespace, names or None
        )

    @property
    def labels(self) -> Mapping[str, str]:
        """What it is found by."""
        return service_labels(self.service)

    @property
    def digest(self) -> int:
        """Of its status."""
        return digest_of(self.status)


class Reports:
    """The reports of one speaker."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        identity: Identity,
        events: Events,
    ) -> None:
        self._client, self._identity, self._events = client, identity, events
        self._reports = f"/apis/bellmetal.io/v1alpha1/namespaces/{namespace}/speakerreports"
        self.statuses = Rows(client, L2_STATUSES, namespace, identity.node)
        self._written: dict[str, Any] | None = None
        self._told: dict[tuple[IPAddress, str], ClaimOrder] = {}
        self._doubts: dict[Doubt, str] = {}  # since when, in RFC 3339
        ANNOUNCEMENTS.of("layer2", identity.node, self._announced)

    async def publish(
        self,
        facts: Facts,
        announcements: Mapping[IPAddress, Announcement],
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes what differs from what was written; raises ApiError.

        ``more``: what else stands in the report's status, as plain values.
        """
        await self._tell(facts, announcements)
        self._tell_doubts(facts.doubts, announcements)
        await self._write_report(self._report(facts) | dict(more or {}))
        self.statuses.want(await self._rows(facts, announcements))

    # --- events and metrics ----------------------------------------------------------------------

    async def _tell(self, facts: Facts, announcements: Mapping[IPAddress, Announcement]) -> None:
        now: dict[tuple[IPAddress, str], ClaimOrder] = {}
        async for address, owned in by_turns(facts.owned.items()):
            announcement = announcements.get(address)
            for service in announcement.services if announcement else ():
                now[address, service.key] = owned.order
                if (address, service.key) not in self._told:
                    self._tell_assigned(service, owned.order)
        before, self._told = self._told, now
        for event, news in ((WITHDRAWN, before.keys() - now), (ANNOUNCED, now.keys() - before)):
            told = sorted((key, str(address)) for address, key in news)
            tell_services(log, event, "layer2", told)

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
                self._events.record(about(service), doubt.kind.reason, doubt.message, warning=True)

    def _tell_assigned(self, service: ServiceId, order: ClaimOrder) -> None:
        whom = about(service)
        message = f'announcing from node "{self._identity.node}" with protocol "layer2"'
        key = f"{order.term}/{order.epoch}"  # the same claim is told once, also over a restart
        self._events.record(whom, "nodeAssigned", message, once=key)

    def _announced(self) -> list[tuple[str, str]]:
        return [(key, str(address)) for address, key in self._told]

    # --- SpeakerReport ---------------------------------------------------------------------------

    async def _write_report(self, status: dict[str, Any]) -> None:
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

    async def _rows(
        self, facts: Facts, announcements: Mapping[IPAddress, Announcement]
    ) -> dict[str, ServiceRow]:
        node, rows = self._identity.node, dict[str, ServiceRow]()
        async for address, owned in by_turns(facts.owned.items()):
            announcement = announcements.get(address)
            for service in announcement.services if announcement else ():
                row = ServiceRow(service, node, owned.interfaces)
                rows[row_name("l2", service, node)] = row
        return rows


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
