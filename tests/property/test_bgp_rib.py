"""Adj-RIB-Out against a plain dict: the peer knows what it should, by as little as possible."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bellmetal.intents import Attributes
from bellmetal_bgp.attributes import PathAttributes, encode
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.prefixes import encode_prefix
from bellmetal_bgp.rib import AdjRibOut, Coded, limited
from bgp_sessions import Learned, cut

HOPS = {IPV4_UNICAST: bytes([192, 0, 2, 10]), IPV6_UNICAST: bytes(15) + b"\1"}
UNSENDABLE = 666  # the MED of what this peer cannot be told
NETS = {
    IPV4_UNICAST: [ipaddress.ip_network(f"198.51.{n}.0/24") for n in range(12)],
    IPV6_UNICAST: [ipaddress.ip_network(f"2001:db8:{n}::/48") for n in range(12)],
}
wishes = st.dictionaries(st.integers(0, 11), st.sampled_from([1, 2, 3, UNSENDABLE]))


class Told(RuleBasedStateMachine):
    """``learned`` is what a router makes of the octets."""

    @initialize(family=st.sampled_from([IPV4_UNICAST, IPV6_UNICAST]))
    def begin(self, family: Family) -> None:
        self.family, self.learned = family, Learned()
        self.rib = AdjRibOut(family, self.code)
        self.model: dict[bytes, int] = {}  # NLRI → MED, as the router should know it

    def code(self, attributes: Attributes) -> Coded | None:
        if attributes.med == UNSENDABLE:
            return None
        path = PathAttributes(as_path=(64512,), med=attributes.med)
        return Coded(encode(path, True), HOPS[self.family])

    @rule(wish=wishes, again=st.booleans())
    def want(self, wish: dict[int, int], again: bool) -> None:
        table = {
            encode_prefix(NETS[self.family][n]): Attributes(med=med) for n, med in wish.items()
        }
        self.rib.desired = table
        self.told(again)

    @rule(again=st.booleans())
    def the_same_once_more(self, again: bool) -> None:
        self.rib.desired = dict(self.rib.desired)
        self.told(again)

    def told(self, again: bool) -> None:
        wanted = {n: a.med for n, a in self.rib.desired.items() if a.med != UNSENDABLE}
        pending = self.rib.pending(self.rib.desired)
        before, self.model = self.model, {n: med for n, med in wanted.items() if med is not None}
        changed = {n for n, med in self.model.items() if before.get(n) != med}
        gone = before.keys() - self.model.keys()
        messages = self.rib.refresh() if again else self.rib.flush()
        announced, withdrawn = set[bytes](), set[bytes]()
        for message in messages:
            (said,) = self.learned.feed(message)
            there = said.announced.get(self.family, [])
            assert not (announced and said.withdrawn), "withdrawals come first"
            assert not announced & set(there)
            announced |= set(there)
            withdrawn |= set(said.withdrawn.get(self.family, []))
        assert withdrawn == gone
        assert announced == (set(self.model) if again else changed)
        assert pending >= len(changed) + len(gone - self.rib.desired.keys())
        if not announced and not withdrawn:
            assert messages == []

    @invariant()
    def the_router_knows_it(self) -> None:
        known = {nlri: path.med for (_, nlri), path in self.learned.routes.items()}
        assert known == self.model
        assert {n: a.med for n, a in self.rib.sent.items()} == self.model
        unsendable = [a for a in self.rib.desired.values() if a.med == UNSENDABLE]
        assert self.rib.unsendable == frozenset(unsendable)
        assert self.rib.pending(self.rib.desired) == len(unsendable)


TestTold = Told.TestCase


@given(
    st.sets(st.binary(min_size=1, max_size=3), max_size=20),
    st.sets(st.binary(min_size=1, max_size=3), max_size=20),
    st.integers(0, 25),
)
def test_at_most_so_many_and_those_that_were_sent_stay(
    wanted: set[bytes], sent: set[bytes], most: int
) -> None:
    table = dict.fromkeys(wanted, Attributes())
    found = limited(table, sent, most)
    assert found.items() <= table.items()
    assert len(found) == (min(len(table), most) if most else len(table))
    stay = wanted & sent
    assert stay <= found.keys() or set(found) <= stay
    assert limited(table, found, most).keys() == found.keys(), "and so it remains"


@given(st.integers(1, 3000))
def test_thousands_go_out_in_whole_messages(number: int) -> None:
    rib = AdjRibOut(IPV4_UNICAST, lambda _: Coded(encode(PathAttributes(), True), HOPS[(1, 1)]))
    nets = [ipaddress.ip_network((0x0A000000 + n, 32)) for n in range(number)]
    rib.desired = {encode_prefix(net): Attributes() for net in nets}
    messages = rib.flush()
    assert all(len(cut(message)) == 1 and len(message) <= 4096 for message in messages)
    assert len(messages) == -(-5 * number // 4055), "as few as can be"


def test_what_this_peer_never_hears_is_no_news() -> None:
    path = PathAttributes(as_path=())  # as of an internal peer: nothing is prepended
    rib = AdjRibOut(IPV4_UNICAST, lambda _: Coded(encode(path, True), HOPS[(1, 1)]))
    prefix = encode_prefix(NETS[IPV4_UNICAST][0])
    rib.desired = {prefix: Attributes()}
    assert len(rib.flush()) == 1
    rib.desired = {prefix: Attributes(prepend=1)}
    assert rib.flush() == []
    assert rib.pending(rib.desired) == 0
    assert len(rib.refresh()) == 1
