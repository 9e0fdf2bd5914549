"""BGP sessions: whatever happens, they find to each other, and the peer knows what it should.

Two on a network that cuts, delays and breaks; and one to which anything happens.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from hypothesis import event, given
from hypothesis import strategies as st

from bellmetal.config import Community
from bellmetal.facts import SessionState, SessionTrouble
from bellmetal.intents import Attributes, PeerPlan
from bellmetal_bgp.effects import Failure, Place
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.messages import RouteRefresh, encode
from bellmetal_bgp.notifications import reset, shutdown
from bellmetal_bgp.paths import path_id
from bellmetal_bgp.prefixes import encode_prefix
from bgp_mess import mess
from bgp_network import Network, Side
from bgp_sessions import Path

ASNS = 64512, 4200000001
ADDRESSES = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
SIXES = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
QUIET = 700.0  # seconds: longer than all timers together
STOPPED = Failure(SessionTrouble.STOPPED, "stopped")

Tables: TypeAlias = dict[Family, dict[bytes, Attributes]]
Step: TypeAlias = tuple[str, int, int]


def place(number: int) -> Place:
    here, there = ADDRESSES[number], ADDRESSES[1 - number]
    return Place(str(here), str(there), here, ipv4=here, ipv6=(SIXES[number],), direct=True)


prefixes = st.integers(0, 12).map(
    lambda n: (
        ipaddress.ip_network(f"198.51.100.{n}/32")
        if n < 9
        else ipaddress.ip_network(f"2001:db8:{n}::/64")
    )
)
attribute_sets = st.builds(
    Attributes,
    local_pref=st.sampled_from([0, 50]),
    communities=st.sampled_from([(), (Community((64512, 1)),), (Community((1, 2, 3)),)]),
    med=st.sampled_from([None, 0, 7]),
    prepend=st.integers(0, 2),
    next_hop=st.sampled_from([None, IPv4Address("192.0.2.77")]),
)


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    found: Tables = {IPV4_UNICAST: {}, IPV6_UNICAST: {}}
    for network, attributes in draw(st.dictionaries(prefixes, attribute_sets)).items():
        found[Family.of(network)][encode_prefix(network)] = attributes
    return found


@st.composite
def plans(draw: st.DrawFn) -> tuple[PeerPlan, PeerPlan]:
    """Two that fit each other, of one AS or of two; one of them may be passive."""
    asns = draw(st.sampled_from([(ASNS[0], ASNS[1]), (ASNS[0], ASNS[0])]))
    passive = draw(st.sampled_from([None, 0, 1]))
    hold = st.sampled_from([None, 0, 3, 9])

    def plan(number: int) -> PeerPlan:
        return PeerPlan(
            name=f"p{number}",
            node_set="all",
            my_asn=asns[number],
            peer_asn=asns[1 - number],
            address=ADDRESSES[1 - number],
            hold_time=draw(hold),
            keepalive_time=draw(st.sampled_from([None, 1])),
            connect_time=draw(st.sampled_from([None, 1, 3])),
            dual_stack=draw(st.booleans()),
            graceful_restart=draw(st.booleans()),
            passive=passive == number,
            add_path=draw(st.booleans()),  # which the other one does not take
        )

    return plan(0), plan(1)


STEPS = (
    *("run", "run", "run", "want", "want", "break", "refuse", "sleep", "stop", "bounce"),
    *("refresh", "bfd", "change", "block", "hurry"),
)
steps = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(0, 5)), max_size=25
)


class Story:
    """What is done to two sessions, one step after the other."""

    def __init__(self, both: tuple[PeerPlan, PeerPlan], seed: int) -> None:
        self.net = Network(random.Random(seed))
        self.net.join(both, (place(0), place(1)))
        self.wanted: list[Tables | None] = [None, None]

    def side(self, number: int) -> Side:
        return self.net.sides[number]

    def want(self, number: int, table: Tables) -> None:
        self.wanted[number] = table
        side, told = self.side(number), table
        if side.it.plan.add_path:
            told = {
                f: {path_id(a).to_bytes(4, "big") + n: a for n, a in t.items()}
                for f, t in table.items()
            }
        side.do(side.it.want(told))

    def take(self, step: Step, draw: Callable[[], Tables]) -> None:
        what, number, amount = step
        side, now = self.side(number), self.net.now
        match what:
            case "run":
                self.net.run((0.01, 0.1, 0.5, 2.0, 10.0, 40.0)[amount])
            case "want":
                self.want(number, draw())
            case "break":
                self.net.break_all()
            case "refuse":
                side.reachable = not side.reachable
            case "sleep":
                side.asleep_until = now + (0.1, 0.5, 1, 2, 5, 30)[amount]
            case "stop":
                side.do(side.it.stop(shutdown("bye") if amount else None, STOPPED, now))
            case "bounce":
                side.do(side.it.stop(reset(), STOPPED, now))
                side.do(side.it.start(now))
            case "refresh" if side.number is not None and side.it.established:
                self.refresh(side, side.number, (IPV4_UNICAST, IPV6_UNICAST)[amount % 2])
            case "bfd":
                side.do(side.it.bfd_down("BFD is down", now))
            case "change":
                plan = replace(side.it.plan, keepalive_time=(None, 1, 2)[amount % 3])
                side.do(side.it.change(replace(plan, connect_time=amount or None), now))
            case "block" if side.number is not None:
                side.it.blocked(side.number, now)
                number_then = side.number
                self.net.at(now + amount, lambda: side.do(side.it.unblocked(number_then)))
            case "hurry":
                side.do(side.it.hurry(now))

    def refresh(self, side: Side, number: int, family: Family) -> None:
        """The side asks for all of a family again."""
        link = side.links[number]
        if side.other in link.open:
            side.other.telling[link.numbers[side.other]].again = True
        link.send(side, encode(RouteRefresh(family)))

    def quiet(self) -> None:
        """Nothing more happens to them."""
        for number, side in enumerate(self.net.sides):
            side.reachable = True
            if self.wanted[number] is None:
                self.want(number, {IPV4_UNICAST: {}, IPV6_UNICAST: {}})
            if side.it.state is SessionState.IDLE and side.it.deadline() is None:
                side.do(side.it.start(self.net.now))
        self.net.run(QUIET)


def expected(story: Story, number: int) -> dict[tuple[Family, bytes], Path]:
    """What the other side must know, out of what was wanted last."""
    side = story.side(number)
    plan = side.it.plan
    ibgp = plan.my_asn == plan.peer_asn
    found = {}
    wanted = story.wanted[number]
    assert wanted is not None
    for family in side.it.sent():
        for nlri, item in wanted[family].items():
            hop = item.next_hop if family == IPV4_UNICAST else None
            own = ADDRESSES[number] if family == IPV4_UNICAST else SIXES[number]
            found[family, nlri] = Path(
                as_path=() if ibgp else (plan.my_asn,) * (1 + item.prepend),
                next_hop=(hop or own).packed,
                med=item.med,
                local_pref=(item.local_pref or 100) if ibgp else None,
                communities=tuple(
                    b"".join(part.to_bytes(2, "big") for part in c.parts)
                    for c in item.communities
                    if not c.large
                ),
                large=tuple(
                    b"".join(part.to_bytes(4, "big") for part in c.parts)
                    for c in item.communities
                    if c.large
                ),
            )
    return found


@given(plans(), st.integers(0, 2**32), steps, st.data())
def test_two_sessions_find_to_each_other_whatever_happens(
    both: tuple[PeerPlan, PeerPlan], seed: int, story: list[Step], data: st.DataObject
) -> None:
    it = Story(both, seed)
    for side in it.net.sides:
        side.do(side.it.start(it.net.now))
    for step in story:
        it.take(step, lambda: data.draw(tables()))
    it.quiet()
    assert it.net.up, [side.it.facts("") for side in it.net.sides]
    for number, side in enumerate(it.net.sides):
        other = side.other
        assert side.number is not None, "one connection, and no other"
        assert other.number is not None
        assert side.links[side.number] is other.links[other.number]
        assert other.learned[other.number].routes == expected(it, number)
        assert side.it.facts("").prefixes_pending == 0
    event(f"flaps: {min(it.side(0).it.history.flaps, 5)}")


@given(st.binary(max_size=600))
def test_whatever_happens_to_it_a_session_keeps_within_its_bounds(data: bytes) -> None:
    """And then comes up with a peer without fault (`bgp_mess.py`)."""
    mess(data)
