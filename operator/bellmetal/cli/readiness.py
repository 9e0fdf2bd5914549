"""Whether an installation is at work: its pods, who leads, and what a new Service would get.

May live here: reading, and what is concluded of it. May not: printing. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.cli.files import Document
from bellmetal.cli.plan import load, plan_on
from bellmetal.cluster import Service
from bellmetal.comparison import Row
from bellmetal.config import OnOrphan
from bellmetal.diagnosis.eligible import lacking, selecting
from bellmetal.events import timestamp
from bellmetal.inquiries import StatusReadySettings
from bellmetal.leadership import NAME
from bellmetal.ledger import Ledger
from bellmetal.settings import PlanSettings
from bellmetal.survey import PODS, is_ready
from bellmetal.world import World

LABELS = "component in (controller,speaker)"
LIVING = "status.phase!=Failed,status.phase!=Succeeded"  # who was evicted says nothing
MOST = 3  # nodes of which is said why they may not announce
ASKING = "default/bellmetal-status-ready"  # a Service that nobody creates


@dataclass(frozen=True, slots=True)
class Readiness:
    """Pods by name, speakers by node, and whether each is ready; ``row``: the new Service's, and
    ``silent`` why nobody would announce what it would get.

    ``nodes``: those that are ready, of which some may have no speaker.
    """

    controllers: Mapping[str, bool]
    leader: str
    speakers: Mapping[str, bool]
    nodes: frozenset[str]
    pools: int
    row: Row
    silent: str = ""

    @property
    def at_work(self) -> bool:
        """Whether a controller that is ready leads, and every speaker of a living node is ready."""
        mine = [ready for node, ready in self.speakers.items() if node in self.nodes]
        led = self.controllers.get(self.leader, False)
        return led and all(self.controllers.values()) and bool(mine) and all(mine)

    @property
    def serves(self) -> bool:
        """Whether a new Service would get an address that is announced, or only lacks a pool."""
        return bool(self.row.then.addresses and not self.silent) or not self.pools

    @property
    def exit_status(self) -> int:
        """As the help says."""
        return 0 if self.at_work and self.serves else 3

    def sentences(self) -> Iterator[str]:
        """All of it, in words."""
        yield self._controllers()
        yield self._speakers()
        yield self._address()

    def _controllers(self) -> str:
        if not self.controllers:
            return "controllers: there is no pod"
        led = f"{self.leader} leads" if self.leader in self.controllers else "none of them leads"
        return f"controllers: {_counted(self.controllers)}; {led}"

    def _speakers(self) -> str:
        if not self.speakers:
            return "speakers: there is no pod"
        without = sorted(self.nodes - self.speakers.keys())
        more = f"; nodes without one: {', '.join(without)}" if without else ""
        gone = sorted(self.speakers.keys() - self.nodes)
        more += f"; nodes that are not ready: {', '.join(gone)}" if gone else ""
        return f"speakers: {_counted(self.speakers)}{more}"

    def _address(self) -> str:
        if not self.pools:
            return "addresses: there is no IPAddressPool yet; a Service would wait for one"
        if not self.row.then.addresses:
            why = self.row.refused.message if self.row.refused else "the controller says no"
            return f"addresses: a Service of namespace default would get none: {why}"
        given = zip(self.row.then.addresses, self.row.then.pools, strict=True)
        found = " and ".join(f"{address} of pool {pool}" for address, pool in given)
        but = f", and nobody would announce it: {self.silent}" if self.silent else ""
        return f"addresses: a Service of namespace default would get {found}{but}"


def _counted(pods: Mapping[str, bool]) -> str:
    missing = sorted(name for name, ready in pods.items() if not ready)
    said = f"{len(pods) - len(missing)} of {len(pods)} ready"
    return f"{said}, not {', '.join(missing)}" if missing else said


async def read_readiness(client: Client, settings: StatusReadySettings) -> Readiness:
    """How things are now; raises ApiError and SettingsError."""
    found, _ = await client.list(
        resources.Pod, PODS.path(settings.namespace), LABELS, fields=LIVING
    )
    pods = [pod for pod in found if pod.metadata.deletion_timestamp is None]
    world, ledger = await load(client, _wanted(settings))
    nodes = frozenset(name for name, (node, _) in world.nodes.nouns.items() if node.ready)
    pools = len({*world.pools.nouns, *world.pools.unreadable})
    row = await _asked(client, settings, world, ledger)
    return Readiness(
        controllers={p.metadata.name: is_ready(p) for p in pods if _is(p, "controller")},
        leader=await _leader(client, settings.namespace),
        speakers={p.spec.node_name or "?": is_ready(p) for p in pods if _is(p, "speaker")},
        nodes=nodes,
        pools=pools,
        row=row,
        silent=_silence(world, row),
    )


def _is(pod: resources.Pod, component: str) -> bool:
    return (pod.metadata.labels or {}).get("component") == component


async def _leader(client: Client, namespace: str) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
    try:
        return (await client.get(resources.Lease, path)).spec.holder_identity
    except ApiError as error:
        if not error.gone:
            raise
        return ""


async def _asked(
    client: Client, settings: StatusReadySettings, world: World, ledger: Ledger
) -> Row:
    """What the controller's own code would give a Service that asks for nothing in particular."""
    namespace, _, name = ASKING.partition("/")
    spec: dict[str, object] = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    if settings.lb_class:
        spec["loadBalancerClass"] = settings.lb_class
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    documents = [Document("a new Service", body)]
    wanted = _wanted(settings)
    report = await plan_on(client, world, ledger, wanted, documents, timestamp())
    return next(row for row in report.rows if row.service == ASKING)


def _wanted(settings: StatusReadySettings) -> PlanSettings:
    return PlanSettings(
        namespace=settings.namespace,
        lb_class=settings.lb_class,
        on_orphan=OnOrphan.KEEP,
        files=(),
        delete=(),
        replace=False,
        all=False,
        output="json",
    )


def _silence(world: World, row: Row) -> str:
    """Why nobody would announce what the new Service would get; empty: somebody would."""
    cluster = world.cluster(world.validated().config)
    namespace, _, name = ASKING.partition("/")
    service = Service(namespace, name, uid="")
    for address, pool in zip(row.then.addresses, row.then.pools, strict=True):
        if not selecting(cluster, service, pool):
            return f'no L2Advertisement or BGPAdvertisement selects pool "{pool}"'
        lack = lacking(cluster, service, pool, address)
        if len(lack) == len(cluster.nodes):
            return "no node may: " + "; ".join(list(lack.values())[:MOST])
    return ""
