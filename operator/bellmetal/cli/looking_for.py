"""What `explain --look` asks speakers: the owner listens and connects, another asks the LAN."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bellmetal.api import Client
from bellmetal.cli.asking import ask
from bellmetal.diagnosis.announced import no_speaker, owner_of, senders
from bellmetal.diagnosis.situation import ServiceDetail, Situation
from bellmetal.intents import Announcement
from bellmetal.sights import Look, LookKind

LISTEN = 3  # seconds, in which another node asks


def questions(
    situation: Situation, key: str, detail: ServiceDetail
) -> Mapping[str, Sequence[Look]]:
    """Node → what it is to look at for a Service, in this order."""
    found: dict[str, list[Look]] = {}
    service, client = situation.cluster.services[key], situation.client
    granted = situation.allocations.granted.get(key)
    for address in granted.addresses if granted else ():
        item = situation.told.announcements.get(address)
        nodes = set() if item is None else {owner_of(situation, item)}
        for node in sorted(nodes | senders(situation, service)):
            if no_speaker(situation, node):
                continue
            mine = found.setdefault(node, [])
            if item is not None and node in nodes:
                mine.append(Look("", LookKind.LISTEN, address, seconds=LISTEN))
            if detail.tcp_port:
                mine.append(Look("", LookKind.CONNECT, address, detail.tcp_port))
        if item is not None and (other := _another(situation, item)):
            found.setdefault(other, []).insert(0, Look("", LookKind.RESOLVE, address))
    if client is not None:
        for mine in found.values():
            mine.append(Look("", LookKind.ROUTE, client))
    return found


def _another(situation: Situation, item: Announcement) -> str:
    """A node that can ask the LAN for what its owner answers for; empty: there is none."""
    owner = owner_of(situation, item)
    node_set = situation.told.node_sets.get(item.node_set)
    able = (*item.successors, *sorted(node_set.nodes if node_set else ()))
    return next(
        (
            name
            for name in able
            if name != owner and situation.cluster.living(name) and not no_speaker(situation, name)
        ),
        "",
    )


async def look(
    client: Client, situation: Situation, wanted: Mapping[str, Sequence[Look]]
) -> Situation:
    """The situation with what was seen; all nodes look at the same time. Raises AskingError and
    ApiError."""

    asked = [(node, item.address) for node, looks in wanted.items() for item in looks]
    answers = await asyncio.gather(
        *(ask(client, situation.namespace, node, looks) for node, looks in wanted.items())
    )
    sights = [sight for answer in answers for sight in answer]
    seen = [(*whom, sight) for whom, sight in zip(asked, sights, strict=True)]
    return replace(situation, looks=(*situation.looks, *seen))
