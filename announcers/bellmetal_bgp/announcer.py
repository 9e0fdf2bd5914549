"""The BGP announcer: one peering for each plan, their tables, BFD, and who calls us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from bellmetal.addresses import IPNetwork
from bellmetal.announcer import Context, Desired
from bellmetal.facts import Facts, Finding, SessionFacts, SessionState, SessionTrouble
from bellmetal.intents import PeerPlan
from bellmetal_bgp.bfd.detector import Detector
from bellmetal_bgp.calls import Calls
from bellmetal_bgp.drains import Drains
from bellmetal_bgp.peering import Peering, same_session
from bellmetal_bgp.views import Views

log = logging.getLogger(__name__)

DRAINING = "this node is draining: its routes are withdrawn"
FAREWELL = 1.2  # seconds that a planned end waits for peers to take what was said last


class BGPAnnouncer:
    """Sessions with this node's peers, and what they are told; see README.md."""

    name = "bgp"
    protocol = "bgp"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._peerings: dict[str, Peering] = {}
        self._twins: tuple[PeerPlan, ...] = ()  # of peers that are there already
        self._views, self._drains = Views(), Drains()
        self._detector = Detector(self._bfd_changed, context.clock)
        self._calls = Calls(context.changed)
        self._sent: dict[IPNetwork, frozenset[str]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None  # kept, or it might not be run to its end
        self._since = context.clock()
        self._leaving: list[Peering] = []  # kept until what they said last has gone

    # --- the announcer's contract ----------------------------------------------------------------

    async def start(self) -> None:
        """Nothing is opened before there is a peer."""

    async def apply(self, desired: Desired) -> None:
        """Takes this node's whole share. A session is touched only if its own plan has changed."""
        wanted, self._twins = _apart(desired.peers)
        changed = set()
        for name in [*self._peerings]:
            peering, plan = self._peerings[name], wanted.get(name)
            if plan is None or not same_session(peering.plan, plan):
                del self._peerings[name]
                changed.add(name)
                peering.retire()
                self._leaving = [one for one in (*self._leaving, peering) if not one.ended]
        fresh = [plan for name, plan in wanted.items() if name not in self._peerings]
        for plan in fresh:
            anew = plan.name in changed
            self._peerings[plan.name] = Peering(plan, self._context, self._peer_changed, anew)
        for name, plan in wanted.items():
            self._peerings[name].sign(desired.passwords.get(name))
            self._peerings[name].change(plan)
        node, now = self._context.node, self._context.clock()
        draining = (name for name, item in desired.node_sets.items() if node in item.draining)
        self._drains.take(draining, now)
        self._views.take(desired.routes)
        await self._tell()
        self._calls.listen(self._peerings.values())
        for plan in fresh:
            self._peerings[plan.name].start()
        self._detect()
        self._news()

    def status(self) -> Facts:
        """Sessions as they are, and what was sent on those that are established."""
        sessions = [self._facts(self._peerings[name]) for name in sorted(self._peerings)]
        sessions += [_twin(plan, self._since) for plan in self._twins]
        return Facts(
            findings=tuple(Finding("cannotListen", text) for text in self._calls.failures),
            settled=True,
            sessions=tuple(sessions),
            sent=self._sent_now(),
        )

    def _facts(self, peering: Peering) -> SessionFacts:
        facts, words = peering.facts(), self._calls.failure(peering)
        if words and facts.state is not SessionState.ESTABLISHED and peering.plan.passive:
            return replace(facts, trouble=SessionTrouble.CANNOT_LISTEN, message=words)
        if self._drains.active and facts.state is SessionState.ESTABLISHED:
            return replace(facts, warnings=(*facts.warnings, DRAINING))
        return facts

    async def close(self, gracefully: bool) -> None:
        """Ends; gracefully: a peer that keeps routes over a restart is left without a word, any
        other is told in words, and BFD is switched off behind both."""
        for running in (self._timer, self._telling):
            if running is not None:
                running.cancel()
        self._calls.close()
        peerings = [*self._peerings.values()]
        for peering in peerings:
            peering.leave()
        clock = self._context.clock
        until = clock() + (FAREWELL if gracefully else 0.0)
        while clock() < until and not all(peering.ended for peering in peerings):
            await asyncio.sleep(0.005)
        await self._detector.close(gracefully)
        self._peerings.clear()

    # --- telling ---------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Gives every peer its table; a drain's next phase comes by itself."""
        now = self._context.clock()
        for peering in [*self._peerings.values()]:
            plan = peering.plan
            phase = partial(self._drains.phase, drain_time=plan.drain_time, now=now)
            tables = self._views.tables(plan, phase)
            peering.want(tables)
            await asyncio.sleep(0)  # thousands of routes take their time: others come in between
        self._views.forget()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._drains.next_change((p.plan.drain_time for p in self._peerings.values()), now)
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(due - now, self._tell_again)

    def _tell_again(self) -> None:
        self._telling = asyncio.get_running_loop().create_task(self._tell())

    # --- news ------------------------------------------------------------------------------------

    def _peer_changed(self) -> None:
        self._detect()
        self._news()

    def _news(self) -> None:
        self._sent = None
        self._context.changed()

    def _sent_now(self) -> dict[IPNetwork, frozenset[str]]:
        """Prefix → peers; peers that were told the same are looked at together."""
        if self._sent is None:
            together: dict[int, list[str]] = {}
            tables = {}
            for name, peering in self._peerings.items():
                for family, table in peering.session.sent().items():
                    tables[id(table)] = family, table
                    together.setdefault(id(table), []).append(name)
            found: dict[IPNetwork, frozenset[str]] = {}
            for number, (family, table) in tables.items():
                names = frozenset(together[number])
                for nlri in table:
                    network = self._views.network(family, nlri)
                    if network is not None:
                        before = found.get(network)
                        found[network] = names if before is None else before | names
            self._sent = found
        return self._sent

    # --- BFD and calls ---------------------------------------------------------------------------

    def _detect(self) -> None:
        wishes = {name: wish for name, p in self._peerings.items() if (wish := p.wish())}
        self._detector.want(wishes)
        for name, peering in self._peerings.items():
            if name not in wishes and peering.bfd is not None:
                peering.bfd = None

    def _bfd_changed(self, name: str) -> None:
        peering = self._peerings.get(name)
        if peering is not None:
            peering.detected(self._detector.facts(name))


def _apart(plans: Iterable[PeerPlan]) -> tuple[dict[str, PeerPlan], tuple[PeerPlan, ...]]:
    """The peers by name, and those that are at the same place as one before them."""
    wanted: dict[str, PeerPlan] = {}
    twins = []
    places = set()
    for plan in sorted(plans, key=lambda item: item.name):
        place = plan.interface or plan.address or plan.gateway, plan.vrf
        if plan.name in wanted or place in places:
            twins.append(plan)
            continue
        places.add(place)
        wanted[plan.name] = plan
    return wanted, tuple(twins)


def _twin(plan: PeerPlan, since: float) -> SessionFacts:
    where = plan.interface or str(plan.address or (plan.gateway and plan.gateway.value))
    words = f"another BGPPeer of this node has {where} too; only the first by name is in force"
    return SessionFacts(
        peer=plan.name,
        uid=plan.uid,
        remote=where,
        state=SessionState.IDLE,
        since=since,
        port=plan.port,
        vrf=plan.vrf,
        trouble=SessionTrouble.DUPLICATE,
        message=words,
    )
