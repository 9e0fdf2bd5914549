"""A cluster in memory, with a clock, in which real controllers work: API server, people, bad luck.

`Actor` is a controller that is told news late, twice or never; its requests wait at a `Door`.
`Cluster` holds all together and calls ``watch`` at every change; it knows no rule of allocation.
"""

from __future__ import annotations

import asyncio
import copy
import datetime
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from api_door import Change, Door, Knock, Server
from bellmetal import controller as controller_module
from bellmetal import events, writer
from bellmetal.api import ApiError
from bellmetal.cluster import Service
from bellmetal.config import Config
from bellmetal.controller import Controller
from bellmetal.reconciler import AgainError
from bellmetal.settings import ControllerSettings, parse
from small_api import Json

NAMESPACE = "metallb-system"
LEDGERS = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/addressledgers"
POOLS = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools"
ADVERTISEMENTS = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/l2advertisements"
REPORTS = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/speakerreports"
BEGINNING = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)

SETTINGS = parse(
    ["controller", "--namespace", NAMESPACE, "--pod-name", "controller"], {}, "simulated"
)


def service_path(key: str) -> str:
    namespace, name = key.split("/")
    return f"/api/v1/namespaces/{namespace}/services/{name}"


def ledger_path(path: str) -> bool:
    return path.startswith(LEDGERS)


# --- time ----------------------------------------------------------------------------------------


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock is moved by hand."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Runs all that can run now."""
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:
                return


# --- controllers ---------------------------------------------------------------------------------


