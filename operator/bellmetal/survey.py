"""Reads a cluster into a `Situation`, with the rights of whoever asks. Only reads.

What may not be read is said (`unread`), and what stands on it is then not known. Without the
Services, pools and slices there is nothing to say: that raises ApiError.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from bellmetal import kube, resources
from bellmetal.api import ApiError, Client
from bellmetal.comparison import decide
from bellmetal.config import OnOrphan, Problem
from bellmetal.diagnosis.situation import (
    EndpointCounts,
    Leader,
    NodeSession,
    ServiceDetail,
    Situation,
)
from bellmetal.facts import Finding
from bellmetal.follow import Kind
from bellmetal.holdings import Holdings
from bellmetal.leadership import NAME as LEASE
from bellmetal.ledger import Ledger
from bellmetal.planning import plan
from bellmetal.rivals import rival_of
from bellmetal.session_reports import SESSIONS
from bellmetal.session_status import facts_of
from bellmetal.sight_reports import read_sights
from bellmetal.slices import read_slices
from bellmetal.standing import standings
from bellmetal.states import STATES
from bellmetal.tidying import ROWS
from bellmetal.world import BGP_ADVERTISEMENTS, L2_ADVERTISEMENTS, POOLS, World

log = logging.getLogger(__name__)

PODS = Kind("", "v1", "pods", resources.Pod, True)
OURS = "app=metallb"
COMPONENT = "component"
CONTROLLERS = "controller"  # the ConfigurationState that they write
_PROBLEM = re.compile(r"(\w+)/(\S+) (\S*): (.*)")  # as a Problem is written
SUSPECT = 15.0  # seconds: a Lease that seems older may be fresh, and our clock wrong
AGAIN = 2.5  # seconds, in which a leader renews twice
MOST_EVENTS = 5

T = TypeVar("T", bound=resources.Object)


@dataclass(frozen=True, slots=True)
class Told:
    """What the controller was told when it was started, as far as decisions depend on it."""

    lb_class: str = ""
    ignore_exclude_label: bool = False
    on_orphan: OnOrphan = OnOrphan.KEEP
    drain_on_cordon: bool = False


class Surveyor:
    """Reads one cluster. ``told`` None: as the controller's pods are told."""

    def __init__(self, client: Client, namespace: str, told: Told | None = None) -> None:
        self._client, self._namespace, self._told = client, namespace, told
        self._unread: list[str] = []
        self._wide = True

    async def survey(self, now: str) -> Situation:
        """The situation at ``now`` (RFC 3339); raises ApiError."""
        self._unread = []
        pods = await self._allowed(resources.Pod, PODS.path(self._namespace), OURS)
        told = self._told or told_by(pods or ())
        world = World(
            told.lb_class, told.ignore_exclude_label, told.on_orphan, told.drain_on_cordon
        )
        ledger = Ledger(self._client, self._namespace)
        await asyncio.gather(world.load(self._client, self._namespace), ledger.load())
        world.observe(0.0)
        return await self.complete(world, ledger.holdings, told, pods, now)

    async def beside(self, world: World, held: Holdings, told: Told, now: str) -> Situation:
        """The situation of a world that is kept up to date: the controller's own, which may not
        look into other namespaces for what is configured there in vain."""
        self._unread, self._wide = [], False
        pods = await self._allowed(resources.Pod, PODS.path(self._namespace), OURS)
        return await self.complete(world.still(), dict(held), told, pods, now)

    async def complete(
        self,
        world: World,
        held: Holdings,
        told: Told,
        pods: list[resources.Pod] | None,
        now: str,
    ) -> Situation:
        """The situation of a world that is known and does not change, with what has to be read
        besides."""
        path = ROWS.path(self._namespace)
        states = STATES.path(self._namespace)
        sessions, rows, leader, strays, told_by_them = await asyncio.gather(
            self._allowed(resources.BGPSessionStatus, SESSIONS.path(self._namespace)),
            self._allowed(resources.ServiceBGPStatus, path),
            self.leader(now),
            self._strays(),
            self._allowed(resources.ConfigurationState, states),
        )
        speakers = speakers_of(pods) if pods is not None else None
        # of ten thousand Services that takes most of a second, and a leader has a Lease to renew
        base = await asyncio.to_thread(derive, world, held, told, self._namespace, now)
        ready = {name: node.ready for name, node in base.cluster.nodes.items()}
        return replace(
            base,
            leader=leader,
            sent=_sent(rows or ()),
            speakers=speakers,
            sessions=tuple(
                NodeSession(
                    one.status.node,
                    facts_of(one.status),
                    doubt(one.status.node, ready, speakers),
                    one.status.since or "",
                )
                for one in sessions or ()
            ),
            strays=strays,
            problems=(*base.problems, *more_problems(told_by_them or (), base.problems)),
            unread=tuple(self._unread),
        )

    async def detail(self, key: str) -> ServiceDetail:
        """What is asked about one Service beyond that; raises ApiError."""
        namespace, name = key.split("/")
        path = f"/api/v1/namespaces/{namespace}/services/{name}"
        content = await self._client.request("GET", path)
        body = msgspec.json.decode(content, type=resources.Service)
        fields = msgspec.json.decode(content, type=resources.Managed).metadata.managed_fields
        label = f"{kube.SERVICE_NAME_LABEL}={name}"
        place = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        slices = await self._allowed(resources.EndpointSlice, place, label)
        ports = body.spec.ports or []
        shown = bool(body.status.load_balancer.ingress)
        return ServiceDetail(
            type=body.spec.type,
            lb_class=body.spec.load_balancer_class or "",
            ending=body.metadata.deletion_timestamp is not None,
            tcp_port=next((port.port for port in ports if port.protocol == "TCP"), 0),
            writer=rival_of(fields) if shown else "",
            endpoints=count_endpoints(slices or ()),
            source_ranges=tuple(body.spec.load_balancer_source_ranges or ()),
        )

    # --- what may be missing ---------------------------------------------------------------------

    async def _allowed(self, kind: type[T], path: str, labels: str = "") -> list[T] | None:
        """A list; None, and said, without the right to read it, or where there is no such kind."""
        try:
            found, _ = await self._client.list(kind, path, labels)
        except ApiError as error:
            if error.code != 403 and not error.gone:
                raise
            self._unread.append(str(error))
            return None
        return found

    async def leader(self, now: str) -> Leader | None:
        """Who leads; None, and said, without the right to read the Lease."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/{LEASE}"
        try:
            lease = await self._client.get(resources.Lease, path)
            silent = _seconds(lease.spec.renew_time, now)
            if abs(silent) > SUSPECT:  # or our clock is another than the controller's
                await asyncio.sleep(AGAIN)
                again = await self._client.get(resources.Lease, path)
                if again.spec.renew_time != lease.spec.renew_time:
                    silent = 0.0
        except ApiError as error:
            if error.gone:
                return Leader()
            if error.code != 403:
                raise
            self._unread.append(str(error))
            return None
        return Leader(lease.spec.holder_identity, abs(silent), lease.spec.lease_duration_seconds)

    async def _strays(self) -> tuple[str, ...]:
        """Objects of ours in namespaces that no controller looks at; none without the right."""
        found: list[str] = []
        if not self._wide:
            return ()
        for kind in (POOLS, L2_ADVERTISEMENTS, BGP_ADVERTISEMENTS):
            try:
                bodies, _ = await self._client.list(resources.Object, kind.path())
            except ApiError as error:
                if error.code != 403 and not error.gone:
                    raise
                continue
            found += [
                f"{kind.struct.__name__}/{body.metadata.name} in {body.metadata.namespace}"
                for body in bodies
                if body.metadata.namespace != self._namespace
            ]
        return tuple(sorted(found))


def derive(world: World, held: Holdings, told: Told, namespace: str, now: str) -> Situation:
    """What follows from a world alone, by the controller's own functions."""
    validated = world.validated()
    cluster = world.cluster(validated.config)
    moment = decide(cluster, held, now)
    contents = read_slices(world.slices.nouns.values())
    reports = list(world.reports.nouns.values())
    standing = standings(
        contents.announcements.values(), kube.claims(reports), cluster.nodes, contents.node_sets
    )
    return Situation(
        namespace=namespace,
        now=now,
        cluster=cluster,
        held=held,
        allocations=moment.allocations,
        intents=plan(cluster, moment.allocations, moment.held, standing),
        told=contents,
        lb_class=told.lb_class,
        standing=standing,
        problems=validated.problems,
        answering=_answering(world.l2_statuses.nouns.values()),
        doubts=tuple(kube.doubts(reports)),
        findings={
            report.metadata.name: tuple(
                Finding(item.code, item.message) for item in report.status.findings
            )
            for report in reports
        },
        interfaces={report.metadata.name: tuple(report.status.interfaces) for report in reports},
        sights={
            report.metadata.name: sights
            for report in reports
            if (sights := read_sights(report)) is not None
        },
    )


