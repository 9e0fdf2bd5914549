"""Which sessions there should be, and whether the speakers are there that should have them. Only
reads, with the rights of whoever asks; what may not be read is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bellmetal import kube, resources
from bellmetal.api import ApiError, Client
from bellmetal.follow import SLICES
from bellmetal.intents import PeerPlan
from bellmetal.slices import read_slices
from bellmetal.survey import PODS, doubt, ready_by_node
from bellmetal.world import NODES

SPEAKERS = "component=speaker"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Expected:
    """``plans``: the plan of each peer and node, as the slices say; None: they may not be read.

    ``nodes``: whether each node is ready; ``speakers``: whether a speaker pod of a node is. None:
    nobody can say.
    """

    plans: Mapping[tuple[str, str], PeerPlan] | None = None
    nodes: Mapping[str, bool] | None = None
    speakers: Mapping[str, bool] | None = None

    def doubt(self, node: str) -> str:
        """Why what a node has said may be out of date; empty: it is to be believed."""
        return doubt(node, self.nodes, self.speakers)


async def read_expected(client: Client, namespace: str) -> Expected:
    """What there should be now; raises ApiError."""
    return Expected(
        await _plans(client, namespace), await _nodes(client), await _speakers(client, namespace)
    )


async def _plans(client: Client, namespace: str) -> dict[tuple[str, str], PeerPlan] | None:
    found = await _allowed(client, resources.AnnouncementSlice, SLICES.path(namespace))
    if found is None:
        return None
    # routes are the many: nothing of them is asked
    contents = read_slices(one for one in found if one.spec.peers or one.spec.node_sets)
    return {
        (plan.name, node): plan
        for plan in contents.peers
        if plan.node_set in contents.node_sets
        for node in contents.node_sets[plan.node_set].nodes
    }


async def _nodes(client: Client) -> dict[str, bool] | None:
    found = await _allowed(client, resources.Node, NODES.path())
    if found is None:
        return None
    return {item.metadata.name: kube.node(item).ready for item in found}


async def _speakers(client: Client, namespace: str) -> dict[str, bool] | None:
    pods = await _allowed(client, resources.Pod, PODS.path(namespace), SPEAKERS)
    return ready_by_node(pods or ())


async def _allowed(client: Client, kind: type[T], path: str, labels: str = "") -> list[T] | None:
    """A list; None: without the right to read it."""
    try:
        found, _ = await client.list(kind, path, labels)
    except ApiError as error:
        if error.code == 403:
            return None
        raise
    return found
