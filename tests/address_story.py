"""What can befall a cluster in which addresses are given: people, networks, controllers.

A story is a list of `Step`; `Play` carries it out on a `simulated_cluster.Cluster`. May not live
here: what is right (`address_oracle.py`), who looks (`property/test_address_machine.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from address_edits import (
    ADDRESSES,
    BIRTHS,
    CHUNKS,
    FAMILIES,
    KEYS,
    OURS,
    OUTSIDE,
    POOL_EDITS,
    POOL_NAMES,
    SERVICE_EDITS,
    annotate,
)
from bellmetal import kube
from simulated_cluster import LEDGERS, NAMESPACE, POOLS, Actor, Cluster, service_path
from small_api import Json


@dataclass(frozen=True)
class Step:
    """One thing that happens: what, to or by whom (by number), and two numbers more."""

    kind: str
    who: int
    what: int
    how: int

    def __repr__(self) -> str:
        return f"{self.kind} {self.who} {self.what} {self.how};"


# --- what happens --------------------------------------------------------------------------------

OFTEN = {  # how often each kind of step is tried
    **{"create": 4, "delete": 2, "again": 1, "edit": 9, "status": 1, "ledger": 1, "ready": 1},
    **{"pool": 4, "give": 1, "grow": 1, "drop": 2, "rename": 1, "merge": 1, "quota": 1, "time": 2},
    **{"run": 12, "step": 4, "haste": 4, "let": 8, "hear": 3, "lose": 1, "relist": 1, "land": 1},
    **{"restart": 2, "rest": 3, "wait": 1},
}
KINDS = [kind for kind, times in OFTEN.items() for _ in range(times)]
VERDICTS = ["ok", "ok", "ok", "error", "conflict", "lost", "done, unheard", "late", "slow"]


class Referee(Protocol):
    """Who looks on."""

    cluster: Cluster
    story: list[Step]
    by_hand: bool

    def rest(self) -> None: ...

    def land(self, actor: Actor) -> None: ...


class Play:
    """Plays a story on a cluster."""

    def __init__(self, watch: Referee, controllers: int) -> None:
        self.watch, self.cluster, self.most = watch, watch.cluster, controllers
        for chunks, name in (([0, 3], "p0"), ([1, 2, 4], "p1")):
            self._make_pool(name, [CHUNKS[number] for number in chunks])
        for number in range(controllers):
            self.cluster.finish(self.cluster.start(f"c{number}"))
        for who, birth in ((0, 2), (1, 3), (2, 4)):
            self._create(Step("create", who, birth, 0))
        watch.rest()

    def do(self, step: Step) -> None:
        self.watch.story.append(step)
        self.cluster.loop.now += 1.0
        getattr(self, f"_{step.kind}")(step)

    # --- people ----------------------------------------------------------------------------------

    def _key(self, step: Step) -> str:
        return KEYS[step.who % len(KEYS)]

    def _create(self, step: Step) -> None:
        key, path = self._key(step), service_path(self._key(step))
        if path in self.cluster.server.objects:
            return
        namespace, name = key.split("/")
        birth = BIRTHS[step.what % len(BIRTHS)]
        spec = {"type": "LoadBalancer", "ports": [{"protocol": "TCP", "port": 80}]}
        body: Json = {"metadata": {}, "spec": spec | {"clusterIPs": FAMILIES[0]}, "status": {}}
        body["spec"]["selector"] = {"app": name}
        for edit, value in birth:
            SERVICE_EDITS[edit][1](body, value)
        self.cluster.put(path, name, namespace, **body)
        endpoints = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{name}-1"
        if endpoints not in self.cluster.server.objects:
            meta = {"labels": {"kubernetes.io/service-name": name}}
            ready = [{"addresses": ["10.1.0.1"], "nodeName": "n1"}]
            self.cluster.put(endpoints, f"{name}-1", namespace, metadata=meta, endpoints=ready)

    def _delete(self, step: Step) -> None:
        self.cluster.delete(service_path(self._key(step)))

    def _again(self, step: Step) -> None:
        self._delete(step)
        self._create(step)

    def _edit(self, step: Step) -> None:
        names = list(SERVICE_EDITS)
        values, change = SERVICE_EDITS[names[step.what % len(names)]]
        value = values[step.how % len(values)]
        self.cluster.edit(service_path(self._key(step)), lambda body: change(body, value))

    def _status(self, step: Step) -> None:
        """Somebody else writes what a Service shows."""
        shown = [[], [ADDRESSES[step.what % len(ADDRESSES)]], [OUTSIDE]][step.how % 3]

        def change(body: Json) -> None:
            body["status"]["loadBalancer"] = {"ingress": [{"ip": item} for item in shown]}
            if step.how % 2:
                annotate(body, kube.POOL_ANNOTATION, "p0" if step.what % 2 else None)

        path = service_path(self._key(step))
        if self.cluster.server.objects.get(path, {}).get("spec", {}).get("type") == "LoadBalancer":
            self.cluster.edit(path, change)

    def _ledger(self, step: Step) -> None:
        """Somebody else writes an entry of the ledger, by hand and badly."""
        shards = [path for path in self.cluster.server.objects if path.startswith(LEDGERS)]
        if not shards:
            return
        self.watch.by_hand = True

        def change(body: Json) -> None:
            entries = body["spec"].setdefault("entries", {})
            names = [item for item in entries if item != "rubbish"]
            if step.how % 3 == 0 or not names:
                entries["rubbish"] = {"term": 1, "pool": "p0", "holders": []}
                return
            entry = entries[names[step.what % len(names)]]
            if step.how % 3 == 1:
                entry["pool"] = "lost"
            else:
                nobody = {"uid": "uid-nobody", "namespace": "shop", "name": "nobody"}
                entry["holders"] = [*(entry.get("holders") or []), nobody]

        self.cluster.edit(shards[step.who % len(shards)], change)

    def _ready(self, step: Step) -> None:
        self.cluster.set_ready(("n1", "n2")[step.who % 2], bool(step.what % 2))

    def _time(self, step: Step) -> None:
        self.cluster.pass_time([5.0, 61.0, 3600.0][step.what % 3])

    def _quota(self, step: Step) -> None:
        name, value = ("shop", "bank")[step.who % 2], [None, "1", None][step.what % 3]
        path = f"/api/v1/namespaces/{name}"
        self.cluster.edit(path, lambda body: annotate(body, f"{OURS}address-quota", value))

    # --- people and pools ------------------------------------------------------------------------

    def _pool_path(self, number: int) -> str:
        return f"{POOLS}/{POOL_NAMES[number % len(POOL_NAMES)]}"

    def _make_pool(self, name: str, chunks: list[str], like: Json | None = None) -> None:
        spec = (like or {}).get("spec", {}) | {"addresses": chunks}
        annotations = (like or {}).get("metadata", {}).get("annotations") or {}
        meta = {"annotations": dict(annotations)}
        self.cluster.put(f"{POOLS}/{name}", name, NAMESPACE, metadata=meta, spec=spec)

    def _pool(self, step: Step) -> None:
        change = POOL_EDITS[step.what % len(POOL_EDITS)]
        self.cluster.edit(self._pool_path(step.who), change)

    def _owners(self, chunk: str) -> list[str]:
        found = [item for item in self.cluster.server.objects.items() if item[0].startswith(POOLS)]
        return [path for path, body in found if chunk in body["spec"]["addresses"]]

    def _drop(self, step: Step) -> None:
        """A pool loses a part; without any it is deleted."""
        chunk = CHUNKS[step.what % len(CHUNKS)]
        for path in self._owners(chunk):
            if len(self.cluster.server.objects[path]["spec"]["addresses"]) == 1:
                self.cluster.delete(path)
            else:
                self.cluster.edit(path, lambda body: body["spec"]["addresses"].remove(chunk))

    def _grow(self, step: Step) -> None:
        """A pool gets a part, whoever has it."""
        path, chunk = self._pool_path(step.who), CHUNKS[step.what % len(CHUNKS)]
        if path not in self.cluster.server.objects:
            self._make_pool(path.split("/")[-1], [chunk])
        elif chunk not in self.cluster.server.objects[path]["spec"]["addresses"]:
            self.cluster.edit(path, lambda body: body["spec"]["addresses"].append(chunk))

    def _give(self, step: Step) -> None:
        """A part goes from one pool to another: shrunk and grown, or the other way round."""
        first, second = (self._drop, self._grow)[:: 1 if step.how % 2 else -1]
        if step.how % 2:
            first(step)
            second(step)
        else:
            chunk = CHUNKS[step.what % len(CHUNKS)]
            owners = self._owners(chunk)
            self._grow(step)
            for path in owners:
                self.cluster.edit(path, lambda body: body["spec"]["addresses"].remove(chunk))

    def _rename(self, step: Step) -> None:
        old, new = self._pool_path(step.who), self._pool_path(step.what)
        objects = self.cluster.server.objects
        if old in objects and new not in objects:
            body = objects[old]
            if step.how % 2:
                self.cluster.delete(old)
            self._make_pool(new.split("/")[-1], list(body["spec"]["addresses"]), body)
            self.cluster.delete(old)

    def _merge(self, step: Step) -> None:
        old, new = self._pool_path(step.who), self._pool_path(step.what)
        objects = self.cluster.server.objects
        if old in objects and new in objects and old != new:
            chunks = objects[old]["spec"]["addresses"]
            self.cluster.delete(old)
            self.cluster.edit(new, lambda body: body["spec"]["addresses"].extend(chunks))

    # --- controllers -----------------------------------------------------------------------------

    def _actor(self, step: Step) -> Actor:
        return self.cluster.actors[step.who % len(self.cluster.actors)]

    def _run(self, step: Step) -> None:
        """A controller hears everything, if it is lucky, and finishes what it does."""
        actor = self._actor(step)
        if step.how % 3:
            for plural in list(actor.news):
                while actor.news[plural]:
                    actor.hear(plural)
        self.cluster.finish(actor)
        if actor.poked or step.how % 4:
            actor.step()
            self.cluster.finish(actor)

    def _step(self, step: Step) -> None:
        """A controller begins a step."""
        actor = self._actor(step)
        if actor.work is None:
            actor.step()

    def _haste(self, step: Step) -> None:
        """A controller hears of Services, and does not wait for the next step."""
        actor = self._actor(step)
        if actor.work is None and actor.loaded:
            for _ in range(step.how % 5):
                actor.hear("services")
            actor.hasten()

    def _let(self, step: Step) -> None:
        """Some requests are dealt with, one of them unkindly."""
        actor = self._actor(step)
        for number in range(1 + step.what % 4):
            if actor.door.waiting:
                knock = actor.door.waiting[step.what % len(actor.door.waiting)]
                verdict = VERDICTS[step.how % len(VERDICTS)] if number == step.what % 4 else "ok"
                actor.door.let(knock, verdict)
                actor.settle()

    def _land(self, step: Step) -> None:
        self.watch.land(self._actor(step))

    def _hear(self, step: Step) -> None:
        actor = self._actor(step)
        plurals = [plural for plural, news in actor.news.items() if news]
        if plurals:
            for _ in range(1 + step.how % 3):
                actor.hear(plurals[step.what % len(plurals)], twice=step.how % 5 == 0)

    def _lose(self, step: Step) -> None:
        actor = self._actor(step)
        plurals = [plural for plural, news in actor.news.items() if news]
        if plurals:
            actor.lose(plurals[step.what % len(plurals)])

    def _relist(self, step: Step) -> None:
        self._actor(step).relist()

    def _restart(self, step: Step) -> None:
        actor = self._actor(step)
        self.watch.land(actor)
        self.cluster.end(actor)
        new = self.cluster.start(actor.name)
        if step.how % 2:
            self.cluster.finish(new)

    def _rest(self, step: Step) -> None:
        self.watch.rest()
