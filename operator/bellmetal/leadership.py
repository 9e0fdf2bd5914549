"""The Lease: who of several controllers leads. Judged by this process's monotonic clock alone.

A leader that cannot renew for RENEW_DEADLINE stops leading, which is before the others may take
over (DURATION after they saw the last renewal). What a leader that did not notice still writes is
fenced by the ledger. So timings may be short: a leader that died is replaced within 5 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging

from bellmetal import resources
from bellmetal.api import ApiError, Client

log = logging.getLogger(__name__)

NAME = "bellmetal-controller"
DURATION, RENEW_DEADLINE, RENEW_EVERY, RETRY_EVERY = 4.25, 3.0, 1.0, 0.25
REQUEST_TIMEOUT = 1.0


class Leadership:
    """One candidate, called ``identity``."""

    def __init__(self, client: Client, namespace: str, identity: str) -> None:
        self._client, self.identity = client, identity
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._lease: resources.Lease | None = None
        self._sure = False  # that it is still as we know it
        self._seen: tuple[str, str | None] = ("", None)
        self._seen_at = float("-inf")
        self._told = ""
        self._failing = False
        self.recovered = asyncio.Event()  # set when a renewal succeeds after one that failed

    async def acquire(self) -> None:
        """Returns once this process leads."""
        while not await self._try():
            await asyncio.sleep(RETRY_EVERY)
        log.info("leading", extra={"op": "leadership", "identity": self.identity})

    async def hold(self) -> None:
        """Renews; returns when leadership is lost."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while loop.time() - renewed < RENEW_DEADLINE:
            started = loop.time()
            if await self._try():
                renewed = started
                await asyncio.sleep(RENEW_EVERY)
            elif self._lease is not None and self._lease.spec.holder_identity != self.identity:
                break
            else:
                await asyncio.sleep(RETRY_EVERY)
        log.error(
            "leadership is lost: deciding nothing until it is won again",
            extra={"op": "leadership", "identity": self.identity},
        )

    async def release(self) -> None:
        """Gives the Lease back, so that another leads at once; best effort."""
        lease = self._lease
        if lease is None or lease.spec.holder_identity != self.identity:
            return
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(REQUEST_TIMEOUT):
                await self._write(lease, "")

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                mine = await self._take()
        except ApiError as error:
            if error.conflict:
                return False
            return self._fail(str(error))
        except TimeoutError:
            return self._fail(f"no answer in {REQUEST_TIMEOUT:g} s")
        if self._failing:
            self._failing = False
            self.recovered.set()
        return mine

    def _fail(self, why: str) -> bool:
        log.warning("the Lease %s: %s", NAME, why, extra={"op": "leadership"})
        self._failing = True
        return False

    async def _take(self) -> bool:
        known = self._lease
        if known is not None and self._sure and known.spec.holder_identity == self.identity:
            self._sure = False  # unless the write succeeds, it is read again
            await self._write(known, self.identity)
            return True
        try:
            lease = await self._client.get(resources.Lease, f"{self._path}/{NAME}")
        except ApiError as error:
            if not error.gone:
                raise
            await self._create()
            return True
        self._lease = lease
        holder = lease.spec.holder_identity
        if holder and holder != self.identity and not self._expired(lease):
            if holder != self._told:
                log.info("another controller leads: %s", holder, extra={"op": "leadership"})
                self._told = holder
            return False
        await self._write(lease, self.identity)
        return True

    def _expired(self, lease: resources.Lease) -> bool:
        """Whether its holder has not renewed for DURATION, by our own clock since we look."""
        now = asyncio.get_running_loop().time()
        seen = (lease.spec.holder_identity, lease.spec.renew_time)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at > DURATION

    async def _create(self) -> None:
        body = resources.Lease(
            api_version="coordination.k8s.io/v1",
            kind="Lease",
            metadata=resources.Metadata(name=NAME),
            spec=self._spec(self.identity, 0),
        )
        self._lease = await self._client.create(resources.Lease, self._path, body)

    async def _write(self, lease: resources.Lease, holder: str) -> None:
        changed = lease.spec.holder_identity != holder
        body = resources.Lease(
            api_version="coordination.k8s.io/v1",
            kind="Lease",
            metadata=lease.metadata,
            spec=self._spec(holder, lease.spec.lease_transitions + changed),
        )
        self._lease = await self._client.replace(resources.Lease, f"{self._path}/{NAME}", body)
        self._sure = True

    def _spec(self, holder: str, transitions: int) -> resources.LeaseSpec:
        clock = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - for people, judged by nobody
        now = clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return resources.LeaseSpec(
            holder_identity=holder,
            lease_duration_seconds=int(DURATION),
            renew_time=now,
            lease_transitions=transitions,
        )
