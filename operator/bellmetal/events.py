"""Events on objects, where `kubectl describe` shows them; written behind everything else.

Of one object a few at once, then one in ten seconds: whoever edits a Service a thousand times may
not fill the API server with what is said of it. What is written has a queue, as there may be
thousands of objects.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from bellmetal import metrics, resources
from bellmetal.api import ApiError, Client

log = logging.getLogger(__name__)

QUEUE = 20_000  # events waiting at most; older ones matter more, so the newest are dropped
WORKERS = 16
SLOWLY = 0.02  # seconds between two events of those who must not hurry
FEW = 30  # events about one object that come at once
EVERY = 10.0  # seconds between more of them
MOST_OBJECTS = 4096  # that are remembered; of whom nothing was said for longest is forgotten


@dataclass(frozen=True, slots=True)
class _Said:
    """An event that waits: a tenth of what it takes when it is made, and thousands may wait."""

    about: resources.ObjectReference
    reason: str
    message: str
    warning: bool
    once: str
    at: str


class _Budget:
    """How much is said of one object."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()

    def allows(self, about: resources.ObjectReference) -> bool:
        """Whether one more event may be written, which is counted."""
        key, now = (about.kind, about.namespace, about.name), time.monotonic()
        left, since = self._left.pop(key, (float(FEW), now))
        left = min(float(FEW), left + (now - since) / EVERY)
        allowed = left >= 1.0
        self._left[key] = left - allowed, now
        if len(self._left) > MOST_OBJECTS:
            self._left.popitem(last=False)
        return allowed


class Events:
    """Records events of one component, with the program's host as instance.

    ``slowly``: one after the other, fifty a second at most: a speaker has one for each address that
    comes to it, and when thousands come the API server has more to do than that.
    """

    def __init__(self, client: Client, component: str, instance: str, slowly: bool = False) -> None:
        self._client, self._component, self._instance = client, component, instance
        self._workers, self._pause = (1, SLOWLY) if slowly else (WORKERS, 0.0)
        self._queue: asyncio.Queue[_Said] = asyncio.Queue(QUEUE)
        self._budget = _Budget()
        self._dropping = False

    def record(
        self,
        about: resources.ObjectReference,
        reason: str,
        message: str,
        *,
        warning: bool = False,
        once: str = "",
    ) -> None:
        """Queues an event. ``once``: the same sentence about the same object with the same
        key is told only once, also over restarts, as long as the API server keeps the event."""
        if not self._budget.allows(about):
            self._drop(f"more than {FEW} events about one object", reason, about)
            return
        try:
            self._queue.put_nowait(_Said(about, reason, message, warning, once, timestamp()))
            self._dropping = False
        except asyncio.QueueFull:
            self._drop("too many events are waiting", reason, about)

    def _drop(self, why: str, reason: str, about: resources.ObjectReference) -> None:
        metrics.EVENTS_DROPPED.inc()
        if not self._dropping:  # a line costs as much as an event; the metric counts them
            log.warning("%s: dropped %s about %s, and what follows", why, reason, about.name)
        self._dropping = True

    async def run(self) -> None:
        """Writes what is queued, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def drain(self) -> None:
        """Waits until all that is queued has been written (bound it with a timeout)."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            said = await self._queue.get()
            try:
                await self._write(self._made(said))
            except Exception:  # whatever it is: for one event the program must not end
                metrics.EVENTS_DROPPED.inc()
                log.exception("event %s about %s was not written", said.reason, said.about.name)
            finally:
                self._queue.task_done()
            if self._pause:
                await asyncio.sleep(self._pause)

    def _made(self, said: _Said) -> resources.Event:
        about, once = said.about, said.once
        text = said.reason + said.message + once if once else uuid.uuid4().hex
        return resources.Event(
            api_version="v1",
            kind="Event",
            metadata=resources.Metadata(
                name=_name(about, text), namespace=about.namespace or "default"
            ),
            involved_object=about,
            reason=said.reason,
            message=said.message,
            type="Warning" if said.warning else "Normal",
            source=resources.EventSource(self._component, self._instance),
            reporting_component=self._component,
            reporting_instance=self._instance,
            first_timestamp=said.at,
            last_timestamp=said.at,
            count=1,
        )

    async def _write(self, event: resources.Event) -> None:
        path = f"/api/v1/namespaces/{event.metadata.namespace}/events"
        for pause in (0.5, 2.0, 5.0, 0.0):
            try:
                await self._client.request("POST", path, event)
                return
            except ApiError as error:
                if error.conflict:  # told before
                    return
                if error.code in (403, 404, 422) or not pause:
                    metrics.EVENTS_DROPPED.inc()
                    log.warning("event %s was not written: %s", event.reason, error)
                    return
            await asyncio.sleep(pause)


def timestamp(ago: float = 0.0) -> str:
    """The wall clock ``ago`` seconds ago, RFC 3339 in UTC, as metav1.Time wants it."""
    clock = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - for people
    return _written(int(clock.timestamp() - ago))


@lru_cache(maxsize=16)
def _written(second: int) -> str:
    """Thousands of events in a second have the same."""
    moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(about: resources.ObjectReference, text: str) -> str:
    digest = hashlib.blake2b((about.uid + text).encode(), digest_size=8).hexdigest()
    return f"{about.name[:200]}.{digest}"
