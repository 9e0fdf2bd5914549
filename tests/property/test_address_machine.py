"""No address changes and none is given twice, whatever people, networks and controllers do.

Hypothesis makes up what happens; `simulated_cluster.Cluster` plays it with real controllers, whose
every request waits to be let through, refused, lost, or done unheard. `Watch` looks at every write:

- no ledger entry has two holders that do not agree to share, as far as its writer could know;
- no holder loses an address without a reason of its own (deleted, asks for others, …);
- what is new is given by a pool, to the Service that it is reserved for, in a new term, also where
  the ledger has forgotten that it was ever given;
- no status shows what the ledger has not said since its writer's step began, and no two show one
  address unless they share it.

`Watch.rest` hears everybody out, lets them work until nothing changes (in a bounded number of
steps), and then: ledger and status say the same; no address is free that somebody waits for; one
more step does nothing. What could be had is found by trying all addresses of all pools.

About 500 steps where ``CI`` is set; ``BELLMETAL_DEEP=1`` tries 10,000.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_oracle import Oracle, Truth, entries_of, holders_of, may_share, pool_of
from address_story import KINDS, Play, Step
from api_door import Change
from bellmetal import kube, pruning
from bellmetal.addresses import IPAddress
from bellmetal.cluster import Service
from bellmetal.ledger import PRUNED
from simulated_cluster import LEDGERS, Actor, Cluster, ledger_path
from small_api import Json

DEEP = bool(os.environ.get("BELLMETAL_DEEP"))
LENGTH = 25  # steps of a story
STORIES = 400 if DEEP else 20
MOST_STEPS = 40  # until nothing changes any more


def _addresses_of(body: Json | None) -> Json | None:
    """An object without its conditions and its version."""
    if body is None:
        return None
    meta = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    status = {key: value for key, value in body.get("status", {}).items() if key != "conditions"}
    return body | {"metadata": meta, "status": status}


def _is_deed(change: Change) -> bool:
    """Whether it changes who has what; what the ledger forgets at last is none."""
    if ledger_path(change.path):
        before, after = entries_of(change.before), entries_of(change.after)
        return any(
            before.get(address) != after.get(address)
            for address in before.keys() | after.keys()
            if address in after or holders_of(before[address])
        )
    return _addresses_of(change.before) != _addresses_of(change.after)


@pytest.fixture(autouse=True, scope="module")
def forgetful() -> Iterator[None]:
    """The ledger remembers no free address for longer than a second."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"KEPT": 0, "AT_ONCE": 1, "QUIET": 1.0}.items():
            patch.setattr(pruning, name, value)
        yield