@dataclass
class Actor:
    """A real Controller, and what it has not heard yet."""

    name: str
    controller: Controller
    door: Door
    loop: Loop
    news: defaultdict[str, list[tuple[str, Json]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    deaf: bool = False  # news was lost: only a list tells
    work: asyncio.Task[None] | None = None  # loading, then one step at a time
    listing: asyncio.Task[None] | None = None
    loaded: bool = False
    began: int = 0  # the server's number when it last looked at its world to decide
    believed: dict[str, Service] = field(default_factory=dict)  # uid → Service, at that moment
    config: Config = Config()  # and what it took for the configuration

    def __post_init__(self) -> None:
        """Notes what it knows whenever it decides: on the whole, or on what is new."""
        world, express = self.controller.world, self.controller.allocating.express
        look, serve = world.cluster, express.serve

        def believe(config: Config) -> None:
            self.began = self.door.server.number
            self.believed = {
                told.service.uid: told.service for told in world.services.nouns.values()
            }
            self.config = config

        def cluster(config: Config) -> Any:
            believe(config)
            return look(config)

        def hurry(services: Any, changes: int, basis: Any) -> Any:
            believe(basis.config)
            return serve(services, changes, basis)

        world.cluster = cluster  # type: ignore[method-assign]
        express.serve = hurry  # type: ignore[method-assign]

    @property
    def busy(self) -> bool:
        return self.work is not None or self.listing is not None

    @property
    def poked(self) -> bool:
        return self.controller.reconciler._poked.is_set()

    def load(self) -> None:
        self.loaded = False
        self._work(self.controller._load_own())

    def step(self) -> None:
        """Begins a pass, as the reconciler does."""
        self.controller.reconciler._poked.clear()
        self._work(self.controller.step())

    def hasten(self) -> None:
        """Serves what cannot wait, as the reconciler does between two passes."""
        self._work(self.controller.hasten())

    def relist(self) -> None:
        if self.loaded and self.listing is None:
            self.listing = self.loop.create_task(self.controller._compare())
            self.settle()

    def _work(self, what: Coroutine[Any, Any, None]) -> None:
        assert self.work is None
        self.work = self.loop.create_task(what)
        self.settle()

    def settle(self) -> None:
        """Lets run what can; ends what has ended, as reconciler and loading do."""
        self.loop.settle()
        if self.listing is not None and self.listing.done():
            task, self.listing = self.listing, None
            self._again(task)
        if self.work is not None and self.work.done():
            task, self.work = self.work, None
            failed = self._again(task)
            if not self.loaded and failed:
                self.load()
            elif not self.loaded:
                self.loaded = True
                self.controller.reconciler.poke()

    def _again(self, task: asyncio.Task[None]) -> bool:
        """Whether it failed, for a reason that there may be."""
        error = task.exception()
        if error is None:
            return False
        if not isinstance(error, AgainError | ApiError):
            raise error
        if task is not self.listing and self.loaded:
            self.controller.reconciler.poke()
        return True

    def hear(self, plural: str, twice: bool = False) -> None:
        """One piece of news of a kind."""
        if not self.news[plural]:
            return
        collections = {item.kind.plural: item for item in self.controller.world.collections()}
        event, body = self.news[plural].pop(0)
        for _ in range(2 if twice else 1):
            if collections[plural].apply(event, copy.deepcopy(body)):
                self.controller.reconciler.poke()

    def lose(self, plural: str) -> None:
        """One piece of news is never told."""
        if self.news[plural]:
            self.news[plural].pop(0)
            self.deaf = True

    def stop(self) -> None:
        """The process ends, in the middle of whatever it does."""
        for task in (self.work, self.listing):
            if task is not None:
                task.cancel()
        self.loop.settle()
        self.work = self.listing = None


# --- all of it -----------------------------------------------------------------------------------


class Cluster:
    """Use as ``with``: the clocks of our modules are this cluster's meanwhile."""

    def __init__(self, watch: Callable[[Change], None]) -> None:
        self.loop = Loop()
        self.server = Server(self._changed)
        self.actors: list[Actor] = []
        self.log: list[str] = []
        self._watch = watch
        self._uids = itertools.count(1)

    def __enter__(self) -> Cluster:
        self._before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        self._timestamps = [(item, item.timestamp) for item in (controller_module, writer, events)]
        for item, _ in self._timestamps:
            item.timestamp = self.timestamp
        self._set_up()
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self.actors:
            actor.stop()
        self.loop.close()
        for item, original in self._timestamps:
            item.timestamp = original
        logging.disable(self._before)

    def timestamp(self) -> str:
        moment = BEGINNING + datetime.timedelta(seconds=self.loop.now)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def pass_time(self, seconds: float) -> None:
        self.loop.now += seconds
        self.loop.settle()

    def _set_up(self) -> None:
        for name in ("n1", "n2"):
            self.put(f"/api/v1/nodes/{name}", name, status=_node_status(True))
            self.put(f"{REPORTS}/{name}", name, NAMESPACE, status={"version": 1})
        for name in ("shop", "bank"):
            self.put(f"/api/v1/namespaces/{name}", name)
        self.put(f"{ADVERTISEMENTS}/all", "all", NAMESPACE, spec={})

    def set_ready(self, node: str, ready: bool) -> None:
        self.edit(f"/api/v1/nodes/{node}", lambda body: body.update(status=_node_status(ready)))

    # --- what people do --------------------------------------------------------------------------

    def put(self, path: str, name: str, namespace: str = "", **parts: Any) -> None:
        """A new object, with a uid that no other has had."""
        meta = parts.pop("metadata", {}) | {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}-{next(self._uids)}",
            "creationTimestamp": self.timestamp(),
        }
        self.server.put(path, {"metadata": meta} | parts)

    def edit(self, path: str, change: Callable[[Json], object]) -> None:
        """Changes an object, if it is there."""
        if path in self.server.objects:
            body = copy.deepcopy(self.server.objects[path])
            change(body)
            self.server.put(path, body)

    def delete(self, path: str) -> None:
        self.server.remove(path)

    # --- controllers -----------------------------------------------------------------------------

    def start(self, name: str) -> Actor:
        """A controller that loads, and then believes that it leads."""
        door = Door(self.server)
        assert isinstance(SETTINGS, ControllerSettings)
        actor = Actor(name, Controller(door, SETTINGS), door, self.loop)
        door.by = actor
        self.actors.append(actor)
        actor.load()
        return actor

    def end(self, actor: Actor) -> None:
        actor.stop()
        actor.door.land()
        self.actors.remove(actor)

    def finish(self, actor: Actor, how: Callable[[Knock], str] = lambda knock: "ok") -> None:
        """All its requests are answered, if nothing else is said well, until it is idle."""
        while actor.busy:
            if not actor.door.waiting:
                raise AssertionError(f"{actor.name} waits for nothing")
            actor.door.let(actor.door.waiting[0], how(actor.door.waiting[0]))
            actor.settle()

    def _changed(self, change: Change) -> None:
        event = "DELETED" if change.after is None else "ADDED"
        if change.before is not None and change.after is not None:
            event = "MODIFIED"
        body = change.after or change.before
        assert body is not None
        if change.after is None:
            meta = body["metadata"] | {"resourceVersion": str(change.number)}
            body = body | {"metadata": meta}
        for actor in self.actors:
            if not ledger_path(change.path):
                actor.news[change.plural].append((event, body))
        who = change.by.name if change.by else "somebody"
        self.log.append(
            f"{change.number:4} {who:8} {event:8} {_summary(change.path, change.after)}"
        )
        self._watch(change)


def _node_status(ready: bool) -> Json:
    return {
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    }


def _summary(path: str, body: Json | None) -> str:
    short = "/".join(path.split("/")[-3:])
    if body is None:
        return short
    annotations = body["metadata"].get("annotations") or ""
    if path.startswith(LEDGERS):
        entries = body.get("spec", {}).get("entries", {})
        said = {
            address: (
                [item["uid"] for item in entry.get("holders") or []],
                entry.get("term"),
                entry.get("freedAt", ""),
            )
            for address, entry in entries.items()
            if isinstance(entry, dict)
        }
        return f"{short} {said}"
    uid = body["metadata"]["uid"]
    return f"{short} {uid} {annotations} {body.get('spec', '')} {body.get('status', '')}"