def more_problems(
    states: Iterable[resources.ConfigurationState], known: Iterable[Problem]
) -> tuple[Problem, ...]:
    """What only the controller can know, as Secrets are read by nobody else: by its own words."""
    found = []
    have = {str(problem) for problem in known}
    for state in states:
        if state.metadata.name != CONTROLLERS:
            continue
        for line in state.status.error_summary.splitlines():
            said = _PROBLEM.fullmatch(line)
            if said and line not in have:
                found.append(Problem(said[1], said[2], said[3], said[4]))
    return tuple(found)


def told_by(pods: Iterable[resources.Pod]) -> Told:
    """The flags of the controllers, out of their pods."""
    for pod in pods:
        if (pod.metadata.labels or {}).get(COMPONENT) != "controller":
            continue
        flags = {
            name: value
            for container in pod.spec.containers
            for name, _, value in (text.partition("=") for text in container.args)
        }
        orphans = flags.get("--on-orphan", OnOrphan.KEEP.value)
        return Told(
            lb_class=flags.get("--lb-class", ""),
            ignore_exclude_label="--ignore-exclude-lb" in flags,
            on_orphan=OnOrphan.RENUMBER if orphans == "renumber" else OnOrphan.KEEP,
            drain_on_cordon="--drain-on-cordon" in flags,
        )
    return Told()