class Watch:
    """Fails the test, with the story, as soon as a write breaks a rule."""

    def __init__(self) -> None:
        self.cluster = Cluster(self.look)
        self.truth = Truth(self.cluster)
        self._excused: dict[tuple[str, IPAddress], str] = {}
        self._said: dict[tuple[str, IPAddress], int] = {}  # until when the ledger said so
        self._forged: set[tuple[str, IPAddress]] = set()  # shown by somebody else's hand
        self.story: list[Step] = []
        self._terms: dict[IPAddress, int] = {}  # the highest that was ever told
        self._deeds = 0  # writes of controllers that changed more than sentences
        self.by_hand = False  # somebody has written into the ledger

    def fail(self, text: str) -> None:
        lines = "\n".join(self.cluster.log[-60:])
        pytest.fail(f"{text}\n{' '.join(map(repr, self.story))}\n{lines}")

    def oracle(self) -> Oracle:
        return Oracle(self.truth, self.cluster.timestamp())

    # --- at every write --------------------------------------------------------------------------

    def look(self, change: Change) -> None:
        if change.by is not None and _is_deed(change):
            self._deeds += 1
        if ledger_path(change.path):
            self._look_at_ledger(change)
        elif change.plural == "services" and change.after is not None:
            service = self.truth.services()[change.after["metadata"]["uid"]]
            before = (change.before or {}).get("status", {}).get("loadBalancer", {})
            known = {item.get("ip") for item in before.get("ingress") or []}
            new = [address for address in service.shown.addresses if str(address) not in known]
            if change.by is None:
                self._forged |= {(service.uid, address) for address in new}
            else:
                self._forged -= {(service.uid, address) for address in new}
                self._look_at_status(change.by, service, new)
        if change.by is None or ledger_path(change.path):
            self._excuse()

    def _excuse(self) -> None:
        """Reasons to lose an address last until it was lost, as news may be late."""
        oracle = self.oracle()
        for address, entry in oracle.entries.items():
            for uid in holders_of(entry):
                if why := oracle.excuse(uid, address, entry):
                    self._excused[uid, address] = why

    def _look_at_ledger(self, change: Change) -> None:
        before, after = entries_of(change.before), entries_of(change.after)
        for address in before.keys() | after.keys():
            old, new = before.get(address, {}), after.get(address, {})
            lost = set(holders_of(old)) - set(holders_of(new))
            for uid in lost:
                self._said[uid, address] = change.number
                why = self._excused.pop((uid, address), "")
                if change.by is not None and not why:
                    self.fail(f"{change.by.name} takes {address} from {uid}")
            if change.by is not None and not new and holders_of(old):
                self.fail(f"{change.by.name} forgets {address}, which is held")
            elif change.by is not None and new and old != new:
                self._look_at_entry(change.by, address, old, new)
            self._terms[address] = max(self._terms.get(address, 0), new.get("term", 0))

    def _look_at_entry(self, by: Actor, address: IPAddress, old: Json, new: Json) -> None:
        if new.get("term", 0) < old.get("term", 0):
            self.fail(f"{by.name} lets the term of {address} fall")
        if not old and new["term"] <= self._terms.get(address, 0) and self._knows_floor(by):
            self.fail(f"{by.name} begins the terms of {address} again")
        added = set(holders_of(new)) - set(holders_of(old))
        if added == set(holders_of(new)) != set() and new["term"] <= old.get("term", 0):
            self.fail(f"{by.name} gives {address} to {added} in the term of before")
        for uid in added:
            self._look_at_gift(by, by.believed[uid], address)
        for one, other in itertools.combinations(holders_of(new), 2):
            known, too = by.believed.get(one), by.believed.get(other)
            if known is None or too is None or not may_share(known.sharing, too.sharing):
                self.fail(f"{by.name} gives {address} to {one} and {other}")

    def _knows_floor(self, by: Actor) -> bool:
        """Whether it has read what was forgotten; who leads has, or it would lead no more."""
        floor = self.cluster.server.objects.get(f"{LEDGERS}/{PRUNED}", {}).get("spec", {})
        return by.controller.ledger.floor >= floor.get("floor", 0)

    def _look_at_gift(self, by: Actor, to: Service, address: IPAddress) -> None:
        """What is new comes out of a pool that gives it to that Service, and is nobody else's."""
        if address in to.shown.addresses:
            return  # adopted
        pool = pool_of(by.config, address)
        if pool is None or pool.draining or not pool.admits(to.namespace, to.labels):
            self.fail(f"{by.name} gives {address} to {to.uid}: no pool gives that")
        owner = pool.reserved.get(address, to.key)
        if owner != to.key and not (address in to.request.addresses and not owner):
            self.fail(f"{by.name} gives {address} to {to.uid}: it is reserved for {owner}")
        for other in by.believed.values():
            stranger = not other.ours and address in other.shown.addresses
            if stranger and other.uid != to.uid and not may_share(to.sharing, other.sharing):
                self.fail(f"{by.name} gives {address} to {to.uid}: {other.uid} shows it")

    def _look_at_status(self, by: Actor, service: Service, new: list[IPAddress]) -> None:
        held = self.truth.held().get(service.uid, [])
        for address in new:
            until = self._said.get((service.uid, address), -1)
            if address not in held and until < by.began:
                self.fail(f"{by.name} shows {address} of {service.uid}: the ledger does not say so")
            self._look_at_others(by, service, address)

    def _look_at_others(self, by: Actor, service: Service, address: IPAddress) -> None:
        believed = by.believed.get(service.uid, service)
        for other in self.truth.services().values():
            known = by.believed.get(other.uid)
            if known is None or other.uid == service.uid or not known.ours:
                continue
            shown = address in other.shown.addresses and address in known.shown.addresses
            if not shown or (other.uid, address) in self._forged:
                continue
            if not may_share(believed.sharing, known.sharing):
                self.fail(f"{by.name} shows {address} of {service.uid}, {other.uid} shows it too")

    # --- at rest ---------------------------------------------------------------------------------

    def rest(self) -> None:
        """Everybody hears everything and works until nothing changes."""
        for actor in self.cluster.actors:
            self.cluster.finish(actor)
        for actor in self.cluster.actors:
            self.land(actor)
        for actor in self.cluster.actors:
            if self.by_hand:  # who leads reads the ledger when it begins, and when it conflicts
                actor.load()
        self.by_hand = False
        steps, quiet, deeds = 0, 0, self._deeds
        while self._somebody_works():
            steps, quiet = steps + 1, quiet + 1 if deeds == self._deeds else 0
            deeds = self._deeds
            if len(self.cluster.actors) > 1 and quiet > MOST_STEPS // 2:
                break  # two that lead may argue about a sentence for as long as they do
            if steps > MOST_STEPS:
                self.fail(f"after {steps} steps there is no rest")
        self._look_at_rest()
        if self._step_all():  # the sentence of a refusal may be a pass late
            self._step_all()
            if self._step_all() and len(self.cluster.actors) == 1:
                self.fail("at rest further steps write")

    def _step_all(self) -> bool:
        """One more step of everybody; whether a sentence was written, which is all that may be."""
        number, deeds = self.cluster.server.number, self._deeds
        for actor in self.cluster.actors:
            actor.step()
            self.cluster.finish(actor)
        if self._deeds != deeds:
            self.fail("at rest a further step does something")
        return self.cluster.server.number != number

    def land(self, actor: Actor) -> None:
        """Requests that were given up arrive; to the ledger they are as if made by hand."""
        self.by_hand |= any(ledger_path(knock.path) for knock in actor.door.late)
        actor.door.land()

    def _somebody_works(self) -> bool:
        works = False
        self.cluster.pass_time(0.5)
        for actor in self.cluster.actors:
            self.cluster.finish(actor)
            if actor.deaf:
                actor.deaf = False
                actor.relist()
                self.cluster.finish(actor)
            for plural in list(actor.news):
                while actor.news[plural]:
                    actor.hear(plural)
            if actor.poked:
                works = True
                actor.step()
                self.cluster.finish(actor)
        return works or any(any(actor.news.values()) for actor in self.cluster.actors)

    def _look_at_rest(self) -> None:
        if not self.cluster.actors:
            return
        oracle = self.oracle()
        for address, entry in oracle.entries.items():
            living = [uid for uid in holders_of(entry) if uid in oracle.services]
            for one, other in itertools.combinations(living, 2):
                terms = oracle.services[one].sharing, oracle.services[other].sharing
                if not may_share(*terms):
                    self.fail(f"at rest {one} and {other} have {address}")
        for uid, service in oracle.services.items():
            held, shown = set(oracle.held.get(uid, ())), set(service.shown.addresses)
            rival = any(item.type == kube.SHOWN for item in service.shown.conditions)
            if rival:
                continue
            if service.ours and (held or service.shown.pool) and held != shown:
                self.fail(f"at rest {uid} shows {shown}, the ledger says {held}")
            if missed := oracle.overlooked(service):
                self.fail(f"at rest {uid} has {held or 'nothing'} and {missed}")
        for address, entry in oracle.entries.items():
            living = [oracle.services[uid] for uid in holders_of(entry) if uid in oracle.services]
            gone = set(holders_of(entry)) - {service.uid for service in living}
            if gone and all(service.ours for service in living):
                self.fail(f"at rest {address} is still held by {gone}")
        self._excused.clear()
        self._excuse()


