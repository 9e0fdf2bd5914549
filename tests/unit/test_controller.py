"""Single moments in a controller's life at which an address could change or be given twice.

The machine that looks for them is `tests/property/test_address_machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api_door import Change
from bellmetal import pruning
from simulated_cluster import LEDGERS, NAMESPACE, POOLS, Actor, Cluster, service_path

WEB, API = "shop/web", "shop/api"
REQUEST = "metallb.io/loadBalancerIPs"


class Scene(Cluster):
    """One pool of four addresses; notes what two Services show at the same time."""

    def __init__(self) -> None:
        super().__init__(self._look)
        self.shown_twice: set[str] = set()

    def _look(self, change: Change) -> None:
        if change.plural == "services":
            shown = [item for key in (WEB, API) for item in self.shown(key)]
            self.shown_twice |= {item for item in shown if shown.count(item) > 1}

    def make(self, key: str, **annotations: str) -> None:
        namespace, name = key.split("/")
        spec = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"]}
        path = service_path(key)
        self.put(path, name, namespace, spec=spec, status={})
        if annotations:
            self.ask(key, annotations["ip"])

    def ask(self, key: str, address: str | None) -> None:
        def change(body: Any) -> None:
            annotations = body["metadata"].setdefault("annotations", {})
            annotations.pop(REQUEST, None)
            if address:
                annotations[REQUEST] = address

        self.edit(service_path(key), change)

    def shown(self, key: str) -> list[str]:
        status = self.server.objects.get(service_path(key), {}).get("status", {})
        return [item["ip"] for item in status.get("loadBalancer", {}).get("ingress") or []]

    def held(self) -> dict[str, list[str]]:
        """By address: the names of those that hold it."""
        entries = {
            address: entry
            for path, body in self.server.objects.items()
            if path.startswith(LEDGERS)
            for address, entry in body["spec"].get("entries", {}).items()
        }
        return {a: [item["name"] for item in e.get("holders") or []] for a, e in entries.items()}

    def hear(self, actor: Actor) -> None:
        for plural in list(actor.news):
            while actor.news[plural]:
                actor.hear(plural)

    def step(self, actor: Actor) -> None:
        actor.step()
        self.finish(actor)

    def led_by(self, name: str) -> Actor:
        actor = self.start(name)
        self.finish(actor)
        return actor


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene() as scene:
        scene.put(f"{POOLS}/main", "main", NAMESPACE, spec={"addresses": ["192.0.2.0/30"]})
        yield scene


def test_news_in_the_answer_to_a_patch_is_decided_upon(scene: Scene) -> None:
    leader = scene.led_by("c0")
    scene.make(WEB)
    scene.hear(leader)
    leader.step()
    while not leader.door.waiting[0].path.endswith("/status"):
        leader.door.let(leader.door.waiting[0], "ok")
        leader.settle()
    scene.ask(WEB, "192.0.2.2")
    scene.finish(leader)
    scene.hear(leader)
    assert leader.poked


def test_who_takes_over_knows_everybody_whom_the_ledger_names(scene: Scene) -> None:
    old = scene.led_by("c0")
    new = scene.start("c1")
    while not new.door.waiting[0].path.startswith(LEDGERS):
        new.door.let(new.door.waiting[0], "ok")
        new.settle()
    scene.make(WEB)
    scene.hear(old)
    scene.step(old)
    assert scene.held() == {"192.0.2.0": ["web"]}
    scene.finish(new)
    scene.step(new)
    assert scene.held() == {"192.0.2.0": ["web"]}


def test_who_was_second_takes_nothing_from_a_service_it_has_not_heard_of(scene: Scene) -> None:
    first, second = scene.led_by("c0"), scene.led_by("c1")
    scene.make(WEB)
    scene.hear(first)
    scene.step(first)
    late = second.news["services"][:]
    second.news["services"].clear()
    scene.make(API)
    scene.hear(second)
    second.news["services"] = late
    scene.step(second)
    scene.step(second)
    assert scene.held()["192.0.2.0"] == ["web"]


@pytest.mark.parametrize("begins_to_lead", [True, False])
def test_while_all_cannot_be_listed_nobody_decides_who_is_gone(
    scene: Scene, begins_to_lead: bool
) -> None:
    first, second = scene.led_by("c0"), scene.led_by("c1")
    scene.make(WEB)
    scene.hear(first)
    scene.step(first)
    second.news["services"].clear()  # it hears nothing of it
    scene.make(API)
    scene.hear(second)
    once = iter(["error"])
    (second.load if begins_to_lead else second.step)()
    scene.finish(second, lambda it: next(once, "ok") if it.path.endswith("/services") else "ok")
    scene.step(second)
    scene.step(second)
    assert scene.held() == {"192.0.2.0": ["web"], "192.0.2.1": ["api"]}


def test_who_was_led_past_shows_nothing_that_the_ledger_does_not_say(scene: Scene) -> None:
    first, second = scene.led_by("c0"), scene.led_by("c1")
    scene.make(WEB)
    scene.hear(first)
    scene.step(first)
    scene.hear(second)
    second.load()  # it knows the ledger of this moment
    scene.finish(second)
    scene.ask(WEB, "192.0.2.2")
    scene.hear(first)
    scene.step(first)
    scene.ask(WEB, None)
    scene.hear(second)
    scene.step(second)
    assert scene.shown(WEB) == ["192.0.2.2"]


def test_while_an_address_changes_hands_nobody_else_shows_it(scene: Scene) -> None:
    leader = scene.led_by("c0")
    scene.make(WEB, ip="192.0.2.1")
    scene.hear(leader)
    scene.step(leader)
    scene.make(API, ip="192.0.2.1")
    scene.ask(WEB, "192.0.2.2")
    scene.hear(leader)
    leader.step()
    while leader.busy:
        leader.door.let(leader.door.waiting[-1], "ok")  # the last one comes first
        leader.settle()
    assert (scene.shown(WEB), scene.shown(API)) == (["192.0.2.2"], ["192.0.2.1"])
    assert not scene.shown_twice


def test_a_write_that_fails_holds_up_only_who_waits_for_that_address(scene: Scene) -> None:
    leader = scene.led_by("c0")
    scene.make(WEB, ip="192.0.2.1")
    scene.hear(leader)
    scene.step(leader)
    scene.make(API, ip="192.0.2.3")
    scene.ask(WEB, "192.0.2.2")
    scene.make("shop/third", ip="192.0.2.1")
    scene.hear(leader)
    leader.step()
    while leader.busy:
        request = leader.door.waiting[0]
        fails = request.path == f"{service_path(WEB)}/status"
        leader.door.let(request, "error" if fails else "ok")
        leader.settle()
    assert scene.shown(API) == ["192.0.2.3"]
    assert scene.shown("shop/third") == []
    assert not scene.shown_twice
    scene.step(leader)
    assert scene.shown("shop/third") == ["192.0.2.1"]


def test_who_is_new_has_its_address_between_two_passes(scene: Scene) -> None:
    leader = scene.led_by("c0")
    scene.make(WEB)
    scene.hear(leader)
    scene.step(leader)
    scene.hear(leader)
    scene.make(API)
    scene.hear(leader)
    leader.hasten()
    scene.finish(leader)
    assert scene.shown(API) == ["192.0.2.1"]
    assert scene.held() == {"192.0.2.0": ["web"], "192.0.2.1": ["api"]}
    scene.hear(leader)
    before = {key: scene.shown(key) for key in (WEB, API)}
    scene.step(leader)
    assert {key: scene.shown(key) for key in (WEB, API)} == before


def test_in_haste_nobody_shows_what_another_leader_has_given_meanwhile(scene: Scene) -> None:
    slow, quick = scene.led_by("c0"), scene.led_by("c1")
    for leader in (slow, quick, slow, quick):
        scene.hear(leader)
        scene.step(leader)
    scene.make(WEB)
    scene.make(API)
    slow.hear("services")  # of the first alone
    quick.news["services"].pop(0)
    quick.hear("services")
    for leader in (slow, quick):
        leader.hasten()
    for leader in (quick, slow):
        scene.finish(leader)
    assert scene.held() == {"192.0.2.0": ["api"]}
    assert (scene.shown(WEB), scene.shown(API)) == ([], ["192.0.2.0"])
    assert slow.poked, "it decides again"
    scene.step(slow)
    assert scene.shown(WEB) == ["192.0.2.1"]


def test_in_haste_a_lost_answer_gives_nobody_two_addresses(scene: Scene) -> None:
    leader = scene.led_by("c0")
    scene.step(leader)
    scene.hear(leader)
    scene.make(WEB)
    scene.hear(leader)
    leader.hasten()
    leader.door.let(leader.door.waiting[0], "done, unheard")
    leader.settle()
    scene.finish(leader)
    scene.hear(leader)
    while leader.poked:
        scene.step(leader)
    assert scene.held() == {"192.0.2.0": ["web"]}
    assert scene.shown(WEB) == ["192.0.2.0"]


def test_what_is_free_for_long_is_forgotten_and_its_terms_do_not_begin_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEPT", "AT_ONCE"):
        monkeypatch.setattr(pruning, name, 1)
    leader = scene.led_by("c0")
    for number in range(2):
        scene.make(WEB, ip=f"192.0.2.{number}")
        scene.hear(leader)
        scene.step(leader)
        scene.delete(service_path(WEB))
        scene.hear(leader)
        scene.step(leader)
    scene.pass_time(pruning.QUIET + 1)
    scene.step(leader)
    assert scene.held() == {"192.0.2.1": []}
    scene.make(WEB, ip="192.0.2.0")
    scene.hear(leader)
    scene.step(leader)
    shard = scene.server.objects[f"{LEDGERS}/ipv4-192.0.2.0"]
    assert shard["spec"]["entries"]["192.0.2.0"]["term"] == 2
