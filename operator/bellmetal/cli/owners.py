"""Who owns which address now, as the cluster says it: slices, ServiceL2Status, ledger. Only reads.

May live here: reading, and what both ``move`` and ``drain`` say. May not: orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bellmetal import resources
from bellmetal.addresses import AddressError, IPAddress, block_of
from bellmetal.api import ApiError, Client
from bellmetal.follow import L2_STATUSES, SLICES
from bellmetal.holdings import Tenure, holding_from_entry
from bellmetal.intents import Announcement
from bellmetal.ledger import shard_name
from bellmetal.planning import why_not
from bellmetal.slices import SliceContents, read_slices
from bellmetal.tidying import ROWS
from bellmetal.world import World

NAME_LABEL = "metallb.io/service-name"
NODE_LABEL = "metallb.io/node"
MOST_REASONS = 5  # nodes of which is said why they may not own an address

Say: TypeAlias = Callable[[str], None]


class NotFoundError(Exception):
    """What was typed names nothing that there is; a sentence."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event about an object."""

    name: str
    reason: str
    message: str


class Owners:
    """Asks one cluster; every method raises ApiError."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self._namespace = client, namespace

    async def slices(self) -> SliceContents:
        """What the controller wants: announcements and sets of nodes."""
        found, _ = await self.client.list(resources.AnnouncementSlice, SLICES.path(self._namespace))
        return read_slices(found)

    async def announcing(self, labels: str) -> dict[str, set[str]]:
        """Service key → the nodes that say that they answer for it."""
        path = L2_STATUSES.path(self._namespace)
        found, _ = await self.client.list(resources.ServiceL2Status, path, labels)
        nodes: dict[str, set[str]] = {}
        for item in (body.status for body in found):
            nodes.setdefault(f"{item.service_namespace}/{item.service_name}", set()).add(item.node)
        return nodes

    async def routed(self, node: str) -> set[str]:
        """The Services (by key) of which a node says that it has sent routes."""
        path = ROWS.path(self._namespace)
        found, _ = await self.client.list(ROWS.struct, path, f"{NODE_LABEL}={node}")
        rows = [row.status for row in found if row.status.node == node]
        return {f"{row.service_namespace}/{row.service_name}" for row in rows}

    async def tenure(self, address: IPAddress) -> Tenure | None:
        """Its present owner as the ledger has written it down; None: nothing, or no right."""
        block = shard_name(block_of(address))
        path = f"/apis/bellmetal.io/v1alpha1/namespaces/{self._namespace}/addressledgers/{block}"
        try:
            shard = await self.client.get(resources.AddressLedger, path)
            entry = shard.spec.entries.get(str(address))
            owners = holding_from_entry(str(address), entry).owners if entry else ()
        except ApiError as error:
            if error.gone or error.code == 403:
                return None
            raise
        except AddressError:  # the ledger's fault, which the controller has logged
            return None
        return owners[0] if owners else None

    async def node(self, name: str) -> resources.Node:
        """A Node; raises NotFoundError with those that there are."""
        found, _ = await self.client.list(resources.Node, "/api/v1/nodes")
        nodes = {item.metadata.name: item for item in found}
        must_be_node(name, nodes)
        return nodes[name]

    async def reasons(self, node: str, addresses: Iterable[IPAddress]) -> dict[IPAddress, str]:
        """Why no node but one may own these addresses: what the controller's own rules say."""
        world = World("", False)
        await world.load(self.client, self._namespace)
        cluster = world.cluster(world.validated().config)
        announcements = read_slices(world.slices.nouns.values()).announcements
        others = sorted(name for name in cluster.nodes if name != node)
        found = {}
        for address in addresses:
            item = announcements.get(address)
            if item is None or any(one.key not in cluster.services for one in item.services):
                continue
            said = [why for name in others[:MOST_REASONS] if (why := why_not(cluster, item, name))]
            said += ["…"] * (len(others) > MOST_REASONS)
            found[address] = "; ".join(dict.fromkeys(said)) or "there is none"
        return found

    async def events(self, namespace: str, kind: str, name: str) -> list[Told]:
        """Those about one object; none without the right to read them."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        path = f"/api/v1/namespaces/{namespace}/events"
        try:
            items, _ = await self.client.list(resources.Event, path, fields=selector)
        except ApiError as error:
            if error.code == 403:
                return []
            raise
        return [Told(item.metadata.name, item.reason, item.message) for item in items]


def must_be_node(name: str, nodes: Iterable[str]) -> None:
    """Raises NotFoundError, with the nodes that there are."""
    names = sorted(nodes)
    if name not in names:
        few = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise NotFoundError(f'the cluster has no node "{name}"; it has {few or "none"}')


def held_on(node: str, announcements: Mapping[IPAddress, Announcement]) -> list[Announcement]:
    """What the slices name a node the owner of, in order."""
    found = [item for item in announcements.values() if item.owner == node]
    return sorted(found, key=lambda item: (item.address.version, int(item.address)))


def users(item: Announcement) -> str:
    """The Services of an address."""
    return ", ".join(service.key for service in item.services)


def texts(items: Iterable[Any]) -> str:
    """A list in a sentence."""
    words = [str(item) for item in items]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
