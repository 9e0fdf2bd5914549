"""Kopf: `on.event` handlers that keep the World, nothing more.

`on.event` alone makes Kopf send only GETs: no finalizer and no annotation on anybody's objects.
Two operators share the loop: one for the whole cluster, one for our own namespace, so that the
controller needs no right to read configuration elsewhere. EndpointSlices, the most and the
busiest, do not come this way but by our own watch (`controller.py`): Kopf takes twenty times the
processor for each, and keeps the memory that its first list took.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import kopf

from bellmetal import metrics
from bellmetal.api import Access
from bellmetal.follow import Collection
from bellmetal.world import World

log = logging.getLogger(__name__)

SILENCE = 100.0  # seconds; the API server sends bookmarks every minute, and late under load
DEAF = 2.0  # seconds between attempts at most: Kopf's own pauses grow to 21 s


async def watch(
    world: World,
    access: Access,
    namespace: str,
    changed: Callable[[str], None],
    listed: Callable[[str, bool], None],
    ready: asyncio.Event,
) -> None:
    """Keeps the world for ever. Kopf ends on SIGTERM too.

    ``changed`` is called with the plural of a kind when a noun of it changed; ``listed`` when Kopf
    has listed a kind, and whether for an object again: a watch broke. What was deleted before such
    a list Kopf does not tell.
    """
    flags = [asyncio.Event(), asyncio.Event()]
    ours = [item for item in world.told_by_kopf() if item.kind.namespaced]
    everywhere = [item for item in world.told_by_kopf() if not item.kind.namespaced]
    async with asyncio.TaskGroup() as group:
        group.create_task(
            kopf.operator(
                registry=_registry(everywhere, access, changed, listed),
                settings=_settings(),
                standalone=True,
                clusterwide=True,
                ready_flag=flags[0],
            )
        )
        group.create_task(
            kopf.operator(
                registry=_registry(ours, access, changed, listed),
                settings=_settings(),
                standalone=True,
                namespaces=[namespace],
                ready_flag=flags[1],
            )
        )
        for flag in flags:
            await flag.wait()
        ready.set()


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.inactivity_timeout = SILENCE
    settings.watching.connect_timeout = 5.0
    settings.watching.reconnect_backoff = 0.5
    settings.watching.chunk_size = 500
    settings.networking.error_backoffs = (0.5, 1.0, *[DEAF] * 30)
    settings.queueing.idle_timeout = 1.0  # a worker per changing object is not worth keeping
    settings.queueing.exit_timeout = 0.2  # handlers only take in news: nothing is lost
    settings.persistence.diffbase_storage = _NoEssence()
    settings.persistence.progress_storage = _NoProgress()
    return settings


class _NoEssence(kopf.AnnotationsDiffBaseStorage):
    """No copy of each object to compare the next one with: half of what an event costs, and no
    handler of ours asks for differences."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None


class _NoProgress(kopf.AnnotationsProgressStorage):
    """Nothing of it to take out of such a copy."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def _registry(
    collections: list[Collection[Any, Any]],
    access: Access,
    changed: Callable[[str], None],
    listed: Callable[[str, bool], None],
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    for collection in collections:
        kind = collection.kind
        kopf.on.event(
            kind.group, kind.version, kind.plural, registry=registry, id=f"world/{kind.plural}"
        )(_handler(collection, changed, listed))

    async def login(**_: object) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=access.server,
            ca_data=access.ca_data,
            insecure=access.insecure or None,
            token=access.bearer() or None,
            certificate_data=access.client_certificate,
            private_key_data=access.client_key,
        )

    kopf.on.login(registry=registry, id="login")(login)
    return registry


def _handler(
    collection: Collection[Any, Any],
    changed: Callable[[str], None],
    listed: Callable[[str, bool], None],
) -> Any:
    heard: set[tuple[str, str]] = set()

    async def handle(event: Any, **_: object) -> None:
        metrics.UPDATES.inc()
        meta = event["object"]["metadata"]
        key = meta.get("namespace", ""), meta["name"]
        if event["type"] is None or not heard:  # a first event says too that it has listed
            listed(collection.kind.plural, event["type"] is None and key in heard)
        if event["type"] == "DELETED":
            heard.discard(key)
        else:
            heard.add(key)
        if collection.apply(event["type"], event["object"]):
            changed(collection.kind.plural)

    return handle
