"""Orders of a person (annotation `bellmetal.io/move-to` on a Service): carried out, or refused.

An order is for one time. It has fired once the slices name the node: whoever owns the address
after that does so by the ordinary rules. If it stood until the new owner answers, and that node
were silent, the reflex of the others and the order would rename the owner in turn, for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.cluster import Cluster, Service
from bellmetal.intents import BGP, Announcement, Intents
from bellmetal.planning import why_not


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one order.

    ``moved``: addresses that the slices name the node for since this very pass, and whose they
    were; ``refused``: why others are not its; both are empty if it owned all of them already.
    """

    service: Service
    node: str
    moved: tuple[tuple[IPAddress, str], ...] = ()
    refused: tuple[str, ...] = ()


def judge(
    cluster: Cluster, intents: Intents, before: Mapping[IPAddress, Announcement]
) -> list[Verdict]:
    """Every order that stands, and what became of it; ``before``: what the slices said."""
    ordered = [item for item in cluster.services.values() if item.move_to and item.ours]
    if not ordered:
        return []
    found: dict[str, list[Announcement]] = {}
    for item in intents.announcements:
        for service in item.services:
            found.setdefault(service.key, []).append(item)
    withheld: dict[str, list[str]] = {}
    for no in intents.withheld:
        if not no.how.startswith(BGP):  # that has no owner
            withheld.setdefault(no.service, []).append(no.sentence)
    return [
        _judge(cluster, service, found.get(service.key, []), withheld.get(service.key, []), before)
        for service in ordered
    ]


def _judge(
    cluster: Cluster,
    service: Service,
    announcements: list[Announcement],
    withheld: list[str],
    before: Mapping[IPAddress, Announcement],
) -> Verdict:
    moved: list[tuple[IPAddress, str]] = []
    refused = list(withheld)
    if not announcements and not withheld:
        by_bgp = bool(service.shown.addresses)  # and nothing is said against it
        refused.append(
            "an owner is a matter of layer 2, where no address of the Service is announced"
            if by_bgp
            else "the Service has no address"
        )
    for item in announcements:
        former = before.get(item.address)
        if item.owner != service.move_to and not withheld:
            refused.append(_why(cluster, service, item))
        elif former is not None and former.owner != item.owner:
            moved.append((item.address, former.owner))
    return Verdict(service, service.move_to, tuple(moved), tuple(refused))


def _why(cluster: Cluster, service: Service, item: Announcement) -> str:
    """Why the node does not own an address of the Service, although that was ordered."""
    stays = f"{item.address} stays on {item.owner}"
    for other in (cluster.services[one.key] for one in item.services):
        if other.move_to not in ("", service.move_to):
            return f"{stays}: {other.key}, which shares it, asks for {other.move_to}"
    no = why_not(cluster, item, service.move_to)
    return f"{stays}: {no or f'{service.move_to} does not qualify'}"