def speakers_of(pods: Iterable[resources.Pod]) -> dict[str, bool] | None:
    """Node → whether its speaker's pod is ready, out of pods of ours."""
    return ready_by_node(
        pod for pod in pods if (pod.metadata.labels or {}).get(COMPONENT) == "speaker"
    )


def ready_by_node(pods: Iterable[resources.Pod]) -> dict[str, bool] | None:
    """Node → whether one of these pods is ready there; None where there is no pod at all: what
    they are of may run otherwise."""
    found: dict[str, bool] = {}
    for pod in pods:
        if pod.spec.node_name:
            found[pod.spec.node_name] = is_ready(pod) or found.get(pod.spec.node_name, False)
    return found or None


def is_ready(pod: resources.Pod) -> bool:
    """Whether its condition says so."""
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def doubt(node: str, nodes: Mapping[str, bool] | None, speakers: Mapping[str, bool] | None) -> str:
    """Why what a node has said may be out of date; empty: it is to be believed.

    ``nodes`` and ``speakers``: whether each is ready; None: nobody can say.
    """
    if nodes is not None and not nodes.get(node):
        return f"node {node} is " + ("not ready" if node in nodes else "gone")
    if speakers is None or speakers.get(node):
        return ""
    if node in speakers:
        return f"the speaker's pod on node {node} is not ready"
    return f"there is no speaker pod on node {node}"


def count_endpoints(slices: Iterable[resources.EndpointSlice]) -> EndpointCounts:
    """The endpoints of one Service by what they can do and where."""
    ready: dict[str, int] = {}
    ending: dict[str, int] = {}
    rest: dict[str, int] = {}
    for body in slices:
        for item in body.endpoints or []:
            can = item.conditions
            if can.ready in (None, True):
                place = ready
            else:
                place = ending if can.serving else rest
            place[item.node_name or ""] = place.get(item.node_name or "", 0) + 1
    return EndpointCounts(ready, ending, rest)


def _answering(bodies: Iterable[resources.ServiceL2Status]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for status in (body.status for body in bodies):
        found.setdefault(f"{status.service_namespace}/{status.service_name}", set()).add(
            status.node
        )
    return {key: frozenset(nodes) for key, nodes in found.items()}


def _sent(
    rows: Iterable[resources.ServiceBGPStatus],
) -> dict[str, dict[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for status in (row.status for row in rows):
        key = f"{status.service_namespace}/{status.service_name}"
        found.setdefault(key, {})[status.node] = frozenset(status.peers or ())
    return found


def _seconds(renewed: str | None, now: str) -> float:
    try:
        then = datetime.datetime.fromisoformat(renewed or "")
    except ValueError:
        return float("inf")
    return (datetime.datetime.fromisoformat(now) - then).total_seconds()
