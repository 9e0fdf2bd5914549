"""One BGP session to which anything happens, out of bytes; and what must hold all the while."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from bellmetal.facts import SessionState, SessionTrouble
from bellmetal.intents import PeerPlan
from bellmetal_bgp.capabilities import BOTH as SEND_AND_RECEIVE
from bellmetal_bgp.capabilities import Capabilities, GracefulRestart
from bellmetal_bgp.effects import Changed, Close, Connect, Effect, Failure, Place, Send
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST
from bellmetal_bgp.messages import Keepalive, Notification, Open, RouteRefresh, encode
from bellmetal_bgp.notifications import reset, shutdown
from bellmetal_bgp.outbound import Tables
from bellmetal_bgp.session import COUNTERS, Session
from bgp_bytes import PATH, A, B, message, reach, unreach, update
from bgp_facts import peer
from bgp_sessions import cut, table
from fuzz.choices import Choices

OURS, THEIRS = 64512, 64513
REFUSED = Failure(SessionTrouble.REFUSED, "nobody listens there")
TABLES: list[Tables] = [
    table(),
    table("198.51.100.1/32"),
    table("198.51.100.1/32", "2001:db8::/64", local_pref=50),
    table(*(f"198.51.{n}.0/24" for n in range(40)), med=7),
]
LONGEST_TABLE = 1000  # octets of UPDATEs for the largest of them, with all that is around
MOST_EFFECTS = 12  # of one thing that happens
TIMES = [0.0, 0.1, 1.0, 3.0, 11.0, 31.0, 100.0, 600.0]


class Mess:
    """Reads what happens off choices; whatever it is, `check` holds."""

    def __init__(self, choices: Choices) -> None:
        self.choices, self.now = choices, 1000.0
        self.plan = self._plan()
        self.place = self._place()
        self.it = Session(self.plan, self.now, random.Random(1))
        self.live: dict[int, bool] = {}  # connections that are there; False: asked for
        self.last: set[int] = {1}
        self.steps: list[Callable[[], None]] = [
            *(self.hear, self.hear, self.hear, self.hear, self.right, self.right, self.wait),
            *(self.wait, self.start, self.arrive, self.arrive, self.call, self.lose, self.fail),
            *(self.want, self.stop, self.bfd, self.hurry, self.block, self.unblock, self.change),
        ]

    def run(self) -> None:
        self.do(self.it.start(self.now))
        while self.choices.left:
            self.choices.of(self.steps)()
        self.settle()

    # --- what it is like -------------------------------------------------------------------------

    def _plan(self) -> PeerPlan:
        pick = self.choices
        return peer(
            passive=pick.of([False, False, False, True]),
            graceful_restart=pick.flag(),
            dual_stack=pick.flag(),
            hold_time=pick.of([None, 0, 3, 65535]),
            connect_time=pick.of([None, 1, 65535]),
            add_path=pick.of([False, False, True]),
            max_prefixes=pick.of([0, 3]),
        )

    def _place(self) -> Place:
        here, there = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.1")
        ipv6 = self.choices.of([(), (IPv6Address("2001:db8::10"),)])
        return Place(str(here), str(there), here, ipv4=here, ipv6=ipv6)

    def open(self) -> Open:
        """One that is taken, mostly."""
        pick = self.choices
        asn = pick.of([THEIRS, THEIRS, THEIRS, OURS])
        told = Capabilities(
            families=pick.of(
                [frozenset({IPV4_UNICAST}), frozenset({IPV4_UNICAST, IPV6_UNICAST}), frozenset()]
            ),
            route_refresh=True,
            enhanced_refresh=pick.flag(),
            asn4=pick.of([asn, asn, None]),
            extended_messages=pick.flag(),
            graceful_restart=pick.of([None, GracefulRestart(notification=True)]),
            add_path=pick.of([{}, {IPV4_UNICAST: SEND_AND_RECEIVE}]),
        )
        identifier = pick.of([IPv4Address("192.0.2.1"), IPv4Address("192.0.2.200")])
        return Open(asn, pick.of([90, 3, 0, 65535]), identifier, told)

    # --- what happens ----------------------------------------------------------------------------

    def number(self) -> int:
        """Of a connection that is there, mostly."""
        known = sorted({*self.live, *self.last, 99})
        return self.choices.of(known)

    def start(self) -> None:
        self.do(self.it.start(self.now))

    def arrive(self) -> None:
        """A connection that was asked for."""
        number = self.number()
        if self.live.get(number, False):
            return
        if number in self.live:
            self.live[number] = True
        self.do(self.it.connected(number, self.place, self.now))

    def call(self) -> None:
        number, effects = self.it.incoming(self.place, self.now)
        assert number not in self.live
        self.live[number] = True
        self.do(effects)

    def lose(self) -> None:
        number = self.number()
        self.live.pop(number, None)
        self.do(self.it.lost(number, "lost", self.now))

    def fail(self) -> None:
        number = next((n for n, there in self.live.items() if not there), 99)
        self.live.pop(number, None)
        self.do(self.it.failed(number, REFUSED, self.now))

    def want(self) -> None:
        wanted = self.choices.of(TABLES)
        if self.plan.add_path:
            wanted = {f: {b"\0\0\0\1" + n: a for n, a in t.items()} for f, t in wanted.items()}
        self.do(self.it.want(wanted))

    def stop(self) -> None:
        said = self.choices.of([None, shutdown("bye"), reset()])
        self.do(self.it.stop(said, REFUSED, self.now))
        assert self.it.state is SessionState.IDLE
        assert not self.live
        assert self.it.deadline() is None

    def bfd(self) -> None:
        self.do(self.it.bfd_down("BFD is down", self.now))

    def hurry(self) -> None:
        self.do(self.it.hurry(self.now))

    def block(self) -> None:
        self.it.blocked(self.number(), self.now)

    def unblock(self) -> None:
        self.do(self.it.unblocked(self.number()))

    def change(self) -> None:
        plan = replace(self.it.plan, keepalive_time=self.choices.of([None, 1, 20, 65535]))
        plan = replace(plan, max_prefixes=self.choices.of([0, 1, 7]))
        self.do(self.it.change(plan, self.now))

    def right(self) -> None:
        """What a router says when all is well, in one segment."""
        number = max(self.live, default=1)
        self.do(self.it.receive((number, encode(self.open()) + encode(Keepalive())), self.now))

    def hear(self) -> None:
        """Messages, right and wrong ones, or no messages at all."""
        pick = self.choices
        said = b"".join(pick.of(SAYINGS)(self) for _ in range(1 + pick.number() % 4))
        for _ in range(pick.of([0, 0, 1, 3])):
            if not said:
                break
            at = pick.number(2) % len(said)
            match pick.number() % 3:
                case 0:
                    said = said[:at]
                case 1:
                    said = said[:at] + bytes([pick.number()]) + said[at + 1 :]
                case 2:
                    said = said * (1 + pick.number() % 8)
        number = self.number()
        if self.live.get(number) or number not in self.live:
            self.do(self.it.receive((number, said), self.now), len(said))

    def wait(self) -> None:
        """Timers in time, or late."""
        pick = self.choices
        end, late = self.now + pick.of(TIMES), pick.of([False, False, True])
        if late:
            self.now = end
            self.do(self.it.tick(self.now))
        self._pass(end)

    def _pass(self, end: float) -> None:
        turns = 0
        while (due := self.it.deadline()) is not None and due <= end:
            turns = turns + 1 if due <= self.now else 0
            assert turns < 20, "a timer that is always due"
            self.now = max(self.now, due)
            self.do(self.it.tick(self.now))
        self.now = end

    # --- what must hold --------------------------------------------------------------------------

    def do(self, effects: list[Effect], heard: int = 0) -> None:
        assert len(effects) <= MOST_EFFECTS, effects
        self.last = set(self.live) or self.last
        sent = 0
        for effect in effects:
            match effect:
                case Connect(number):
                    assert number not in self.live, "two connections of one number"
                    self.live[number] = False
                case Close(number):
                    self.live.pop(number, None)
                case Send(number, data):
                    assert self.live.get(number), "said to nobody"
                    assert cut(data), "whole messages"
                    sent += len(data)
                case Changed():
                    pass
        assert sent <= 4 * LONGEST_TABLE, sent
        self.check()

    def check(self) -> None:
        it = self.it
        facts = it.facts("the peer")
        up = facts.state is SessionState.ESTABLISHED
        assert up == it.established == (facts.negotiated is not None)
        assert up == (facts.trouble is None) == (facts.message == "")
        assert up == (it.place is not None)
        assert len(self.live) <= 2
        there = sum(self.live.values())
        assert (there > 0) == (facts.state in CONNECTED), (self.live, facts.state)
        assert facts.prefixes_pending >= 0
        assert set(facts.counters) == set(COUNTERS)
        assert all(len(text) < 700 for text in (facts.message, facts.notification, *facts.warnings))
        assert buffered(it) <= 65535 * 2
        if not up:
            assert (facts.prefixes_sent, facts.prefixes_pending) == (0, 0)

    def settle(self) -> None:
        """A peer without fault, and it is up with the table that is wanted."""
        self.do(self.it.start(self.now))
        self.choices = Choices(b"")
        for _ in range(5):
            for number in [*self.live]:
                self.live.pop(number, None)
                self.do(self.it.lost(number, "lost", self.now))
            self._pass((self.it.deadline() or self.now) if not self.live else self.now)
            if self.plan.passive:
                number, effects = self.it.incoming(self.place, self.now)
                self.live[number] = True
                self.do(effects)
            for number, there in [*self.live.items()]:
                if not there:
                    self.live[number] = True
                    self.do(self.it.connected(number, self.place, self.now))
            self.right()
            if self.it.established:
                break
        assert self.it.established, self.it.facts("")
        self.want()
        assert self.it.facts("").prefixes_pending == 0


CONNECTED = SessionState.OPEN_SENT, SessionState.OPEN_CONFIRM, SessionState.ESTABLISHED

SAYINGS: list[Callable[[Mess], bytes]] = [
    lambda mess: encode(mess.open()),
    lambda mess: encode(mess.open()),
    lambda mess: encode(Keepalive()),
    lambda mess: encode(Keepalive()),
    lambda mess: encode(Notification(mess.choices.number() % 9, mess.choices.number() % 12, b"?")),
    lambda mess: encode(RouteRefresh(mess.choices.of([IPV4_UNICAST, IPV6_UNICAST]))),
    lambda mess: encode(RouteRefresh(IPV4_UNICAST, mess.choices.number() % 4)),
    lambda mess: update(nlri=A + B, path=PATH),
    lambda mess: update(withdrawn=A),
    lambda mess: update(path=PATH + reach()),
    lambda mess: update(path=unreach()),
    lambda mess: update(path=mess.choices.octets(mess.choices.number() % 32)),
    lambda mess: message(
        mess.choices.number() % 7, mess.choices.octets(mess.choices.number() % 32)
    ),
    lambda mess: message(mess.choices.number() % 7, b"", mess.choices.number(2)),
    lambda mess: mess.choices.octets(mess.choices.number() % 64),
]


def buffered(session: Session) -> int:
    """Octets that are kept of what came in."""
    both = (session._main, session._second)
    return sum(len(one._stream._buffer) for one in both if one is not None)


def mess(data: bytes) -> None:
    """All of it out of bytes."""
    Mess(Choices(data)).run()
