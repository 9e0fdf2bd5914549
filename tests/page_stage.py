"""The page on a situation in memory: a source that tells what a test says, and its server.

`example()` is a small cluster with something of everything; the pictures of the docs are of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from bellmetal import resources
from bellmetal.addresses import IPAddress, parse_address
from bellmetal.api import ApiError
from bellmetal.cluster import Endpoints
from bellmetal.diagnosis.situation import (
    EndpointCounts,
    Leader,
    NodeSession,
    ServiceDetail,
    Situation,
)
from bellmetal.facts import SessionState, SessionTrouble
from bellmetal.holdings import Holding, Tenure
from bellmetal.page.lookout import Lookout
from bellmetal.page.server import Page
from bellmetal.page.sources import Look
from builders import (
    advertisement,
    bgp_advertisement,
    cluster,
    held,
    holder,
    holding,
    node,
    peer,
    pool,
    service,
)
from situations import detail, session, settled


class Told:
    """A source that says what it is told to; ``looks`` and ``asked`` count."""

    name, namespace = "bellmetal-controller-1", "metallb-system"

    def __init__(self, situation: Situation | None, *events: resources.Event) -> None:
        self.situation, self.events = situation, events
        self.unread: tuple[str, ...] = ()
        self.error: ApiError | None = None
        self.looks, self.asked = 0, 0

    async def look(self) -> Look:
        self.looks += 1
        if self.error:
            raise self.error
        leader = self.situation.leader if self.situation else Leader("bellmetal-controller-2", 0, 4)
        return Look(self.situation, leader, self.events, self.unread)

    async def detail(self, key: str) -> ServiceDetail:
        self.asked += 1
        empty = self.situation and not self.situation.cluster.endpoints[key].serving
        return detail(endpoints=EndpointCounts()) if empty else detail()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def served(source: Told, clock: Clock | None = None, key: str = "") -> AsyncIterator[str]:
    """Where the page is, on a port of its own."""
    page = Page(Lookout(source, clock or asyncio.get_running_loop().time), key)
    where = await page.start(0)
    try:
        yield where
    finally:
        await page.stop()


# --- an example -----------------------------------------------------------------------------------


def example() -> Situation:
    """Three nodes, three pools, a dozen Services; one is refused, one has no endpoint."""
    names = ["web", "api", "shop", "mail", "dns", "git", "chat", "wiki", "vpn"]
    services = [service(f"apps/{name}", pool="lan") for name in names]
    services += [service(f"edge/gateway-{number}", pool="edge") for number in range(1, 13)]
    broken = service("apps/video", pool="lan")
    refused = service("apps/typo", pool="lann")
    of = cluster(
        *services,
        broken,
        refused,
        pools=[
            pool(
                "lan",
                "192.0.2.0/26",
                avoid_buggy=True,
                cool_down=3600.0,
                reserved={parse_address("192.0.2.40"): "apps/printer"},
            ),
            pool("edge", "10.16.0.0/12"),
            pool("six", "2001:db8:7::/48"),
        ],
        advertisements=[advertisement("lan", pools="lan")],
        bgp=[bgp_advertisement("edge", pools="edge")],
        peers=[peer("rack-1", "10.0.9.1"), peer("rack-2", "10.0.9.2")],
        nodes=[node("n1"), node("n2"), node("n3")],
    )
    everywhere = dict(of.endpoints)
    everywhere[broken.key] = Endpoints()
    return _lately(settled(replace(of, endpoints=everywhere), _ledger()))


GIVEN = "2026-06-01T08:{:02}:00Z"  # one Service a minute


def _ledger() -> dict[IPAddress, Holding]:
    """An address that a Service has given up lately, and one that has moved twice."""
    owners = (
        Tenure("n2", "2026-06-01T11:42:07Z", "took over from n1: its node is not ready"),
        Tenure("n1", "2026-06-01T09:15:00Z", "moved by order (bellmetal.io/move-to)"),
        Tenure("n3", GIVEN.format(0), "first"),
    )
    web = holder("apps/web", GIVEN.format(0))
    beta = holder("apps/beta")
    freed = "2026-06-01T11:50:00Z"
    return held(
        holding("192.0.2.1", web, owners=owners, pool="lan"),
        holding("192.0.2.30", last_holder=beta, freed_at=freed, pool="lan"),
    )


def _lately(situation: Situation) -> Situation:
    """Addresses were given one after the other; one session of six is down; a node has changed."""
    ledger = dict(situation.held)
    for minute, (ip, item) in enumerate(situation.held.items()):
        holders = tuple(replace(one, since=GIVEN.format(minute)) for one in item.holders)
        ledger[ip] = replace(item, holders=holders)
    first = parse_address("192.0.2.1")
    standing = {**situation.standing, first: replace(situation.standing[first], owner="n2")}
    answering = {**situation.answering, "apps/web": frozenset(["n2"])}
    sessions = [replace(item, since="2026-06-01T08:01:12Z") for item in situation.sessions]
    others = [item for item in sessions if (item.node, item.facts.peer) != ("n3", "rack-2")]
    return replace(
        situation,
        held=ledger,
        standing=standing,
        answering=answering,
        sessions=(*others, _lost()),
    )


def _lost() -> NodeSession:
    facts = session(
        "rack-2",
        remote="10.0.9.2",
        state=SessionState.ACTIVE,
        trouble=SessionTrouble.HOLD_TIMER,
        message="nothing was heard for 90 s",
        flaps=4,
        prefixes_sent=0,
    )
    return NodeSession("n3", facts, since="2026-06-01T11:55:31Z")


def moved(situation: Situation, address: str, node: str, why: str, at: str) -> Situation:
    """The same, after an address has moved."""
    ip = parse_address(address)
    before = situation.held[ip]
    former = Tenure(situation.standing[ip].owner, before.holders[0].since, "first")
    after = replace(before, owners=(Tenure(node, at, why), *(before.owners or (former,))))
    standing = {**situation.standing, ip: replace(situation.standing[ip], owner=node)}
    return replace(situation, held={**situation.held, ip: after}, standing=standing)
