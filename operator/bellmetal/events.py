"""Events on objects, where `kubectl describe` shows them; written behind everything else."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import uuid

from bellmetal import metrics, resources
from bellmetal.api import ApiError, Client

log = logging.getLogger(__name__)

QUEUE = 20_000  # events waiting at most; older ones matter more, so the newest are dropped
WORKERS = 16
SLOWLY = 0.02  # seconds between two events of those who must not hurry


class Events:
    """Records events of one component, with the program's host as instance.

    ``slowly``: one after the other, fifty a second at most: a speaker has one for each address that
    comes to it, and when thousands come the API server has more to do than that.
    """

    def __init__(self, client: Client, component: str, instance: str, slowly: bool = False) -> None:
        self._client, self._component, self._instance = client, component, instance
        self._workers, self._pause = (1, SLOWLY) if slowly else (WORKERS, 0.0)
        self._queue: asyncio.Queue[resources.Event] = asyncio.Queue(QUEUE)
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
        now = timestamp()
        event = resources.Event(
            api_version="v1",
            kind="Event",
            metadata=resources.Metadata(
                name=_name(about, reason + message + once if once else uuid.uuid4().hex),
                namespace=about.namespace or "default",
            ),
            involved_object=about,
            reason=reason,
            message=message,
            type="Warning" if warning else "Normal",
            source=resources.EventSource(self._component, self._instance),
            reporting_component=self._component,
            reporting_instance=self._instance,
            first_timestamp=now,
            last_timestamp=now,
            count=1,
        )
        try:
            self._queue.put_nowait(event)
            self._dropping = False
        except asyncio.QueueFull:
            metrics.EVENTS_DROPPED.inc()
            if not self._dropping:  # a line costs as much as an event; the metric counts them
                message = "too many events are waiting: dropped %s about %s, and what follows"
                log.warning(message, reason, about.name)
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
            event = await self._queue.get()
            try:
                await self._write(event)
            finally:
                self._queue.task_done()
            if self._pause:
                await asyncio.sleep(self._pause)

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
    clock -= datetime.timedelta(seconds=ago)
    return clock.strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(about: resources.ObjectReference, text: str) -> str:
    digest = hashlib.blake2b((about.uid + text).encode(), digest_size=8).hexdigest()
    return f"{about.name[:200]}.{digest}"
