"""A LAN, its gossip and its clock, in memory: nodes with an `Ownership` each, and what befalls.

Nothing here sleeps and nothing is left to chance but what the seed says. Gossip behaves as
kinship was measured to: a crash is known after 0.31-0.56 s, to a node in the minority after
1.5-2 s, a return after 0.1 s at most; a loop that hangs still looks alive, a stopped process not.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Liveness
from bellmetal.facts import Claim, Interface
from bellmetal.intents import Announcement, Intents, NodeSet
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.messages import (
    Effect,
    Emit,
    Flush,
    GossipSays,
    Heard,
    Message,
    Own,
    Reassert,
    Said,
    Usable,
    Whisper,
    Yield,
)
from bellmetal_layer2.ownership import Ownership
from bellmetal_layer2.peers import PATIENCE, Life

ETH0 = Interface("eth0", 2, bytes(6), up=True, subnets=("192.0.2.1/24", "fe80::1/64"))
HANDOVER = 1.0  # as the announcer: how long a leaver waits for others
SET = "all"


@dataclass
class Node:
    """One node; ``machine`` None: the process does not run."""

    name: str
    machine: Ownership | None = None
    boot: int = 0
    booted_at: float = 0.0
    hanging: bool = False  # the loop gets no turn
    stopped: bool = False  # nor do its threads
    carrier: bool = True
    left: bool = False
    lag: float = 0.0  # seconds by which its watch is slow
    slices: dict[IPAddress, Announcement] = field(default_factory=dict)
    remembered: list[Claim] = field(default_factory=list)  # the file
    gossip: dict[str, Liveness] = field(default_factory=dict)
    queue: list[Message] = field(default_factory=list)  # what came in while the loop hung
    beacons: int = 0
    ticks: int = 0

    @property
    def runs(self) -> bool:
        """Whether it can answer anything."""
        return self.machine is not None and not self.hanging

    @property
    def usable(self) -> Usable:
        """What its kernel says of its interfaces."""
        return Usable((ETH0,) if self.carrier else ())

    @property
    def leaving(self) -> bool:
        """Whether it hands over."""
        return self.machine is not None and self.machine._voice.leaving

    @property
    def answering(self) -> set[IPAddress]:
        """What it answers for, as the LAN sees it."""
        if self.machine is None or self.hanging or not self.carrier:
            return set()
        return self.machine.answering


class Lan:
    """The nodes, and everything between them."""

    def __init__(
        self,
        names: list[str],
        addresses: int = 1,
        seed: int = 0,
        loss: float = 0.0,
        multicast: bool = True,
        gossip_apart: bool = False,
    ) -> None:
        self.dice = random.Random(seed)
        self.now = 100.0
        self.loss, self.multicast = loss, multicast
        self.gossip_apart = gossip_apart  # gossip goes over a network of its own
        self.silenced: set[tuple[str, str]] = set()  # who does not gossip with whom, there
        self.nodes = {name: Node(name) for name in names}
        self.addresses: list[IPAddress] = [
            ipaddress.IPv4Address("192.0.2.10") + n for n in range(addresses)
        ]
        self.deaf: set[tuple[str, str]] = set()  # (speaker, listener): does not come through
        self.plan = {
            address: self._announcement(address, 1, names[n % len(names)])
            for n, address in enumerate(self.addresses)
        }
        self.sets = {SET: NodeSet(SET, dict.fromkeys(names, ""))}
        self.parted_at = 0.0  # when who hears whom has changed last
        self.log: list[str] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_own: Callable[[Node, IPAddress], None] = lambda node, address: None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._reach: dict[str, set[str]] = {}
        self._arrives: dict[tuple[str, str], float] = {}
        self._ticks: dict[str, float] = {}

    def _announcement(self, address: IPAddress, term: int, owner: str) -> Announcement:
        successors = tuple(name for name in self.nodes if name != owner)[:2]
        return Announcement(address, term, owner, SET, successors)

    def use(self, intents: Intents) -> None:
        """What the controller's own plan says, in place of what this LAN made up."""
        self.plan = {item.address: item for item in intents.announcements}
        self.addresses = list(self.plan)
        self.sets = {item.name: item for item in intents.node_sets}

    # --- the clock -------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def after(self, low: float, high: float, action: Callable[[], None]) -> None:
        self.at(self.now + self.dice.uniform(low, high), action)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = until

    def note(self, text: str) -> None:
        self.log.append(f"{self.now - 100:8.4f} {text}")

    # --- driving a node --------------------------------------------------------------------------

    def _deliver(self, node: Node, boot: int, message: Message) -> None:
        if node.machine is None or node.boot != boot:
            return
        if node.hanging:
            node.queue.append(message)
            return
        self._perform(node, node.machine.receive(message, self.now))

    def _perform(self, node: Node, effects: list[Effect]) -> None:
        changed = False
        for effect in effects:
            match effect:
                case Emit(beacon):
                    node.beacons += 1
                    self._broadcast(node, beacon)
                case Whisper(name, beacon):
                    self._whisper(node, self.nodes[name], beacon)
                case Own(address):
                    self.note(f"{node.name} owns {address}")
                    self.on_own(node, address)
                    changed = True
                case Yield(address, to):
                    self.note(f"{node.name} yields {address} to {to or '-'}")
                    changed = True
                case Reassert(address, against):
                    self.note(f"{node.name} reasserts {address} against {against}")
                case Flush(reason):
                    self.note(f"{node.name} flushes: {reason}")
                    node.queue = [m for m in node.queue if not isinstance(m, Heard)]
                case Said(event, message):
                    self.note(f"{node.name} says {event}: {message}")
        if changed:
            self.on_change()
        self._arm(node)

    def _arm(self, node: Node) -> None:
        assert node.machine is not None
        due = node.machine.deadline()
        assert due is not None
        when = max(due, self.now + 1e-4) + self.dice.uniform(0, 0.002)
        if not self.now < self._ticks.get(node.name, 0.0) <= when:
            self._ticks[node.name] = when
            self.at(when, lambda: self._tick(node, when))

    def _tick(self, node: Node, when: float) -> None:
        if self._ticks.get(node.name) != when or node.machine is None or node.hanging:
            return
        self._ticks[node.name] = 0.0
        node.ticks += 1
        self._perform(node, node.machine.tick(self.now))

    # --- between them ----------------------------------------------------------------------------

    def hears(self, listener: Node, speaker: Node) -> bool:
        """Whether frames of the one come to the other."""
        through = (speaker.name, listener.name) not in self.deaf
        return through and listener.carrier and speaker.carrier

    def groups(self) -> Iterator[list[Node]]:
        """Nodes with carrier that all hear one another, where they do; else they are left out."""
        left = [node for node in self.nodes.values() if node.carrier]
        while left:
            group = [n for n in left if n is left[0] or self._joined(n, left[0])]
            left = [n for n in left if n not in group]
            outside = [n for n in self.nodes.values() if n not in group]
            whole = all(self._joined(a, b) for a, b in itertools.combinations(group, 2))
            alone = not any(self.hears(a, b) or self.hears(b, a) for a in group for b in outside)
            if whole and alone:
                yield group

    def _joined(self, one: Node, other: Node) -> bool:
        return self.hears(one, other) and self.hears(other, one)

    def _broadcast(self, node: Node, beacon: Beacon) -> None:
        for other in self.nodes.values():
            if other is node or not self.multicast or not self.hears(other, node):
                continue
            if self.loss and self.dice.random() < self.loss:
                continue
            pair = node.name, other.name
            when = self.now + self.dice.uniform(0.0002, 0.003)
            self._arrives[pair] = when = max(when, self._arrives.get(pair, 0.0) + 1e-6)
            self._later(when, other, Heard(beacon, "eth0"))

    def _whisper(self, node: Node, other: Node, beacon: Beacon) -> None:
        if other.name in self._gossip_reach(node) and not other.stopped:
            when = self.now + self.dice.uniform(0.001, 0.01)
            self._later(when, other, Heard(beacon, ""))

    def _later(self, when: float, node: Node, message: Message) -> None:
        boot = node.boot
        self.at(when, lambda: self._deliver(node, boot, message))

    # --- gossip ----------------------------------------------------------------------------------

    def _gossip_reach(self, node: Node) -> set[str]:
        """All nodes that gossip comes to from here: both ways, over others too."""
        if node.name not in self._reach:
            found = self._find_reach(node)
            self._reach |= dict.fromkeys(found, found)  # each of them reaches the same
        return self._reach[node.name]

    def _find_reach(self, node: Node) -> set[str]:
        reached, fresh = {node.name}, [node]
        while fresh:
            one = fresh.pop()
            for other in self.nodes.values():
                there = other.machine is not None and not other.stopped
                if other.name not in reached and there and self._gossips(one, other):
                    reached.add(other.name)
                    fresh.append(other)
        return reached

    def _gossips(self, one: Node, other: Node) -> bool:
        if self.gossip_apart:
            return not {(one.name, other.name), (other.name, one.name)} & self.silenced
        return self._joined(one, other)

    def _truth(self, node: Node, other: Node) -> Liveness:
        if other.machine and not other.stopped and other.name in self._gossip_reach(node):
            return Liveness.ALIVE
        return Liveness.LEFT if other.machine is None and other.left else Liveness.DEAD

    def gossip(self) -> None:
        """Something happened: every node will learn of it in its time."""
        self._reach.clear()
        for node in self.nodes.values():
            if node.machine is None or node.stopped:
                continue
            most = len(self._gossip_reach(node)) * 2 > len(self.nodes)
            for other in self.nodes.values():
                if other is not node:
                    self._gossip_about(node, other, most)

    def _gossip_about(self, node: Node, other: Node, most: bool) -> None:
        truth = self._truth(node, other)
        believed = node.gossip.get(other.name, Liveness.UNKNOWN)
        if truth is believed or (believed is Liveness.UNKNOWN and truth is not Liveness.ALIVE):
            return
        if truth is not Liveness.DEAD:
            low, high = 0.02, 0.1
        else:
            low, high = (0.31, 0.56) if most else (1.5, 2.0)
        boot = node.boot

        def tell() -> None:
            believed = node.gossip.get(other.name, Liveness.UNKNOWN)
            if node.boot == boot and self._truth(node, other) is truth is not believed:
                node.gossip[other.name] = truth
                self._deliver(node, boot, GossipSays(other.name, truth))

        self.after(low, high, tell)

    # --- what befalls a node ---------------------------------------------------------------------

    def start(self, name: str, remember: bool = False) -> None:
        """The process starts, with or without the file of before."""
        node = self.nodes[name]
        if node.machine is not None:
            return
        self.note(f"--- {name} starts{', remembering' if remember else ''}")
        node.boot += 1
        node.booted_at = self.now
        node.hanging = node.stopped = node.left = False
        node.gossip, node.queue = {}, []
        node.machine = Ownership(name, node.boot, self.now)
        if remember:
            node.machine.remember(node.remembered)
        if not node.carrier:
            self._perform(node, node.machine.receive(Usable(()), self.now))
        node.slices = dict(self.plan)
        boot = node.boot
        self.after(0.0, 0.3, lambda: self._want(node, boot))
        self._arm(node)
        self.gossip()
        self.on_change()

    def start_all(self) -> None:
        for name in self.nodes:
            self.start(name)

    def _want(self, node: Node, boot: int) -> None:
        if node.machine is None or node.boot != boot:
            return
        if node.hanging:
            self.after(0.5, 0.5, lambda: self._want(node, boot))
            return
        effects = node.machine.want(node.slices.values(), self.sets, self.now)
        self._perform(node, effects)

    def crash(self, name: str) -> None:
        """The power is cut: its file is as it was last written."""
        node = self.nodes[name]
        if node.machine is None:
            return
        self.note(f"--- {name} crashes")
        node.remembered = node.machine.claims()
        self._end(node, left=False)

    def _end(self, node: Node, left: bool) -> None:
        node.machine, node.left = None, left
        node.hanging = node.stopped = False
        self._ticks.pop(node.name, None)
        self.gossip()
        self.on_change()

    def leave(self, name: str, back_after: float | None = None) -> None:
        """SIGTERM: hands over, ends; starts again after a while, if it is said."""
        node = self.nodes[name]
        if node.machine is None or node.hanging:
            return
        self.note(f"--- {name} leaves")
        boot, until = node.boot, self.now + HANDOVER
        node.remembered = node.machine.claims()
        if node.machine.answering:
            self._perform(node, node.machine.leave(self.now))

        def wait() -> None:
            if node.machine is None or node.boot != boot:
                return
            if node.machine.answering and self.now < until:
                self.after(0.01, 0.01, wait)
                return
            self.note(f"--- {name} has left")
            node.remembered = node.machine.claims()
            self._end(node, left=True)
            if back_after is not None:
                self.at(self.now + back_after, lambda: self.start(name, remember=True))

        wait()

    def hang(self, name: str, seconds: float, stop: bool) -> None:
        """No turn of the loop for a while; ``stop``: nor of any thread (SIGSTOP)."""
        node = self.nodes[name]
        if node.machine is None or node.hanging:
            return
        self.note(f"--- {name} {'is stopped' if stop else 'hangs'} for {seconds} s")
        node.hanging, node.stopped = True, stop
        boot = node.boot
        self.gossip()
        self.on_change()
        self.at(self.now + seconds, lambda: self._resume(node, boot))

    def _resume(self, node: Node, boot: int) -> None:
        if node.machine is None or node.boot != boot:
            return
        self.note(f"--- {node.name} goes on")
        node.hanging = node.stopped = False
        if self.dice.random() < 0.5:
            self._perform(node, node.machine.tick(self.now))
        while node.queue:
            self._deliver(node, boot, node.queue.pop(0))
        self._perform(node, node.machine.tick(self.now))
        self.gossip()
        self.on_change()

    def cut(self, name: str, present: bool) -> None:
        """The cable of a node is pulled out, or put back."""
        node = self.nodes[name]
        if node.carrier is present:
            return
        self.note(f"--- {name} {'has' if present else 'has no'} carrier")
        node.carrier, self.parted_at = present, self.now
        boot = node.boot
        self.after(
            0.0, 0.01, lambda: self._deliver(node, boot, Usable((ETH0,) if node.carrier else ()))
        )
        self.gossip()
        self.on_change()

    def part(self, some: set[str], ways: int) -> None:
        """Frames from ``some`` do not reach the rest; two ways: nor back."""
        rest, self.parted_at = self.nodes.keys() - some, self.now
        self.note(f"--- {sorted(some)} and {sorted(rest)} are parted, {ways} way(s)")
        self.deaf = {(a, b) for a in some for b in rest}
        if ways == 2:
            self.deaf |= {(b, a) for a in some for b in rest}
        self.gossip()
        self.on_change()

    def part_gossip(self, some: set[str]) -> None:
        """Gossip alone does not pass between ``some`` and the rest."""
        rest = self.nodes.keys() - some
        self.note(f"--- gossip of {sorted(some)} and {sorted(rest)} is parted")
        self.silenced = {(a, b) for a in some for b in rest}
        self.gossip()

    def heal(self) -> None:
        self.note("--- healed")
        self.deaf, self.silenced, self.parted_at = set(), set(), self.now
        self.gossip()
        self.on_change()

    # --- the controller --------------------------------------------------------------------------

    def order(self, address: IPAddress, owner: str) -> None:
        """A planned move: the next term, which each node learns of in its time."""
        announcement = self._announcement(address, self.plan[address].term + 1, owner)
        self.note(f"--- term {announcement.term}: {address} goes to {owner}")
        self.plan[address] = announcement
        for node in self.nodes.values():
            self._publish(node, announcement)

    def _publish(self, node: Node, announcement: Announcement) -> None:
        boot = node.boot

        def learn() -> None:
            known = node.slices.get(announcement.address)
            if known is None or known.term < announcement.term:
                node.slices[announcement.address] = announcement
                self._want(node, boot)

        self.after(0.005 + node.lag, 0.05 + node.lag, learn)

    def confirm(self) -> None:
        """The controller names the holders of firm claims that differ from the slices."""
        for address in self.addresses:
            claims = [
                (node.machine.mine[address], node.name)
                for node in self.nodes.values()
                if node.machine and address in node.machine.mine
            ]
            if claims:
                order, name = max(claims)
                planned = self.plan[address]
                behind = order.term == planned.term and planned.owner != name
                if order.firm and (behind or order.term > planned.term):
                    self.order(address, name)

    # --- looking ---------------------------------------------------------------------------------

    def answerers(self, address: IPAddress) -> list[str]:
        return sorted(n.name for n in self.nodes.values() if address in n.answering)

    def settled(self, node: Node) -> bool:
        return node.runs and node.machine is not None and node.machine.settled

    def waits(self, node: Node) -> bool:
        """Whether a node waits for another that it has not seen since its start (rule 7)."""
        assert node.machine is not None
        peers, names = node.machine._roster.peers, self.nodes.keys() - {node.name}
        if any(n not in peers or peers[n].life() is Life.UNSEEN for n in names):
            return True
        unheard = [n for n in names if not peers[n].heard]
        if len(unheard) == len(names):  # as on a LAN that drops beacons: gossip alone decides
            return True
        return bool(unheard) and self.now - node.booted_at < PATIENCE

    def told(self) -> str:
        return "\n".join(self.log[-60:])
