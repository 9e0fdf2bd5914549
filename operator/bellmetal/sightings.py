"""What speakers doubt, as conditions on Services: whether the LAN sees an address as it should.

May live here: whose word counts, and how it looks. May not: the looking (an announcer's).
"""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal import kube
from bellmetal.addresses import IPAddress, printable
from bellmetal.allocation import Allocations
from bellmetal.cluster import Cluster, Condition
from bellmetal.facts import Doubt, DoubtKind
from bellmetal.resources import SpeakerReport

_WORST_FIRST = tuple(DoubtKind)


def conditions(
    reports: Iterable[SpeakerReport], cluster: Cluster, allocations: Allocations
) -> dict[str, Condition]:
    """Service key → its condition, for those with an address in doubt. The worst doubt is told.

    What a node said before it went away counts for nothing: it cannot take it back.
    """
    by_address: dict[IPAddress, list[tuple[str, Doubt]]] = {}
    for node, doubt in kube.doubts(reports):
        if node in cluster.nodes and cluster.nodes[node].ready:
            by_address.setdefault(doubt.address, []).append((node, doubt))
    if not by_address:
        return {}
    found: dict[str, Condition] = {}
    for key, allocation in allocations.granted.items():
        told = [item for address in allocation.addresses for item in by_address.get(address, ())]
        if told:
            found[key] = _condition(told)
    return found


def _condition(told: Iterable[tuple[str, Doubt]]) -> Condition:
    node, doubt = min(told, key=_weight)
    message = printable(f"{doubt.message} (as {node} sees it)")
    return Condition(kube.SEEN, "False", doubt.kind.reason, message)


def _weight(item: tuple[str, Doubt]) -> tuple[int, int, str]:
    node, doubt = item
    return _WORST_FIRST.index(doubt.kind), int(doubt.address), node
