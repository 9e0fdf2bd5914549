"""The layer-2 announcer: ownership and responder on one loop, sockets and netlink around them.

The loop that answers is the loop that sends the beacons: what does not beacon, does not answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Context, Desired, Liveness
from bellmetal.facts import Facts, Finding, Interface, Owned
from bellmetal.intents import Announcement, NodeSet
from bellmetal.pump import Pump
from bellmetal.sights import Look, Sight
from bellmetal_layer2 import beacon
from bellmetal_layer2.difference import Difference
from bellmetal_layer2.groups import Join, Leave
from bellmetal_layer2.interfaces import Watcher
from bellmetal_layer2.lacking import lacking
from bellmetal_layer2.links import Link, Questions
from bellmetal_layer2.messages import (
    Effect,
    Emit,
    Flush,
    GossipSays,
    Heard,
    Own,
    Reassert,
    Said,
    Unreadable,
    Usable,
    Whisper,
    Yield,
)
from bellmetal_layer2.ownership import Ownership
from bellmetal_layer2.places import ANYWHERE
from bellmetal_layer2.probes import (
    Allow,
    Ask,
    Defend,
    Forbid,
    Tallied,
    Told,
    VigilEffect,
)
from bellmetal_layer2.responder import Arrived, Ignored, Responder, ResponderEffect, Transmit
from bellmetal_layer2.scout import Scout
from bellmetal_layer2.talk import Talk
from bellmetal_layer2.watch import Overheard, Watch

log = logging.getLogger(__name__)

# How many addresses the LAN sees is told with whatever else is reported, and by itself some seconds
# after the first is known, then seldom: at rest nothing is written. A doubt is told at once.
COUNT_FIRST, COUNT_EVERY = 3.0, 600.0  # seconds
HANDOVER = 1.0  # seconds that a planned end waits for others to take over


class Layer2Announcer:
    """Answers ARP and NDP for the addresses that this node owns; see README.md."""

    name = "layer2"
    protocol = "layer2"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ownership = Ownership(context.node, context.boot, context.clock())
        self._ownership.remember(context.remembered)
        self._responder = Responder()
        self._owning = Pump(self._ownership, self._perform, context.clock)
        self._answering = Pump(self._responder, self._transmit, context.clock)
        self._watch = Watch(context.node, context.random, self._to_be_asked_for)
        self._looking = Pump(self._watch, self._see_to, context.clock)
        self._proved = self._watch.proved  # as reported by itself
        self._counting: asyncio.TimerHandle | None = None
        self._interfaces: dict[str, Interface] = {}
        self._links: dict[str, Link] = {}
        self._share: tuple[Announcement, ...] = ()  # as it was taken last
        self._wanted: dict[IPAddress, Announcement] = {}  # the same, by address
        self._unfiltered = False  # filters are of other addresses
        self._sets: Mapping[str, NodeSet] = {}
        self._nodes: set[str] = set()
        self._claimed = self._ownership.digest
        self._findings: dict[str, Finding] = {}
        self._stranger = ""  # whom the finding of a foreign beacon is about, if it said a name
        self._talk = Talk()
        self._scout = Scout(self._ask, self._watch.kin.name_of, self._set_filters)
        self._watching: asyncio.Task[None] | None = None

    # --- the announcer's contract ----------------------------------------------------------------

    async def start(self) -> None:
        """Opens sockets on every usable interface, as they come and go."""
        self._context.members.subscribe(self._member_changed, self._message)
        watcher = Watcher(self._interfaces_changed, self._context.exclude)
        self._watching = asyncio.create_task(watcher.run())
        self._owning.run([])

    async def apply(self, desired: Desired) -> None:
        """Takes this node's whole share. The filters first: what is owned must get through them."""
        difference = Difference.between(self._share, desired.announcements)
        self._take(difference)
        if self._unfiltered:
            self._set_filters()
            self._unfiltered = False
        now = self._context.clock()
        self._owning.run(self._ownership.want(desired.announcements, desired.node_sets, now))
        self._look_after(desired.node_sets, difference)
        named = {item.address: item.interfaces for item in difference.other}
        self._looking.run(self._watch.want(named, difference.gone, now))
        self._share = desired.announcements  # not before: what failed is to be done again
        self._context.changed()

    def _take(self, difference: Difference) -> None:
        count = len(self._wanted)
        self._wanted.update({item.address: item for item in difference.other})
        self._unfiltered |= len(self._wanted) > count or bool(difference.gone)
        for address in difference.gone:
            self._wanted.pop(address, None)

    def _look_after(self, sets: Mapping[str, NodeSet], difference: Difference) -> None:
        """Where addresses are answered, and whether the nodes of the sets live."""
        self._nodes = {name for item in sets.values() for name in item.nodes}
        for name in self._nodes:
            self._member_changed(name, self._context.members.liveness(name))
        same, self._sets = sets == self._sets, sets
        others = (item.address for item in difference.other)
        self._restrict(self._ownership.answering.intersection(others) if same else None)

    def status(self) -> Facts:
        """What this node answers for and claims, its interfaces and findings."""
        own = self._ownership
        answering = own.answering
        return Facts(
            owned={
                address: Owned(address, order, self._names(address))
                for address, order in own.mine.items()
                if address in answering
            },
            claims=tuple(own.claims()),
            interfaces=tuple(self._interfaces.values()),
            findings=(
                *self._findings.values(),
                *self._lacking(),
                *self._watch.findings,
            ),
            settled=own.settled,
            doubts=self._watch.doubts,
            proved=self._watch.proved,
            unheard=own.unheard(self._nodes),
        )

    async def look(self, look: Look) -> Sight | None:
        """Asks the LAN for an address, or listens for those who do; see `scout.py`."""
        present = [self._interfaces[name] for name in self._links]
        wanted, ours = look.address in self._wanted, look.address in self._ownership.answering
        return await self._scout.look(look, present, wanted, ours)

    async def close(self, gracefully: bool) -> None:
        """Ends; gracefully: answers until others have taken over, for a second at most."""
        if gracefully and self._ownership.answering and self._ownership.heirs:
            clock = self._context.clock
            self._owning.run(self._ownership.leave(clock()))
            until = clock() + HANDOVER
            while self._ownership.answering and clock() < until:
                await asyncio.sleep(0.01)
        if self._watching is not None:
            self._watching.cancel()
        self._owning.stop()
        self._answering.stop()
        self._looking.stop()
        if self._counting is not None:
            self._counting.cancel()
        self._looking.run(self._watch.want({}, self._wanted, self._context.clock()))
        self._talk.finish()
        for link in self._links.values():
            link.close()
        self._links.clear()

    # --- what comes in ---------------------------------------------------------------------------

    def _asked(self, interface: str, frame: bytes) -> None:
        if self._ownership.stood_still(self._context.clock()):
            return  # the frame may be old; the next tick flushes the sockets (rule 6)
        self._scout.overhear(interface, frame)
        self._answering.receive(Arrived(interface, frame))
        self._overhear(interface, frame)

    def _overhear(self, interface: str, frame: bytes) -> None:
        """Behind the answer: whether it says that somebody else has an address."""
        if self._watch.may_matter(frame):
            strangers = not self._watch.kin.known(self._ownership.heirs)
            self._looking.receive(Overheard(interface, frame, strangers))

    def _beacon_arrived(self, interface: str, frame: bytes) -> None:
        try:
            item = self._heard(beacon.unwrap(frame), interface)
            self._watch.heard(item, interface, frame, self._context.clock())
        except beacon.DecodeError as error:
            self._odd_beacon(error)

    def _message(self, data: bytes) -> None:
        try:
            self._heard(data, "")
        except beacon.DecodeError as error:
            self._odd_beacon(error)

    def _heard(self, payload: bytes, on: str) -> beacon.Beacon:
        decoded = beacon.decode(payload, *self._context.keys().believed)
        known = [f"unknownKey/{decoded.node}"]
        if decoded.node == self._stranger:  # it spoke before a slice said that it is a node
            known.append("foreignBeacon")
        if [key for key in known if self._findings.pop(key, None)]:
            self._context.changed()
        self._owning.receive(Heard(decoded, on))
        return decoded

    def _odd_beacon(self, error: beacon.DecodeError) -> None:
        """Not a member's: never obeyed; said once per reason."""
        key = code = "foreignBeacon"
        message, who = f"a beacon was refused: {error}", ""
        if isinstance(error, beacon.UnknownKeyError):
            who = error.node
            self._owning.receive(Unreadable(who))
            if who in self._nodes:  # any other name is a stranger's word
                key, code = f"unknownKey/{who}", "unknownKey"
                message = f"a beacon of {who} was refused: {error}"
        if key not in self._findings:
            if code == "foreignBeacon":
                self._stranger = who
            self._findings[key] = Finding(code, message)
            log.warning(message, extra={"event": code})
            self._context.changed()

    def _member_changed(self, node: str, liveness: Liveness) -> None:
        if node != self._context.node:
            self._owning.receive(GossipSays(node, liveness))

    def _interfaces_changed(self, interfaces: tuple[Interface, ...]) -> None:
        before, self._interfaces = self._interfaces, {item.name: item for item in interfaces}
        for name, item in before.items():
            if self._interfaces.get(name, item).index != item.index or name not in self._interfaces:
                link = self._links.pop(name, None)
                if link is not None:
                    link.close()
        for item in interfaces:
            if item.name not in self._links:
                self._open(item)
        present = [item for item in interfaces if item.name in self._links]
        log.info("interfaces: %s", ", ".join(item.name for item in present) or "none")
        self._answering.run(self._responder.interfaces(present, self._context.clock()))
        self._watch.interfaces(present)
        self._owning.receive(Usable(tuple(present)))
        self._restrict()
        self._context.changed()

    def _open(self, interface: Interface) -> None:
        """Opens the sockets of an interface; one that fails does not stop the others."""
        code = f"interface/{interface.name}"
        try:
            link = Link(interface, self._questions())
        except OSError as error:
            message = f"interface {interface.name} cannot be used: {error.strerror}"
            log.error(message, extra={"event": "interfaceFailed"})
            self._findings[code] = Finding("interfaceFailed", message)
            return
        for old in (code, f"group/{interface.name}"):
            self._findings.pop(old, None)
        self._links[interface.name] = link
        link.listen(self._asked, self._beacon_arrived)

    def _restrict(self, addresses: Iterable[IPAddress] | None = None) -> None:
        """Answers only where each address (None: all that are answered for) is to be answered."""
        now = self._context.clock()
        effects: list[ResponderEffect] = []
        for address in self._ownership.answering if addresses is None else addresses:
            names, refresh = self._names(address), self._refresh(address)
            effects += self._responder.restrict(address, names, now, refresh)
        self._answering.run(effects)

    def _questions(self) -> Questions:
        return Questions.about([*self._wanted, *self._scout.also], self._watch.decoy)

    def _set_filters(self) -> None:
        questions = self._questions()
        for link in self._links.values():
            link.filter(questions)

    # --- what goes out ---------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        now = self._context.clock()
        changed, looked = False, list[VigilEffect]()
        for effect in effects:
            match effect:
                case Emit(item):
                    self._emit(item)
                case Whisper(node, item):
                    data = beacon.encode(item, *self._context.keys().signing)
                    self._context.members.send(node, data)
                case Own(address, fresh):
                    looked += self._own(address, fresh, now)
                    changed = True
                case Yield(address, _):
                    self._responder.release(address, now)
                    paused = address in self._ownership.mine
                    looked += self._watch.disown(address, paused)
                    changed = True
                case Reassert(address, against):
                    again = f"{against} claimed {address} too: claiming it again"
                    self._talk.say(Said("reasserted", again), logging.WARNING)
                    self._answering.run(self._responder.announce(address, now))
                case Flush(_):  # old beacons would tell of a world that is gone
                    for link in self._links.values():
                        link.flush()
                    looked += self._watch.unsettle(now)
                    changed = True
                case Said():
                    self._talk.say(effect)
                    changed = True
        # A claim that becomes firm changes nothing else, and the controller waits for it.
        claimed, self._claimed = self._claimed, self._ownership.digest
        if changed or claimed != self._claimed:
            self._answering.run(self._responder.tick(now))
            self._looking.run(looked)
            self._context.changed()

    def _own(self, address: IPAddress, fresh: bool, now: float) -> list[VigilEffect]:
        names, refresh = self._names(address), self._refresh(address)
        if not self._watch.distrusts(address):
            self._responder.take(address, names, now, refresh)
        return self._watch.own(address, names, fresh, now)

    def _emit(self, item: beacon.Beacon) -> None:
        payload = beacon.encode(item, *self._context.keys().signing)
        for name, link in self._links.items():
            link.sign(beacon.wrap(payload, self._interfaces[name].mac))

    def _to_be_asked_for(self, address: IPAddress) -> str:
        """Who owns an address, if it is our turn to ask the LAN for it: the first who would follow
        does, and the owner of the slices where another one has it now."""
        item, owner = self._wanted.get(address), self._ownership.holder(address)
        if item is None or not owner or owner == self._context.node:
            return ""
        if self._ownership.quiet(address):
            return ""  # its owner knows already
        able = {self._context.node, *self._ownership.heirs}
        turn = [n for n in (*item.successors, item.owner) if n != owner and n in able]
        return owner if turn and turn[0] == self._context.node else ""

    def _see_to(self, effects: list[VigilEffect]) -> None:
        """What the machines that look at the LAN want."""
        now = self._context.clock()
        changed = False
        for effect in effects:
            match effect:
                case Ask(interface, frame):
                    self._ask(interface, frame)
                case Forbid(address):
                    self._owning.run(self._ownership.forbid(address, now))
                case Allow(address):
                    self._owning.run(self._ownership.allow(address, now))
                case Defend(interface, address):
                    self._answering.run(self._responder.defend(address, interface))
                case Told(event, message, warning):
                    level = logging.WARNING if warning else logging.INFO
                    log.log(level, message, extra={"op": "watch", "event": event})
                    changed = True
                case Tallied(what, kind):
                    self._context.tally(what, kind)
                    self._count_later()
        if changed:
            self._context.changed()

    def _ask(self, interface: str, frame: bytes) -> None:
        if interface in self._links:
            self._links[interface].say(frame)

    def _count_later(self) -> None:
        if self._counting is None:
            loop, known = asyncio.get_running_loop(), self._proved.asked
            self._counting = loop.call_later(
                COUNT_EVERY if known else COUNT_FIRST, self._count_proofs
            )

    def _count_proofs(self) -> None:
        self._counting = None
        before, self._proved = self._proved, self._watch.proved
        if self._proved != before:
            self._context.changed()

    def _transmit(self, effects: Iterable[ResponderEffect]) -> None:
        for effect in effects:
            match effect:
                case Transmit(interface, frame, address, gratuitous):
                    link = self._links.get(interface)
                    if link is None or not link.say(frame):
                        continue
                    if gratuitous:
                        self._context.count("gratuitous_sent", address)
                    else:
                        self._context.count("requests_received", address)
                        self._context.count("responses_sent", address)
                        self._scout.answered(address)
                case Join(interface, group):
                    self._join(interface, group)
                case Leave(interface, group):
                    if interface in self._links:
                        self._links[interface].memberships.leave(group)
                case Ignored(reason):
                    log.debug("no answer: %s", reason.value)

    def _join(self, interface: str, group: IPv6Address) -> None:
        """Without the group a switch may still flood it: what fails is said, and stops nothing."""
        try:
            if interface in self._links:
                self._links[interface].memberships.join(group)
        except OSError as error:
            message = f"interface {interface} does not join {group}: {error.strerror}"
            log.warning(message, extra={"event": "groupFailed"})
            self._findings[f"group/{interface}"] = Finding("groupFailed", message)

    def _names(self, address: IPAddress) -> frozenset[str]:
        return self._ownership.place(address) or ANYWHERE

    def _refresh(self, address: IPAddress) -> int:
        item = self._wanted.get(address)
        return item.refresh if item and item.refresh else self._context.refresh

    def _lacking(self) -> list[Finding]:
        """What the slices want here and no interface can answer for."""
        mine = (item for item in self._wanted.values() if item.owner == self._context.node)
        unable = [item for item in mine if self._ownership.place(item.address) is None]
        return lacking(unable, [self._interfaces[name] for name in self._links])
