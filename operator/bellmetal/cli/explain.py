"""``bellmetal explain``: why a Service, pool, node or peer does not work, and what to do."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from collections.abc import Iterable
from dataclasses import replace

from bellmetal.addresses import AddressError, IPAddress, parse_address
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.asking import AskingError
from bellmetal.cli.chain_text import print_explanations
from bellmetal.cli.looking_for import look, questions
from bellmetal.cli.owners import NotFoundError
from bellmetal.cli.voice import admit, failed
from bellmetal.diagnosis.chain import Explanation
from bellmetal.diagnosis.node import explain_node
from bellmetal.diagnosis.peer import explain_peer
from bellmetal.diagnosis.pool import explain_pool
from bellmetal.diagnosis.service import explain_service
from bellmetal.diagnosis.situation import Situation
from bellmetal.diagnosis.wire import as_plain
from bellmetal.events import timestamp
from bellmetal.inquiries import ExplainSettings
from bellmetal.settings import SettingsError
from bellmetal.survey import Surveyor, Told

BROKEN = 3
SEVERAL = 10  # names that are listed where one is not found


def main(settings: ExplainSettings) -> int:
    """Prints the explanation; the exit status is in the help."""
    try:
        unread, found = asyncio.run(_explain(settings))
    except NotFoundError as error:
        return failed("explain", error, 2)
    except (SettingsError, ApiError, AskingError, OSError) as error:
        return failed("explain", error, 1)
    admit("explain", unread)
    if settings.output == "json":
        bodies = [as_plain(item) | {"unread": list(unread)} for item in found]
        print(json.dumps(bodies[0] if len(bodies) == 1 else bodies, indent=2, ensure_ascii=False))
    else:
        print_explanations(found, sys.stdout)
    return BROKEN if any(item.broken for item in found) else 0


async def _explain(settings: ExplainSettings) -> tuple[tuple[str, ...], list[Explanation]]:
    # not the situation: asyncio makes a text of what its main task returns, whatever its size
    told = None if settings.lb_class is None else Told(settings.lb_class)
    async with Client(find_access()) as client:
        surveyor = Surveyor(client, settings.namespace, told)
        situation = await surveyor.survey(timestamp())
        if settings.client:
            situation = replace(situation, client=_address(settings.client))
        looked = client if settings.look or settings.client else None
        found = await explain(surveyor, situation, settings.subject, settings.name, looked)
        return situation.unread, found


async def explain(
    surveyor: Surveyor, situation: Situation, subject: str, name: str, client: Client | None = None
) -> list[Explanation]:
    """What is asked for; with a ``client`` the nodes of a Service look for themselves, too.

    Raises NotFoundError, AskingError and ApiError.
    """
    cluster = situation.cluster
    match subject:
        case "service":
            key = name if "/" in name else f"default/{name}"
            _must_be(key, cluster.services, "Service")
            return [await _explain_service(surveyor, situation, key, client)]
        case "pool":
            pools = {pool.name for pool in cluster.config.pools}
            _must_be(name, pools, "IPAddressPool")
            return [explain_pool(situation, name)]
        case "node":
            _must_be(name, cluster.nodes, "Node")
            return [explain_node(situation, name)]
        case "peer":
            peers = {peer.name for peer in cluster.config.peers}
            peers |= {p.name for p in situation.problems if p.kind == "BGPPeer"}
            _must_be(name, peers, "BGPPeer")
            return [explain_peer(situation, name)]
        case _:
            return await _explain_address(surveyor, situation, name, client)


async def _explain_service(
    surveyor: Surveyor, situation: Situation, key: str, client: Client | None
) -> Explanation:
    detail = await surveyor.detail(key)
    if client is not None:
        situation = await look(client, situation, questions(situation, key, detail))
    return explain_service(situation, key, detail)


def _address(text: str) -> IPAddress:
    try:
        return parse_address(text)
    except AddressError as error:
        raise NotFoundError(str(error)) from error


async def _explain_address(
    surveyor: Surveyor, situation: Situation, text: str, client: Client | None
) -> list[Explanation]:
    """The Services that have an address."""
    address = _address(text)
    granted = situation.allocations.granted
    keys = [key for key, item in sorted(granted.items()) if address in item.addresses]
    if keys:
        return [await _explain_service(surveyor, situation, key, client) for key in keys]
    pool = situation.cluster.config.pool_of(address)
    holding = situation.held.get(address)
    last, since = holding.last(situation.now) if holding else (None, "")
    had = f"; {last.key} had it until {since or '?'}" if last else ""
    where = f"it is free in IPAddressPool/{pool.name}" if pool else "no IPAddressPool allows it"
    raise NotFoundError(f"no Service has {address}: {where}{had}")


def _must_be(name: str, known: Iterable[str], kind: str) -> None:
    names = sorted(known)
    if name not in names:
        near = difflib.get_close_matches(name[:500], names, n=1)
        few = ", ".join(names[:SEVERAL]) + (", …" if len(names) > SEVERAL else "")
        meant = f"is {near[0]} meant?" if near else f"there are {few or 'none'}"
        raise NotFoundError(f'there is no {kind} "{name}"; {meant}')