def play(story: list[Step], controllers: int) -> None:
    watch = Watch()
    with watch.cluster:
        player = Play(watch, controllers)
        for step in [*story, Step("rest", 0, 0, 0)]:
            if step.kind != "wait":
                player.do(step)


STEPS = st.builds(
    Step,
    kind=st.sampled_from(KINDS),
    who=st.integers(0, 9),
    what=st.integers(0, 29),
    how=st.integers(0, 59),
)


@settings(max_examples=STORIES // 2)
@given(st.lists(STEPS, min_size=LENGTH, max_size=LENGTH))
def test_one_controller(story: list[Step]) -> None:
    play(story, 1)


@settings(max_examples=STORIES // 2)
@given(st.lists(STEPS, min_size=LENGTH, max_size=LENGTH))
def test_two_that_both_believe_to_lead(story: list[Step]) -> None:
    play(story, 2)


# Stories that broke a rule once, by what was wrong: controllers, and what happened.
BROKEN_ONCE = [
    pytest.param(
        *(1, "edit 1 1 2; edit 0 0 0"),
        id="of two that shared, one turned to another class: the other kept the address for ever",
    ),
    pytest.param(
        *(1, "edit 0 2 3; edit 1 1 2"),
        id="the same, and the other had asked for another address",
    ),
]


@pytest.mark.parametrize(("controllers", "story"), BROKEN_ONCE)
def test_what_was_broken_once_holds(controllers: int, story: str) -> None:
    words = [part.split() for part in story.split(";")]
    steps = [Step(kind, *map(int, numbers)) for kind, *numbers in words]
    play(steps, controllers)
