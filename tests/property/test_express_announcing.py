"""What is added to a plan is what the next look at the whole finds in place."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellmetal.addresses import IPAddress, parse_address
from bellmetal.allocation import Allocations
from bellmetal.api import ApiError
from bellmetal.cluster import Cluster, Endpoints, Service
from bellmetal.config import Config
from bellmetal.express_announcing import ExpressAnnouncing
from bellmetal.intents import Allocation, Intents
from bellmetal.packing import SliceChanges, pack
from bellmetal.planning import plan
from bellmetal.resources import AnnouncementSlice
from bellmetal.slices import read_slices
from bellmetal.spread import Counts
from bellmetal.standing import standings
from builders import advertisement, allocation, bgp_advertisement, cluster, holding, peer, service

OLD = "198.51.100.1"
NODES = [f"n{number}" for number in range(1, 8)]


@dataclass
class Scene:
    """Stands for the world, the ledger and the writer; ``whole`` is what there is."""

    whole: Cluster
    granted: dict[str, Allocation]
    slices: dict[str, AnnouncementSlice] = field(default_factory=dict)
    confirmed: set[IPAddress] = field(default_factory=set)
    writes: int = 0
    refuses: bool = False

    def __post_init__(self) -> None:
        self.express = ExpressAnnouncing(self, self, self)  # type: ignore[arg-type]

    @property
    def services(self) -> Any:
        nouns = {key: SimpleNamespace(service=item) for key, item in self.whole.services.items()}
        return SimpleNamespace(nouns=nouns)

    @property
    def holdings(self) -> dict[IPAddress, Any]:
        found = [holding(str(a), key) for key, it in self.granted.items() for a in it.addresses]
        return {item.address: item for item in found}

    def surroundings(self, config: Config) -> Cluster:
        return replace(self.whole, services={}, endpoints={})

    def endpoints(self, keys: Collection[str]) -> dict[str, Endpoints]:
        return {key: item for key, item in self.whole.endpoints.items() if key in keys}

    async def confirm(self, addresses: Iterable[IPAddress]) -> None:
        self.confirmed.update(addresses)

    async def write_slices(self, changes: SliceChanges) -> None:
        if self.refuses:
            raise ApiError(409, "Conflict", "somebody else wrote it")
        self.writes += 1
        gone = {item.metadata.name for item in changes.delete}
        written = {item.metadata.name: item for item in (*changes.write, *changes.vacate)}
        self.slices = {n: item for n, item in (self.slices | written).items() if n not in gone}

    def plan(self) -> tuple[Intents, Counts]:
        """The whole, on what stands in slices."""
        contents, counts = read_slices(self.slices.values()), Counts()
        assert contents.faults == ()
        found = standings(contents.announcements.values(), [], self.whole.nodes, contents.node_sets)
        allocations = Allocations(dict(self.granted))
        return plan(self.whole, allocations, self.holdings, found, counts), counts

    def look(self) -> None:
        """A whole pass."""
        intents, counts = self.plan()
        asyncio.run(self.write_slices(pack(intents, self.slices)))
        self.express.keep(self.whole, Allocations(dict(self.granted)), intents, counts)

    def make(self, item: Service, *addresses: str) -> None:
        """A new Service that has been given addresses in haste."""
        self.whole = replace(self.whole, services={**self.whole.services, item.key: item})
        self.granted[item.key] = allocation(item.key, *addresses)
        given = Allocations({item.key: self.granted[item.key]})
        self.express.given({item.key: item}, given)

    def serve(self, key: str, nodes: Iterable[str]) -> None:
        names = frozenset(nodes)
        found: Mapping[str, Endpoints] = {key: Endpoints(bool(names), names, names)}
        self.whole = replace(self.whole, endpoints={**self.whole.endpoints, **found})

    def hasten(self) -> None:
        asyncio.run(self.express.announce(self.whole.config))

    @property
    def announced(self) -> set[str]:
        contents = read_slices(self.slices.values())
        found = {str(address) for address in contents.announcements}
        return found | {str(route.prefix.network_address) for route in contents.routes}


def scene(**fields: Any) -> Scene:
    """One Service is announced already."""
    it = Scene(cluster(nodes=NODES, **fields), {})
    it.serve("shop/old", NODES)
    it.make(service("shop/old"), OLD)
    it.look()
    return it


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, int, tuple[str, ...], bool, bool]]:
    """What happens: a Service with so many families, served by nodes, Local; or a whole look."""
    step = st.tuples(
        st.sampled_from(["make", "make", "make", "look"]),
        st.integers(1, 2),
        st.lists(st.sampled_from(NODES), max_size=3).map(tuple),
        st.booleans(),
        st.booleans(),
    )
    return draw(st.lists(step, min_size=1, max_size=25))


@given(stories(), st.sampled_from(["layer2", "bgp", "both", "aggregated"]))
def test_the_next_whole_plan_leaves_what_was_added_where_it_is(
    story: list[tuple[str, int, tuple[str, ...], bool, bool]], how: str
) -> None:
    by_bgp = bgp_advertisement(aggregation_length=24 if how == "aggregated" else 32)
    it = scene(
        advertisements=[] if how in ("bgp", "aggregated") else [advertisement()],
        bgp=[] if how == "layer2" else [by_bgp],
        peers=[] if how == "layer2" else [peer()],
    )
    for number, (what, families, nodes, local, late) in enumerate(story):
        if what == "look":
            it.look()
            continue
        item = service(f"shop/web-{number}", local_only=local)
        if not late:
            it.serve(item.key, nodes)
        it.make(item, f"192.0.2.{number}", *[f"2001:db8::{number:x}"] * (families - 1))
        it.hasten()
        if late:
            it.serve(item.key, nodes)
            it.hasten()
        contents, (intents, _) = read_slices(it.slices.values()), it.plan()
        after = {item.address: item for item in intents.announcements}
        for address, announcement in contents.announcements.items():
            assert after[address] == announcement
        routes = set(intents.routes)
        if len(after) == len(contents.announcements) and set(contents.routes) == routes:
            assert pack(intents, it.slices) == SliceChanges(), "each as it stands"


def test_a_new_service_is_announced_with_its_first_endpoint() -> None:
    it = scene()
    it.make(service("shop/web"), "192.0.2.1")
    it.hasten()
    assert it.announced == {OLD}
    it.serve("shop/web", ["n2"])
    it.hasten()
    assert it.announced == {OLD, "192.0.2.1"}
    assert it.confirmed == {parse_address("192.0.2.1")}


def test_one_that_waited_for_an_endpoint_before_is_announced_too() -> None:
    it = scene()
    it.make(service("shop/web"), "192.0.2.1")
    it.look()
    it.serve("shop/web", ["n2"])
    it.hasten()
    assert it.announced == {OLD, "192.0.2.1"}


def test_thousands_are_spread_as_evenly_as_by_the_whole() -> None:
    it = scene()
    for number in range(69):
        key = f"shop/web-{number}"
        it.serve(key, NODES)
        it.make(service(key), f"192.0.2.{number}")
        it.hasten()
    owners = [a.owner for a in read_slices(it.slices.values()).announcements.values()]
    assert {name: owners.count(name) for name in NODES} == dict.fromkeys(NODES, 10)


def test_with_another_change_around_it_waits_for_the_whole() -> None:
    it = scene()
    it.make(service("shop/web"), "192.0.2.1")
    it.serve("shop/web", ["n2"])
    it.whole = replace(it.whole, unsteady=frozenset(["n3"]))
    it.hasten()
    assert it.announced == {OLD}
    it.look()
    assert it.announced == {OLD, "192.0.2.1"}


def test_who_shares_an_address_that_is_announced_waits_for_the_whole() -> None:
    it = scene()
    it.serve("shop/web", NODES)
    it.make(service("shop/web"), "192.0.2.1")
    it.look()
    it.serve("shop/api", NODES)
    it.make(service("shop/api"), "192.0.2.1")
    writes = it.writes
    it.hasten()
    assert it.writes == writes


def test_after_a_write_that_failed_the_whole_comes_first() -> None:
    it = scene()
    it.serve("shop/web", NODES)
    it.make(service("shop/web"), "192.0.2.1")
    it.refuses = True
    with pytest.raises(ApiError):
        it.hasten()
    it.refuses = False
    it.make(service("shop/api"), "192.0.2.2")
    it.hasten()
    assert it.announced == {OLD}


def test_who_says_something_else_by_now_waits_for_the_whole() -> None:
    it = scene()
    it.make(service("shop/web"), "192.0.2.1")
    it.serve("shop/web", NODES)
    other = replace(it.whole.services["shop/web"], uid="another")
    it.whole = replace(it.whole, services={**it.whole.services, "shop/web": other})
    it.hasten()
    assert it.announced == {OLD}
