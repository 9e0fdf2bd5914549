"""One peer's edge: its session driven on asyncio, its connections, its password, its BFD's word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from pyroute2.netlink.exceptions import NetlinkError

from bellmetal.announcer import Context, Password
from bellmetal.facts import BFDFacts, BFDState, SessionFacts, SessionTrouble
from bellmetal.intents import PeerPlan
from bellmetal.pump import Pump
from bellmetal_bgp import host, kernel, sockets
from bellmetal_bgp.bfd.detector import Wish
from bellmetal_bgp.effects import Changed, Close, Connect, Effect, Failure, Place, Send
from bellmetal_bgp.kernel import Bare
from bellmetal_bgp.notifications import Cease, Code, Notification, shutdown
from bellmetal_bgp.outbound import Tables
from bellmetal_bgp.session import Session
from bellmetal_bgp.sockets import SignatureError, Socket, Target
from bellmetal_bgp.whereabouts import UnreachableError, Whereabouts, failure_of
from bellmetal_bgp.wire import Wire

log = logging.getLogger(__name__)

BARE_EVERY, BARE_PATIENCE = 30.0, 1.5  # seconds between tries without a signature, and for one
PATIENCE = 4.0  # seconds for an attempt: SYNs went out at 0, 1 and 3
RECONFIGURED = Notification(Code.CEASE, Cease.OTHER_CONFIGURATION_CHANGE)
BFD_LOST = "BFD was up and is not: if the peer dies, the hold timer alone will tell"
ANEW = "its configuration was changed: connecting anew"
GONE = Notification(Code.CEASE, Cease.PEER_DECONFIGURED)
_LIVE = ("keepalive_time", "connect_time", "bfd", "drain_time", "max_prefixes", "uid", "node_set")


def same_session(one: PeerPlan, other: PeerPlan) -> bool:
    """Whether a change of plan leaves the session up: of what OPEN and TCP say, nothing differs."""
    alike = {name: getattr(other, name) for name in _LIVE}
    return replace(one, **alike) == other


class Peering:
    """``changed()``: its facts have news. ``anew``: it takes the place of one with another plan."""

    def __init__(
        self, plan: PeerPlan, context: Context, changed: Callable[[], None], anew: bool = False
    ) -> None:
        self.plan, self._context, self._changed = plan, context, changed
        self.session = Session(plan, context.clock(), context.random, ANEW if anew else "")
        self.where = Whereabouts(plan, self.hurry)
        self.pump: Pump[Effect] = Pump(self.session, self._perform, context.clock)
        self.password: Password | None = None
        self.bfd: BFDFacts | None = None
        self._wires: dict[int, tuple[Wire, Socket]] = {}
        self._ending: set[Wire] = set()
        self._attempt: asyncio.Task[None] | None = None
        self._attempted = 0
        self._last: Place | None = None
        self._tried: tuple[float, Bare] | None = None  # when, and what came of it

    @property
    def name(self) -> str:
        """The BGPPeer's."""
        return self.plan.name

    @property
    def remote(self) -> str:
        """The peer's address or interface, for people."""
        plan = self.plan
        if plan.interface or plan.address is not None:
            return plan.interface or str(plan.address)
        if self.where.target is not None:
            return self.where.target.remote
        return plan.gateway.value if plan.gateway else ""

    # --- what the announcer wants ----------------------------------------------------------------

    def start(self) -> None:
        """From now on it tries to be up."""
        self.pump.run(self.session.start(self._context.clock()))

    def change(self, plan: PeerPlan) -> None:
        """Another plan, of the same session."""
        if plan != self.plan:
            self.plan = plan
            self.pump.run(self.session.change(plan, self._context.clock()))

    def want(self, tables: Tables) -> None:
        """What the peer is to be told."""
        self.pump.run(self.session.want(tables))

    def hurry(self) -> None:
        """What it lacked may be there now."""
        self.pump.run(self.session.hurry(self._context.clock()))

    def stop(self, said: Notification | None, why: str) -> None:
        """It ends; ``said`` None: without a word, so that the peer keeps our routes."""
        if self._attempt is not None:
            self._attempt.cancel()
        failure = Failure(SessionTrouble.STOPPED, why)
        self.pump.run(self.session.stop(said, failure, self._context.clock()))
        self.pump.stop()
        self.where.close()

    def retire(self) -> None:
        """This node has no session with it any more: it forgets our routes."""
        self.stop(self.session.for_good(GONE), "its BGPPeer is gone, or does not select this node")

    def leave(self) -> None:
        """The speaker ends, and may be back soon."""
        words = f"the speaker of {self._context.node} stops"
        self.stop(None if self.session.keeps_routes else shutdown(words), words)

    @property
    def ended(self) -> bool:
        """Whether all that was said last has been taken."""
        return not self._ending

    # --- passwords -------------------------------------------------------------------------------

    def sign(self, password: Password | None) -> None:
        """Another password: on connections that are up too, or if they cannot, on new ones."""
        if password is not None and not password.value:
            password = None  # to the kernel an empty key is none, and all would go unsigned
        if password == self.password:
            return
        self.password, self._tried = password, None
        if not self.plan.signed or password is None:
            return  # without one no new connection is opened; those that are up go on
        target = self.where.target
        try:
            for _, opened in self._wires.values():
                if target is not None:
                    sockets.sign(opened, target.address, password, self.plan.ao)
        except SignatureError as error:
            log.warning("%s: %s: connecting anew", self.name, error.strerror)
            self.reset()
        self.hurry()

    def reset(self) -> None:
        """Ends the session, and begins it again at once."""
        now = self._context.clock()
        failure = Failure(SessionTrouble.CONNECTING, ANEW)
        self.pump.run(self.session.stop(RECONFIGURED, failure, now))
        self.pump.run(self.session.start(now))

    # --- BFD -------------------------------------------------------------------------------------

    def wish(self) -> Wish | None:
        """The BFD session that it wants: from its first connection on."""
        place, target, profile = self.session.place or self._last, self.where.target, self.plan.bfd
        if profile is None or place is None or target is None:
            return None
        self._last = place
        multi_hop = self.plan.multi_hop or not place.direct
        return Wish(
            remote=target.address,
            local=host.address_of(place.local),
            interface="" if multi_hop else place.interface,
            multi_hop=multi_hop,
            vrf=self.plan.vrf,
            profile=profile,
        )

    def detected(self, facts: BFDFacts | None) -> None:
        """BFD has news. A peer that switched it off has not failed (RFC 5882, section 3.2), nor has
        one that is lost because our own process ended."""
        before, self.bfd = self.bfd, facts
        was_up = before is not None and before.state is BFDState.UP
        if facts is not None and before is not None and not was_up:
            downs = "session_down_events"
            was_up = facts.counters.get(downs, 0) > before.counters.get(downs, 0)
        down = facts is not None and facts.state in (BFDState.DOWN, BFDState.INIT)
        if facts is not None and was_up and down and _means_failure(facts):
            words = f"BFD: {facts.diagnostic}" if facts.diagnostic else "BFD is down"
            self.pump.run(self.session.bfd_down(words, self._context.clock()))
        self._changed()

    # --- connections -----------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        news = False
        for effect in effects:
            match effect:
                case Connect(number):
                    self._try(number)
                case Send(number, data):
                    if number in self._wires:
                        self._wires[number][0].send(data)
                case Close(number):
                    self._close(number)
                case Changed():
                    news = True
        if news:
            self._changed()

    def _close(self, number: int) -> None:
        if self._attempt is not None and self._attempted == number:
            self._attempt.cancel()
            self._attempt = None
        if number in self._wires:
            wire, _ = self._wires.pop(number)
            self._ending.add(wire)
            wire.finish()

    def _try(self, number: int) -> None:
        self._attempted = number
        self._attempt = asyncio.get_running_loop().create_task(self._connect(number))

    async def _connect(self, number: int) -> None:
        """One attempt; what comes of it is told to the session."""
        target: Target | None = None
        before = kernel.read_drops()
        try:
            target = await self.where.find(self.password)
            opened = sockets.tcp(target)
            try:
                async with asyncio.timeout(PATIENCE):
                    await asyncio.get_running_loop().sock_connect(opened, target.sockaddr())
                await self._adopt(number, opened)
            except BaseException:
                opened.close()
                raise
            return
        except UnreachableError as error:
            failure = error.failure
        except TimeoutError:
            failure = kernel.silence(before, kernel.read_drops(), self.plan.ttl_security)
            if failure.trouble is not SessionTrouble.WRONG_TTL and target and target.password:
                failure = kernel.silence_to_signed(await self._bare(target), target.where)
        except OSError as error:
            failure = failure_of(error, target)
        except NetlinkError as error:
            failure = Failure(SessionTrouble.UNSUPPORTED, f"netlink: {error}")
        if self._attempt is asyncio.current_task():
            self._attempt = None
        self.pump.run(self.session.failed(number, failure, self._context.clock()))

    async def _bare(self, target: Target) -> Bare:
        """Tries without a signature, now and then; nothing is said on that connection."""
        now = self._context.clock()
        if self._tried is not None and now - self._tried[0] < BARE_EVERY:
            return self._tried[1]
        try:
            opened = sockets.tcp(replace(target, password=None))
        except OSError:
            return Bare.SILENT
        try:
            async with asyncio.timeout(BARE_PATIENCE):
                await asyncio.get_running_loop().sock_connect(opened, target.sockaddr())
            found = Bare.TAKEN
        except ConnectionRefusedError:
            found = Bare.REFUSED
        except OSError:  # TimeoutError is one
            found = Bare.SILENT
        finally:
            opened.close()
        self._tried = now, found
        return found

    async def _adopt(self, number: int, opened: Socket) -> None:
        """A connection that is there becomes the session's."""
        place = await self._place(opened)
        wire = await self._wire(number, opened)
        if self._attempt is asyncio.current_task():
            self._attempt = None
        self._wires[number] = wire, opened
        self.pump.run(self.session.connected(number, place, self._context.clock()))

    async def _place(self, opened: Socket) -> Place:
        local, remote = sockets.ends(opened)
        found = host.place(local, remote, await host.ports(), self._context.node)
        if self.plan.router_id is not None and self.plan.router_id.version == 4:
            found = replace(found, router_id=self.plan.router_id)
        return found

    async def _wire(self, number: int, opened: Socket) -> Wire:
        wire = Wire(number, self, self._ending.discard)
        await asyncio.get_running_loop().create_connection(lambda: wire, sock=opened)
        return wire

    async def called(self, opened: Socket) -> None:
        """The peer has opened a connection; raises UnreachableError, OSError, NetlinkError."""
        if self.where.target is None or self.plan.signed:
            await self.where.find(self.password)  # so that password and target are known
        if self.plan.ttl_security:
            sockets.limit_hops(opened, self.plan.ttl_security)
        place = await self._place(opened)
        wire = await self._wire(0, opened)
        # From here on nothing is waited for: the session could end this connection meanwhile.
        wire.number, effects = self.session.incoming(place, self._context.clock())
        self._wires[wire.number] = wire, opened
        self.pump.run(effects)

    # --- what happens on them (`wire.Owner`) -----------------------------------------------------

    def heard(self, number: int, data: bytes) -> None:
        """Bytes came in."""
        self.pump.receive((number, data))

    def lost(self, number: int, message: str) -> None:
        """A connection has ended, not by us."""
        self._wires.pop(number, None)
        self.pump.run(self.session.lost(number, message, self._context.clock()))

    def blocked(self, number: int, blocked: bool) -> None:
        """A connection takes no more, or again."""
        if blocked:
            self.session.blocked(number, self._context.clock())
            self.pump.run([])
        else:
            self.pump.run(self.session.unblocked(number))

    # --- facts -----------------------------------------------------------------------------------

    def facts(self) -> SessionFacts:
        """The session and its BFD."""
        found, bfd = self.session.facts(self.remote), self.bfd
        if bfd is None:
            return found
        lost = bfd.state is not BFDState.UP and bfd.counters.get("session_up_events", 0)
        more = (BFD_LOST,) if lost and self.session.established else ()
        return replace(found, bfd=bfd, warnings=(*found.warnings, *more))


def _means_failure(facts: BFDFacts) -> bool:
    return not facts.message and facts.remote_state is not BFDState.ADMIN_DOWN
